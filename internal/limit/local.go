package limit

import (
	"encoding/binary"
	"hash/maphash"
	"math"
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
	counters map[uint64]kept   // by the hash of their key
	long     map[uint64][]byte // data that kept has no room for
	sweep    int               // size at which what has ended is looked for
	swept    int64             // when it was last, in seconds of Unix time
}

// kept is a counter without its key, and without a pointer that the collector would
// have to follow: most have an hour to live and count to one.
type kept struct {
	ends uint32 // in whole seconds of Unix time, rounded up
	size uint8  // of data; more than it holds: it is in long
	data [19]byte
}

// localCapacity is how many keys are kept: some 6 MB at most.
const localCapacity = 100_000

// NewLocal returns an empty one.
func NewLocal() *Local {
	return &Local{seed: maphash.MakeSeed(), counters: map[uint64]kept{}, long: map[uint64][]byte{}, sweep: 1024}
}

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
	h := maphash.String(l.seed, key)
	k, ok := l.counters[h]
	if !ok {
		return Counter{Key: key}
	}
	c := Counter{Key: key, ExpiresAt: ending(int64(k.ends) * 1000)}
	if c.Data = l.long[h]; int(k.size) <= len(k.data) {
		c.Data = k.data[:k.size]
	}
	return c
}

func (l *Local) put(c Counter, now time.Time) {
	h := maphash.String(l.seed, c.Key)
	if _, have := l.counters[h]; !have && len(l.counters) >= l.sweep {
		// Once a second is enough where all live: it takes a millisecond.
		if second := floor(now) / 1000; len(l.counters) < localCapacity || second != l.swept {
			l.forget(second)
		}
		if len(l.counters) >= localCapacity {
			return
		}
	}
	k := kept{ends: uint32(min((ceil(c.ExpiresAt)+999)/1000, math.MaxUint32)), size: math.MaxUint8}
	if len(c.Data) <= len(k.data) {
		k.size = uint8(copy(k.data[:], c.Data))
		delete(l.long, h)
	} else {
		l.long[h] = c.Data
	}
	l.counters[h] = k
}

// forget removes what has ended. It is called again when there are a quarter more: the
// keys of what lasts for seconds would else be as many as those of what lasts for hours.
func (l *Local) forget(second int64) {
	l.swept = second
	for h, k := range l.counters {
		if int64(k.ends) <= second {
			delete(l.counters, h)
			delete(l.long, h)
		}
	}
	live := len(l.counters)
	l.sweep = min(live+max(1024, live/4), max(localCapacity, live))
}
