package attacks

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/stiletest"
)

// everyAction is each path that takes an answer.
var everyAction = []string{
	"identify", "identify/select", "enroll", "enroll/new", "enroll/update", "credential/enroll", "challenge", "challenge/answer",
	"challenge/resend", "challenge/poll", "skip", "recover", "unlock-account", "cancel",
}

// T-27, S-58: with the first of two factors shown, no other step of any flow, in
// this tab or another, now or after the time of repetitions, leads past the second.
func TestSEC_T27_SecondFactorIsNotSkipped(t *testing.T) {
	const address = "two@example.com"
	firsts := map[string]func(w *wire) answer{
		"code":     func(w *wire) answer { w.choose(emailID); return w.prove(w.e.Code(w.t, address)) },
		"password": func(w *wire) answer { w.choose(passwordID); return w.prove(secret) },
	}
	for name, first := range firsts {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.Org(twoFactors))
			begin(t, e).withPassword(address)
			w := begin(t, e)
			w.identify(address)
			a := first(w)
			second := *w // another tab with the same handle
			for round := range 2 {
				for _, tab := range []*wire{w, &second} {
					for _, id := range []string{emailID, passwordID, "", "aut0"} {
						for _, action := range everyAction {
							if action == "cancel" || action == "challenge" && id != "" {
								continue // those are ways on, not past
							}
							a = tab.answer(action, with(map[string]any{
								"authenticator": map[string]any{"id": id}, "credentials": map[string]any{"passcode": ""},
							}, address))
							if a.code() != "" || a.status >= 500 || a.has("select-authenticator-enroll") || a.has("reset-authenticator") {
								t.Fatalf("round %d, %s with %q: %d %s", round, action, id, a.status, a.body)
							}
						}
					}
					if a := first(tab); a.code() != "" {
						t.Fatalf("the first factor twice: %s", a.body)
					}
					if a := tab.introspect(); a.code() != "" || a.header.Get("Set-Cookie") != "" {
						t.Fatalf("introspect: %s", a.body)
					}
				}
				e.Clock.Advance(61 * time.Second)
			}
			// What was shown counts still, and the other factor ends it.
			if name == "code" {
				w.choose(passwordID)
				a = w.prove(secret)
			} else {
				w.choose(emailID)
				a = w.prove(e.Code(t, address))
			}
			if a.code() == "" {
				t.Errorf("both factors: %d %s", a.status, a.body)
			}
		})
	}
}

// T-27, S-24: an answer given once more is the same step or none: it takes a flow
// neither back nor on.
func TestSEC_T27_ReplayOfEarlierStates(t *testing.T) {
	const address = "replay@example.com"
	e := stiletest.Start(t, stiletest.Org(twoFactors))
	begin(t, e).withPassword(address)
	w := begin(t, e)
	type step struct {
		action string
		body   map[string]any
	}
	w.answer("recover", nil)
	w.identify(address)
	w.choose(emailID)
	steps := []step{
		{"recover", nil}, {"identify", map[string]any{"identifier": address}},
		{"challenge", map[string]any{"authenticator": map[string]any{"id": emailID}}},
		{"challenge/answer", passcode(e.Code(t, address))},
	}
	at := w.answer(steps[3].action, steps[3].body)
	replayAll := func(when string, steps []step) {
		t.Helper()
		for _, wait := range []time.Duration{0, 61 * time.Second} {
			e.Clock.Advance(wait)
			for _, s := range steps {
				a := w.answer(s.action, s.body)
				if a.code() != "" || a.status >= 500 {
					t.Fatalf("%s, %s again: %d %s", when, s.action, a.status, a.body)
				}
				if now := w.introspect(); cmp.Diff(at.forms(), now.forms()) != "" {
					t.Fatalf("%s, %s again led from %v to %v", when, s.action, at.forms(), now.forms())
				}
			}
		}
	}
	if !at.has("reset-authenticator") {
		t.Fatalf("the recovery is at %v", at.forms())
	}
	replayAll("at the reset", steps)
	w.answer("cancel", nil)
	at = w.introspect()
	replayAll("after cancel", steps[1:1])
	replayAll("after cancel", steps[2:])
	if !signsInTo(t, e, address, secret) {
		t.Error("the password has changed")
	}
}

