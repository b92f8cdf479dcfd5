package flow

import (
	"regexp"
	"testing"
	"time"
)

// An id tells the ten minutes in which its transaction began, in a ring of two
// hours: when that comes round again, those of the last time have ended for long.
func TestREL_R23_IDsTellTheTime(t *testing.T) {
	form := regexp.MustCompile(`^t[A-L][0-9A-Za-z]{22}$`)
	begin := time.Date(2026, 11, 27, 23, 50, 0, 0, time.UTC)
	seen := map[byte]time.Time{}
	for at := begin; at.Before(begin.Add(2 * time.Hour)); at = at.Add(10 * time.Minute) {
		first, last, next := newID(at), newID(at.Add(10*time.Minute-time.Microsecond)), newID(at.Add(10*time.Minute))
		if !form.MatchString(first) || len(first) != idLength {
			t.Errorf("id %q", first)
		}
		if first[1] != last[1] || first[1] == next[1] || first == last {
			t.Errorf("%s: %s, %s, then %s", at, first, last, next)
		}
		if before, ok := seen[first[1]]; ok {
			t.Errorf("%s is as %s", at, before)
		}
		seen[first[1]] = at
	}
	if got := newID(begin.Add(2 * time.Hour)); seen[got[1]] != begin {
		t.Errorf("two hours later: %s", got)
	}
	if Life+ringStep >= time.Duration(len(ring))*ringStep {
		t.Error("transactions may live when their partition's turn comes again")
	}
}
