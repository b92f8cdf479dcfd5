package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

var bg = context.Background()

// hold occupies the writer until release is called. What is queued meanwhile is
// one group after it.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.InTx(bg, store.Relaxed, func(store.Tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		t.Helper()
		close(end)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// waitQueued waits until n callers are in the queue.
func waitQueued(s *Store, n int) {
	for len(s.writer.queue) < n {
		runtime.Gosched()
	}
}

func insert(id string) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.InsertTransaction(flow.Row{ID: id, Version: 1}) }
}

func there(t *testing.T, s *Store, id string) bool {
	t.Helper()
	_, err := s.Transaction(bg, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func synchronous(t *testing.T, s *Store) string {
	t.Helper()
	return map[string]string{"1": "NORMAL", "2": "FULL"}[rows(t, s.writer.conn, "PRAGMA synchronous")[0][0]]
}

func TestDurability(t *testing.T) {
	s := openTest(t)
	for i, d := range []store.Durability{
		store.Relaxed, store.Durable, store.Durable, store.Relaxed, store.Relaxed, store.Durable,
	} {
		want := "NORMAL"
		if d == store.Durable {
			want = "FULL"
		}
		err := s.InTx(bg, d, func(tx store.Tx) error {
			if got := synchronous(t, s); got != want {
				t.Errorf("transaction %d runs with synchronous=%s, want %s", i, got, want)
			}
			return insert(fmt.Sprint(i))(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	if st.Commits != 6 || st.DurableCommits != 3 {
		t.Errorf("%+v", st)
	}
}

// One durable member makes the commit of its group durable.
func TestGroupCommit(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	before := s.Stats()
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			d := store.Relaxed
			if i == 17 {
				d = store.Durable
			}
			err := s.InTx(bg, d, func(tx store.Tx) error {
				if got := synchronous(t, s); got != "FULL" {
					t.Errorf("member %d runs with synchronous=%s", i, got)
				}
				if err := insert(fmt.Sprint(i))(tx); err != nil {
					return err
				}
				switch i % 8 {
				case 3:
					return errors.New("own")
				case 5:
					panicked := fmt.Sprint("own ", i)
					defer func() {
						if r := recover(); r != panicked {
							t.Errorf("member %d recovered %v", i, r)
						}
					}()
					panic(panicked)
				}
				return nil
			})
			if (i%8 == 3) != (err != nil) {
				t.Errorf("member %d: %v", i, err)
			}
		})
	}
	waitQueued(s, 32)
	release()
	group.Wait()
	after := s.Stats()
	if c, d := after.Commits-before.Commits, after.DurableCommits-before.DurableCommits; c != 1 || d != 1 {
		t.Errorf("%d commits, %d durable; want 1, 1", c, d)
	}
	if n := after.RowWrites - before.RowWrites; n != 28 {
		t.Errorf("%d rows written, want 28", n)
	}
	for i := range 32 {
		if there(t, s, fmt.Sprint(i)) == (i%8 == 3) {
			t.Errorf("member %d: its row is there: %v", i, i%8 != 3)
		}
	}
}

// What is lazy never commits by itself while others do.
func TestLazySharesCommits(t *testing.T) {
	s, err := Open(bg, Options{Path: filepath.Join(t.TempDir(), "stile.db"), LazyWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := s.Stats()
	done := make(chan error)
	for i := range 5 {
		go func() { done <- s.InTx(bg, store.Lazy, insert(fmt.Sprint("lazy", i))) }()
	}
	others := int64(0)
	for answered := 0; answered < 5; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			answered++
		default:
			if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.SetSetting("other", nil) }); err != nil {
				t.Fatal(err)
			}
			others++
		}
	}
	after := s.Stats()
	if n := after.Commits - before.Commits; n != others {
		t.Errorf("%d commits for %d transactions that are not lazy", n, others)
	}
	if n := after.RowWrites - before.RowWrites; n != others+5 {
		t.Errorf("%d rows written, want %d", n, others+5)
	}
}

func TestLazyAlone(t *testing.T) {
	s := openTest(t)
	if err := s.InTx(bg, store.Lazy, insert("a")); err != nil || !there(t, s, "a") {
		t.Error(err)
	}
	s, err := Open(bg, Options{Path: filepath.Join(t.TempDir(), "stile.db"), LazyWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	release := hold(t, s)
	go func() { done <- s.InTx(bg, store.Lazy, insert("b")) }()
	waitQueued(s, 1)
	release()
	if err := s.Close(); err != nil { // does not wait for company
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Nobody is told of a success that the commit did not bear out.
func TestFailedCommit(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	before := s.Stats()
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			errs[i] = s.InTx(bg, store.Durable, func(tx store.Tx) error {
				if i == 3 { // a foreign key that is wrong until the commit finds it
					if _, err := s.writer.conn.ExecContext(bg, "PRAGMA defer_foreign_keys=ON"); err != nil {
						t.Error(err)
					}
					if err := tx.InsertEnrollment(directory.Enrollment{ID: "e", UserID: "nobody"}); err != nil {
						t.Error(err)
					}
				}
				return insert(fmt.Sprint(i))(tx)
			})
		})
	}
	waitQueued(s, len(errs))
	release()
	group.Wait()
	for i, err := range errs {
		if err == nil {
			t.Errorf("caller %d was told of success", i)
		}
		if there(t, s, fmt.Sprint(i)) {
			t.Errorf("the row of caller %d is there", i)
		}
	}
	if after := s.Stats(); after != (store.Stats{
		Commits: before.Commits, DurableCommits: before.DurableCommits, Transactions: before.Transactions + 1,
		RowWrites: before.RowWrites, Reads: after.Reads,
	}) {
		t.Errorf("%+v, before %+v", after, before)
	}
	if err := s.InTx(bg, store.Durable, insert("after")); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestREL_R13_QueueIsBounded(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	var group sync.WaitGroup
	for i := range queueDepth {
		group.Go(func() {
			if err := s.InTx(bg, store.Relaxed, insert(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(s, queueDepth)
	if err := s.InTx(bg, store.Relaxed, insert("late")); !errors.Is(err, store.ErrBusy) {
		t.Errorf("with a full queue: %v, want ErrBusy", err)
	}
	if p := s.Pool(); p.Waiting != queueDepth || p.Busy != 1 {
		t.Errorf("%+v, with %d who wait and one refused", p, queueDepth)
	}
	release()
	group.Wait()
	if there(t, s, "late") {
		t.Error("refused, yet written")
	}
	if err := s.InTx(bg, store.Relaxed, insert("late")); err != nil {
		t.Error(err)
	}
}

func TestCancelWhileQueued(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(bg)
	gone, stays := make(chan error), make(chan error)
	go func() { gone <- s.InTx(ctx, store.Durable, insert("gone")) }()
	waitQueued(s, 1)
	go func() { stays <- s.InTx(bg, store.Relaxed, insert("stays")) }()
	waitQueued(s, 2)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	before := s.Stats()
	release()
	if err := <-stays; err != nil {
		t.Error(err)
	}
	if there(t, s, "gone") || !there(t, s, "stays") {
		t.Error("the wrong one was written")
	}
	if after := s.Stats(); after.DurableCommits != before.DurableCommits {
		t.Error("the cancelled one made the commit durable")
	}
}

func TestCancelAfterBegin(t *testing.T) {
	s := openTest(t)
	ctx, cancel := context.WithCancel(bg)
	err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
		cancel()
		return insert("begun")(tx)
	})
	if err != nil || !there(t, s, "begun") {
		t.Errorf("InTx: %v; what has begun must be finished", err)
	}
}

// A deadline passes when the test says so.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Nobody waits for a commit beyond their deadline, and nobody is told that it
// failed: it may still come.
func TestREL_I10_StalledCommit(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	ctx := deadline{bg, make(chan struct{})}
	ran, end, late, other := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() { late <- s.InTx(ctx, store.Durable, insert("late")) }()
	waitQueued(s, 1)
	go func() {
		other <- s.InTx(bg, store.Durable, func(tx store.Tx) error { // its group's commit waits for it
			close(ran)
			<-end
			return insert("other")(tx)
		})
	}()
	waitQueued(s, 2)
	release()
	<-ran
	close(ctx.passed)
	if err := <-late; !errors.Is(err, store.ErrUnknown) || problem.KindOf(err) != problem.Unavailable {
		t.Errorf("at the deadline: %v, want ErrUnknown", err)
	}
	close(end)
	if err := <-other; err != nil {
		t.Error(err)
	}
	if !there(t, s, "late") {
		t.Error("what was in a commit is gone")
	}
	for i := range 3 { // the job that nobody waited for is nobody else's
		if err := s.InTx(bg, store.Durable, insert(fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
}

func TestCloseFinishesTheQueue(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if err := s.InTx(bg, store.Durable, insert(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(s, 20)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	group.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// REL R-14 in small: a database that may not grow stands for a full disk.
func TestREL_R14_Full(t *testing.T) {
	s := openTest(t)
	pages := rows(t, s.writer.conn, "PRAGMA page_count")[0][0]
	rows(t, s.writer.conn, "PRAGMA max_page_count="+pages)

	release := hold(t, s)
	big := func(id string) func(store.Tx) error {
		return func(tx store.Tx) error {
			return tx.InsertTransaction(flow.Row{ID: id, Version: 1, Data: make([]byte, 40_000)})
		}
	}
	errs := make([]error, 12)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			fn := insert(fmt.Sprint(i))
			if i%3 == 0 {
				fn = big(fmt.Sprint(i))
			}
			errs[i] = s.InTx(bg, store.Durable, fn)
		})
	}
	waitQueued(s, len(errs))
	release()
	group.Wait()
	for i, err := range errs {
		if i%3 == 0 && problem.KindOf(err) != problem.Unavailable {
			t.Errorf("caller %d: %v, want a refusal of kind unavailable", i, err)
		}
		if there(t, s, fmt.Sprint(i)) != (err == nil) {
			t.Errorf("caller %d: %v, but there: %v", i, err, err != nil)
		}
	}
	rows(t, s.writer.conn, "PRAGMA max_page_count=1000000")
	if err := s.InTx(bg, store.Durable, big("after")); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestLockedTooLong(t *testing.T) {
	s := openTest(t)
	rows(t, s.writer.conn, "PRAGMA busy_timeout=0")
	db := s.checker.open()
	foreign, err := db.Conn(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.ExecContext(bg, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	err = s.InTx(bg, store.Relaxed, insert("a"))
	if problem.KindOf(err) != problem.Unavailable {
		t.Errorf("locked: %v, want a refusal of kind unavailable", err)
	}
	var e *problem.Error
	if !errors.As(err, &e) || strings.Contains(e.Detail, "lock") {
		t.Errorf("the detail %q tells of the inside", e.Detail)
	}
	if _, err := foreign.ExecContext(bg, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(foreign.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(bg, store.Relaxed, insert("a")); err != nil {
		t.Error(err)
	}
}

func TestREL_R13_LogStartsAnew(t *testing.T) {
	s := openTest(t)
	fill := func(from, n int) {
		t.Helper()
		for i := from; i < from+n; i++ {
			err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
				return tx.InsertTransaction(flow.Row{ID: fmt.Sprint(i), Version: 1, Data: make([]byte, 40_000)})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	db := s.checker.open()
	defer db.Close()
	size := func() int64 {
		t.Helper()
		n, _, err := checkpoint(db, "NOOP")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	fill(0, 60)
	if n := size(); n < 600 || n >= backlogPages {
		t.Fatalf("the log has %d pages; the test needs other numbers", n)
	}
	if err := s.checker.look(db); err != nil {
		t.Fatal(err)
	}
	if n := size(); n < 600 {
		t.Errorf("moved a short log of %d pages", n)
	}
	fill(60, 60)
	if err := s.checker.look(db); err != nil {
		t.Fatal(err)
	}
	fill(120, 1)
	if n := size(); n > 100 {
		t.Errorf("the log goes on at %d pages", n)
	}

	// What the checkpointer cannot finish, the writer does between two commits.
	fill(121, 30)
	s.checker.tail.Store(true)
	fill(151, 1)
	release := hold(t, s) // comes after that
	release()
	fill(152, 1)
	if n := size(); n > 100 {
		t.Errorf("the log goes on at %d pages", n)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := openTest(t)
	c, err := s.readers.Get(bg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.readers.Put(c)
	err = insert("x")(sqlstore.NewTx(bg, c, dialect))
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("insert on a reader: %v", err)
	}
}

func TestReadersAreBounded(t *testing.T) {
	s := openTest(t)
	var lent []sqlstore.Conn
	for range s.readers.size {
		c, err := s.readers.Get(bg)
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, c)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := s.Transaction(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("with all readers lent: %v", err)
	}
	waiting := make(chan error)
	go func() {
		_, err := s.Transaction(bg, "a")
		waiting <- err
	}()
	for _, c := range lent {
		s.readers.Put(c)
	}
	if err := <-waiting; !errors.Is(err, store.ErrNotFound) {
		t.Errorf("once they are back: %v", err)
	}
}
