package postgres

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// errAway refuses at once what would only wait (REL R-12).
var errAway = errors.New("the database does not answer")

// A breaker knows whether the server is away. Whoever has waited in vain says so;
// then all who wait are let go and nobody else begins to, until one that asks again
// and again has an answer.
type breaker struct {
	log   *slog.Logger
	probe func() bool   // asks the server
	done  chan struct{} // closed when nobody is to ask any more

	heard atomic.Int64 // when the server last answered, in nanoseconds since birth
	birth time.Time

	mu      sync.Mutex
	away    bool
	since   time.Time
	changed chan struct{} // closed when away changes
}

// probeEvery is the pause between two questions to a server that is away.
const probeEvery = 250 * time.Millisecond

func newBreaker(log *slog.Logger, probe func() bool) *breaker {
	return &breaker{log: log, probe: probe, done: make(chan struct{}), birth: time.Now(), changed: make(chan struct{})}
}

// state tells whether the server is away, and when that changes.
func (b *breaker) state() (away bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.away, b.changed
}

// answered notes that the server lives.
func (b *breaker) answered() { b.heard.Store(int64(time.Since(b.birth))) }

// failed is told of a wait for the server that began at since and ended without an
// answer. One connection may break alone: the server is away only if it has not
// answered anybody else meanwhile.
func (b *breaker) failed(since time.Time, err error) {
	if b.heard.Load() >= int64(since.Sub(b.birth)) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return
	}
	b.log.Warn("the database does not answer; what needs it is refused until it does", "error", err)
	b.away, b.since = true, time.Now()
	b.flip()
	go b.ask()
}

// flip is called with mu held.
func (b *breaker) flip() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// ask is the only one to ask while the server is away.
func (b *breaker) ask() {
	for !b.probe() {
		select {
		case <-b.done:
			return
		case <-time.After(probeEvery):
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = false
	b.flip()
	b.log.Info("the database answers again", "after", time.Since(b.since).Round(time.Millisecond))
}

// back waits until the server is not away, as long as ctx lives.
func (b *breaker) back(ctx context.Context) error {
	for {
		away, changed := b.state()
		if !away {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errAway, ctx.Err())
		}
	}
}

// try asks the server on a connection of the pool's.
func (p *pool) try() bool {
	select {
	case <-p.free:
	case <-p.breaker.done:
		return false
	}
	defer func() { p.free <- struct{}{} }()
	ctx := context.Background() // connecting has limits of its own, for each host
	c, err := p.db.Conn(ctx)
	if err != nil {
		return false
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, wakeTime)
	defer cancel()
	if err := c.PingContext(ctx); err != nil {
		discard(c)
		p.forget()
		return false
	}
	p.breaker.answered()
	return true
}

// A link is a connection that was found, or why there is none.
type link struct {
	sql *sql.Conn
	err error
}

// find looks for a connection until ctx or the patience ends, or the server is known
// to be away. The search itself goes on, since a dead host may stand before one that
// lives: left says that it has the token, and gives it back when it ends.
func (p *pool) find(ctx context.Context, patience time.Duration) (found link, left bool) {
	away, changed := p.breaker.state()
	if away {
		return link{err: errAway}, false
	}
	began := time.Now()
	result, given := make(chan link), make(chan struct{})
	go func() {
		var l link
		l.sql, l.err = p.db.Conn(context.WithoutCancel(ctx))
		select {
		case result <- l:
		case <-given:
			if l.err == nil {
				_ = l.sql.Close()
			}
			p.free <- struct{}{}
		}
	}()
	end := time.NewTimer(patience)
	defer end.Stop()
	select {
	case found = <-result:
		if found.err != nil && silent(found.err) {
			p.breaker.failed(began, found.err)
		}
		return found, false
	case <-ctx.Done():
		found.err = ctx.Err()
	case <-changed:
		found.err = errAway
	case <-end.C:
		found.err = errAway
		p.breaker.failed(began, errors.New("no connection within "+patience.String()))
	}
	close(given)
	return found, true
}
