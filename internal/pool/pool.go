// Package pool bounds costly work of one kind: how much of it is done at a time,
// and how much waits. So a flood of it is refused at once instead of starving
// everything else (REL R-19).
package pool

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/problem"
)

// A Pool is safe for concurrent use.
type Pool struct {
	places  chan struct{} // working or waiting
	workers chan struct{} // working
	refused atomic.Int64
}

// New returns a pool that does the work of so many callers at a time, and lets
// so many more wait.
func New(workers, waiting int) *Pool {
	return &Pool{places: make(chan struct{}, workers+waiting), workers: make(chan struct{}, workers)}
}

// Reserve gives a place, which must be released, or a *problem.Error of kind
// Unavailable if there is none. Who has a place is not refused any more: it is
// taken before what the work is for cannot be undone.
func (p *Pool) Reserve() (Place, error) {
	select {
	case p.places <- struct{}{}:
		return Place{p}, nil
	default:
		p.refused.Add(1)
		return Place{}, &problem.Error{
			Kind: problem.Unavailable, Code: "E0000010", Detail: "Server is unable to respond at the moment.",
			RetryAfter: time.Second,
		}
	}
}

// Do runs work when a worker is free. It does not run it if there is no place,
// which is a *problem.Error of kind Unavailable, or if ctx ends first.
func (p *Pool) Do(ctx context.Context, work func()) error {
	place, err := p.Reserve()
	if err != nil {
		return err
	}
	defer place.Release()
	return place.Do(ctx, work)
}

// Places is how many may work or wait.
func (p *Pool) Places() int { return cap(p.places) }

// Busy is how many work or wait now.
func (p *Pool) Busy() int { return len(p.places) }

// Refused is how many have found no place.
func (p *Pool) Refused() int64 { return p.refused.Load() }

// A Place is the right to wait for a worker.
type Place struct{ pool *Pool }

// Do runs work when a worker is free, or returns why ctx ended first.
func (p Place) Do(ctx context.Context, work func()) error {
	select {
	case p.pool.workers <- struct{}{}:
		defer func() { <-p.pool.workers }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	work()
	return nil
}

// Release gives the place to somebody else.
func (p Place) Release() { <-p.pool.places }
