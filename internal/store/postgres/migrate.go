package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/stile-id/stile/internal/store/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the number that nodes which start at once wait for.
const migrationLock = 0x5374696c65 // "Stile"

// heldFor is how long a migration waits for a table, and keeps others waiting who
// come after it (REL R-24).
const heldFor = 2 * time.Second

// polite is config for migrations.
func polite(config *pgx.ConnConfig) *pgx.ConnConfig {
	c := config.Copy()
	c.RuntimeParams["lock_timeout"] = strconv.FormatInt(heldFor.Milliseconds(), 10)
	return c
}

func files() (fs.FS, error) { return fs.Sub(migrations, "migrations") }

// schemaOf is the schema of a database. Nodes that start at once wait for each other.
func schemaOf(db *sql.DB, log *slog.Logger) (*schema.Schema, error) {
	dir, err := files()
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return &schema.Schema{
		DB: db, Dialect: goose.DialectPostgres, Migrations: dir, Locker: locker, Logger: log,
		Exists: "SELECT to_regclass('schema_version') IS NOT NULL",
		Held:   func(err error) bool { return code(err) == lockNotAvailable },
		Back: func(ctx context.Context, version int64) error {
			if version != partitioning {
				return nil
			}
			return movable(ctx, db)
		},
		Connected: func(ctx context.Context) ([]schema.Program, error) { return connected(ctx, db) },
	}, nil
}

const (
	// partitioning is the migration whose way back moves flows into one table, which
	// all others wait for.
	partitioning = 5
	// mostMoved is how many it moves: half a second's worth on two busy cores, a
	// quarter of what may be waited for (REL R-24). The migration looks once more when it
	// has the table for itself.
	mostMoved = 25_000
)

// movable returns why flows in partitions cannot be moved yet. Nodes of the version
// before begin theirs in the default partition, which stays: once they are all that
// run, the others end within their hour, and the purge takes them.
func movable(ctx context.Context, db *sql.DB) error {
	var rows int64
	var end sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT count(*), max(expires_at) FROM transactions WHERE id >= 'tA' AND id < 'tM'").Scan(&rows, &end)
	if err != nil {
		return fmt.Errorf("open flows: %w", err)
	}
	if rows <= mostMoved {
		return nil
	}
	return fmt.Errorf("%d flows lie in partitions, and while more than %d are moved, others would wait for longer than %v: "+
		"let nodes of the older version run alone, which use no partitions, and step back after %s, when these have ended and are removed",
		rows, mostMoved, heldFor, time.UnixMicro(end.Int64).Add(removedBy).UTC().Format(time.RFC3339))
}

// removedBy is how long after its end a flow is removed at the latest (REL R-23).
const removedBy = 15 * time.Minute

// A Schema is that of a database, open for migrations alone.
type Schema struct{ *schema.Schema }

// OpenSchema connects to a database for its migrations, which nodes may have
// open; one that only looks at them changes nothing.
func OpenSchema(ctx context.Context, url string, look bool) (*Schema, error) {
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if look {
		config.ValidateConnect = nil
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	db := stdlib.OpenDB(*polite(config))
	s, err := schemaOf(db, slog.New(slog.DiscardHandler))
	if err == nil && !look {
		err = (&Store{log: s.Logger}).inspect(ctx, db)
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", errors.Join(err, db.Close()))
	}
	return &Schema{s}, nil
}

// Close ends the connections.
func (s *Schema) Close() error { return s.DB.Close() }

// renumber moves the rows of audit before those to come, if they come from
// another server, as from a dump: numbers of transactions are each server's own.
// Rows of this one have lower numbers than the next transaction.
func renumber(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = 0"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	moved, err := precede(ctx, tx)
	if err != nil || !moved {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("renumber the audit log: %w", err)
	}
	log.Warn("the audit log comes from another server: its rows stand before those to come")
	return nil
}

// precede is renumber within a transaction.
func precede(ctx context.Context, tx interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}) (moved bool, err error) {
	var first, last, next int64
	err = tx.QueryRowContext(ctx, `
		SELECT COALESCE(min(seq), 0), COALESCE(max(seq), 0), pg_snapshot_xmax(pg_current_snapshot())::text::bigint << 12
		FROM audit`).Scan(&first, &last, &next)
	if err == nil && last < next {
		return false, nil
	}
	if err == nil { // below all numbers that are taken while the statement runs
		_, err = tx.ExecContext(ctx, "UPDATE audit SET seq = seq - $1", last-min(first, 0)+1)
	}
	if err != nil {
		return false, fmt.Errorf("renumber the audit log: %w", err)
	}
	return true, nil
}
