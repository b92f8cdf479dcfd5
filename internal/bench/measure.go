package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A setting is one server under one load.
type setting struct {
	what     string
	server   string // floor or engine
	database string // sqlite or postgres
	alg      string
	clients  int
	users    int
	nodes    int
}

// A result is one measurement. What is of a journey is so of all processes of the server.
type result struct {
	setting
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // a journey
	refused   int64         // requests that were told to come again
	counts    counts        // a journey
	rest      int           // MiB, before anybody came
	memory    int           // MiB, afterwards
	first     time.Duration // from the start of the process to its first page
}

const tableHead = `| server | database | alg | clients | users | nodes | per s | p50 ms | p99 ms | CPU ms | of floor | refused | commits | durable | rows | KiB allocated | MiB at rest | MiB after | first page ms |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *result) print(floor *result) {
	ratio, own := "", " | | | "
	if floor != nil && floor.cpu > 0 {
		ratio = fmt.Sprintf("%.2f", float64(r.cpu)/float64(floor.cpu))
	}
	c, first := r.counts, ""
	if r.server == "engine" { // of a floor nobody counts these
		own = fmt.Sprintf(" %.2f | %.2f | %.1f | %.0f ", c.commits+c.durable, c.durable, c.rows, c.allocated/1024)
		first = fmt.Sprintf("%.0f", millis(r.first))
	} else if c.allocated > 0 {
		own = fmt.Sprintf(" | | | %.0f ", c.allocated/1024)
	}
	fmt.Printf("| %s | %s | %s | %d | %d | %d | %.0f | %.1f | %.1f | %.2f | %s | %d |%s| %d | %d | %s |\n",
		r.server, r.database, r.alg, r.clients, r.users, r.nodes, r.perSecond, millis(r.p50), millis(r.p99), millis(r.cpu), ratio, r.refused,
		own, r.rest, r.memory, first)
}

// middle is the measurement of rounds whose processor time is in the middle.
func (f flags) middle(ctx context.Context, box *mailbox, s setting) (*result, error) {
	var all []*result
	for range f.rounds {
		r, err := f.measure(ctx, box, s)
		if err != nil {
			return nil, fmt.Errorf("%s of %s on %s: %w", s.what, s.server, s.database, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *result) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2], nil
}

// warm is how many journeys there are before those that count.
const warm = 50

// times is how many journeys count, ten by each client at the least. A check is so
// short that a thousand of them would be less than what the system tells processor
// time by.
func (f flags) times(s setting) int {
	n := max(f.journeys, 10*s.clients)
	if s.what == "check" {
		n *= 20
	}
	return n
}

func (f flags) measure(ctx context.Context, box *mailbox, s setting) (_ *result, err error) {
	all, err := f.open(ctx, s, box.url)
	if err != nil {
		return nil, errors.Join(err, all.stop())
	}
	v := newVisitor(all, box)
	defer func() {
		v.http.CloseIdleConnections() // a server that stops waits for new ones to say something
		if err != nil {
			all.logs()
		}
		err = errors.Join(err, all.stop())
	}()
	pause(ctx, f.rest)
	r := &result{setting: s, first: all[0].first}
	if r.rest, err = all.memory(); err != nil {
		return nil, err
	}
	n := f.times(s)
	act, err := v.journey(ctx, s, warm+n)
	if err != nil {
		return nil, err
	}
	if _, _, err := drive(ctx, warm, min(s.clients, 8), act); err != nil {
		return nil, err
	}
	before, err := all.counts(ctx, v.http)
	if err != nil {
		return nil, err
	}
	cpu, err := all.cpu()
	if err != nil {
		return nil, err
	}
	refused := v.refused.Load()
	took, rate, err := drive(ctx, n, s.clients, act)
	if err != nil {
		return nil, err
	}
	r.perSecond, r.refused = rate, v.refused.Load()-refused
	slices.Sort(took)
	r.p50, r.p99 = took[len(took)/2], took[len(took)*99/100]
	used, err := all.cpu()
	if err != nil {
		return nil, err
	}
	r.cpu = (used - cpu) / time.Duration(n)
	if r.memory, err = all.memory(); err != nil {
		return nil, err
	}
	after, err := all.counts(ctx, v.http)
	r.counts = after.minus(before).over(n)
	return r, err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d): // the engine gives back what its start needed, and does not tell when it has
	}
}

// servers are one process, or several engines that are asked in turn.
type servers []*process

func sum[T int | time.Duration](all servers, of func(*process) (T, error)) (total T, err error) {
	for _, p := range all {
		n, err := of(p)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (s servers) cpu() (time.Duration, error) { return sum(s, (*process).cpu) }
func (s servers) memory() (int, error)        { return sum(s, (*process).memory) }

func (s servers) stop() (err error) {
	for _, p := range s {
		err = errors.Join(err, p.stop())
	}
	return err
}

func (s servers) logs() {
	for _, p := range s {
		p.tail()
	}
}
