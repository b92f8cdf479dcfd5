package storetest

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

var purgeTests = []test{
	{"purge/REL_R23_EndedOnly", func(t *testing.T, s store.Store) {
		dead, live, never := t0.Add(-time.Microsecond), t0, time.Time{}
		ends := map[string]time.Time{"dead": dead, "live": live, "never": never}
		insertUsers(t, s, "u1", "u2")
		write(t, s, func(tx store.Tx) error {
			for id, end := range ends {
				row, m, f := aTransaction(id), aMessage(id), aFamily(id, "grant")
				row.ExpiresAt, m.ExpiresAt, f.IdleUntil = end, end, end
				ticket, seen, device := aTicket(id, "u1", directory.Recovery), aSession(id, "u1"), aDevice(id, "u1")
				ticket.ExpiresAt, seen.IdleUntil, device.ExpiresAt = end, end, end
				for _, err := range []error{
					tx.InsertTransaction(row), tx.Enqueue(m), tx.InsertRefreshFamily(f),
					tx.Revoke(oauth.Revocation{ID: id, RevokedAt: later(-time.Hour), ExpiresAt: end}),
					tx.InsertTicket(ticket), tx.InsertSession(seen), tx.SaveDevice(device),
					tx.PutCounter(limit.Counter{Key: id, ExpiresAt: end}),
					tx.SaveDevice(aDevice(id, "u2")), // the same browser, and not over
				} {
					if err != nil {
						return err
					}
				}
			}
			held := aMessage("held")
			held.ExpiresAt, held.LeasedUntil = dead, later(time.Microsecond)
			return tx.Enqueue(held)
		})
		n, err := s.Purge(ctx, t0, 100)
		same(t, read[int](t)(n, err), 8)
		for id := range ends {
			gone := id == "dead"
			_, e1 := s.Transaction(ctx, id)
			_, e2 := s.OutboxMessage(ctx, id)
			_, e3 := s.RefreshFamily(ctx, id)
			_, e4 := s.Ticket(ctx, id)
			_, e5 := s.Session(ctx, id)
			_, e6 := s.Device(ctx, "u1", id)
			_, e7 := s.Counter(ctx, id)
			read[session.Device](t)(s.Device(ctx, "u2", id))
			for _, err := range []error{e1, e2, e3, e4, e5, e6, e7} {
				if gone {
					missing(t, id, err)
				} else if err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
		}
		read[outbox.Message](t)(s.OutboxMessage(ctx, "held"))
		revoked := read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, time.Time{}))
		same(t, len(revoked), 2)
		n, err = s.Purge(ctx, t0, 100)
		same(t, read[int](t)(n, err), 0)
	}},

	{"purge/REL_R26_TheDeletedStayDeleted", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1")
		write(t, s, func(tx store.Tx) error { return tx.DeleteUser("u1", t0) })
		for range 3 {
			n, err := s.Purge(ctx, later(100*365*24*time.Hour), 100)
			same(t, read[int](t)(n, err), 0)
		}
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("u1", "other@example.com")) })
	}},

	{"purge/limit", func(t *testing.T, s store.Store) {
		write(t, s, func(tx store.Tx) error {
			for i := range 350 {
				if err := tx.InsertTransaction(aTransaction(numbered("tx", i))); err != nil {
					return err
				}
			}
			return nil
		})
		for _, want := range []int{250, 100, 0} {
			n, err := s.Purge(ctx, later(2*time.Hour), 250)
			same(t, read[int](t)(n, err), want)
		}
	}},
}