// signsInTo tells whether a password is taken as the first of two factors.
func signsInTo(t *testing.T, e *stiletest.Engine, address, password string) bool {
	t.Helper()
	w := begin(t, e)
	w.identify(address)
	w.choose(passwordID)
	return w.prove(password).status == 200
}

// T-27: random requests under several policies, by somebody who knows the password
// or nothing. Nobody gets a code without all that is asked for.
func TestSEC_T27_RandomWalksUnderPolicies(t *testing.T) {
	const address = "walker@example.com"
	for name, c := range map[string]struct{ org, knows string }{
		"two factors, the password known": {twoFactors + unlockable, secret},
		"a form for both, nothing known":  {passwordFirst + unlockable, "not the password"},
		"nothing known":                   {unlockable, "not the password"},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.Org(c.org))
			begin(t, e).withPassword(address)
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			ids := []string{emailID, passwordID, ""}
			for range 25 {
				w := begin(t, e)
				var trace []string
				for range 25 {
					action := everyAction[random.IntN(len(everyAction))]
					trace = append(trace, action)
					a := w.answer(action, map[string]any{
						"identifier": address, "userProfile": profile(address)["userProfile"],
						"credentials":   map[string]any{"passcode": []string{"", c.knows, "000000"}[random.IntN(3)]},
						"authenticator": map[string]any{"id": ids[random.IntN(len(ids))]},
					})
					if a.code() != "" || a.status >= 500 && a.status != 503 || a.has("reset-authenticator") {
						t.Fatalf("seed %d, %v: %d %s", seed, trace, a.status, a.body)
					}
				}
			}
			if !signsInTo(t, e, address, secret) && !strings.Contains(c.org, "primary: password") {
				t.Error("the password has changed")
			}
		})
	}
}

// T-20: what a form does not ask for is never kept, and nobody's account but the
// person's own is touched, whatever ids a request holds.
func TestSEC_T20_RecoveryAndProfileForms(t *testing.T) {
	dir := t.TempDir()
	org := stiletest.Org(`
profile:
- name: default
  signUp: open
  attributes: [{name: team, when: sign-in}]
`)
	const mine, theirs = "mallory@example.com", "victim@example.com"
	t.Run("attack", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Dir(dir), org)
		for _, address := range []string{mine, theirs} {
			w := begin(t, e)
			w.enrolled(address)
			w.prove(e.Code(t, address))
			w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passwordID}})
			w.prove(secret)
			w.answer("skip", nil)                      // what else is optional
			e.Clock.Advance(time.Minute + time.Second) // the next Skip is no repetition of this one
			if a := w.answer("skip", nil); a.code() == "" {
				t.Fatalf("sign-up of %s: %d %s", address, a.status, a.body)
			}
		}
		e.Clock.Advance(time.Minute)
		extra := map[string]any{
			"id": "00uvictim", "userId": "00uvictim", "email": theirs, "login": theirs, "emailVerified": true, "status": "ACTIVE",
			"groups": []any{}, "role": "SUPER_ADMIN", "firstName": "Changed", "attributes": map[string]any{"role": "admin"}, "signedOutAt": "2020-01-01T00:00:00Z",
		}
		w := begin(t, e)
		w.recovering(mine)
		w.answer("challenge/answer", with(map[string]any{"credentials": map[string]any{"passcode": e.Code(t, mine), "totp": "1", "userId": "00uvictim"}}, theirs))
		if a := w.answer("challenge/answer", with(map[string]any{"credentials": map[string]any{"passcode": otherSecret, "email": theirs}}, theirs)); !a.has("profile-update") {
			t.Fatalf("the reset: %d %s", a.status, a.body)
		}
		body := map[string]any{"userProfile": map[string]any{"team": "red", "email": theirs, "role": "admin", "firstName": "Changed", "status": "ACTIVE"}}
		for k, v := range extra {
			body[k] = v
		}
		delete(body, "groups") // a list is refused as a whole, below
		a := w.answer("enroll/update", body)
		if a.code() == "" {
			t.Fatalf("the profile: %d %s", a.status, a.body)
		}
		me := w.userinfo(w.redeem(a.code(), nil).str("access_token"))
		if me.str("email") != mine || me.str("given_name") != "Vera" || strings.Contains(me.body, "admin") {
			t.Errorf("the person is %s", me.body)
		}
		in := begin(t, e)
		in.identify(mine)
		in.choose(passwordID)
		in.prove(otherSecret)
		if a := in.answer("enroll/update", map[string]any{"userProfile": map[string]any{"team": []any{"a", "b"}}}); a.status < 400 {
			t.Errorf("a list for a text: %d %s", a.status, a.body)
		}
	})
	db := rows(t, dir)
	mallory, err := db.AccountByAddress(t.Context(), mine)
	victim, verr := db.AccountByAddress(t.Context(), theirs)
	if err = errors.Join(err, verr, db.Close()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "red"}, mallory.Attributes); diff != "" || mallory.FirstName != "Vera" || len(mallory.Groups) > 0 {
		t.Errorf("what is kept of the form: %+v", mallory.User)
	}
	if len(victim.Attributes) > 0 || victim.FirstName != "Vera" || victim.Status != directory.Active || !victim.SignedOutAt.IsZero() || len(victim.Enrollments) != 2 {
		t.Errorf("the victim's account: %+v", victim.User)
	}
}

