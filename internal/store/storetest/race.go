package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// race runs fn in n transactions at once. One must succeed, the others fail
// with lost; it returns the winner's number.
func race(t *testing.T, s store.Store, n int, lost error, fn func(tx store.Tx, i int) error) int {
	t.Helper()
	var winner, wins atomic.Int64
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			switch err := s.InTx(ctx, durabilities[i%3], func(tx store.Tx) error { return fn(tx, i) }); {
			case err == nil:
				winner.Store(int64(i))
				wins.Add(1)
			case !errors.Is(err, lost):
				t.Errorf("caller %d: %v, want %v", i, err, lost)
			}
		})
	}
	close(start)
	group.Wait()
	if wins.Load() != 1 {
		t.Fatalf("%d winners, want 1", wins.Load())
	}
	return int(winner.Load())
}

var raceTests = []test{
	{"race/SEC_S08_SaveTransaction", func(t *testing.T, s store.Store) {
		write(t, s, func(tx store.Tx) error { return tx.InsertTransaction(aTransaction("tx")) })
		for version := int64(2); version < 12; version++ {
			won := race(t, s, 16, store.ErrStale, func(tx store.Tx, i int) error {
				row := aTransaction("tx")
				row.Version, row.Data = version, fmt.Append(nil, i)
				return tx.SaveTransaction(row)
			})
			row := read[flow.Row](t)(s.Transaction(ctx, "tx"))
			same(t, string(row.Data), fmt.Sprint(won))
			same(t, row.Version, version)
		}
	}},

	{"race/REL_R02_OneUserPerAddress", func(t *testing.T, s store.Store) {
		for n := range 3 {
			address := numbered("ada", n)
			won := race(t, s, 100, store.ErrConflict, func(tx store.Tx, i int) error {
				return signUp(tx, fmt.Sprintf("u%d-%d", n, i), address)
			})
			for i := range 100 {
				if signedUp(t, s, fmt.Sprintf("u%d-%d", n, i)) != (i == won) {
					t.Errorf("user %d of %s; the winner is %d", i, address, won)
				}
			}
			same(t, read[directory.Account](t)(s.AccountByAddress(ctx, address)).ID, fmt.Sprintf("u%d-%d", n, won))
		}
	}},

	{"race/Seal", func(t *testing.T, s store.Store) {
		for n := range int64(5) {
			id := numbered("row", int(n))
			write(t, s, func(tx store.Tx) error { return tx.Append(anAuditRow(id)) })
			race(t, s, 16, store.ErrConflict, func(tx store.Tx, _ int) error { return tx.Seal(aSeal(n+1, n+1, n+1), []string{id}) })
		}
	}},

	{"race/UpdateUser", func(t *testing.T, s store.Store) {
		write(t, s, func(tx store.Tx) error { return tx.InsertUser(aUser("u", "ada")) })
		won := race(t, s, 16, store.ErrStale, func(tx store.Tx, i int) error {
			u := aUser("u", "ada")
			u.Version, u.FirstName = 2, fmt.Sprint(i)
			return tx.UpdateUser(u)
		})
		same(t, read[directory.Account](t)(s.Account(ctx, "u")).FirstName, fmt.Sprint(won))
	}},

	{"race/OneEnrollmentOfAKind", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		for n := range 5 {
			account := read[directory.Account](t)(s.Account(ctx, "u"))
			won := race(t, s, 16, store.ErrStale, func(tx store.Tx, i int) error {
				u := account.User
				u.Version++
				if err := tx.UpdateUser(u); err != nil {
					return err
				}
				for _, old := range account.Enrollments { // the new one takes its place
					if err := tx.DeleteEnrollment(old.ID); err != nil {
						return err
					}
				}
				return tx.InsertEnrollment(anEnrollment(fmt.Sprintf("e%d-%d", n, i), "u"))
			})
			have := read[directory.Account](t)(s.Account(ctx, "u")).Enrollments
			if len(have) != 1 || have[0].ID != fmt.Sprintf("e%d-%d", n, won) {
				t.Errorf("%+v; the winner is %d", have, won)
			}
		}
	}},

	{"race/SEC_S39_DeleteUser", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		race(t, s, 16, store.ErrNotFound, func(tx store.Tx, i int) error {
			return tx.DeleteUser("u", later(time.Duration(i)*time.Second))
		})
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertUser(aUser("u", "new")) })
	}},

	{"race/SpendTicket", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		for n := range 10 {
			id := numbered("k", n)
			insertTickets(t, s, aTicket(id, "u", directory.Recovery))
			won := race(t, s, 16, store.ErrStale, func(tx store.Tx, i int) error {
				return tx.SpendTicket(id, later(time.Duration(i)*time.Second))
			})
			same(t, read[directory.Ticket](t)(s.Ticket(ctx, id)).SpentAt, later(time.Duration(won)*time.Second))
		}
	}},

	{"race/UpdateTicketOrSpendIt", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		for n := range 10 {
			id := numbered("k", n)
			insertTickets(t, s, aTicket(id, "u", directory.EmailChange))
			var group sync.WaitGroup
			group.Go(func() {
				for version := int64(2); ; version++ {
					k := aTicket(id, "u", directory.EmailChange)
					k.Version = version
					err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return tx.UpdateTicket(k) })
					if err != nil {
						if !errors.Is(err, store.ErrStale) {
							t.Error(err)
						}
						return
					}
				}
			})
			write(t, s, func(tx store.Tx) error { return tx.SpendTicket(id, t0) })
			spent := read[directory.Ticket](t)(s.Ticket(ctx, id))
			group.Wait()
			same(t, read[directory.Ticket](t)(s.Ticket(ctx, id)), spent)
			same(t, spent.SpentAt, t0)
		}
	}},

	{"race/EndSessionEndsUpdates", func(t *testing.T, s store.Store) {
		insertUsers(t, s, "u")
		insertSessions(t, s, aSession("s", "u"))
		var group sync.WaitGroup
		group.Go(func() {
			for version := int64(2); ; version++ {
				v := aSession("s", "u")
				v.Version = version
				err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return tx.UpdateSession(v) })
				if err != nil {
					if !errors.Is(err, store.ErrStale) {
						t.Error(err)
					}
					return
				}
			}
		})
		write(t, s, func(tx store.Tx) error { return tx.EndSessions("u", t0) })
		ended := read[session.Session](t)(s.Session(ctx, "s"))
		group.Wait()
		same(t, read[session.Session](t)(s.Session(ctx, "s")), ended)
		same(t, ended.EndedAt, t0)
	}},

	{"race/RotateRefreshFamily", func(t *testing.T, s store.Store) {
		insertFamilies(t, s, aFamily("f", "grant"))
		for generation := int64(2); generation < 12; generation++ {
			won := race(t, s, 16, store.ErrStale, func(tx store.Tx, i int) error {
				f := aFamily("f", "grant")
				f.Generation, f.RotatedAt = generation, later(time.Duration(i)*time.Second)
				return tx.RotateRefreshFamily(f)
			})
			f := read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f"))
			same(t, f.Generation, generation)
			same(t, f.RotatedAt, later(time.Duration(won)*time.Second))
		}
	}},

	{"race/RevokeEndsRotation", func(t *testing.T, s store.Store) {
		insertFamilies(t, s, aFamily("f", "grant"))
		var group sync.WaitGroup
		group.Go(func() {
			for generation := int64(2); ; generation++ {
				f := aFamily("f", "grant")
				f.Generation = generation
				err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return tx.RotateRefreshFamily(f) })
				if err != nil {
					if !errors.Is(err, store.ErrStale) {
						t.Error(err)
					}
					return
				}
			}
		})
		write(t, s, func(tx store.Tx) error { return tx.RevokeGrant("grant", t0) })
		revoked := read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f"))
		group.Wait()
		same(t, read[oauth.RefreshFamily](t)(s.RefreshFamily(ctx, "f")), revoked)
		same(t, revoked.RevokedAt, t0)
	}},

	{"race/REL_R06_ClaimedOnce", func(t *testing.T, s store.Store) {
		const messages = 200
		var all []outbox.Message
		for i := range messages {
			all = append(all, aMessage(numbered("m", i)))
		}
		enqueue(t, s, all...)
		var mu sync.Mutex
		holders := map[string]int{}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for {
					claimed, err := s.ClaimOutbox(ctx, "mail", t0, later(time.Minute), 7)
					if err != nil {
						t.Error(err)
					}
					if len(claimed) == 0 {
						return
					}
					mu.Lock()
					for _, m := range claimed {
						holders[m.ID]++
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		same(t, len(holders), messages)
		for id, n := range holders {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
	}},

	{"race/ReadersSeeWholeTransactions", func(t *testing.T, s store.Store) {
		insertFamilies(t, s, aFamily("a", "grant"), aFamily("b", "grant"))
		stop := make(chan struct{})
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				last := int64(0)
				for {
					select {
					case <-stop:
						return
					default:
					}
					b, err1 := s.RefreshFamily(ctx, "b") // written second, read first
					a, err2 := s.RefreshFamily(ctx, "a")
					if err := errors.Join(err1, err2); err != nil {
						t.Error(err)
						return
					}
					if a.Generation < b.Generation || b.Generation < last {
						t.Errorf("a at %d, b at %d, b was at %d", a.Generation, b.Generation, last)
						return
					}
					last = b.Generation
				}
			})
		}
		for generation := int64(2); generation < 60; generation++ {
			write(t, s, func(tx store.Tx) error {
				a, b := aFamily("a", "grant"), aFamily("b", "grant")
				a.Generation, b.Generation = generation, generation
				if err := tx.RotateRefreshFamily(a); err != nil {
					return err
				}
				return tx.RotateRefreshFamily(b)
			})
		}
		close(stop)
		group.Wait()
	}},
}
