package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// Nodes that start at once on a new database make its schema once.
func TestREL_R24_NodesMigrateOneAtATime(t *testing.T) {
	u := pgtest.Empty(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			s, err := postgres.Open(bg, postgres.Options{URL: u})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	versions := lines(t, connect(t, "pgx", u), "SELECT version_id FROM schema_version ORDER BY id")
	if got := strings.Join(versions, " "); got != "0 1 2 3 4 5" {
		t.Errorf("versions %s", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	newer := pgtest.Database(t)
	pgtest.Exec(t, newer, "INSERT INTO schema_version (version_id, is_applied) VALUES (99999, true)")
	latin := pgtest.Empty(t)
	pgtest.Exec(t, latin, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
	t.Cleanup(func() { pgtest.Exec(t, newer, "DROP DATABASE latin") })
	u, err := url.Parse(latin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/latin"
	standby := pgtest.Database(t)
	pgtest.Exec(t, standby, "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = on'; END $$")
	for _, tt := range []struct{ name, url, want string }{
		{"no URL", "", "no URL"},
		{"no database", "postgres://nobody:secret-word@127.0.0.1:1/none", "connect"},
		{"newer schema", newer, "newer"},
		{"encoding", u.String(), "LATIN1"},
		{"what takes no writes", standby, "read only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := postgres.Open(bg, postgres.Options{URL: tt.url})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret-word") {
				t.Errorf("%v tells the password", err)
			}
		})
	}
}

// Only what may be lost with the machine does not wait for the disk, whatever
// the server's own setting is, which is told of if it is a weak one.
func TestREL_R01_Durability(t *testing.T) {
	for _, tt := range []struct{ server, durable string }{
		{"on", "on"}, {"off", "on"}, {"local", "on"}, {"remote_apply", "remote_apply"},
	} {
		u := pgtest.Database(t)
		pgtest.Exec(t, u, fmt.Sprintf(
			"DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = %s'; END $$", tt.server))
		var log bytes.Buffer
		s, err := postgres.Open(bg, postgres.Options{URL: u, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for d, want := range map[store.Durability]string{store.Lazy: "off", store.Relaxed: "off", store.Durable: tt.durable} {
			if got, err := s.Begun(d, "synchronous_commit"); err != nil || got != want {
				t.Errorf("server %s, durability %d: %s, want %s (%v)", tt.server, d, got, want, err)
			}
		}
		if told := strings.Contains(log.String(), "synchronous_commit"); told != (tt.server != tt.durable) {
			t.Errorf("server %s: log %q", tt.server, log.String())
		}
	}
}

func appended(t *testing.T, s store.Store, ids ...string) {
	t.Helper()
	err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error {
		for _, id := range ids {
			if err := tx.Append(audit.Row{ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func trail(t *testing.T, s store.Store) string {
	t.Helper()
	rows, err := s.AuditRows(context.Background(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

// Rows of one transaction keep their order, and those that were dumped from a
// server that had run for longer stay before those to come.
func TestAuditOrder(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	appended(t, s, "d", "c")
	appended(t, s, "b")
	want := "d c b"
	for range 3 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, u, "UPDATE audit SET seq = seq + (1::bigint << 40)")
		s = open(t, u)
		next := fmt.Sprintf("a%d", len(want))
		appended(t, s, next)
		want += " " + next
		if got := trail(t, s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A reader changes nothing, and reads no schema but its own.
func TestReadOnly(t *testing.T) {
	u, empty := pgtest.Database(t), pgtest.Empty(t)
	s := open(t, u)
	appended(t, s, "a")
	r, err := postgres.OpenReadOnly(bg, postgres.Options{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := r.UnsealedAudit(bg, 10); err != nil || len(rows) != 1 {
		t.Errorf("%v, %v", rows, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := postgres.OpenReadOnly(bg, postgres.Options{URL: empty}); err == nil || !strings.Contains(err.Error(), "nothing of Stile") {
		t.Errorf("of nothing: %v", err)
	}
	if tables := lines(t, connect(t, "pgx", empty), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"); len(tables) != 0 {
		t.Errorf("made %v", tables)
	}
	pgtest.Exec(t, u, "DELETE FROM schema_version WHERE version_id = 5")
	if _, err := postgres.OpenReadOnly(bg, postgres.Options{URL: u}); err == nil || !strings.Contains(err.Error(), "version 4") {
		t.Errorf("of an older one: %v", err)
	}
}
