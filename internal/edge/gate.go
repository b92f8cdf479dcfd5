package edge

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A gate bounds how many requests are answered at a time, and learns how many
// that should be from how long the quickest of them takes: if even that one is
// held up, all of them stand in a queue somewhere inside (the idea of CoDel, RFC
// 8289), and fewer should be let in (REL R-17).
//
// All classes share the room, and each is let in up to a mark of its own, the
// higher the class the further (as telephone trunks are reserved). So a flow that
// was begun finds room for its other steps, and none begins while it would take
// that room: work given up half-way is what makes a system collapse.
//
// Whoever finds no room waits for a moment. Those of the source that has the fewest
// inside are let in first, so that one that sends much does not hold up those that
// send little, and no source may have all of the room (REL R-20). Of them the newest
// is let in: the others have waited so long that theirs is likely to come too late,
// and one that has waited for patience is refused. While there is no moment in which
// nobody waits, more come than can be let in, and patience is short: to wait longer
// would bring nobody in, only the refusals later (adaptive timeouts: B. Maurer, Fail at
// Scale, ACM Queue 13 (8), 2015).
type gate struct {
	floor, ceiling int // bounds of limit
	crowd          int // more of a class never wait
	marks          [classes]mark

	mu      sync.Mutex
	limit   int
	inside  int // of all classes
	of      [classes]int
	by      map[netip.Addr]int // of each source
	waiting [classes][]*waiter // oldest first
	busy    [classes]time.Time // since when somebody has always waited

	// Of the interval that began at since:
	since    time.Time
	quickest time.Duration // 0: nobody has left
	most     int           // inside at once
	full     bool          // somebody found no room

	usual time.Duration // the quickest of the last interval with no more than floor inside
}

// A mark is how far a class is let in.
type mark struct {
	quarters int // of limit: it is let in while fewer are inside, of all classes
	always   int // or fewer of its own
	never    int // more of its own, if not 0
}

const (
	interval = 100 * time.Millisecond // after which limit is looked at
	target   = 50 * time.Millisecond  // by which the quickest may be held up
	// patience is how long a request waits to be let in, and impatience how long if for
	// an interval somebody has always waited: a refusal is to be out within 50 ms, of
	// which the machine takes most then.
	patience   = 40 * time.Millisecond
	impatience = 4 * time.Millisecond
)

type waiter struct {
	source netip.Addr
	answer chan bool // holds one
}

func newGate(floor, ceiling int, marks [classes]mark) *gate {
	return &gate{floor: floor, ceiling: ceiling, crowd: 4 * ceiling, limit: ceiling, marks: marks, by: map[netip.Addr]int{}}
}

// room is called with mu held. A source that is nobody has no share.
func (g *gate) room(c Class, source netip.Addr) bool {
	m := &g.marks[c]
	if m.never == 0 && source.IsValid() && g.by[source] >= share(g.reach(c, g.limit)) { // of what has few places the source's others do not count
		return false
	}
	if m.never > 0 && g.of[c] >= m.never {
		return false
	}
	return g.inside < g.limit*m.quarters/4 || g.of[c] < m.always
}

// share is how much of the room one source may have: all but an eighth. Most sources
// are one person; one that is a server of many must not be held up by that.
func share(reach int) int { return reach - reach/8 }

// enter lets a request in, perhaps after a wait, or refuses it. Who was let in leaves.
func (g *gate) enter(ctx context.Context, c Class, source netip.Addr) (waited, ok bool) {
	g.mu.Lock()
	if g.room(c, source) {
		g.admit(c, source)
		g.mu.Unlock()
		return false, true
	}
	g.full = true
	now, wait := time.Now(), patience
	if len(g.waiting[c]) == 0 {
		g.busy[c] = now
	} else if now.Sub(g.busy[c]) > interval && !g.soon(c, source) {
		wait = impatience
	}
	if len(g.waiting[c]) >= g.crowd {
		i := g.crowding(c)
		g.waiting[c][i].answer <- false
		g.waiting[c] = slices.Delete(g.waiting[c], i, i+1)
	}
	w := &waiter{source, make(chan bool, 1)}
	g.waiting[c] = append(g.waiting[c], w)
	g.mu.Unlock()
	return true, g.wait(ctx, c, w, wait)
}

