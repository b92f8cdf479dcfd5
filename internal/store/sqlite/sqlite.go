// Package sqlite is the storage port on one SQLite file, for one process.
//
// All writes go through one connection that commits what is waiting in groups;
// reads go past it on a few others, which never wait for it (WAL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// Options are what Open needs; only Path is required.
type Options struct {
	Path string // of the database file; it and its directory are made if missing

	// Readers bounds the connections that read at once; 0 is 4.
	Readers int
	// LazyWait is how long a lazy transaction waits for company; 0 is 250 ms.
	LazyWait time.Duration
	// QuickCheck looks through the file for damage (REL R-05): before it is used, or if
	// that takes long beside its use, which Examined tells of.
	QuickCheck bool
	// CheckWait is how long Open waits for that; 0 is a second.
	CheckWait time.Duration
	Logger    *slog.Logger // default: none
}

// queueDepth is how many writers may wait (REL R-13).
const queueDepth = 1024

// A Store is a [store.Store] in a file.
type Store struct {
	*sqlstore.Reader
	readers *pool
	writer  *writer
	checker *checkpointer
	lock    *os.File

	examination *examination // nil: none

	transactions atomic.Int64

	closeOnce sync.Once
	closeErr  error
}

var _ store.Store = (*Store)(nil)

// Open opens the database, making it or bringing its schema up to date first.
// It fails with ErrInUse if somebody else has it open.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("sqlite: no path")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.LazyWait <= 0 {
		o.LazyWait = 250 * time.Millisecond
	}
	if o.CheckWait <= 0 {
		o.CheckWait = examineWait
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{}
	if err := s.open(ctx, path, o); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string, o Options) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if s.lock, err = lock(path); err != nil {
		return err
	}
	if err := secure(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, writerPragmas))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if err := s.prepare(ctx, db, path, o); err != nil {
		return errors.Join(err, db.Close())
	}
	s.checker = newCheckpointer(path, o.Logger)
	if s.writer, err = newWriter(ctx, db, s.checker, o); err != nil {
		return errors.Join(err, db.Close())
	}
	s.readers = newPool(path, o.Readers, readerPragmas)
	s.Reader = sqlstore.NewReader(s.readers, dialect)
	return nil
}

func (s *Store) prepare(ctx context.Context, db *sql.DB, path string, o Options) error {
	if err := db.PingContext(ctx); err != nil { // what a crash left in the log is the file's from here on
		return err
	}
	schema := schemaOf(db, o.Logger)
	if o.QuickCheck {
		s.examination = examine(path, o)
		patience := time.NewTimer(o.CheckWait)
		defer patience.Stop()
		enough := patience.C
		if _, err := os.Stat(marked(path)); err == nil {
			enough = nil // all of it
		}
		over, err := s.examination.wait(ctx, enough)
		if err == nil && !over {
			over, err = s.unhurried(ctx, schema)
		}
		if err != nil {
			return err
		}
		if !over {
			o.Logger.Info("the database file is looked through while it is used")
		}
	}
	return schema.Ready(ctx)
}

// unhurried waits for the look through a file whose schema is to be changed: damage
// is not built upon.
func (s *Store) unhurried(ctx context.Context, schema *schema.Schema) (over bool, err error) {
	have, err := schema.Version(ctx)
	if err != nil {
		return false, err
	}
	want, err := schema.Newest()
	if err != nil || have >= want {
		return false, err
	}
	return s.examination.wait(ctx, nil)
}

// The writer does not checkpoint by itself: that would be a pause in the middle
// of somebody's commit.
var writerPragmas = url.Values{
	"_foreign_keys": {"1"},
	"_journal_mode": {"wal"},
	"_synchronous":  {"normal"},
	"_pragma":       {"wal_autocheckpoint(0)", "journal_size_limit(67108864)", "cache_size(-8192)", "temp_store(memory)"},
}

var readerPragmas = url.Values{
	"_query_only": {"1"},
	"_pragma":     {"cache_size(-2048)"},
}

// dsn names the file as a URI, so that no character of its path has a meaning.
// Double-quoted strings are off, lest a misspelt column be taken for a text.
func dsn(path string, pragmas url.Values) string {
	q := url.Values{"_busy_timeout": {"5000"}, "_dqs": {"0"}}
	for k, v := range pragmas {
		q[k] = v
	}
	path = "/" + strings.TrimPrefix(filepath.ToSlash(path), "/")
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

var dialect = &sqlstore.Dialect{Classify: classify, List: "json_each($2)"}

func classify(err error) sqlstore.Failure {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlstore.Fault
	}
	switch e.Code() {
	case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return sqlstore.Duplicate
	case sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return sqlstore.Orphan
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN:
		return sqlstore.Unavailable
	}
	return sqlstore.Fault
}

// InTx implements [store.Store]. Callers share commits; each one's fn runs
// alone, in its caller's goroutine. It may wait as long as ctx lives, until fn
// has begun.
func (s *Store) InTx(ctx context.Context, d store.Durability, fn func(store.Tx) error) error {
	err := s.writer.do(ctx, d, func(tx *sqlstore.Tx) error { return fn(tx) })
	if err == nil {
		s.transactions.Add(1)
	}
	return err
}

// Transaction implements [store.Store].
func (s *Store) Transaction(ctx context.Context, id string) (flow.Row, error) {
	if row, ok := s.writer.flows.get(id); ok {
		return row, nil
	}
	return s.Reader.Transaction(ctx, id)
}

// Account implements [store.Store].
func (s *Store) Account(ctx context.Context, userID string) (directory.Account, error) {
	if a, ok := s.writer.people.get(userID); ok {
		return copyOf(a), nil
	}
	return s.Reader.Account(ctx, userID)
}

// ClaimOutbox implements [store.Store].
func (s *Store) ClaimOutbox(ctx context.Context, kind string, now, leaseUntil time.Time, limit int) ([]outbox.Message, error) {
	return sqlstore.ClaimOutbox(ctx, s.Reader, s.writer.do, kind, now, leaseUntil, limit)
}

// purgeBatch is how many rows others wait for at most: there is one writer.
const purgeBatch = 100

// Purge implements [store.Store].
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	defer s.writer.flows.dropWhere(func(row flow.Row) bool { return !row.ExpiresAt.IsZero() && row.ExpiresAt.Before(now) })
	return sqlstore.Purge(ctx, s.writer.do, now, limit, purgeBatch, nil)
}

// Stats implements [store.Store].
func (s *Store) Stats() store.Stats {
	return store.Stats{
		Commits:        s.writer.commits.Load(),
		DurableCommits: s.writer.durable.Load(),
		Transactions:   s.transactions.Load(),
		RowWrites:      s.writer.rowWrites.Load(),
		Reads:          s.Reads(),
		TxReads:        s.writer.txReads.Load(),
	}
}

// Pool implements [store.Store].
func (s *Store) Pool() store.Pool {
	return store.Pool{Waiting: len(s.writer.queue), Busy: s.writer.refused.Load()}
}

// Close waits for the writes that are queued, and moves all of them into the
// database file.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		var errs []error
		if s.examination != nil {
			s.examination.end()
		}
		if s.checker != nil {
			s.checker.close()
		}
		if s.readers != nil {
			errs = append(errs, s.readers.close())
		}
		if s.writer != nil { // last, because the last connection checkpoints
			errs = append(errs, s.writer.close())
			s.writer.flows.clear() // nothing is read of a store that is closed
			s.writer.people.clear()
		}
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}
