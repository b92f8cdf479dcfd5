package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stile-id/stile/internal/store/sqlstore"
)

// The codes of SQLSTATE that have a meaning here.
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	serialization       = "40001"
	deadlock            = "40P01"
	readOnly            = "25006" // a primary that has become a standby
	idleInTransaction   = "25P03"
	lockNotAvailable    = "55P03"
	undefinedTable      = "42P01"
	undefinedColumn     = "42703"
)

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// class is the first two characters of a code: what kind of error it is.
func class(err error) string {
	if c := code(err); len(c) == 5 {
		return c[:2]
	}
	return ""
}

var dialect = &sqlstore.Dialect{
	Classify:   classify,
	SkipLocked: "FOR UPDATE SKIP LOCKED",
	RowID:      "ctid",
	InOrder:    "SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off",
	Hold:       "SELECT pg_advisory_xact_lock($1)",
	// Twelve bits for the rows of one transaction, which makes few of them.
	AuditSeq:   "(pg_current_xact_id()::text::bigint << 12) + $4",
	List:       "(SELECT ordinality - 1 AS key, value FROM jsonb_array_elements_text($2::text::jsonb) WITH ORDINALITY)",
	Partitions: partitions(),
}

func classify(err error) sqlstore.Failure {
	switch code(err) {
	case uniqueViolation:
		return sqlstore.Duplicate
	case foreignKeyViolation:
		return sqlstore.Orphan
	case serialization, deadlock, readOnly, idleInTransaction, lockNotAvailable:
		return sqlstore.Unavailable
	case undefinedTable, undefinedColumn: // each query fits the schema it was made for: another one is there (REL R-24)
		return sqlstore.Unavailable
	}
	switch class(err) {
	case "08", // connection
		"53", // out of memory, disk or connections
		"57", // stopping, starting, or the statement took too long
		"58": // the system below it
		return sqlstore.Unavailable
	}
	if lost(err) || errors.Is(err, errAway) {
		return sqlstore.Unavailable
	}
	return sqlstore.Fault
}

// lost reports whether err says that the connection is of no more use.
func lost(err error) bool {
	switch c := code(err); {
	case c == readOnly, c == idleInTransaction, c == "57P01", c == "57P02", c == "57P03":
		return true
	case c != "":
		return class(err) == "08"
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

// again reports whether what failed so before its commit may succeed if it is
// run once more, now. A server that did not answer in time is not asked again.
func again(err error) bool {
	c := code(err)
	return c == serialization || c == deadlock || lost(err) && !late(err)
}

// silent reports whether a server could not be connected to because it is not
// there, or is no place to write: one that is full, or wants another password, may
// still answer on the connections that are open.
func silent(err error) bool {
	return lost(err) && (code(err) == "" || class(err) == "57")
}

// late reports whether the wait for an answer has ended without one.
func late(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// undone reports whether an error of COMMIT says that nothing was committed: the
// server refused it, or it was never sent. Whatever else is an answer that did
// not come.
func undone(err error) bool {
	if c := code(err); c != "" {
		return class(err) != "57" && class(err) != "08" // a server that stops may have written it
	}
	return errors.Is(err, driver.ErrBadConn) // pgx: not a byte was sent
}
