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

// RunReopen tests that a store keeps everything when it is closed and opened again.
func RunReopen(t *testing.T, open Reopener) {
	s := open(t, "kept")
	row := aTransaction("tx")
	key := oauth.Key{ID: "kid", Server: "default", Alg: "RS256", Private: []byte("sealed"), CreatedAt: t0, ActiveFrom: t0}
	client := oauth.Client{ID: "client", Version: 1, RedirectURIs: []string{"https://app.example"}, CreatedAt: t0, UpdatedAt: t0}
	revocation := oauth.Revocation{ID: "jti", RevokedAt: t0, ExpiresAt: later(time.Hour)}
	counter := limit.Counter{Key: "key", Data: []byte("1"), ExpiresAt: later(time.Hour)}
	write(t, s, func(tx store.Tx) error {
		for _, err := range []error{
			signUp(tx, "u1", "ada"), tx.InsertTransaction(row), tx.InsertKey(key), tx.InsertClient(client),
			tx.InsertRefreshFamily(aFamily("f", "grant")), tx.Revoke(revocation), tx.SetSetting("name", []byte("value")),
			tx.InsertTicket(aTicket("k", "u1", directory.Recovery)), tx.InsertSession(aSession("s", "u1")),
			tx.SaveDevice(aDevice("d", "u1")), tx.PutCounter(counter),
			tx.InsertUser(aUser("gone", "gone")), tx.DeleteUser("gone", t0),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 1)
	message := read[[]outbox.Message](t)(claimed, err)[0]

	for range 3 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, "kept")
		if !signedUp(t, s, "u1") {
			t.Error("the user is gone")
		}
		got, err := s.Transaction(ctx, "tx")
		same(t, err, nil)
		same(t, got, row)
		same(t, read[[]oauth.Key](t)(s.Keys(ctx)), []oauth.Key{key})
		same(t, read[[]oauth.Client](t)(s.Clients(ctx)), []oauth.Client{client})
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f")), aFamily("f", "grant"))
		same(t, read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, t0)), []oauth.Revocation{revocation})
		same(t, string(read[[]byte](t)(s.Setting(ctx, "name"))), "value")
		same(t, read[directory.Ticket](t)(s.Ticket(ctx, "k")), aTicket("k", "u1", directory.Recovery))
		same(t, read[session.Session](t)(s.Session(ctx, "s")), aSession("s", "u1"))
		same(t, read[session.Device](t)(s.Device(ctx, "u1", "d")), aDevice("d", "u1"))
		same(t, read[limit.Counter](t)(s.Counter(ctx, "key")), counter)
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("gone", "gone")) })
		same(t, read[outbox.Message](t)(s.OutboxMessage(ctx, "u1")), message)

		row.Version++
		write(t, s, func(tx store.Tx) error { return tx.SaveTransaction(row) })
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := open(t, "other")
	_, err = other.Account(ctx, "u1")
	missing(t, "account", err)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}
