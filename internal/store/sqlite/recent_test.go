package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
)

func kept(s *Store, id string) bool {
	_, ok := s.writer.flows.get(id)
	return ok
}

// same fails unless a row is read from memory as from the file.
func same(t *testing.T, s *Store, id string) {
	t.Helper()
	got, err := s.Transaction(bg, id)
	want, werr := s.Reader.Transaction(bg, id)
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, werr) {
		t.Errorf("%s: %v and %v; the file, and what is read:\n%s", id, werr, err, diff)
	}
}

func TestRecentIsAsItWouldBeRead(t *testing.T) {
	s := openTest(t)
	row := flow.Row{
		ID: "tx", ClientID: "app", Version: 1, Data: []byte("1"),
		ExpiresAt: time.Date(2026, 11, 27, 12, 0, 0, 123_456_789, time.FixedZone("", 3600)),
	}
	if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.InsertTransaction(row) }); err != nil {
		t.Fatal(err)
	}
	if !kept(s, "tx") {
		t.Error("nothing is kept")
	}
	same(t, s, "tx")
	for range 3 {
		row.Version++
		row.Data = []byte(fmt.Sprint(row.Version))
		row.ExpiresAt = row.ExpiresAt.Add(time.Second)
		if err := s.InTx(bg, store.Durable, func(tx store.Tx) error { return tx.SaveTransaction(row) }); err != nil {
			t.Fatal(err)
		}
		same(t, s, "tx")
	}
	if got, err := s.Transaction(bg, "tx"); err != nil || got.Version != 4 {
		t.Errorf("version %d, %v", got.Version, err)
	}
}

// Of a group that shares a commit one undoes what it wrote, and the others' stays.
func TestRecentForgetsWhatIsUndone(t *testing.T) {
	s := openTest(t)
	for _, id := range []string{"a", "b"} {
		if err := s.InTx(bg, store.Relaxed, insert(id)); err != nil {
			t.Fatal(err)
		}
	}
	release := hold(t, s)
	undo := errors.New("undo")
	errs := make([]error, 2)
	var group sync.WaitGroup
	for i, id := range []string{"a", "b"} {
		group.Go(func() {
			errs[i] = s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
				if err := tx.SaveTransaction(flow.Row{ID: id, Version: 2}); err != nil {
					return err
				}
				if id == "a" {
					return undo
				}
				return nil
			})
		})
	}
	waitQueued(s, 2)
	release()
	group.Wait()
	if !errors.Is(errs[0], undo) || errs[1] != nil {
		t.Fatal(errs)
	}
	for id, version := range map[string]int64{"a": 1, "b": 2} {
		same(t, s, id)
		if got, err := s.Transaction(bg, id); err != nil || got.Version != version {
			t.Errorf("%s: version %d, %v", id, got.Version, err)
		}
	}
}

func TestRecentForgetsWhatACommitDidNotBearOut(t *testing.T) {
	s := openTest(t)
	if err := s.InTx(bg, store.Relaxed, insert("tx")); err != nil {
		t.Fatal(err)
	}
	err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
		if _, err := s.writer.conn.ExecContext(bg, "PRAGMA defer_foreign_keys=ON"); err != nil {
			t.Error(err)
		}
		if err := tx.InsertEnrollment(directory.Enrollment{ID: "e", UserID: "nobody"}); err != nil {
			t.Error(err)
		}
		return tx.SaveTransaction(flow.Row{ID: "tx", Version: 2})
	})
	if err == nil {
		t.Fatal("the commit went through")
	}
	same(t, s, "tx")
	if got, err := s.Transaction(bg, "tx"); err != nil || got.Version != 1 {
		t.Errorf("version %d, %v", got.Version, err)
	}
}

func TestREL_R21_RecentIsBounded(t *testing.T) {
	s := openTest(t)
	const size, rows = 16 << 10, 3 * recentBytes / (16 << 10)
	for i := range rows {
		row := flow.Row{ID: fmt.Sprint(i), Version: 1, Data: make([]byte, size)}
		if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.InsertTransaction(row) }); err != nil {
			t.Fatal(err)
		}
	}
	r := s.writer.flows
	if n := len(r.young) + len(r.old); n*size > 2*recentBytes+2*size {
		t.Errorf("%d rows of %d bytes are kept", n, size)
	}
	if kept(s, "0") || !kept(s, fmt.Sprint(rows-1)) {
		t.Error("the first is kept, or the last is not")
	}
	same(t, s, "0")
}

