package outbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Messages of a kind whose other side hangs, however many, do not hold up those of
// another: neither what is handed over here nor what is claimed.
func TestREL_R07_NoKindHoldsUpAnother(t *testing.T) {
	s, mail := &memory{}, &sink{}
	hangs := &sink{do: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	synctest.Test(t, func(t *testing.T) {
		o := New(Config{
			Store: s, Keyring: testKeys, Workers: 2, Crews: map[string]int{"wake": 3},
			Deliver: map[string]Deliverer{"mail": mail, "wake": hangs},
		})
		message := func(kind string) Message {
			m, err := o.Prepare(kind, 1, time.Now(), time.Now().Add(10*time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		for range queueSize + 100 {
			m := message("wake")
			s.insert(m)
			o.Handoff(m)
		}
		for range 100 { // due, and ahead of the mail
			m := message("wake")
			m.LeasedUntil, m.NotBefore = time.Time{}, time.Now().Add(-time.Minute)
			s.insert(m)
		}
		o.Start()
		synctest.Wait()
		if hangs.count() != 3 {
			t.Errorf("%d are on their way at a time, not 3", hangs.count())
		}
		handed, left := message("mail"), message("mail")
		left.LeasedUntil = time.Time{}
		s.insert(handed, left)
		o.Handoff(handed)
		pass(settleWait)
		if got := s.get(handed.ID); got.Status != Sent {
			t.Errorf("the mail that was handed over is %+v", got)
		}
		pass(claimEvery)
		if got := s.get(left.ID); got.Status != Sent {
			t.Errorf("the mail that was left to be claimed is %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := o.Stop(ctx); err == nil {
			t.Error("Stop waited for what hangs")
		}
		for _, m := range s.rows {
			if m.Kind == "wake" && m.Status != Queued {
				t.Fatalf("row is %+v", m)
			}
		}
	})
}
