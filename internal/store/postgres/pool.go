package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// errNoneFree is what becomes of a wait for a connection (REL R-12).
var errNoneFree = errors.New("no connection to the database is free")

// A pool lends connections, each to one borrower at a time, and bounds how many
// wait for one and how long.
type pool struct {
	db       *sql.DB
	size     int
	free     chan struct{} // a token for each connection that may be borrowed
	wait     time.Duration
	patience time.Duration // with a server that does not answer
	breaker  *breaker
	queued   atomic.Int64
	busy     atomic.Int64 // callers refused with errNoneFree
	gone     atomic.Int64 // and because the server could not be reached
	closed   atomic.Bool
}

// newPool opens nothing yet. greet is asked about each new connection; nil: nobody is.
func newPool(config *pgx.ConnConfig, o Options, greet func(context.Context, *pgx.Conn) error) *pool {
	p := &pool{
		size: o.Connections, free: make(chan struct{}, o.Connections), wait: o.AcquireTimeout,
		patience: o.StatementTimeout + answerMargin,
	}
	p.breaker = newBreaker(o.Logger, p.try)
	options := []stdlib.OptionOpenDB{stdlib.OptionShouldPing(p.wake), stdlib.OptionResetSession(open)}
	if greet != nil {
		options = append(options, stdlib.OptionAfterConnect(greet))
	}
	p.db = stdlib.OpenDB(*config, options...)
	p.db.SetMaxOpenConns(p.size)
	p.db.SetMaxIdleConns(p.size)
	p.db.SetConnMaxIdleTime(5 * time.Minute)
	for range p.size {
		p.free <- struct{}{}
	}
	return p
}

const (
	napping  = time.Second // after which a connection is tried before it is used
	wakeTime = time.Second // for it to answer
)

// wake tries a connection that has been idle for a while, with less patience
// than the driver has: it closes one that does not answer.
func (p *pool) wake(ctx context.Context, c stdlib.ShouldPingParams) bool {
	if c.IdleDuration < napping {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, wakeTime)
	defer cancel()
	if err := c.Conn.Ping(ctx); err != nil {
		_ = c.Conn.Close(ctx)
		p.forget()
	}
	return false
}

func open(_ context.Context, c *pgx.Conn) error {
	if c.IsClosed() {
		return driver.ErrBadConn
	}
	return nil
}

// token waits for the right to borrow, as long as ctx lives and the pool has
// patience.
func (p *pool) token(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	away, changed := p.breaker.state()
	if away {
		return errAway
	}
	select {
	case <-p.free:
		return nil
	default:
	}
	if p.queued.Add(1) > queueDepth {
		p.queued.Add(-1)
		return errNoneFree
	}
	defer p.queued.Add(-1)
	patience := time.NewTimer(p.wait)
	defer patience.Stop()
	select {
	case <-p.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return errAway
	case <-patience.C:
		return errNoneFree
	}
}

// borrow returns a connection that is to be given back.
func (p *pool) borrow(ctx context.Context) (*conn, error) {
	c, err := p.search(ctx)
	switch {
	case errors.Is(err, errNoneFree):
		p.busy.Add(1)
	case err != nil && ctx.Err() == nil && !p.closed.Load():
		p.gone.Add(1)
	}
	return c, err
}

func (p *pool) search(ctx context.Context) (*conn, error) {
	began := time.Now()
	if err := p.token(ctx); err != nil {
		return nil, err
	}
	if p.closed.Load() {
		p.free <- struct{}{}
		return nil, store.ErrClosed
	}
	c := &conn{pool: p, until: began.Add(p.patience)}
	if err := c.connect(ctx); err != nil {
		p.giveBack(c)
		return nil, err
	}
	return c, nil
}

func (p *pool) giveBack(c *conn) {
	if c.sql != nil {
		_ = c.sql.Close()
	}
	if !c.left {
		p.free <- struct{}{}
	}
}

// forget closes the connections that nobody has borrowed: one was found broken,
// and the others are likely to be so, as after a restart of the server.
func (p *pool) forget() {
	p.db.SetMaxIdleConns(-1)
	p.db.SetMaxIdleConns(p.size)
}

// Get implements [sqlstore.Source].
func (p *pool) Get(ctx context.Context) (sqlstore.Conn, error) {
	c, err := p.borrow(ctx)
	switch {
	case err == nil:
		return reading{c}, nil
	case errors.Is(err, errNoneFree), classify(err) == sqlstore.Unavailable && ctx.Err() == nil:
		return nil, sqlstore.Refused(err)
	}
	return nil, err
}

