package attacks

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// signsIn tells whether a password signs an address in, in one flow of its own.
func signsIn(t *testing.T, e *stiletest.Engine, address, password string) bool {
	t.Helper()
	w := begin(t, e)
	w.identify(address)
	w.choose(passwordID)
	a := w.prove(password)
	if !a.wrongPassword() && a.status != 200 {
		t.Fatalf("%s with a password: %d %s", address, a.status, a.body)
	}
	return a.status == 200
}

// T-28, S-60: before proof nothing about the account changes, and no step of a
// recovery is taken before its turn.
func TestSEC_T28_NothingBeforeProof(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(unlockable))
	const address = "victim@example.com"
	owner := begin(t, e)
	tokens := owner.redeem(owner.withPassword(address).code(), nil)
	have := len(e.Mails(t, address))

	w := begin(t, e)
	early := func(when string) {
		t.Helper()
		for _, action := range []string{"skip", "credential/enroll", "enroll/update", "enroll/new"} {
			a := w.answer(action, map[string]any{
				"authenticator": map[string]any{"id": passwordID}, "userProfile": profile(address)["userProfile"],
				"credentials": map[string]any{"passcode": otherSecret}, "identifier": address,
			})
			if a.status < 400 || a.status >= 500 || a.code() != "" {
				t.Errorf("%s, %s: %d %s", when, action, a.status, a.body)
			}
		}
		if a := w.prove(otherSecret); a.status < 400 || a.status >= 500 {
			t.Errorf("%s, a new password: %d %s", when, a.status, a.body)
		}
		a := w.choose(passwordID)
		if a.status < 400 || a.has("reset-authenticator") {
			t.Errorf("%s, the password as the way to prove: %d %s", when, a.status, a.body)
		}
	}
	w.answer("recover", nil)
	early("nobody named")
	w.identify(address)
	early("named")
	w.answer("recover", nil)
	w.choose(emailID)
	early("asked for the code")
	if n := len(e.Mails(t, address)) - have; n != 1 {
		t.Errorf("%d mails of a recovery that was not proven, want the code alone", n)
	}
	if !signsIn(t, e, address, secret) || signsIn(t, e, address, otherSecret) {
		t.Error("the password has changed")
	}
	if a := owner.refresh(tokens.str("refresh_token")); a.status != 200 {
		t.Errorf("the owner is signed out: %d %s", a.status, a.body)
	}
}

// T-28, S-60: the proof of one person's mailbox resets nobody else's password,
// however the flow is led about.
func TestSEC_T28_ResetsNobodyElse(t *testing.T) {
	const mine, theirs = "mallory@example.com", "victim@example.com"
	swaps := map[string]func(w *wire, code string){
		"named in the answer": func(w *wire, code string) {
			w.answer("challenge/answer", with(passcode(code), theirs))
			w.answer("challenge/answer", with(passcode(otherSecret), theirs))
		},
		"named between the steps": func(w *wire, code string) {
			w.prove(code)
			for _, action := range []string{"identify", "recover", "identify/select", "unlock-account", "challenge", "enroll/new"} {
				w.answer(action, with(map[string]any{}, theirs))
			}
			w.prove(otherSecret)
		},
		"begun anew after the code was sent": func(w *wire, code string) {
			w.answer("cancel", nil)
			w.recovering(theirs)
			w.prove(code)
			w.prove(otherSecret)
		},
		"begun anew after the proof": func(w *wire, code string) {
			w.prove(code)
			w.answer("cancel", nil)
			w.recovering(theirs)
			w.prove(code)
			w.prove(otherSecret)
		},
		"back to the first form after the proof": func(w *wire, code string) {
			w.prove(code)
			w.answer("identify/select", nil)
			w.answer("recover", nil)
			w.identify(theirs)
			w.choose(emailID)
			w.prove(otherSecret)
		},
		"another flow's code": func(w *wire, code string) {
			v := begin(w.t, w.e)
			v.recovering(theirs)
			v.prove(code)
			v.prove(otherSecret)
		},
	}
	for name, swap := range swaps {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t)
			begin(t, e).withPassword(mine)
			begin(t, e).withPassword(theirs)
			w := begin(t, e)
			w.recovering(mine)
			swap(w, e.Code(t, mine))
			if !signsIn(t, e, theirs, secret) || signsIn(t, e, theirs, otherSecret) {
				t.Error("the victim's password is another's now")
			}
			for _, m := range e.Mails(t, theirs) {
				if m.Code == "" && strings.Contains(strings.ToLower(m.Subject), "password was changed") {
					t.Errorf("the victim is told of a change: %q", m.Subject)
				}
			}
		})
	}
}

