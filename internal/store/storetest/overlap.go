package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// What goes wrong where a statement begins before another transaction's commit,
// and ends after it.
var overlapTests = []test{
	// What is given a later end is not purged by its old one.
	{"race/REL_R23_PurgeLeavesWhatIsRenewed", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		for n := range 20 {
			id := numbered("s", n)
			over, family := aSession(id, "u"), aFamily(id, "grant")
			over.IdleUntil, family.IdleUntil = t0.Add(-time.Second), t0.Add(-time.Second)
			insertSessions(t, s, over)
			insertFamilies(t, s, family)
			over.Version, over.IdleUntil = 2, later(time.Hour)
			family.Generation, family.IdleUntil = 2, later(time.Hour)
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() {
					if _, err := s.Purge(ctx, t0, 10); err != nil {
						t.Error(err)
					}
				})
			}
			renewed := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
				return errors.Join(tx.UpdateSession(over), tx.RotateRefreshFamily(family))
			})
			group.Wait()
			switch {
			case renewed == nil:
				same(t, read[session.Session](t)(s.Session(ctx, id)), over)
				same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, id)).IdleUntil, family.IdleUntil)
			case !errors.Is(renewed, store.ErrStale):
				t.Error(renewed)
			}
		}
	}},

	{"race/SEC_S39_InsertedWhileDeleted", func(t *testing.T, s store.Store) {
		for n := range 20 {
			id := numbered("u", n)
			insertUsers(t, s, id)
			var group sync.WaitGroup
			for i := range 4 {
				group.Go(func() {
					err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
						return tx.InsertUser(aUser(id, id+numbered("again", i)))
					})
					if !errors.Is(err, store.ErrConflict) {
						t.Errorf("insert: %v, want ErrConflict", err)
					}
				})
			}
			write(t, s, func(tx store.Tx) error { return tx.DeleteUser(id, t0) })
			group.Wait()
			_, err := s.Account(ctx, id)
			missing(t, "account", err)
		}
	}},

	// Whoever counts two keys in another order than somebody else waits, and is
	// not refused for that.
	{"race/CountersInAnyOrder", func(t *testing.T, s store.Store) {
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				for range 5 {
					keys := []string{"a", "b"}
					err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
						return errors.Join(count(tx, keys[i]), count(tx, keys[1-i]))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		for _, key := range []string{"a", "b"} {
			c, err := s.Counter(ctx, key)
			same(t, string(c.Data), "10")
			same(t, err, nil)
		}
	}},

	// Text from outside may be anything; what is no text is nobody's name.
	{"text", func(t *testing.T, s store.Store) {
		const odd = "a\x00b\xffc"
		insertUsers(t, s, "u")
		d := aDevice("d", "u")
		d.UserAgent = odd
		write(t, s, func(tx store.Tx) error { return tx.SaveDevice(d) })
		read[session.Device](t)(s.Device(ctx, "u", "d"))
		_, err := s.Transaction(ctx, odd)
		missing(t, "transaction", err)
		_, err = s.AccountByAddress(ctx, odd)
		missing(t, "account", err)
		_, err = s.RefreshFamily(ctx, odd)
		missing(t, "family", err)
		same(t, len(read[[]directory.Ticket](t)(s.Tickets(ctx, odd, odd))), 0)
	}},
}
