package attacks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// What somebody measures who asks by the clock whether an address has an account:
// ready leads up to the request, timed sends it.
var clocked = map[string]struct {
	org          string
	ready, timed func(w *wire, address string)
}{
	"identify": {unlockable, func(*wire, string) {}, func(w *wire, address string) { w.identify(address) }},
	"password challenge": {
		unlockable,
		func(w *wire, address string) { w.identify(address); w.choose(passwordID) },
		func(w *wire, address string) { w.prove("not the password") },
	},
	"form for both": {
		passwordFirst, func(*wire, string) {}, func(w *wire, address string) { w.identifyBy(address, "not the password") },
	},
	"recovery": {
		unlockable,
		func(w *wire, address string) { w.answer("recover", nil); w.identify(address) },
		func(w *wire, address string) { w.choose(emailID) },
	},
	"unlock": {
		unlockable,
		func(w *wire, _ string) { w.answer("unlock-account", nil) },
		func(w *wire, address string) {
			w.answer("challenge", map[string]any{"identifier": address, "authenticator": map[string]any{"id": emailID}})
		},
	},
}

// TestUX_P1_5_SEC_S42_T12_AUTH_A52_Timing: from outside, an address with an account takes as
// long as one without: the medians are within a millisecond, and a two-sample
// Kolmogorov-Smirnov test of 2,000 interleaved requests each does not tell them
// apart. It compares clocks, so it runs in make test-long, alone.
func TestUX_P1_5_SEC_S42_T12_AUTH_A52_Timing(t *testing.T) {
	if os.Getenv("STILE_TEST_LONG") == "" {
		t.Skip("compares times") // which is no test on a busy machine; make test-long runs it, alone
	}
	// Each address is asked for rarely enough that no limit is in the way.
	const tries, addresses, apart = 2000, 40, 2 * time.Minute
	for name, c := range clocked {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Org(c.org))
			for i := range addresses {
				source(i).at(t, e).withPassword(fmt.Sprintf("known%d@example.com", i))
			}
			took := map[string][]time.Duration{}
			for i := range tries {
				kinds := []string{"known", "fresh"}
				if rand.IntN(2) == 0 {
					slices.Reverse(kinds)
				}
				for k, kind := range kinds {
					address := fmt.Sprintf("%s%d@example.com", kind, i%addresses)
					w := source(2*i+k).at(t, e)
					c.ready(w, address)
					e.MailTried(t) // what is on its way takes time of its own
					start := time.Now()
					c.timed(w, address)
					took[kind] = append(took[kind], time.Since(start))
				}
				e.Clock.Advance(apart)
			}
			known, fresh := took["known"], took["fresh"]
			slices.Sort(known)
			slices.Sort(fresh)
			d, p := kolmogorovSmirnov(known, fresh)
			gap := (known[tries/2] - fresh[tries/2]).Abs()
			t.Logf("%d each: median known %s, unknown %s; KS D = %.4f, p = %.3f", tries, known[tries/2], fresh[tries/2], d, p)
			if gap > time.Millisecond {
				t.Errorf("the medians differ by %s", gap)
			}
			if p <= 0.01 {
				t.Errorf("the distributions differ: D = %.4f, p = %.5f", d, p)
			}
		})
	}
}

// kolmogorovSmirnov compares two sorted samples: how far their distributions are
// apart at most, and how probable that is or more if they are one.
func kolmogorovSmirnov(a, b []time.Duration) (d, p float64) {
	n, m := float64(len(a)), float64(len(b))
	for i, j := 0, 0; i < len(a) && j < len(b); {
		at := min(a[i], b[j])
		for i < len(a) && a[i] == at {
			i++
		}
		for j < len(b) && b[j] == at {
			j++
		}
		d = max(d, math.Abs(float64(i)/n-float64(j)/m))
	}
	x := d * (math.Sqrt(n*m/(n+m)) + 0.12 + 0.11/math.Sqrt(n*m/(n+m)))
	sign := 1.0
	for k := 1.0; k <= 100; k++ {
		p += sign * 2 * math.Exp(-2*k*k*x*x)
		sign = -sign
	}
	return d, min(max(p, 0), 1)
}

// The test of the test: one distribution is one, and a shift of a tenth is found.
func TestKolmogorovSmirnov(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sample := func(shift float64) []time.Duration {
		out := make([]time.Duration, 2000)
		for i := range out {
			out[i] = time.Duration((random.NormFloat64() + 10 + shift) * 1e6)
		}
		slices.Sort(out)
		return out
	}
	if _, p := kolmogorovSmirnov(sample(0), sample(0)); p < 0.01 {
		t.Errorf("one distribution: p = %.4f", p)
	}
	if _, p := kolmogorovSmirnov(sample(0), sample(0.2)); p > 0.001 {
		t.Errorf("two: p = %.4f", p)
	}
}
