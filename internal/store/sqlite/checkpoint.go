package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"
)

const (
	checkRows    = 256  // rows written between two looks at the log
	backlogPages = 1000 // pages to move before it is worth two fsyncs
	tailPages    = 4000 // pages of log, 16 MiB, after which it must start anew
)

// A checkpointer moves pages from the write-ahead log into the database, beside
// the writer and never in its way. While writes keep coming it cannot catch up
// with the last of them, and a log that is never caught up with never starts
// anew: so from a certain length on the writer itself moves the short rest,
// between two commits.
type checkpointer struct {
	path string
	log  *slog.Logger
	wake chan struct{}
	quit chan struct{}
	done chan struct{}
	tail atomic.Bool // the writer is asked to move the rest
}

func newCheckpointer(path string, log *slog.Logger) *checkpointer {
	c := &checkpointer{
		path: path, log: log,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// written tells of a commit after which it is worth looking.
func (c *checkpointer) written() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *checkpointer) run() {
	defer close(c.done)
	var db *sql.DB
	for {
		select {
		case <-c.quit:
			if db != nil {
				_ = db.Close()
			}
			return
		case <-c.wake:
		}
		if db == nil {
			db = c.open()
		}
		if err := c.look(db); err != nil {
			c.log.Warn("database checkpoint", "error", err)
		}
	}
}

func (c *checkpointer) open() *sql.DB {
	db, err := sql.Open("sqlite", dsn(c.path, nil))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	db.SetMaxOpenConns(1)
	return db
}

func (c *checkpointer) look(db *sql.DB) error {
	size, moved, err := checkpoint(db, "NOOP")
	if err != nil || size-moved < backlogPages {
		return err
	}
	size, moved, err = checkpoint(db, "PASSIVE")
	if err == nil && size > tailPages && moved < size {
		c.tail.Store(true)
	}
	return err
}

// checkpoint returns how many pages the log has, and how many of them are in
// the database.
func checkpoint(db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, mode string) (size, moved int64, err error) {
	var busy int64
	err = db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &size, &moved)
	if err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return size, moved, nil
}

func (c *checkpointer) close() {
	close(c.quit)
	<-c.done
}
