//go:build unix

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/faults/history"
)

// repeated counts how often mails came again: the one that did so most, and all.
func repeated(mails []history.Mail) (most, all int) {
	n := map[string]int{}
	for _, m := range mails {
		if n[m.MessageID]++; n[m.MessageID] > 1 {
			all++
		}
		most = max(most, n[m.MessageID]-1)
	}
	return most, all
}

// written is within what time after a mail was handed over that is surely written
// down: a quarter of a second is meant.
const written = 30 * time.Second

// repeats checks REL R-06: what ends at once may repeat a mail that was handed over
// and not written down yet, once for each such end; nothing else does.
func (l *load) repeats(mails []history.Mail) error {
	last := map[string]time.Time{}
	for _, m := range mails {
		was, ok := last[m.MessageID]
		last[m.MessageID] = m.At
		if !ok {
			continue
		}
		broken := false
		for _, at := range l.cuts {
			// The mail server may still be reading what a process had sent before it ended.
			broken = broken || at.After(was.Add(-written)) && at.Before(was.Add(written)) && at.Before(m.At)
		}
		if !broken {
			return fmt.Errorf("mail %s came again %v later, and nothing had ended meanwhile", m.MessageID, m.At.Sub(was))
		}
	}
	if most, _ := repeated(mails); most > len(l.cuts) {
		return fmt.Errorf("a mail came again %d times, with %d ends", most, len(l.cuts))
	}
	return nil
}

// What is none of that is found.
func TestREL_R06_RepetitionsAreCaught(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	mail := func(s int) history.Mail { return history.Mail{MessageID: "<m1@example.com>", At: at(s)} }
	for _, tt := range []struct {
		name  string
		cuts  []time.Time
		mails []history.Mail
		fails bool
	}{
		{"once", []time.Time{at(10)}, []history.Mail{mail(9)}, false},
		{"again after an end", []time.Time{at(10)}, []history.Mail{mail(9), mail(70)}, false},
		{"again after each of two ends", []time.Time{at(10), at(72)}, []history.Mail{mail(9), mail(70), mail(140)}, false},
		{"again for no reason", []time.Time{at(100)}, []history.Mail{mail(9), mail(70)}, true},
		{"again long after it was written down", []time.Time{at(60)}, []history.Mail{mail(9), mail(70)}, true},
		{"twice after one end", []time.Time{at(10)}, []history.Mail{mail(9), mail(11), mail(12)}, true},
	} {
		err := (&load{cuts: tt.cuts}).repeats(tt.mails)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
