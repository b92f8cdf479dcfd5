package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/store"
)

func insertFamilies(t *testing.T, s store.Store, families ...oauth.RefreshFamily) {
	t.Helper()
	write(t, s, func(tx store.Tx) error {
		for _, f := range families {
			if err := tx.InsertRefreshFamily(f); err != nil {
				return err
			}
		}
		return nil
	})
}

var oauthTests = []test{
	{"client", func(t *testing.T, s store.Store) {
		same(t, len(read[[]oauth.Client](t)(s.Clients(ctx))), 0)
		web := oauth.Client{
			ID: "web", Name: "Café", Version: 1, Secrets: [][]byte{{0, 1}, {0xff}},
			RedirectURIs: []string{"https://app.example/cb?a=1&b=<2>"}, GrantTypes: []string{"interaction_code"},
			SignUp: "closed", Disabled: true, CreatedAt: t0, UpdatedAt: t0,
		}
		bare := oauth.Client{ID: "bare", Version: 1}
		write(t, s, func(tx store.Tx) error {
			if err := tx.InsertClient(web); err != nil {
				return err
			}
			return tx.InsertClient(bare)
		})
		same(t, read[[]oauth.Client](t)(s.Clients(ctx)), []oauth.Client{bare, web})
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertClient(bare) })

		web.Version, web.Name, web.Secrets, web.Disabled = 2, "Web", nil, false
		write(t, s, func(tx store.Tx) error { return tx.UpdateClient(web) })
		same(t, read[[]oauth.Client](t)(s.Clients(ctx)), []oauth.Client{bare, web})
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateClient(web) })
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateClient(oauth.Client{ID: "new", Version: 1}) })

		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.DeleteClient("web", 1) })
		write(t, s, func(tx store.Tx) error { return tx.DeleteClient("web", 2) })
		same(t, read[[]oauth.Client](t)(s.Clients(ctx)), []oauth.Client{bare})
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.DeleteClient("web", 2) })
	}},

	{"client revoked", func(t *testing.T, s store.Store) {
		other := aFamily("b", "b")
		other.ClientID = "other"
		insertFamilies(t, s, aFamily("a", "a"), other)
		write(t, s, func(tx store.Tx) error { return tx.RevokeClient(aFamily("", "").ClientID, later(time.Minute)) })
		write(t, s, func(tx store.Tx) error { return tx.RevokeClient("nobody", later(time.Minute)) })
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "a")).RevokedAt, later(time.Minute))
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "b")).RevokedAt, time.Time{})
	}},

	{"key", func(t *testing.T, s store.Store) {
		same(t, len(read[[]oauth.Key](t)(s.Keys(ctx))), 0)
		second := oauth.Key{
			ID: "a", Server: "default", Alg: "RS256", Private: []byte("sealed"),
			CreatedAt: later(time.Second), ActiveFrom: later(time.Hour),
		}
		first := oauth.Key{ID: "b", Server: "org", Alg: "ES256", Private: []byte("sealed"), CreatedAt: t0, ActiveFrom: t0}
		write(t, s, func(tx store.Tx) error {
			if err := tx.InsertKey(second); err != nil {
				return err
			}
			return tx.InsertKey(first)
		})
		same(t, read[[]oauth.Key](t)(s.Keys(ctx)), []oauth.Key{first, second})
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertKey(first) })

		change := first
		change.ActiveFrom, change.ExpiresAt, change.Private, change.Server = later(time.Minute), later(time.Hour), []byte("x"), "x"
		write(t, s, func(tx store.Tx) error { return tx.UpdateKey(change) })
		first.ActiveFrom, first.ExpiresAt = change.ActiveFrom, change.ExpiresAt
		same(t, read[[]oauth.Key](t)(s.Keys(ctx)), []oauth.Key{first, second})
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.UpdateKey(oauth.Key{ID: "none"}) })
	}},

	{"family/rotate", func(t *testing.T, s store.Store) {
		_, err := s.RefreshFamily(ctx, "f")
		missing(t, "family", err)
		f := aFamily("f", "grant")
		bare := oauth.RefreshFamily{ID: "bare"}
		insertFamilies(t, s, f, bare)
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f")), f)
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "bare")), bare)
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertRefreshFamily(f) })

		f.Generation, f.RotatedAt, f.IdleUntil = 2, later(time.Minute), later(2*time.Hour)
		other := f
		other.UserID, other.Scopes = "somebody else", nil
		write(t, s, func(tx store.Tx) error { return tx.RotateRefreshFamily(other) })
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f")), f)

		for _, generation := range []int64{0, 1, 2, 4} {
			stale := f
			stale.Generation = generation
			refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.RotateRefreshFamily(stale) })
		}
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.RotateRefreshFamily(aFamily("unknown", "")) })
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f")), f)
	}},

	{"family/revoke", func(t *testing.T, s store.Store) {
		insertFamilies(t, s, aFamily("a1", "a"), aFamily("a2", "a"), aFamily("b1", "b"))
		revokedAt := func(id string) time.Time {
			return read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, id)).RevokedAt
		}
		write(t, s, func(tx store.Tx) error { return tx.RevokeGrant("a", later(time.Minute)) })
		same(t, revokedAt("a1"), later(time.Minute))
		same(t, revokedAt("a2"), later(time.Minute))
		same(t, revokedAt("b1"), time.Time{})

		next := aFamily("a2", "a")
		next.Generation = 2
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.RotateRefreshFamily(next) })

		write(t, s, func(tx store.Tx) error { return tx.RevokeGrant("a", later(time.Hour)) })
		write(t, s, func(tx store.Tx) error { return tx.RevokeGrant("unknown", later(time.Hour)) })
		same(t, revokedAt("a2"), later(time.Minute))
	}},

	{"revocation", func(t *testing.T, s store.Store) {
		all := []oauth.Revocation{
			{ID: "z", RevokedAt: t0, ExpiresAt: later(time.Hour)},
			{ID: "b", RevokedAt: later(time.Second), ExpiresAt: later(time.Hour)},
			{ID: "a", RevokedAt: later(2 * time.Second), ExpiresAt: later(time.Minute)},
		}
		write(t, s, func(tx store.Tx) error {
			for _, i := range []int{2, 0, 1} {
				if err := tx.Revoke(all[i]); err != nil {
					return err
				}
			}
			return nil
		})
		same(t, read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, time.Time{})), all)
		same(t, read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, later(time.Second))), all[1:])
		same(t, len(read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, later(time.Hour)))), 0)

		again := all[0]
		again.RevokedAt, again.ExpiresAt, again.Kept = later(time.Hour), later(2*time.Hour), []string{"gr1"}
		earlier := all[1]
		earlier.RevokedAt = earlier.RevokedAt.Add(-time.Second)
		write(t, s, func(tx store.Tx) error { return errors.Join(tx.Revoke(again), tx.Revoke(earlier)) })
		same(t, read[[]oauth.Revocation](t)(s.RevocationsSince(ctx, time.Time{})), append(all[1:], again))
	}},
}
