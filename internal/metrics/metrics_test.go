package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

func scrape(m *metrics.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	now, fault := time.Now(), error(nil)
	m := metrics.New("1.2.3", metrics.Store{
		Stats: func() metrics.Work {
			return metrics.Work{Commits: 5, DurableCommits: 2, Transactions: 7, RowWrites: 11, Reads: 13, TxReads: 17}
		},
		Waiting: func() (int64, time.Time, error) { return 3, now.Add(-time.Minute), fault },
		Ready:   func(context.Context) error { return fault },
		Now:     func() time.Time { return now },
		Pool: func() metrics.Pool {
			return metrics.Pool{Open: 4, InUse: 3, Max: 8, Waiting: 2, Busy: 6, Gone: 9, Away: true}
		},
		Unsealed: func(context.Context) (int64, error) { return 12, fault },
		Workers: func() map[string]metrics.Worker {
			return map[string]metrics.Worker{"seal": {Well: time.UnixMilli(1_700_000_000_500), Stuck: true}, "purge": {}}
		},
	})
	busy := m.Begin()
	m.Begin()("POST", "/oauth2/default/v1/token", 200, 3*time.Millisecond)
	m.Begin()("BREW", "/idp/idx/{action...}", 429, time.Second)
	m.Tried("mail", "sent")
	m.Transactions("durable")(3 * time.Millisecond)
	out := scrape(m)
	for _, want := range []string{
		`stile_build_info{version="1.2.3"} 1`,
		`stile_http_request_duration_seconds_bucket{method="POST",route="/oauth2/default/v1/token",status="200",le="0.005"} 1`,
		`stile_http_request_duration_seconds_count{method="other",route="/idp/idx/{action...}",status="429"} 1`,
		`stile_limits_hit_total{route="/idp/idx/{action...}"} 1`,
		`stile_http_requests_in_flight 1`,
		`stile_outbox_tries_total{kind="mail",outcome="sent"} 1`,
		`stile_store_commits_total{durable="true"} 2`, `stile_store_commits_total{durable="false"} 3`,
		`stile_store_transactions_total 7`, `stile_store_row_writes_total 11`,
		`stile_store_reads_total{in_transaction="false"} 13`, `stile_store_reads_total{in_transaction="true"} 17`,
		`stile_store_connections_open 4`, `stile_store_connections_in_use 3`, `stile_store_connections_max 8`, `stile_store_waiting 2`,
		`stile_store_refused_total{reason="busy"} 6`, `stile_store_refused_total{reason="away"} 9`, `stile_store_away 1`,
		`stile_store_transaction_duration_seconds_bucket{durability="durable",le="0.005"} 1`, `stile_audit_unsealed 12`,
		`stile_worker_last_success_timestamp_seconds{worker="seal"} 1.7000000005e+09`,
		`stile_worker_stuck{worker="seal"} 1`, `stile_worker_stuck{worker="purge"} 0`,
		`stile_outbox_waiting 3`, `stile_outbox_oldest_seconds 60`, `stile_ready 1`, `go_goroutines `,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	busy("GET", "none", 404, 0)

	// A database that is gone does not look like an empty outbox.
	fault = errors.New("gone")
	out = scrape(m)
	if !strings.Contains(out, "stile_ready 0") || strings.Contains(out, "stile_outbox_waiting ") {
		t.Errorf("without the database:\n%s", out)
	}
}
