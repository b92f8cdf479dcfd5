package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The rate holds while nothing is answered at all.
func TestOfferIsOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := Offer(t.Context(), 100, 2*time.Second, func(_ context.Context, n int) Outcome {
			time.Sleep(time.Minute)
			return Outcome(n % 3)
		})
		if took := time.Since(start); took != 1990*time.Millisecond+time.Minute {
			t.Errorf("the last one ended after %v", took)
		}
		for o, want := range map[Outcome]int{Answered: 67, Refused: 67, Failed: 66} {
			if r.Count(o) != want {
				t.Errorf("outcome %d: %d, want %d", o, r.Count(o), want)
			}
		}
		if r.Rate(Failed) != 33 || Percentile(r.Took[Answered], 99) != time.Minute || Percentile(r.Lateness, 100) != 0 {
			t.Errorf("%v", r)
		}
	})
}

func TestOfferEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := Offer(ctx, 1000, time.Hour, func(_ context.Context, n int) Outcome {
		if n == 3 {
			cancel()
		}
		return Answered
	})
	if r.Count(Answered) < 4 {
		t.Errorf("%d", r.Count(Answered))
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(i))
	}
	for p, want := range map[float64]time.Duration{0: 0, 50: 50, 99: 99, 100: 99} {
		if got := Percentile(times, p); got != want {
			t.Errorf("p%v: %d, want %d", p, got, want)
		}
	}
	if Percentile(nil, 50) != 0 {
		t.Error("of none")
	}
}
