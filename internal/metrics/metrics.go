// Package metrics counts what an engine does, in the form that Prometheus reads.
//
// A label is one of a list that the program knows: never an address, an id or
// anything else that a person typed.
package metrics

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Store is what is read of the storage port whenever the metrics are.
type Store struct {
	// Stats are what the store has done since it was opened.
	Stats func() Work
	// Waiting is how much mail is still to be delivered, and since when.
	Waiting func() (n int64, oldest time.Time, err error)
	// Unsealed is how many rows of the audit log are not sealed; nil: not known.
	Unsealed func(ctx context.Context) (int64, error)
	// Pool is what callers of the store wait for; nil: not known.
	Pool func() Pool
	// Workers are those in the background; nil: none.
	Workers func() map[string]Worker
	// Ready reports whether the engine takes requests.
	Ready func(ctx context.Context) error
	Now   func() time.Time
	Disk  Disk // nil: not known
	// Ahead is how far the machine's clock is before that of the database; nil: it has none.
	Ahead func() time.Duration
}

// Disk is how much may still be written where the engine keeps its data, and how much
// there is in all, in bytes.
type Disk func() (free, size uint64, err error)

// Work counts what a store has done.
type Work struct {
	Commits, DurableCommits, Transactions, RowWrites, Reads, TxReads int64
}

// Pool is what callers of a store wait for: for a connection, or for their turn to write.
type Pool struct {
	Open, InUse, Max int // connections, where they are counted
	Waiting          int
	Busy, Gone       int64 // who was refused: there were too many, the database does not answer
	Away             bool  // it does not answer now
}

// Worker is how one in the background fares.
type Worker struct {
	Well  time.Time // when something that it did last ended well; zero: not yet
	Stuck bool
}

// Metrics are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	busy     prometheus.Gauge
	limited  *prometheus.CounterVec
	messages *prometheus.CounterVec

	waits       *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	writes      *prometheus.HistogramVec
	connections prometheus.Counter
}

// New returns metrics of which nothing has been counted yet. version is that of the program.
func New(version string, s Store) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stile_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 3, 10},
		}, []string{"method", "route", "status"}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stile_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stile_limits_hit_total", Help: "Requests that were answered with 429.",
		}, []string{"route"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stile_outbox_tries_total", Help: "Tries to deliver a message, by what it was after: sent, delayed, refused, expired.",
		}, []string{"kind", "outcome"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stile_admission_wait_seconds", Help: "How long requests waited to be let in.",
			Buckets: []float64{.001, .005, .01, .02, .05},
		}, []string{"class"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stile_admission_refused_total", Help: "Requests that were answered with 503 because there were too many.",
		}, []string{"class"}),
		writes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stile_store_transaction_duration_seconds", Help: "Time of a transaction, with the wait for its turn and its commit.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 3},
		}, []string{"durability"}),
		connections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stile_connections_refused_total", Help: "Connections that were closed because their source had too many.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stile_build_info", Help: "1, for the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.busy, m.limited, m.messages, m.waits, m.refused, m.writes, m.connections, build, &state{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with the metrics as they are.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second, MaxRequestsInFlight: 4})
}

// methods are those that are counted by their names: a caller may make others up.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Begin notes that a request is being answered; call the function it returns once.
func (m *Metrics) Begin() (end func(method, route string, status int, took time.Duration)) {
	m.busy.Inc()
	return func(method, route string, status int, took time.Duration) {
		m.busy.Dec()
		if !slices.Contains(methods, method) {
			method = "other"
		}
		m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
		if status == http.StatusTooManyRequests {
			m.limited.WithLabelValues(route).Inc()
		}
	}
}

// Tried notes what became of a try to deliver a message.
func (m *Metrics) Tried(kind, outcome string) { m.messages.WithLabelValues(kind, outcome).Inc() }

// Transactions returns what is told how long each transaction of a durability took.
func (m *Metrics) Transactions(durability string) (observe func(time.Duration)) {
	o := m.writes.WithLabelValues(durability)
	return func(took time.Duration) { o.Observe(took.Seconds()) }
}
