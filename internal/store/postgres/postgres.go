// Package postgres is the storage port on PostgreSQL, for any number of
// processes.
//
// Transactions run side by side, each on a connection of its own; the database
// shares the forcing of their commits to disk by itself.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// Options are what Open needs; only URL is required.
type Options struct {
	// URL names the database: postgres://user:password@host/name. Several hosts
	// may stand in it; the one that takes writes is used.
	URL string

	// Connections bounds those that are open; 0 is two for each processor, of 4 to 20 (REL R-12).
	Connections int
	// AcquireTimeout bounds the wait for one of them; 0 is a second.
	AcquireTimeout time.Duration
	// StatementTimeout bounds each statement, and the waits for locks in it; 0 is 3 seconds.
	StatementTimeout time.Duration
	Logger           *slog.Logger // default: none
}

const (
	// queueDepth is how many may wait for a connection.
	queueDepth = 1024
	// connectTimeout is for each host, if the URL says nothing else.
	connectTimeout = 3 * time.Second
	// answerMargin is how much longer than the server's own limit its answer may take.
	answerMargin = time.Second
	// oldest is the oldest version that is tested.
	oldest = 15
)

// A Store is a [store.Store] on a server.
type Store struct {
	*sqlstore.Reader
	pool *pool
	log  *slog.Logger
	told told

	program  int64 // the schema version that this program is made for
	standing standing

	commits, durable, transactions, rowWrites, txReads atomic.Int64
}

var _ store.Store = (*Store)(nil)

func (o *Options) defaults() {
	if o.Connections <= 0 {
		o.Connections = min(max(2*runtime.GOMAXPROCS(0), 4), 20)
	}
	if o.AcquireTimeout <= 0 {
		o.AcquireTimeout = time.Second
	}
	if o.StatementTimeout <= 0 {
		o.StatementTimeout = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Open connects to the database, and brings its schema up to date first.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.defaults()
	config, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Store{log: o.Logger}
	if s.program, err = newest(); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	named(config, s.program)
	if err := s.prepare(ctx, config); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s.pool = newPool(bounded(config, o.StatementTimeout), o, s.greet)
	s.Reader = sqlstore.NewReader(s.pool, dialect)
	return s, nil
}

// parse reads the URL, and the environment as every client of PostgreSQL does.
func parse(url string) (*pgx.ConnConfig, error) {
	if url == "" {
		return nil, errors.New("no URL")
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err // pgx leaves the password out of it
	}
	if !strings.Contains(url, "connect_timeout") {
		config.ConnectTimeout = connectTimeout
	}
	if config.ValidateConnect == nil { // a standby is no place to write
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	// All of Stile are known by how the name begins, whatever else an operator wants to see.
	config.RuntimeParams["application_name"] = strings.TrimSpace("stile " + config.RuntimeParams["application_name"])
	return config, nil
}

// bounded limits how long anything may take: at the server, and at the socket
// for the case that the server does not answer (REL R-12).
func bounded(config *pgx.ConnConfig, statement time.Duration) *pgx.ConnConfig {
	c := config.Copy()
	c.RuntimeParams["statement_timeout"] = strconv.FormatInt(statement.Milliseconds(), 10)
	c.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt((statement + answerMargin).Milliseconds(), 10)
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return limited{conn, statement + answerMargin}, nil
	}
	return c
}

// prepare looks at the server and brings the schema up to date, on connections
// of its own: a migration may take longer than a request may.
func (s *Store) prepare(ctx context.Context, config *pgx.ConnConfig) (err error) {
	db := stdlib.OpenDB(*polite(config))
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := s.inspect(ctx, db); err != nil {
		return err
	}
	schema, err := schemaOf(db, s.log)
	if err != nil {
		return err
	}
	if err := schema.Ready(ctx); err != nil {
		return err
	}
	return renumber(ctx, db, s.log)
}

// ClaimOutbox implements [store.Store]. Those who claim at once pass each other by.
func (s *Store) ClaimOutbox(ctx context.Context, kind string, now, leaseUntil time.Time, limit int) ([]outbox.Message, error) {
	return sqlstore.ClaimOutbox(ctx, s.Reader, s.do, kind, now, leaseUntil, limit)
}

// Stats implements [store.Store].
func (s *Store) Stats() store.Stats {
	return store.Stats{
		Commits:        s.commits.Load(),
		DurableCommits: s.durable.Load(),
		Transactions:   s.transactions.Load(),
		RowWrites:      s.rowWrites.Load(),
		Reads:          s.Reads(),
		TxReads:        s.txReads.Load(),
	}
}

// Pool implements [store.Store].
func (s *Store) Pool() store.Pool {
	p := s.pool
	away, _ := p.breaker.state()
	return store.Pool{
		Open: p.db.Stats().OpenConnections, InUse: p.size - len(p.free), Max: p.size, Waiting: int(p.queued.Load()),
		Busy: p.busy.Load(), Gone: p.gone.Load(), Away: away,
	}
}

// Close waits for the transactions and queries that have begun.
func (s *Store) Close() error { return s.pool.close() }
