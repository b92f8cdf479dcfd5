package storetest

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

var userTests = []test{
	{"user/insert", func(t *testing.T, s store.Store) {
		_, err := s.Account(ctx, "u1")
		missing(t, "account", err)
		_, err = s.AccountByAddress(ctx, "ada@example.com")
		missing(t, "account", err)

		u := aUser("u1", "ada@example.com")
		bare := directory.User{ID: "u2", Version: 1, Canonical: "bare@example.com"}
		write(t, s, func(tx store.Tx) error {
			if err := tx.InsertUser(bare); err != nil {
				return err
			}
			return tx.InsertUser(u)
		})
		want := directory.Account{User: u}
		same(t, read[directory.Account](t)(s.Account(ctx, "u1")), want)
		same(t, read[directory.Account](t)(s.AccountByAddress(ctx, "ada@example.com")), want)
		same(t, read[directory.Account](t)(s.Account(ctx, "u2")), directory.Account{User: bare})
	}},

	{"user/taken", func(t *testing.T, s store.Store) {
		write(t, s, func(tx store.Tx) error { return tx.InsertUser(aUser("u1", "ada@example.com")) })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("u1", "bob@example.com")) })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("u2", "ada@example.com")) })
		_, err := s.Account(ctx, "u2")
		missing(t, "account", err)
	}},

	{"user/update", func(t *testing.T, s store.Store) {
		u := aUser("u1", "ada@example.com")
		write(t, s, func(tx store.Tx) error { return tx.InsertUser(u) })
		write(t, s, func(tx store.Tx) error { return tx.InsertUser(aUser("u2", "bob@example.com")) })

		u.Version, u.Status, u.Email, u.Canonical = 2, directory.Disabled, "Eve@example.com", "eve@example.com"
		u.FirstName, u.Attributes, u.UpdatedAt = "Eve", nil, later(time.Hour)
		write(t, s, func(tx store.Tx) error { return tx.UpdateUser(u) })
		same(t, read[directory.Account](t)(s.AccountByAddress(ctx, "eve@example.com")), directory.Account{User: u})
		_, err := s.AccountByAddress(ctx, "ada@example.com")
		missing(t, "account", err)

		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateUser(u) })
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateUser(aUser("u3", "x@example.com")) })
		taken := u
		taken.Version, taken.Canonical = 3, "bob@example.com"
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.UpdateUser(taken) })
		same(t, read[directory.Account](t)(s.Account(ctx, "u1")), directory.Account{User: u})
	}},

	{"user/SEC_S36_CanonicalIsBytes", func(t *testing.T, s store.Store) {
		addresses := []string{
			"kim@example.com", "KIM@example.com", "\u212Aim@example.com", "k\u0131m@example.com", "K\u0130M@example.com",
			"stra\u00DFe@example.com", "strasse@example.com", "\u017Ftrasse@example.com",
			"caf\u00E9@example.com", "cafe\u0301@example.com", "\uFF4B\uFF49\uFF4D@example.com",
			"kim@example.com ", "kim@example.com\t", "kim@example.com\U0001F451", "ki%@example.com", "ki_@example.com",
		}
		for i, a := range addresses {
			write(t, s, func(tx store.Tx) error { return tx.InsertUser(aUser(numbered("u", i), a)) })
		}
		for i, a := range addresses {
			same(t, read[directory.Account](t)(s.AccountByAddress(ctx, a)).ID, numbered("u", i))
			refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser(numbered("v", i), a)) })
		}
		for _, a := range []string{"Kim@example.com", "", "%", "kim@EXAMPLE.com"} {
			_, err := s.AccountByAddress(ctx, a)
			missing(t, a, err)
		}
	}},

	{"enrollment/insert", func(t *testing.T, s store.Store) {
		u := aUser("u1", "ada@example.com")
		late, early, other := anEnrollment("e1", "u1"), anEnrollment("e9", "u1"), anEnrollment("e5", "u2")
		late.CreatedAt, late.LastUsedAt = later(time.Second), later(time.Minute)
		twin := anEnrollment("e8", "u1")
		write(t, s, func(tx store.Tx) error {
			for _, err := range []error{
				tx.InsertUser(u), tx.InsertUser(aUser("u2", "bob@example.com")),
				tx.InsertEnrollment(late), tx.InsertEnrollment(early), tx.InsertEnrollment(other), tx.InsertEnrollment(twin),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		want := directory.Account{User: u, Enrollments: []directory.Enrollment{twin, early, late}}
		same(t, read[directory.Account](t)(s.Account(ctx, "u1")), want)
		same(t, read[directory.Account](t)(s.AccountByAddress(ctx, "ada@example.com")), want)

		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertEnrollment(early) })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertEnrollment(anEnrollment("e1", "u2")) })
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.InsertEnrollment(anEnrollment("e2", "nobody")) })
	}},

	{"enrollment/update", func(t *testing.T, s store.Store) {
		e := anEnrollment("e1", "u1")
		write(t, s, func(tx store.Tx) error {
			if err := tx.InsertUser(aUser("u1", "ada@example.com")); err != nil {
				return err
			}
			return tx.InsertEnrollment(e)
		})
		e.Version, e.Credential, e.LastUsedAt = 2, []byte("new"), later(time.Hour)
		write(t, s, func(tx store.Tx) error { return tx.UpdateEnrollment(e) })
		same(t, read[directory.Account](t)(s.Account(ctx, "u1")).Enrollments, []directory.Enrollment{e})

		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateEnrollment(e) })
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateEnrollment(anEnrollment("e2", "u1")) })
		stolen := e
		stolen.UserID, stolen.Version = "u2", 3
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateEnrollment(stolen) })

		write(t, s, func(tx store.Tx) error { return tx.DeleteEnrollment("e1") })
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DeleteEnrollment("e1") })
		same(t, len(read[directory.Account](t)(s.Account(ctx, "u1")).Enrollments), 0)
	}},
}
