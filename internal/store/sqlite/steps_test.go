package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	driverlib "modernc.org/sqlite"

	"github.com/stile-id/stile/internal/store/sqlite"
	"github.com/stile-id/stile/internal/store/storetest"
)

func init() {
	driverlib.MustRegisterScalarFunction("stile_die", 0, func(*driverlib.FunctionContext, []driver.Value) (driver.Value, error) {
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
}

var migrations = storetest.Migrations{
	Files: os.DirFS("migrations"), Die: "SELECT stile_die();",
	Open: func(name string, files fs.FS) (storetest.Migrated, error) {
		s, err := sqlite.OpenSchema(context.Background(), name, false)
		if err == nil {
			s.Migrations = files
		}
		return s, err
	},
	Dump: func(t *testing.T, name string) string {
		db, err := sql.Open("sqlite", name)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		return column(t, db, "SELECT sql FROM sqlite_schema WHERE sql <> '' ORDER BY name")
	},
}

func column(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestREL_R24_KilledInAStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	storetest.RunMigrations(t, migrations, path)
}

// A file that an engine has open is looked at, and not touched.
func TestREL_R24_NoMigrationBesideAnEngine(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "stile.db")
	openStore(t, path)
	if _, err := sqlite.OpenSchema(ctx, path, false); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("OpenSchema: %v, want ErrInUse", err)
	}
	s, err := sqlite.OpenSchema(ctx, path, true)
	if err != nil {
		t.Fatal(err)
	}
	if have, steps, err := s.Plan(ctx, 0); err != nil || have == 0 || len(steps) != 0 {
		t.Errorf("plan: %d, %v, %v", have, steps, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Nodes of two versions run side by side, one step apart and no more.
func TestREL_R24_OneVersionAway(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "stile.db")
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	newest := column(t, db, "SELECT max(version_id) FROM schema_version")
	for _, tt := range []struct{ name, change, want, reads string }{
		{"one newer", "INSERT INTO schema_version (version_id, is_applied) VALUES (" + newest + " + 1, 1)", "", ""},
		{"two newer", "INSERT INTO schema_version (version_id, is_applied) VALUES (" + newest + " + 2, 1)", "written by a newer one", "this program reads " + newest},
		{"two older", "DELETE FROM schema_version WHERE version_id > " + newest + " - 2", "run stile migrate", "this program reads " + newest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := db.Exec(tt.change); err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
			if err == nil {
				err = s.Close()
			}
			says(t, err, tt.want)
			r, err := sqlite.OpenReadOnly(ctx, path)
			if err == nil {
				err = r.Close()
			}
			says(t, err, tt.reads)
		})
	}
}

// says fails the test if err does not say what is wanted; "" is no error.
func says(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