// with adds everything by which a request could name somebody.
func with(body map[string]any, address string) map[string]any {
	out := map[string]any{
		"identifier": address, "userId": "00uvictim", "user": map[string]any{"id": "00uvictim", "identifier": address}, "username": address,
		"authenticator": map[string]any{"id": emailID, "methodType": "email", "enrollmentId": "eaevictim"},
		"userProfile":   profile(address)["userProfile"],
	}
	for k, v := range body {
		out[k] = v
	}
	return out
}

// T-28, S-07: a proof is good for what it was asked for: a code of a sign-in
// recovers nothing, one of a recovery does not sign in past the reset.
func TestSEC_T28_CodesOfOtherPurposes(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(unlockable))
	const address = "victim@example.com"
	begin(t, e).withPassword(address)
	codes := map[string]string{}
	flows := map[string]*wire{}
	for name, open := range map[string]func(w *wire){
		"sign-in": func(w *wire) { w.identify(address) }, "sign-up": func(w *wire) { w.enrolled(address) },
		"recovery": func(w *wire) { w.recovering(address) },
		"unlock": func(w *wire) {
			w.answer("unlock-account", nil)
			w.answer("challenge", map[string]any{"identifier": address, "authenticator": map[string]any{"id": emailID}})
		},
	} {
		w := begin(t, e)
		open(w)
		flows[name], codes[name] = w, e.Code(t, address)
	}
	for name, w := range flows {
		for of, code := range codes {
			if of == name || code == codes[name] {
				continue
			}
			if a := w.prove(code); !a.wrong() {
				t.Errorf("a code of the %s at the %s: %d %s", of, name, a.status, a.body)
			}
		}
	}
	// In one and the same flow too: the code of its sign-in is none of its recovery.
	w := begin(t, e)
	w.identify(address)
	old := e.Code(t, address)
	w.choose(passwordID)
	w.answer("recover", nil)
	w.choose(emailID)
	if now := e.Code(t, address); now != old {
		if a := w.prove(old); !a.wrong() {
			t.Errorf("the code of the sign-in proves the recovery: %d %s", a.status, a.body)
		}
	}
	a := flows["recovery"].prove(codes["recovery"])
	if a.code() != "" || !a.has("reset-authenticator") {
		t.Errorf("the recovery's own code: %d %s", a.status, a.body)
	}
}

// T-28, S-59: where two factors are asked for, a recovery leads to no less; and
// where it is not to sign in, it does not.
func TestSEC_T28_RecoveryLowersNothing(t *testing.T) {
	const address = "victim@example.com"
	t.Run("two factors", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Org(twoFactors))
		begin(t, e).withPassword(address)
		w := begin(t, e)
		w.recovering(address)
		w.prove(e.Code(t, address))
		if a := w.answer("skip", nil); a.code() != "" {
			t.Errorf("without a password, by the mailbox alone: %s", a.body)
		}
		for _, a := range []answer{w.answer("skip", nil), w.introspect(), w.answer("recover", nil), w.choose(emailID)} {
			if a.code() != "" || a.status >= 500 {
				t.Errorf("by the mailbox alone: %d %s", a.status, a.body)
			}
		}
	})
	t.Run("a required password", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Require("okta_password"))
		begin(t, e).withPassword(address)
		w := begin(t, e)
		w.recovering(address)
		w.prove(e.Code(t, address))
		for range 2 {
			if a := w.answer("skip", nil); a.status < 400 || a.code() != "" {
				t.Errorf("skip: %d %s", a.status, a.body)
			}
			e.Clock.Advance(61 * time.Second)
		}
		if !signsIn(t, e, address, secret) {
			t.Error("the password is gone")
		}
	})
	t.Run("no sign-in", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Org("password:\n- {name: default, complexity: {minLength: 8}, noSignIn: true}\n"))
		begin(t, e).withPassword(address)
		w := begin(t, e)
		w.recovering(address)
		w.prove(e.Code(t, address))
		if a := w.prove(otherSecret); a.code() != "" || len(a.forms()) > 0 {
			t.Errorf("the new password: %d %s", a.status, a.body)
		}
		assertTerminal(t, w)
		if !signsIn(t, e, address, otherSecret) {
			t.Error("the new password does not sign in")
		}
	})
}

// T-28: of two recoveries that are under way at once the later has the last word,
// and the flow of the earlier is over.
func TestSEC_T28_TwoRecoveriesAtOnce(t *testing.T) {
	e := stiletest.Start(t)
	const address = "victim@example.com"
	begin(t, e).withPassword(address)
	first, second := begin(t, e), begin(t, e)
	first.recovering(address)
	first.prove(e.Code(t, address)) // whoever read the mail once
	e.Clock.Advance(time.Minute)
	second.recovered(address, otherSecret)
	if a := first.prove("one more for the attacker"); a.status != 401 {
		t.Errorf("the earlier recovery goes on: %d %s", a.status, a.body)
	}
	if !signsIn(t, e, address, otherSecret) {
		t.Error("the owner's new password is not in force")
	}
}
