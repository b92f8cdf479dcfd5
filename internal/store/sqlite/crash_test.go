package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite"
)

const crashPath = "STILE_TEST_CRASH_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		fmt.Fprintln(os.Stderr, signUpUntilKilled(path))
		os.Exit(1)
	}
	migrations.Child()
	os.Exit(m.Run())
}

// signUpUntilKilled writes users, each with an enrollment and an audit row, and
// says their ids once they are acknowledged.
func signUpUntilKilled(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				id := directory.NewID("00u")
				d := []store.Durability{store.Relaxed, store.Durable}[i%2]
				err := s.InTx(ctx, d, func(tx store.Tx) error {
					if err := tx.InsertUser(directory.User{ID: id, Version: 1, Canonical: id}); err != nil {
						return err
					}
					if err := tx.InsertEnrollment(directory.Enrollment{ID: id, UserID: id, Version: 1}); err != nil {
						return err
					}
					return tx.Append(audit.Row{ID: id, At: start, Events: []audit.Event{{Target: id}}})
				})
				if err != nil {
					failed <- err
				}
				fmt.Println(id)
			}
		}()
	}
	return <-failed
}

// A process that is killed loses nothing that it has acknowledged, relaxed or
// durable, and leaves nothing half done; its lock goes with it.
func TestREL_R01_Kill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	acknowledged := 0
	for range rounds {
		ids := killed(t, path, 1+rand.IntN(150))
		acknowledged += len(ids)
		s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, QuickCheck: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			whole(t, s, id)
		}
		trail, err := s.AuditRows(context.Background(), "", 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range trail {
			whole(t, s, row.ID)
		}
		if len(trail) < acknowledged {
			t.Errorf("%d audit rows, %d acknowledged users", len(trail), acknowledged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged users over %d kills", acknowledged, rounds)
}

func whole(t *testing.T, s *sqlite.Store, id string) {
	t.Helper()
	a, err := s.AccountByAddress(context.Background(), id)
	if err != nil || a.ID != id || len(a.Enrollments) != 1 {
		t.Fatalf("user %s: %+v, %v", id, a, err)
	}
}

// killed runs a child until it has acknowledged n ids, kills it, and returns all
// that it has acknowledged.
func killed(t *testing.T, path string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), crashPath+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a line without its end was not said
		}
		if ids = append(ids, strings.TrimSpace(line)); len(ids) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	if len(ids) < n {
		t.Fatalf("the child ended after %d of %d ids", len(ids), n)
	}
	return ids
}
