// Package load offers work at a rate that does not depend on how it is answered,
// as people do: whoever waits for the answer before sending more measures a
// system that is never overloaded.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// An Outcome is what became of one piece of work.
type Outcome int

// The outcomes. What was Refused was answered too: with when to come again.
const (
	Answered Outcome = iota
	Refused
	Failed
)

// A Report is what became of all of them.
type Report struct {
	For      time.Duration      // as long as work was offered
	Took     [3][]time.Duration // by outcome, shortest first
	Lateness []time.Duration    // of the offers themselves: the generator's own fault
}

// Offer starts do at so many a second for d, whatever those before are about,
// and returns when all have ended. do is told how many came before it.
func Offer(ctx context.Context, rate float64, d time.Duration, do func(ctx context.Context, n int) Outcome) *Report {
	r := &Report{For: d}
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for n := range int(rate * d.Seconds()) {
		due := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if !sleepUntil(ctx, due) {
			break
		}
		r.Lateness = append(r.Lateness, max(0, time.Since(due)))
		all.Go(func() {
			start := time.Now()
			o := do(ctx, n)
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			r.Took[o] = append(r.Took[o], took)
		})
	}
	all.Wait()
	for i := range r.Took {
		slices.Sort(r.Took[i])
	}
	slices.Sort(r.Lateness)
	return r
}

func sleepUntil(ctx context.Context, due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// Count is how many had an outcome.
func (r *Report) Count(o Outcome) int { return len(r.Took[o]) }

// Rate is how many a second had it.
func (r *Report) Rate(o Outcome) float64 { return float64(r.Count(o)) / r.For.Seconds() }

// Percentile is what p of 100 stayed within, 0 of none; of sorted times.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p/100))]
}

func (r *Report) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("offered %.0f/s, answered %.0f/s (p50 %.1f ms, p99 %.1f ms), refused %.0f/s (p50 %.1f ms, p99 %.1f ms), %d failed, generator late by %.1f ms at p99",
		float64(len(r.Lateness))/r.For.Seconds(),
		r.Rate(Answered), ms(Percentile(r.Took[Answered], 50)), ms(Percentile(r.Took[Answered], 99)),
		r.Rate(Refused), ms(Percentile(r.Took[Refused], 50)), ms(Percentile(r.Took[Refused], 99)),
		r.Count(Failed), ms(Percentile(r.Lateness, 99)))
}
