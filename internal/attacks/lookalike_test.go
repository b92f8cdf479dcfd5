package attacks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// The kinds of addresses that somebody who asks must not be able to tell apart.
const (
	withPassword    = "known1@example.com"
	withoutPassword = "known2@example.com"
	suspendedOne    = "known3@example.com"
	pausedOne       = "known4@example.com"
	unknownOne      = "fresh5@example.com"
)

// An asker walks one journey for an address and keeps every answer.
type asker struct {
	w       *wire
	address string
	out     map[string]answer
}

func (q *asker) keep(step string, a answer) answer {
	q.out[fmt.Sprintf("%02d %s", len(q.out), step)] = a
	if a.status >= 500 {
		q.w.t.Errorf("%s of %s: %d %s", step, q.address, a.status, a.body)
	}
	q.w.e.MailTried(q.w.t) // or an answer says that mail is on its way, and the next that it has gone
	return a
}

// later lets the time go by after which requests and mails are admitted again.
func (q *asker) later() { q.w.e.Clock.Advance(61 * time.Second) }

func (q *asker) wrongCodes() {
	q.keep("poll", q.w.answer("challenge/poll", nil))
	q.keep("introspect", q.w.introspect())
	for range 2 {
		q.keep("a wrong code", q.w.prove("000000"))
	}
	q.keep("no code", q.w.prove(""))
	q.later()
	q.keep("resend", q.w.answer("challenge/resend", nil))
	q.keep("resend at once", q.w.answer("challenge/resend", nil))
	q.later()
	for range 4 {
		q.keep("a wrong code", q.w.prove("000000"))
	}
	q.keep("skip", q.w.answer("skip", nil))
	q.keep("a password for the code", q.w.prove(otherSecret))
}

// A question is a way to ask, and the policies under which it can be asked.
var questions = map[string]struct {
	org string
	ask func(q *asker)
}{
	"password challenge": {unlockable, func(q *asker) {
		q.keep("identify", q.w.identify(q.address))
		q.keep("choose", q.w.choose(passwordID))
		q.keep("introspect", q.w.introspect())
		q.keep("a wrong password", q.w.prove("not the password"))
		q.keep("a blank password", q.w.prove(" "))
		q.keep("a long password", q.w.prove(strings.Repeat("x", 1025)))
		q.later()
		if q.address != withPassword {
			q.keep("the right password of the others", q.w.prove(secret))
		} else {
			q.keep("the right password of the others", q.w.prove("not the password"))
		}
		q.keep("enrol", q.w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passwordID}}))
		q.keep("email", q.w.choose(emailID))
		q.keep("password", q.w.choose(passwordID))
		q.keep("recover", q.w.answer("recover", nil))
		q.keep("recover again", q.w.answer("recover", nil))
		q.later()
		q.keep("email", q.w.choose(emailID))
		q.keep("a wrong code", q.w.prove("000000"))
		q.keep("cancel", q.w.answer("cancel", nil))
	}},
	"recovery": {unlockable, func(q *asker) {
		q.keep("recover", q.w.answer("recover", nil))
		q.keep("identify", q.w.identify(q.address))
		q.keep("recover again", q.w.answer("recover", nil))
		q.keep("password", q.w.choose(passwordID))
		q.keep("email", q.w.choose(emailID))
		q.later()
		q.wrongCodes()
		q.keep("cancel", q.w.answer("cancel", nil))
	}},
	"unlock": {unlockable, func(q *asker) {
		q.keep("unlock", q.w.answer("unlock-account", nil))
		q.keep("identify", q.w.answer("challenge", map[string]any{"identifier": q.address, "authenticator": map[string]any{"id": emailID}}))
		q.later()
		q.wrongCodes()
		q.keep("cancel", q.w.answer("cancel", nil))
	}},
	"form for both": {passwordFirst, func(q *asker) {
		q.keep("the name alone", q.w.identify(q.address))
		q.keep("a wrong password", q.w.identifyBy(q.address, "not the password"))
		q.keep("a blank password", q.w.identifyBy(q.address, " "))
		q.keep("a long password", q.w.identifyBy(q.address, strings.Repeat("x", 1025)))
		if q.address != withPassword {
			q.keep("the right password of the others", q.w.identifyBy(q.address, secret))
		} else {
			q.keep("the right password of the others", q.w.identifyBy(q.address, "not the password"))
		}
		q.keep("recover", q.w.answer("recover", nil))
		q.keep("identify", q.w.identify(q.address))
		q.later()
		q.keep("email", q.w.choose(emailID))
		q.keep("a wrong code", q.w.prove("000000"))
		q.keep("cancel", q.w.answer("cancel", nil))
	}},
}

