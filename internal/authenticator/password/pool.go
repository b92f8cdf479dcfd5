package password

import (
	"context"
	"runtime"
	"time"

	"github.com/stile-id/stile/internal/problem"
)

// A pool bounds how many hashes are made at a time, and so the memory that they
// take, and how many callers wait (SEC S-47). Without it a flood of sign-ins
// would exhaust the machine.
type pool struct {
	places chan struct{} // working or waiting
	slots  chan struct{} // working
}

// queueFactor is how many callers may wait for each worker.
const queueFactor = 4

func newPool(workers int) *pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &pool{
		places: make(chan struct{}, workers*(1+queueFactor)),
		slots:  make(chan struct{}, workers),
	}
}

// do runs work when a worker is free. It does not run it if the queue is full,
// which is a *problem.Error, or ctx ends first.
func (p *pool) do(ctx context.Context, work func()) error {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		return &problem.Error{
			Kind: problem.Unavailable, Code: "E0000010", Detail: "Server is unable to respond at the moment.",
			RetryAfter: time.Second,
		}
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	work()
	return nil
}
