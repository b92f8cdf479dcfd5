package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A keeper's clock may be set.
type keeper struct{ off atomic.Int64 }

func (k *keeper) Time(context.Context) (time.Time, error) {
	return time.Now().Add(time.Duration(k.off.Load())), nil
}

// REL R-15: when the database's clock was set, as by a failover, a node goes by it
// soon, and reads anew what it looks up by time.
func TestREL_R15_TheDatabaseIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k keeper
		log := slog.New(slog.DiscardHandler)
		c, err := newClock(t.Context(), &k, time.Now, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var jumps atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx, log, func() { jumps.Add(1) })
		}()
		time.Sleep(2 * compareEvery) // by the bubble's clock
		if n := jumps.Load(); n != 0 {
			t.Errorf("%d jumps of a clock that goes as it should", n)
		}
		for _, off := range []time.Duration{40 * time.Second, -time.Hour} {
			jumps.Store(0)
			k.off.Store(int64(off))
			time.Sleep(compareEvery + watchEvery) // by the bubble's clock
			if d := c.Now().Sub(time.Now().Add(off)); d.Abs() > time.Millisecond || jumps.Load() != 1 {
				t.Errorf("%v: %v off, %d jumps", off, d, jumps.Load())
			}
		}
		cancel()
		<-ended
	})
}
