package postgres_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/sqlite"
	"github.com/stile-id/stile/internal/store/transfer"
)

// many is more rows than are handed over at once.
const many = 1234

// crowded is a SQLite database with many rows in every table, of values that are
// easy to lose.
func crowded(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stile.db")
	s, err := sqlite.Open(bg, sqlite.Options{Path: path})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := sqlite.Snapshot(bg, path, false)
	if err != nil {
		t.Fatal(err)
	}
	tables := snapshot.Tables
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	db := connect(t, "sqlite", path)
	defer db.Close()
	for _, table := range tables {
		var names, values []string
		for _, c := range table.Columns {
			names = append(names, `"`+c.Name+`"`)
			switch {
			case table.Name == "audit" && c.Name == "seq": // higher ones would be another server's
				values = append(values, "value")
			case c.Type == transfer.Integer:
				values = append(values, "value * 1000000007")
			case c.Type == transfer.Bytes:
				values = append(values, "CASE value % 3 WHEN 0 THEN x'' WHEN 1 THEN x'00ff00' ELSE zeroblob(300) END")
			default: // in an order that a locale would have otherwise
				values = append(values, "CASE value % 2 WHEN 0 THEN 'ż' ELSE 'Z' END || value || char(9, 10, 0x1F451, 0xE9)")
			}
		}
		_, err := db.Exec(fmt.Sprintf("WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < %d) INSERT INTO %s (%s) SELECT %s FROM n",
			many, table.Name, strings.Join(names, ", "), strings.Join(values, ", ")))
		if err != nil {
			t.Fatalf("%s: %v", table.Name, err)
		}
	}
	return path
}

func copied(t *testing.T, from *transfer.Snapshot, err error) func(*transfer.Target, error) []transfer.Sum {
	return func(to *transfer.Target, terr error) []transfer.Sum {
		t.Helper()
		if err != nil || terr != nil {
			t.Fatal(err, terr)
		}
		sums, err := transfer.Copy(bg, from, to)
		if err == nil {
			err = to.Commit(bg)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Close(); err != nil {
			t.Error(err)
		}
		if err := from.Close(); err != nil {
			t.Error(err)
		}
		return sums
	}
}

// Every row of every table comes to PostgreSQL and back as it was.
func TestCopyKeepsEverything(t *testing.T) {
	path, u, back := crowded(t), pgtest.Empty(t), filepath.Join(t.TempDir(), "stile.db")
	from, err := sqlite.Snapshot(bg, path, true)
	first := copied(t, from, err)(postgres.Fill(bg, u))
	from, err = postgres.Snapshot(bg, u, true)
	second := copied(t, from, err)(sqlite.Create(bg, back))
	if d := cmp.Diff(first, second); d != "" {
		t.Error(d)
	}
	if want := len(sqliteSchema(t)); len(first) != want {
		t.Errorf("%d tables of %d", len(first), want)
	}
	hashes := map[string]bool{}
	for _, s := range first {
		hashes[s.Hash] = true
		if s.Rows != many {
			t.Errorf("%s: %d rows", s.Table, s.Rows)
		}
	}
	if len(hashes) != len(first) {
		t.Error("two tables have one hash")
	}
	for _, query := range []string{"SELECT * FROM users ORDER BY id", "SELECT * FROM audit ORDER BY seq"} {
		if d := cmp.Diff(lines(t, connect(t, "sqlite", path), query), lines(t, connect(t, "sqlite", back), query)); d != "" {
			t.Error(d)
		}
	}
}

// The audit log of another server stands in a copy before what comes there: no node has
// that to do when it starts.
func TestREL_R25_AuditPrecedesInTheCopy(t *testing.T) {
	path, u := crowded(t), pgtest.Empty(t)
	db := connect(t, "sqlite", path)
	const order = "SELECT id FROM audit ORDER BY seq"
	if _, err := db.Exec("UPDATE audit SET seq = seq + 1000000000000"); err != nil {
		t.Fatal(err)
	}
	want := lines(t, db, order)
	db.Close()
	from, err := sqlite.Snapshot(bg, path, true)
	copied(t, from, err)(postgres.Fill(bg, u))
	target := connect(t, "pgx", u)
	if d := cmp.Diff(want, lines(t, target, order)); d != "" {
		t.Error(d)
	}
	if late := lines(t, target, "SELECT count(*) FROM audit WHERE seq >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint << 12"); late[0] != "0" {
		t.Errorf("%s rows stand after those to come", late[0])
	}
}

// A target that has rows is refused, and one that cannot take a row is as it was.
func TestCopyAllOrNothing(t *testing.T) {
	path, u := crowded(t), pgtest.Database(t)
	pgtest.Exec(t, u, "ALTER TABLE users ADD CHECK (version < 1000000007000)")
	from, err := sqlite.Snapshot(bg, path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := postgres.Fill(bg, u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(bg, from, to); err == nil || !strings.Contains(err.Error(), "users: ") {
		t.Errorf("Copy: %v", err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	for table := range sqliteSchema(t) {
		if n := lines(t, connect(t, "pgx", u), "SELECT count(*) FROM "+table); n[0] != "0" {
			t.Errorf("%s rows stayed in %s", n[0], table)
		}
	}
	pgtest.Exec(t, u, "INSERT INTO settings VALUES ('a', 'b')")
	if _, err := postgres.Fill(bg, u); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Fill: %v", err)
	}
	if _, err := sqlite.Create(bg, path); err == nil || !strings.Contains(err.Error(), "use") {
		t.Errorf("Create: %v", err)
	}
}

// A node that starts while its database is copied acknowledges nothing that the copy
// lacks, and the copy fails.
func TestREL_R01_CopyIsAlone(t *testing.T) {
	u := pgtest.Database(t)
	from, err := postgres.Snapshot(bg, u, true)
	if err != nil {
		t.Fatal(err)
	}
	node, err := postgres.Open(bg, postgres.Options{URL: u, StatementTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	if err := node.InTx(bg, store.Durable, set("a")); problem.KindOf(err) != problem.Unavailable {
		t.Errorf("a write beside the copy: %v", err)
	}
	path := filepath.Join(t.TempDir(), "stile.db")
	to, err := sqlite.Create(bg, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(bg, from, to); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the copy: %v", err)
	}
	if err := errors.Join(to.Close(), from.Close()); err != nil {
		t.Error(err)
	}
	if err := node.InTx(bg, store.Durable, set("a")); err != nil {
		t.Errorf("a write after the copy: %v", err)
	}
	if _, err := postgres.Snapshot(bg, u, true); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("with a node connected: %v", err)
	}
	backup, err := postgres.Snapshot(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.InTx(bg, store.Durable, set("b")); err != nil {
		t.Errorf("a write beside a backup: %v", err)
	}
	if err := backup.Close(); err != nil {
		t.Error(err)
	}
}
