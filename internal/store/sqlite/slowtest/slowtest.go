//go:build unix

// Package slowtest makes the look through a database file for damage take as long as
// a test wants, also in another process that is made of the test's own program.
//
// SQLite asks the constraints of each row. Those of a table that Plant makes are asked
// of a function of this package, which waits for the test.
package slowtest

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"modernc.org/sqlite"
)

func init() {
	sqlite.MustRegisterDeterministicScalarFunction("stile_test_sound", 1,
		func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			switch v := args[0].(type) {
			case string: // of a pipe, on which nothing comes before it is opened and closed
				said, err := os.ReadFile(v)
				return int64(len(said)), err
			case int64:
				sum := v
				for range v {
					sum = sum*6364136223846793005 + 1
				}
				return sum | 1, nil
			}
			return nil, fmt.Errorf("stile_test_sound of a %T", args[0])
		})
}

// A Check is a look through a file that waits.
type Check struct {
	t    testing.TB
	pipe string
}

// Plant puts a row into a file, at which the check waits for End. more rows after it
// take some ten milliseconds each.
func Plant(t testing.TB, path string, more int) *Check {
	t.Helper()
	c := &Check{t, filepath.Join(t.TempDir(), "pipe")}
	if err := syscall.Mkfifo(c.pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"PRAGMA ignore_check_constraints = 1",
		"CREATE TABLE stile_test (value CHECK (stile_test_sound(value)))",
		"INSERT INTO stile_test VALUES ('" + c.pipe + "')",
		fmt.Sprintf("WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < %d) INSERT INTO stile_test SELECT 10000000 FROM n WHERE %[1]d > 0", more),
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a test that failed lets it go on
		if f, err := os.OpenFile(c.pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			_ = f.Close()
		}
	})
	return c
}

// End waits until the check has come to the row, and lets it find that sound or not.
func (c *Check) End(sound bool) {
	c.t.Helper()
	f, err := os.OpenFile(c.pipe, os.O_WRONLY, 0)
	if err == nil && sound {
		_, err = f.WriteString("sound")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		c.t.Fatal(err)
	}
}
