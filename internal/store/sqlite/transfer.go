package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/stile-id/stile/internal/store/transfer"
)

var catalog = &transfer.Catalog{
	Columns: "SELECT name, type, pk FROM pragma_table_info($1)",
	Parents: `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`,
	Types:   map[string]string{"text": transfer.Text, "integer": transfer.Integer, "blob": transfer.Bytes},
}

// Snapshot opens a database as it is now, beside whoever has it open. One that is
// to be alone with it fails with ErrInUse, and keeps others out until it is closed.
func Snapshot(ctx context.Context, path string, alone bool) (_ *transfer.Snapshot, err error) {
	if path, err = existing(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	var held *os.File
	if alone {
		if held, err = lock(path); err != nil {
			return nil, fmt.Errorf("sqlite: %w", err)
		}
	}
	db, err := sql.Open("sqlite", dsn(path, foreignPragmas))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	end := func() error {
		err := db.Close()
		if held != nil {
			err = errors.Join(err, held.Close())
		}
		return err
	}
	s, err := snapshot(ctx, db, end)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, errors.Join(err, end()))
	}
	return s, nil
}

func snapshot(ctx context.Context, db *sql.DB, end func() error) (*transfer.Snapshot, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil { // which the first read makes a snapshot
		return nil, errors.Join(err, conn.Close())
	}
	schema := schemaOf(db, nil)
	version, err := schema.VersionOn(ctx, conn)
	if err == nil {
		err = schema.Current(version)
	}
	if err == nil {
		err = sameSchema(ctx, conn)
	}
	var s *transfer.Snapshot
	if err == nil {
		var names []string
		if names, err = schema.Tables(); err == nil {
			s, err = transfer.NewSnapshot(ctx, "sqlite", version, conn, catalog, names, func() error { return errors.Join(conn.Close(), end()) })
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.Check = func(ctx context.Context) error { return intact(ctx, conn) }
	return s, nil
}

// sameSchema holds what a file says of its tables against what the migrations
// make: a byte that has changed there could give a column another name.
func sameSchema(ctx context.Context, conn *sql.Conn) error {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := schemaOf(db, slog.New(slog.DiscardHandler)).Ready(ctx); err != nil {
		return err
	}
	want, err := objects(ctx, db)
	if err != nil {
		return err
	}
	have, err := objects(ctx, conn)
	if err != nil {
		return err
	}
	for name, text := range want {
		if have[name] != text {
			return fmt.Errorf("the file is damaged: %s is not as this program makes it", name)
		}
	}
	return nil
}

func objects(ctx context.Context, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) (map[string]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT type || ' ' || name, COALESCE(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		all[name] = text
	}
	return all, rows.Err()
}

// intact looks through the whole file for damage (REL R-05).
func intact(ctx context.Context, conn *sql.Conn) error {
	var verdict string
	if err := conn.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("integrity check: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("the file is damaged: %s", verdict)
	}
	var orphans int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&orphans); err != nil {
		return fmt.Errorf("integrity check: %w", err)
	}
	if orphans > 0 {
		return fmt.Errorf("the file is damaged: %d rows belong to nobody", orphans)
	}
	return nil
}

// fillCache is how much of a file is held in memory while it is filled, in KiB. Sorting
// takes as much at a time.
var fillCache = 64 << 10

// fillPragmas are for a file in dir that nobody reads before it is whole and on disk.
// Whom rows belong to is looked at when all are there. An index of many rows does not
// fit into memory while it is sorted: it goes to files in dir, where there is room for
// the database and may be none elsewhere. They have no name once they are open, so that
// an end by force leaves nothing. SQLite keeps the folder for the whole process, and
// goes by what the system names where it is not there any more; everybody else's
// temporary data is in memory.
func fillPragmas(dir string) url.Values {
	return url.Values{
		"_foreign_keys": {"0"},
		"_journal_mode": {"memory"},
		"_synchronous":  {"off"},
		"_pragma": {
			fmt.Sprintf("cache_size(-%d)", fillCache),
			"temp_store(file)", "temp_store_directory('" + strings.ReplaceAll(dir, "'", "''") + "')",
		},
	}
}

// Create makes a database at a path where none is. Until it is committed it has
// another name; what an earlier one left there that was interrupted goes.
func Create(ctx context.Context, path string) (_ *transfer.Target, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := flushed(filepath.Dir(filepath.Dir(path))); err != nil && !errors.Is(err, fs.ErrPermission) { // it may be new
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	held, err := lock(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	t, err := create(ctx, path, held)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", errors.Join(err, held.Close()))
	}
	return t, nil
}

func create(ctx context.Context, path string, held *os.File) (*transfer.Target, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the target is not empty: there is a file %s", path)
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} { // SQLite would take what is in it for this database's
		if _, err := os.Stat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is a file %s of another database: move it away too", path+suffix)
		}
	}
	part := path + ".incomplete"
	if err := remove(part); err != nil {
		return nil, err
	}
	if err := secure(part); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(part, fillPragmas(filepath.Dir(path))))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	db.SetMaxOpenConns(1)
	f := &filling{db: db, path: path, part: part, held: held}
	schema := schemaOf(db, slog.New(slog.DiscardHandler))
	if err := schema.Ready(ctx); err != nil {
		return nil, errors.Join(err, f.drop())
	}
	names, err := schema.Tables()
	var version int64
	if err == nil {
		version, err = schema.Newest()
	}
	if err == nil {
		f.conn, err = db.Conn(ctx)
	}
	if err == nil {
		f.indexes, err = dropIndexes(ctx, f.conn)
	}
	if err == nil {
		_, err = f.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	}
	var t *transfer.Target
	if err == nil {
		t, err = transfer.NewTarget(ctx, transfer.Filling{
			Schema: version, Conn: f.conn, Catalog: catalog, Names: names, Dialect: dialect,
			Loaded: f.loaded, Commit: f.commit, Close: f.close,
		})
	}
	if err != nil {
		return nil, errors.Join(err, f.drop())
	}
	return t, nil
}

