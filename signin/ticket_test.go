package signin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

const (
	welcome = "/login/welcome?activationToken="
	renew   = "/login/new-password?recoveryToken="
)

// without checks that a token is in no address after the first, and in no log.
func (b *browser) without(token string, v *view) {
	b.t.Helper()
	if strings.Contains(strings.Join(b.hops, " "), token) || strings.Contains(v.html, token) {
		b.t.Errorf("the token is still there: %v", b.hops)
	}
	if strings.Contains(b.log.text(), token) {
		b.t.Errorf("the token is in the log: %s", b.log.text())
	}
}

func TestInvitation(t *testing.T) {
	l := live(t, "")
	token := l.eng.Invite(t, "Ada", "Lovelace", ada)
	b := l.browser()
	for range 2 { // a scanner of mails, and the person
		v := b.get(welcome+token).is("welcome").says("Welcome to Acme", "You are invited.", "Continue")
		v.b.send(http.MethodHead, welcome+token, nil)
	}
	if n := len(b.cookies()); n != 0 || len(l.agents) != 0 {
		t.Errorf("UX G5: opening the page sets %d cookies and begins %d transactions", n, len(l.agents))
	}
	v := b.get(welcome + token).press("continue").is("select-authenticator").says("Email " + ada)
	b.without(token, v)
	if want := "303 /login/welcome"; b.hops[0] != want {
		t.Errorf("pressed to %q, want %q", b.hops[0], want)
	}
	b.get(welcome + token).press("continue").is("select-authenticator") // went back
	if len(l.agents) != 1 {
		t.Errorf("%d transactions for one token", len(l.agents))
	}
	v.press("skip").isApp(ada)
	b.without(token, v)

	// It is good once; who signs in from its page is known.
	v = b.get(welcome + token).is("welcome").says("You are signed in here as " + ada)
	v = v.press("continue").is("invitation-over").says("This invitation no longer works", "ask whoever invited you")
	b.without(token, v)
	if v.status != http.StatusGone {
		t.Errorf("status %d", v.status)
	}
	v.follow("Go to sign-in").is("already-signed-in")
	v = l.browser().get(welcome + token).press("continue").is("invitation-over")
	v = v.follow("Go to sign-in").is("sign-in").press("next", "identifier", ada)
	v.press("continue", "verificationCode", l.code(ada)).isApp(ada)
}

// The password is asked for where it is required, and what was begun can be begun anew.
func TestInvitation_ThatTakesLong(t *testing.T) {
	l := live(t, "", stiletest.Require("okta_password"))
	token := l.eng.Invite(t, "Ada", "Lovelace", ada)
	v := l.browser().get(welcome + token).press("continue")
	l.eng.Clock.Advance(2 * time.Hour)
	v = v.b.get(v.url.RequestURI()).is("too-old").press("restart").is("welcome")
	if strings.Contains(v.url.String(), token) {
		t.Errorf("the token is in the address again: %s", v.url)
	}
	v = v.press("continue")
	if v.page() == "select-authenticator" {
		v = v.press("submit", "authenticator", "okta_password")
	}
	page := v.is("set-password").url.RequestURI()
	v.press("continue", "password", right).is("select-authenticator").press("skip").isApp(ada)
	v.b.get(page).is("already-signed-in")

	late := l.eng.Invite(t, "Bob", "", "bob@example.com")
	l.eng.Clock.Advance(8 * 24 * time.Hour)
	l.browser().get(welcome + late).is("welcome").press("continue").is("invitation-over")
}

func TestRecoveryByOperator(t *testing.T) {
	l := live(t, "")
	l.account(ada, right)
	token := l.eng.Reset(t, ada)
	b := l.browser()
	v := b.get(renew+token).is("new-password").says("Choose a new password", "Until you save one, nothing changes.")
	if len(b.cookies()) != 0 || len(l.agents) != 0 {
		t.Error("UX G5: opening the page does something")
	}
	v = v.press("continue").is("reset-password").says("Go on without a password")
	b.without(token, v)
	v = v.press("continue", "password", "short").is("reset-password").says("at least 8 characters")
	v.press("continue", "password", fresh).isApp(ada)
	v = b.get(renew+token).press("continue").is("recovery-over").says("This link no longer works", "a code sent to your email")
	b.without(token, v)
	if v.link("Go to sign-in") != "/login/" {
		t.Error("there is no way to sign-in")
	}
	l.browser().get("/login/new-password?over=1").follow("Forgot your password?").is("recover")
	b = l.browser()
	b.begin(ada).press("instead").is("password").press("continue", "password", fresh).isApp(ada)

	first := l.eng.Reset(t, ada) // a newer one takes its place
	second := l.eng.Reset(t, ada)
	l.browser().get(renew + first).press("continue").is("recovery-over")
	l.browser().get(welcome + second).press("continue").is("invitation-over")
	l.browser().get(renew + second).press("continue").is("reset-password").press("skip").isApp(ada)
}

func TestRecoveryByOperator_WhereThereIsNoOther(t *testing.T) {
	l := live(t, noPasswords)
	l.account(ada, "")
	v := l.browser().get(renew + "tknone.x").press("continue").is("recovery-over").says("ask whoever runs Acme").saysNot("Forgot")
	v.follow("Go to sign-in").is("sign-in")
}

func TestTicket_Refused(t *testing.T) {
	l := live(t, "")
	for _, address := range []string{"/login/welcome", welcome, renew, "/login/new-password?activationToken=x", welcome + strings.Repeat("x", 513), welcome + "%0a", "/login/welcome?flow=aaaaaaaaaaaaaaaa"} {
		v := l.browser().get(address).is("error").says("This link is not complete", "Copy all of it from the mail")
		if v.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", address, v.status)
		}
	}
	v := l.browser().send(http.MethodPost, "/login/welcome", nil).is("error")
	if v.status != http.StatusBadRequest {
		t.Errorf("no token: status %d", v.status)
	}

	token := l.eng.Invite(t, "Ada", "Lovelace", ada)
	r, err := http.NewRequest(http.MethodPost, l.url+"/login/welcome", strings.NewReader("action=continue&activationToken="+token))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://elsewhere.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || len(l.agents) != 0 {
		t.Errorf("another site's form: %s, %d transactions", res.Status, len(l.agents))
	}
}

// Somebody whose engine does not answer, or asks to wait, presses the same button again.
func TestTicket_AnswersThatAreNone(t *testing.T) {
	s := newSite(t, func(o *signin.Options) { o.AppName = "Acme" })
	answer := func(status int, body string) {
		s.engine.set(func() { s.engine.answers["/v1/interact"] = reply{status: status, body: body} })
	}
	b := s.browser()
	v := b.get(welcome + "token-of-ada").is("welcome")
	answer(http.StatusServiceUnavailable, `{}`)
	v = v.press("continue").is("error").says("Sign-in is not available right now")
	again := v.follow("Try again").is("welcome")
	if strings.Contains(again.url.String(), "token-of-ada") {
		t.Errorf("the token is in the address again: %s", again.url)
	}
	answer(http.StatusTooManyRequests, `{"errorCode":"E0000047"}`)
	if v = again.press("continue").is("welcome").says("That was too often."); v.status != http.StatusTooManyRequests {
		t.Errorf("status %d", v.status)
	}
	s.clock.Advance(2 * time.Minute)
	answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"redirect_uri is not registered"}`)
	v.press("continue").is("error").says("This app is not set up correctly")
	answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"The activation token is invalid"}`)
	v.press("continue").is("invitation-over")
	if strings.Contains(s.log.text(), "token-of-ada") {
		t.Errorf("the token is in the log: %s", s.log.text())
	}
}
