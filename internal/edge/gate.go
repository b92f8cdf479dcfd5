package edge

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A gate bounds how many requests of one class are answered at a time, and
// learns how many that should be from how long the quickest of them takes: if
// even that one is held up, all of them stand in a queue somewhere inside (the
// idea of CoDel, RFC 8289), and fewer should be let in (REL R-17).
//
// Whoever finds it full waits for a moment. The newest is let in first: the
// others have waited so long that theirs is likely to come too late, and one
// that has waited for patience is refused.
type gate struct {
	floor, ceiling int           // bounds of limit
	target         time.Duration // by which the quickest may be held up
	patience       time.Duration

	mu      sync.Mutex
	limit   int
	inside  int
	waiting []*waiter // oldest first; none while there is room

	// Of the interval that began at since:
	since    time.Time
	quickest time.Duration // 0: nobody has left
	most     int           // inside at once
	full     bool          // somebody found no room

	usual time.Duration // the quickest of the last interval with no more than floor inside
}

// interval is how often limit is looked at.
const interval = 100 * time.Millisecond

type waiter struct{ answer chan bool } // holds one

func newGate(floor, ceiling int, target, patience time.Duration) *gate {
	return &gate{floor: floor, ceiling: ceiling, limit: ceiling, target: target, patience: patience}
}

// enter lets a request in, perhaps after a wait, or refuses it. Who was let in leaves.
func (g *gate) enter(ctx context.Context) (waited, ok bool) {
	g.mu.Lock()
	if g.inside < g.limit {
		g.admit()
		g.mu.Unlock()
		return false, true
	}
	g.full = true
	if len(g.waiting) >= g.limit { // as many as are inside: more would only wait
		g.waiting[0].answer <- false
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
	w := &waiter{make(chan bool, 1)}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	return true, g.wait(ctx, w)
}

func (g *gate) wait(ctx context.Context, w *waiter) bool {
	patience := time.NewTimer(g.patience)
	defer patience.Stop()
	select {
	case ok := <-w.answer:
		return ok
	case <-patience.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, w)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	return i < 0 && <-w.answer // else the answer came at the same time
}

// admit is called with mu held.
func (g *gate) admit() {
	g.inside++
	g.most = max(g.most, g.inside)
}

// leave is called once by each request that was let in, with when that was.
func (g *gate) leave(at time.Time) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if took := max(1, now.Sub(at)); g.quickest == 0 || took < g.quickest {
		g.quickest = took
	}
	if now.Sub(g.since) >= interval {
		g.judge()
		g.since, g.quickest, g.most, g.full = now, 0, g.inside, false
	}
	g.inside--
	for g.inside < g.limit && len(g.waiting) > 0 {
		newest := len(g.waiting) - 1
		g.waiting[newest].answer <- true
		g.waiting = g.waiting[:newest]
		g.admit()
	}
}

// judge moves limit by what an interval has shown. It falls by a quarter and
// rises by an eighth: too many inside harm all of them, too few only the refused.
// floor inside are never too many, so what they take is not the gate's to change.
func (g *gate) judge() {
	if g.most <= g.floor {
		g.usual = g.quickest
	}
	switch {
	case g.quickest > g.usual+g.target:
		g.limit = max(g.floor, g.limit-g.limit/4)
	case g.full:
		g.limit = min(g.ceiling, g.limit+max(1, g.limit/8))
	}
}

func (g *gate) limits() (limit, inside int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit, g.inside
}
