package mail

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stile-id/stile/internal/outbox"
)

// relayFailures is how many letters in a row a relay may fail before the next one
// is asked first. Each may have cost the time limit of a command, and there is
// somewhere else to go.
const relayFailures = 3

// Relays hand letters to the first of several that can be used (REL R-08). One
// that fails is passed over, but for a letter each 15 s, until it takes one.
type Relays struct {
	list []*relayed
	now  func() time.Time
	log  *slog.Logger
}

type relayed struct {
	*SMTP
	breaker outbox.Breaker
}

// NewRelays takes them in the order in which they are preferred.
func NewRelays(now func() time.Time, log *slog.Logger, relays ...*SMTP) *Relays {
	r := &Relays{now: now, log: log}
	for _, s := range relays {
		r.list = append(r.list, &relayed{SMTP: s, breaker: outbox.Breaker{After: relayFailures}})
	}
	return r
}

// Send is SMTP's, by the first relay that can be used. What a relay says of the
// letter itself, or of its recipient, holds: another one is not asked.
func (r *Relays) Send(ctx context.Context, l *Letter) error {
	return r.first(ctx, func(ctx context.Context, s *SMTP) error { return s.Send(ctx, l) })
}

// Try is SMTP's, of the relay that a letter would go to.
func (r *Relays) Try(ctx context.Context) error {
	return r.first(ctx, func(ctx context.Context, s *SMTP) error { return s.Try(ctx) })
}

func (r *Relays) first(ctx context.Context, act func(context.Context, *SMTP) error) error {
	if len(r.list) == 1 { // the outbox has a breaker for all that it delivers
		return act(ctx, r.list[0].SMTP)
	}
	var failed error = &outbox.Temporary{Class: "unavailable", Unavailable: true}
	for i, relay := range r.list {
		allowed, _ := relay.breaker.Allow(r.now())
		if !allowed {
			continue
		}
		err := r.within(ctx, len(r.list)-1-i, func(ctx context.Context) error { return act(ctx, relay.SMTP) })
		if err != nil && errors.Is(ctx.Err(), context.Canceled) { // the outbox stops
			relay.breaker.Abandon()
			return err
		}
		var t *outbox.Temporary
		down := errors.As(err, &t) && t.Unavailable || errors.Is(err, context.DeadlineExceeded)
		switch opened, closed := relay.breaker.Record(r.now(), !down); {
		case opened:
			r.log.Error("mail: a relay fails, the next one is asked", "relay", relay.String(), "error", err)
		case closed:
			r.log.Info("mail: a relay takes letters again", "relay", relay.String())
		}
		if !down {
			return err
		}
		failed = err
	}
	return failed
}

// within gives a relay that others come after a part of the time that is left: one
// that accepts and stalls must leave them some.
func (r *Relays) within(ctx context.Context, others int, act func(context.Context) error) error {
	if end, ok := ctx.Deadline(); ok && others > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(others+1))
		defer cancel()
	}
	return act(ctx)
}

// Close ends idle connections; letters under way are not disturbed.
func (r *Relays) Close() error {
	var errs []error
	for _, relay := range r.list {
		errs = append(errs, relay.SMTP.Close())
	}
	return errors.Join(errs...)
}
