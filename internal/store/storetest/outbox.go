package storetest

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
)

func enqueue(t *testing.T, s store.Store, messages ...outbox.Message) {
	t.Helper()
	write(t, s, func(tx store.Tx) error {
		for _, m := range messages {
			if err := tx.Enqueue(m); err != nil {
				return err
			}
		}
		return nil
	})
}

func ids(messages []outbox.Message) []string {
	var out []string
	for _, m := range messages {
		out = append(out, m.ID)
	}
	return out
}

var outboxTests = []test{
	{"outbox/enqueue", func(t *testing.T, s store.Store) {
		_, err := s.OutboxMessage(ctx, "m1")
		missing(t, "message", err)
		m := aMessage("m1")
		m.Attempts, m.LastError, m.LeasedUntil, m.Fence = 2, "connect", later(time.Minute), 3
		enqueue(t, s, m)
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "m1")), m)
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.Enqueue(m) })
	}},

	{"outbox/waiting", func(t *testing.T, s store.Store) {
		waiting := func(want int64, oldest time.Time) {
			t.Helper()
			n, at, err := s.OutboxWaiting(ctx, later(time.Minute))
			if err != nil || n != want || !at.Equal(oldest) {
				t.Errorf("%d since %v, %v; want %d since %v", n, at, err, want, oldest)
			}
		}
		waiting(0, time.Time{})
		var all []outbox.Message
		for i, status := range []outbox.Status{outbox.Sent, outbox.Delayed, outbox.Queued, outbox.Queued, outbox.Refused, outbox.Expired} {
			m := aMessage("m" + string(rune('a'+i)))
			m.Status, m.CreatedAt, m.ExpiresAt = status, later(time.Duration(i)*time.Second), later(time.Hour)
			all = append(all, m)
		}
		all[3].ExpiresAt = later(time.Minute) // ended
		all[3].CreatedAt = later(-time.Hour)
		enqueue(t, s, all...)
		waiting(2, later(time.Second))
	}},

	{"outbox/due", func(t *testing.T, s store.Store) {
		with := func(id string, change func(*outbox.Message)) outbox.Message {
			m := aMessage(id)
			change(&m)
			return m
		}
		now := later(time.Minute)
		enqueue(t, s,
			with("due", func(*outbox.Message) {}),
			with("delayed", func(m *outbox.Message) { m.Status, m.NotBefore = outbox.Delayed, later(-time.Second) }),
			with("just now", func(m *outbox.Message) { m.NotBefore = now }),
			with("lease over", func(m *outbox.Message) { m.NotBefore, m.LeasedUntil = later(time.Second), now }),
			with("later", func(m *outbox.Message) { m.NotBefore = now.Add(time.Microsecond) }),
			with("expires now", func(m *outbox.Message) { m.ExpiresAt = now }),
			with("leased", func(m *outbox.Message) { m.LeasedUntil = now.Add(time.Microsecond) }),
			with("sent", func(m *outbox.Message) { m.Status = outbox.Sent }),
			with("refused", func(m *outbox.Message) { m.Status = outbox.Refused }),
			with("expired", func(m *outbox.Message) { m.Status = outbox.Expired }),
		)
		claimed, err := s.ClaimOutbox(ctx, "mail", now, now.Add(time.Minute), 100)
		same(t, ids(read[[]outbox.Message](t)(claimed, err)), []string{"delayed", "due", "lease over", "just now"})
		for _, m := range claimed {
			stored := read[outbox.Message](t)(s.OutboxMessage(ctx, m.ID))
			same(t, m, stored)
			same(t, m.Fence, int64(1))
			same(t, m.LeasedUntil, now.Add(time.Minute))
		}
		again, err := s.ClaimOutbox(ctx, "mail", now, now.Add(time.Minute), 100)
		same(t, len(read[[]outbox.Message](t)(again, err)), 0)
	}},

	{"outbox/limit", func(t *testing.T, s store.Store) {
		for i := range 5 {
			m := aMessage(numbered("m", i))
			m.NotBefore = later(time.Duration(-i) * time.Second)
			enqueue(t, s, m)
		}
		claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 2)
		same(t, ids(read[[]outbox.Message](t)(claimed, err)), []string{"m004", "m003"})
		claimed, err = s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 2)
		same(t, ids(read[[]outbox.Message](t)(claimed, err)), []string{"m002", "m001"})
	}},

	{"outbox/kind", func(t *testing.T, s store.Store) {
		other := aMessage("m1")
		other.Kind, other.NotBefore = "wake", later(-time.Minute)
		enqueue(t, s, other, aMessage("m2"))
		claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 1)
		same(t, ids(read[[]outbox.Message](t)(claimed, err)), []string{"m2"})
		claimed, err = s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 1)
		same(t, len(read[[]outbox.Message](t)(claimed, err)), 0)
		claimed, err = s.ClaimOutbox(ctx, "wake", t0, later(time.Minute), 1)
		same(t, ids(read[[]outbox.Message](t)(claimed, err)), []string{"m1"})
	}},

	{"outbox/settle", func(t *testing.T, s store.Store) {
		enqueue(t, s, aMessage("m1"))
		claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 1)
		m := read[[]outbox.Message](t)(claimed, err)[0]

		m.Status, m.Attempts, m.LastError = outbox.Delayed, 1, "connect"
		m.NotBefore, m.LeasedUntil = later(5*time.Second), time.Time{}
		write(t, s, func(tx store.Tx) error { return tx.Settle(m) })
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "m1")), m)

		claimed, err = s.ClaimOutbox(ctx, "mail", later(5*time.Second), later(time.Minute), 1)
		second := read[[]outbox.Message](t)(claimed, err)[0]
		same(t, second.Fence, int64(2))
		second.Status, second.Payload, second.LeasedUntil = outbox.Sent, nil, time.Time{}
		write(t, s, func(tx store.Tx) error { return tx.Settle(second) })
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "m1")), second)
	}},

	{"outbox/REL_R06_OldFence", func(t *testing.T, s store.Store) {
		enqueue(t, s, aMessage("m1"))
		claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 1)
		slow := read[[]outbox.Message](t)(claimed, err)[0]
		claimed, err = s.ClaimOutbox(ctx, "mail", later(time.Minute), later(2*time.Minute), 1)
		owner := read[[]outbox.Message](t)(claimed, err)[0]

		slow.Status = outbox.Sent
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.Settle(slow) })
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "m1")), owner)
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.Settle(aMessage("unknown")) })

		// One that is stale does not hinder the others of its transaction.
		owner.Status = outbox.Sent
		write(t, s, func(tx store.Tx) error {
			_ = tx.Settle(slow)
			return tx.Settle(owner)
		})
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "m1")), owner)
	}},
}
