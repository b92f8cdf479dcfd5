package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite"
	"github.com/stile-id/stile/internal/store/storetest"
)

func openStore(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return openStore(t, filepath.Join(t.TempDir(), "stile.db"))
	})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	storetest.RunReopen(t, func(t *testing.T, name string) store.Store {
		return openStore(t, filepath.Join(dir, name))
	})
}

func TestREL_R13_SecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	s := openStore(t, path)
	_, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if !errors.Is(err, sqlite.ErrInUse) {
		t.Fatalf("second Open: %v, want ErrInUse", err)
	}
	if !strings.Contains(err.Error(), "process ") || !strings.Contains(err.Error(), path) {
		t.Errorf("%q does not say who has which file", err)
	}
	if err := s.InTx(context.Background(), store.Durable, func(tx store.Tx) error { return tx.SetSetting("a", nil) }); err != nil {
		t.Errorf("the first one after it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, path)
}

// Somebody's shell may hold the write lock for a moment: writers wait for it.
func TestREL_R13_ForeignLock(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "stile.db")
	s := openStore(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	foreign, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if _, err := foreign.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- s.InTx(ctx, store.Durable, func(tx store.Tx) error { return tx.SetSetting("a", []byte("b")) })
	}()
	if _, err := s.Setting(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a reader meanwhile: %v", err)
	}
	if _, err := foreign.ExecContext(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if v, err := s.Setting(ctx, "a"); err != nil || string(v) != "b" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes") // Windows keeps files apart by access lists, which Go does not show as modes
	}
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	path := filepath.Join(dir, "stile.db")
	check := func() {
		t.Helper()
		for p, want := range map[string]fs.FileMode{
			filepath.Join(root, "a"): 0o700, dir: 0o700, path: 0o600,
			path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
		} {
			info, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", filepath.Base(p), info.Mode().Perm(), want)
			}
		}
	}
	set := func(tx store.Tx) error { return tx.SetSetting("a", nil) }
	s := openStore(t, path)
	if err := s.InTx(context.Background(), store.Relaxed, set); err != nil {
		t.Fatal(err)
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path)
	if err := s.InTx(context.Background(), store.Relaxed, set); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestPathIsNotAURI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b=c&_pragma=x#d%41 ü'.db")
	s := openStore(t, path)
	if err := s.InTx(context.Background(), store.Relaxed, func(tx store.Tx) error { return tx.SetSetting("a", nil) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setting(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	if err := openStore(t, newer).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO schema_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	db.Close()

	for _, tt := range []struct{ name, path, want string }{
		{"no path", "", "no path"},
		{"no database", write("text", strings.Repeat("not a database ", 100)), "not a database"},
		{"a directory", dir, "directory"},
		{"newer schema", newer, "newer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sqlite.Open(context.Background(), sqlite.Options{Path: tt.path})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, want %q", err, tt.want)
			}
			_, err = sqlite.Open(context.Background(), sqlite.Options{Path: tt.path})
			if errors.Is(err, sqlite.ErrInUse) {
				t.Error("a failed Open keeps the lock")
			}
		})
	}
}

func TestREL_R05_QuickCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	s := openStore(t, path)
	err := s.InTx(context.Background(), store.Relaxed, func(tx store.Tx) error {
		for i := range int64(200) {
			if err := tx.InsertTransaction(transaction(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	check := sqlite.Options{Path: path, QuickCheck: true}
	s, err = sqlite.Open(context.Background(), check)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+8192; i++ {
		b[i] = 0xff
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(context.Background(), check); err == nil {
		t.Error("damage was not noticed")
	}
}

// REL R-16: a stopped process leaves one file with everything in it.
func TestREL_R16_CloseEmptiesTheLog(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "stile.db")
	s := openStore(t, path)
	if err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error { return tx.SetSetting("a", nil) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setting(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s after Close: %v", suffix, err)
		}
	}
}
