package sqlstore

import (
	"fmt"
	"time"
)

// A Transient is a kind of row that ends by itself.
type Transient struct {
	name  string
	purge differing
}

func (k Transient) String() string { return k.name }

// A row may be given a later end between the two looks at it, where transactions
// run side by side: hence the second condition.
func transient(table, key, ended string) Transient {
	return Transient{table, vary("purge "+table, func(d *Dialect) string {
		return fmt.Sprintf(`
	WITH picked AS MATERIALIZED (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $2 %[4]s)
	DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM picked) AND %[3]s`, table, key, ended, d.SkipLocked)
	})}
}

const (
	expired = `expires_at > 0 AND expires_at < $1`
	idle    = `idle_until > 0 AND idle_until < $1`
)

// Transients are the kinds that Purge knows. A message in somebody's hands
// stays until its lease is over.
var Transients = []Transient{
	transient("transactions", "id", expired),
	transient("outbox", "id", expired+` AND leased_until <= $1`),
	transient("revocations", "id", expired),
	transient("refresh_families", "id", idle),
	transient("tickets", "id", expired),
	transient("sessions", "id", idle),
	transient("devices", "user_id, id", expired),
	transient("counters", "key", expired),
}

// Purge removes up to limit rows that ended before now, and returns how many went.
func (t *Tx) Purge(k Transient, now time.Time, limit int) (int, error) {
	n, err := t.exec(k.purge(t.dialect), micros(now), limit)
	return int(n), err
}
