package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A metered store tells how often it counted.
type metered struct {
	*memory
	counts atomic.Int64
}

func (s *metered) OutboxWaiting(ctx context.Context, now time.Time) (int64, time.Time, error) {
	s.counts.Add(1)
	return s.memory.OutboxWaiting(ctx, now)
}

// REL R-30: how many wait is told from what the outbox knows, however often somebody
// asks, and is not told while it is not known.
func TestREL_R30_WaitingAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &metered{memory: &memory{}}
		away := errors.New("away")
		relay := &sink{do: func(context.Context, int) error { return &Temporary{Class: "connect"} }}
		o := newOutbox(s, relay)
		if _, _, err := o.Waiting(); err == nil {
			t.Error("known before anybody has counted")
		}
		o.Start()
		pass(0)
		began := time.Now()
		var last Message
		for range 3 {
			last = prepare(t, o, time.Hour)
			s.insert(last)
			o.Handoff(last)
			pass(time.Second)
		}
		waiting := func(want int64, oldest time.Time) {
			t.Helper()
			if n, at, err := o.Waiting(); n != want || !at.Equal(oldest) || err != nil {
				t.Errorf("%d since %v, %v; want %d since %v", n, at, err, want, oldest)
			}
		}
		waiting(3, time.Time{}) // since when, the next count tells
		pass(2 * claimEvery)
		waiting(3, began)
		before := s.counts.Load()
		for range 1000 {
			_, _, _ = o.Waiting()
		}
		if n := s.counts.Load() - before; n != 0 {
			t.Errorf("%d counts for 1000 questions", n)
		}
		s.memory.mu.Lock()
		s.fail = away
		s.memory.mu.Unlock()
		pass(2 * claimEvery)
		if _, _, err := o.Waiting(); !errors.Is(err, away) {
			t.Errorf("without the database: %v", err)
		}
		s.memory.mu.Lock()
		s.fail = nil
		s.memory.mu.Unlock()
		relay.mu.Lock()
		relay.do = nil
		relay.mu.Unlock()
		pass(10 * time.Minute)
		waiting(0, time.Time{})
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// REL R-30: each worker of the outbox is watched, and a delivery that hangs is under way
// for as long as it does.
func TestREL_R30_LanesAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		var mu sync.Mutex
		busy, done := map[string]int{}, map[string]int{}
		release := make(chan struct{})
		o := New(Config{
			Store: s, Keyring: testKeys,
			Deliver: map[string]Deliverer{"mail": deliverFunc(func(context.Context, Delivery) error { <-release; return nil })},
			Watch: func(worker string, _ time.Duration) func(func() error) error {
				return func(work func() error) error {
					mu.Lock()
					busy[worker]++
					mu.Unlock()
					err := work()
					mu.Lock()
					defer mu.Unlock()
					busy[worker]--
					done[worker]++
					return err
				}
			},
		})
		o.Start()
		m := prepare(t, o, time.Hour)
		s.insert(m)
		o.Handoff(m)
		pass(Lease) // longer than its context lets it
		mu.Lock()
		if busy["mail"] == 0 || done["mail"] != 0 || done["outbox"] < 10 {
			t.Errorf("under way %v, done %v", busy, done)
		}
		mu.Unlock()
		close(release)
		pass(claimEvery)
		mu.Lock()
		if busy["mail"] != 0 || done["mail"] == 0 || done["outcomes"] == 0 {
			t.Errorf("in the end: under way %v, done %v", busy, done)
		}
		mu.Unlock()
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
