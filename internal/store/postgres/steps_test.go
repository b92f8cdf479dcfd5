package postgres_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	versions "github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/storetest"
)

func TestMain(m *testing.M) {
	migrations.Child()
	os.Exit(m.Run())
}

var migrations = storetest.Migrations{
	Files: os.DirFS("migrations"),
	Die:   "-- +goose StatementBegin\nDO $$ BEGIN RAISE NOTICE 'die'; END $$;\n-- +goose StatementEnd",
	Open: func(name string, files fs.FS) (storetest.Migrated, error) {
		config, err := pgx.ParseConfig(name)
		if err != nil {
			return nil, err
		}
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			if n.Message == "die" {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		s, err := postgres.SchemaOn(stdlib.OpenDB(*config))
		if err == nil {
			s.Migrations = files
		}
		return s, err
	},
	Dump: func(t *testing.T, name string) string {
		db := connect(t, "pgx", name)
		defer db.Close()
		all := lines(t, db, `
			SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name FROM information_schema.columns
			WHERE table_schema = 'public' ORDER BY 1, 2`)
		return strings.Join(append(all, lines(t, db, `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)...), "\n")
	},
}

func TestREL_R24_KilledInAStep(t *testing.T) {
	storetest.RunMigrations(t, migrations, pgtest.Empty(t))
}

// A step does not wait for a table longer than others may wait behind it, and
// changes nothing if it does not get it.
func TestREL_R24_HeldTable(t *testing.T) {
	u := pgtest.Database(t)
	s, err := postgres.OpenSchema(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	have, err := s.Version(bg)
	if err != nil {
		t.Fatal(err)
	}
	reader := connect(t, "pgx", u)
	tx, err := reader.Begin()
	if err == nil {
		_, err = tx.Exec("SELECT count(*) FROM transactions")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.DB.SetMaxOpenConns(1)
	if _, err := s.DB.Exec("SET lock_timeout = '10ms'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(bg, have-1, func(versions.Step) {}); err == nil || !s.Held(err) {
		t.Fatalf("beside a long transaction: %v", err)
	}
	if v, err := s.Version(bg); err != nil || v != have {
		t.Errorf("version %d, %v", v, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(bg, have-1, func(versions.Step) {}); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// A step back that would hold flows up for long is refused, before anything is
// changed and with the time from which it is not; the purge makes way for it.
func TestREL_R24_BackWaitsForOpenFlows(t *testing.T) {
	u := pgtest.Database(t)
	s, err := postgres.OpenSchema(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	have, err := s.Version(bg)
	if err != nil {
		t.Fatal(err)
	}
	end := noon.Add(time.Hour)
	fill := fmt.Sprintf(`INSERT INTO transactions SELECT 'tA' || lpad(i::text, 22, '0'), 'web', 1, %d, '\x00' FROM generate_series(1, 25001) i`, end.UnixMicro())
	if _, err := s.DB.Exec(fill); err != nil {
		t.Fatal(err)
	}
	says(t, s.Apply(bg, have-1, func(versions.Step) {}), "25001 flows lie in partitions")
	_, _, err = s.Plan(bg, have-1)
	says(t, err, end.Add(15*time.Minute).UTC().Format(time.RFC3339))
	if v, err := s.Version(bg); err != nil || v != have {
		t.Fatalf("version %d, %v", v, err)
	}
	node := open(t, u)
	if _, err := node.Purge(bg, end.Add(time.Second), 100_000); err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, s.Apply(bg, have-1, func(versions.Step) {}), "")
}

// Flows that begin after the step back was found to be short count as well.
func TestREL_R24_BackCountsLateFlows(t *testing.T) {
	s, err := postgres.OpenSchema(bg, pgtest.Database(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	have, err := s.Version(bg)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(from, to int) {
		t.Helper()
		fill := fmt.Sprintf(`INSERT INTO transactions SELECT 'tB' || lpad(i::text, 22, '0'), 'web', 1, %d, '\x00' FROM generate_series(%d, %d) i`,
			noon.Add(time.Hour).UnixMicro(), from, to)
		if _, err := s.DB.Exec(fill); err != nil {
			t.Fatal(err)
		}
	}
	begin(1, 25000)
	asked, ask := 0, s.Back
	s.Back = func(ctx context.Context, version int64) error {
		err := ask(ctx, version)
		if asked++; asked == 1 {
			says(t, err, "")
			begin(25001, 25001)
		}
		return err
	}
	says(t, s.Apply(bg, have-1, func(versions.Step) {}), "25001 flows lie in partitions")
	if v, err := s.Version(bg); err != nil || v != have {
		t.Fatalf("version %d, %v", v, err)
	}
	if n := lines(t, s.DB, "SELECT count(*) FROM transactions")[0]; n != "25001" {
		t.Errorf("%s flows are there", n)
	}
	if _, err := s.DB.Exec("DELETE FROM transactions WHERE id LIKE 'tB%25001'"); err != nil {
		t.Fatal(err)
	}
	says(t, s.Apply(bg, have-1, func(versions.Step) {}), "")
}

// What a program of version 5 writes to a partition while the step back begins is there
// afterwards.
func TestREL_R24_BackKeepsLateWrites(t *testing.T) {
	u := pgtest.Database(t)
	pgtest.Exec(t, u, `INSERT INTO transactions VALUES ('tB1', 'web', 1, 0, '\x00')`)
	s, err := postgres.OpenSchema(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// A session that knows the partition does not look at the table that it is of.
	node := connect(t, "pgx", u)
	if _, err := node.Exec("UPDATE transactions_b SET version = 1"); err != nil {
		t.Fatal(err)
	}
	writer, err := node.Begin()
	if err == nil {
		_, err = writer.Exec("UPDATE transactions_b SET version = 2")
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Apply(bg, 4, func(versions.Step) {}) }()
	watch := connect(t, "pgx", u)
	for waits := ""; waits != "1"; {
		waits = lines(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")[0]
	}
	if err := writer.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := lines(t, watch, "SELECT version FROM transactions"); len(got) != 1 || got[0] != "2" {
		t.Errorf("versions %v, want 2", got)
	}
}

// Nodes of two versions run side by side, one step apart and no more.
func TestREL_R24_OneVersionAway(t *testing.T) {
	u := pgtest.Database(t)
	newest := lines(t, connect(t, "pgx", u), "SELECT max(version_id) FROM schema_version")[0]
	for _, tt := range []struct{ name, change, want, reads string }{
		{"one newer", "INSERT INTO schema_version (version_id, is_applied) VALUES (" + newest + " + 1, true)", "", ""},
		{"two newer", "INSERT INTO schema_version (version_id, is_applied) VALUES (" + newest + " + 2, true)", "written by a newer one", "this program reads " + newest},
		{"two older", "DELETE FROM schema_version WHERE version_id > " + newest + " - 2", "run stile migrate", "this program reads " + newest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pgtest.Exec(t, u, tt.change)
			s, err := postgres.Open(bg, postgres.Options{URL: u})
			if err == nil {
				err = s.Close()
			}
			says(t, err, tt.want)
			r, err := postgres.OpenReadOnly(bg, postgres.Options{URL: u})
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
