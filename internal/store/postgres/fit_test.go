package postgres_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	versions "github.com/stile-id/stile/internal/store/schema"
)

// A node that runs notices where its schema is moved to: one version on it goes on,
// further away it writes nothing and says so once, and it is itself again when the
// schema is back.
func TestREL_R24_MovedUnderANode(t *testing.T) {
	u := pgtest.Database(t)
	var log bytes.Buffer
	s, err := postgres.Open(bg, postgres.Options{URL: u, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	newest := newest(t, u)
	writes := func() error {
		err := s.InTx(bg, store.Durable, set("a"))
		if _, purged := s.Purge(bg, noon, 10); problem.KindOf(purged) != problem.KindOf(err) {
			t.Errorf("the purge: %v, another write: %v", purged, err)
		}
		return err
	}
	told := log.Len() // what is to be said of the server
	for _, tt := range []struct {
		name, change, fit, log string
		refused                bool
	}{
		{"its own", "SELECT 1", "", "", false},
		{"one newer", fmt.Sprintf("INSERT INTO schema_version (version_id, is_applied) VALUES (%d, true)", newest+1), "", "one version newer", false},
		{"two newer", fmt.Sprintf("INSERT INTO schema_version (version_id, is_applied) VALUES (%d, true)", newest+2),
			fmt.Sprintf("has schema version %d, this program works on %d and %d: replace it by a newer one", newest+2, newest, newest+1), "level=ERROR", true},
		{"back", fmt.Sprintf("DELETE FROM schema_version WHERE version_id > %d", newest), "", "works on again", false},
		{"one older", fmt.Sprintf("DELETE FROM schema_version WHERE version_id = %d", newest), "run stile migrate", "level=ERROR", true},
	} {
		pgtest.Exec(t, u, tt.change)
		for range 2 { // what was said once is not said again
			says(t, s.Fit(bg), tt.fit)
		}
		err := writes()
		if (err != nil) != tt.refused || tt.refused && problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%s: writes: %v", tt.name, err)
		}
		there(t, s, "a") // reads go on
		news := log.String()[told:]
		told = log.Len()
		if want := min(len(tt.log), 1); strings.Count(news, "\n") != want || !strings.Contains(news, tt.log) {
			t.Errorf("%s: the log says %q, want %q", tt.name, news, tt.log)
		}
	}
}

// What a query looks for, and has been taken away under the node, is a database that
// does not serve at the moment, and no fault.
func TestREL_R24_TakenAwayUnderANode(t *testing.T) {
	for _, change := range []string{"ALTER TABLE settings RENAME TO gone", "ALTER TABLE settings RENAME COLUMN value TO gone"} {
		u := pgtest.Database(t)
		s := open(t, u)
		if err := s.InTx(bg, store.Durable, set("a")); err != nil || !there(t, s, "a") { // by statements that are prepared
			t.Fatal(err)
		}
		pgtest.Exec(t, u, change)
		_, err := s.Setting(bg, "a")
		for _, err := range []error{err, s.InTx(bg, store.Durable, set("b"))} {
			if problem.KindOf(err) != problem.Unavailable {
				t.Errorf("%s: %v", change, err)
			}
		}
	}
}

func newest(t *testing.T, u string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(lines(t, connect(t, "pgx", u), "SELECT max(version_id) FROM schema_version")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// as is the database, connected to under a name.
func as(t *testing.T, u, name string) string {
	t.Helper()
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	q := parsed.Query()
	q.Set("application_name", name)
	parsed.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx reads no plus
	return parsed.String()
}

// A step that connected nodes could not live with is refused, back and forward, by
// stile migrate and by the first node of a new version, and says which nodes they are.
func TestREL_R24_StepsAskConnectedNodes(t *testing.T) {
	u := pgtest.Database(t)
	have := newest(t, u)
	s, err := postgres.OpenSchema(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to := func(version int64) error { return s.Apply(bg, version, func(versions.Step) {}) }
	at := func(want int64) {
		t.Helper()
		if v, err := s.Version(bg); err != nil || v != want {
			t.Fatalf("version %d, %v; want %d", v, err, want)
		}
	}
	// Who is no engine, or of the version before, or of another database, does not count.
	for _, name := range []string{"stile", "stile migrate", "stiletto/5", fmt.Sprintf("my stile/%d", have), fmt.Sprintf("stile/%d", have-1)} {
		if _, err := connect(t, "pgx", as(t, u, name)).Exec("SELECT 1"); err != nil {
			t.Fatal(err)
		}
	}
	open(t, pgtest.Database(t))
	node := open(t, as(t, u, "blue"))
	if err := node.Fit(bg); err != nil { // which connects
		t.Fatal(err)
	}
	want := fmt.Sprintf("do not work on schema version %d: stile/%d blue (connections: 1); replace or stop them first", have-1, have)
	says(t, to(have-1), want)
	_, _, err = s.Plan(bg, have-1)
	says(t, err, want)
	at(have)
	if err := node.InTx(bg, store.Durable, set("a")); err != nil {
		t.Errorf("the node after the refusal: %v", err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, to(have-1), "")
	at(have - 1)

	older := connect(t, "pgx", as(t, u, fmt.Sprintf("stile/%d green", have-2)))
	if _, err := older.Exec("SELECT 1"); err != nil {
		t.Fatal(err)
	}
	want = fmt.Sprintf("do not work on schema version %d: stile/%d green (connections: 1)", have, have-2)
	says(t, to(have), want)
	_, err = postgres.Open(bg, postgres.Options{URL: u})
	says(t, err, want)
	at(have - 1)
	s.Connected = nil // --despite-nodes
	says(t, to(have), "")
	at(have)
}
