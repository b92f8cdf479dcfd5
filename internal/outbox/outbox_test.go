package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
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

func (s *memory) ClaimOutbox(_ context.Context, now, until time.Time, limit int) ([]Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	var out []Message
	for _, m := range s.rows {
		due := !m.NotBefore.After(now) && now.Before(m.ExpiresAt) && !m.ended() && !now.Before(m.LeasedUntil)
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

func TestPrepare(t *testing.T) {
	o := newOutbox(&memory{}, &sink{})
	now := time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)
	m, err := o.Prepare("mail", map[string]string{"code": "123456"}, now, now.Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := Message{
		ID: m.ID, Kind: "mail", Payload: m.Payload, Status: Queued, CreatedAt: now, NotBefore: now,
		ExpiresAt: now.Add(10 * time.Minute), LeasedUntil: now.Add(Lease), Fence: 1,
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(m.Payload, []byte("123456")) {
		t.Error("SEC_S119: the payload is not sealed")
	}
	if _, err := testKeys.Open(purpose, "another", m.Payload); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("SEC_S102: payload opens under another row's id: %v", err)
	}
	if _, err := o.Prepare("mail", func() {}, now, now); err == nil {
		t.Error("a payload that is no JSON was taken")
	}
}

func TestHandoffDelivers(t *testing.T) {
	s, d := &memory{}, &sink{}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(settleWait)

		got := s.get(m.ID)
		if got.Status != Sent || got.Attempts != 1 || got.Payload != nil || !got.LeasedUntil.IsZero() || got.Fence != 1 {
			t.Errorf("SEC_S119: row is %+v", got)
		}
		if d.count() != 1 || d.got[0].ID != m.ID || d.got[0].Attempt != 1 {
			t.Errorf("delivered %+v", d.got)
		}
		var payload map[string]string
		if err := json.Unmarshal(d.got[0].Payload, &payload); err != nil || payload["code"] != "123456" {
			t.Errorf("payload is %s, %v", d.got[0].Payload, err)
		}
		pass(30 * time.Minute)
		if d.count() != 1 {
			t.Errorf("delivered %d times", d.count())
		}
	})
}

func TestREL_R06_ExactlyOnceInOneSettle(t *testing.T) {
	s, d := &memory{}, &sink{}
	run(t, s, d, func(o *Outbox) {
		var messages []Message
		for range 20 {
			messages = append(messages, prepare(t, o, 10*time.Minute))
		}
		s.insert(messages...)
		o.Handoff(messages...)
		pass(time.Minute * 2)
		if d.count() != 20 {
			t.Errorf("delivered %d times", d.count())
		}
		if len(s.settles) != 1 || len(s.settles[0]) != 20 {
			t.Errorf("%d settles, want one of all 20", len(s.settles))
		}
		if len(o.open) != 0 {
			t.Errorf("%d messages are still counted as open", len(o.open))
		}
	})
}

func TestREL_R06_CrashBeforeHandoff(t *testing.T) {
	s, d := &memory{}, &sink{}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute) // by a process that dies after its commit
		s.insert(m)
		pass(Lease - time.Second)
		if d.count() != 0 {
			t.Error("delivered during another's lease")
		}
		pass(claimEvery + time.Second + settleWait)
		if got := s.get(m.ID); d.count() != 1 || got.Status != Sent || got.Fence != 2 {
			t.Errorf("delivered %d times, row %+v", d.count(), got)
		}
	})
}

func TestREL_R06_Fencing(t *testing.T) {
	s := &memory{}
	// The first delivery overruns its lease, though told to stop, and is refused at the end.
	d := &sink{do: func(_ context.Context, n int) error {
		if n > 1 {
			return nil
		}
		<-time.After(Lease + 30*time.Second)
		return &Permanent{Class: "550"}
	}}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(Lease + claimEvery + settleWait)
		if got := s.get(m.ID); got.Status != Sent || got.Fence != 2 {
			t.Errorf("row is %+v: nobody took over", got)
		}
		pass(time.Minute)
		if got := s.get(m.ID); got.Status != Sent {
			t.Errorf("row is %+v: a worker whose lease ran out settled it", got)
		}
	})
}

func TestLeaseEndsDelivery(t *testing.T) {
	s := &memory{}
	d := &sink{do: func(ctx context.Context, n int) error {
		if n > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(Lease - leaseMargin + time.Millisecond)
		if got := s.get(m.ID); got.Status != Delayed || got.LastError != "timeout" {
			t.Errorf("row is %+v", got)
		}
		pass(20 * time.Second)
		if got := s.get(m.ID); got.Status != Sent || got.Attempts != 2 {
			t.Errorf("row is %+v", got)
		}
	})
}

func TestREL_R07_Backoff(t *testing.T) {
	want := []time.Duration{5, 15, 45, 120, 300, 900, 900, 900}
	for i, seconds := range want {
		mid := seconds * time.Second
		if got := backoff(i+1, 0.5); got != mid {
			t.Errorf("backoff(%d) = %v, want %v", i+1, got, mid)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "attempts")
		got := backoff(n, rapid.Float64Range(0, 0.999999).Draw(t, "random"))
		mid := float64(backoffs[min(n, len(backoffs))-1])
		if float64(got) < mid*0.8-1 || float64(got) > mid*1.2+1 {
			t.Errorf("backoff(%d) = %v", n, got)
		}
	})
}

