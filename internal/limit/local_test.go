package limit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Local says what the same rules say with every counter kept as it is.
func TestSEC_S110_LocalCountsAsItsRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var (
			l     = NewLocal()
			all   = map[string]Counter{}
			now   = time.Unix(1_800_000_000, 0)
			few   = Volume{{N: 2, Per: 5 * time.Second}}
			many  = Volume{{N: 40, Per: time.Minute}, {N: 200, Per: time.Hour}}
			other = Distinct{N: 5, Per: time.Minute}
		)
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			key := fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "key"))
			c, known := all[key]
			if !known {
				c.Key = key
			}
			var next Counter
			var want, got time.Duration
			var ok, admitted bool
			switch key {
			case "0", "1":
				next, want, ok = few.Spend(c, now)
				got, admitted = l.Spend(key, few, now)
			case "2", "3":
				next, want, ok = many.Spend(c, now)
				got, admitted = l.Spend(key, many, now)
			default:
				hash := []byte{0, 0, 0, 0, 0, 0, 0, byte(rapid.IntRange(0, 8).Draw(rt, "value"))}
				next, want, ok = other.Spend(c, now, uint64(hash[7]))
				got, admitted = l.SpendDistinct(key, other, now, hash)
			}
			if ok {
				all[key] = next
			}
			if got != want || admitted != ok {
				rt.Fatalf("%s: %v, %v; want %v, %v", key, got, admitted, want, ok)
			}
		}
	})
}

// REL R-21: keys of what lasts for seconds do not stay for those of what lasts for
// hours, and there are never more than fit.
func TestREL_R21_LocalForgetsWhatHasEnded(t *testing.T) {
	l, now := NewLocal(), time.Unix(1_800_000_000, 0)
	brief, lasting := Volume{{N: 10, Per: 5 * time.Second}}, Volume{{N: 10, Per: time.Hour}}
	live := 0
	for n := range 60_000 {
		now = now.Add(50 * time.Millisecond)
		l.Spend(fmt.Sprint("flow", n), brief, now)
		if n%2 == 0 {
			l.Spend(fmt.Sprint("source", n), lasting, now)
			live++
		}
		if most := (live+200)*5/4 + 1024; len(l.counters) > most {
			t.Fatalf("after %d: %d counters of %d that live", n, len(l.counters), live)
		}
	}
	for n := range 2 * localCapacity {
		l.Spend(fmt.Sprint("more", n), lasting, now)
	}
	if len(l.counters) > localCapacity {
		t.Errorf("%d counters", len(l.counters))
	}
	if _, ok := l.Spend("nobody yet", Volume{{N: 1, Per: time.Hour}}, now); !ok {
		t.Error("who is not counted is refused")
	}
	now = now.Add(2 * time.Hour)
	l.Spend("anew", lasting, now)
	if len(l.counters) != 1 || len(l.long) != 0 {
		t.Errorf("%d counters, %d of them long, when all but one have ended", len(l.counters), len(l.long))
	}
}
