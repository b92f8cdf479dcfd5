package history

import (
	"slices"
	"time"
)

// A Copying is when a copy of the database was made, by the clients' clock.
type Copying struct{ Began, Ended time.Time }

// Cut returns a history as the copy must know it: what was answered before it began
// is in it; what was answered later is in it or not, as if the answer had been lost;
// what was sent after its end is not, so a trace of that in the copy has no cause.
func (c Copying) Cut(calls []Call) []Call {
	var cut []Call
	for _, call := range calls {
		if call.At.After(c.Ended) {
			continue
		}
		if call.Lost == "" && !call.Ended().Before(c.Began) {
			call.Answer = Answer{Lost: "the answer came after the copy was begun"}
		}
		cut = append(cut, call)
	}
	return cut
}

// Mails returns those of a sink that were wished for before the end: they had come
// by then, or the copy's outbox has them.
func (c Copying) Mails(all []Mail, outbox map[string]Message) []Mail {
	return slices.DeleteFunc(slices.Clone(all), func(m Mail) bool {
		_, known := outbox[m.outbox()]
		return m.At.After(c.Ended) && !known
	})
}
