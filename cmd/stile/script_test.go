package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/loopback"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// The scripts run the commands as an operator does: on a data folder whose engine
// is stopped, and beside a running one.
func TestScripts(t *testing.T) { scripts(t, "testdata", nil, nil) }

// What is of PostgreSQL alone: PG and PG2 are databases with nothing in them.
func TestPostgresScripts(t *testing.T) {
	scripts(t, "testdata/postgres", nil, func() map[string]string {
		return map[string]string{"PG": pgtest.Empty(t), "PG2": pgtest.Empty(t)}
	})
}

// What operators do is the same on PostgreSQL.
func TestScriptsOnPostgres(t *testing.T) {
	var files []string
	for _, name := range []string{"apply", "clients", "codes", "running", "tokens", "users"} {
		files = append(files, filepath.Join("testdata", name+".txtar"))
	}
	scripts(t, "", files, func() map[string]string {
		return map[string]string{"STILE_DATABASE": pgtest.Empty(t)}
	})
}

// scripts runs those of a folder, or files. Without env the condition sqlite holds.
func scripts(t *testing.T, dir string, files []string, env func() map[string]string) {
	testscript.Run(t, testscript.Params{
		Dir:   dir,
		Files: files,
		Condition: func(name string) (bool, error) {
			if name != "sqlite" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return env == nil, nil
		},
		Setup: func(e *testscript.Env) error {
			if env != nil {
				for name, value := range env() {
					e.Setenv(name, value)
				}
			}
			for _, name := range []string{"LISTEN", "APP"} {
				port, err := loopback.Port()
				if err != nil {
					return err
				}
				e.Setenv(name, "localhost:"+port)
			}
			e.Setenv("STILE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("LONG", strings.Repeat("a-long-name/", 12))
			v, err := newVisitor()
			e.Values[visitorKey{}] = v
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"folder":   folder,
			"newest":   newest,
			"identity": identity,
			"damage":   damage,
			"ready":    ready,
			"keep":     keep,
			"visit":    visit,
			"press":    press,
			"leave":    leave,
			"mailed":   mailed,
		},
		RequireExplicitExec: true,
	})
}

// folder makes a data folder as an engine leaves it.
func folder(ts *testscript.TestScript, _ bool, args []string) {
	a, err := app.New(context.Background(), app.Config{
		Dir: ts.MkAbs(args[0]), Database: ts.Getenv("STILE_DATABASE"), PublicURL: "http://localhost:9000",
		Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(),
	})
	ts.Check(err)
	ts.Check(a.Close(context.Background()))
}

// newest puts the schema version of this program, and the one before, into variables.
func newest(ts *testscript.TestScript, _ bool, args []string) {
	all, err := filepath.Glob("../../internal/store/sqlite/migrations/*.sql")
	ts.Check(err)
	for i, name := range args {
		ts.Setenv(name, strconv.Itoa(len(all)-i))
	}
}

// identity makes an identity of age in a file, and puts its recipient into a variable.
func identity(ts *testscript.TestScript, _ bool, args []string) {
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(id.String()+"\n"), 0o600))
	ts.Setenv(args[1], id.Recipient().String())
}

// damage runs a statement on the database of a data folder.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", filepath.Join(ts.MkAbs(args[0]), "stile.db"))
	ts.Check(err)
	_, err = db.Exec(args[1])
	ts.Check(err)
	ts.Check(db.Close())
}

// ready waits until the engine of a data folder has opened the door of operators.
// It does not ask by a command: where no engine answers yet, one opens the folder
// itself, and the engine that starts has to wait for it.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	door := filepath.Join(ts.MkAbs(args[0]), "admin.sock")
	for range 1200 {
		if _, err := os.Stat(door); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond) // another process, seen by its socket alone: there is no event to wait for
	}
	ts.Fatalf("no engine answers in %s", args[0])
}

// keep puts what stdout has after a text, up to the end of the line, into a variable.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile("stdout"), args[1])
	if !ok {
		ts.Fatalf("stdout has no %q", args[1])
	}
	line, _, _ := strings.Cut(rest, "\n")
	ts.Setenv(args[0], strings.TrimSpace(line))
}
