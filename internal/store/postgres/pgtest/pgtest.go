// Package pgtest gives tests databases of a PostgreSQL server of their own.
//
// The first that needs one starts it: one for each test binary, on a Unix socket
// in a temporary folder, forcing nothing to disk. It ends with the binary,
// however that ends.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"github.com/stile-id/stile/internal/store/postgres"
)

// errAbsent is why tests are left out.
var errAbsent = errors.New("no PostgreSQL: neither PATH nor /usr/lib/postgresql has initdb and pg_ctl")

// cluster is the server, started once.
var cluster = sync.OnceValues(func() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	return launch(bin)
})

// template is the name of a database with the schema, made once.
var template = sync.OnceValues(func() (string, error) {
	s, err := cluster()
	if err != nil {
		return "", err
	}
	const name = "stile_template"
	if err := s.exec(`CREATE DATABASE ` + name + ` TEMPLATE template0`); err != nil {
		return "", err
	}
	db, err := postgres.Open(context.Background(), postgres.Options{URL: s.url(name), Connections: 1})
	if err != nil {
		return "", err
	}
	return name, db.Close() // else it cannot be copied
})

// Database returns the URL of a database with the current schema and no rows,
// which goes with the test.
func Database(t testing.TB) string {
	t.Helper()
	name, err := template()
	url, drop := create(t, name, err)
	t.Cleanup(drop)
	return url
}

// Lasting is Database, but the database goes with the test binary.
func Lasting(t testing.TB) string {
	t.Helper()
	name, err := template()
	url, _ := create(t, name, err)
	return url
}

var folders sync.Map // of name to URL

// Of is Lasting, and the same database whenever the folder is: an engine that is
// started there once more goes on.
func Of(t testing.TB, folder string) string {
	t.Helper()
	url, ok := folders.Load(folder)
	if !ok {
		url, _ = folders.LoadOrStore(folder, Lasting(t))
	}
	return url.(string)
}

// Empty returns the URL of a database with nothing in it, which goes with the test.
func Empty(t testing.TB) string {
	t.Helper()
	_, err := cluster()
	url, drop := create(t, "template0", err)
	t.Cleanup(drop)
	return url
}

var databases atomic.Int64

func create(t testing.TB, template string, err error) (url string, drop func()) {
	t.Helper()
	if errors.Is(err, errAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err) // on a machine without PostgreSQL; CI has it
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _ := cluster()
	name := "t" + strconv.FormatInt(databases.Add(1), 10)
	if err := s.exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + template); err != nil {
		t.Fatal(err)
	}
	return s.url(name), func() {
		if err := s.exec(`DROP DATABASE IF EXISTS ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	}
}

// Exec runs a statement on a database, beside whoever uses it.
func Exec(t testing.TB, url, statement string) {
	t.Helper()
	if err := run(url, statement); err != nil {
		t.Fatal(err)
	}
}

// Multiply makes rows 1 to last of a table, of the one that is there with an id. set are
// the columns in which they differ, as SQL that builds JSON: 'name', expression of n, …
func Multiply(t testing.TB, url, table, id string, last int, set string) {
	t.Helper()
	Exec(t, url, fmt.Sprintf(`INSERT INTO %s SELECT made.* FROM %[1]s r, generate_series(1, %d) n,
		LATERAL jsonb_populate_record(r, jsonb_build_object(%s)) made WHERE r.id = '%s'`, table, last, set, id))
}

// A server is the one of this test binary.
type server struct {
	dir    string // of the socket
	admin  *sql.DB
	ending *os.File // held open: when it closes, the server ends
}

func (s *server) url(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {s.dir}, "user": {superuser}}.Encode()}
	return u.String()
}

func (s *server) exec(statement string) error {
	if _, err := s.admin.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func run(url, statement string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}

// superuser is the database's superuser.
const superuser = "stile"

// script makes the cluster and starts it, says so, and waits for the end of its
// input: that comes also if the test binary is killed.
const script = `
dir=$1 bin=$2
trap 'rm -rf "$dir"' EXIT
trap '' INT TERM
"$bin/initdb" -D "$dir/data" -U ` + superuser + ` -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 &&
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 start -o "-k '$dir' -h '' \
	-c autovacuum=$3 -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB -c deadlock_timeout=200ms" >/dev/null 2>&1 || {
	cat "$dir/log"
	exit 1
}
echo ready
read -r _
"$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
`

// launch starts a server as somebody who may run one, which root may not.
func launch(bin string) (*server, error) {
	dir, err := os.MkdirTemp(socketRoot(), "pg")
	if err != nil {
		return nil, err
	}
	autovacuum := "off" // it would hold a table that a purge wants for a moment
	if os.Getenv("STILE_TEST_LONG") != "" {
		autovacuum = "on" // what is measured is to be as it is
	}
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir, bin, autovacuum)
	cmd.Dir = dir
	if err := unprivileged(cmd, dir); err != nil {
		return nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ready, says, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = in, says
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	in.Close()
	says.Close()
	go func() { _ = cmd.Wait() }()
	text := make([]byte, 4096)
	n, _ := ready.Read(text)
	if got := string(text[:n]); got != "ready\n" {
		return nil, fmt.Errorf("PostgreSQL does not start: %s", got)
	}
	ready.Close()
	s := &server{dir: dir, ending: out}
	if s.admin, err = sql.Open("pgx", s.url("postgres")); err != nil {
		return nil, err
	}
	s.admin.SetMaxOpenConns(4)
	return s, nil
}

// socketRoot is a folder whose name is short: a socket's may have a hundred bytes.
func socketRoot() string {
	if len(os.TempDir()) > 60 {
		return "/tmp"
	}
	return ""
}

// binaries returns the folder of the server's programs: of those in PATH, or of
// the newest version where Debian has them.
func binaries() (string, error) {
	var dirs []string
	if found, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(found))
	}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(versions, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(dirs, versions...) {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if _, err := exec.LookPath(filepath.Join(dir, "pg_ctl")); err == nil {
			return dir, nil
		}
	}
	return "", errAbsent
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}
