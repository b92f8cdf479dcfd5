package storetest

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

func aSession(id, user string) session.Session {
	return session.Session{
		ID: id, UserID: user, Version: 1, Remembered: true, IP: "2001:db8::1", UserAgent: `A "browser"/1.0 \ é`,
		Proofs: []session.Proof{
			{Authenticator: "okta_password", AMR: "pwd", At: later(-time.Minute)},
			{Authenticator: "okta_email", AMR: "otp", At: t0},
		},
		CreatedAt: t0, SeenAt: later(time.Second), IdleUntil: later(time.Hour), ExpiresAt: later(24 * time.Hour),
	}
}

func aDevice(id, user string) session.Device {
	return session.Device{
		UserID: user, ID: id, IP: "192.0.2.1", UserAgent: "A browser/1.0", CreatedAt: t0, SeenAt: t0, ExpiresAt: later(time.Hour),
	}
}

func insertSessions(t *testing.T, s store.Store, sessions ...session.Session) {
	t.Helper()
	write(t, s, func(tx store.Tx) error {
		for _, v := range sessions {
			if err := tx.InsertSession(v); err != nil {
				return err
			}
		}
		return nil
	})
}

var sessionTests = []test{
	{"session/insert", func(t *testing.T, s store.Store) {
		_, err := s.Session(ctx, "s1")
		missing(t, "session", err)
		insertUsers(t, s, "u1", "u2")
		old, late, ended := aSession("s1", "u1"), aSession("s2", "u1"), aSession("s3", "u1")
		late.CreatedAt, late.Remembered = later(time.Second), false
		ended.EndedAt = later(time.Minute)
		bare := session.Session{ID: "s4", UserID: "u2"}
		insertSessions(t, s, old, late, ended, bare)
		same(t, read[session.Session](t)(s.Session(ctx, "s1")), old)
		same(t, read[session.Session](t)(s.Session(ctx, "s3")), ended)
		same(t, read[session.Session](t)(s.Session(ctx, "s4")), bare)
		same(t, read[[]session.Session](t)(s.Sessions(ctx, "u1")), []session.Session{late, old})
		same(t, len(read[[]session.Session](t)(s.Sessions(ctx, "nobody"))), 0)

		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertSession(aSession("s1", "u2")) })
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.InsertSession(aSession("s5", "nobody")) })
	}},

	{"session/endOthers", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		insertSessions(t, s, aSession("s1", "u1"), aSession("s2", "u1"), aSession("s3", "u1"), aSession("s4", "u2"))
		live := func(user string, want ...string) {
			t.Helper()
			ids := []string(nil)
			for _, v := range read[[]session.Session](t)(s.Sessions(ctx, user)) {
				ids = append(ids, v.ID)
			}
			same(t, ids, want)
		}
		same(t, written(t, s, func(tx store.Tx) error { return tx.EndOtherSessions("u1", "s2", later(time.Minute)) }), int64(2))
		live("u1", "s2")
		same(t, read[session.Session](t)(s.Session(ctx, "s1")).EndedAt, later(time.Minute))
		write(t, s, func(tx store.Tx) error { return tx.EndOtherSessions("u1", "s4", later(time.Minute)) })
		live("u1")
		write(t, s, func(tx store.Tx) error { return tx.EndOtherSessions("u2", "", later(time.Minute)) })
		live("u2")
	}},

	{"device/list", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		old, late := aDevice("d1", "u1"), aDevice("d2", "u1")
		late.CreatedAt = later(time.Second)
		write(t, s, func(tx store.Tx) error {
			for _, d := range []session.Device{old, late, aDevice("d1", "u2")} {
				if err := tx.SaveDevice(d); err != nil {
					return err
				}
			}
			return nil
		})
		same(t, read[[]session.Device](t)(s.Devices(ctx, "u1")), []session.Device{late, old})
		same(t, len(read[[]session.Device](t)(s.Devices(ctx, "nobody"))), 0)
	}},

	{"session/update", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		v := aSession("s1", "u1")
		insertSessions(t, s, v)
		v.Version, v.Remembered, v.Proofs, v.IP, v.UserAgent = 2, false, v.Proofs[:1], "192.0.2.7", ""
		v.SeenAt, v.IdleUntil, v.ExpiresAt = later(time.Minute), later(2*time.Hour), later(48*time.Hour)
		write(t, s, func(tx store.Tx) error { return tx.UpdateSession(v) })
		same(t, read[session.Session](t)(s.Session(ctx, "s1")), v)
		for _, change := range []func(*session.Session){
			func(v *session.Session) { v.Version = 2 },
			func(v *session.Session) { v.Version = 4 },
			func(v *session.Session) { v.UserID = "u2" },
			func(v *session.Session) { v.ID = "unknown" },
		} {
			stale := v
			stale.Version = 3
			change(&stale)
			refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateSession(stale) })
		}
		same(t, read[session.Session](t)(s.Session(ctx, "s1")), v)
	}},

	// What was ended stays ended, whoever read it before.
	{"session/end", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		insertSessions(t, s, aSession("s1", "u1"), aSession("s2", "u1"), aSession("s3", "u2"))
		endedAt := func(id string) time.Time { return read[session.Session](t)(s.Session(ctx, id)).EndedAt }
		write(t, s, func(tx store.Tx) error { return tx.EndSession("s1", later(time.Second)) })
		write(t, s, func(tx store.Tx) error { return tx.EndSession("s1", later(time.Minute)) })
		write(t, s, func(tx store.Tx) error { return tx.EndSession("unknown", t0) })
		same(t, endedAt("s1"), later(time.Second))
		before := aSession("s1", "u1")
		before.Version = 2
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateSession(before) })
		same(t, read[[]session.Session](t)(s.Sessions(ctx, "u1")), []session.Session{aSession("s2", "u1")})

		for range 2 {
			write(t, s, func(tx store.Tx) error { return tx.EndSessions("u1", later(time.Hour)) })
			same(t, endedAt("s1"), later(time.Second))
			same(t, endedAt("s2"), later(time.Hour))
			same(t, endedAt("s3"), time.Time{})
		}
		same(t, len(read[[]session.Session](t)(s.Sessions(ctx, "u1"))), 0)
	}},

	{"device", func(t *testing.T, s store.Store) {
		_, err := s.Device(ctx, "u1", "d")
		missing(t, "device", err)
		insertUsers(t, s, "u1", "u2")
		save := func(d session.Device) { write(t, s, func(tx store.Tx) error { return tx.SaveDevice(d) }) }
		mine, theirs, other := aDevice("d", "u1"), aDevice("d", "u2"), aDevice("e", "u1")
		for _, d := range []session.Device{mine, theirs, other} {
			save(d)
		}
		mine.IP, mine.UserAgent, mine.SeenAt, mine.ExpiresAt = "192.0.2.9", "B", later(time.Minute), later(2*time.Hour)
		again := mine
		again.CreatedAt = later(time.Minute) // the first time is what counts
		save(again)
		same(t, read[session.Device](t)(s.Device(ctx, "u1", "d")), mine)
		same(t, read[session.Device](t)(s.Device(ctx, "u2", "d")), theirs)
		same(t, read[session.Device](t)(s.Device(ctx, "u1", "e")), other)
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveDevice(aDevice("d", "nobody")) })

		for range 2 {
			write(t, s, func(tx store.Tx) error { return tx.DeleteDevices("u1") })
			for _, id := range []string{"d", "e"} {
				_, err := s.Device(ctx, "u1", id)
				missing(t, id, err)
			}
			same(t, read[session.Device](t)(s.Device(ctx, "u2", "d")), theirs)
		}
	}},

	{"family/ofUser", func(t *testing.T, s store.Store) {
		a1, a2, b, none := aFamily("a1", "a"), aFamily("a2", "a"), aFamily("b", "b"), aFamily("none", "")
		a2.CreatedAt = later(time.Second)
		a2.IP, a2.UserAgent, a2.Session = "2001:db8::1", "A browser/1.0", "ses1"
		other := aFamily("other", "a")
		other.UserID = "other"
		insertFamilies(t, s, a1, a2, b, none, other)
		families := func() []oauth.RefreshFamily {
			return read[[]oauth.RefreshFamily](t)(s.RefreshFamilies(ctx, "user"))
		}
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "a2")), a2)
		same(t, families(), []oauth.RefreshFamily{a2, a1, b, none})
		write(t, s, func(tx store.Tx) error { return tx.RevokeFamilies("user", "a", later(time.Second)) })
		same(t, families(), []oauth.RefreshFamily{a2, a1})
		write(t, s, func(tx store.Tx) error { return tx.RevokeFamilies("user", "", later(time.Minute)) })
		same(t, len(families()), 0)
		for id, want := range map[string]time.Time{
			"a1": later(time.Minute), "a2": later(time.Minute), "b": later(time.Second), "none": later(time.Second), "other": {},
		} {
			same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, id)).RevokedAt, want)
		}
		write(t, s, func(tx store.Tx) error { return tx.RevokeFamilies("nobody", "", t0) })

		insertFamilies(t, s, aFamily("nameless", ""))
		write(t, s, func(tx store.Tx) error { return tx.RevokeFamilies("user", "", t0) }) // "" is no grant to except
		same(t, len(families()), 0)
	}},
}