func TestREL_R23_RecentForgetsWhatIsPurged(t *testing.T) {
	s := openTest(t)
	end := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	row := flow.Row{ID: "tx", Version: 1, ExpiresAt: end}
	live := flow.Row{ID: "live", Version: 1, ExpiresAt: end.Add(time.Hour)}
	err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
		return errors.Join(tx.InsertTransaction(row), tx.InsertTransaction(live), insert("endless")(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(bg, end.Add(time.Second), 10); n != 1 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	if there(t, s, "tx") {
		t.Error("a row that was purged is still read")
	}
	if !kept(s, "live") || !kept(s, "endless") {
		t.Error("what is not purged is forgotten")
	}
}

// sameAccount fails unless an account is read from memory as from the file.
func sameAccount(t *testing.T, s *Store, id string) directory.Account {
	t.Helper()
	got, err := s.Account(bg, id)
	want, werr := s.Reader.Account(bg, id)
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, werr) {
		t.Errorf("%s: %v and %v; the file, and what is read:\n%s", id, werr, err, diff)
	}
	return got
}

func TestRecentAccountsAreAsTheyWouldBeRead(t *testing.T) {
	s := openTest(t)
	at := time.Date(2026, 11, 27, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	u := directory.User{
		ID: "u", Version: 1, Status: directory.Active, Email: "Ada@example.com", Canonical: "ada@example.com", FirstName: "Ada",
		Attributes: map[string]string{"nickName": "A"}, Groups: []string{"g"}, EmailVerifiedAt: at, CreatedAt: at, UpdatedAt: at,
	}
	e := directory.Enrollment{ID: "e2", UserID: "u", Version: 1, Authenticator: "okta_email", Credential: []byte("1"), CreatedAt: at}
	write := func(fn func(store.Tx) error) {
		t.Helper()
		if err := s.InTx(bg, store.Relaxed, fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx store.Tx) error { return errors.Join(tx.InsertUser(u), tx.InsertEnrollment(e)) })
	if _, ok := s.writer.people.get("u"); !ok {
		t.Fatal("nobody is kept")
	}
	got := sameAccount(t, s, "u")
	got.Attributes["nickName"], got.Groups[0], got.Enrollments[0].Credential[0] = "B", "h", '2' // which are the receiver's
	sameAccount(t, s, "u")

	u.Version, u.Groups, u.FirstName = 2, []string{"h", "i"}, "Augusta"
	e.Version, e.Credential = 2, []byte("2")
	write(func(tx store.Tx) error { return errors.Join(tx.UpdateUser(u), tx.UpdateEnrollment(e)) })
	sameAccount(t, s, "u")
	e.ID, e.Version, e.CreatedAt = "e1", 1, at.Add(-time.Hour)
	write(func(tx store.Tx) error { return tx.InsertEnrollment(e) })
	if got := sameAccount(t, s, "u"); len(got.Enrollments) != 2 || got.FirstName != "Augusta" {
		t.Errorf("%+v", got)
	}
	write(func(tx store.Tx) error { return tx.DeleteEnrollment("e2") })
	if got := sameAccount(t, s, "u"); len(got.Enrollments) != 1 {
		t.Errorf("%+v", got)
	}
	write(func(tx store.Tx) error { u.Version = 3; return tx.UpdateUser(u) })
	write(func(tx store.Tx) error { return tx.DeleteUser("u", at) })
	if _, err := s.Account(bg, "u"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an account that was deleted: %v", err)
	}
}

// Of two who share a commit one undoes what it wrote of an account.
func TestRecentAccountsForgetWhatIsUndone(t *testing.T) {
	s := openTest(t)
	u := directory.User{ID: "u", Version: 1, Status: directory.Active, Email: "a@example.com", Canonical: "a@example.com", FirstName: "Ada"}
	if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.InsertUser(u) }); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	undo := errors.New("undo")
	u.Version, u.FirstName = 2, "Eve"
	var group sync.WaitGroup
	group.Go(func() {
		err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return errors.Join(tx.UpdateUser(u), undo) })
		if !errors.Is(err, undo) {
			t.Error(err)
		}
	})
	group.Go(func() {
		if err := s.InTx(bg, store.Relaxed, insert("tx")); err != nil {
			t.Error(err)
		}
	})
	waitQueued(s, 2)
	release()
	group.Wait()
	if got := sameAccount(t, s, "u"); got.FirstName != "Ada" {
		t.Errorf("%+v", got)
	}
}

func TestRecentAccountsForgetWhatACommitDidNotBearOut(t *testing.T) {
	s := openTest(t)
	u := directory.User{ID: "u", Version: 1, Status: directory.Active, Email: "a@example.com", Canonical: "a@example.com", FirstName: "Ada"}
	if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.InsertUser(u) }); err != nil {
		t.Fatal(err)
	}
	err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
		if _, err := s.writer.conn.ExecContext(bg, "PRAGMA defer_foreign_keys=ON"); err != nil {
			t.Error(err)
		}
		v := u
		v.Version, v.FirstName = 2, "Eve"
		return errors.Join(tx.UpdateUser(v), tx.InsertEnrollment(directory.Enrollment{ID: "e", UserID: "nobody"}))
	})
	if err == nil {
		t.Fatal("the commit went through")
	}
	if got := sameAccount(t, s, "u"); got.FirstName != "Ada" {
		t.Errorf("%+v", got)
	}
}

// Of two who share a commit one writes to an account, and the other removes it.
func TestRecentAccountsForgetWhoIsRemovedInTheSameCommit(t *testing.T) {
	s := openTest(t)
	u := directory.User{ID: "u", Version: 1, Status: directory.Active, Email: "a@example.com", Canonical: "a@example.com", FirstName: "Ada"}
	e := directory.Enrollment{ID: "e", UserID: "u", Version: 1, Authenticator: "okta_email"}
	if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return errors.Join(tx.InsertUser(u), tx.InsertEnrollment(e)) }); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	e.Version = 2
	var group sync.WaitGroup
	for i, fn := range []func(store.Tx) error{
		func(tx store.Tx) error { return tx.UpdateEnrollment(e) },
		func(tx store.Tx) error { return tx.DeleteUser("u", time.Now()) },
	} {
		group.Go(func() {
			if err := s.InTx(bg, store.Relaxed, fn); err != nil {
				t.Error(err)
			}
		})
		waitQueued(s, i+1) // in this order
	}
	release()
	group.Wait()
	if _, err := s.Account(bg, "u"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an account that was deleted: %v", err)
	}
}
