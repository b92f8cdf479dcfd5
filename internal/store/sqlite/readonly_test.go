package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite"
)

func set(value string) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.SetSetting("a", []byte(value)) }
}

func TestReadOnlyBesideTheOwner(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "stile.db")
	s := openStore(t, path)
	r, err := sqlite.OpenReadOnly(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"first", "second"} {
		if err := s.InTx(ctx, store.Relaxed, set(value)); err != nil {
			t.Fatal(err)
		}
		if v, err := r.Setting(ctx, "a"); err != nil || string(v) != value {
			t.Errorf("%q, %v; want %q", v, err, value)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(ctx, store.Relaxed, set("third")); err != nil {
		t.Errorf("after the reader has gone: %v", err)
	}
}

// A database that nobody has open, or whose owner was killed, is read and stays
// byte for byte as it is.
func TestReadOnlyChangesNothing(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "stile.db")
	s := openStore(t, path)
	if err := s.InTx(ctx, store.Relaxed, set("kept")); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "stile.db") // as the owner's death leaves it
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(killed+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"closed": path, "killed": killed} {
		t.Run(name, func(t *testing.T) {
			sums := func() (out [2][32]byte) {
				for i, suffix := range []string{"", "-wal"} {
					data, err := os.ReadFile(path + suffix)
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
					out[i] = sha256.Sum256(data)
				}
				return out
			}
			before := sums()
			r, err := sqlite.OpenReadOnly(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := r.Setting(ctx, "a"); err != nil || string(v) != "kept" {
				t.Errorf("%q, %v", v, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if sums() != before {
				t.Error("a file was changed")
			}
			again := openStore(t, path)
			if v, err := again.Setting(ctx, "a"); err != nil || string(v) != "kept" {
				t.Errorf("opened after it: %q, %v", v, err)
			}
		})
	}
}

func TestReadOnlyRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "stile.db")
	if _, err := sqlite.OpenReadOnly(context.Background(), missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it was made")
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenReadOnly(context.Background(), empty); err == nil {
		t.Error("a file without a schema was opened")
	}
}
