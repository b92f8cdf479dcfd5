package transfer

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/stile-id/stile/internal/store/sqlstore"
)

// A Snapshot is a database as it is at one moment, whoever writes meanwhile.
type Snapshot struct {
	Kind   string // "sqlite" or "postgres"
	Schema int64  // its version
	Tables []Table
	// Check looks for damage, where the database has a way to; what it finds is the error.
	Check func(ctx context.Context) error
	// Alone finds others who have begun to use a database that was to be the
	// snapshot's alone; they are the error.
	Alone func(ctx context.Context) error

	conn  *sql.Conn
	close func() error
}

// NewSnapshot returns the snapshot of the transaction that conn is in. Close ends
// it and calls end.
func NewSnapshot(ctx context.Context, kind string, version int64, conn *sql.Conn, c *Catalog, names []string, end func() error) (*Snapshot, error) {
	tables, err := c.tables(ctx, conn, names)
	if err != nil {
		return nil, err
	}
	return &Snapshot{
		Kind: kind, Schema: version, Tables: tables, conn: conn, close: end,
		Check: func(context.Context) error { return nil },
		Alone: func(context.Context) error { return nil },
	}, nil
}

// Setting returns a setting that the database keeps, nil if there is none.
func (s *Snapshot) Setting(ctx context.Context, name string) (value []byte, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = $1", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

// Close ends the snapshot.
func (s *Snapshot) Close() error { return s.close() }

// Filling is what an adapter opens to have a database filled.
type Filling struct {
	Schema  int64 // its version
	Conn    *sql.Conn
	Catalog *Catalog
	Names   []string // of all tables
	Dialect *sqlstore.Dialect
	// Load writes rows into a table; nil: by a statement for each.
	Load func(context.Context, driver.Conn, *Table, iter.Seq[[]any]) error
	// Loaded is called when all rows are there; nil: there is nothing to do.
	Loaded func(context.Context) error
	// Commit makes what was written seen, and Close ends the connection.
	Commit func(context.Context) error
	Close  func() error
}

// A Target is a database that is being filled: nothing of it is to be seen before
// Commit, and nothing is left without it.
type Target struct {
	f      Filling
	tables []Table
}

// Schema is its version.
func (t *Target) Schema() int64 { return t.f.Schema }

// NewTarget returns the target of the transaction that the connection is in, whose
// tables must have no rows. Close undoes what was not committed.
func NewTarget(ctx context.Context, f Filling) (*Target, error) {
	tables, err := f.Catalog.tables(ctx, f.Conn, f.Names)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		taken := false
		err := f.Conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+quoted([]string{t.Name})+")").Scan(&taken)
		if err != nil {
			return nil, err
		}
		if taken {
			return nil, fmt.Errorf("the target is not empty: there are rows in %s", t.Name)
		}
	}
	return &Target{f, tables}, nil
}

func (t *Target) loaded(ctx context.Context) error {
	if t.f.Loaded == nil {
		return nil
	}
	if err := t.f.Loaded(ctx); err != nil {
		return fmt.Errorf("indexes: %w", err)
	}
	return nil
}

// Commit makes all of it seen at once.
func (t *Target) Commit(ctx context.Context) error { return t.f.Commit(ctx) }

// Close ends the target, and undoes what was not committed.
func (t *Target) Close() error { return t.f.Close() }

// fits returns why rows of these tables cannot be written.
func (t *Target) fits(tables []Table) error {
	if slices.EqualFunc(t.tables, tables, func(a, b Table) bool { return a.same(&b) }) {
		return nil
	}
	return errors.New("the two have not the same tables and columns")
}

// agrees reads a table back, and returns why it is not what was to be written.
func (t *Target) agrees(ctx context.Context, table *Table, want Sum) error {
	got, err := table.rows(ctx, t.f.Conn, func([]any, []byte) error { return nil })
	if err == nil && got != want {
		err = fmt.Errorf("%s: %d rows with hash %s were to be written, %d with %s are there", want.Table, want.Rows, want.Hash, got.Rows, got.Hash)
	}
	return err
}

// Copy writes all rows of a snapshot into a target, reads them back, and returns
// what both sides hold. It fails if somebody has begun to use the database that is
// moved: they would go on there.
func Copy(ctx context.Context, from *Snapshot, to *Target) ([]Sum, error) {
	if err := to.fits(from.Tables); err != nil {
		return nil, err
	}
	var sums []Sum
	for i := range from.Tables {
		table := &from.Tables[i]
		l := to.load(ctx, table)
		sum, err := table.rows(ctx, from.conn, func(row []any, _ []byte) error { return l.add(row) })
		if ended := l.end(); err == nil {
			err = ended
		}
		if err == nil {
			err = to.agrees(ctx, table, sum)
		}
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	if err := to.loaded(ctx); err != nil { // takes long
		return nil, err
	}
	return sums, from.Alone(ctx)
}

// A Row is one of a table, by the names of its columns.
type Row struct {
	table  *Table
	values []any
}

func (r Row) value(column string) any {
	for i, c := range r.table.Columns {
		if c.Name == column {
			return r.values[i]
		}
	}
	panic("transfer: " + r.table.Name + " has no column " + column) // a mistake of whoever asks
}

// Text returns the value of a column of texts.
func (r Row) Text(column string) string { return r.value(column).(string) }

// Int returns the value of a column of integers.
func (r Row) Int(column string) int64 { return r.value(column).(int64) }

// Bytes returns the value of a column of bytes.
func (r Row) Bytes(column string) []byte { return r.value(column).([]byte) }

// Each hands the rows of a table to visit, in the order of their keys, and
// returns how many there are.
func (s *Snapshot) Each(ctx context.Context, table string, visit func(Row) error) (int64, error) {
	for i := range s.Tables {
		if t := &s.Tables[i]; t.Name == table {
			sum, err := t.rows(ctx, s.conn, func(row []any, _ []byte) error { return visit(Row{t, row}) })
			return sum.Rows, err
		}
	}
	return 0, fmt.Errorf("there is no table %s", table)
}
