package storetest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/store"
)

// count adds one to what is counted for a key.
func count(tx store.Tx, key string) error {
	c, err := tx.Counter(key)
	if err != nil {
		return err
	}
	n := 0
	if len(c.Data) > 0 {
		if n, err = strconv.Atoi(string(c.Data)); err != nil {
			return err
		}
	}
	c.Data, c.ExpiresAt = fmt.Append(nil, n+1), later(time.Hour)
	return tx.PutCounter(c)
}

var counterTests = []test{
	{"counter", func(t *testing.T, s store.Store) {
		_, err := s.Counter(ctx, "key")
		missing(t, "counter", err)
		held := func(tx store.Tx, want limit.Counter) error {
			t.Helper()
			got, err := tx.Counter(want.Key)
			same(t, got, want)
			return err
		}
		first := limit.Counter{Key: "key", Data: []byte{0, 0xff}, ExpiresAt: later(time.Hour)}
		second := limit.Counter{Key: "key", Data: []byte("second"), ExpiresAt: later(-time.Hour)} // ended, and still there
		write(t, s, func(tx store.Tx) error {
			for _, step := range []func() error{
				func() error { return held(tx, limit.Counter{Key: "key"}) },
				func() error { return tx.PutCounter(first) },
				func() error { return held(tx, first) }, // sees what this transaction wrote
			} {
				if err := step(); err != nil {
					return err
				}
			}
			return nil
		})
		same(t, read[limit.Counter](t)(s.Counter(ctx, "key")), first)
		write(t, s, func(tx store.Tx) error { return tx.PutCounter(second) })
		same(t, read[limit.Counter](t)(s.Counter(ctx, "key")), second)
		bare := limit.Counter{Key: "bare"}
		write(t, s, func(tx store.Tx) error { return tx.PutCounter(bare) })
		same(t, read[limit.Counter](t)(s.Counter(ctx, "bare")), bare)

		for range 2 {
			write(t, s, func(tx store.Tx) error { return tx.DeleteCounter("key") })
			_, err = s.Counter(ctx, "key")
			missing(t, "counter", err)
		}
		write(t, s, func(tx store.Tx) error { return held(tx, limit.Counter{Key: "key"}) })
		same(t, read[limit.Counter](t)(s.Counter(ctx, "bare")), bare)
	}},

	{"counter/RollsBack", func(t *testing.T, s store.Store) {
		refuse(t, s, errOwn, func(tx store.Tx) error {
			if err := count(tx, "key"); err != nil {
				return err
			}
			return errOwn
		})
		_, err := s.Counter(ctx, "key")
		missing(t, "counter", err)
	}},

	// Of many who count at once none is lost, though the key is new to the first.
	{"race/SEC_S108_CounterLosesNone", func(t *testing.T, s store.Store) {
		const callers, each = 50, 4
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				for range each {
					if err := s.InTx(ctx, durabilities[i%3], func(tx store.Tx) error { return count(tx, "key") }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		same(t, string(read[limit.Counter](t)(s.Counter(ctx, "key")).Data), fmt.Sprint(callers*each))
	}},

	// A limit of n lets n through, however many ask at once.
	{"race/CounterHoldsItsLimit", func(t *testing.T, s store.Store) {
		const callers, most = 50, 7
		var group sync.WaitGroup
		passed := make(chan int, callers)
		for i := range callers {
			group.Go(func() {
				err := s.InTx(ctx, durabilities[i%3], func(tx store.Tx) error {
					c, err := tx.Counter("key")
					if err != nil {
						return err
					}
					if string(c.Data) == fmt.Sprint(most) {
						return errOwn
					}
					return count(tx, "key")
				})
				if err == nil {
					passed <- i
				}
			})
		}
		group.Wait()
		same(t, len(passed), most)
	}},
}
