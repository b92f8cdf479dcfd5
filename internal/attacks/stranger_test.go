package attacks

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// mine asks for something of the own account.
func (w *wire) mine(token, method, target, body string) answer {
	w.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = w.e.URL + "/idp/myaccount/" + target
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return w.send(r)
}

// idOf finds a way to sign in that somebody has; "" if they have it not.
func (w *wire) idOf(token, key string) string {
	w.t.Helper()
	list := w.mine(token, "GET", "methods", "")
	var all []struct{ ID, Key string }
	if err := json.Unmarshal([]byte(list.body), &all); err != nil {
		w.t.Fatalf("%v: %d %s", err, list.status, list.body)
	}
	for _, m := range all {
		if m.Key == key && m.ID != "" {
			return m.ID
		}
	}
	return ""
}

// managing is a transaction of an app that may change accounts.
func managing(t *testing.T, e *stiletest.Engine, enroll string) *wire {
	t.Helper()
	w := &wire{t: t, e: e, verifier: strings.Repeat("verifier", 6)}
	return w.begun(w.interact(func(v url.Values) {
		v.Set("scope", "openid okta.myAccount.profile.manage okta.myAccount.email.manage")
		if enroll != "" {
			v.Set("enroll_authenticator", enroll)
		}
	}))
}

func told(t *testing.T, e *stiletest.Engine, address, text string) (n int) {
	t.Helper()
	for _, m := range e.Mails(t, address) {
		if strings.Contains(m.Text, text) {
			n++
		}
	}
	return n
}

// A stranger scans the QR code of somebody's sign-up: their device is on the account
// then, and signs in by itself. The owner is told which device it is, and takes it away
// with the sign-in that set it up, for five minutes, required or not. Another sign-in that shows the
// mailbox alone does not, or whoever reads the mail would take away what the owner has.
func TestAUTH_A22_S56_AStrangersDeviceIsToldAndRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		late    time.Duration
		options []stiletest.Option
	}{
		"at once":            {},
		"too late":           {late: 5*time.Minute + time.Second},
		"required":           {options: []stiletest.Option{stiletest.Require("okta_verify")}},
		"required, too late": {5*time.Minute + time.Second, []stiletest.Option{stiletest.Require("okta_verify")}},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, c.options...)
			const address = "ada@example.com"
			w := managing(t, e, "")
			w.enrolled(address)
			w.prove(e.Code(t, address))
			link, _ := shown(t, w.answer("credential/enroll", phoneBy()))
			stranger := e.NewPhone(t)
			if status, body := stranger.Enroll(t, link, "Mallory's Pixel"); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			if n := told(t, e, address, "Okta Verify (Mallory's Pixel) was added"); n != 1 {
				t.Errorf("the owner is told %d times", n)
			}
			done := w.answer("challenge/poll", nil)
			if done.has("skip") {
				done = w.answer("skip", nil)
			}
			owner := w.redeem(done.code(), nil).str("access_token")
			device := w.idOf(owner, "okta_verify")
			if device == "" {
				t.Fatal("the device is not on the account")
			}

			e.Mails(t, address) // or a notice that is on its way would be newer than the code
			reader := managing(t, e, "")
			reader.identify(address)
			if c.options != nil { // what is required is on the list, whoever has it
				reader.choose(emailID)
			}
			mailbox := reader.redeem(reader.prove(e.Code(t, address)).code(), nil).str("access_token")
			if mailbox == "" {
				t.Fatal("the mailbox does not sign in")
			}
			if a := reader.mine(mailbox, "GET", "proof?remove="+device, ""); a.status != http.StatusForbidden {
				t.Errorf("S-56: another sign-in is told that it may: %d %s", a.status, a.body)
			}
			if a := reader.mine(mailbox, "DELETE", "methods/"+device, ""); a.status != http.StatusForbidden {
				t.Errorf("S-56: another sign-in by the mailbox removes it: %d %s", a.status, a.body)
			}
			// Nor does what was set up count for anything else.
			change := `{"profile":{"email":"new@example.com"},"sendEmail":false,"role":"PRIMARY"}`
			if a := w.mine(owner, "POST", "emails", change); a.status != http.StatusForbidden {
				t.Errorf("S-56: the address is changed by what was just set up: %d %s", a.status, a.body)
			}

			e.Clock.Advance(c.late)
			asked := w.mine(owner, "GET", "proof?remove="+device, "")
			a := w.mine(owner, "DELETE", "methods/"+device, "")
			if asked.status != a.status {
				t.Errorf("whether it may is answered with %d, the removal with %d", asked.status, a.status)
			}
			if c.late > 0 {
				if a.status != http.StatusForbidden {
					t.Errorf("after %v: %d %s", c.late, a.status, a.body)
				}
				return
			}
			if a.status != http.StatusNoContent {
				t.Fatalf("the owner does not get rid of it: %d %s", a.status, a.body)
			}
			if status, body := stranger.Send(t, "/device/v1/requests", nil, nil); status == http.StatusOK {
				t.Errorf("the device is good still: %s", body)
			}
			if w.idOf(owner, "okta_verify") != "" {
				t.Error("it is listed still")
			}
			if n := told(t, e, address, "Okta Verify (Mallory's Pixel) was removed"); n != 1 {
				t.Errorf("of the removal the owner is told %d times", n)
			}

			// The account has the mailbox alone by now, and whoever has stolen the token has
			// not got that: it is shown anew.
			e.Clock.Advance(time.Second)
			if a := w.mine(owner, "POST", "emails", change); a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("S-56: the address is changed by the token that removed it: %d %s", a.status, a.body)
			}
			e.Mails(t, address)
			again := managing(t, e, "")
			again.identify(address)
			if c.options != nil {
				again.choose(emailID)
			}
			done = again.prove(e.Code(t, address))
			if c.options != nil { // they set up their own
				link, _ := shown(t, again.answer("credential/enroll", phoneBy()))
				e.Phone(t, link)
				if done = again.answer("challenge/poll", nil); done.code() == "" {
					t.Errorf("their own device leads to %d %s", done.status, done.body)
				}
				return
			}
			if a := again.mine(again.redeem(done.code(), nil).str("access_token"), "POST", "emails", change); a.status != http.StatusCreated {
				t.Errorf("the owner does not change the address: %d %s", a.status, a.body)
			}
		})
	}
}

