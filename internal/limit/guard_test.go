package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// wrongs counts n wrong codes evenly over a time, and returns after how many, and when, the alarm was raised.
func wrongs(g Guard, c *Counter, from time.Time, length time.Duration, n int) (number int, at time.Time) {
	for i := range n {
		now := from.Add(length * time.Duration(i) / time.Duration(n))
		var tripped bool
		if *c, tripped = g.Wrong(*c, now, 1); tripped && number == 0 {
			number, at = i+1, now
		}
	}
	return number, at
}

// alarmed reports whether there is an alarm, and for how long if nothing more comes.
func alarmed(g Guard, c Counter, now time.Time) (left time.Duration, alarmed bool) {
	s := g.load(c, now)
	return until(s.until, now), s.until > floor(now)
}

// 10,000 accounts are guessed at from 5,000 sources: no account and no source is at its limit.
func TestSEC_S06_SprayTripsTheGuard(t *testing.T) {
	r := DefaultRules()
	accounts, sources := make([]Counter, 10_000), make([]Counter, 5_000)
	var guard Counter
	for i := range 10_000 {
		now := epoch.Add(5 * time.Minute * time.Duration(i) / 10_000)
		if _, open := r.Code.Open(accounts[i], now); !open {
			t.Fatal("an account's limit stops the spray")
		}
		var ok, tripped bool
		if sources[i%5000], _, ok = r.SourceWrong.Spend(sources[i%5000], now); !ok {
			t.Fatal("a source's limit stops the spray")
		}
		accounts[i], _ = r.Code.Wrong(accounts[i], now)
		if guard, tripped = r.Spray.Wrong(guard, now, 1); tripped {
			if i != 1000 {
				t.Fatalf("tripped by number %d", i+1)
			}
			if _, alarmed := alarmed(r.Spray, guard, now); !alarmed {
				t.Fatal("tripped without an alarm")
			}
			return
		}
	}
	t.Fatal("not tripped in 5 minutes")
}

