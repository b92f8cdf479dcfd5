package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

// A watch knows the workers in the background, and tells when one hangs (REL R-30).
// That one fails, it says itself.
type watch struct {
	log *slog.Logger
	now func() time.Time // for periods, by the monotonic clock

	mu      sync.Mutex
	workers []*worker
}

// watched runs one piece of a worker's work.
type watched = func(work func() error) error

// unwatched is for work that nobody waits for.
func unwatched(work func() error) error { return work() }

type worker struct {
	name     string
	every    time.Duration // 0: when something comes
	patience time.Duration // with a piece of work, and beyond every
	now      func() time.Time

	mu    sync.Mutex
	busy  bool
	since time.Time // it began what it does, or ended what it did last
	well  time.Time // when something last ended well; zero: nothing yet
	stuck bool      // as it was last told
}

const (
	// stuckAfter is more than anything takes that is bounded, and with lookAtWorkers less
	// than the minute within which somebody is to know.
	stuckAfter    = 45 * time.Second
	lookAtWorkers = 2 * time.Second
)

func newWatch(log *slog.Logger) *watch { return &watch{log: log, now: time.Now} }

// worker is called by each goroutine for itself; several may have one name.
func (w *watch) worker(name string, every, patience time.Duration) watched {
	x := &worker{name: name, every: every, patience: patience, now: w.now, since: w.now()}
	w.mu.Lock()
	w.workers = append(w.workers, x)
	w.mu.Unlock()
	return x.run
}

func (x *worker) run(work func() error) error {
	x.mu.Lock()
	x.busy, x.since = true, x.now()
	x.mu.Unlock()
	err := work()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy, x.since = false, x.now()
	if err == nil {
		x.well = x.since
	}
	return err
}

// hangs reports whether it is over its time.
func (x *worker) hangs(now time.Time) bool {
	if x.busy {
		return now.Sub(x.since) > x.patience
	}
	return x.every > 0 && now.Sub(x.since) > x.every+x.patience
}

// run tells the log of workers that hang, and of those that go on.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(lookAtWorkers)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.look(w.now())
	}
}

func (w *watch) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.workers {
		x.mu.Lock()
		hangs, since := x.hangs(now), x.since
		told := x.stuck
		x.stuck = hangs
		x.mu.Unlock()
		switch {
		case hangs && !told:
			w.log.Error("a worker hangs; restart this node if it does not go on", "worker", x.name, "since", since.Round(0))
		case told && !hangs:
			w.log.Info("the worker goes on", "worker", x.name)
		}
	}
}

// all is what the metrics tell: of several with one name the one that hangs, and the
// last that was well.
func (w *watch) all() map[string]metrics.Worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, out := w.now(), map[string]metrics.Worker{}
	for _, x := range w.workers {
		x.mu.Lock()
		m := out[x.name]
		m.Stuck = m.Stuck || x.hangs(now)
		if x.well.After(m.Well) {
			m.Well = x.well
		}
		x.mu.Unlock()
		out[x.name] = m
	}
	return out
}
