//go:build linux && (amd64 || arm64)

package sqlite

import (
	"database/sql"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/internal/store/transfer"
)

// temporary returns where SQLite's temporary files were made since.
func temporary(t *testing.T) (folders func() []string) {
	t.Helper()
	install(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Error(err)
		}
		for _, f := range open {
			to, err := os.Readlink("/proc/self/fd/" + f.Name())
			if err == nil && strings.HasSuffix(to, " (deleted)") { // one of the list's own may be closed
				seen[filepath.Dir(to)] = true
			}
		}
	}
	faulty.temp.Store(&look)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(maps.Keys(seen))
	}
}

// An index that is too large for memory is sorted in files beside the database, which
// are gone when it is there.
func TestFillingSortsBesideTheFile(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short") // C's memory is not the race detector's
	}
	ctx := t.Context()
	defer func(n int) { fillCache = n }(fillCache)
	fillCache = 64
	from := filepath.Join(t.TempDir(), "stile.db")
	db, err := sql.Open("sqlite", dsn(from, nil))
	if err == nil {
		err = schemaOf(db, slog.New(slog.DiscardHandler)).Ready(ctx)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, `
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
			INSERT INTO counters SELECT printf('%0100d', i), x'00', i * 7919 % 30000 FROM n`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	source, err := Snapshot(ctx, from, true)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()

	dir := filepath.Join(t.TempDir(), "it's (here)")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	folders := temporary(t)
	target, err := Create(ctx, filepath.Join(dir, "stile.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = transfer.Copy(ctx, source, target); err == nil {
		err = target.Commit(ctx)
	}
	if err := errors.Join(err, target.Close()); err != nil {
		t.Fatal(err)
	}
	if got := folders(); !slices.Equal(got, []string{dir}) {
		t.Errorf("it was sorted in %q", got)
	}
	var names []string
	left, err := os.ReadDir(dir)
	for _, f := range left {
		names = append(names, f.Name())
	}
	if want := []string{"stile.db", "stile.db.lock"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("what is left is %q, %v", names, err)
	}
}