func TestSEC_S06_Guard(t *testing.T) {
	g := DefaultRules().Spray
	const minute = time.Minute

	t.Run("a thousand in five minutes are no alarm", func(t *testing.T) {
		var c Counter
		if n, _ := wrongs(g, &c, epoch, 5*minute, 1000); n != 0 {
			t.Fatalf("tripped by %d", n)
		}
	})
	t.Run("nor are they spread wider", func(t *testing.T) {
		var c Counter
		if n, _ := wrongs(g, &c, epoch, 10*minute, 1900); n != 0 {
			t.Fatalf("tripped by %d", n)
		}
	})
	t.Run("a busy place needs twenty times its mean", func(t *testing.T) {
		var c Counter
		wrongs(g, &c, epoch, 2*time.Hour, 24*100) // 100 per five minutes
		start := epoch.Add(2 * time.Hour)
		n, _ := wrongs(g, &c, start, minute, 5000)
		if n < 1900 || n > 2001 { // the last 100 of before are within the five minutes
			t.Fatalf("tripped by %d, want about 2,000", n)
		}
	})
	t.Run("an alarm is raised once and is held", func(t *testing.T) {
		var c Counter
		trips := 0
		for i := range 3000 {
			var tripped bool
			if c, tripped = g.Wrong(c, epoch.Add(time.Duration(i)*10*time.Millisecond), 1); tripped {
				trips++
			}
		}
		end := epoch.Add(2999 * 10 * time.Millisecond)
		if left, alarmed := alarmed(g, c, end); trips != 1 || !alarmed || left != time.Hour {
			t.Fatalf("%d trips, alarmed %v for %v", trips, alarmed, left)
		}
		if _, alarmed := alarmed(g, c, end.Add(time.Hour)); alarmed {
			t.Fatal("the alarm does not end")
		}
	})
	t.Run("an attack does not become what is usual", func(t *testing.T) {
		var c Counter
		wrongs(g, &c, epoch, time.Hour, 12*10)
		start := epoch.Add(time.Hour)
		for h := range 5 { // an hour's attack, then a pause until the alarm is over
			from := start.Add(time.Duration(h) * 2 * time.Hour)
			n, at := wrongs(g, &c, from, time.Hour, 12*5000)
			if n == 0 || n > 1001 || at.Sub(from) > 5*minute {
				t.Fatalf("attack %d: tripped by %d at %v", h, n, at.Sub(from))
			}
			if _, alarmed := alarmed(g, c, from.Add(time.Hour)); !alarmed {
				t.Fatalf("attack %d: the alarm ends during it", h)
			}
		}
	})
	t.Run("nor does its beginning", func(t *testing.T) {
		var c Counter
		wrongs(g, &c, epoch.Add(-minute), minute, 900) // in the span before the one that trips
		if n, _ := wrongs(g, &c, epoch, minute, 500); n != 101 {
			t.Fatalf("tripped by %d", n)
		}
		if n, _ := wrongs(g, &c, epoch.Add(g.Hold+20*minute), minute, 1300); n != 1001 {
			t.Fatalf("then tripped by %d", n)
		}
	})
	t.Run("what was usual still is after an alarm", func(t *testing.T) {
		var c Counter
		wrongs(g, &c, epoch, 2*time.Hour, 24*2000)
		if _, alarmed := alarmed(g, c, epoch.Add(2*time.Hour)); !alarmed {
			t.Fatal("2,000 from nothing are no alarm")
		}
		c = Counter{}
		// A place grows to 2,000 per five minutes, below 1,000 at first.
		wrongs(g, &c, epoch, 2*time.Hour, 24*900)
		if n, _ := wrongs(g, &c, epoch.Add(2*time.Hour), 2*time.Hour, 24*2000); n != 0 {
			t.Fatalf("tripped by %d", n)
		}
		if n, _ := wrongs(g, &c, epoch.Add(4*time.Hour), 5*minute, 50_000); n < 30_000 {
			t.Fatalf("tripped by %d", n)
		}
		after := epoch.Add(4*time.Hour + 5*minute + g.Hold)
		if n, _ := wrongs(g, &c, after, 3*time.Hour, 36*2000); n != 0 {
			t.Fatalf("tripped by %d of the usual ones", n)
		}
		if _, alarmed := alarmed(g, c, after.Add(3*time.Hour)); alarmed {
			t.Fatal("still alarmed")
		}
	})
	t.Run("it stays small", func(t *testing.T) {
		var c Counter
		wrongs(g, &c, epoch, 2*time.Hour, 50_000)
		if len(c.Data) > 150 {
			t.Fatalf("takes %d bytes", len(c.Data))
		}
	})
}

// What a broken clock wrote is not counted, by any rule.
func TestSEC_S110_BrokenClockOfVolumes(t *testing.T) {
	r, ahead := DefaultRules(), epoch.Add(3*365*day)
	var v, d, s Counter
	for i := range 2000 {
		v, _, _ = r.SourceMails.Spend(v, ahead)
		d, _, _ = r.SourceAddresses.Spend(d, ahead, uint64(i))
		s, _ = r.Spray.Wrong(s, ahead, 1)
	}
	if _, _, ok := r.SourceMails.Spend(v, epoch); !ok {
		t.Error("mails are refused")
	}
	if _, _, ok := r.SourceAddresses.Spend(d, epoch, 1<<40); !ok {
		t.Error("addresses are refused")
	}
	if _, alarmed := alarmed(r.Spray, s, epoch); alarmed {
		t.Error("alarmed")
	}
	present := floor(epoch) / span(r.Spray.Per)
	s.Data = (&guarding{number: present, until: floor(ahead), ended: make([]int64, 13)}).encode()
	if left, alarmed := alarmed(r.Spray, s, epoch); alarmed {
		t.Errorf("alarmed for %v", left)
	}
}

func TestGuardExpiry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Guard{Per: 5 * time.Minute, Floor: rapid.IntRange(1, 20).Draw(t, "floor"), Mean: time.Hour, Factor: 3, Hold: time.Hour}
		var c Counter
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "wrongs") {
			now = now.Add(anyGap(t))
			c, _ = g.Wrong(c, now, 1)
		}
		now = later(t, c, now)
		if _, alarmed := alarmed(g, c, now); alarmed {
			t.Fatal("alarmed")
		}
		a, _ := g.Wrong(c, now, 1)
		b, _ := g.Wrong(Counter{}, now, 1)
		sameCounter(t, a, b)
	})
}
