package limit

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"
)

// Local keeps the counters of one process, for what bounds a volume and not a
// secret (SEC S-110). It forgets what has ended, and never holds more than its
// capacity: when it is full of live counters, new keys are not counted. It is
// safe for concurrent use.
type Local struct {
	seed maphash.Seed // nobody else's, so that nobody finds two keys of one hash

	mu       sync.Mutex
	counters map[uint64]kept // by the hash of their key
	swept    int             // size after the last sweep
}

type kept struct {
	data []byte
	ends int64 // in milliseconds, as a Counter's
}

// localCapacity is how many keys are kept: some 10 MB at most.
const localCapacity = 100_000

// NewLocal returns an empty one.
func NewLocal() *Local { return &Local{seed: maphash.MakeSeed(), counters: map[uint64]kept{}} }

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
	k, ok := l.counters[maphash.String(l.seed, key)]
	if !ok {
		return Counter{Key: key}
	}
	return Counter{Key: key, Data: k.data, ExpiresAt: time.UnixMilli(k.ends)}
}

func (l *Local) put(c Counter, now time.Time) {
	key := maphash.String(l.seed, c.Key)
	if _, have := l.counters[key]; !have && len(l.counters) >= max(1024, 2*l.swept) {
		for k, old := range l.counters {
			if old.ends <= floor(now) {
				delete(l.counters, k)
			}
		}
		l.swept = len(l.counters)
		if l.swept >= localCapacity {
			return
		}
	}
	l.counters[key] = kept{c.Data, ceil(c.ExpiresAt)}
}
