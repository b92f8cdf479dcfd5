package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// connected is a connection of a test's own, with the statements run on it.
func connected(t *testing.T, url string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(s, err)
		}
	}
	return db
}

// killedWaiting runs a command until it waits for a lock in a database, and kills it.
func killedWaiting(t *testing.T, url, args string) {
	t.Helper()
	c := command(t.Context(), strings.Fields(args)...)
	var says strings.Builder
	c.Stderr = &says
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	watch := connected(t, url)
	waits := 0
	for range 3000 {
		err := watch.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'stile transfer' AND wait_event_type = 'Lock'").Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		if waits > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond) // another process, seen by the server alone
	}
	if err := c.Process.Kill(); err != nil || waits == 0 {
		t.Errorf("stile %s: it did not come to wait: %v, %s", args, err, says.String())
	}
	_ = c.Wait()
}

// A copy that was killed half-way has left nothing that an engine would take for
// a database, and is begun again.
func TestREL_R24_CopyKilled(t *testing.T) {
	dir := t.TempDir()
	engine(t, dir, "one", "two")()
	u := pgtest.Database(t)
	holder := connected(t, u, `
		CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
		CREATE TRIGGER wait BEFORE INSERT ON settings FOR EACH ROW EXECUTE FUNCTION wait()`,
		"SELECT pg_advisory_lock(42)")
	killedWaiting(t, u, "copy --from sqlite:"+dir+" --to "+u)
	if _, err := holder.Exec("SELECT pg_advisory_unlock(42)"); err != nil {
		t.Fatal(err)
	}
	connected(t, u, "BEGIN; LOCK TABLE clients IN EXCLUSIVE MODE; COMMIT") // once the server has seen the end of it
	var rows int
	if err := holder.QueryRow("SELECT (SELECT count(*) FROM clients) + (SELECT count(*) FROM audit)").Scan(&rows); err != nil || rows > 0 {
		t.Errorf("%d rows stayed, %v", rows, err)
	}
	stile(t, "copy --from sqlite:"+dir+" --to "+u, `clients +2 +\w+`, `Copied \d+ rows; both sides hold the same\.`)

	// To read the settings takes the lock, for whom row level security holds.
	for _, statement := range []string{
		"CREATE ROLE copy_killed LOGIN", "GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO copy_killed",
		"CREATE FUNCTION held() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN true; END'",
		"ALTER TABLE settings ENABLE ROW LEVEL SECURITY", "CREATE POLICY held ON settings USING (held())", "SELECT pg_advisory_lock(42)",
	} {
		if _, err := holder.Exec(statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	t.Cleanup(func() { pgtest.Exec(t, u, "DROP OWNED BY copy_killed; DROP ROLE copy_killed") }) // roles are of the whole server
	back := t.TempDir()
	killedWaiting(t, u, "copy --from "+strings.Replace(u, "user=stile", "user=copy_killed", 1)+" --to sqlite:"+back)
	if _, err := holder.Exec("SELECT pg_advisory_unlock(42)"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(back, "stile.db")); err == nil {
		t.Error("there is a database")
	}
	if _, err := os.Stat(filepath.Join(back, "stile.db.incomplete")); err != nil {
		t.Error("nothing says that it is incomplete:", err)
	}
	stile(t, "copy --from "+u+" --to sqlite:"+back, `clients +2 +\w+`)
	if left, _ := filepath.Glob(filepath.Join(back, "*incomplete*")); len(left) > 0 {
		t.Error(left)
	}
}
