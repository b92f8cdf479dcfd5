package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
)

// ofOneSource are the limits of production for a test that guesses as fast as it
// can, all from one source.
func ofOneSource() flow.Limits {
	l := limits()
	l.Rules.HandleRequests, l.Rules.UserRequests, l.Rules.SourceWrong, l.Rules.NetworkWrong = nil, nil, nil, nil
	return l
}

// signingIn begins a sign-in of somebody and returns its state handle.
func (e *engine) signingIn(t *testing.T, address string) string {
	t.Helper()
	h, err := e.begun()
	if err == nil {
		_, err = e.idx("identify", fmt.Sprintf(`{"stateHandle":%q,"identifier":%q}`, h, address))
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// mailedCodes are all codes that were mailed to an address, by whichever node.
func (e *engine) mailedCodes(t *testing.T, address string) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	for _, node := range e.nodes {
		if err := node.MailSettled(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range node.Inbox.Messages(address) {
			codes[m.Code] = true
		}
	}
	return codes
}

// Of two hundred guesses at one code at once, at both nodes, five are looked at;
// then the right one is of no use. Those that follow in further transactions count
// on, whichever node they come to (SEC S-05, S-110).
func TestSEC_S03_ParallelGuessesAtTwoNodes(t *testing.T) {
	const ada = "ada@example.com"
	_, _, both := startTwo(t, ofOneSource())
	if _, err := both.signUp(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	before := both.mailedCodes(t, ada)
	h := both.signingIn(t, ada)
	var right string
	codes := both.mailedCodes(t, ada)
	for code := range codes {
		if !before[code] {
			right = code
		}
	}
	if right == "" {
		t.Fatal("no code was mailed")
	}
	guess := func(h, code string) error {
		_, err := both.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
		return err
	}
	wrong := func(n int) string {
		for {
			if code := fmt.Sprintf("%06d", n); !codes[code] {
				return code
			}
			n += 1000
		}
	}
	var group sync.WaitGroup
	for n := range 200 {
		group.Go(func() {
			// 503: too many wait for the database; it was not looked at.
			if err := guess(h, wrong(n)); err == nil || !strings.Contains(err.Error(), ": 401 ") && !strings.Contains(err.Error(), ": 503 ") {
				t.Errorf("guess %d: %v", n, err)
			}
		})
	}
	group.Wait()
	for n := range 5 {
		if err := guess(h, wrong(200+n)); err == nil {
			t.Errorf("one more guess is right")
		}
	}
	a, err := both.Store.AccountByAddress(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	lookedAt := func() int {
		c, err := both.Store.Counter(t.Context(), limit.GuessKey(a.ID, "okta_email", limit.Unknown))
		if err != nil {
			t.Fatal(err)
		}
		return limit.DefaultRules().Code.Standing(c, time.Now()).Consecutive
	}
	if n := lookedAt(); n != 5 {
		t.Errorf("%d guesses were looked at, want 5", n)
	}
	if err := guess(h, right); err == nil {
		t.Error("the right code of a challenge that is used up is taken")
	}
	for range 2 {
		h := both.signingIn(t, ada)
		codes = both.mailedCodes(t, ada)
		for n := range 5 {
			_ = guess(h, wrong(n)) // the lane takes five more, and closes
		}
	}
	if n := lookedAt(); n != 10 {
		t.Errorf("over three transactions %d guesses were looked at, want 10", n)
	}
}

// What each of two nodes sees too little of is an alarm together (SEC S-06).
func TestSEC_S06_SprayOverTwoNodes(t *testing.T) {
	l := ofOneSource()
	l.Rules.Spray = limit.Guard{Per: 5 * time.Minute, Floor: 14, Mean: time.Hour, Factor: 20, Hold: time.Hour}
	one, two, both := startTwo(t, l)
	alarms := func() (n int) {
		rows, err := both.Store.AuditRows(t.Context(), "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, ev := range row.Events {
				if ev.Type == "security.attack.start" {
					n++
				}
			}
		}
		return n
	}
	for i := range 4 {
		node := []*engine{one, two}[i%2]
		h := node.signingIn(t, fmt.Sprintf("person%d@example.com", i))
		for n := range 4 {
			if _, err := node.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":"%06d"}}`, h, n)); err == nil {
				t.Fatal("a guess at nobody's code is right")
			}
		}
	}
	awaited(t, "the alarm", func() bool { return alarms() > 0 })
	if n := alarms(); n != 1 {
		t.Errorf("%d alarms", n)
	}
}
