package limit

import (
	"testing"
	"time"
)

const day = 24 * time.Hour

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// waits is how long a counter stays closed, with "until Right" as a time beyond all others.
func waits(g Guesses, c Counter, now time.Time) time.Duration {
	wait, open := g.Open(c, now)
	if !open && wait == 0 {
		return 1<<63 - 1
	}
	return wait
}

func TestSEC_S05_WindowsAndCoolDowns(t *testing.T) {
	g := DefaultRules().Code
	type step struct {
		at    time.Duration // since the first
		wrong int           // at once
		wait  time.Duration // thereafter
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"nine in 15 minutes stay open", []step{{0, 9, 0}}},
		{"ten at once wait for the window", []step{{0, 10, 15 * time.Minute}}},
		{"ten spread out cool down for a minute", []step{{0, 9, 0}, {15*time.Minute - time.Second, 1, time.Minute}}},
		{"nine, and the tenth after the window", []step{{0, 9, 0}, {15 * time.Minute, 1, 0}}},
		{"the cool-down doubles", []step{
			{0, 9, 0}, {14*time.Minute + 30*time.Second, 1, time.Minute},
			// Nine have left, one is in.
			{16 * time.Minute, 8, 0}, {29 * time.Minute, 1, 2 * time.Minute},
		}},
		{"thirty in a day wait for the day", []step{{0, 10, 15 * time.Minute}, {time.Hour, 10, 15 * time.Minute}, {2 * time.Hour, 10, 22 * time.Hour}}},
		{"a slow guesser gets as many as leave the window", []step{
			{0, 10, 15 * time.Minute}, {time.Hour, 10, 15 * time.Minute}, {2 * time.Hour, 10, 22 * time.Hour},
			{day, 9, 0}, {day + time.Minute, 1, 59 * time.Minute},
		}},
		{"all is forgotten but the row", []step{{0, 10, 15 * time.Minute}, {2 * day, 9, 0}, {2*day + 14*time.Minute + 59*time.Second, 1, time.Minute}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Counter{Key: "k"}
			for _, s := range tc.steps {
				now := epoch.Add(s.at)
				for i := range s.wrong {
					if wait, open := g.Open(c, now); !open {
						t.Fatalf("closed at %v before wrong answer %d, for %v", s.at, i+1, wait)
					}
					c, _ = g.Wrong(c, now)
				}
				if got := waits(g, c, now); got != s.wait {
					t.Fatalf("after %d at %v: wait %v, want %v", s.wrong, s.at, got, s.wait)
				}
			}
		})
	}
}

// Guessing whenever it is allowed fills the day at each chance, and waits longer each time.
func TestSEC_S05_CoolDownGrowsToAnHour(t *testing.T) {
	g := DefaultRules().Code
	g.Windows = []Window{{N: 1, Per: time.Second}} // full each time, and empty before the cool-down ends
	g.Windows = append(g.Windows, Window{N: 1000, Per: day})
	var c Counter
	now := epoch
	for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		c, _ = g.Wrong(c, now)
		wait, open := g.Open(c, now)
		if open || wait != time.Duration(want)*time.Minute {
			t.Fatalf("pause %d: %v %v, want %d minutes", i+1, wait, open, want)
		}
		now = now.Add(wait)
	}
	now = now.Add(day)
	c, _ = g.Wrong(c, now)
	if wait, _ := g.Open(c, now); wait != time.Minute {
		t.Fatalf("after a quiet day the cool-down is %v", wait)
	}
}

