package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// state reads what is counted elsewhere at the moment when it is asked for.
type state struct{ store Store }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descCommits      = describe("stile_store_commits_total", "Database commits.", "durable")
	descTransactions = describe("stile_store_transactions_total", "Transactions that were committed; several may share a commit.")
	descRows         = describe("stile_store_row_writes_total", "Rows inserted, updated or deleted.")
	descReads        = describe("stile_store_reads_total", "Queries.", "in_transaction")
	descWaiting      = describe("stile_outbox_waiting", "Messages still to be delivered, of all nodes.")
	descOldest       = describe("stile_outbox_oldest_seconds", "Age of the oldest of them.")
	descReady        = describe("stile_ready", "1 if the engine takes requests.")
	descFree         = describe("stile_disk_free_bytes", "What may still be written on the file system of the data folder.")
	descSize         = describe("stile_disk_size_bytes", "How large that file system is.")
)

// Describe implements [prometheus.Collector].
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCommits, descTransactions, descRows, descReads, descWaiting, descOldest, descReady, descFree, descSize} {
		ch <- d
	}
}

// patience is how long a scrape waits for the database (REL R-12).
const patience = 3 * time.Second

// Collect implements [prometheus.Collector]. What cannot be read is left out, so
// that a database that is gone does not look like an empty outbox.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	w := s.store.Stats()
	count(descCommits, w.DurableCommits, "true")
	count(descCommits, w.Commits-w.DurableCommits, "false")
	count(descTransactions, w.Transactions)
	count(descRows, w.RowWrites)
	count(descReads, w.Reads, "false")
	count(descReads, w.TxReads, "true")
	if s.store.Disk != nil {
		if free, size, err := s.store.Disk(); err == nil {
			gauge(descFree, float64(free))
			gauge(descSize, float64(size))
		}
	}
	if n, oldest, err := s.store.Waiting(ctx); err == nil {
		gauge(descWaiting, float64(n))
		age := 0.0
		if !oldest.IsZero() {
			age = max(0, s.store.Now().Sub(oldest).Seconds())
		}
		gauge(descOldest, age)
	}
	if s.store.Ready(ctx) == nil {
		gauge(descReady, 1)
	} else {
		gauge(descReady, 0)
	}
}
