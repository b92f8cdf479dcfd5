package limit

import "time"

// Volume admits so many in each of several windows at once: mails, requests,
// sign-ups (SEC S-06, S-11, S-28, S-29, S-114).
//
// Never more than N are admitted in any span of Per, for each window. While the
// largest N is at most 64, nothing is refused either that could be admitted. With
// more, times are kept in cells of a 64th of the shortest window, and a refusal
// may last up to one cell longer than it must.
//
// The zero Volume admits everything.
type Volume []Window

// exact is up to which N every time is kept by itself.
const exact = 64

// Off reports whether v admits everything, so that no counter need be read.
func (v Volume) Off() bool { return len(v) == 0 }

// Spend admits one, or says when one would be. A refusal changes nothing: c is
// returned as it came and need not be kept.
func (v Volume) Spend(c Counter, now time.Time) (next Counter, retryAfter time.Duration, ok bool) {
	if v.Off() {
		return c, 0, true
	}
	l := v.load(c, now)
	if wait, open := v.open(l, now); !open {
		return c, wait, false
	}
	return v.store(c.Key, l.add(ceil(now), v.cell(), 1)), 0, true
}

// Open says what Spend would, without spending: for what counts only when it has
// failed, such as the wrong codes of a source (SEC S-06).
func (v Volume) Open(c Counter, now time.Time) (retryAfter time.Duration, open bool) {
	return v.open(v.load(c, now), now)
}

func (v Volume) open(l log, now time.Time) (time.Duration, bool) {
	if end := l.room(floor(now), v); end > floor(now) {
		return until(end, now), false
	}
	return 0, true
}

// cell is the grid of times, in milliseconds.
func (v Volume) cell() int64 {
	if widest(v) <= exact {
		return 1
	}
	shortest := longest(v)
	for _, w := range v {
		shortest = min(shortest, span(w.Per))
	}
	return max(shortest/exact, 1)
}

func (v Volume) load(c Counter, now time.Time) log {
	return decodeVolume(c.Data).within(floor(now), longest(v))
}

func (v Volume) store(key string, l log) Counter {
	if len(l) == 0 {
		return Counter{Key: key}
	}
	return Counter{Key: key, Data: encodeVolume(l), ExpiresAt: ending(l.newest() + longest(v))}
}

func encodeVolume(l log) []byte {
	return appendLog(number([]byte{volumeV1}, l.newest()), l, l.newest())
}

func decodeVolume(data []byte) log {
	r := read(data, volumeV1)
	l := r.log(r.number(latest))
	if !r.done() {
		return nil
	}
	return l
}
