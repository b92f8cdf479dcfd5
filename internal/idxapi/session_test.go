package idxapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// browserOf adds what a browser says of itself, and its cookies.
func browserOf(site string, cookies []*http.Cookie) http.Header {
	h := http.Header{"Sec-Fetch-Site": {site}, "Origin": {"http://localhost:8080"}}
	for _, c := range cookies {
		h.Add("Cookie", c.Name+"="+c.Value)
	}
	return h
}

// beginIn begins a transaction in a browser.
func (w *wire) beginIn(h http.Header, more url.Values) answer {
	w.Helper()
	var a answer
	v := w.parameters()
	for k, list := range more {
		v[k] = list
	}
	a = w.do("POST", w.e.Issuer+"/v1/interact", "application/x-www-form-urlencoded", strings.NewReader(v.Encode()), h)
	handle, _ := a.doc["interaction_handle"].(string)
	a = w.in(h, "introspect", map[string]any{"interactionHandle": handle})
	w.state, _ = a.doc["stateHandle"].(string)
	return a
}

func (w *wire) in(h http.Header, action string, body map[string]any) answer {
	w.Helper()
	if action != "introspect" {
		if body == nil {
			body = map[string]any{}
		}
		body["stateHandle"] = w.state
	}
	data, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	return w.do("POST", w.e.URL+"/idp/idx/"+action, ionType, bytes.NewReader(data), h)
}

func cookies(a answer) []*http.Cookie { return (&http.Response{Header: a.header}).Cookies() }

// signInIn signs an existing person in by a code.
func (w *wire) signInIn(h http.Header, email string, more map[string]any) answer {
	w.Helper()
	w.beginIn(h, nil)
	body := map[string]any{"identifier": email}
	for k, v := range more {
		body[k] = v
	}
	w.in(h, "identify", body)
	return w.in(h, "challenge/answer", passcode(w.e.Code(w.T, email)))
}

func TestAUTH_A58_D39_SessionOfABrowser(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp(john)
	w := &wire{T: t, e: e}

	for site, want := range map[string]int{"same-site": 1, "same-origin": 1, "cross-site": 0, "none": 0, "": 0} {
		a := w.signInIn(browserOf(site, nil), john, nil)
		if a.code() == "" {
			t.Fatalf("%q: %s", site, a.body)
		}
		if got := cookies(a); len(got) != want {
			t.Errorf("%q is given %d cookies, want %d", site, len(got), want)
		}
	}

	a := w.signInIn(browserOf("same-site", nil), john, nil)
	c := cookies(a)[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure || !c.Expires.IsZero() {
		t.Errorf("SEC_S63: cookie %v", c)
	}
	if bytes.Contains(a.body, []byte(c.Value)) {
		t.Error("SEC_S63: the session stands in a body")
	}
	if kept := cookies(w.signInIn(browserOf("same-site", nil), john, map[string]any{"rememberMe": true})); len(kept) != 1 || kept[0].Expires.Before(time.Now().Add(29*24*time.Hour)) {
		t.Errorf("AUTH_10: kept signed in: %v", kept)
	}

	silent := w.beginIn(browserOf("same-site", []*http.Cookie{c}), nil)
	if silent.code() == "" || silent.at("user", "value", "identifier") != john {
		t.Errorf("with the session: %s", silent.body)
	}
	for name, again := range map[string]answer{
		"max_age=0":    w.beginIn(browserOf("same-site", []*http.Cookie{c}), url.Values{"max_age": {"0"}}),
		"another site": w.beginIn(browserOf("cross-site", []*http.Cookie{c}), nil),
		"two factors":  w.beginIn(browserOf("same-site", []*http.Cookie{c}), url.Values{"acr_values": {"urn:okta:loa:2fa:any"}}),
	} {
		if again.code() != "" {
			t.Errorf("%s: signed in silently", name)
		}
	}
}

// whoever has a session that is young enough and is asked for more than it
// proves is asked for the second factor alone.
func TestAUTH_A64_SessionAndStepUp(t *testing.T) {
	e := stiletest.Start(t)
	withPassword(t, e, john)
	w := &wire{T: t, e: e}
	w.beginIn(browserOf("same-site", nil), nil)
	w.in(browserOf("same-site", nil), "identify", name(john))
	w.in(browserOf("same-site", nil), "challenge", choice("okta_email"))
	in := w.in(browserOf("same-site", nil), "challenge/answer", passcode(e.Code(t, john)))
	if len(cookies(in)) != 1 {
		t.Fatalf("no session: %s", in.body)
	}
	h := browserOf("same-site", cookies(in))
	stepUp := func() answer {
		return w.beginIn(h, url.Values{"max_age": {"900"}, "acr_values": {"urn:okta:loa:2fa:any"}})
	}
	e.Clock.Advance(14 * time.Minute)
	a := stepUp()
	w.want("A-64", a, 200, "select-authenticator-authenticate")
	if got := a.at("authenticatorEnrollments", "value", 1); a.at("user", "value", "identifier") != john || got == nil {
		t.Errorf("A-64: %s", a.body)
	}
	w.in(h, "challenge", choice("okta_password"))
	if done := w.in(h, "challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("both factors: %s", done.body)
	}
	e.Clock.Advance(16 * time.Minute)
	if got := stepUp().forms(); len(got) == 0 || got[0] != "identify" {
		t.Errorf("a quarter of an hour later: %v", got)
	}
}

// SEC T-04: a session that somebody planted in the browser is not the one that it
// has after signing in, and ends.
func TestSEC_T04_PlantedSession(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp(john)
	begin(t, e).signedUp("mallory@example.org")
	w := &wire{T: t, e: e}
	planted := cookies(w.signInIn(browserOf("same-site", nil), "mallory@example.org", nil))
	h := browserOf("same-site", planted)
	w.beginIn(h, url.Values{"max_age": {"0"}})
	w.in(h, "identify", map[string]any{"identifier": john})
	own := cookies(w.in(h, "challenge/answer", passcode(e.Code(t, john))))
	if len(own) != 1 || own[0].Value == planted[0].Value {
		t.Fatalf("after the sign-in the browser has %v", own)
	}
	if a := w.beginIn(browserOf("same-site", planted), nil); a.code() != "" {
		t.Error("the planted session lives on")
	}
	if a := w.beginIn(browserOf("same-site", own), nil); a.at("user", "value", "identifier") != john {
		t.Error("the own session is not the person's")
	}
}
