package webpush

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/outbound"
	"github.com/stile-id/stile/internal/outbox"
)

// Deliver wakes a person's devices, all at the same time. What a push service answers is
// told by its status alone (SEC S-121), and never opens the outbox's breaker: of one
// device's service, nothing follows for those of others. A person has one message under
// way at a time: with addresses that hang they take one worker and no more.
func (s *Sender) Deliver(ctx context.Context, d outbox.Delivery) error {
	var m Message
	if err := json.Unmarshal(d.Payload, &m); err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	if !s.take(m.UserID) {
		return &outbox.Temporary{Class: "busy"}
	}
	defer s.leave(m.UserID)
	if waits, err := s.devices.Waits(ctx, m.UserID, m.Request); err != nil || !waits {
		return later("store", err)
	}
	places, err := s.devices.Places(ctx, m.UserID)
	if err != nil || len(places) == 0 {
		return later("store", err)
	}
	t := s.tried(d)
	var all sync.WaitGroup
	var asked []string
	for _, p := range places {
		to, ok := s.usable(p.Subscription)
		if !ok || len(asked) == maxPlaces {
			continue
		}
		asked = append(asked, p.Device)
		if t.due(p.Device, s.now()) {
			all.Go(func() { t.note(p.Device, s.now(), s.wake(ctx, d, m, p, to)) })
		}
	}
	all.Wait()
	err = t.outcome(asked, s.now())
	var again *outbox.Temporary
	if !errors.As(err, &again) {
		s.forget(d.ID)
	}
	return err
}

// wake wakes one device. One that does not answer in time is tried once more, and no
// other time: each costs all that a message may take.
func (s *Sender) wake(ctx context.Context, d outbox.Delivery, m Message, p Place, to Subscription) error {
	status, after, err := s.send(ctx, to, m, d.ExpiresAt)
	var slow net.Error
	switch {
	case errors.Is(err, outbound.ErrNotPublic):
		return &outbox.Permanent{Class: "address"}
	case errors.Is(err, outbound.ErrOwnUnknown):
		s.unknown.Do(func() {
			s.log.ErrorContext(ctx, "no push service is asked while the addresses of this machine cannot be read; a sandbox must allow AF_NETLINK", "error", err)
		})
		return &outbox.Temporary{Class: "machine"}
	case errors.As(err, &slow) && slow.Timeout() && d.Attempt > 1: // whatever the first one failed by
		return &outbox.Permanent{Class: "timeout"}
	case errors.As(err, &slow) && slow.Timeout():
		return &outbox.Temporary{Class: "timeout"}
	case err != nil:
		return &outbox.Temporary{Class: "connect"}
	}
	class := strconv.Itoa(status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone: // RFC 8030 §7.3: it will not come back
		if err := s.devices.Forget(ctx, m.UserID, p.Device, p.Subscription); err != nil {
			return later("store", err)
		}
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return &outbox.Temporary{Class: class, After: after}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		s.log.WarnContext(ctx, "a push service does not take web_push_key, or this machine's time", "host", hostOf(to.Endpoint), "status", status)
	}
	return &outbox.Permanent{Class: class}
}

// later tells of a fault of our own; nil: there is nothing to do.
func later(class string, err error) error {
	if err == nil {
		return nil
	}
	return &outbox.Temporary{Class: class, Err: err}
}

// take reports whether nothing of a person's is under way, and begins if so.
func (s *Sender) take(userID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[userID] {
		return false
	}
	s.busy[userID] = true
	return true
}

func (s *Sender) leave(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, userID)
}

// tries is what became of one message at each device, so that the next try is for those
// alone that it did not reach. It is kept by the process that tried: after a restart a
// device may be woken twice, which shows one notification.
type tries struct {
	ends time.Time

	mu  sync.Mutex
	was map[string]try
}

type try struct {
	err   error
	again time.Time // it is tried again, from then on; zero: it is not
}

// tried finds the tries of a message, and drops those whose time is over.
func (s *Sender) tried(d outbox.Delivery) *tries {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tries[d.ID]
	if t == nil {
		now := s.now()
		for id, old := range s.tries {
			if !now.Before(old.ends) {
				delete(s.tries, id)
			}
		}
		t = &tries{ends: d.ExpiresAt, was: map[string]try{}}
		s.tries[d.ID] = t
	}
	return t
}

func (s *Sender) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tries, id)
}

// due reports whether a device is to be tried.
func (t *tries) due(device string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.was[device]
	return !ok || !was.again.IsZero() && !now.Before(was.again)
}

func (t *tries) note(device string, now time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := try{err: err}
	var again *outbox.Temporary
	if errors.As(err, &again) {
		next.again = now.Add(again.After)
	}
	t.was[device] = next
}

// outcome is that of the message: to be tried again while one of the devices is, sent if
// it reached one, and else refused.
func (t *tries) outcome(devices []string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var refused error = &outbox.Permanent{Class: "subscription"} // none that is of use
	var again *outbox.Temporary
	reached := false
	for _, id := range devices {
		was := t.was[id]
		var failed *outbox.Temporary
		switch {
		case errors.As(was.err, &failed):
			if wait := max(0, was.again.Sub(now)); again == nil || wait < again.After {
				again = &outbox.Temporary{Class: failed.Class, After: wait, Err: failed.Err}
			}
		case was.err == nil:
			reached = true
		default:
			refused = was.err
		}
	}
	switch {
	case again != nil:
		return again
	case reached:
		return nil
	}
	return refused
}
