package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/store"
)

var selectCounter = define("read counter", `SELECT key, data, expires_at FROM counters WHERE key = $1`)

func scanCounter(row Row) (c limit.Counter, err error) {
	err = row.Scan(&c.Key, &c.Data, at(&c.ExpiresAt))
	if len(c.Data) == 0 {
		c.Data = nil
	}
	return c, err
}

// Counter implements [store.Reader].
func (r *Reader) Counter(ctx context.Context, key string) (limit.Counter, error) {
	return one(ctx, r, selectCounter, scanCounter, key)
}

// Counter implements [store.Tx]. The read holds the key where transactions run
// one after the other. Where they run side by side it is held first: FOR UPDATE
// would hold a row that is there, but the first two to count have none. What is
// held is a hash of the key, in a statement of its own before the read, which
// then sees what the holder before has committed.
func (t *Tx) Counter(key string) (limit.Counter, error) {
	if err := t.hold(number(key)); err != nil {
		return limit.Counter{}, err
	}
	c, err := oneInTx(t, selectCounter, scanCounter, key)
	if errors.Is(err, store.ErrNotFound) {
		return limit.Counter{Key: key}, nil
	}
	return c, err
}

// number makes a key a number that the parties to a lock agree on. People choose
// keys: they must not be able to choose two of one number.
func number(key string) int64 {
	sum := sha256.Sum256([]byte(key))
	return int64(binary.BigEndian.Uint64(sum[:8]))
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
