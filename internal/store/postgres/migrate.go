package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the number that nodes which start at once wait for.
const migrationLock = 0x5374696c65 // "Stile"

// migrate brings the schema up to date, one node at a time. A database that a
// newer version has written is refused rather than guessed at.
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

// versions returns the schema's version, and the one that migrate leads to. It
// changes nothing.
func versions(ctx context.Context, db *sql.DB) (have, want int64, err error) {
	p, err := provider(db)
	if err != nil {
		return 0, 0, err
	}
	sources := p.ListSources() // in ascending order
	err = db.QueryRowContext(ctx, "SELECT COALESCE(max(version_id), 0) FROM schema_version WHERE is_applied").Scan(&have)
	if code(err) == undefinedTable {
		return 0, 0, errors.New("there is nothing of Stile in the database")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("schema version: %w", err)
	}
	return have, sources[len(sources)-1].Version, nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName("schema_version"),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// renumber moves the rows of audit before those to come, if they come from
// another server, as from a dump: numbers of transactions are each server's own.
// Rows of this one have lower numbers than the next transaction.
func renumber(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	var first, last, next int64
	err = tx.QueryRowContext(ctx, `
		SELECT COALESCE(min(seq), 0), COALESCE(max(seq), 0), pg_snapshot_xmax(pg_current_snapshot())::text::bigint << 12
		FROM audit`).Scan(&first, &last, &next)
	if err == nil && last < next {
		return nil
	}
	if err == nil { // below all numbers that are taken while the statement runs
		_, err = tx.ExecContext(ctx, "UPDATE audit SET seq = seq - $1", last-min(first, 0)+1)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("renumber the audit log: %w", err)
	}
	log.Warn("the audit log comes from another server: its rows stand before those to come")
	return nil
}
