package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

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

// migrate brings the schema up to date. A file that a newer version has written
// is refused rather than guessed at.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("schema version: %w", err)
	}
	switch {
	case have == want:
		return nil
	case have > want:
		return fmt.Errorf("the database has schema version %d, this program knows %d: it was written by a newer one", have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	log.Info("database schema brought up to date", "from", have, "to", want)
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir,
		goose.WithTableName("schema_version"),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// latestSchema is the version that migrate leads to; it does not ask the database.
func latestSchema(db *sql.DB) (int64, error) {
	p, err := provider(db)
	if err != nil {
		return 0, err
	}
	sources := p.ListSources() // in ascending order
	return sources[len(sources)-1].Version, nil
}
