package attacks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
)

// anyFactor lets people have, beside the mailbox and a password, whatever there is that needs no text.
const anyFactor = `
enrollment:
  - name: default
    authenticators: [{key: okta_email, need: required}, {key: okta_password, need: optional}, {key: webauthn, need: optional},
      {key: okta_verify, need: optional}, {key: google_otp, need: optional}, {key: security_question, need: optional},
      {key: recovery_code, need: optional}, {key: custom_otp, need: optional}, {key: tac, need: optional}]
`

const (
	verifyID   = "aut1oktaverify000000"
	appID      = "aut1googleotp000000"
	questionID = "aut1question0000000"
	tokenID    = "aut1customotp000000"
)

// A held is what somebody has beside the mailbox and the password: how it answers,
// wrongly and rightly, where a recovery asks for it.
type held struct{ wrong, right func(w *wire) answer }

func answering(body func() map[string]any) func(w *wire) answer {
	return func(w *wire) answer { w.t.Helper(); return w.answer("challenge/answer", body()) }
}

// setsUp chooses one of the list of a sign-up.
func (w *wire) setsUp(id string) answer {
	w.t.Helper()
	return w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": id}})
}

// factors are the ids of the ways to go on that a sign-in lists.
func (a answer) factors() (ids []string) {
	at := slices.Index(a.forms(), "select-authenticator-authenticate")
	if at < 0 {
		return nil
	}
	options, _ := a.at("remediation", "value", at, "value", 0, "options").([]any)
	for i := range options {
		ids = append(ids, a.str("remediation", "value", at, "value", 0, "options", i, "value", "form", "value", 0, "value"))
	}
	return ids
}

// besides are the ways to sign in that can be what a person has beside a password.
// With early they are set up at sign-up; else an operator hands them out, later.
var besides = []struct {
	name, id string
	early    func(w *wire) held
	later    func(e *stiletest.Engine, t *testing.T, address string) held
}{
	{name: "passkey", id: passkeyID, early: func(w *wire) held {
		d := newDevice()
		w.answer("challenge/answer", posted(d.Create(w.setsUp(passkeyID).context())))
		signed := func(w *wire) map[string]string { return d.Get(w.introspect().context(), d.Keys[0]) }
		return held{
			wrong: func(w *wire) answer {
				forged := signed(w)
				forged["signatureData"] = raw64.EncodeToString([]byte("forged"))
				return w.answer("challenge/answer", posted(forged))
			},
			right: func(w *wire) answer { return w.answer("challenge/answer", posted(signed(w))) },
		}
	}},
	{name: "Okta Verify, push", id: verifyID, early: func(w *wire) held {
		link, _ := shown(w.t.(*testing.T), w.setsUp(verifyID))
		p := w.e.Phone(w.t, link)
		w.answer("challenge/poll", nil)
		asked := func(w *wire, right bool) answer {
			w.t.Helper()
			_, number := shown(w.t.(*testing.T), w.answer("challenge", phoneBy("methodType", "push")))
			list := p.Requests(w.t)
			if len(list) != 1 || list[0].Purpose != "recovery" || !slices.Contains(list[0].Numbers, number) {
				w.t.Fatalf("the browser shows %q, the phone is asked %+v", number, list)
			}
			want := "approved"
			if !right {
				number, want = list[0].Numbers[(slices.Index(list[0].Numbers, number)+1)%3], "wrong"
			}
			if got := p.Approve(w.t, list[0], number); got != want {
				w.t.Fatalf("the phone's answer is %s", got)
			}
			return w.answer("challenge/poll", nil)
		}
		return held{
			wrong: func(w *wire) answer { return asked(w, false) },
			right: func(w *wire) answer { return asked(w, true) },
		}
	}},
	{name: "Okta Verify, code", id: verifyID, early: func(w *wire) held {
		link, _ := shown(w.t.(*testing.T), w.setsUp(verifyID))
		p := w.e.Phone(w.t, link)
		w.answer("challenge/poll", nil)
		code := func(w *wire, code string) answer {
			w.t.Helper()
			w.answer("challenge", phoneBy("methodType", "totp"))
			return w.answer("challenge/answer", map[string]any{"credentials": map[string]any{"totp": code}})
		}
		return held{
			wrong: func(w *wire) answer {
				return code(w, other(1, p.Code(-30*time.Second), p.Code(0), p.Code(30*time.Second)))
			},
			right: func(w *wire) answer { return code(w, p.Code(0)) },
		}
	}},
	{name: "authenticator app", id: appID, early: func(w *wire) held {
		text, _ := w.setsUp(appID).context()["sharedSecret"].(string)
		s, err := oath.ParseSecret(text)
		if err != nil {
			w.t.Fatal(err)
		}
		at := func() int64 { return oath.StepOf(w.e.Clock.Now()) }
		w.prove(s.Code(at()))
		return held{
			wrong: answering(func() map[string]any { return passcode(other(1, s.Code(at()-1), s.Code(at()), s.Code(at()+1))) }),
			right: answering(func() map[string]any { return passcode(s.Code(at())) }),
		}
	}},
	{name: "security question", id: questionID, early: func(w *wire) held {
		says := func(answer string) map[string]any {
			return map[string]any{"credentials": map[string]any{"questionKey": "disliked_food", "answer": answer}}
		}
		w.setsUp(questionID)
		w.answer("challenge/answer", says("Okta"))
		return held{
			wrong: answering(func() map[string]any { return says("Kale") }),
			right: answering(func() map[string]any { return says("okta") }),
		}
	}},
	{name: "recovery code", id: codesID, early: func(w *wire) held {
		codes, _ := w.keeps()
		return held{
			wrong: answering(func() map[string]any { return passcode(strings.Repeat("0", len(codes[0]))) }),
			right: answering(func() map[string]any { return passcode(codes[6]) }),
		}
	}},
	{name: "token", id: tokenID, later: func(e *stiletest.Engine, t *testing.T, address string) held {
		s := oath.NewSecret()
		e.Token(t, address, s.String())
		return held{
			wrong: answering(func() map[string]any { return passcode(other(1, s.Code(0), s.Code(1), s.Code(2))) }),
			right: answering(func() map[string]any { return passcode(s.Code(0)) }),
		}
	}},
	{name: "access code", id: tacID, later: func(e *stiletest.Engine, t *testing.T, address string) held {
		code := e.AccessCode(t, address)
		return held{
			wrong: answering(func() map[string]any { return passcode("0000-0000-0000-0000") }),
			right: answering(func() map[string]any { return passcode(code) }),
		}
	}},
}

