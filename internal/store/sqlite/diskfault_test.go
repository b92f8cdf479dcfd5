//go:build linux && (amd64 || arm64)

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
)

// Each call of the file system fails once: without room, with an I/O error, or half
// done. What was acknowledged is there, what was refused is not, the store goes on
// by itself, and the file is whole.
func TestREL_R14_EachCallFails(t *testing.T) {
	const most = 2000
	step, long := int64(131), os.Getenv("STILE_TEST_LONG") != ""
	if long {
		step = 1
	}
	if testing.Short() {
		t.Skip("left out with -short") // C's memory is not the race detector's
	}
	template := filepath.Join(t.TempDir(), "stile.db")
	s, err := Open(bg, Options{Path: template})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	install(t)
	runs, notOpened, refused := 0, 0, 0
	for _, f := range []fault{fullDisk, badDisk, shortDisk} {
		for n := int64(1); n <= most && !t.Failed(); n += step {
			runs++
			r := &faultRun{t: t, path: filepath.Join(t.TempDir(), "stile.db"), name: fmt.Sprintf("fault %d at call %d", f, n)}
			if err := os.WriteFile(r.path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			arm(f, n)
			opened := r.work()
			disarm()
			r.look()
			if !opened {
				notOpened++
			}
			refused += len(r.refused)
			os.RemoveAll(filepath.Dir(r.path))
		}
	}
	t.Logf("%d runs: %d were not opened, %d transactions were refused; nothing was lost", runs, notOpened, refused)
	if refused == 0 || notOpened == 0 {
		t.Error("no fault had an effect")
	}
}

// A faultRun is one database of which one call of the file system fails.
type faultRun struct {
	t              *testing.T
	path, name     string
	done           []string // acknowledged
	refused, maybe []string
}

func (r *faultRun) write(s *Store, id string, d store.Durability) error {
	err := s.InTx(bg, d, func(tx store.Tx) error {
		return tx.InsertTransaction(flow.Row{ID: id, Version: 1, Data: make([]byte, 20_000)})
	})
	switch {
	case err == nil:
		r.done = append(r.done, id)
	case errors.Is(err, store.ErrUnknown):
		r.maybe = append(r.maybe, id)
	default:
		r.refused = append(r.refused, id)
		if problem.KindOf(err) != problem.Unavailable {
			r.t.Errorf("%s: write: %v, want a refusal of kind unavailable", r.name, err)
		}
	}
	return err
}

// work writes and reads until the fault is over, and then once more.
func (r *faultRun) work() (opened bool) {
	s, err := Open(bg, Options{Path: r.path, Readers: 1})
	if err != nil {
		if !fired() {
			r.t.Errorf("%s: open: %v", r.name, err)
		}
		return false
	}
	for i := 0; !fired(); i++ {
		_ = r.write(s, fmt.Sprint(i), store.Relaxed+store.Durability(i%2))
		if i%4 == 0 && len(r.done) > 0 {
			if _, err := s.Transaction(bg, r.done[0]); err != nil && problem.KindOf(err) != problem.Unavailable {
				r.t.Errorf("%s: read: %v", r.name, err)
			}
		}
		if i == 5000 {
			r.t.Fatalf("%s: it was not made", r.name)
		}
	}
	if err := r.write(s, "after", store.Durable); err != nil {
		r.t.Errorf("%s: once it is over: %v", r.name, err)
	}
	r.holds(s)
	if err := s.Close(); err != nil {
		r.t.Errorf("%s: close: %v", r.name, err)
	}
	return true
}

// look opens the file as the next process does.
func (r *faultRun) look() {
	s, err := Open(bg, Options{Path: r.path, QuickCheck: true, Readers: 1})
	if err != nil {
		r.t.Errorf("%s: opened again: %v", r.name, err)
		return
	}
	defer s.Close()
	r.holds(s)
}

// holds looks for what was lost, and for what is there though it was refused.
func (r *faultRun) holds(s *Store) {
	for _, id := range r.done {
		if _, err := s.Transaction(bg, id); err != nil {
			r.t.Errorf("%s: %s was acknowledged: %v", r.name, id, err)
		}
	}
	for _, id := range r.refused {
		if _, err := s.Transaction(bg, id); !errors.Is(err, store.ErrNotFound) {
			r.t.Errorf("%s: %s was refused, and is there: %v", r.name, id, err)
		}
	}
}

// A full disk refuses writes and nothing else, and a stop on it loses nothing: what is
// not in the file yet is in the log, which is read at the next start.
func TestREL_R14_StopOnAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short") // C's memory is not the race detector's
	}
	install(t)
	r := &faultRun{t: t, name: "full", path: filepath.Join(t.TempDir(), "stile.db")}
	s, err := Open(bg, Options{Path: r.path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := r.write(s, fmt.Sprint("before", i), store.Durable); err != nil {
			t.Fatal(err)
		}
	}
	faulty.full.Store(true)
	for i := range 20 {
		if err := r.write(s, fmt.Sprint("full", i), store.Durable); err == nil {
			t.Error("written on a full disk")
		}
	}
	r.holds(s)
	if err := s.Close(); err != nil {
		t.Logf("it says: %v", err)
	}
	disarm()
	r.look()
}