// people makes one of each kind in a folder, and pauses what can be guessed of one:
// three times ten wrong answers within the day.
func people(t *testing.T, dir string, options ...stiletest.Option) {
	t.Helper()
	t.Run("people", func(t *testing.T) {
		e := stiletest.Start(t, append(options, stiletest.Dir(dir))...)
		for _, address := range []string{withPassword, suspendedOne, pausedOne} {
			begin(t, e).withPassword(address)
		}
		begin(t, e).signedUp(withoutPassword)
		e.Suspend(t, suspendedOne)
	})
}

func pause(t *testing.T, e *stiletest.Engine, address string) {
	t.Helper()
	w := source(99).at(t, e)
	if both := w.identify(address).has("identify"); !both {
		w.choose(passwordID)
	}
	for range 3 {
		if w.introspect().has("identify") {
			w.identifyBy(address, "not the password")
		} else {
			w.prove("not the password")
		}
	}
	for round := range 3 {
		for n := range 2 {
			e.Clock.Advance(time.Minute)
			w := source(100+2*round+n).at(t, e)
			w.answer("recover", nil)
			w.identify(address)
			w.choose(emailID)
			for i := range 5 {
				w.prove(other(i, e.Code(t, address)))
			}
		}
		e.Clock.Advance(16 * time.Minute)
	}
	e.Clock.Advance(time.Hour) // for the mails; the guesses are over a day
}

// T-12: whatever is asked, and whatever there is to find: every answer is the same.
func TestSEC_T12_AUTH_A52_EveryKindLooksTheSame(t *testing.T) {
	for name, question := range questions {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			org := question.org + "\n"
			if !strings.Contains(org, "password:\n-") { // three wrong passwords pause it for ever
				org += "password:\n- {name: default, complexity: {minLength: 8}, maxAttempts: 3}\n"
			} else {
				org = strings.Replace(org, "unlock: true", "unlock: true, maxAttempts: 3", 1)
			}
			people(t, dir, stiletest.Org(org))
			e := stiletest.Start(t, stiletest.Dir(dir), stiletest.Org(org), stiletest.ProductionLimits())
			e.Clock.Stop()
			pause(t, e, pausedOne)
			answers := map[string]map[string]answer{}
			for i, address := range []string{withPassword, withoutPassword, suspendedOne, pausedOne, unknownOne} {
				q := &asker{w: source(i).at(t, e), address: address, out: map[string]answer{}}
				question.ask(q)
				answers[address] = q.out
				e.Clock.Advance(time.Hour)
			}
			for address, one := range answers {
				if address != unknownOne {
					alike(t, address+" and unknown", one, answers[unknownOne])
				}
			}
		})
	}
}

// T-12: an app that discloses tells who has an account, and no more: not whose is
// suspended, and not whose is paused.
func TestSEC_T12_WhatDisclosingTells(t *testing.T) {
	for name, question := range questions {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			options := []stiletest.Option{stiletest.Org(question.org), stiletest.Disclose()}
			people(t, dir, options...)
			e := stiletest.Start(t, append(options, stiletest.Dir(dir), stiletest.ProductionLimits())...)
			e.Clock.Stop()
			pause(t, e, pausedOne)
			answers := map[string]map[string]answer{}
			for i, address := range []string{withPassword, pausedOne, suspendedOne, unknownOne} {
				q := &asker{w: source(i).at(t, e), address: address, out: map[string]answer{}}
				q.keep("identify", q.w.identify(q.address))
				q.keep("cancel", q.w.answer("cancel", nil))
				e.Clock.Advance(61 * time.Second)
				if address == withPassword || address == pausedOne {
					q.keep("recover", q.w.answer("recover", nil))
					q.keep("identify", q.w.identify(q.address))
					q.keep("email", q.w.choose(emailID))
					q.wrongCodes()
				}
				answers[address] = q.out
				e.Clock.Advance(time.Hour)
			}
			alike(t, "open and paused", answers[withPassword], answers[pausedOne])
			alike(t, "suspended and unknown", answers[suspendedOne], answers[unknownOne])
		})
	}
}

// T-12, S-43: the same address has the same list each time, and it does not tell
// of the account: over many addresses every list is one.
func TestSEC_T12_S43_FactorLists(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(twoFactors))
	begin(t, e).withPassword(withPassword)
	lists := map[string]bool{}
	for i := range 40 {
		address := fmt.Sprintf("fresh%d@example.com", 10+i/2)
		if i%10 == 0 {
			address = withPassword
		}
		w := begin(t, e)
		if a := w.identify(address); a.status == http.StatusOK {
			lists[face(a)] = true
		} else {
			t.Fatalf("%s: %d %s", address, a.status, a.body)
		}
	}
	if len(lists) != 1 {
		t.Errorf("%d different lists", len(lists))
	}
}