// Whatever somebody has beside the mailbox and the password, a recovery asks for it:
// the mailbox alone replaces nothing, neither does a wrong answer, and the right one does.
func TestSEC_S59_T28_RecoveryAsksForWhateverTheyHave(t *testing.T) {
	const address = "vera@example.com"
	for _, c := range besides {
		t.Run(c.name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.Org(anyFactor), stiletest.ProductionLimits())
			w := begin(t, e)
			w.enrolled(address)
			w.prove(e.Code(t, address))
			w.addPassword()
			var have held
			if c.early != nil {
				have = c.early(w)
			}
			if a := w.answer("skip", nil); a.code() == "" {
				t.Fatalf("the sign-up: %d %s", a.status, a.body)
			}
			if c.later != nil {
				have = c.later(e, t, address)
			}
			e.Clock.Advance(time.Hour / 2)

			w = begin(t, e)
			w.recovering(address)
			if a := w.choose(c.id); a.status < 400 || a.status >= 500 {
				t.Fatalf("it is taken in the mailbox's place: %d %s", a.status, a.body)
			}
			mailed := e.Code(t, address)
			a := w.prove(mailed)
			inHand := a.has("challenge-authenticator") || a.has("authenticator-verification-data")
			if left := a.factors(); a.has("reset-authenticator") || !inHand || !slices.Equal(left, []string{c.id}) {
				t.Fatalf("after the mailbox: %v, the list has %v: %s", a.forms(), left, a.body)
			}
			alone := func(when string) {
				t.Helper()
				for name, a := range map[string]answer{
					"a new password": w.prove(otherSecret), "the mailed code again": w.prove(mailed),
					"the forgotten password": w.choose(passwordID), "the mailbox": w.choose(emailID), "skip": w.answer("skip", nil),
				} {
					if a.has("reset-authenticator") || a.code() != "" || a.status == 429 || a.status >= 500 {
						t.Errorf("%s, %s: %d %s", when, name, a.status, a.body)
					}
				}
			}
			e.Clock.Advance(6 * time.Second) // a handle has ten requests in five
			alone("with the mailbox alone")
			e.Clock.Advance(time.Minute) // a handle has few requests in five seconds
			if a = w.choose(c.id); a.status != 200 || a.has("reset-authenticator") {
				t.Fatalf("it is not asked for: %d %s", a.status, a.body)
			}
			if a = have.wrong(w); a.status < 400 || a.status >= 500 || a.has("reset-authenticator") {
				t.Fatalf("a wrong answer: %d %s", a.status, a.body)
			}
			alone("after a wrong answer")
			if signsIn(t, e, address, otherSecret) || !signsIn(t, e, address, secret) {
				t.Fatal("the password has changed")
			}
			e.Clock.Advance(time.Minute)
			if a = have.right(w); !slices.Contains(a.forms(), "reset-authenticator") {
				t.Fatalf("the right answer: %d %s", a.status, a.body)
			}
			if a = w.prove(otherSecret); a.code() == "" {
				t.Fatalf("the new password: %d %s", a.status, a.body)
			}
			if signsIn(t, e, address, secret) || !signsIn(t, e, address, otherSecret) {
				t.Error("the password is not the new one")
			}
		})
	}
}
