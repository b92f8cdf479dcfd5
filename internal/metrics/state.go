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
	descUnsealed     = describe("stile_audit_unsealed", "Rows of the audit log that are not sealed yet.")
	descOpen         = describe("stile_store_connections_open", "Connections to the database.")
	descInUse        = describe("stile_store_connections_in_use", "Of these, those that somebody has.")
	descMax          = describe("stile_store_connections_max", "How many there may be.")
	descQueue        = describe("stile_store_waiting", "Callers who wait for a connection, or for their turn to write.")
	descTurned       = describe("stile_store_refused_total", "Callers who were refused: no room to wait or none came free (busy), the database does not answer (away).", "reason")
	descAway         = describe("stile_store_away", "1 while the database does not answer and callers are refused at once.")
	descWell         = describe("stile_worker_last_success_timestamp_seconds", "When something that a worker in the background did last ended well.", "worker")
	descStuck        = describe("stile_worker_stuck", "1 while a worker in the background hangs.", "worker")
	descAhead        = describe("stile_clock_ahead_seconds", "How far this machine's clock is before the database's, which is gone by.")
	descFree         = describe("stile_disk_free_bytes", "What may still be written on the file system of the data folder.")
	descSize         = describe("stile_disk_size_bytes", "How large that file system is.")
)

// Describe implements [prometheus.Collector].
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descCommits, descTransactions, descRows, descReads, descWaiting, descOldest, descUnsealed, descReady, descFree, descSize,
		descOpen, descInUse, descMax, descQueue, descTurned, descAway, descWell, descStuck, descAhead,
	} {
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
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	truth := map[bool]float64{true: 1}
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
	if s.store.Pool != nil {
		p := s.store.Pool()
		if p.Max > 0 {
			gauge(descOpen, float64(p.Open))
			gauge(descInUse, float64(p.InUse))
			gauge(descMax, float64(p.Max))
			gauge(descAway, truth[p.Away])
			count(descTurned, p.Gone, "away")
		}
		gauge(descQueue, float64(p.Waiting))
		count(descTurned, p.Busy, "busy")
	}
	if s.store.Workers != nil {
		for name, w := range s.store.Workers() {
			gauge(descStuck, truth[w.Stuck], name)
			if !w.Well.IsZero() {
				gauge(descWell, float64(w.Well.UnixMilli())/1000, name)
			}
		}
	}
	if s.store.Ahead != nil {
		gauge(descAhead, s.store.Ahead().Seconds())
	}
	if s.store.Unsealed != nil {
		if n, err := s.store.Unsealed(ctx); err == nil {
			gauge(descUnsealed, float64(n))
		}
	}
	if n, oldest, err := s.store.Waiting(); err == nil {
		gauge(descWaiting, float64(n))
		age := 0.0
		if !oldest.IsZero() {
			age = max(0, s.store.Now().Sub(oldest).Seconds())
		}
		gauge(descOldest, age)
	}
	gauge(descReady, truth[s.store.Ready(ctx) == nil])
}
