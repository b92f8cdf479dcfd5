package limit

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyGap draws how long nothing happens: mostly little, now and then long.
func anyGap(t *rapid.T) time.Duration {
	most := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Minute, 16 * time.Minute, 2 * time.Hour, 25 * time.Hour}).Draw(t, "scale")
	return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, "gap"))
}

func anyGuesses(t *rapid.T) Guesses {
	g := DefaultRules().Code
	if rapid.Bool().Draw(t, "few") {
		g.Consecutive = rapid.IntRange(0, 40).Draw(t, "consecutive")
	}
	if rapid.Bool().Draw(t, "no windows") {
		g.Windows = nil
	}
	g.Forget = rapid.SampledFrom([]time.Duration{0, 0, time.Hour, 30 * day}).Draw(t, "forget")
	g = g.Policy(rapid.IntRange(0, 12).Draw(t, "attempts"),
		rapid.SampledFrom([]time.Duration{0, time.Second, 15 * time.Minute, 3 * day}).Draw(t, "unlock"))
	if g.Off() {
		g.Consecutive = 100
	}
	return g
}

func TestSEC_S05_MoreWrongNeverShortensAPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGuesses(t)
		var c Counter
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "wrongs") {
			now = now.Add(anyGap(t))
			before := waits(g, c, now)
			c, _ = g.Wrong(c, now)
			if after := waits(g, c, now); after < before {
				t.Fatalf("a wrong answer shortens the wait from %v to %v", before, after)
			}
		}
	})
}

func TestSEC_S05_NeverMoreThanTheWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGuesses(t)
		var c Counter
		var at []time.Time
		now := epoch
		row := 0
		for range rapid.IntRange(1, 150).Draw(t, "tries") {
			now = now.Add(anyGap(t))
			switch wait, open := g.Open(c, now); {
			case !open && wait > 0:
				if _, open := g.Open(c, now.Add(wait-1)); open {
					t.Fatalf("open before the %v that it said", wait)
				}
				if wait, open := g.Open(c, now.Add(wait)); !open {
					t.Fatalf("closed for a further %v after the wait that it said", wait)
				}
				continue
			case !open:
				continue
			}
			if rapid.IntRange(0, 9).Draw(t, "right") == 0 {
				c, _ = g.Right(c, now)
				row = 0
				continue
			}
			c, _ = g.Wrong(c, now)
			at = append(at, now)
			row++
			if n := g.Standing(c, now).Consecutive; g.Forget == 0 && n != row {
				t.Fatalf("%d in a row, want %d", n, row)
			}
		}
		for _, w := range g.Windows {
			noMoreThan(t, at, w)
		}
	})
}

// noMoreThan fails if some span of w.Per holds more than w.N.
func noMoreThan(t interface{ Fatalf(string, ...any) }, at []time.Time, w Window) {
	for i := w.N; i < len(at); i++ {
		if d := at[i].Sub(at[i-w.N]); d < w.Per {
			t.Fatalf("%d within %v, of which %v may hold %d", w.N+1, d, w.Per, w.N)
		}
	}
}

// From ExpiresAt on, the counter answers and goes on as none does.
func TestGuessesExpiry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGuesses(t)
		var c Counter
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "wrongs") {
			now = now.Add(anyGap(t))
			c, _ = g.Wrong(c, now)
			if rapid.IntRange(0, 5).Draw(t, "right") == 0 {
				c, _ = g.Right(c, now)
			}
		}
		now = later(t, c, now)
		if a, b := g.Standing(c, now), g.Standing(Counter{}, now); a != b {
			t.Fatalf("standing %+v, without the counter %+v", a, b)
		}
		a, _ := g.Wrong(c, now)
		b, _ := g.Wrong(Counter{}, now)
		sameCounter(t, a, b)
	})
}

// later is a time at or after the end of c, and not before now.
func later(t *rapid.T, c Counter, now time.Time) time.Time {
	if c.ExpiresAt.After(now) {
		now = c.ExpiresAt
	}
	return now.Add(anyGap(t))
}

func sameCounter(t *rapid.T, a, b Counter) {
	if !bytes.Equal(a.Data, b.Data) || !a.ExpiresAt.Equal(b.ExpiresAt) {
		t.Fatalf("goes on as %x until %v, without the counter as %x until %v", a.Data, a.ExpiresAt, b.Data, b.ExpiresAt)
	}
}
