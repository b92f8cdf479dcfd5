package outbox

import (
	"cmp"
	"sync"
	"time"
)

// What a Breaker does where nothing else is said (REL R-07).
const (
	breakerFailures = 10
	breakerProbe    = 15 * time.Second
)

// A Breaker opens after so many failures in a row; then one message each 15 s is
// tried as a probe, and the first success closes it.
type Breaker struct {
	After int // failures; default 10

	mu       sync.Mutex
	failures int
	until    time.Time // open: no probe before
	probing  bool
}

// Allow reports whether a message may be tried now, and if not, when it is
// worth asking again. Whoever was allowed must call Record or Abandon.
func (b *Breaker) Allow(now time.Time) (bool, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open():
		return true, now
	case b.waits(now):
		return false, b.until
	case b.probing:
		return false, now.Add(breakerProbe)
	}
	b.probing = true
	return true, now
}

// due reports whether Allow would say yes: to all messages, or to one as a
// probe. next is when to ask again if to none.
func (b *Breaker) due(now time.Time) (all, probe bool, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open():
		return true, false, now
	case b.waits(now):
		return false, false, b.until
	case b.probing:
		return false, false, now.Add(breakerProbe)
	}
	return false, true, now
}

// Record takes the result of a try. It reports whether the breaker opened or
// closed by it.
func (b *Breaker) Record(now time.Time, ok bool) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := b.open()
	b.probing = false
	if ok {
		b.failures = 0
		return false, wasOpen
	}
	b.failures++
	if b.open() {
		b.until = now.Add(breakerProbe)
	}
	return !wasOpen && b.open(), false
}

// Abandon gives back a permission without a result.
func (b *Breaker) Abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

func (b *Breaker) open() bool { return b.failures >= cmp.Or(b.After, breakerFailures) }

// waits reports whether no probe is due. A clock that was set back makes one due:
// the end of the wait would be far away.
func (b *Breaker) waits(now time.Time) bool {
	left := b.until.Sub(now)
	return 0 < left && left <= breakerProbe
}