// An attacker begins as many flows as they like and guesses as soon as Open lets
// them; the owner signs in every hour, which must not help (SEC S-04).
func TestSEC_S05_AttackerOfADayHas30Guesses(t *testing.T) {
	for _, owner := range []bool{false, true} {
		g := DefaultRules().Code
		var c Counter
		var at []time.Time
		signIn := epoch.Add(time.Hour)
		for now := epoch; now.Before(epoch.Add(14 * day)); {
			wait, open := g.Open(c, now)
			if open {
				c, _ = g.Wrong(c, now)
				at = append(at, now)
				continue
			}
			if wait == 0 && !owner {
				break // nobody comes in
			}
			if next := now.Add(wait); owner && (wait == 0 || !next.Before(signIn)) {
				now = signIn
				signIn = signIn.Add(time.Hour)
				c, _ = g.Right(c, now)
			} else {
				now = next
			}
		}
		for i := range at {
			if i >= 30 && at[i].Sub(at[i-30]) < day {
				t.Fatalf("owner %v: 31 guesses between %v and %v", owner, at[i-30], at[i])
			}
			if i >= 10 && at[i].Sub(at[i-10]) < 15*time.Minute {
				t.Fatalf("owner %v: 11 guesses between %v and %v", owner, at[i-10], at[i])
			}
		}
		if owner && len(at) < 14*20 {
			t.Fatalf("%d guesses in 14 days: the limit is tighter than it says", len(at))
		}
		if !owner && len(at) != 100 {
			t.Fatalf("%d guesses in 14 days without a success, want 100", len(at))
		}
	}
}

func TestSEC_S05_HundredInARow(t *testing.T) {
	g := DefaultRules().Code
	var c Counter
	now := epoch
	for i := range 100 {
		if _, open := g.Open(c, now); !open {
			t.Fatalf("closed after %d", i)
		}
		var paused bool
		c, paused = g.Wrong(c, now)
		if paused != (i == 99) {
			t.Fatalf("wrong answer %d: paused %v", i+1, paused)
		}
		now = now.Add(2 * time.Hour)
	}
	now = now.Add(40 * 365 * day)
	if wait, open := g.Open(c, now); open || wait != 0 {
		t.Fatalf("after 40 years: %v %v", wait, open)
	}
	if s := g.Standing(c, now); !s.Paused || s.Consecutive != 100 || s.RetryAfter != 0 {
		t.Fatalf("standing %+v", s)
	}
	c, changed := g.Right(c, now)
	if _, open := g.Open(c, now); !open || !changed {
		t.Fatal("a success by another way does not open the lane")
	}
	if _, changed := g.Right(c, now); changed {
		t.Fatal("a second one changes the counter")
	}
}

func TestSEC_S05_RightKeepsWindows(t *testing.T) {
	g := DefaultRules().Code
	var c Counter
	for range 9 {
		c, _ = g.Wrong(c, epoch)
	}
	c, _ = g.Right(c, epoch)
	if n := g.Standing(c, epoch).Consecutive; n != 0 {
		t.Fatalf("%d in a row after a right answer", n)
	}
	c, paused := g.Wrong(c, epoch)
	if !paused {
		t.Fatal("a right answer emptied the windows")
	}
	if c = g.Reset(c); len(c.Data) != 0 {
		t.Fatal("reset leaves something")
	}
	if _, open := g.Open(c, epoch); !open {
		t.Fatal("reset does not open the lane")
	}
}

// A notice is due exactly when a lane that was open closes.
func TestSEC_S109_PauseIsReportedOnce(t *testing.T) {
	g := DefaultRules().Code
	var c Counter
	for i := range 14 {
		var paused bool
		c, paused = g.Wrong(c, epoch)
		if paused != (i == 9) {
			t.Fatalf("wrong answer %d: paused %v", i+1, paused)
		}
	}
	if s := g.Standing(c, epoch); s.Pauses != 5 || s.Consecutive != 14 || s.RetryAfter != 16*time.Minute {
		t.Fatalf("standing %+v", s)
	}
}

