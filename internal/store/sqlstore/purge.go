package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// A kind is of rows that end by themselves.
type kind struct {
	table, key, end string // end is the column that says when
	and             string // what else must be so
}

// purge is the statement that removes rows from a table of the kind, or from a
// partition of it: those that ended first, in the order of the index of ends; to go
// through all that have ended for each batch would never come to an end. A row may
// be given a later end between the two looks at it, where transactions run side by
// side: hence the second condition.
func (k kind) purge(d *Dialect, table string) query {
	ended := fmt.Sprintf("%[1]s > 0 AND %[1]s < $1%[2]s", k.end, k.and)
	picked := func(key string) string {
		return fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT $2 %s", key, table, ended, k.end, d.SkipLocked)
	}
	text := "DELETE FROM " + table + " WHERE "
	if d.RowID != "" {
		text += d.RowID + " = ANY (ARRAY(" + picked(d.RowID) + "))"
	} else {
		text += "(" + k.key + ") IN (" + picked(k.key) + ")"
	}
	return query{"purge " + table, text + " AND " + ended}
}

// transients are what Purge removes. A message in somebody's hands stays until its
// lease is over.
var transients = []kind{
	{"transactions", "id", "expires_at", ""},
	{"outbox", "id", "expires_at", " AND leased_until <= $1"},
	{"revocations", "id", "expires_at", ""},
	{"refresh_families", "id", "idle_until", ""},
	{"tickets", "id", "expires_at", ""},
	{"sessions", "id", "idle_until", ""},
	{"devices", "user_id, id", "expires_at", ""},
	{"counters", "key", "expires_at", ""},
}

// Transients are the tables of what Purge removes.
func Transients() []string {
	var names []string
	for _, k := range transients {
		names = append(names, k.table)
	}
	return names
}

func init() {
	for _, k := range transients {
		vary("purge", func(d *Dialect) string { return k.purge(d, k.table).text })
	}
}

// A Do runs fn in one database transaction and commits it, as InTx of [store.Store].
type Do func(ctx context.Context, d store.Durability, fn func(*Tx) error) error

// Purge does the work of [store.Store]'s Purge. A transaction removes up to batch
// rows, so that nobody waits long behind it (REL R-23). in has, for each table, the tables
// to remove rows from: its partitions, but for those that go as a whole. nil: no
// table has any.
func Purge(ctx context.Context, do Do, now time.Time, limit, batch int, in map[string][]string) (int, error) {
	total := 0
	for _, k := range transients {
		tables := []string{k.table}
		if in != nil {
			tables = in[k.table]
		}
		left := limit
		for _, table := range tables {
			n, err := purge(ctx, do, k, table, now, left, batch)
			total += n
			left -= n
			if err != nil {
				return total, fmt.Errorf("purge %s: %w", table, err)
			}
		}
	}
	return total, nil
}

// purge removes up to limit rows of a kind from a table, in batches.
func purge(ctx context.Context, do Do, k kind, table string, now time.Time, limit, batch int) (total int, err error) {
	for left := limit; left > 0; {
		want, n := min(left, batch), 0
		err := do(ctx, store.Relaxed, func(tx *Tx) error {
			if in := tx.dialect.InOrder; in != "" {
				if _, err := tx.exec(query{"purge in order", in}); err != nil {
					return err
				}
			}
			gone, err := tx.exec(k.purge(tx.dialect, table), micros(now), want)
			n = int(gone)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		left -= n
		if n < want {
			break
		}
	}
	return total, nil
}