func (g *gate) wait(ctx context.Context, c Class, w *waiter, most time.Duration) bool {
	end := time.NewTimer(most)
	defer end.Stop()
	select {
	case ok := <-w.answer:
		return ok
	case <-end.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting[c], w)
	if i >= 0 {
		g.waiting[c] = slices.Delete(g.waiting[c], i, i+1)
	}
	g.mu.Unlock()
	return i < 0 && <-w.answer // else the answer came at the same time
}

// soon reports whether a place is soon that of a source: it has nothing, and at most
// one other that has nothing waits, however many of somebody who floods do. Nobody's
// source is many. It is called with mu held.
func (g *gate) soon(c Class, source netip.Addr) bool {
	if !source.IsValid() || g.by[source] > 0 {
		return false
	}
	others := 0
	for _, w := range g.waiting[c] {
		if w.source == source {
			return false
		}
		if g.by[w.source] == 0 {
			others++
		}
	}
	return others <= 1
}

// crowding is the oldest of the source that has the most waiting. It is called with
// mu held.
func (g *gate) crowding(c Class) (oldest int) {
	of := make(map[netip.Addr]int, len(g.waiting[c]))
	for _, w := range g.waiting[c] {
		of[w.source]++
	}
	for i, w := range g.waiting[c] {
		if of[w.source] > of[g.waiting[c][oldest].source] {
			oldest = i
		}
	}
	return oldest
}

// next is the newest of the source that has the fewest inside. It is called with mu
// held, while somebody waits.
func (g *gate) next(c Class) (newest int) {
	newest = len(g.waiting[c]) - 1
	for i := newest - 1; i >= 0; i-- {
		if g.by[g.waiting[c][i].source] < g.by[g.waiting[c][newest].source] {
			newest = i
		}
	}
	return newest
}

// admit is called with mu held.
func (g *gate) admit(c Class, source netip.Addr) {
	if source.IsValid() {
		g.by[source]++
	}
	g.inside++
	g.of[c]++
	g.most = max(g.most, g.inside)
}

// leave is called once by each request that was let in, with when that was.
func (g *gate) leave(c Class, source netip.Addr, at time.Time) {
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
	g.of[c]--
	if source.IsValid() {
		if g.by[source]--; g.by[source] == 0 {
			delete(g.by, source)
		}
	}
	for c := range Class(classes) { // the highest first
		for len(g.waiting[c]) > 0 {
			i := g.next(c)
			w := g.waiting[c][i]
			if !g.room(c, w.source) {
				break
			}
			w.answer <- true
			g.waiting[c] = slices.Delete(g.waiting[c], i, i+1)
			g.admit(c, w.source)
		}
	}
}

// judge moves limit by what an interval has shown. It falls by a quarter and
// rises by an eighth: too many inside harm all of them, too few only the refused.
// floor inside are never too many, so what they take is not the gate's to change.
func (g *gate) judge() {
	if g.most <= g.floor {
		if rise := g.quickest - g.usual; g.usual > 0 && rise > 0 {
			g.usual += rise / 8 // the only one of an interval may have been a slow one
		} else {
			g.usual = g.quickest
		}
	}
	switch {
	case g.quickest > g.usual+target:
		g.limit = max(g.floor, g.limit-g.limit/4)
	case g.full:
		g.limit = min(g.ceiling, g.limit+max(1, g.limit/8))
	}
}

// reach is how many may be inside when one of a class is let in.
func (g *gate) reach(c Class, limit int) int {
	m := g.marks[c]
	reach := max(limit*m.quarters/4, m.always)
	if m.never > 0 {
		reach = min(reach, m.never)
	}
	return reach
}

func (g *gate) limits(c Class) (limit, inside int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reach(c, g.limit), g.of[c]
}
