package idx_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-id/stile/idx"
)

func TestInteract(t *testing.T) {
	age := 5 * time.Minute
	e := serve(t, script{"/idp/idx/introspect": {ok("introspect"), ok("introspect")}})
	c := e.client(t)
	for range 2 {
		_, err := c.Start(t.Context(), idx.StartOptions{LoginHint: "john@example.org", MaxAge: &age, ACRValues: []string{"x", "y"}, ActivationToken: "a", RecoveryToken: "r"})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := e.interactions[0]
	want := url.Values{
		"client_id": {clientID}, "scope": {"openid profile email"}, "redirect_uri": {redirect}, "code_challenge_method": {"S256"},
		"login_hint": {"john@example.org"}, "max_age": {"300"}, "acr_values": {"x y"}, "activation_token": {"a"}, "recovery_token": {"r"},
	}
	random := []string{"state", "nonce", "code_challenge"}
	for _, name := range random {
		if len(got.Get(name)) != 43 || got.Get(name) == e.interactions[1].Get(name) {
			t.Errorf("%s = %q, then %q", name, got.Get(name), e.interactions[1].Get(name))
		}
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(name string, _ []string) bool {
		return slices.Contains(random, name)
	})); d != "" {
		t.Error(d)
	}
	user, pass, _ := (&http.Request{Header: e.headers[0]}).BasicAuth()
	if user != clientID || pass != url.QueryEscape(secret) {
		t.Errorf("Basic %q %q", user, pass)
	}
}

func TestClientAuthentication(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*idx.Config)
		basic  bool
		body   string
	}{
		"basic":  {func(*idx.Config) {}, true, ""},
		"post":   {func(c *idx.Config) { c.SecretInBody = true }, false, secret},
		"public": {public, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, signUp())
			c := e.client(t, tt.change)
			tx, err := c.Register(t.Context(), john)
			if err != nil {
				t.Fatal(err)
			}
			_, basic := e.headers[0]["Authorization"]
			if basic != tt.basic || e.interactions[0].Get("client_secret") != tt.body {
				t.Errorf("basic %v, body %q", basic, e.interactions[0].Get("client_secret"))
			}
			if tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: "1"}); err == nil {
				_, err = c.Proceed(t.Context(), tx, idx.Input{Skip: true})
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, basic := e.headers[len(e.headers)-1]["Authorization"]; basic != tt.basic {
				t.Errorf("token endpoint: basic %v", basic)
			}
		})
	}
}

