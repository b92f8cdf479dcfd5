package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// A timekeeper is a database that several nodes share, and that has a clock.
type timekeeper interface {
	Time(ctx context.Context) (time.Time, error)
}

// A clock tells the time of the database's server, so that nodes whose own
// clocks differ act as one (decision D31, REL R-15). Between two looks at it time
// goes on by this machine's monotonic clock, which nobody sets: a step of the
// machine's time does not show.
type clock struct {
	keeper  timekeeper
	machine func() time.Time
	mark    atomic.Pointer[mark]
	told    time.Time // when it was last said that comparing fails; zero: it does not. run's own
}

// A mark is one moment on both clocks, by an answer that took so long.
type mark struct {
	there, here time.Time
	took        time.Duration
}

func (m *mark) rough() bool { return m.took > compareWithin }

const (
	// compareEvery is how often the two are compared.
	compareEvery = 30 * time.Second
	// compareWithin is how long the answer may take: half of it is how wrong the clock can be.
	compareWithin = 200 * time.Millisecond
	// watchEvery is how often this machine's two clocks are held against each other:
	// the monotonic one stands still while a machine is suspended.
	watchEvery = time.Second
	// jump is what is more than clocks drift apart between two looks.
	jump = time.Second
	// tellOffset is what an operator should know of.
	tellOffset = 5 * time.Second
)

// newClock compares the clocks once.
func newClock(ctx context.Context, k timekeeper, machine func() time.Time, log *slog.Logger) (*clock, error) {
	c := &clock{keeper: k, machine: machine}
	err := errLate
	for tries := 0; tries < 5 && errors.Is(err, errLate); tries++ { // a new connection takes its time
		err = c.compare(ctx, compareWithin)
	}
	if errors.Is(err, errLate) { // run tries again soon
		err = c.compare(ctx, time.Minute)
	}
	if err != nil {
		return nil, fmt.Errorf("the time of the database: %w", err)
	}
	if off := c.ahead(); off.Abs() > tellOffset {
		log.Warn("this machine's clock differs from the database's, which is gone by", "ahead", off.Round(time.Millisecond).String())
	}
	return c, nil
}

// ahead is how far this machine's clock was before the database's when they were
// compared last. It changes nothing (decision D31), but where it drifts the machine is not well kept.
func (c *clock) ahead() time.Duration {
	m := c.mark.Load()
	return m.here.Round(0).Sub(m.there)
}

// Now is the database's time.
func (c *clock) Now() time.Time {
	m := c.mark.Load()
	return m.there.Add(c.machine().Sub(m.here))
}

var errLate = errors.New("the answer took too long to tell the time by")

func (c *clock) compare(ctx context.Context, within time.Duration) error {
	before := c.machine()
	there, err := c.keeper.Time(ctx)
	if err != nil {
		return err
	}
	took := c.machine().Sub(before)
	if m := c.mark.Load(); took > within && (m == nil || !m.rough() || took >= m.took) { // else it is better than nothing
		return errLate
	}
	c.mark.Store(&mark{there: there, here: before.Add(took / 2), took: took})
	return nil
}

// suspended is how much longer the time between two moments was by the clock on
// the wall than by the monotonic one.
func suspended(from, to time.Time) time.Duration {
	return (to.Round(0).Sub(from.Round(0)) - to.Sub(from)).Abs()
}

// run compares the clocks now and then until ctx ends, and calls jumped when that
// has moved the time. Where that fails, the
// machine's own clock goes on from where it was.
func (c *clock) run(ctx context.Context, log *slog.Logger, run watched, jumped func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m, here := c.mark.Load(), c.machine(); !m.rough() && here.Sub(m.here) < compareEvery && suspended(m.here, here) < jump {
			continue
		}
		before := c.Now()
		err := run(func() error { return c.compare(ctx, compareWithin) })
		if ctx.Err() != nil {
			return
		}
		c.tell(log, err)
		if err == nil && c.Now().Sub(before).Abs() > jump {
			jumped()
		}
	}
}

// tell warns of comparisons that fail, which are tried each second: at once, and
// every half minute while they go on to.
func (c *clock) tell(log *slog.Logger, err error) {
	here := c.machine()
	switch {
	case err == nil && !c.told.IsZero():
		c.told = time.Time{}
		log.Info("the clock was compared with the database's again")
	case err != nil && (c.told.IsZero() || here.Sub(c.told) >= compareEvery):
		c.told = here
		log.Warn("the clock was not compared with the database's", "err", err)
	}
}
