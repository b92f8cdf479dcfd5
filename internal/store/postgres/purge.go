package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/store/sqlstore"
)

// partitions are those that migration 5 makes for the ids that tell when their
// transaction began.
func partitions() map[string]*sqlstore.Transactions {
	all := map[string]*sqlstore.Transactions{}
	for _, c := range "ABCDEFGHIJKL" {
		all["t"+string(c)] = sqlstore.TransactionsIn("transactions_" + strings.ToLower(string(c)))
	}
	return all
}

const (
	// purgeBatch is how many rows a transaction removes: it holds no others.
	purgeBatch = 1000
	// bulk is the size from which a partition is worth to be emptied as a whole.
	bulk = 1 << 20
	// patience is how long rows that have ended wait for the rest of their partition
	// (REL R-23).
	patience = 15 * time.Minute
	// emptying is the number that one node at a time holds; others go on with rows.
	emptying = migrationLock + 1
	// holdUp is how long it waits for a partition, and keeps others waiting.
	holdUp = "100ms"
)

// Purge implements [store.Store]. Of transactions, partitions in which all have
// ended are emptied at once, and then counted by the server's estimate. One that
// will be so within a quarter of an hour is left alone until then; from the
// others, and from partitions that are small, rows are removed one by one. Rows
// that somebody writes at the moment stay.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := s.standing.refusal(); err != nil {
		return 0, sqlstore.Refused(err)
	}
	total := 0
	all, err := s.parts(ctx)
	if err != nil {
		return 0, err
	}
	rows := map[string][]string{}
	for _, p := range all {
		if p.of != "transactions" || p.bytes < bulk {
			rows[p.of] = append(rows[p.of], p.table)
			continue
		}
		switch end, err := s.end(ctx, p); {
		case err != nil:
			return total, err
		case end.IsZero() || end.After(now.Add(patience)):
			rows[p.of] = append(rows[p.of], p.table)
		case end.Before(now):
			done, err := s.empty(ctx, p, now)
			if err != nil {
				return total, err
			}
			if done {
				total += max(int(p.rows), 1)
			}
		}
	}
	n, err := sqlstore.Purge(ctx, s.do, now, limit, purgeBatch, rows)
	return total + n, err
}

// A part is a partition of a table, or the table if it has none.
type part struct {
	of, table string // table is quoted
	bytes     int64
	rows      int64 // as far as the server has counted
}

// parts asks the catalog.
func (s *Store) parts(ctx context.Context) (all []part, err error) {
	err = s.ask(ctx, func(rows sqlstore.Row) error {
		var p part
		err := rows.Scan(&p.of, &p.table, &p.bytes, &p.rows)
		all = append(all, p)
		return err
	}, `
		SELECT name, COALESCE(relid::regclass::text, name), COALESCE(pg_relation_size(relid), 0), COALESCE(pg_stat_get_live_tuples(relid), 0)
		FROM unnest('{`+strings.Join(sqlstore.Transients(), ",")+`}'::text[]) name
			LEFT JOIN LATERAL (SELECT relid FROM pg_partition_tree(name::regclass) WHERE isleaf) leaf ON true
		ORDER BY 1, 2`)
	return all, err
}

// end is when the last row of a partition ends, zero if one never does. An index
// knows both.
func (s *Store) end(ctx context.Context, p part) (end time.Time, err error) {
	err = s.ask(ctx, func(rows sqlstore.Row) error {
		var first, last int64
		err := rows.Scan(&first, &last)
		if first > 0 {
			end = time.UnixMicro(last)
		}
		return err
	}, "SELECT COALESCE(min(expires_at), 1), COALESCE(max(expires_at), 1) FROM "+p.table)
	return end, err
}

func (s *Store) ask(ctx context.Context, visit func(sqlstore.Row) error, query string) error {
	c, err := s.pool.Get(ctx)
	if err != nil {
		return err
	}
	defer s.pool.Put(c)
	if err := c.Query(ctx, query, visit); err != nil {
		return refused("purge", err)
	}
	return nil
}

// empty truncates a partition, and says whether it did: not if another node is at
// it, if somebody holds the partition, or if there is a row in it by now that has
// not ended.
func (s *Store) empty(ctx context.Context, p part, now time.Time) (done bool, err error) {
	c, err := s.pool.borrow(ctx)
	if err != nil {
		return false, refused("purge", err)
	}
	defer s.pool.giveBack(c)
	ctx = context.WithoutCancel(ctx)
	defer func() {
		if done {
			return
		}
		if _, rerr := c.sql.ExecContext(ctx, "ROLLBACK"); rerr != nil {
			c.discard()
		}
		if code(err) == lockNotAvailable {
			err = nil
		}
		if err != nil {
			err = refused("purge "+p.table, err)
		}
	}()
	if _, err := c.sql.ExecContext(ctx, "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '"+holdUp+"'"); err != nil {
		return false, err
	}
	mine, over := false, false
	if err := c.sql.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(emptying)).Scan(&mine); err != nil || !mine {
		return false, err
	}
	// Nobody writes to it from here on: what is asked now stays so.
	if _, err := c.sql.ExecContext(ctx, "LOCK TABLE ONLY "+p.table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return false, err
	}
	err = c.sql.QueryRowContext(ctx, "SELECT NOT EXISTS (SELECT 1 FROM "+p.table+" WHERE expires_at >= $1) AND NOT EXISTS (SELECT 1 FROM "+p.table+" WHERE expires_at <= 0)",
		now.UnixMicro()).Scan(&over)
	if err != nil || !over {
		return false, err
	}
	if _, err := c.sql.ExecContext(ctx, "TRUNCATE ONLY "+p.table); err != nil {
		return false, err
	}
	if _, err := c.sql.ExecContext(ctx, "COMMIT"); err != nil {
		c.discard() // whether it is empty, the next one sees
		return false, err
	}
	s.commits.Add(1)
	return true, nil
}