func TestPathsAreDerivedFromTheIssuer(t *testing.T) {
	for at, want := range map[string][]string{
		"/oauth2/default":       {"/oauth2/default/v1/interact", "/idp/idx/introspect"},
		"":                      {"/oauth2/v1/interact", "/idp/idx/introspect"},
		"/tenant/oauth2/aus123": {"/tenant/oauth2/aus123/v1/interact", "/tenant/idp/idx/introspect"},
	} {
		e := serve(t, nil)
		e.script = script{
			want[0]: {{handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"interaction_handle":"ih"}`) }}},
			want[1]: {ok("introspect")},
		}
		c := e.client(t, func(cfg *idx.Config) { cfg.Issuer = e.URL + at })
		if _, err := c.Start(t.Context(), idx.StartOptions{}); err != nil {
			t.Errorf("issuer %q: %v", at, err)
		}
		if got := c.Config(); got.Issuer != e.URL+at || len(got.Scopes) != 3 {
			t.Errorf("Config: %v", got)
		}
	}
}

func TestDevice(t *testing.T) {
	d := idx.Device{IP: "2001:db8::7", UserAgent: "Firefox/150", AcceptLanguage: "de-CH, en;q=0.5", DeviceToken: "a-device.of~16_chars"}
	odd := idx.Device{IP: "not an address", UserAgent: "a\r\nX-Evil: 1", AcceptLanguage: "\x00", DeviceToken: "short"}
	for name, tt := range map[string]struct {
		change func(*idx.Config)
		device idx.Device
		want   []string // X-Forwarded-For, User-Agent, Accept-Language, X-Device-Token at interact
	}{
		"confidential": {func(*idx.Config) {}, d, []string{"2001:db8::7", "Firefox/150", "de-CH, en;q=0.5", "a-device.of~16_chars"}},
		"public":       {public, d, []string{"", "Go-http-client/1.1", "de-CH, en;q=0.5", ""}},
		"odd":          {func(*idx.Config) {}, odd, []string{"", "Go-http-client/1.1", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok("introspect")}})
			if _, err := e.client(t, tt.change).Start(idx.WithDevice(t.Context(), tt.device), idx.StartOptions{}); err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, h := range []string{"X-Forwarded-For", "User-Agent", "Accept-Language", "X-Device-Token"} {
				got = append(got, e.headers[0].Get(h))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if e.headers[1].Get("X-Forwarded-For") != "" || e.headers[1].Get("Accept-Language") != tt.want[2] {
				t.Errorf("introspect: %v", e.headers[1])
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/identify": {ok("challenge-email")}})
	if _, err := e.client(t).Authenticate(t.Context(), idx.Credentials{Username: "john"}); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, h := range e.headers {
		got = append(got, []string{h.Get("Content-Type"), h.Get("Accept")})
	}
	want := [][]string{
		{"application/x-www-form-urlencoded", "application/json"},
		{"application/ion+json; okta-version=1.0.0", "application/ion+json; okta-version=1.0.0"},
		{"application/json", "application/json; okta-version=1.0.0"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestIDX_C19_NoCookieIsKept(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	e := serve(t, script{"/idp/idx/introspect": {
		{status: 200, file: "introspect", header: http.Header{"Set-Cookie": {"sid=one-person"}}}, ok("introspect"),
	}})
	c := e.client(t, func(cfg *idx.Config) { cfg.HTTPClient = &http.Client{Jar: jar} })
	for range 2 {
		if _, err := c.Start(t.Context(), idx.StartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range e.headers {
		if h.Get("Cookie") != "" {
			t.Error("a cookie was sent")
		}
	}
}

// Two apps in one process, their flows in turn, against two engines.

func TestTwoClientsAtOnce(t *testing.T) {
	type app struct {
		e  *engine
		c  *idx.Client
		tx *idx.Transaction
	}
	var apps []*app
	for _, change := range []func(*idx.Config){public, func(c *idx.Config) { c.ClientID, c.Scopes = "0oa2other", []string{"openid"} }} {
		e := serve(t, signUp())
		apps = append(apps, &app{e: e, c: e.client(t, change)})
	}
	steps := []func(*app) (*idx.Transaction, error){
		func(a *app) (*idx.Transaction, error) { return a.c.Register(t.Context(), john) },
		func(a *app) (*idx.Transaction, error) {
			return a.c.Proceed(t.Context(), a.tx, idx.Input{VerificationCode: "1"})
		},
		func(a *app) (*idx.Transaction, error) { return a.c.Proceed(t.Context(), a.tx, idx.Input{Skip: true}) },
	}
	for i, step := range steps {
		var wg sync.WaitGroup
		for _, a := range apps {
			wg.Go(func() {
				tx, err := step(a)
				if err != nil {
					t.Errorf("step %d: %v", i, err)
				}
				a.tx = tx
			})
		}
		wg.Wait()
	}
	for i, want := range []string{clientID, "0oa2other"} {
		if got := apps[i].tx.Tokens.IDToken.Claims.All["aud"]; got != want {
			t.Errorf("client %d: aud = %v", i, got)
		}
	}
	if _, err := apps[0].c.VerifyIDToken(t.Context(), apps[1].tx.Tokens.IDToken.Value); !errors.Is(err, idx.ErrInvalidToken) {
		t.Errorf("one app took the other's token: %v", err)
	}
}
