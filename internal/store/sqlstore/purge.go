package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// A kind is of rows that end by themselves.
type kind struct {
	name  string
	purge differing
}

// A row may be given a later end between the two looks at it, where transactions
// run side by side: hence the second condition.
func transient(table, key, ended string) kind {
	return kind{table, vary("purge "+table, func(d *Dialect) string {
		return fmt.Sprintf(`
	WITH picked AS MATERIALIZED (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $2 %[4]s)
	DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM picked) AND %[3]s`, table, key, ended, d.SkipLocked)
	})}
}

const (
	expired = `expires_at > 0 AND expires_at < $1`
	idle    = `idle_until > 0 AND idle_until < $1`
)

// What Purge removes. A message in somebody's hands
// stays until its lease is over.
var transients = []kind{
	transient("transactions", "id", expired),
	transient("outbox", "id", expired+` AND leased_until <= $1`),
	transient("revocations", "id", expired),
	transient("refresh_families", "id", idle),
	transient("tickets", "id", expired),
	transient("sessions", "id", idle),
	transient("devices", "user_id, id", expired),
	transient("counters", "key", expired),
}

// A Do runs fn in one database transaction and commits it, as InTx of [store.Store].
type Do func(ctx context.Context, d store.Durability, fn func(*Tx) error) error

// purgeBatch is how many rows one transaction of Purge removes at most, so that
// nobody waits long behind it (REL R-23).
const purgeBatch = 100

// Purge does the work of [store.Store]'s Purge.
func Purge(ctx context.Context, do Do, now time.Time, limit int) (int, error) {
	total := 0
	for _, k := range transients {
		for left := limit; left > 0; {
			want, n := min(left, purgeBatch), 0
			err := do(ctx, store.Relaxed, func(tx *Tx) (err error) {
				n, err = tx.purge(k, now, want)
				return err
			})
			if err != nil {
				return total, fmt.Errorf("purge %s: %w", k.name, err)
			}
			total += n
			left -= n
			if n < want {
				break
			}
		}
	}
	return total, nil
}

// purge removes up to limit rows that ended before now, and returns how many went.
func (t *Tx) purge(k kind, now time.Time, limit int) (int, error) {
	n, err := t.exec(k.purge(t.dialect), micros(now), limit)
	return int(n), err
}
