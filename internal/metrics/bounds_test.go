package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

func TestBounds(t *testing.T) {
	gone := errors.New("gone")
	m := metrics.New("1.2.3", metrics.Store{
		Stats:   func() metrics.Work { return metrics.Work{} },
		Waiting: func() (int64, time.Time, error) { return 0, time.Time{}, gone },
		Ready:   func(context.Context) error { return gone },
		Now:     time.Now,
	})
	start := m.Class("start", func() (limit, inside int) { return 64, 3 })
	finish := m.Class("finish", func() (limit, inside int) { return 128, 0 })
	start(0, true)
	start(30*time.Millisecond, true)
	start(40*time.Millisecond, false)
	finish(0, true)
	m.Pool("hash", func() int { return 5 }, 10, func() int64 { return 7 })
	m.Pool("sign", func() int { return 0 }, 66, func() int64 { return 0 })
	m.ConnectionRefused()
	out := scrape(m)
	for _, want := range []string{
		`stile_admission_limit{class="start"} 64`, `stile_admission_limit{class="finish"} 128`,
		`stile_admission_inside{class="start"} 3`,
		`stile_admission_wait_seconds_count{class="start"} 2`, `stile_admission_wait_seconds_bucket{class="start",le="0.02"} 1`,
		`stile_admission_refused_total{class="start"} 1`, `stile_admission_refused_total{class="finish"} 0`,
		`stile_pool_busy{pool="hash"} 5`, `stile_pool_places{pool="hash"} 10`, `stile_pool_refused_total{pool="hash"} 7`,
		`stile_pool_busy{pool="sign"} 0`, `stile_connections_refused_total 1`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if n := testing.AllocsPerRun(100, func() { start(0, true) }); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}
