package signin_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/stiletest"
)

// keyed makes an account that has a key.
func (l *real) keyed(address string, d *webauthntest.Device) {
	l.t.Helper()
	ctx, c := l.t.Context(), l.eng.Client
	tx, err := c.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: address})
	for _, in := range []func() idx.Input{
		func() idx.Input { return idx.Input{VerificationCode: l.eng.Code(l.t, address)} },
		func() idx.Input { return idx.Input{Authenticator: "webauthn"} },
		func() idx.Input {
			made := idx.Input{Values: map[string]any{}}
			for name, value := range d.Create(tx.NextStep.Authenticator.Context) {
				made.Values[name] = value
			}
			return made
		},
	} {
		if err == nil {
			tx, err = c.Proceed(ctx, tx, in())
		}
	}
	if err != nil || len(d.Keys) != 1 {
		l.t.Fatalf("account %s: %v", address, err)
	}
}

// A page of passkeys begins one flow for all the questions of its script, and none
// for whoever only fetches it.
func TestSEC_S28_PasskeyPagesBeginOneFlow(t *testing.T) {
	l := live(t, "", stiletest.Offer("webauthn"))
	b := l.browser()
	b.get("/login/").is("sign-in")
	begun := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.agents)
	}
	before := begun() // that of the form's own fields, which is asked for once for everybody
	for range 3 {
		b.get("/login/").is("sign-in")
	}
	if n := begun() - before; n != 0 {
		t.Fatalf("showing the page began %d flows", n)
	}
	hidden := regexp.MustCompile(`name="flow" value="([a-z2-7]+)"`)
	shown := func() string {
		return hidden.FindStringSubmatch(b.get("/login/").is("sign-in").html)[1]
	}
	page := shown()
	question := func() map[string]any {
		t.Helper()
		var options map[string]any
		v := b.send("POST", "/login/passkey/options", url.Values{"flow": {page}})
		if err := json.Unmarshal([]byte(v.html), &options); err != nil || v.status != 200 {
			t.Fatalf("%v: %d %s", b.hops, v.status, v.text())
		}
		return options
	}
	challenges := map[any]bool{}
	for range 2 {
		challenges[question()["challenge"]] = true
		l.eng.Clock.Advance(31 * time.Second) // what is offered is not asked for again yet
	}
	if n := begun() - before; n != 1 || len(challenges) != 2 {
		t.Fatalf("%d questions began %d flows", len(challenges), n)
	}

	// The newest is answered, once; whoever comes back to the page is asked in a flow of its own.
	d := &webauthntest.Device{Origin: l.url, Verifies: true}
	l.keyed("ada@example.com", d)
	page = shown()
	last := question()
	answer := url.Values{"flow": {page}, "action": {"passkey"}}
	for name, value := range d.Get(map[string]any{"challengeData": last}, d.Keys[0]) {
		answer.Set(name, value)
	}
	if v := b.send("POST", "/login/passkey", answer); v.status != 200 {
		t.Fatalf("%v: %d %s", b.hops, v.status, v.text())
	}
	before = begun()
	if question(); begun()-before != 1 {
		t.Errorf("%d flows were begun for the next question", begun()-before)
	}
}
