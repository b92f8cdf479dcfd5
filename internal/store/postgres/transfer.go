package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/store/transfer"
)

var catalog = &transfer.Catalog{
	Columns: `
	SELECT a.attname::text, format_type(a.atttypid, NULL), COALESCE((
		SELECT k.n FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(attnum, n)
		WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.attnum = a.attnum), 0)
	FROM pg_attribute a WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped`,
	Parents: `SELECT DISTINCT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass($1::text)`,
	Types:   map[string]string{"text": transfer.Text, "bigint": transfer.Integer, "bytea": transfer.Bytes},
}

// moving is what connections that move rows are known by.
const moving = "stile transfer"

// Snapshot opens a database as it is now, beside whoever writes to it; a standby
// will do. One that is to be alone with it is refused if nodes are connected, and
// keeps those that start from writing until it is closed.
func Snapshot(ctx context.Context, url string, alone bool) (*transfer.Snapshot, error) {
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if !alone && !strings.Contains(url, "target_session_attrs") {
		config.ValidateConnect = nil
	}
	config.RuntimeParams["application_name"] = moving
	db := stdlib.OpenDB(*config)
	s, err := snapshot(ctx, db, alone)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", errors.Join(err, db.Close()))
	}
	return s, nil
}

func snapshot(ctx context.Context, db *sql.DB, alone bool) (_ *transfer.Snapshot, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	schema, err := schemaOf(db, nil)
	if err != nil {
		return nil, err
	}
	names, err := schema.Tables()
	if err != nil {
		return nil, err
	}
	version, err := schema.Version(ctx)
	if err == nil {
		err = schema.Current(version) // before its tables are locked, which may not be there
	}
	if err == nil && alone {
		err = unused(ctx, db)
	}
	if err != nil {
		return nil, err
	}
	begin := []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
	if alone { // before the first query, which makes the snapshot: nobody has written between it and the lock
		begin = append(begin, "SET LOCAL lock_timeout = '"+heldFor.String()+"'", "LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE MODE", "SET LOCAL lock_timeout = 0")
	}
	for _, statement := range begin {
		if _, err := conn.ExecContext(ctx, statement); code(err) == lockNotAvailable {
			return nil, errors.New("the database is in use: somebody writes to it, or the server clears it up (vacuum); try again later")
		} else if err != nil {
			return nil, err
		}
	}
	if version, err = schema.VersionOn(ctx, conn); err == nil {
		err = schema.Current(version)
	}
	if err != nil {
		return nil, err
	}
	s, err := transfer.NewSnapshot(ctx, "postgres", version, conn, catalog, names, func() error { return errors.Join(conn.Close(), db.Close()) })
	if err == nil && alone {
		s.Alone = func(ctx context.Context) error { return unused(ctx, db) }
	}
	return s, err
}

// unused returns why a database is not the caller's alone. Within a transaction the
// server would answer the same as before.
func unused(ctx context.Context, db *sql.DB) error {
	nodes := 0
	err := db.QueryRowContext(ctx, `
		SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'stile%' AND application_name <> '`+moving+`'`).Scan(&nodes)
	if err == nil && nodes > 0 {
		err = fmt.Errorf("the database is in use: %d connections of nodes are open", nodes)
	}
	return err
}

// Fill opens a database to fill it: one with nothing in it, or with the schema
// and no rows. All rows come by one transaction, and nodes that start meanwhile
// get nothing written.
func Fill(ctx context.Context, url string) (*transfer.Target, error) {
	s, err := OpenSchema(ctx, url, false)
	if err != nil {
		return nil, err
	}
	version, err := s.Version(ctx)
	if err == nil && version == 0 {
		err = s.Ready(ctx)
	} else if err == nil {
		err = s.Current(version)
	}
	names, nerr := s.Tables()
	version, verr := s.Newest()
	if err := errors.Join(err, nerr, verr, s.Close()); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	t, err := fill(ctx, config, version, names)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return t, nil
}

func fill(ctx context.Context, config *pgx.ConnConfig, version int64, names []string) (_ *transfer.Target, err error) {
	config.RuntimeParams["application_name"] = moving
	db := stdlib.OpenDB(*config)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	end := func() error { return errors.Join(conn.Close(), db.Close()) } // which undoes what is open
	for _, statement := range []string{
		"BEGIN", "SET LOCAL synchronous_commit = on", "SET LOCAL lock_timeout = '2s'",
		"LOCK TABLE " + strings.Join(names, ", ") + " IN EXCLUSIVE MODE", "SET LOCAL lock_timeout = 0",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, end())
		}
	}
	commit := func(ctx context.Context) error {
		if _, err := precede(ctx, conn); err != nil { // else the first node that starts would do it
			return err
		}
		if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
			return err
		}
		_, _ = conn.ExecContext(ctx, "ANALYZE") // for speed; the rows are there
		return nil
	}
	t, err := transfer.NewTarget(ctx, transfer.Filling{
		Schema: version, Conn: conn, Catalog: catalog, Names: names, Dialect: dialect, Load: load, Commit: commit, Close: end,
	})
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return t, nil
}

// load writes rows by COPY, in which the server takes them as they come.
func load(ctx context.Context, conn driver.Conn, table *transfer.Table, rows iter.Seq[[]any]) error {
	next, stop := iter.Pull(rows)
	defer stop()
	_, err := conn.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table.Name}, table.ColumnNames(),
		pgx.CopyFromFunc(func() ([]any, error) { row, _ := next(); return row, nil }))
	return err
}
