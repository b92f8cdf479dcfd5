package attacks

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// TestUX_P1_5_SEC_S42_Timing: from outside, an address with an account takes as
// long as one without. It compares clocks, so it runs in make test-long, alone.
func TestUX_P1_5_SEC_S42_Timing(t *testing.T) {
	if os.Getenv("STILE_TEST_LONG") == "" {
		t.Skip("compares times; runs in make test-long")
	}
	e := stiletest.Start(t)
	begin(t, e).signedUp("known@example.com")
	const tries = 200
	took := map[string][]time.Duration{}
	for range tries {
		for _, address := range []string{"known@example.com", "unknown@example.com"} {
			w := begin(t, e)
			start := time.Now()
			w.answer("identify", map[string]any{"identifier": address})
			took[address] = append(took[address], time.Since(start))
		}
	}
	median := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)/2]
	}
	known, unknown := median(took["known@example.com"]), median(took["unknown@example.com"])
	t.Logf("medians of %d: known %s, unknown %s", tries, known, unknown)
	if d := (known - unknown).Abs(); d > 10*time.Millisecond {
		t.Errorf("the medians differ by %s", d)
	}
}
