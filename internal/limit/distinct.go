package limit

import (
	"encoding/binary"
	"slices"
	"time"
)

// Distinct admits any number of uses of at most N different values in any span
// of Per: the addresses that one source may send mail to (SEC S-11). It is exact.
//
// The zero Distinct admits everything.
type Distinct struct {
	N   int
	Per time.Duration
}

// Off reports whether d admits everything, so that no counter need be read.
func (d Distinct) Off() bool { return d.Per <= 0 }

// Spend admits the use of a value, or says when one more value would be admitted.
// A refusal changes nothing, as with Volume. The value is the beginning of a MAC
// under a key that is not in the database, so that the counter tells nobody whom
// a source writes to; two values with one hash count as one.
func (d Distinct) Spend(c Counter, now time.Time, hash uint64) (next Counter, retryAfter time.Duration, ok bool) {
	if d.Off() {
		return c, 0, true
	}
	uses := d.load(c, now)
	if i := slices.IndexFunc(uses, func(u use) bool { return u.hash == hash }); i >= 0 {
		// The last use decides how long a value counts.
		uses = slices.Delete(uses, i, i+1)
	} else if end := d.full(uses, floor(now)); end > 0 {
		return c, until(end, now), false
	}

	at := ceil(now)
	if n := len(uses); n > 0 {
		at = max(at, uses[n-1].at)
	}
	uses = append(uses, use{hash: hash, at: at})
	return Counter{Key: c.Key, Data: encodeDistinct(uses), ExpiresAt: ending(at + span(d.Per))}, 0, true
}

// full is when there is room for one more value, 0 if there is.
func (d Distinct) full(uses []use, now int64) int64 {
	switch {
	case d.N < 1:
		return now + span(d.Per)
	case len(uses) < d.N:
		return 0
	}
	return uses[len(uses)-d.N].at + span(d.Per)
}

// A use is a value and when it was last used; they are kept in that order.
type use struct {
	hash uint64
	at   int64
}

func (d Distinct) load(c Counter, now time.Time) []use {
	t := floor(now)
	return slices.DeleteFunc(decodeDistinct(c.Data), func(u use) bool {
		return u.at <= t-span(d.Per) || u.at > t+span(d.Per)+span(skew)
	})
}

func encodeDistinct(uses []use) []byte {
	var from int64
	if n := len(uses); n > 0 {
		from = uses[n-1].at
	}
	b := number([]byte{distinctV1}, from)
	for _, u := range slices.Backward(uses) {
		b = number(b, from-u.at)
		b = binary.BigEndian.AppendUint64(b, u.hash)
		from = u.at
	}
	return b
}

func decodeDistinct(data []byte) []use {
	r := read(data, distinctV1)
	from := r.number(latest)
	var uses []use
	for !r.bad && len(r.rest) > 0 {
		from -= r.number(from)
		uses = append(uses, use{at: from, hash: r.value()})
	}
	if !r.done() {
		return nil
	}
	slices.Reverse(uses)
	return uses
}
