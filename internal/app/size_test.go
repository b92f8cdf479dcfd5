package app_test

import (
	"bytes"
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
)

// A database with many people is backed up beside its engine, restored elsewhere
// and looked through: everybody is there, and nothing is found.
func TestREL_R25_AtSize(t *testing.T) {
	people := 2_000
	if os.Getenv("STILE_TEST_LONG") != "" {
		people = 1_000_000
	}
	e := startOn(t, "", limits())
	step := time.Now()
	lap := func(what string, more ...any) {
		t.Helper()
		t.Logf("%s: %.1f s%s", what, time.Since(step).Seconds(), fmt.Sprint(more...))
		step = time.Now()
	}
	seed(t, e.Store, people)
	lap(fmt.Sprintf("%d people with an address, a way to sign in and an audit row written", people))
	file := filepath.Join(t.TempDir(), "backup")
	var out bytes.Buffer
	err := app.Backup(t.Context(), config.Backup{Data: config.Data{Data: e.dir}, To: file}, &out)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	lap("backup beside the engine", ", ", info.Size()>>20, " MiB of a database of ", fileSize(t, e, "")>>20, " MiB")
	dir, _, place := empty(t, e, "")
	if err := app.Restore(t.Context(), config.Restore{From: file, To: place, MasterKeyFile: filepath.Join(dir, "master.key")}, &out); err != nil {
		t.Fatal(err)
	}
	lap("restore")
	verified(t, config.Data{Data: dir})
	lap("verify")
	r := startNode(t, app.Config{Dir: dir, PublicURL: e.url, Limits: limits()})
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

func seeded(n int) string { return fmt.Sprintf("seed%07d@example.com", n) }

// seed makes people who have proven their address.
func seed(t *testing.T, s store.Store, people int) {
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
	for n := 0; n < people; n += 1000 {
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
