package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// A kind is of rows that end by themselves.
type kind struct {
	table, key, ended string
}

// purge is the statement that removes rows from a table of the kind, or from a
// partition of it. A row may be given a later end between the two looks at it,
// where transactions run side by side: hence the second condition.
func (k kind) purge(d *Dialect, table string) query {
	return query{"purge " + table, fmt.Sprintf(`
	WITH picked AS MATERIALIZED (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $2 %[4]s)
	DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM picked) AND %[3]s`, table, k.key, k.ended, d.SkipLocked)}
}

const (
	expired = `expires_at > 0 AND expires_at < $1`
	idle    = `idle_until > 0 AND idle_until < $1`
)

// What Purge removes. A message in somebody's hands
// stays until its lease is over.
var transients = []kind{
	{"transactions", "id", expired},
	{"outbox", "id", expired + ` AND leased_until <= $1`},
	{"revocations", "id", expired},
	{"refresh_families", "id", idle},
	{"tickets", "id", expired},
	{"sessions", "id", idle},
	{"devices", "user_id, id", expired},
	{"counters", "key", expired},
}

func init() {
	for _, k := range transients {
		vary("purge", func(d *Dialect) string { return k.purge(d, k.table).text })
	}
}

// A Do runs fn in one database transaction and commits it, as InTx of [store.Store].
type Do func(ctx context.Context, d store.Durability, fn func(*Tx) error) error

// purgeBatch is how many rows one transaction of Purge removes at most, so that
// nobody waits long behind it (REL R-23).
const purgeBatch = 100

// Purge does the work of [store.Store]'s Purge. Of a table that is partitioned, in
// has the partitions to remove rows from: not those that go as a whole.
func Purge(ctx context.Context, do Do, now time.Time, limit int, in map[string][]string) (int, error) {
	total := 0
	for _, k := range transients {
		tables, ok := in[k.table]
		if !ok {
			tables = []string{k.table}
		}
		left := limit
		for _, table := range tables {
			n, err := purge(ctx, do, k, table, now, left)
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
func purge(ctx context.Context, do Do, k kind, table string, now time.Time, limit int) (total int, err error) {
	for left := limit; left > 0; {
		want, n := min(left, purgeBatch), 0
		err := do(ctx, store.Relaxed, func(tx *Tx) error {
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
