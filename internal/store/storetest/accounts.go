package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// found returns the ids of the users that a query selects.
func found(t *testing.T, s store.Store, q directory.Query) []string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	ids := []string{}
	for _, u := range read[[]directory.User](t)(s.Users(ctx, q)) {
		ids = append(ids, u.ID)
	}
	return ids
}

// written counts the rows that fn writes.
func written(t *testing.T, s store.Store, fn func(store.Tx) error) int64 {
	t.Helper()
	before := s.Stats().RowWrites
	write(t, s, fn)
	return s.Stats().RowWrites - before
}

var accountTests = []test{
	{"user/allFields", func(t *testing.T, s store.Store) {
		u := aUser("u1", "ada@example.com")
		u.Groups, u.SignedOutAt, u.DeleteAt = []string{"00g1", `00g"2`}, later(time.Minute), later(time.Hour)
		u.Kept = []string{"ses1", "gr1"}
		e := anEnrollment("e1", "u1")
		write(t, s, func(tx store.Tx) error {
			if err := tx.InsertUser(u); err != nil {
				return err
			}
			return tx.InsertEnrollment(e)
		})
		account := directory.Account{User: u, Enrollments: []directory.Enrollment{e}}
		same(t, read[directory.Account](t)(s.Account(ctx, "u1")), account)
		same(t, read[[]directory.User](t)(s.Users(ctx, directory.Query{Limit: 1})), []directory.User{u})

		u.Version, u.Groups, u.SignedOutAt, u.DeleteAt, u.Kept = 2, nil, later(2*time.Minute), time.Time{}, nil
		write(t, s, func(tx store.Tx) error { return tx.UpdateUser(u) })
		account.User = u
		same(t, read[directory.Account](t)(s.AccountByAddress(ctx, "ada@example.com")), account)
	}},

	{"user/groups", func(t *testing.T, s store.Store) {
		u, other := aUser("u1", "ada@example.com"), aUser("u2", "bob@example.com")
		u.Groups, other.Groups = []string{"a", "b"}, []string{"b"}
		bare := aUser("u3", "eve@example.com")
		same(t, written(t, s, func(tx store.Tx) error { return tx.InsertUser(bare) }), int64(1))
		same(t, written(t, s, func(tx store.Tx) error { return tx.InsertUser(u) }), int64(3))
		write(t, s, func(tx store.Tx) error { return tx.InsertUser(other) })
		members := func(a, b, c []string) {
			t.Helper()
			for group, want := range map[string][]string{"a": a, "b": b, "c": c} {
				same(t, found(t, s, directory.Query{Group: group}), want)
			}
		}
		members([]string{"u1"}, []string{"u1", "u2"}, []string{})
		change := func(u *directory.User, groups ...string) int64 {
			t.Helper()
			u.Version++
			u.Groups = groups
			u.LastName = fmt.Sprint("Version ", u.Version)
			n := written(t, s, func(tx store.Tx) error { return tx.UpdateUser(*u) })
			same(t, read[directory.Account](t)(s.Account(ctx, u.ID)).User, *u)
			return n
		}
		same(t, change(&u, "a", "b"), int64(1)) // the same groups
		same(t, change(&bare), int64(1))
		members([]string{"u1"}, []string{"u1", "u2"}, []string{})
		change(&u, "b", "c")
		members([]string{}, []string{"u1", "u2"}, []string{"u1"})
		change(&u)
		change(&bare, "c")
		members([]string{}, []string{"u2"}, []string{"u3"})

		stale := u
		stale.Groups = []string{"a"}
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.UpdateUser(stale) })
		members([]string{}, []string{"u2"}, []string{"u3"})
	}},

	{"user/pages", func(t *testing.T, s store.Store) {
		ids := []string{"00uA", "00uB", "00uZ", "00ua", "00ub", "00uz"} // as bytes, not as words
		for i, n := range []int{3, 0, 5, 1, 4, 2} {
			u := aUser(ids[n], fmt.Sprintf("%d@example.com", i))
			if n%2 == 0 {
				u.Status, u.Groups = directory.Provisioned, []string{"even"}
			}
			write(t, s, func(tx store.Tx) error { return tx.InsertUser(u) })
		}
		even := []string{ids[0], ids[2], ids[4]}
		for _, tt := range []struct {
			q    directory.Query
			want []string
		}{
			{directory.Query{}, ids},
			{directory.Query{Status: directory.Provisioned}, even},
			{directory.Query{Status: directory.Disabled}, []string{}},
			{directory.Query{Group: "even"}, even},
			{directory.Query{Group: "even", Status: directory.Active}, []string{}},
			{directory.Query{Search: "ADA"}, ids},
			{directory.Query{Search: "ada", Group: "even", Status: directory.Provisioned}, even},
			{directory.Query{Search: "bob", Group: "even"}, []string{}},
		} {
			for size := 1; size <= 7; size++ {
				got, q := []string{}, tt.q
				q.Limit = size
				for {
					page := found(t, s, q)
					if len(page) > size {
						t.Fatalf("%+v gives %d", q, len(page))
					}
					if len(page) == 0 {
						break
					}
					got = append(got, page...)
					q.After = page[len(page)-1]
				}
				same(t, got, tt.want)
			}
		}
		same(t, len(read[[]directory.User](t)(s.Users(ctx, directory.Query{}))), 0) // up to no user
	}},

	{"user/search", func(t *testing.T, s store.Store) {
		for id, names := range map[string][3]string{
			"ada":    {"ada@example.com", "Ada", "Lovelace"},
			"adam":   {"x1@example.com", "ADAM", "O'Hara"},
			"luk":    {"x2@example.com", "Łukasz", "Żak"},
			"gio":    {"x3@example.com", "Γιώργος", "Σ"},
			"tokyo":  {"x4@example.com", "太郎", "山田"},
			"wild":   {"x5%_@example.com", "%", "_"},
			"crown":  {"x6@example.com", "\U0001F451", "Łu\U0010FFFD"},
			"mary":   {"x7@example.com", "Mary Ann", ""},
			"nobody": {"y@xn--bcher-kva.example", "", ""},
		} {
			u := aUser(id, names[0])
			u.FirstName, u.LastName = names[1], names[2]
			write(t, s, func(tx store.Tx) error { return tx.InsertUser(u) })
		}
		search := func(begins string, want ...string) {
			t.Helper()
			slices.Sort(want)
			if got := found(t, s, directory.Query{Search: begins}); !slices.Equal(got, want) {
				t.Errorf("Search %q: %q, want %q", begins, got, want)
			}
		}
		search("ad", "ada", "adam")
		search("ADA", "ada", "adam")
		search("ada@", "ada")
		search("ADA@EXAMPLE.COM", "ada")
		search("lovelace", "ada")
		search("ovelace")
		search("o'h", "adam")
		search("łu", "luk", "crown")
		search("ŁU", "luk", "crown")
		search("Łukaszx")
		search("lukasz")
		search("ΓΙΏΡΓΟΣ", "gio")
		search("ς", "gio")
		search("太", "tokyo")
		search("山田", "tokyo")
		search("\U0001F451", "crown")
		search("%", "wild")
		search("_", "wild")
		search("x5%", "wild")
		search("x5_")
		search("x?")
		search("mary ", "mary")
		search("Y@", "nobody")
		search("\x00")
		search("\xff")
		search("' OR 1=1 --")

		u := read[directory.Account](t)(s.Account(ctx, "ada")).User
		u.Version, u.FirstName, u.LastName, u.Canonical = 2, "Ève", "Ångström", "eve@example.com"
		write(t, s, func(tx store.Tx) error { return tx.UpdateUser(u) })
		search("ada", "adam")
		search("love")
		search("è", "ada")
		search("ÅNG", "ada")
		search("A\u030Ang", "ada") // however it is composed
		search("eve", "ada")
	}},

	{"user/dueDeletions", func(t *testing.T, s store.Store) {
		due := func(limit int) []string {
			t.Helper()
			return read[[]string](t)(s.DueDeletions(ctx, t0, limit))
		}
		same(t, due(10), []string(nil))
		for id, at := range map[string]time.Time{
			"never": {}, "long": later(-time.Hour), "now": t0, "just": later(-time.Microsecond), "later": later(time.Microsecond),
		} {
			u := aUser(id, id+"@example.com")
			u.DeleteAt = at
			write(t, s, func(tx store.Tx) error { return tx.InsertUser(u) })
		}
		same(t, due(10), []string{"long", "just", "now"})
		same(t, due(2), []string{"long", "just"})
		kept := read[directory.Account](t)(s.Account(ctx, "long")).User
		kept.Version, kept.DeleteAt = 2, time.Time{}
		write(t, s, func(tx store.Tx) error { return tx.UpdateUser(kept) })
		write(t, s, func(tx store.Tx) error { return tx.DeleteUser("just", t0) })
		same(t, due(10), []string{"now"})
	}},

	{"user/delete", func(t *testing.T, s store.Store) {
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DeleteUser("u1", t0) })
		everything := func(tx store.Tx, id string) error {
			u := aUser(id, id)
			u.Groups = []string{"group"}
			f := aFamily("f"+id, "grant")
			f.UserID = id
			for _, step := range []func() error{
				func() error { return tx.InsertUser(u) },
				func() error { return tx.InsertEnrollment(anEnrollment("e"+id, id)) },
				func() error { return tx.InsertTicket(aTicket("k"+id, id, directory.Recovery)) },
				func() error { return tx.InsertSession(aSession("s"+id, id)) },
				func() error { return tx.SaveDevice(aDevice("d", id)) },
				func() error { return tx.InsertRefreshFamily(f) },
			} {
				if err := step(); err != nil {
					return err
				}
			}
			return nil
		}
		gone := func(id string) (errs []error) {
			_, account := s.Account(ctx, id)
			_, address := s.AccountByAddress(ctx, id)
			_, ticket := s.Ticket(ctx, "k"+id)
			_, session := s.Session(ctx, "s"+id)
			_, device := s.Device(ctx, id, "d")
			_, family := s.RefreshFamily(ctx, "f"+id)
			return []error{account, address, ticket, session, device, family}
		}
		write(t, s, func(tx store.Tx) error { return everything(tx, "u1") })
		write(t, s, func(tx store.Tx) error { return everything(tx, "u2") })
		// Seven rows of theirs, and the one that stays.
		same(t, written(t, s, func(tx store.Tx) error { return tx.DeleteUser("u1", t0) }), int64(8))
		for _, err := range gone("u1") {
			missing(t, "of u1", err)
		}
		for _, err := range gone("u2") {
			same(t, err, nil)
		}
		same(t, found(t, s, directory.Query{Group: "group"}), []string{"u2"})
		same(t, found(t, s, directory.Query{}), []string{"u2"})
		same(t, len(read[[]directory.Ticket](t)(s.Tickets(ctx, "u1", directory.Recovery))), 0)
		same(t, len(read[[]session.Session](t)(s.Sessions(ctx, "u1"))), 0)
		same(t, len(read[[]oauth.RefreshFamily](t)(s.RefreshFamilies(ctx, "u1"))), 0)
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DeleteUser("u1", t0) })
		refuse(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.InsertEnrollment(anEnrollment("e9", "u1")) })
	}},

	{"user/SEC_S39_IDsAreNotReused", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u1", "u2")
		write(t, s, func(tx store.Tx) error { return tx.DeleteUser("u1", t0) })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("u1", "new@example.com")) })
		write(t, s, func(tx store.Tx) error { // a refusal that changes nothing
			_ = tx.InsertUser(aUser("u1", "new@example.com"))
			return tx.InsertUser(aUser("u3", "u1")) // the address is free again
		})
		_, err := s.Account(ctx, "u1")
		missing(t, "account", err)
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { // within one transaction too
			if err := tx.DeleteUser("u2", t0); err != nil {
				return err
			}
			return tx.InsertUser(aUser("u2", "u2"))
		})
		read[directory.Account](t)(s.Account(ctx, "u2"))
	}},
}