// Whoever has moved an account to an address of theirs, and goes on there at the sign-in
// page, is not the only one who hears of it: so does the address that the owner can
// still give back, and after that no more.
func TestSEC_S56_S61_NoticesGoToTheEarlierAddressToo(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("okta_password"))
	const owner, thief = "vera@example.com", "mallory@example.com"
	w := managing(t, e, "")
	w.enrolled(owner)
	w.prove(e.Code(t, owner))
	token := w.redeem(w.answer("skip", nil).code(), nil).str("access_token")
	a := w.mine(token, "POST", "emails", `{"profile":{"email":"`+thief+`"},"sendEmail":true,"role":"PRIMARY"}`)
	if a = w.mine(token, "POST", a.str("_links", "verify", "href"), `{"verificationCode":"`+e.Code(t, thief)+`"}`); a.status != http.StatusOK {
		t.Fatalf("the address: %d %s", a.status, a.body)
	}

	w = managing(t, e, "okta_password")
	w.identify(thief)
	w.prove(e.Code(t, thief))
	if a = w.addPassword(); a.code() == "" {
		t.Fatalf("the password: %d %s", a.status, a.body)
	}
	e.Mails(t, owner) // or it would be too old to be sent
	e.Clock.Advance(time.Hour)
	begin(t, e).recovered(thief, otherSecret)
	both := func(text string, want ...int) {
		t.Helper()
		for i, address := range []string{owner, thief} {
			if n := told(t, e, address, text); n != want[i] {
				t.Errorf("%s: %q %d times, want %d", address, text, n, want[i])
			}
		}
	}
	both("A password was added to your Acme SPA account", 1, 1)
	both("The password of your Acme SPA account was changed", 1, 1)
	e.Clock.Advance(7 * 24 * time.Hour)
	begin(t, e).recovered(thief, secret)
	both("The password of your Acme SPA account was changed", 1, 2)
}
