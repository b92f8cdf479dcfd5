package oauth

import (
	"context"
	"sync/atomic"
	"time"
)

// readPatience is longer than a database that answers may take (REL R-12).
const readPatience = 5 * time.Second

// A turn lets one caller at a time read something again, and gives those who
// waited for that its failure. Else, of many who wait while the database does not
// answer, each would begin a wait of its own, one after the other (REL R-12).
type turn struct {
	held  chan struct{} // full while somebody has it
	ended atomic.Int64  // reads
	err   error         // of the last read; for whoever has the turn
}

func newTurn() *turn { return &turn{held: make(chan struct{}, 1)} }

// take calls read unless what is there is fresh once it is the caller's turn. What
// is read is for others too, so it does not end with its caller.
func (t *turn) take(ctx context.Context, fresh func() bool, read func(context.Context) error) error {
	before := t.ended.Load()
	select {
	case t.held <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.held }()
	if fresh() {
		return nil
	}
	if t.err != nil && t.ended.Load() != before {
		return t.err
	}
	defer t.ended.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readPatience)
	defer cancel()
	t.err = read(ctx)
	return t.err
}

// alone calls f while nobody reads.
func (t *turn) alone(f func()) {
	t.held <- struct{}{}
	defer func() { <-t.held }()
	f()
}
