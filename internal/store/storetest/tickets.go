package storetest

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

func aTicket(id, user string, kind directory.TicketKind) directory.Ticket {
	return directory.Ticket{
		ID: id, Kind: kind, UserID: user, Version: 1, Data: []byte{0, 0xff, 's'}, CreatedAt: t0, ExpiresAt: later(time.Hour),
	}
}

// insertUsers inserts users with these ids, which are their addresses too.
func insertUsers(t *testing.T, s store.Store, ids ...string) {
	t.Helper()
	write(t, s, func(tx store.Tx) error {
		for _, id := range ids {
			if err := tx.InsertUser(aUser(id, id)); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertTickets(t *testing.T, s store.Store, tickets ...directory.Ticket) {
	t.Helper()
	write(t, s, func(tx store.Tx) error {
		for _, k := range tickets {
			if err := tx.InsertTicket(k); err != nil {
				return err
			}
		}
		return nil
	})
}

var ticketTests = []test{
	{"ticket/insert", func(t *testing.T, s store.Store) {
		_, err := s.Ticket(ctx, "k1")
		missing(t, "ticket", err)
		insertUsers(t, s, "u1", "u2")
		old, late, twin := aTicket("k1", "u1", directory.Recovery), aTicket("k2", "u1", directory.Recovery), aTicket("k0", "u1", directory.Recovery)
		late.CreatedAt, late.SpentAt = later(time.Second), later(time.Minute)
		bare := directory.Ticket{ID: "k3", UserID: "u1", Kind: directory.EmailUndo}
		insertTickets(t, s, old, late, twin, bare, aTicket("k4", "u2", directory.Recovery))
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k1")), old)
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k3")), bare)
		same(t, read[[]directory.Ticket](t)(s.Tickets(ctx, "u1", directory.Recovery)), []directory.Ticket{late, twin, old})
		same(t, read[[]directory.Ticket](t)(s.Tickets(ctx, "u1", directory.EmailUndo)), []directory.Ticket{bare})
		same(t, len(read[[]directory.Ticket](t)(s.Tickets(ctx, "u1", directory.Activation))), 0)
		same(t, len(read[[]directory.Ticket](t)(s.Tickets(ctx, "nobody", directory.Recovery))), 0)

		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertTicket(aTicket("k1", "u2", directory.Activation)) })
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.InsertTicket(aTicket("k5", "nobody", directory.Recovery)) })
	}},

	{"ticket/update", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		k := aTicket("k1", "u1", directory.EmailChange)
		insertTickets(t, s, k)
		k.Version, k.Data, k.ExpiresAt = 2, []byte("second"), later(2*time.Hour)
		write(t, s, func(tx store.Tx) error { return tx.UpdateTicket(k) })
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k1")), k)
		for _, change := range []func(*directory.Ticket){
			func(k *directory.Ticket) { k.Version = 2 },
			func(k *directory.Ticket) { k.Version = 4 },
			func(k *directory.Ticket) { k.UserID = "u2" },
			func(k *directory.Ticket) { k.Kind = directory.Recovery },
			func(k *directory.Ticket) { k.ID = "unknown" },
		} {
			stale := k
			stale.Version = 3
			change(&stale)
			refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateTicket(stale) })
		}
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k1")), k)
	}},

	{"ticket/spend", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		k := aTicket("k1", "u1", directory.Recovery)
		insertTickets(t, s, k)
		write(t, s, func(tx store.Tx) error { return tx.SpendTicket("k1", later(time.Second)) })
		k.SpentAt = later(time.Second)
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k1")), k)
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.SpendTicket("k1", later(time.Minute)) })
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.SpendTicket("unknown", t0) })

		// Who read it before cannot give it back.
		before := k
		before.Version, before.SpentAt = 2, time.Time{}
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateTicket(before) })
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k1")), k)
	}},

	{"ticket/spendAll", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		insertTickets(t, s, aTicket("k1", "u1", directory.Recovery), aTicket("k2", "u1", directory.Recovery),
			aTicket("other kind", "u1", directory.EmailChange), aTicket("other user", "u2", directory.Recovery))
		spentAt := func(id string) time.Time { return read[directory.Ticket](t)(s.Ticket(ctx, id)).SpentAt }
		write(t, s, func(tx store.Tx) error { return tx.SpendTicket("k1", later(time.Second)) })
		for range 2 {
			write(t, s, func(tx store.Tx) error { return tx.SpendTickets("u1", directory.Recovery, later(time.Minute)) })
			same(t, spentAt("k1"), later(time.Second))
			same(t, spentAt("k2"), later(time.Minute))
			same(t, spentAt("other kind"), time.Time{})
			same(t, spentAt("other user"), time.Time{})
		}
		write(t, s, func(tx store.Tx) error { return tx.SpendTickets("nobody", directory.Recovery, t0) })
	}},
}
