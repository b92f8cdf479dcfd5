package signin

import (
	"sync"
	"time"
)

// A once does a piece of work one time for all who ask for it under one key,
// together or within a while after it is done. A form posted twice by a double
// press, and a refresh token that several requests need at once, must each reach
// the engine a single time (UX G7; a refresh token used twice is revoked).
type once[T any] struct {
	now func() time.Time

	mu    sync.Mutex
	runs  map[string]*run[T]
	swept time.Time
}

type run[T any] struct {
	done  chan struct{}
	value T
	until time.Time // zero while it runs
}

// maxRuns bounds the finished runs that are kept: beyond it a value is handed out
// to those who wait for it, and not kept for those who come later.
const maxRuns = 1024

// sweepEvery is how often finished runs are looked through for old ones.
const sweepEvery = time.Second

func newOnce[T any](now func() time.Time) *once[T] {
	return &once[T]{now: now, runs: map[string]*run[T]{}}
}

// do returns what work returned, by this call or by an earlier one for the key.
// The value is kept for as long as work says.
func (o *once[T]) do(key string, work func() (T, time.Duration)) T {
	o.mu.Lock()
	now := o.now()
	if r := o.runs[key]; r != nil && (r.until.IsZero() || now.Before(r.until)) {
		o.mu.Unlock()
		<-r.done
		return r.value
	}
	if len(o.runs) >= maxRuns && now.Sub(o.swept) >= sweepEvery {
		o.swept = now
		for k, r := range o.runs {
			if !r.until.IsZero() && !now.Before(r.until) {
				delete(o.runs, k)
			}
		}
	}
	r := &run[T]{done: make(chan struct{})}
	o.runs[key] = r
	o.mu.Unlock()

	var keep time.Duration
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if r.until = o.now().Add(keep); keep <= 0 || len(o.runs) > maxRuns {
			delete(o.runs, key)
		}
		close(r.done)
	}()
	r.value, keep = work()
	return r.value
}