func TestREL_R07_RetriesUntilNoUse(t *testing.T) {
	s := &memory{}
	d := &sink{do: func(context.Context, int) error { return &Temporary{Class: "450"} }}
	run(t, s, d, func(o *Outbox) {
		begin := time.Now()
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(time.Millisecond)
		if got := s.get(m.ID); got.Status != Delayed || got.LastError != "450" || got.Payload == nil {
			t.Errorf("DEC_D28: after the first failure the row is %+v", got)
		}
		var at []time.Duration
		for n := 1; !s.get(m.ID).ended(); {
			pass(time.Second)
			if d.count() > n {
				n = d.count()
				at = append(at, time.Since(begin))
			}
			if time.Since(begin) > time.Hour {
				t.Fatal("never ends")
			}
		}
		// 5, 15, 45, 120 and 300 s, each ±20 %: tries at about 5, 20, 65, 185 and 485 s.
		if len(at) < 4 || len(at) > 5 {
			t.Errorf("%d retries, at %v", len(at), at)
		}
		got := s.get(m.ID)
		if got.Status != Expired || got.Payload != nil || time.Since(begin) > 9*time.Minute {
			t.Errorf("row is %+v after %v", got, time.Since(begin))
		}
	})
}

func TestExpiredIsNotSent(t *testing.T) {
	s, d := &memory{}, &sink{}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, minLife-time.Second)
		s.insert(m)
		o.Handoff(m)
		pass(time.Millisecond)
		if got := s.get(m.ID); got.Status != Expired || got.Payload != nil || d.count() != 0 {
			t.Errorf("row is %+v, delivered %d times", got, d.count())
		}
	})
}

func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		do    func(context.Context, int) error
		spoil func(*Message)
		class string
	}{
		"permanent": {do: func(context.Context, int) error { return &Permanent{Class: "550", Err: errors.New("x")} }, class: "550"},
		"panic":     {do: func(context.Context, int) error { panic("a bug") }, class: "panic"},
		"sealed":    {spoil: func(m *Message) { m.Payload[0] ^= 1 }, class: "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := &memory{}, &sink{do: tc.do}
			run(t, s, d, func(o *Outbox) {
				m := prepare(t, o, 10*time.Minute)
				if tc.spoil != nil {
					tc.spoil(&m)
				}
				s.insert(m)
				o.Handoff(m)
				pass(5 * time.Minute)
				got := s.get(m.ID)
				if got.Status != Refused || got.LastError != tc.class || got.Payload != nil || got.Attempts != 1 {
					t.Errorf("row is %+v", got)
				}
				if d.count() > 1 {
					t.Errorf("delivered %d times", d.count())
				}
			})
		})
	}
}

func TestUnknownKindWaits(t *testing.T) {
	s := &memory{}
	run(t, s, &sink{}, func(o *Outbox) {
		m, err := o.Prepare("sms", 1, time.Now(), time.Now().Add(10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		s.insert(m)
		o.Handoff(m)
		pass(time.Minute)
		if got := s.get(m.ID); got.Status != Delayed || got.Attempts != 0 {
			t.Errorf("row is %+v", got)
		}
	})
}

func TestREL_R07_Breaker(t *testing.T) {
	s := &memory{}
	var mu sync.Mutex
	down := true
	d := &sink{do: func(context.Context, int) error {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return &Temporary{Class: "connect", Unavailable: true}
		}
		return nil
	}}
	run(t, s, d, func(o *Outbox) {
		var messages []Message
		for range 50 {
			messages = append(messages, prepare(t, o, 10*time.Minute))
		}
		s.insert(messages...)
		o.Handoff(messages...)
		pass(time.Millisecond)
		tried := d.count()
		if tried < breakerFailures || tried > breakerFailures+o.workers-1 {
			t.Errorf("tried %d times before the breaker opened", tried)
		}
		for _, m := range messages {
			if got := s.get(m.ID); got.Status != Delayed {
				t.Fatalf("row is %+v", got)
			}
		}
		pass(61 * time.Second)
		if probes := d.count() - tried; probes < 3 || probes > 5 {
			t.Errorf("%d probes in 61 s", probes)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		pass(3 * time.Minute)
		for _, m := range messages {
			if got := s.get(m.ID); got.Status != Sent {
				t.Fatalf("row is %+v", got)
			}
		}
	})
}

func TestBreakerIsNotOpenedByRecipients(t *testing.T) {
	s := &memory{}
	d := &sink{do: func(_ context.Context, n int) error {
		switch n % 2 {
		case 0:
			return &Permanent{Class: "550"}
		default:
			return &Temporary{Class: "450"}
		}
	}}
	run(t, s, d, func(o *Outbox) {
		for range 40 {
			m := prepare(t, o, 10*time.Minute)
			s.insert(m)
			o.Handoff(m)
		}
		pass(time.Millisecond)
		if d.count() != 40 {
			t.Errorf("only %d of 40 were tried", d.count())
		}
	})
}

func TestSettleIsRetried(t *testing.T) {
	s, d := &memory{}, &sink{}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		s.mu.Lock()
		s.fail = errors.New("disk full")
		s.mu.Unlock()
		o.Handoff(m)
		pass(10 * time.Second)
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		pass(2 * time.Minute)
		if got := s.get(m.ID); got.Status != Sent || d.count() != 1 {
			t.Errorf("row is %+v, delivered %d times", got, d.count())
		}
	})
}

