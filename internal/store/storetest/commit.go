package storetest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

var errOwn = errors.New("the caller's own error")

var durabilities = [...]store.Durability{store.Lazy, store.Relaxed, store.Durable}

// signUp writes what belongs together: all of it is there, or nothing.
func signUp(tx store.Tx, id, canonical string) error {
	for _, write := range []func() error{
		func() error { return tx.InsertTransaction(aTransaction(id)) },
		func() error { return tx.InsertUser(aUser(id, canonical)) },
		func() error { return tx.InsertEnrollment(anEnrollment(id, id)) },
		func() error { return tx.Enqueue(aMessage(id)) },
		func() error { return tx.Append(anAuditRow(id)) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// signedUp reports whether all of signUp's rows are there, and fails the test if some are.
func signedUp(t *testing.T, s store.Store, id string) bool {
	t.Helper()
	_, tx := s.Transaction(ctx, id)
	account, user := s.Account(ctx, id)
	_, message := s.OutboxMessage(ctx, id)
	_, trail := s.AuditRows(ctx, id, 1)
	n := 0
	for _, err := range []error{tx, user, message, trail} {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, store.ErrNotFound):
			t.Fatal(err)
		}
	}
	n += len(account.Enrollments)
	if n != 0 && n != 5 {
		t.Errorf("%s: %d of 5 rows", id, n)
	}
	return n == 5
}

// since returns what was done between two looks at Stats.
func since(after, before store.Stats) store.Stats {
	return store.Stats{
		Commits:        after.Commits - before.Commits,
		DurableCommits: after.DurableCommits - before.DurableCommits,
		Transactions:   after.Transactions - before.Transactions,
		RowWrites:      after.RowWrites - before.RowWrites,
		Reads:          after.Reads - before.Reads,
		TxReads:        after.TxReads - before.TxReads,
	}
}

var commitTests = []test{
	{"commit/ReadYourWrites", func(t *testing.T, s store.Store) {
		for i := range 50 {
			id := numbered("u", i)
			write(t, s, func(tx store.Tx) error { return signUp(tx, id, id) })
			if !signedUp(t, s, id) {
				t.Fatalf("%s is not there after InTx", id)
			}
		}
	}},

	{"commit/ErrorRollsBack", func(t *testing.T, s store.Store) {
		refuse(t, s, errOwn, func(tx store.Tx) error {
			if err := signUp(tx, "u1", "ada"); err != nil {
				return err
			}
			return errOwn
		})
		if signedUp(t, s, "u1") {
			t.Error("rolled back, yet there")
		}
		write(t, s, func(tx store.Tx) error { return signUp(tx, "u2", "ada") })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return signUp(tx, "u3", "ada") })
		if signedUp(t, s, "u3") {
			t.Error("rolled back, yet there")
		}
	}},

	{"commit/FailedTransactionCannotCommit", func(t *testing.T, s store.Store) {
		write(t, s, func(tx store.Tx) error { return signUp(tx, "u1", "ada") })
		write(t, s, func(tx store.Tx) error { return signUp(tx, "u2", "bob") })
		taken := aUser("u2", "ada")
		taken.Version = 2
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error {
			_ = tx.InsertTransaction(aTransaction("before"))
			_ = tx.UpdateUser(taken)
			_ = tx.InsertTransaction(aTransaction("after"))
			return nil
		})
		for _, id := range []string{"before", "after"} {
			_, err := s.Transaction(ctx, id)
			missing(t, id, err)
		}
	}},

	{"commit/GroupIsolation", func(t *testing.T, s store.Store) {
		const callers = 64
		errs := make([]error, callers)
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				errs[i] = s.InTx(ctx, durabilities[i%3], func(tx store.Tx) error {
					if err := signUp(tx, numbered("u", i), numbered("a", i)); err != nil {
						return err
					}
					if i%4 == 0 {
						return errOwn
					}
					return nil
				})
			})
		}
		group.Wait()
		for i, err := range errs {
			id, fails := numbered("u", i), i%4 == 0
			if fails != errors.Is(err, errOwn) || (!fails && err != nil) {
				t.Errorf("%s: %v", id, err)
			}
			if signedUp(t, s, id) == fails {
				t.Errorf("%s: there %v, want %v", id, fails, !fails)
			}
		}
	}},

	{"commit/PanicStaysWithItsCaller", func(t *testing.T, s store.Store) {
		for _, leave := range []func(){func() { panic("mine") }, runtime.Goexit} {
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_ = s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
					if err := signUp(tx, "u1", "ada"); err != nil {
						t.Error(err)
					}
					leave()
					return nil
				})
			}()
			if got := <-done; got != nil && got != "mine" {
				t.Errorf("recovered %v", got)
			}
			// The one after it shows that the store lives, and that nothing was left.
			write(t, s, func(tx store.Tx) error { return tx.SetSetting("alive", nil) })
			if signedUp(t, s, "u1") {
				t.Error("rolled back, yet there")
			}
		}
	}},

	{"commit/EndedContext", func(t *testing.T, s store.Store) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		err := s.InTx(ended, store.Durable, func(tx store.Tx) error { return signUp(tx, "u1", "ada") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("InTx: %v, want context.Canceled", err)
		}
		if signedUp(t, s, "u1") {
			t.Error("refused, yet there")
		}
	}},

	{"commit/TxEndsWithItsFunction", func(t *testing.T, s store.Store) {
		var leaked store.Tx
		write(t, s, func(tx store.Tx) error { leaked = tx; return nil })
		if err := leaked.InsertTransaction(aTransaction("tx")); err == nil {
			t.Error("a Tx works after InTx has returned")
		}
		_, err := s.Transaction(ctx, "tx")
		missing(t, "transaction", err)
	}},

	{"commit/Stats", func(t *testing.T, s store.Store) {
		before := s.Stats()
		write(t, s, func(tx store.Tx) error { return signUp(tx, "u1", "ada") })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return signUp(tx, "u1", "ada") })
		if err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return tx.SetSetting("x", nil) }); err != nil {
			t.Fatal(err)
		}
		read[directory.Account](t)(s.AccountByAddress(ctx, "ada"))
		read[[]audit.Row](t)(s.AuditRows(ctx, "", 1))
		same(t, since(s.Stats(), before), store.Stats{Commits: 2, DurableCommits: 1, Transactions: 2, RowWrites: 6, Reads: 2})

		before = s.Stats()
		write(t, s, func(tx store.Tx) error { return count(tx, "key") })
		write(t, s, func(tx store.Tx) error { _, err := tx.Counter("key"); return err }) // nothing to commit
		refuse(t, s, errOwn, func(tx store.Tx) error { _, _ = tx.Counter("key"); return errOwn })
		same(t, since(s.Stats(), before), store.Stats{Commits: 1, DurableCommits: 1, Transactions: 2, RowWrites: 1, TxReads: 3})

		before = s.Stats()
		write(t, s, func(tx store.Tx) error {
			for _, step := range []func() error{
				func() error { return tx.InsertTicket(aTicket("k1", "u1", directory.Recovery)) },
				func() error { return tx.InsertTicket(aTicket("k2", "u1", directory.Recovery)) },
				func() error { return tx.SpendTicket("k1", t0) },
				func() error { return tx.SpendTickets("u1", directory.Recovery, t0) }, // the other one
				func() error { return tx.InsertSession(aSession("s", "u1")) },
				func() error { return tx.EndSession("s", t0) },
				func() error { return tx.EndSessions("u1", t0) }, // none
				func() error { return tx.SaveDevice(aDevice("d", "u1")) },
				func() error { return tx.DeleteDevices("u1") },
			} {
				if err := step(); err != nil {
					return err
				}
			}
			return nil
		})
		_, _ = s.Users(ctx, directory.Query{Limit: 1})
		_, _ = s.Ticket(ctx, "k1")
		_, _ = s.Tickets(ctx, "u1", directory.Recovery)
		_, _ = s.Session(ctx, "s")
		_, _ = s.Sessions(ctx, "u1")
		_, _ = s.Device(ctx, "u1", "d")
		_, _ = s.RefreshFamilies(ctx, "u1")
		_, _ = s.Counter(ctx, "key")
		same(t, since(s.Stats(), before), store.Stats{Commits: 1, DurableCommits: 1, Transactions: 1, RowWrites: 8, Reads: 8})
	}},

	{"commit/Close", func(t *testing.T, s store.Store) {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		refuse(t, s, store.ErrClosed, func(store.Tx) error { return nil })
		_, err := s.Transaction(ctx, "tx")
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("Transaction: %v, want ErrClosed", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}},

	{"commit/FaultsNameNoValues", func(t *testing.T, s store.Store) {
		const secret = "ada-the-secret@example.com"
		write(t, s, func(tx store.Tx) error { return signUp(tx, "u1", secret) })
		err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return signUp(tx, "u2", secret) })
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error %v", err)
		}
	}},
}
