package edge

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// anybody is nobody's source, which has no share.
var anybody netip.Addr

// only has room for so many of Start, and for nothing else.
func only(limit int) *gate {
	var marks [classes]mark
	marks[Start] = mark{quarters: 4}
	return newGate(limit, limit, marks)
}

// The newest of those who wait is let in first; who has waited for patience is
// refused, and so is the oldest when there are too many.
func TestREL_R17_GateQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(2)
		g.crowd = 2
		ctx := t.Context()
		for range 2 {
			if waited, ok := g.enter(ctx, Start, anybody); waited || !ok {
				t.Fatalf("there is room: waited %v, let in %v", waited, ok)
			}
		}
		at := time.Now()
		var mu sync.Mutex
		var events []string
		said := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(events)
		}
		come := func(name string) {
			go func() {
				_, ok := g.enter(ctx, Start, anybody)
				verdict := " refused"
				if ok {
					verdict = " let in"
				}
				mu.Lock()
				defer mu.Unlock()
				events = append(events, name+verdict)
			}()
			synctest.Wait()
		}
		come("a")
		time.Sleep(10 * time.Millisecond)
		come("b")
		time.Sleep(10 * time.Millisecond)
		come("c") // one more than may wait: the oldest goes
		g.leave(Start, anybody, at)
		synctest.Wait()
		time.Sleep(20 * time.Millisecond) // b has waited for 30 ms
		if got, want := said(), []string{"a refused", "c let in"}; !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		time.Sleep(10 * time.Millisecond)
		if got, want := said(), []string{"a refused", "c let in", "b refused"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if limit, inside := g.limits(Start); limit != 2 || inside != 2 || len(g.waiting[Start]) != 0 {
			t.Errorf("%d of %d inside, %d waiting, want 2 of 2 and none", inside, limit, len(g.waiting[Start]))
		}
	})
}

// While somebody always waits, nobody waits for long; once nobody has, the next one
// does again.
func TestREL_R17_Impatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(1)
		g.crowd = 1000
		g.enter(t.Context(), Start, anybody)
		start := time.Now()
		waited := func() time.Duration {
			at := time.Now()
			if _, ok := g.enter(t.Context(), Start, anybody); ok {
				t.Error("let in where there is no room")
			}
			return time.Since(at)
		}
		var flood sync.WaitGroup
		took := map[time.Duration]time.Duration{} // when one came to how long it waited
		var mu sync.Mutex
		for ; time.Since(start) < 3*interval; time.Sleep(time.Millisecond) { // of made-up time
			at := time.Since(start)
			flood.Go(func() {
				d := waited()
				mu.Lock()
				defer mu.Unlock()
				took[at] = d
			})
		}
		flood.Wait()
		for at, d := range took {
			if at <= interval && d != patience || at > interval && d != impatience {
				t.Errorf("after %v one waited for %v", at, d)
			}
		}
		if d := waited(); d != patience {
			t.Errorf("when nobody else waits: %v", d)
		}
	})
}

func TestGateLeavesWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(1)
		g.enter(t.Context(), Start, anybody)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, ok := g.enter(ctx, Start, anybody); ok {
				t.Error("let in after its caller had gone")
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		g.leave(Start, anybody, time.Now())
		if _, inside := g.limits(Start); inside != 0 || len(g.waiting[Start]) != 0 {
			t.Errorf("%d inside, %d waiting", inside, len(g.waiting[Start]))
		}
	})
}

// The limit falls while even the quickest is held up, rises while somebody finds
// no room and nobody is held up, and stays within its bounds. A machine that is
// slow by itself is not taken for one that is overloaded.
func TestREL_R17_GateLearns(t *testing.T) {
	const floor, ceiling = 8, 64
	var marks [classes]mark
	marks[Start] = mark{quarters: 4}
	// round is an interval in which n are inside and each takes so long.
	round := func(g *gate, n int, took time.Duration) int {
		for range n {
			g.mu.Lock()
			g.full = g.full || g.inside >= g.limit
			g.admit(Start, anybody)
			g.mu.Unlock()
		}
		at := time.Now()
		time.Sleep(max(took, interval))
		for range n {
			g.leave(Start, anybody, at.Add(max(0, interval-took)))
		}
		limit, _ := g.limits(Start)
		return limit
	}
	for name, c := range map[string]struct {
		rounds int
		n      func(limit int) int
		took   func(inside int) time.Duration
		want   int
	}{
		"held up": {
			20, func(limit int) int { return limit }, func(n int) time.Duration { return time.Duration(n) * 10 * time.Millisecond }, floor + 1,
		},
		"quick, and more would come": {
			20, func(limit int) int { return limit + 1 }, func(int) time.Duration { return time.Millisecond }, ceiling,
		},
		"slow by itself, a few inside": {
			20, func(int) int { return floor }, func(int) time.Duration { return 90 * time.Millisecond }, ceiling,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(floor, ceiling, marks)
				limit := ceiling
				for range c.rounds {
					n := c.n(limit)
					limit = round(g, n, c.took(n))
					if limit < floor || limit > ceiling {
						t.Fatalf("the limit is %d", limit)
					}
				}
				if c.want == ceiling && limit != ceiling || c.want != ceiling && limit > c.want {
					t.Errorf("the limit ends at %d, want %d", limit, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGate(floor, ceiling, marks)
		g.limit = floor
		for i := range 30 {
			limit := round(g, g.limit+1, time.Millisecond)
			if limit == ceiling {
				return
			}
			if i == 29 {
				t.Errorf("after three seconds without a delay the limit is %d, want %d", limit, ceiling)
			}
		}
	})
}

func TestGateAllocatesNothing(t *testing.T) {
	g := only(1)
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := g.enter(t.Context(), Start, anybody); !ok {
			t.Error("refused while there is room")
		}
		g.leave(Start, anybody, time.Now())
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// Each class is let in up to its own mark, and when somebody leaves the highest
// class that waits goes first.
func TestREL_R18_GateMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var marks [classes]mark
		marks[Finish] = mark{quarters: 8}
		marks[Start] = mark{quarters: 4, always: 1}
		marks[List] = mark{quarters: 8, never: 1}
		g := newGate(4, 4, marks)
		ctx := t.Context()
		for _, c := range []Class{List, Finish, Finish, Finish} {
			g.enter(ctx, c, anybody)
		}
		enter := func(c Class) (ok bool) { _, ok = g.enter(ctx, c, anybody); return ok }
		if !enter(Start) {
			t.Error("a class that has its one always is refused it")
		}
		if enter(Start) || enter(List) {
			t.Error("let in above its mark")
		}
		if !enter(Finish) {
			t.Error("a class is refused below its mark")
		}
		for range 2 {
			g.enter(ctx, Finish, anybody) // 8 inside
		}
		var mu sync.Mutex
		var order []Class
		for _, c := range []Class{Start, Finish, Start, Finish} {
			go func() {
				if enter(c) {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, c)
				}
			}()
			synctest.Wait()
		}
		for range 2 {
			g.leave(Finish, anybody, time.Now())
			synctest.Wait()
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(order, []Class{Finish, Finish}) {
			t.Errorf("%v were let in, want the two of the highest class", order)
		}
		time.Sleep(time.Second) // the rest gives up
	})
}

func BenchmarkGate(b *testing.B) {
	g := only(64)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		g.enter(ctx, Start, anybody)
		g.leave(Start, anybody, time.Now())
	}
}
