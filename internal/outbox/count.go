package outbox

import (
	"errors"
	"time"
)

// count corrects open: a process that starts may find a full table, messages end
// unsent, and other nodes add and deliver too.
func (o *Outbox) count() error {
	before := o.open.Load()
	n, oldest, err := o.store.OutboxWaiting(o.stopping, o.now())
	o.counted.Store(&counted{oldest, err})
	if err != nil {
		if o.stopping.Err() == nil {
			o.log.Error("outbox: count", "error", err)
		}
		return err
	}
	o.open.Add(n - before)
	return nil
}

// counted is what a count found, beside how many there are.
type counted struct {
	oldest time.Time
	err    error
}

// Waiting is how many messages of all nodes are still to be delivered, and since when
// the oldest of them, zero if there is none: as counted last, which nothing is asked
// for, and with what this process has added and ended since. The error is that
// of a count that failed.
func (o *Outbox) Waiting() (n int64, oldest time.Time, err error) {
	c := o.counted.Load()
	if c == nil {
		return 0, time.Time{}, errNotCounted
	}
	if n = max(0, o.open.Load()); n > 0 {
		oldest = c.oldest
	}
	return n, oldest, c.err
}

var errNotCounted = errors.New("outbox: not counted yet")