func TestSEC_S49_PasswordPolicy(t *testing.T) {
	base := DefaultRules().Password
	t.Run("none", func(t *testing.T) {
		if g := base.Policy(0, time.Hour); g.Attempts != 0 || g.AutoUnlock != 0 {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("until unlocked", func(t *testing.T) {
		g := base.Policy(3, 0)
		var c Counter
		for i := range 3 {
			var paused bool
			if c, paused = g.Wrong(c, epoch); paused != (i == 2) {
				t.Fatalf("wrong answer %d: paused %v", i+1, paused)
			}
		}
		if got := waits(g, c, epoch.Add(365*day)); got != 1<<63-1 {
			t.Fatalf("a year later it waits %v", got)
		}
		c, _ = g.Right(c, epoch)
		if got := waits(g, c, epoch); got != 0 {
			t.Fatalf("after an unlock by proof it waits %v", got)
		}
	})
	t.Run("ends by itself", func(t *testing.T) {
		g := base.Policy(3, 20*time.Minute)
		var c Counter
		now := epoch
		for range 3 {
			for range 3 {
				if got := waits(g, c, now); got != 0 {
					t.Fatalf("closed for %v", got)
				}
				c, _ = g.Wrong(c, now)
			}
			if got := waits(g, c, now); got != 20*time.Minute {
				t.Fatalf("waits %v", got)
			}
			now = now.Add(20 * time.Minute)
		}
	})
	t.Run("a right answer between", func(t *testing.T) {
		g := base.Policy(3, 0)
		var c Counter
		for range 4 {
			c, _ = g.Wrong(c, epoch)
			c, _ = g.Wrong(c, epoch)
			c, _ = g.Right(c, epoch)
		}
		if got := waits(g, c, epoch); got != 0 {
			t.Fatalf("closed for %v", got)
		}
	})
	t.Run("a lax one does not widen the windows", func(t *testing.T) {
		g := base.Policy(1000, time.Minute)
		var c Counter
		for range 10 {
			c, _ = g.Wrong(c, epoch)
		}
		if got := waits(g, c, epoch); got != 15*time.Minute {
			t.Fatalf("waits %v", got)
		}
	})
	t.Run("alone, in development", func(t *testing.T) {
		g := DevelopmentRules().Password
		if !g.Off() {
			t.Fatal("not off")
		}
		g = g.Policy(2, time.Minute)
		c, _ := g.Wrong(Counter{}, epoch)
		c, paused := g.Wrong(c, epoch.Add(time.Hour))
		if !paused || waits(g, c, epoch.Add(time.Hour)) != time.Minute {
			t.Fatal("a policy's own attempts do not hold")
		}
	})
}

// An address without an account is forgotten in the end, one with an account never.
func TestSEC_S05_Forget(t *testing.T) {
	r := DefaultRules()
	nobody := r.Code
	nobody.Forget = r.ForgetNobody
	a, _ := r.Code.Wrong(Counter{}, epoch)
	b, _ := nobody.Wrong(Counter{}, epoch)
	if want := epoch.Add(r.ForgetNobody); !b.ExpiresAt.Equal(want) {
		t.Fatalf("ends at %v, want %v", b.ExpiresAt, want)
	}
	later := epoch.Add(r.ForgetNobody)
	if x, y := r.Code.Standing(a, later).Consecutive, nobody.Standing(b, later).Consecutive; x != 1 || y != 0 {
		t.Fatalf("%d and %d in a row", x, y)
	}
	if a.ExpiresAt.Before(epoch.Add(50 * 365 * day)) {
		t.Fatalf("ends at %v", a.ExpiresAt)
	}
}

// One start of a node with a wrong clock pauses nobody for years, and a small
// difference between nodes opens nothing.
func TestSEC_S110_BrokenClock(t *testing.T) {
	g := DefaultRules().Code
	var c Counter
	for range 20 {
		c, _ = g.Wrong(c, epoch.Add(3*365*day))
	}
	if got := waits(g, c, epoch); got != 0 {
		t.Fatalf("waits %v", got)
	}
	if n := g.Standing(c, epoch).Consecutive; n != 20 {
		t.Fatalf("%d in a row", n)
	}
	for range 10 {
		c, _ = g.Wrong(c, epoch)
	}
	if got := waits(g, c, epoch); got != 15*time.Minute {
		t.Fatalf("after ten more it waits %v", got)
	}

	c = Counter{}
	for i := range 10 {
		c, _ = g.Wrong(c, epoch.Add(time.Duration(10-i)*time.Second))
	}
	if got := waits(g, c, epoch); got != 15*time.Minute+10*time.Second {
		t.Fatalf("on the node that is behind it waits %v", got)
	}
}
