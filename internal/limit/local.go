package limit

import (
	"encoding/binary"
	"sync"
	"time"
)

// Local keeps the counters of one process, for what bounds a volume and not a
// secret (SEC S-110). It forgets what has ended, and never holds more than its
// capacity: when it is full of live counters, new keys are not counted. It is
// safe for concurrent use.
type Local struct {
	mu       sync.Mutex
	counters map[string]Counter
	swept    int // size after the last sweep
}

// localCapacity is how many keys are kept: some 20 MB at most.
const localCapacity = 100_000

// NewLocal returns an empty one.
func NewLocal() *Local { return &Local{counters: map[string]Counter{}} }

// Spend admits one by a rule, or says when one would be.
func (l *Local) Spend(key string, v Volume, now time.Time) (retryAfter time.Duration, ok bool) {
	if v.Off() {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next, retryAfter, ok := v.Spend(l.of(key), now)
	if ok {
		l.put(next, now)
	}
	return retryAfter, ok
}

// SpendDistinct admits a value, given by its hash of at least 8 bytes.
func (l *Local) SpendDistinct(key string, d Distinct, now time.Time, hash []byte) (retryAfter time.Duration, ok bool) {
	if d.Off() {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next, retryAfter, ok := d.Spend(l.of(key), now, binary.BigEndian.Uint64(hash))
	if ok {
		l.put(next, now)
	}
	return retryAfter, ok
}

// Open says what Spend would, without spending.
func (l *Local) Open(key string, v Volume, now time.Time) (retryAfter time.Duration, open bool) {
	if v.Off() {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return v.Open(l.of(key), now)
}

func (l *Local) of(key string) Counter {
	c := l.counters[key]
	c.Key = key
	return c
}

func (l *Local) put(c Counter, now time.Time) {
	if _, have := l.counters[c.Key]; !have && len(l.counters) >= max(1024, 2*l.swept) {
		for k, old := range l.counters {
			if !now.Before(old.ExpiresAt) {
				delete(l.counters, k)
			}
		}
		l.swept = len(l.counters)
		if l.swept >= localCapacity {
			return
		}
	}
	l.counters[c.Key] = c
}