// A filling is a file that is being made.
type filling struct {
	db         *sql.DB
	conn       *sql.Conn
	path, part string
	held       *os.File
	indexes    []string // statements that make those which were dropped
	done       bool
}

// dropIndexes drops those that no constraint makes, and returns how they are made
// again: sorting all rows costs less than a place in the index for each.
func dropIndexes(ctx context.Context, conn *sql.Conn) (make []string, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		names, make = append(names, name), append(make, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := conn.ExecContext(ctx, `DROP INDEX "`+name+`"`); err != nil {
			return nil, err
		}
	}
	return make, nil
}

// loaded makes the indexes, and begins the transaction of what is changed in the copy,
// in which deleting a row takes along what belongs to it. A pragma holds outside of
// transactions alone, so the rows are committed: the file has no name yet.
func (f *filling) loaded(ctx context.Context) error {
	for _, statement := range append(f.indexes, "COMMIT", "PRAGMA foreign_keys = 1", "BEGIN IMMEDIATE") {
		if _, err := f.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) commit(ctx context.Context) error {
	if _, err := f.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	if err := intact(ctx, f.conn); err != nil {
		return err
	}
	if err := errors.Join(f.conn.Close(), f.db.Close()); err != nil {
		return err
	}
	f.conn = nil
	if err := publish(f.part, f.path); err != nil {
		return err
	}
	f.done = true
	return nil
}

// publish gives a file its name once it is on disk.
func publish(part, path string) error {
	if err := flushed(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	if err := flushed(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Rename(path, part)) // else it would be there, and said not to be
	}
	return nil
}

func flushed(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (f *filling) close() error {
	if f.done {
		return f.held.Close()
	}
	return errors.Join(f.drop(), f.held.Close())
}

// drop removes what was made.
func (f *filling) drop() error {
	if f.conn != nil {
		_ = f.conn.Close()
	}
	return errors.Join(f.db.Close(), remove(f.part))
}

func remove(path string) error {
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
