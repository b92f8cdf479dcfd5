package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

func (o *Outbox) work(l *lane, run func(work func() error) error) {
	for o.stopping.Err() == nil {
		select {
		case <-o.stopping.Done():
		case m := <-l.queue:
			o.carry(l, m, run)
			if o.landed(l) < int64(l.workers) && l.more.Swap(false) {
				o.Wake()
			}
		}
	}
}

// report passes on what became of a message, to be written down.
func (o *Outbox) report(m Message) {
	if m.Status != Queued { // one given back was not tried
		o.observe(m.Kind, m.Status)
	}
	o.unwritten.Add(1)
	o.settled <- m
}

// carry delivers one message and passes on what became of it.
func (o *Outbox) carry(l *lane, m Message, run func(work func() error) error) {
	now := o.now()
	lease := m.LeasedUntil.Sub(now) - leaseMargin
	if lease <= 0 {
		return // it waited too long here, and may soon be in other hands
	}
	if m.ExpiresAt.Sub(now) < minLife {
		o.report(m.done(Expired, ""))
		return
	}
	allowed, next := l.breaker.Allow(now)
	if !allowed {
		o.report(o.putOff(m, "unavailable", latest(next, now.Add(min(now.Sub(m.CreatedAt), bounceMax)))))
		return
	}

	ctx, cancel := context.WithTimeout(o.aborted, min(lease, m.ExpiresAt.Sub(now)))
	err := run(func() error { return o.deliver(ctx, l, m) })
	cancel()

	if err != nil && o.aborted.Err() != nil {
		l.breaker.Abandon()
		m.LeasedUntil = time.Time{}
		o.report(m)
		return
	}
	m.Attempts++
	o.report(o.outcome(l, m, err))
}

// bounceMax is the longest that a message waits after an open breaker sent it
// back. Until then it waits as long as it has lived, so that a long outage does
// not write each waiting row at each probe.
const bounceMax = 2 * time.Minute

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// deliver opens the payload and hands it over. A deliverer that panics would do
// so again after every restart, so its message is refused.
func (o *Outbox) deliver(ctx context.Context, l *lane, m Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			o.log.Error("outbox: deliverer panicked", "id", m.ID, "kind", m.Kind, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = &Permanent{Class: "panic"}
		}
	}()
	payload, err := o.keys.Open(purpose, m.ID, m.Payload)
	if err != nil {
		return &Permanent{Class: "sealed", Err: err}
	}
	return l.Deliver(ctx, Delivery{
		ID: m.ID, Payload: payload, Attempt: m.Attempts + 1, CreatedAt: m.CreatedAt, ExpiresAt: m.ExpiresAt,
	})
}

// outcome is the message as it stands after a try.
func (o *Outbox) outcome(l *lane, m Message, err error) Message {
	now := o.now()
	if err == nil {
		o.record(l, m.Kind, now, true)
		return m.done(Sent, "")
	}
	class, permanent, unavailable := failure(err)
	o.record(l, m.Kind, now, !unavailable)
	log := o.log.With("id", m.ID, "kind", m.Kind, "attempt", m.Attempts, "class", class)
	if permanent {
		log.Warn("outbox: refused")
		return m.done(Refused, class)
	}
	wait := backoff(m.Attempts, rand.Float64())
	var t *Temporary
	if errors.As(err, &t) {
		wait = max(wait, t.After)
		if unavailable && t.Err != nil {
			log = log.With("error", t.Err)
		}
	}
	next := o.putOff(m, class, now.Add(wait))
	log.Warn("outbox: not delivered", "status", next.Status)
	return next
}

// putOff delays a message, or ends it where it would be of no use then.
func (o *Outbox) putOff(m Message, class string, at time.Time) Message {
	if m.ExpiresAt.Sub(at) < minLife {
		return m.done(Expired, class)
	}
	m.Status, m.LastError, m.NotBefore, m.LeasedUntil = Delayed, class, at, time.Time{}
	return m
}

// done is the message at its end, its secrets blanked (SEC S-119).
func (m Message) done(s Status, class string) Message {
	m.Status, m.LastError, m.Payload, m.LeasedUntil = s, class, nil, time.Time{}
	return m
}

func (m Message) ended() bool { return m.Status != Queued && m.Status != Delayed }

func (o *Outbox) record(l *lane, kind string, now time.Time, ok bool) {
	opened, closed := l.breaker.Record(now, ok)
	switch {
	case opened:
		o.log.Error("outbox: deliveries fail one after the other, trying one at a time", "kind", kind, "every", breakerProbe)
	case closed:
		o.log.Info("outbox: deliveries succeed again", "kind", kind)
		o.Wake()
	}
}
