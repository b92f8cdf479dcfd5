package sqlite

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/store/sqlstore"
)

var update = flag.Bool("update", false, "rewrite testdata")

func openTest(t *testing.T) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{Path: filepath.Join(t.TempDir(), "stile.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func rows(t *testing.T, c *sql.Conn, query string, args ...any) [][]string {
	t.Helper()
	r, err := c.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer r.Close()
	columns, err := r.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for r.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		out = append(out, row)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// The schema as it is read from a database. A change of it is a migration.
func TestSchema(t *testing.T) {
	c := openTest(t).writer.conn
	var b strings.Builder
	for _, table := range rows(t, c, `
		SELECT name, strict, wr FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'schema_version' ORDER BY name`) {
		name := table[0]
		fmt.Fprint(&b, name)
		if table[1] == "1" {
			fmt.Fprint(&b, " strict")
		}
		if table[2] == "1" {
			fmt.Fprint(&b, " without-rowid")
		}
		fmt.Fprintln(&b)
		for _, col := range rows(t, c, `SELECT name, type, "notnull", pk FROM pragma_table_info($1)`, name) {
			fmt.Fprintf(&b, "  %s %s", col[0], col[1])
			if col[2] == "1" {
				fmt.Fprint(&b, " not null")
			}
			if col[3] != "0" {
				fmt.Fprint(&b, " key ", col[3])
			}
			fmt.Fprintln(&b)
		}
		for _, index := range rows(t, c, `SELECT name, "unique", partial FROM pragma_index_list($1) ORDER BY name`, name) {
			fmt.Fprint(&b, "  index")
			if index[1] == "1" {
				fmt.Fprint(&b, " unique")
			}
			if index[2] == "1" {
				fmt.Fprint(&b, " partial")
			}
			for _, col := range rows(t, c, `SELECT name FROM pragma_index_info($1)`, index[0]) {
				fmt.Fprint(&b, " ", col[0])
			}
			fmt.Fprintln(&b)
		}
		for _, fk := range rows(t, c, `SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list($1)`, name) {
			fmt.Fprintln(&b, "  foreign key", strings.Join(fk, " "))
		}
	}
	golden := filepath.Join("testdata", "schema.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the schema differs from %s (-want +got)\n%s", golden, d)
	}
}

// Every query compiles, and none goes through a table that grows with use.
func TestQueries(t *testing.T) {
	c := openTest(t).writer.conn
	whole := []string{"clients", "signing_keys"} // read as a whole, and small
	for _, q := range sqlstore.Queries(dialect) {
		s, err := c.PrepareContext(context.Background(), q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		s.Close()
		for _, step := range rows(t, c, "EXPLAIN QUERY PLAN "+q, make([]any, 20)[:strings.Count(q, "$")]...) {
			table, scan := strings.CutPrefix(step[3], "SCAN ")
			table, _, _ = strings.Cut(table, " ")
			page := table == "audit" && strings.Contains(q, "ORDER BY seq LIMIT")
			if strings.Contains(q, "not_before <= $1") && strings.Contains(step[3], "outbox_end") {
				t.Errorf("%s\n%s: that is every message of late", q, step[3])
			}
			if strings.Contains(q, "UPDATE audit SET position") && strings.Contains(step[3], "audit_unsealed") {
				t.Errorf("%s\n%s: each row without a position is compared with each of the list", q, step[3])
			}
			rare := strings.Contains(q, "WHERE client_id = $1")                            // an operator has switched an app off
			none := step[3] == "SCAN CONSTANT ROW" || table == "picked" || table == "list" // of no table
			if scan && !page && !rare && !none && !slices.Contains(whole, table) {
				t.Errorf("%s\n%s", q, step[3])
			}
		}
	}
}

func TestMigrationsAreRepeatable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	var versions [][]string
	for range 3 {
		s, err := Open(context.Background(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, rows(t, s.writer.conn, "SELECT count(*), max(version_id) FROM schema_version")...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(versions[0], versions[2]); d != "" {
		t.Error(d)
	}
}
