package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"sync"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// A pool lends read-only connections, each to one borrower at a time. It opens
// them as they are needed, and prefers the one used last, whose cache is warm.
type pool struct {
	db   *sql.DB
	size int
	free chan struct{} // a token for each connection that may be borrowed

	mu     sync.Mutex
	idle   []*sqlstore.Prepared
	closed bool
}

func newPool(path string, size int, pragmas url.Values) *pool {
	db, err := sql.Open("sqlite", dsn(path, pragmas))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	db.SetMaxOpenConns(size)
	p := &pool{db: db, size: size, free: make(chan struct{}, size)}
	for range size {
		p.free <- struct{}{}
	}
	return p
}

// Get implements [sqlstore.Source].
func (p *pool) Get(ctx context.Context) (sqlstore.Conn, error) {
	select {
	case <-p.free:
	default:
		select {
		case <-p.free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c, err := p.take(ctx)
	if err != nil {
		p.free <- struct{}{}
		return nil, err
	}
	return c, nil
}

func (p *pool) take(ctx context.Context) (*sqlstore.Prepared, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, store.ErrClosed
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	conn, err := p.db.Conn(ctx)
	if err != nil {
		if classify(err) == sqlstore.Unavailable {
			err = sqlstore.Refused(err)
		}
		return nil, err
	}
	return sqlstore.Prepare(conn), nil
}

// Put implements [sqlstore.Source].
func (p *pool) Put(c sqlstore.Conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c.(*sqlstore.Prepared))
	p.mu.Unlock()
	p.free <- struct{}{}
}

// close waits for the connections that are lent.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for range p.size {
		<-p.free
	}
	var errs []error
	for _, c := range p.idle {
		errs = append(errs, c.Close())
	}
	for range p.size { // so that later borrowers learn that it is closed
		p.free <- struct{}{}
	}
	return errors.Join(append(errs, p.db.Close())...)
}