// T-03: opening the link of a recovery, an unlock or a sign-in that somebody else
// began changes nothing there, and gives the one who opens it nothing.
func TestSEC_T03_LinksOfRecovery(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(unlockable))
	const address = "victim@example.com"
	begin(t, e).withPassword(address)
	for name, open := range map[string]func(w *wire){
		"sign-in":  func(w *wire) { w.identify(address) },
		"recovery": func(w *wire) { w.recovering(address) },
		"unlock": func(w *wire) {
			w.answer("unlock-account", nil)
			w.answer("challenge", map[string]any{"identifier": address, "authenticator": map[string]any{"id": emailID}})
		},
	} {
		attacker := begin(t, e)
		open(attacker)
		before := attacker.introspect()
		victim := &jar{t: t, e: e}
		w, _ := victim.begin(nil)
		for _, accept := range []string{"text/html", "application/json", "application/ion+json; okta-version=1.0.0"} {
			w.header.Set("Accept", accept)
			for range 3 {
				if a := w.do("GET", e.Link(t, address), "", ""); a.header.Get("Set-Cookie") != "" || a.code() != "" || a.status >= 400 {
					t.Errorf("%s: the link gives %d %s %s", name, a.status, a.header.Get("Set-Cookie"), a.body)
				}
			}
		}
		for what, a := range map[string]answer{"introspect": attacker.introspect(), "poll": attacker.answer("challenge/poll", nil)} {
			if cmp.Diff(before.forms(), a.forms()) != "" || a.code() != "" {
				t.Errorf("%s: the attacker's flow moved, says %s: %s", name, what, a.body)
			}
		}
		if _, a := victim.begin(nil); a.code() != "" {
			t.Errorf("%s: the victim is signed in", name)
		}
	}
	if !signsIn(t, e, address, secret) {
		t.Error("the password has changed")
	}
}

// T-06: a recovery by a twin of the address is the account's own, and its mail goes
// where the owner has it, or it is nobody's.
func TestSEC_T06_RecoveryByTwins(t *testing.T) {
	e := stiletest.Start(t)
	const address = "victim@example.com"
	begin(t, e).withPassword(address)
	for typed, same := range map[string]bool{
		"VICTIM@EXAMPLE.COM": true, "victim@ｅｘａｍｐｌｅ.com": true, "victim@example。com": true,
		"victim+tag@example.com": false, "vic.tim@example.com": false, "victim@examp1e.com": false,
		"v\u0131ctim@example.com": false, "vi\u0441tim@example.com": false, "ｖictim@example.com": false, "victim@example.com.": false,
	} {
		have, all := len(e.Mails(t, address)), len(e.Mails(t, ""))
		w := begin(t, e)
		w.recovering(typed)
		got := len(e.Mails(t, address)) - have
		if same != (got == 1) {
			t.Errorf("%+q: %d mails to the owner", typed, got)
		}
		for _, m := range e.Mails(t, "")[:len(e.Mails(t, ""))-all] {
			if m.To != address && m.Code != "" {
				t.Errorf("%+q: a code went to %q", typed, m.To)
			}
		}
		if !same {
			for _, m := range e.Mails(t, address) { // nor is a code of the owner's good there
				if m.Code != "" {
					if a := w.prove(m.Code); a.status == 200 {
						t.Errorf("%+q: the owner's code: %d %s", typed, a.status, a.body)
					}
				}
			}
		}
	}
}
