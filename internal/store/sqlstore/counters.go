package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/store"
)

var selectCounter = define("read counter", `SELECT key, data, expires_at FROM counters WHERE key = $1`)

func scanCounter(rows *sql.Rows) (c limit.Counter, err error) {
	err = rows.Scan(&c.Key, &c.Data, at(&c.ExpiresAt))
	if len(c.Data) == 0 {
		c.Data = nil
	}
	return c, err
}

// Counter implements [store.Reader].
func (r *Reader) Counter(ctx context.Context, key string) (limit.Counter, error) {
	return one(ctx, r, selectCounter, scanCounter, key)
}

// Counter implements [store.Tx]. It is a plain read, which holds the key where
// transactions run one after the other, as on SQLite. Where they run side by
// side the key must be locked first, until the commit: FOR UPDATE holds a row
// that is there, but the first two to count have none, so on PostgreSQL it takes
// pg_advisory_xact_lock of the key's hash, in a statement before the read, which
// then sees what the holder before has committed.
func (t *Tx) Counter(key string) (limit.Counter, error) {
	c, err := oneInTx(t, selectCounter, scanCounter, key)
	if errors.Is(err, store.ErrNotFound) {
		return limit.Counter{Key: key}, nil
	}
	return c, err
}

var (
	putCounter = define("write counter", `
	INSERT INTO counters (key, data, expires_at) VALUES ($1, $2, $3)
	ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`)

	deleteCounter = define("delete counter", `DELETE FROM counters WHERE key = $1`)
)

// PutCounter implements [store.Tx].
func (t *Tx) PutCounter(c limit.Counter) error {
	_, err := t.exec(putCounter, c.Key, blob(c.Data), micros(c.ExpiresAt))
	return err
}

// DeleteCounter implements [store.Tx].
func (t *Tx) DeleteCounter(key string) error {
	_, err := t.exec(deleteCounter, key)
	return err
}
