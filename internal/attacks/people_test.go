package attacks

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

const (
	emailID    = "aut1email0000000000"
	passwordID = "aut1password0000000"

	secret      = "seven pale lanterns 41"
	otherSecret = "nine quiet harbours 73"
)

// A place is where somebody sits: what the app's server tells of them.
type place struct{ ip, device string }

// at begins a transaction of somebody at a place, by the confidential app that
// proves its secret.
func (p place) at(t testing.TB, e *stiletest.Engine) *wire {
	t.Helper()
	w := p.wire(t, e)
	return w.begun(w.interact(nil))
}

func (p place) wire(t testing.TB, e *stiletest.Engine) *wire {
	t.Helper()
	h := http.Header{"X-Forwarded-For": {p.ip}}
	if p.device != "" {
		h.Set("X-Device-Token", p.device)
	}
	return &wire{
		t: t, e: e, verifier: "a-verifier-of-forty-three-characters-or-more", header: h,
		app: url.Values{"client_id": {e.ClientID}, "client_secret": {e.ClientSecret}},
	}
}

func (w *wire) identify(address string) answer {
	w.t.Helper()
	return w.answer("identify", map[string]any{"identifier": address})
}

// identifyBy posts the form that asks for both.
func (w *wire) identifyBy(address, password string) answer {
	w.t.Helper()
	return w.answer("identify", map[string]any{"identifier": address, "credentials": map[string]any{"passcode": password}})
}

func (w *wire) choose(id string) answer {
	w.t.Helper()
	return w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": id}})
}

func (w *wire) prove(passcodeTyped string) answer {
	w.t.Helper()
	return w.answer("challenge/answer", passcode(passcodeTyped))
}

// withPassword walks a sign-up with a password to its interaction code, and lets
// the time go by after which another mail may be sent.
func (w *wire) withPassword(address string) answer {
	w.t.Helper()
	w.enrolled(address)
	a := w.prove(w.e.Code(w.t, address))
	if a.has("select-authenticator-enroll") {
		w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passwordID}})
	}
	a = w.prove(secret)
	if a.has("skip") { // what is optional is left
		a = w.answer("skip", nil)
	}
	if a.code() == "" {
		w.t.Fatalf("sign-up of %s with a password: %d %s", address, a.status, a.body)
	}
	w.e.Clock.Advance(31 * time.Second)
	return a
}

// recovering walks a recovery up to the code.
func (w *wire) recovering(address string) answer {
	w.t.Helper()
	w.answer("recover", nil)
	w.identify(address)
	return w.choose(emailID)
}

// recovered walks a recovery to its interaction code.
func (w *wire) recovered(address, password string) answer {
	w.t.Helper()
	w.recovering(address)
	w.prove(w.e.Code(w.t, address))
	a := w.prove(password)
	if a.code() == "" {
		w.t.Fatalf("recovery of %s: %d %s", address, a.status, a.body)
	}
	return a
}

func (w *wire) refresh(token string) answer {
	w.t.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {w.e.PublicClientID}}
	for k, values := range w.app {
		v[k] = values
	}
	return w.form(w.e.Issuer+"/v1/token", v)
}

// wrongPassword is how the challenge and the form that asks for both refuse.
func (a answer) wrongPassword() bool {
	if a.status != 401 {
		return false
	}
	for _, k := range a.keys() {
		if k == "incorrectPassword" || k == "errors.E0000004" {
			return true
		}
	}
	return false
}

// passwordFirst asks for user name and password on one form.
const passwordFirst = `
session:
- {name: default, primary: password}
`

// twoFactors asks everybody for two kinds of evidence.
const twoFactors = `
access:
- name: default
  rules: [{name: default, factors: 2}]
`

const unlockable = `
password:
- {name: default, complexity: {minLength: 8}, unlock: true}
`
