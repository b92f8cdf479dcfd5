package attacks

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// A jar is a browser that may hold a session at the engine.
type jar struct {
	t      *testing.T
	e      *stiletest.Engine
	cookie string // value of the session's cookie
}

// begin starts a transaction in the browser and takes the cookie of what it shows.
func (j *jar) begin(change func(url.Values)) (*wire, answer) {
	j.t.Helper()
	w := &wire{t: j.t, e: j.e, verifier: strings.Repeat("verifier", 6), header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	if j.cookie != "" {
		w.header.Set("Cookie", "stile="+j.cookie)
	}
	w.begun(w.interact(change))
	a := w.introspect()
	j.take(w, a)
	return w, a
}

// take keeps the cookie that came with an answer, and sends it from then on.
func (j *jar) take(w *wire, a answer) answer {
	j.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "stile" {
			j.cookie = c.Value
			w.header.Set("Cookie", "stile="+c.Value)
		}
	}
	return a
}

// signIn proves the address from the first form.
func (j *jar) signIn(w *wire, address string) answer {
	j.t.Helper()
	w.identify(address)
	a := j.take(w, w.prove(j.e.Code(j.t, address)))
	if a.code() == "" {
		j.t.Fatalf("sign-in of %s: %d %s", address, a.status, a.body)
	}
	return a
}

func (w *wire) sub(code string) string {
	w.t.Helper()
	return w.userinfo(w.redeem(code, nil).str("access_token")).str("email")
}

// T-04, S-64: the attacker's session in the victim's browser does not survive the
// victim's own sign-in, by whatever way they come to it.
func TestSEC_T04_S64_PlantedSession(t *testing.T) {
	for name, own := range map[string]func(j *jar) (*wire, answer){
		"after cancel": func(j *jar) (*wire, answer) {
			w, a := j.begin(nil)
			if a.code() == "" {
				j.t.Fatalf("the planted session does not sign in: %s", a.body)
			}
			w.answer("cancel", nil)
			return w, j.signIn(w, "victim@example.com")
		},
		"where the app wants them to prove themselves": func(j *jar) (*wire, answer) {
			w, _ := j.begin(func(v url.Values) { v.Set("max_age", "0") })
			return w, j.signIn(w, "victim@example.com")
		},
		"planted in the middle": func(j *jar) (*wire, answer) {
			planted := j.cookie
			j.cookie = ""
			w, _ := j.begin(nil)
			w.header.Set("Cookie", "stile="+planted)
			return w, j.signIn(w, "victim@example.com")
		},
		"by sign-up": func(j *jar) (*wire, answer) {
			w, _ := j.begin(func(v url.Values) { v.Set("max_age", "0") })
			w.enrolled("fresh@example.com")
			j.take(w, w.prove(j.e.Code(j.t, "fresh@example.com")))
			return w, j.take(w, w.answer("skip", nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t)
			begin(t, e).signedUp("victim@example.com")
			begin(t, e).signedUp("mallory@example.com")
			attacker := &jar{t: t, e: e}
			w, _ := attacker.begin(nil)
			attacker.signIn(w, "mallory@example.com")
			planted := attacker.cookie
			if planted == "" {
				t.Fatal("the attacker has no session to plant")
			}
			victim := &jar{t: t, e: e, cookie: planted}
			w, a := own(victim)
			if who := w.sub(a.code()); who == "mallory@example.com" || who == "" {
				t.Fatalf("the victim is signed in as %q", who)
			}
			if victim.cookie == planted || victim.cookie == "" {
				t.Error("the victim's browser still holds the planted session")
			}
			w, a = victim.begin(nil)
			if who := w.sub(a.code()); who == "mallory@example.com" || who == "" {
				t.Errorf("the next sign-in of the victim's browser is of %q", who)
			}
			if _, a := attacker.begin(nil); a.code() != "" {
				t.Error("the session that was in the victim's browser lives on")
			}
		})
	}
}

// T-04: what is not a session's cookie to the byte is none, and another site gets none.
func TestSEC_T04_S63_ForgedSessions(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp("victim@example.com")
	victim := &jar{t: t, e: e}
	w, _ := victim.begin(nil)
	done := victim.signIn(w, "victim@example.com")
	genuine := victim.cookie
	for i := range genuine {
		c := byte('A')
		if genuine[i] == c {
			c = 'B'
		}
		for _, forged := range []string{genuine[:i] + string(c) + genuine[i+1:], genuine[:i]} {
			if _, a := (&jar{t: t, e: e, cookie: forged}).begin(nil); a.code() != "" {
				t.Errorf("the cookie changed at %d signs in", i)
			}
		}
	}
	for _, other := range []string{w.state, w.interaction, done.code(), genuine + "A", "sid." + w.state} {
		if _, a := (&jar{t: t, e: e, cookie: other}).begin(nil); a.code() != "" {
			t.Errorf("%.12q signs in as a session", other)
		}
	}
	for _, site := range []string{"", "cross-site", "none"} {
		foreign := &wire{t: t, e: e, verifier: strings.Repeat("verifier", 6), header: http.Header{"Cookie": {"stile=" + genuine}}}
		if site != "" {
			foreign.header.Set("Sec-Fetch-Site", site)
		}
		foreign.begun(foreign.interact(nil))
		a := foreign.introspect()
		if a.code() != "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("a request from %q is signed in by the cookie", site)
		}
		foreign.identify("victim@example.com")
		if a := foreign.prove(e.Code(t, "victim@example.com")); a.header.Get("Set-Cookie") != "" {
			t.Errorf("a request from %q gets a session: %s", site, a.header.Get("Set-Cookie"))
		}
	}
	if _, a := (&jar{t: t, e: e, cookie: genuine}).begin(nil); a.code() == "" {
		t.Error("the genuine cookie does not sign in any more")
	}
}

