//go:build unix

package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite/slowtest"
)

// A record is a log that goroutines write to.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// impatient opens a file without waiting for the look through it.
func impatient(path string) (Options, *record) {
	log := &record{}
	return Options{Path: path, QuickCheck: true, CheckWait: time.Nanosecond, Logger: slog.New(slog.NewTextHandler(log, nil))}, log
}

// A file of which the look through takes long is used meanwhile, and what is found
// then is told.
func TestREL_R05_FoundBesideItsUse(t *testing.T) {
	for _, sound := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "stile.db")
		open(t, path).Close()
		check := slowtest.Plant(t, path, 0)
		o, log := impatient(path)
		s, err := Open(bg, o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.InTx(bg, store.Durable, func(tx store.Tx) error { return tx.SetSetting("a", []byte("b")) }); err != nil {
			t.Errorf("a write meanwhile: %v", err)
		}
		if _, err := s.Setting(bg, "a"); err != nil {
			t.Errorf("a read meanwhile: %v", err)
		}
		check.End(sound)
		err = s.Examined(t.Context())
		if sound && (err != nil || !strings.Contains(log.String(), "nothing is damaged\" took=")) {
			t.Errorf("a sound file: %v\n%s", err, log)
		}
		if !sound && (err == nil || !strings.Contains(err.Error(), "the file is damaged: CHECK constraint failed in stile_test")) {
			t.Errorf("a damaged file: %v", err)
		}
		if !strings.Contains(log.String(), "looked through while it is used") {
			t.Errorf("the log has no word of it: %s", log)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Damage that was found beside its use is waited for at the next start: whoever starts
// the engine again each time would else serve a damaged file for good. Once the file is
// sound again nothing is waited for.
func TestREL_R05_FoundOnceIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	open(t, path).Close()
	check := slowtest.Plant(t, path, 0)
	o, _ := impatient(path)
	s, err := Open(bg, o)
	if err != nil {
		t.Fatal(err)
	}
	check.End(false)
	if err := s.Examined(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Fatalf("%v, want ErrDamaged", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	go check.End(false)
	if _, err := Open(bg, o); !errors.Is(err, ErrDamaged) {
		t.Fatalf("the next start: %v, want ErrDamaged", err)
	}
	go check.End(true)
	if s, err = Open(bg, o); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Examined(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marked(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still marked: %v", err)
	}
}

// What is found in time is refused, as ever.
func TestREL_R05_FoundBeforeItsUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	open(t, path).Close()
	check := slowtest.Plant(t, path, 0)
	go check.End(false)
	if _, err := Open(bg, Options{Path: path, QuickCheck: true, CheckWait: time.Hour}); err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("Open: %v", err)
	}
}

// A stop does not wait for the rest, which would take a quarter of an hour; nothing is
// found then, and the log is moved into the file as at every stop.
func TestREL_R05_StopBreaksItOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	open(t, path).Close()
	check := slowtest.Plant(t, path, 100_000)
	o, log := impatient(path)
	s, err := Open(bg, o)
	if err != nil {
		t.Fatal(err)
	}
	check.End(true) // it is in the middle
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Examined(t.Context()); err != nil {
		t.Errorf("broken off: %v", err)
	}
	if strings.Contains(log.String(), "nothing is damaged") {
		t.Errorf("it says more than is known: %s", log)
	}
	if left, _ := filepath.Glob(path + "-wal"); len(left) > 0 {
		t.Error("the log is left")
	}
	again, err := Open(bg, Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// A schema is not changed on top of damage: an upgrade waits for the whole look.
func TestREL_R05_UpgradeWaitsForIt(t *testing.T) {
	path := newest(t)
	version := func() (have, want int64) {
		s, err := OpenSchema(bg, path, true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		have, err = s.Version(bg)
		if err == nil {
			want, err = s.Newest()
		}
		if err != nil {
			t.Fatal(err)
		}
		return have, want
	}
	_, want := version()
	migrated(t, path, want-1, "")
	check := slowtest.Plant(t, path, 0)
	go check.End(false)
	o, _ := impatient(path)
	if _, err := Open(bg, o); err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("Open: %v", err)
	}
	if have, _ := version(); have != want-1 {
		t.Errorf("the schema has version %d, want %d as before", have, want-1)
	}
}
