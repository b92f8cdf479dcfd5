package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What is bounded, and how full it is.

// Class counts a class of requests that are let in or refused: call what it
// returns for each. limits is how many may be inside at a time, and how many are.
func (m *Metrics) Class(name string, limits func() (limit, inside int)) func(waited time.Duration, admitted bool) {
	labels := prometheus.Labels{"class": name}
	gauge := func(name, help string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) })
	}
	m.registry.MustRegister(
		gauge("stile_admission_limit", "How many requests may be answered at a time.", func() int { limit, _ := limits(); return limit }),
		gauge("stile_admission_inside", "How many are.", func() int { _, inside := limits(); return inside }))
	waits, refused := m.waits.WithLabelValues(name), m.refused.WithLabelValues(name)
	return func(waited time.Duration, admitted bool) {
		if admitted {
			waits.Observe(waited.Seconds())
		} else {
			refused.Inc()
		}
	}
}

// Pool reads a pool of workers whenever the metrics are read: how many work or
// wait, how many may, and how many have been refused.
func (m *Metrics) Pool(name string, busy func() int, places int, refused func() int64) {
	labels := prometheus.Labels{"pool": name}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "stile_pool_busy", Help: "Callers at work or waiting.", ConstLabels: labels,
		}, func() float64 { return float64(busy()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "stile_pool_places", Help: "How many there may be.", ConstLabels: labels,
		}, func() float64 { return float64(places) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "stile_pool_refused_total", Help: "Callers who found no place.", ConstLabels: labels,
		}, func() float64 { return float64(refused()) }))
}

// ConnectionRefused notes that a source had too many connections for one more.
func (m *Metrics) ConnectionRefused() { m.connections.Inc() }
