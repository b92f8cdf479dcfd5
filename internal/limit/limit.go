// Package limit counts what may happen only so often: guesses, mails, requests.
//
// Its rules are values, and so is what they remember: a rule takes the Counter of
// a key and the time, and returns the answer and the Counter to keep. Whoever
// calls reads the counter and writes it within one database transaction that
// holds it, so that two nodes count one after the other (SEC S-03, S-110):
//
//	c, _ := tx.Counter(key)
//	if wait, open := rule.Open(c, now); !open { … }
//	c, paused := rule.Wrong(c, now)
//	tx.PutCounter(c)
//
// All windows are half-open: what happened at t has left a window of length d at
// t+d. Times are kept in whole milliseconds, rounded up, which can only make a
// wait longer.
package limit

import (
	"strings"
	"time"
)

// A Counter is what is remembered of one key. Data is the rule's own: what it
// cannot read counts as nothing. From ExpiresAt on the counter can be deleted
// without changing any answer; one without Data, whose ExpiresAt is zero, at once.
type Counter struct {
	Key       string
	Data      []byte
	ExpiresAt time.Time
}

// A Window admits N in any span of Per. With N below 1 it admits nothing.
type Window struct {
	N   int
	Per time.Duration
}

// A Lane separates those who fill a counter from those whom a full one would
// stop (SEC S-108).
type Lane string

// The lanes of an account.
const (
	Known   Lane = "known"   // a browser in which this account has signed in before
	Unknown Lane = "unknown" // all others together
)

var keyParts = strings.NewReplacer("%", "%25", "/", "%2F")

// Key joins what a counter counts and of whom to its key, such that different
// parts never give one key. Name an account by its id, never by what was typed:
// every identifier and every endpoint shares its counter (SEC S-50).
func Key(what string, of ...string) string {
	var b strings.Builder
	b.WriteString(keyParts.Replace(what))
	for _, p := range of {
		b.WriteByte('/')
		b.WriteString(keyParts.Replace(p))
	}
	return b.String()
}

// GuessKey is the key of the wrong answers for one account, authenticator and
// lane (SEC S-05, S-49, S-50, S-108).
func GuessKey(account, authenticator string, lane Lane) string {
	return Key("guess", account, authenticator, string(lane))
}

// skew is how far a node's clock may be ahead of another's. Times further in the
// future than a rule's longest span and this were written by a broken clock and
// are not counted, lest one bad start of a node pause an account for years.
const skew = time.Hour

// floor and ceil are a time in whole milliseconds. Times are read with floor and
// written with ceil.
func floor(t time.Time) int64 { return min(max(t.UnixMilli(), 0), latest) }

func ceil(t time.Time) int64 {
	ms := floor(t)
	if ms < latest && t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// span is a duration in whole milliseconds, rounded up.
func span(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// until is the wait from now to a millisecond, at least 0.
func until(end int64, now time.Time) time.Duration {
	return max(time.UnixMilli(end).Sub(now), 0)
}

// ending is the ExpiresAt of a counter.
func ending(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
