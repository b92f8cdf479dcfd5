package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/keyring"
)

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
		if n := o.open.Load(); n != 0 {
			t.Errorf("%d messages are still counted as open", n)
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
		pass(Lease + time.Minute) // for a node that knows it
		if got := s.get(m.ID); got.Status != Queued || got.Attempts != 0 || got.Fence != 1 {
			t.Errorf("row is %+v", got)
		}
	})
}

func TestTheOtherSideSaysWhen(t *testing.T) {
	s := &memory{}
	d := &sink{do: func(_ context.Context, n int) error {
		if n > 1 {
			return nil
		}
		return &Temporary{Class: "429", After: 2 * time.Minute}
	}}
	run(t, s, d, func(o *Outbox) {
		m := prepare(t, o, 10*time.Minute)
		s.insert(m)
		o.Handoff(m)
		pass(2*time.Minute - time.Second)
		if d.count() != 1 {
			t.Errorf("tried %d times before that", d.count())
		}
		pass(claimEvery + time.Second)
		if got := s.get(m.ID); got.Status != Sent {
			t.Errorf("row is %+v", got)
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

func TestErrorsNameClassAndCause(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{&Permanent{Class: "550", Err: cause}, &Temporary{Class: "550", Err: cause}} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "(550): cause") {
			t.Errorf("%v", err)
		}
	}
}
