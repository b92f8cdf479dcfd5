package outbox

import (
	"sync"
	"time"
)

// A breaker opens after so many failures in a row; then one message each
// interval is tried as a probe, and the first success closes it (REL R-07).
const (
	breakerFailures = 10
	breakerProbe    = 15 * time.Second
)

type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time // open: no probe before
	probing  bool
}

// allow reports whether a message may be tried now, and if not, when it is
// worth asking again. Whoever was allowed must call record or abandon.
func (b *breaker) allow(now time.Time) (bool, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breakerFailures:
		return true, now
	case now.Before(b.until):
		return false, b.until
	case b.probing:
		return false, now.Add(breakerProbe)
	}
	b.probing = true
	return true, now
}

// due reports whether allow would say yes: to all messages, or to one as a
// probe. next is when to ask again if to none.
func (b *breaker) due(now time.Time) (all, probe bool, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breakerFailures:
		return true, false, now
	case now.Before(b.until):
		return false, false, b.until
	case b.probing:
		return false, false, now.Add(breakerProbe)
	}
	return false, true, now
}

// record takes the result of a try. It reports whether the breaker opened or
// closed by it.
func (b *breaker) record(now time.Time, ok bool) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := b.failures >= breakerFailures
	b.probing = false
	if ok {
		b.failures = 0
		return false, wasOpen
	}
	b.failures++
	if b.failures >= breakerFailures {
		b.until = now.Add(breakerProbe)
	}
	return !wasOpen && b.failures >= breakerFailures, false
}

// abandon gives back a permission without a result.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}
