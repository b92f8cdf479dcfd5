// Package sqlstore holds the queries of the storage port, written once for
// SQLite and PostgreSQL.
//
// Values are TEXT, 64-bit integers and bytes. Times are Unix microseconds, 0
// for the zero time. Lists and maps that no query looks into are JSON. Text is
// ordered as bytes: the schema must say so where that is not the database's way.
// Whatever else the databases do differently is in a [Dialect].
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
)

// A Conn runs statements.
type Conn interface {
	// Exec returns how many rows it wrote.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query gives each row to one, and ends with the first error of that.
	Query(ctx context.Context, query string, one func(Row) error, args ...any) error
}

// A Row is scanned into variables as [sql.Rows] does it.
type Row interface {
	Scan(dest ...any) error
}

// Each gives each row to one, and closes them.
func Each(rows *sql.Rows, one func(Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := one(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A SQLConn is a Conn by way of [database/sql].
type SQLConn struct{ *sql.Conn }

// Exec implements [Conn].
func (c SQLConn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := c.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Query implements [Conn].
func (c SQLConn) Query(ctx context.Context, query string, one func(Row) error, args ...any) error {
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return Each(rows, one)
}

// A Failure says what a driver's error means.
type Failure int

// The failures that a [Dialect] tells apart.
const (
	Fault       Failure = iota // of the query or the database
	Duplicate                  // a unique value is taken
	Orphan                     // the row that this one belongs to does not exist
	Unavailable                // locked, full or out of reach: may work again later
)

// A Dialect is what differs between databases.
type Dialect struct {
	// Classify reads the errors of the driver.
	Classify func(error) Failure
	// SkipLocked ends a query that picks rows to write, so that those who pick
	// pass each other by; empty where there is one writer.
	SkipLocked string
	// RowID is a column that every table has and that finds a row the soonest, but
	// not across partitions; empty: the key does.
	RowID string
	// InOrder has the planner follow an index, until the commit, where a statement
	// asks for the first rows of it; empty where it does anyway.
	InOrder string
	// Hold is the statement that holds a number until the commit: a second
	// transaction waits for it. Empty where there is one writer.
	Hold string
	// AuditSeq is the number that orders a row of audit, as a value to insert; $4
	// counts the rows of its transaction. Empty where the column numbers itself.
	AuditSeq string
	// List is the array of JSON in $2 as rows of key, counted from 0, and value.
	List string
	// Partitions are the tables of transactions by how an id in them begins, two
	// characters; nil where all are in one. To name them costs nothing, to have the
	// planner find out costs each statement a plan.
	Partitions map[string]*Transactions
}

// A query is a statement, and what to call it in errors.
type query struct{ name, text string }

var queries []query

// define makes a query that [Queries] lists.
func define(name, text string) query {
	q := query{name, text}
	queries = append(queries, q)
	return q
}

// A differing is a query that is not the same text in every dialect.
type differing func(*Dialect) query

var differ []differing

// vary makes a query whose text depends on the dialect, and that [Queries] lists.
func vary(name string, text func(*Dialect) string) differing {
	q := func(d *Dialect) query { return query{name, text(d)} }
	differ = append(differ, q)
	return q
}

// Queries returns the text of all statements in dialect d.
func Queries(d *Dialect) []string {
	var texts []string
	for _, q := range queries {
		texts = append(texts, q.text)
	}
	for _, q := range differ {
		texts = append(texts, q(d).text)
	}
	if d.Hold != "" {
		texts = append(texts, d.Hold)
	}
	return texts
}

// failure makes err one of the port's errors, or a fault that names the query.
func (d *Dialect) failure(q query, err error) error {
	switch d.Classify(err) {
	case Duplicate:
		return store.ErrConflict
	case Orphan:
		return store.ErrNotFound
	case Unavailable:
		return Refused(fmt.Errorf("%s: %w", q.name, err))
	default:
		return fmt.Errorf("store: %s: %w", q.name, err)
	}
}

// Refused tells of a database that cannot serve at the moment; err is for the log.
func Refused(err error) error {
	return &problem.Error{Kind: problem.Unavailable, Detail: "storage is unavailable", Cause: err}
}

// A Source lends connections to read on.
type Source interface {
	// Get may wait for a connection as long as ctx lives.
	Get(ctx context.Context) (Conn, error)
	Put(Conn)
}

// A Reader is a [store.Reader] over a Source.
type Reader struct {
	source  Source
	dialect *Dialect
	reads   atomic.Int64
}

var _ store.Reader = (*Reader)(nil)

// NewReader returns a Reader.
func NewReader(s Source, d *Dialect) *Reader { return &Reader{source: s, dialect: d} }

// Reads counts the queries so far.
func (r *Reader) Reads() int64 { return r.reads.Load() }

func each(ctx context.Context, r *Reader, q query, scan func(Row) error, args ...any) error {
	conn, err := r.source.Get(ctx)
	if err != nil {
		return err
	}
	defer r.source.Put(conn)
	r.reads.Add(1)
	return r.dialect.query(ctx, conn, q, scan, args...)
}

func (d *Dialect) query(ctx context.Context, c Conn, q query, scan func(Row) error, args ...any) error {
	var unread error
	err := c.Query(ctx, q.text, func(row Row) error {
		unread = scan(row)
		return unread
	}, args...)
	if unread != nil {
		return fmt.Errorf("store: %s: %w", q.name, unread)
	}
	if err != nil {
		return d.failure(q, err)
	}
	return nil
}

func list[T any](ctx context.Context, r *Reader, q query, scan func(Row) (T, error), args ...any) ([]T, error) {
	var all []T
	err := each(ctx, r, q, func(row Row) error {
		v, err := scan(row)
		all = append(all, v)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

func one[T any](ctx context.Context, r *Reader, q query, scan func(Row) (T, error), args ...any) (T, error) {
	var v T
	found := false
	err := each(ctx, r, q, func(row Row) (err error) {
		v, err = scan(row)
		found = true
		return err
	}, args...)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return v, err
}

// A Tx is a [store.Tx] within a database transaction that somebody else begins
// and ends. It is for one goroutine.
type Tx struct {
	ctx     context.Context
	conn    Conn
	dialect *Dialect
	rows    int64
	reads   int64
	audits  int64 // rows of audit appended so far
	witness string
	steps   []flow.Row
	people  []string // whose accounts were written to
	anybody bool     // somebody's account was, it is not known whose
	failed  error
}

var _ store.Tx = (*Tx)(nil)

// NewTx returns a Tx on a connection with an open transaction.
func NewTx(ctx context.Context, c Conn, d *Dialect) *Tx { return &Tx{ctx: ctx, conn: c, dialect: d} }

// Rows counts the rows written so far.
func (t *Tx) Rows() int64 { return t.rows }

// Witness is the id of a row of the audit log that the transaction has appended: it is
// there exactly if the transaction was committed. It is empty if there is none.
func (t *Tx) Witness() string { return t.witness }

// Reads counts the queries so far that only read.
func (t *Tx) Reads() int64 { return t.reads }

var errEnded = errors.New("store: the transaction has ended")

// End makes the Tx useless and returns what went wrong in the database. After
// such an error nothing may be committed, whatever the caller made of it:
// PostgreSQL has aborted the transaction, and SQLite may have.
func (t *Tx) End() error {
	err := t.failed
	t.failed = errEnded
	return err
}

// exec runs a statement and returns how many rows it wrote.
func (t *Tx) exec(q query, args ...any) (int64, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	n, err := t.conn.Exec(t.ctx, q.text, args...)
	if err != nil {
		t.failed = t.dialect.failure(q, err)
		return 0, t.failed
	}
	t.rows += n
	return n, nil
}

// hold keeps others who hold the same number waiting until the commit.
func (t *Tx) hold(number int64) error {
	if t.failed != nil || t.dialect.Hold == "" {
		return t.failed
	}
	if _, err := t.conn.Exec(t.ctx, t.dialect.Hold, number); err != nil {
		t.failed = t.dialect.failure(query{"hold a number", t.dialect.Hold}, err)
	}
	return t.failed
}

// write runs a statement that must write a row, else the error is missed.
func (t *Tx) write(missed error, q query, args ...any) error {
	n, err := t.exec(q, args...)
	if err == nil && n == 0 {
		err = missed
	}
	return err
}

// oneInTx reads one row within the transaction; store.ErrNotFound fails nothing.
func oneInTx[T any](t *Tx, q query, scan func(Row) (T, error), args ...any) (T, error) {
	var v T
	if t.failed != nil {
		return v, t.failed
	}
	t.reads++
	found := false
	t.failed = t.dialect.query(t.ctx, t.conn, q, func(row Row) (err error) {
		v, err = scan(row)
		found = true
		return err
	}, args...)
	if t.failed != nil {
		return v, t.failed
	}
	if !found {
		return v, store.ErrNotFound
	}
	return v, nil
}
