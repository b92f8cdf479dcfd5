package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/problem"
)

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
		if tried < breakerFailures || tried > breakerFailures+o.lanes["mail"].workers-1 {
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

// Neither a restart nor other nodes fool the bound: it is on the table.
func TestREL_R08_AdmissionOfAllNodes(t *testing.T) {
	s := &memory{}
	synctest.Test(t, func(t *testing.T) {
		away := &Temporary{Class: "away", Unavailable: true}
		node := func(delivers string, err error) *Outbox {
			d := &sink{do: func(context.Context, int) error { return err }}
			return New(Config{Store: s, Keyring: testKeys, Deliver: map[string]Deliverer{delivers: d}, MaxOpen: 8})
		}
		full := func(o *Outbox) bool {
			t.Helper()
			_, err := o.Prepare("mail", 1, time.Now(), time.Now().Add(time.Hour))
			if err != nil && problem.KindOf(err) != problem.Unavailable {
				t.Fatal(err)
			}
			return err != nil
		}
		stop := func(o *Outbox) {
			t.Helper()
			if err := o.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		first := node("mail", away)
		first.Start()
		for range 8 {
			m := prepare(t, first, 10*time.Minute)
			s.insert(m)
			first.Handoff(m)
		}
		pass(time.Second)
		if !full(first) {
			t.Error("the node that has made them takes more")
		}
		stop(first)

		again, other := node("mail", away), node("other", away) // which does not compete for the mail
		again.Start()
		other.Start()
		pass(0)
		if !full(again) || !full(other) {
			t.Error("after a restart the full table takes more")
		}
		stop(again)
		delivers := node("mail", nil)
		delivers.Start()
		pass(5 * time.Minute) // until the last that was delayed is due
		if len(s.rows) != 8 {
			t.Fatalf("%d rows", len(s.rows))
		}
		if n, _, _ := s.OutboxWaiting(t.Context(), time.Now()); n != 0 {
			t.Fatalf("%d wait", n)
		}
		if full(other) {
			t.Error("what another node delivered takes up room")
		}
		m := prepare(t, other, time.Minute)
		for i := range 8 { // which another node has made, and nobody delivers
			m.ID, m.Kind = fmt.Sprint("of-another-", i), "text"
			s.insert(m)
		}
		pass(claimEvery)
		if !full(other) {
			t.Error("what another node has made takes up no room")
		}
		pass(time.Minute)
		if full(other) {
			t.Error("what has ended takes up room")
		}
		stop(delivers)
		stop(other)
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
		for range o.lanes["mail"].workers + 3 {
			messages = append(messages, prepare(t, o, 10*time.Minute))
		}
		s.insert(messages...)
		o.Handoff(messages...)
		for range o.lanes["mail"].workers {
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

// TestREL_R07_LongOutageWritesLittle has another kind beside the broken one, so
// that due messages are claimed all the time.
func TestREL_R07_LongOutageWritesLittle(t *testing.T) {
	s := &memory{}
	down := &sink{do: func(context.Context, int) error { return &Temporary{Class: "connect", Unavailable: true} }}
	synctest.Test(t, func(t *testing.T) {
		o := New(Config{Store: s, Keyring: testKeys, Deliver: map[string]Deliverer{"mail": down, "other": &sink{}}})
		o.Start()
		const n = 30
		for range n {
			m := prepare(t, o, 10*time.Minute)
			s.insert(m)
			o.Handoff(m)
		}
		pass(10 * time.Minute)
		writes := 0
		for _, batch := range s.settles {
			writes += len(batch)
		}
		if writes > 15*n {
			t.Errorf("%d row writes for %d messages", writes, n)
		}
		for _, m := range s.rows {
			if m.Status != Expired || m.Payload != nil {
				t.Errorf("row is %+v", m)
			}
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