// Put implements [sqlstore.Source].
func (p *pool) Put(c sqlstore.Conn) { p.giveBack(c.(reading).conn) }

// close waits for the connections that are lent.
func (p *pool) close() error {
	if p.closed.Swap(true) {
		return nil
	}
	close(p.breaker.done)
	for range p.size {
		<-p.free
	}
	err := p.db.Close()
	if errors.Is(err, net.ErrClosed) { // by a request that was broken off at the same time
		err = nil
	}
	for range p.size { // so that later borrowers learn that it is closed
		p.free <- struct{}{}
	}
	return err
}

// A conn is a connection in somebody's hands. What has begun on it is not
// interrupted when the borrower's context ends: that would cost the connection.
// The server ends a statement that takes too long, and the socket's deadlines
// end the wait for a server that does not answer.
type conn struct {
	pool  *pool
	sql   *sql.Conn
	until time.Time // for which it is looked for: the wait for a token and each search together
	left  bool      // whoever goes on searching gives the token back
}

// connect finds a connection that is open, or opens one. If it cannot, c keeps
// the one that it had, which is to be given back still.
func (c *conn) connect(ctx context.Context) error {
	if c.left {
		return errAway
	}
	var found link
	if found, c.left = c.pool.find(ctx, time.Until(c.until)); found.err != nil {
		return fmt.Errorf("connect: %w", found.err)
	}
	c.sql = found.sql
	return nil
}

// discard closes the connection for good instead of giving it to somebody else.
func (c *conn) discard() { discard(c.sql) }

func discard(c *sql.Conn) { _ = c.Raw(func(any) error { return driver.ErrBadConn }) }

// Exec implements [sqlstore.Conn].
func (c *conn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	began := time.Now()
	n, err := sqlstore.SQLConn{Conn: c.sql}.Exec(context.WithoutCancel(ctx), query, texts(args)...)
	c.note(began, err)
	return n, err
}

// Query implements [sqlstore.Conn].
func (c *conn) Query(ctx context.Context, query string, one func(sqlstore.Row) error, args ...any) error {
	rows, err := c.rows(ctx, query, args)
	if err != nil {
		return err
	}
	return sqlstore.Each(rows, one)
}

func (c *conn) rows(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	began := time.Now()
	rows, err := c.sql.QueryContext(context.WithoutCancel(ctx), query, texts(args)...)
	c.note(began, err)
	return rows, err
}

// note tells the breaker how a statement went.
func (c *conn) note(began time.Time, err error) {
	switch {
	case err == nil || code(err) != "":
		c.pool.breaker.answered()
	case late(err):
		c.pool.breaker.failed(began, err)
	}
}

// reading is a conn outside a transaction, on which a query may be asked again.
type reading struct{ *conn }

// Query implements [sqlstore.Conn].
func (r reading) Query(ctx context.Context, query string, one func(sqlstore.Row) error, args ...any) error {
	rows, err := r.rows(ctx, query, args)
	if err != nil {
		return err
	}
	return sqlstore.Each(rows, one)
}

func (r reading) rows(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	rows, err := r.conn.rows(ctx, query, args)
	if err == nil || !lost(err) {
		return rows, err
	}
	r.discard()
	r.pool.forget()
	if !again(err) {
		return nil, err
	}
	if cerr := r.connect(ctx); cerr != nil {
		return nil, errors.Join(cerr, err)
	}
	return r.conn.rows(ctx, query, args)
}

// texts makes every text one that PostgreSQL can hold: UTF-8 without NUL. What
// people send need not be that, as a header's value. A key that is not finds
// nothing, and a value shows where it was not.
func texts(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok && (!utf8.ValidString(s) || strings.ContainsRune(s, 0)) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// A limited is a socket that waits for the other end no longer than so, and once:
// a wait that was in vain closes it. The driver would say goodbye to a server that
// does not answer, and wait for that too.
type limited struct {
	net.Conn
	patience time.Duration
}

func (l limited) Read(b []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(b)
	return n, l.once(err)
}

func (l limited) Write(b []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(l.patience)); err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(b)
	return n, l.once(err)
}

func (l limited) once(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = l.Close()
	}
	return err
}