// T-05, T-30, S-32: what somebody had before the owner recovered the account is of
// no use after: sessions, refresh tokens, and flows that were nearly through.
func TestSEC_T05_T30_NothingSurvivesRecovery(t *testing.T) {
	const address = "taken@example.com"
	for name, recover := range map[string]func(w *wire){
		"with a new password": func(w *wire) { w.recovered(address, otherSecret) },
		"without a password": func(w *wire) {
			w.recovering(address)
			w.prove(w.e.Code(w.t, address))
			if a := w.answer("skip", nil); a.code() == "" {
				w.t.Fatalf("%d %s", a.status, a.body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t)
			begin(t, e).withPassword(address)
			// The attacker knows the password.
			attacker := &jar{t: t, e: e}
			password := func() (*wire, answer) {
				w, _ := attacker.begin(func(v url.Values) { v.Set("max_age", "0") })
				w.identify(address)
				w.choose(passwordID)
				return w, attacker.take(w, w.prove(secret))
			}
			w, a := password()
			tokens := w.redeem(a.code(), nil)
			if tokens.status != 200 || tokens.str("refresh_token") == "" {
				t.Fatalf("the attacker's tokens: %d %s", tokens.status, tokens.body)
			}
			waiting, held := password() // through, and not redeemed
			silent, by := attacker.begin(nil)
			if by.code() == "" {
				t.Fatalf("the attacker has no session: %s", by.body)
			}

			owner := begin(t, e)
			recover(owner)
			e.Clock.Advance(time.Second)

			if a := w.userinfo(tokens.str("access_token")); a.status != 401 {
				t.Errorf("the old access token: %d %s", a.status, a.body)
			}
			if a := w.refresh(tokens.str("refresh_token")); a.status != 400 {
				t.Errorf("the old refresh token: %d %s", a.status, a.body)
			}
			for what, c := range map[string]string{"by the old password": held.code(), "by the old session": by.code()} {
				flow := waiting
				if what == "by the old session" {
					flow = silent
				}
				if a := flow.redeem(c, nil); a.status != 400 || a.str("error") != "invalid_grant" {
					t.Errorf("a code got %s: %d %s", what, a.status, a.body)
				}
			}
			for what, flow := range map[string]*wire{"proven by the old password": waiting, "begun by the old session": silent} {
				if a := flow.introspect(); a.code() != "" || a.status != 401 {
					t.Errorf("a flow %s: %d %s", what, a.status, a.body)
				}
				if a := flow.answer("cancel", nil); a.status != 401 {
					t.Errorf("a flow %s, cancelled: %d %s", what, a.status, a.body)
				}
			}
			if _, a := attacker.begin(nil); a.code() != "" {
				t.Error("the old session signs in")
			}
			if _, a := password(); a.code() != "" {
				t.Error("the old password signs in")
			}
			if code := owner.introspect().code(); owner.redeem(code, nil).status != 200 {
				t.Error("the owner's own flow is over too")
			}
		})
	}
}

// T-05, S-33: a factor that somebody chose for the account before they had proven
// anything is none, before the owner recovers it and after.
func TestSEC_T05_TrojanFactor(t *testing.T) {
	e := stiletest.Start(t)
	const address = "owner@example.com"
	begin(t, e).withPassword(address)
	doors := map[string]*wire{"sign-up": begin(t, e), "sign-in": begin(t, e), "recovery": begin(t, e)}
	doors["sign-up"].enrolled(address)
	doors["sign-in"].identify(address)
	doors["recovery"].recovering(address)
	plant := func(when string) {
		t.Helper()
		for name, w := range doors {
			for _, a := range []answer{
				w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passwordID, "methodType": "password"}}),
				w.prove("the attacker's own words"), w.answer("skip", nil), w.introspect(),
			} {
				if a.code() != "" || a.status >= 500 || a.has("reset-authenticator") {
					t.Errorf("%s, %s: %d %s", when, name, a.status, a.body)
				}
			}
		}
	}
	plant("before")
	e.Clock.Advance(time.Minute)
	begin(t, e).recovered(address, otherSecret)
	plant("after")
	if signsIn(t, e, address, "the attacker's own words") || !signsIn(t, e, address, otherSecret) {
		t.Error("the attacker's password is the account's")
	}
}

// T-30: a session that is past its time, idle or in all, signs nobody in.
func TestSEC_T30_S65_OldSessions(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(`
access:
- name: default
  rules: [{name: default, factors: 1, reauthenticate: 2000h}]
`))
	begin(t, e).signedUp("victim@example.com")
	for name, wait := range map[string][]time.Duration{
		"idle": {2*time.Hour + time.Minute},
		"in all": {90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute,
			90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 90 * time.Minute, 91 * time.Minute},
	} {
		j := &jar{t: t, e: e}
		w, _ := j.begin(nil)
		j.signIn(w, "victim@example.com")
		for i, d := range wait {
			e.Clock.Advance(d)
			if _, a := j.begin(nil); (a.code() == "") != (i == len(wait)-1) {
				t.Errorf("%s, after %d waits: %s", name, i+1, a.body)
			}
		}
	}
}
