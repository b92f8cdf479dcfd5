package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations fold the names that are there by the program's own rule: SQLite
// knows the case of ASCII only. No index and no query calls it, so that other
// programs can read the file.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("stile_fold", 1,
		func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			s, ok := args[0].(string)
			if !ok {
				return nil, fmt.Errorf("stile_fold of a %T", args[0])
			}
			return sqlstore.Fold(s), nil
		})
}

func schemaOf(db *sql.DB, log *slog.Logger) *schema.Schema {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return &schema.Schema{
		DB: db, Dialect: goose.DialectSQLite3, Migrations: dir, Logger: log,
		Exists: "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_version')",
	}
}

// A Schema is that of a file, open for migrations alone.
type Schema struct {
	*schema.Schema
	lock *os.File
}

// OpenSchema opens a database that is there for its migrations. It fails with
// ErrInUse if somebody else has it open; one that only looks at them takes no
// lock, and changes nothing.
func OpenSchema(ctx context.Context, path string, look bool) (*Schema, error) {
	path, err := existing(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s, pragmas := &Schema{}, foreignPragmas
	if !look {
		pragmas = writerPragmas
		if s.lock, err = lock(path); err != nil {
			return nil, fmt.Errorf("sqlite: %w", err)
		}
	}
	db, err := sql.Open("sqlite", dsn(path, pragmas))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	db.SetMaxOpenConns(1)
	s.Schema = schemaOf(db, slog.New(slog.DiscardHandler))
	return s, nil
}

// existing is the absolute path of a database file that is there.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path) // SQLite would say no more than that it cannot
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return path, err
}

// Close moves what was written into the file, and ends the lock.
func (s *Schema) Close() error {
	err := s.DB.Close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
