package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// chainFailures is how many messages in a row a way may fail before the next one is
// asked first. Each may have cost a whole time limit, and there is somewhere else to go.
const chainFailures = 3

// A Chain has several ways to hand the same messages over, of which the first that
// can be used takes each (REL R-08). One that fails is passed over, but for a message
// each 15 s, until it takes one.
type Chain[T fmt.Stringer] struct {
	list []*link[T]
	now  func() time.Time
	log  *slog.Logger
	what string
}

type link[T fmt.Stringer] struct {
	way     T
	breaker Breaker
}

// NewChain takes the ways in the order in which they are preferred. what is one of
// them, in the log.
func NewChain[T fmt.Stringer](what string, now func() time.Time, log *slog.Logger, ways ...T) *Chain[T] {
	c := &Chain[T]{now: now, log: log, what: what}
	for _, w := range ways {
		c.list = append(c.list, &link[T]{way: w, breaker: Breaker{After: chainFailures}})
	}
	return c
}

// All are its ways.
func (c *Chain[T]) All() []T {
	var out []T
	for _, l := range c.list {
		out = append(out, l.way)
	}
	return out
}

// First acts on the first way that can be used, of those that use is true for. What
// one says of the message itself holds: another one is not asked.
func (c *Chain[T]) First(ctx context.Context, use func(T) bool, act func(context.Context, T) error) error {
	var list []*link[T]
	for _, l := range c.list {
		if use == nil || use(l.way) {
			list = append(list, l)
		}
	}
	if len(list) == 1 { // the outbox has a breaker for all that it delivers
		return act(ctx, list[0].way)
	}
	var failed error = &Temporary{Class: "unavailable", Unavailable: true}
	for i, l := range list {
		allowed, _ := l.breaker.Allow(c.now())
		if !allowed {
			continue
		}
		err := within(ctx, len(list)-1-i, func(ctx context.Context) error { return act(ctx, l.way) })
		if err != nil && errors.Is(ctx.Err(), context.Canceled) { // the outbox stops
			l.breaker.Abandon()
			return err
		}
		var t *Temporary
		down := errors.As(err, &t) && t.Unavailable || errors.Is(err, context.DeadlineExceeded)
		switch opened, closed := l.breaker.Record(c.now(), !down); {
		case opened:
			c.log.Error("outbox: one of several fails, the next one is asked", c.what, l.way.String(), "error", err)
		case closed:
			c.log.Info("outbox: one of several can be used again", c.what, l.way.String())
		}
		if !down {
			return err
		}
		failed = err
	}
	return failed
}

// within gives a way that others come after a part of the time that is left: one
// that accepts and stalls must leave them some.
func within(ctx context.Context, others int, act func(context.Context) error) error {
	if end, ok := ctx.Deadline(); ok && others > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(others+1))
		defer cancel()
	}
	return act(ctx)
}
