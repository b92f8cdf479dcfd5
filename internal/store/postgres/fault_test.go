package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// terminate ends all connections to a database but the one that asks for it.
func terminate(t *testing.T, url string) {
	t.Helper()
	pgtest.Exec(t, url, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

func set(name string) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.SetSetting(name, []byte("there")) }
}

func there(t *testing.T, s store.Store, name string) bool {
	t.Helper()
	_, err := s.Setting(bg, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// A transaction whose connection ends before its commit is run again on another.
func TestREL_R11_LostBeforeCommit(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	runs := 0
	err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
		runs++
		if err := tx.PutCounter(limit.Counter{Key: "a"}); err != nil {
			return err
		}
		if runs == 1 {
			terminate(t, u)
		}
		return set("b")(tx)
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if !there(t, s, "b") {
		t.Error("not committed")
	}
	// And those that lie idle are noticed, by readers and by writers.
	for range 3 {
		terminate(t, u)
		if !there(t, s, "b") {
			t.Error("gone")
		}
		terminate(t, u)
		if err := s.InTx(bg, store.Relaxed, set("c")); err != nil {
			t.Error(err)
		}
	}
}

// A commit whose answer is lost, of a transaction that has left no witness, is told
// of, and never made twice.
func TestREL_R11_UnknownCommit(t *testing.T) {
	u := pgtest.Database(t)
	p := newProxy(t, u)
	s := open(t, p.url)
	for _, tt := range []struct {
		name  string
		when  moment
		there bool
	}{
		{"before the server had it", beforeServer, false},
		{"after the server had it", afterServer, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := 0
			p.cutCommit.Store(int32(tt.when))
			err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
				runs++
				return set(tt.name)(tx)
			})
			p.cutCommit.Store(int32(never))
			if !errors.Is(err, store.ErrUnknown) || problem.KindOf(err) != problem.Unavailable || runs != 1 {
				t.Errorf("%v after %d runs, want ErrUnknown after one", err, runs)
			}
			if got := there(t, s, tt.name); got != tt.there {
				t.Errorf("committed %v, want %v", got, tt.there)
			}
			if err := s.InTx(bg, store.Durable, set("next")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// A commit whose answer is lost is asked about, and made if it was not: the caller
// learns nothing of it, and there is one effect.
func TestREL_R11_UnknownCommitIsSettled(t *testing.T) {
	p := newProxy(t, pgtest.Database(t))
	p.once = true
	s := open(t, p.url)
	for _, tt := range []struct {
		name string
		when moment
		runs int
	}{
		{"before the server had it", beforeServer, 2},
		{"after the server had it", afterServer, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Stats()
			runs := 0
			p.cutCommit.Store(int32(tt.when))
			err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
				runs++
				if err := set(tt.name)(tx); err != nil {
					return err
				}
				return tx.Append(audit.Row{ID: "ae " + tt.name, At: time.Unix(1, 0)})
			})
			if err != nil || runs != tt.runs {
				t.Errorf("%v after %d runs, want none after %d", err, runs, tt.runs)
			}
			if moment(p.cutCommit.Load()) != never {
				t.Error("nothing was cut")
			}
			rows, err := s.AuditRows(bg, "", 100)
			found := 0
			for _, r := range rows {
				if r.ID == "ae "+tt.name {
					found++
				}
			}
			if err != nil || found != 1 || !there(t, s, tt.name) {
				t.Errorf("%d rows of the audit log (%v), there %v; want one effect", found, err, there(t, s, tt.name))
			}
			if after := s.Stats(); after.Commits != before.Commits+1 || after.DurableCommits != before.DurableCommits+1 {
				t.Errorf("%d commits counted, want 1", after.Commits-before.Commits)
			}
		})
	}
}

// What became of a commit is not told before it is so: the question waits for a
// transaction that is still under way, and has the answer of its end.
func TestREL_R11_OutcomeWaitsForTheTransaction(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	db, err := sql.Open("pgx", u)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i, end := range []string{"COMMIT", "ROLLBACK"} {
		first, err := db.Conn(bg)
		if err != nil {
			t.Fatal(err)
		}
		exec := func(statement string) {
			t.Helper()
			if _, err := first.ExecContext(bg, statement); err != nil {
				t.Fatal(err)
			}
		}
		exec("BEGIN")
		exec(`INSERT INTO audit (id, at, events, seq) VALUES ('ae` + end + `', 0, '[]', ` + strconv.Itoa(i) + `)`)
		type answer struct {
			happened bool
			err      error
		}
		got := make(chan answer)
		go func() {
			happened, err := s.Outcome(bg, "ae"+end)
			got <- answer{happened, err}
		}()
		for waits := false; !waits; { // until the question stands behind it
			err := db.QueryRowContext(bg, `SELECT count(*) > 0 FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
			if err != nil {
				t.Fatal(err)
			}
			select {
			case a := <-got:
				t.Fatalf("answered while it was under way: %+v", a)
			default:
			}
		}
		exec(end)
		if a := <-got; a.err != nil || a.happened != (end == "COMMIT") {
			t.Errorf("%s: %+v", end, a)
		}
		if _, err := s.AuditRows(bg, "ae"+end, 1); (err == nil) != (end == "COMMIT") {
			t.Errorf("%s: the row: %v", end, err)
		}
		first.Close()
	}
}

// Where nobody can be asked it is not known, and the caller is told so.
func TestREL_R11_UnknownWhileAway(t *testing.T) {
	p := newProxy(t, pgtest.Database(t))
	s, err := postgres.Open(bg, postgres.Options{URL: p.url, StatementTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p.stallAtCommit.Store(true)
	err = s.InTx(bg, store.Durable, func(tx store.Tx) error {
		return tx.Append(audit.Row{ID: "ae", At: time.Unix(1, 0)})
	})
	if !errors.Is(err, store.ErrUnknown) || problem.KindOf(err) != problem.Unavailable {
		t.Errorf("%v, want ErrUnknown", err)
	}
	p.stallAtCommit.Store(false)
	p.resume()
	if err := s.Back(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(bg, store.Durable, set("next")); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// The wait for a connection and for a lock is bounded, and ends with the context.
func TestREL_R12_BoundedWaits(t *testing.T) {
	u := pgtest.Database(t)
	s, err := postgres.Open(bg, postgres.Options{URL: u, Connections: 1, AcquireTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := postgres.Open(bg, postgres.Options{URL: u, StatementTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
		if _, err := tx.Counter("key"); err != nil {
			return err
		}
		if err := s.InTx(bg, store.Relaxed, set("a")); !errors.Is(err, store.ErrBusy) {
			t.Errorf("no connection to write on: %v", err)
		}
		if _, err := s.Setting(bg, "a"); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("no connection to read on: %v", err)
		}
		if p := s.Pool(); p != (store.Pool{Open: 1, InUse: 1, Max: 1, Busy: 2}) {
			t.Errorf("REL_R30: %+v, with one connection in use and two refused", p)
		}
		ctx, cancel := context.WithCancel(bg)
		cancel()
		if err := s.InTx(ctx, store.Relaxed, set("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller went away: %v", err)
		}
		held := other.InTx(bg, store.Relaxed, func(tx store.Tx) error { _, err := tx.Counter("key"); return err })
		if problem.KindOf(held) != problem.Unavailable {
			t.Errorf("the key is held: %v", held)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if there(t, s, "a") {
		t.Error("refused, and written")
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

// After the deadline nothing more is begun, nothing is committed, and the
// connection is good for the next one.
func TestREL_I10_NoStatementAfterTheDeadline(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	ctx := deadline{bg, make(chan struct{})}
	runs := 0
	err := s.InTx(ctx, store.Durable, func(tx store.Tx) error {
		runs++
		if err := set("a")(tx); err != nil {
			t.Errorf("in time: %v", err)
		}
		close(ctx.passed)
		return set("b")(tx)
	})
	if err == nil || runs != 1 {
		t.Errorf("%v after %d runs, want an error after one", err, runs)
	}
	if there(t, s, "a") || there(t, s, "b") {
		t.Error("something was committed")
	}
	if err := s.InTx(bg, store.Durable, set("c")); err != nil || !there(t, s, "c") {
		t.Errorf("the next one: %v", err)
	}
}

// A server that does not answer is not waited for long, and used again when it does.
func TestREL_R12_Stalled(t *testing.T) {
	p := newProxy(t, pgtest.Database(t))
	s, err := postgres.Open(bg, postgres.Options{URL: p.url, StatementTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.InTx(bg, store.Relaxed, set("a")); err != nil {
		t.Fatal(err)
	}
	p.stall()
	if err := s.InTx(bg, store.Relaxed, set("b")); problem.KindOf(err) != problem.Unavailable || errors.Is(err, store.ErrUnknown) {
		t.Errorf("InTx: %v", err)
	}
	p.resume()
	if err := s.Back(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !there(t, s, "a") || there(t, s, "b") {
		t.Error("not as before")
	}
}

// Once somebody has waited in vain for a server nobody else does: those who wait are
// let go, and those who come are refused, until it answers one that asks.
func TestREL_R12_OneWaitForAllStatements(t *testing.T) {
	p := newProxy(t, pgtest.Database(t))
	s, err := postgres.Open(bg, postgres.Options{
		URL: p.url, Connections: 1, StatementTimeout: time.Second, AcquireTimeout: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.InTx(bg, store.Relaxed, set("a")); err != nil {
		t.Fatal(err)
	}
	const waiting = 20
	refused := make(chan error)
	first := s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
		p.stall()
		for range waiting {
			go func() { _, err := s.Setting(bg, "a"); refused <- err }()
		}
		return set("b")(tx)
	})
	if problem.KindOf(first) != problem.Unavailable || errors.Is(first, postgres.ErrAway) {
		t.Errorf("the first to wait: %v", first)
	}
	for range waiting {
		if err := <-refused; !errors.Is(err, postgres.ErrAway) || problem.KindOf(err) != problem.Unavailable {
			t.Errorf("one that waited: %v", err)
		}
	}
	for range waiting {
		if err := s.InTx(bg, store.Relaxed, set("c")); !errors.Is(err, postgres.ErrAway) {
			t.Errorf("one that came later: %v", err)
		}
	}
	p.resume()
	if err := s.Back(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !there(t, s, "a") || there(t, s, "b") || there(t, s, "c") {
		t.Error("not as before")
	}
	if err := s.InTx(bg, store.Relaxed, set("d")); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// A connection that breaks while others have answers does not make the server one
// that is away.
func TestREL_R12_OneBrokenConnection(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	for range 10 {
		terminate(t, u)
		if err := s.InTx(bg, store.Relaxed, set("a")); err != nil {
			t.Fatalf("refused: %v", err)
		}
	}
}

// A socket on which a wait was in vain is closed, so that nothing waits on it again.
func TestREL_R12_OneWaitPerSocket(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	l := postgres.Limit(client, time.Millisecond)
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the first wait: %v", err)
	}
	for _, use := range []func([]byte) (int, error){l.Read, l.Write} {
		if _, err := use(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after it: %v, want a closed pipe", err)
		}
	}
}
