package app_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// REL R-25: a database with many people is backed up beside its engine, restored elsewhere
// and looked through: everybody is there, and nothing is found.
func TestREL_R25_AtSize(t *testing.T) { onBoth(t, backedUpAtSize) }

func backedUpAtSize(t *testing.T, database string) {
	people := 2_000
	if os.Getenv("STILE_TEST_LONG") != "" {
		people = 1_000_000
	}
	e := startOn(t, database, limits())
	step := time.Now()
	lap := func(what string, more ...any) {
		t.Helper()
		t.Logf("%s: %.1f s%s", what, time.Since(step).Seconds(), fmt.Sprint(more...))
		step = time.Now()
	}
	if database == "" {
		seed(t, e.Store, 0, people)
	} else {
		seed(t, e.Store, 0, 1)
		multiply(t, database, people)
	}
	lap(fmt.Sprintf("%d people with an address, a way to sign in and an audit row written", people))
	file := filepath.Join(t.TempDir(), "backup")
	var out bytes.Buffer
	err := app.Backup(t.Context(), config.Backup{Data: config.Data{Data: e.dir, Database: database}, To: file}, &out)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	lap("backup beside the engine", ", ", info.Size()>>20, " MiB of a database of ", size(t, e, database)>>20, " MiB")
	dir, elsewhere, place := empty(t, e, database)
	if err := app.Restore(t.Context(), config.Restore{From: file, To: place, MasterKeyFile: filepath.Join(dir, "master.key")}, &out); err != nil {
		t.Fatal(err)
	}
	lap("restore")
	verified(t, config.Data{Data: dir, Database: elsewhere})
	lap("verify")
	r := startNode(t, app.Config{Dir: dir, Database: elsewhere, PublicURL: e.url, Limits: limits()})
	r.client = e.client
	lap("start")
	for _, n := range []int{0, people / 2, people - 1} {
		a, err := r.Store.AccountByAddress(t.Context(), seeded(n))
		if err != nil || len(a.Enrollments) != 1 {
			t.Errorf("%s: %+v, %v", seeded(n), a, err)
		}
	}
	if _, err := r.signUp(t.Context(), "new@example.com"); err != nil {
		t.Error(err)
	}
}

// size is what a database takes on the disk.
func size(t *testing.T, e *engine, database string) (bytes int64) {
	t.Helper()
	if database == "" {
		return fileSize(t, e, "")
	}
	db, err := sql.Open("pgx", database)
	if err == nil {
		err = errors.Join(db.QueryRowContext(t.Context(), "SELECT pg_database_size(current_database())").Scan(&bytes), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func seeded(n int) string { return fmt.Sprintf("seed%07d@example.com", n) }

// multiply makes people of the one who is there. Their rows of the audit log have numbers
// as of another server.
func multiply(t *testing.T, database string, people int) {
	t.Helper()
	const number, address = "lpad(n::text, 22, '0')", "'seed' || lpad(n::text, 7, '0') || '@example.com'"
	first, last := fmt.Sprintf("%022d", 0), people-1
	pgtest.Multiply(t, database, "users", "00u"+first, last, "'id', '00u' || "+number+", 'email', "+address+", 'canonical', "+address)
	pgtest.Multiply(t, database, "enrollments", "eae"+first, last, "'id', 'eae' || "+number+", 'user_id', '00u' || "+number)
	pgtest.Multiply(t, database, "audit", "ae"+first, last,
		"'id', 'ae' || "+number+", 'seq', (1::bigint << 50) + n, 'events', replace(r.events, '00u"+first+"', '00u' || "+number+")")
}

// seed makes people who have proven their address.
func seed(t *testing.T, s store.Store, from, people int) {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond)
	one := func(tx store.Tx, n int) error {
		id := fmt.Sprintf("00u%022d", n) // in order: random ones write the log of SQLite full
		err := tx.InsertUser(directory.User{
			ID: id, Version: 1, Status: directory.Active, Email: seeded(n), Canonical: seeded(n), FirstName: "Ada", LastName: "Lovelace",
			EmailVerifiedAt: at, CreatedAt: at, UpdatedAt: at,
		})
		if err == nil {
			err = tx.InsertEnrollment(directory.Enrollment{
				ID: fmt.Sprintf("eae%022d", n), UserID: id, Version: 1, Authenticator: "okta_email", Credential: make([]byte, 120), CreatedAt: at,
			})
		}
		if err == nil {
			err = tx.Append(audit.Row{ID: fmt.Sprintf("ae%022d", n), At: at, Events: []audit.Event{
				{Type: "user.lifecycle.create", Outcome: audit.Success, Actor: id, Target: id, At: at},
			}})
		}
		return err
	}
	for n := from; n < people; n += 1000 {
		err := s.InTx(t.Context(), store.Relaxed, func(tx store.Tx) error {
			for i := n; i < min(n+1000, people); i++ {
				if err := one(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