func TestFullQueueIsClaimedLater(t *testing.T) {
	s, d := &memory{}, &sink{}
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(s, d)
		const n = queueSize + 100
		for range n { // no worker runs yet
			m := prepare(t, o, 10*time.Minute)
			s.insert(m)
			o.Handoff(m)
		}
		o.Start()
		pass(Lease + 2*time.Minute)
		if d.count() != n {
			t.Errorf("delivered %d of %d", d.count(), n)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestREL_R08_Admission(t *testing.T) {
	s := &memory{}
	synctest.Test(t, func(t *testing.T) {
		o := New(Config{Store: s, Keyring: testKeys, Deliver: map[string]Deliverer{"mail": &sink{}}, MaxOpen: 3})
		for range 3 {
			m := prepare(t, o, 10*time.Minute)
			s.insert(m)
			o.Handoff(m)
		}
		_, err := o.Prepare("mail", 1, time.Now(), time.Now())
		var refusal *problem.Error
		if !errors.As(err, &refusal) || refusal.Kind != problem.Unavailable || refusal.RetryAfter == 0 {
			t.Errorf("Prepare: %v", err)
		}
		o.Start()
		pass(time.Second)
		if _, err := o.Prepare("mail", 1, time.Now(), time.Now()); err != nil {
			t.Errorf("Prepare after the backlog went: %v", err)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopGivesLeasesBack(t *testing.T) {
	s := &memory{}
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{}, 8)
		o := newOutbox(s, &sink{do: func(ctx context.Context, _ int) error {
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}})
		o.Start()
		var messages []Message
		for range o.workers + 3 {
			messages = append(messages, prepare(t, o, 10*time.Minute))
		}
		s.insert(messages...)
		o.Handoff(messages...)
		for range o.workers {
			<-begun
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := o.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop: %v", err)
		}
		for _, m := range messages {
			got := s.get(m.ID)
			if got.Status != Queued || !got.LeasedUntil.IsZero() || got.Attempts != 0 || got.Payload == nil {
				t.Errorf("row is %+v", got)
			}
		}
	})
}

func TestStopWaitsForDeliveries(t *testing.T) {
	s := &memory{}
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(s, &sink{do: func(context.Context, int) error {
			<-time.After(3 * time.Second)
			return nil
		}})
		o.Start()
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(time.Second)
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if got := s.get(m.ID); got.Status != Sent {
			t.Errorf("row is %+v", got)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Errorf("second Stop: %v", err)
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	if err := newOutbox(&memory{}, &sink{}).Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEveryMessageEnds draws outcomes at random: whatever happens, a message is
// delivered at most once with success, and ends.
func TestEveryMessageEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 40).Draw(rt, "outcomes")
		n := rapid.IntRange(1, 20).Draw(rt, "messages")
		s := &memory{}
		succeeded := map[string]int{}
		var mu sync.Mutex
		calls := 0
		deliver := deliverFunc(func(_ context.Context, d Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			switch outcomes[calls%len(outcomes)] {
			case 0:
				return &Temporary{Class: "connect", Unavailable: true}
			case 1:
				return &Temporary{Class: "450"}
			case 2:
				return &Permanent{Class: "550"}
			default:
				succeeded[d.ID]++
				return nil
			}
		})
		synctest.Test(t, func(t *testing.T) {
			o := newOutbox(s, deliver)
			o.Start()
			for range n {
				m := prepare(t, o, 10*time.Minute)
				s.insert(m)
				o.Handoff(m)
			}
			pass(11 * time.Minute)
			if err := o.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for id, m := range s.rows {
			if succeeded[id] > 1 || (succeeded[id] == 1) != (m.Status == Sent) {
				rt.Fatalf("delivered %d times, row %+v", succeeded[id], m)
			}
			// A message that was due for a probe at the very end may be left to Purge.
			if !m.ended() && m.ExpiresAt.Sub(m.NotBefore) >= minLife+claimEvery && m.LastError != "unavailable" {
				rt.Fatalf("row %+v never ended", m)
			}
		}
	})
}

type deliverFunc func(context.Context, Delivery) error

func (f deliverFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }

func TestErrorsNameClassAndCause(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{&Permanent{Class: "550", Err: cause}, &Temporary{Class: "550", Err: cause}} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "(550): cause") {
			t.Errorf("%v", err)
		}
	}
}
