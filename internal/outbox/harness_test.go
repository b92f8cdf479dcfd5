package outbox

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/keyring"
)

// memory is a store with the promises of the port.
type memory struct {
	mu      sync.Mutex
	rows    map[string]Message
	settles [][]Message // each call that was accepted, in order
	fail    error
}

func (s *memory) insert(messages ...Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]Message{}
	}
	for _, m := range messages {
		s.rows[m.ID] = m
	}
}

func (s *memory) get(id string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id]
}

func (s *memory) ClaimOutbox(_ context.Context, kind string, now, until time.Time, limit int) ([]Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	var out []Message
	for _, m := range s.rows {
		due := m.Kind == kind && !m.NotBefore.After(now) && now.Before(m.ExpiresAt) && !m.ended() && !now.Before(m.LeasedUntil)
		if due && len(out) < limit {
			m.LeasedUntil = until
			m.Fence++
			s.rows[m.ID] = m
			out = append(out, m)
		}
	}
	return out, nil
}

func (s *memory) SettleOutbox(ctx context.Context, messages []Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.settles = append(s.settles, slices.Clone(messages))
	for _, m := range messages {
		if s.rows[m.ID].Fence == m.Fence {
			s.rows[m.ID] = m
		}
	}
	return nil
}

func (s *memory) OutboxWaiting(_ context.Context, now time.Time) (n int64, oldest time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, oldest, s.fail
	}
	for _, m := range s.rows {
		if !m.ended() && now.Before(m.ExpiresAt) {
			n++
			if oldest.IsZero() || m.CreatedAt.Before(oldest) {
				oldest = m.CreatedAt
			}
		}
	}
	return n, oldest, nil
}

// sink delivers by a function and remembers what it was given.
type sink struct {
	mu  sync.Mutex
	got []Delivery
	do  func(ctx context.Context, n int) error // n counts from 1
}

func (s *sink) Deliver(ctx context.Context, d Delivery) error {
	s.mu.Lock()
	s.got = append(s.got, d)
	n := len(s.got)
	s.mu.Unlock()
	if s.do == nil {
		return nil
	}
	return s.do(ctx, n)
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

var testKeys = func() *keyring.Keyring {
	k, err := keyring.New(bytes.Repeat([]byte{7}, keyring.MasterSize))
	if err != nil {
		panic(err)
	}
	return k
}()

func newOutbox(s Store, d Deliverer) *Outbox {
	return New(Config{Store: s, Keyring: testKeys, Deliver: map[string]Deliverer{"mail": d}})
}

func prepare(t *testing.T, o *Outbox, life time.Duration) Message {
	t.Helper()
	m, err := o.Prepare("mail", map[string]string{"code": "123456"}, time.Now(), time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run starts an outbox in a bubble of its own and stops it afterwards.
func run(t *testing.T, s *memory, d Deliverer, fn func(o *Outbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(s, d)
		o.Start()
		fn(o)
		if err := o.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

// pass lets d of the bubble's time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

type deliverFunc func(context.Context, Delivery) error

func (f deliverFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }
