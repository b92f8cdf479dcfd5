package idx_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

func TestIDX_C74_CodeIsRedeemedOnce(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	s := signUp()
	s["/idp/idx/introspect"] = []reply{ok("select-enroll")}
	s["/idp/idx/skip"] = []reply{ok("success"), ok("success"), ok("success")}
	delete(s, "/idp/idx/enroll")
	delete(s, "/idp/idx/enroll/new")
	delete(s, "/idp/idx/challenge/answer")
	e := serve(t, s)
	e.token = func(map[string]any) {
		entered <- struct{}{}
		<-release
	}
	c := e.client(t)
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}

	// The browser presses Skip, goes away while the code is redeemed, and presses again.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := c.Proceed(ctx, tx, idx.Input{Skip: true})
		gone <- err
	}()
	<-entered
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	close(release)
	for range 2 {
		got, err := c.Proceed(t.Context(), tx, idx.Input{Skip: true})
		if err != nil || got.Tokens.AccessToken.Value != "an-access-token" {
			t.Fatalf("%v, %v", got, err)
		}
		got.Tokens.AccessToken.Value = "changed by one caller"
	}
	if e.redeemed != 1 {
		t.Errorf("redeemed %d times", e.redeemed)
	}
}

func TestRefusedCodeIsNotRedeemedAgain(t *testing.T) {
	e := serve(t, script{
		"/idp/idx/introspect":      {ok("select-enroll")},
		"/idp/idx/skip":            {ok("success"), ok("success")},
		"/oauth2/default/v1/token": {{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }}},
	})
	c := e.client(t)
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var re *idx.ResponseError
		if _, err := c.Proceed(t.Context(), tx, idx.Input{Skip: true}); !errors.As(err, &re) || re.Status != 502 {
			t.Errorf("err = %v", err)
		}
	}
}

func TestKeysAreReadBeforeTheCodeIsSpent(t *testing.T) {
	e := serve(t, script{
		"/idp/idx/introspect":      {ok("select-enroll")},
		"/idp/idx/skip":            {ok("success"), ok("success")},
		"/oauth2/default/v1/keys":  {{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }}},
		"/oauth2/default/v1/token": {},
	})
	c := e.client(t)
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Proceed(t.Context(), tx, idx.Input{Skip: true}); err == nil {
		t.Fatal("no error")
	}
	e.mu.Lock()
	delete(e.script, "/oauth2/default/v1/keys")
	delete(e.script, "/oauth2/default/v1/token")
	e.mu.Unlock()
	if tx, err = c.Proceed(t.Context(), tx, idx.Input{Skip: true}); err != nil || tx.Status != idx.StatusSuccess {
		t.Errorf("%v, %v", tx, err)
	}
}

func TestKeepCode(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("success")}})
	c := e.client(t, func(c *idx.Config) { c.KeepCode = true })
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	if err != nil || tx.Status != idx.StatusSuccess || tx.InteractionCode != "Zk9cX1r7T2m" || tx.Tokens != nil || e.redeemed != 0 {
		t.Fatalf("%v, %v", tx, err)
	}
	tx, err = c.HandleCallback(t.Context(), tx, url.Values{"interaction_code": {tx.InteractionCode}, "state": {tx.State()}})
	if err != nil || tx.Tokens == nil {
		t.Errorf("%v, %v", tx, err)
	}
}

func TestTokenResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		token  func(map[string]any)
		scopes []string
		fails  bool
	}{
		"with a refresh token":   {func(b map[string]any) { b["refresh_token"], b["scope"] = "rt", "openid offline_access" }, nil, false},
		"without openid":         {func(b map[string]any) { delete(b, "id_token") }, []string{"profile"}, false},
		"no ID token":            {func(b map[string]any) { delete(b, "id_token") }, nil, true},
		"no access token":        {func(b map[string]any) { delete(b, "access_token") }, nil, true},
		"another kind of token":  {func(b map[string]any) { b["token_type"] = "DPoP" }, nil, true},
		"another's access token": {func(b map[string]any) { b["access_token"] = "swapped" }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok("success")}})
			e.token = tt.token
			tx, err := e.client(t, func(c *idx.Config) { c.Scopes = tt.scopes }).Start(t.Context(), idx.StartOptions{})
			if (err != nil) != tt.fails {
				t.Fatalf("%v, %v", tx, err)
			}
			if name == "with a refresh token" {
				if d := cmp.Diff(&idx.RefreshToken{Value: "rt", Scopes: []string{"openid", "offline_access"}}, tx.Tokens.RefreshToken); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestRefreshRevokeUserInfo(t *testing.T) {
	keep := func(status int, body string) reply {
		return reply{handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}}
	}
	t.Run("refresh", func(t *testing.T) {
		e := serve(t, nil)
		e.token = func(b map[string]any) { b["refresh_token"] = "rt2" }
		got, err := e.client(t).Refresh(t.Context(), "rt1", "openid")
		if err != nil || got.RefreshToken.Value != "rt2" || got.IDToken == nil {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("refresh refused", func(t *testing.T) {
		e := serve(t, script{"/oauth2/default/v1/token": {keep(400, `{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}`)}})
		if _, err := e.client(t).Refresh(t.Context(), "rt1"); !errors.Is(err, idx.ErrInvalidGrant) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("revoke", func(t *testing.T) {
		e := serve(t, script{"/oauth2/default/v1/revoke": {keep(200, ""), keep(503, `{}`)}})
		c := e.client(t)
		if err := c.Revoke(t.Context(), "at", "access_token"); err != nil {
			t.Error(err)
		}
		want := url.Values{"token": {"at"}, "token_type_hint": {"access_token"}, "client_id": {clientID}}
		if d := cmp.Diff(want, e.forms[0]); d != "" {
			t.Error(d)
		}
		if err := c.Revoke(t.Context(), "at", ""); err == nil {
			t.Error("no error")
		}
	})
	t.Run("userinfo", func(t *testing.T) {
		e := serve(t, script{"/oauth2/default/v1/userinfo": {
			keep(200, `{"sub":"00u1","email":"j@example.org","email_verified":"true","x":[1]}`),
			{handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer error_description="gone", error="invalid_token"`)
				w.WriteHeader(http.StatusUnauthorized)
			}},
			keep(200, `{}`),
		}})
		c := e.client(t)
		got, err := c.UserInfo(t.Context(), "at")
		if err != nil || got.Subject != "00u1" || !got.EmailVerified || got.All["x"] == nil {
			t.Errorf("%+v, %v", got, err)
		}
		if a := e.headers[0].Get("Authorization"); a != "Bearer at" {
			t.Errorf("Authorization: %q", a)
		}
		var re *idx.ResponseError
		if _, err := c.UserInfo(t.Context(), "at"); !errors.As(err, &re) || re.Code != "invalid_token" || re.Description != "gone" {
			t.Errorf("err = %v", err)
		}
		if _, err := c.UserInfo(t.Context(), "at"); err == nil {
			t.Error("claims without a subject were taken")
		}
	})
}

func TestTokensJSON(t *testing.T) {
	in := idx.Tokens{
		AccessToken:  &idx.AccessToken{Value: "at", ExpiresAt: start, TokenType: "Bearer", Scopes: []string{"openid"}},
		IDToken:      &idx.IDToken{Value: "it", ExpiresAt: start, Claims: idx.Claims{Subject: "s", AMR: []string{"otp"}, All: map[string]any{"sub": "s", "amr": []any{"otp"}}}},
		RefreshToken: &idx.RefreshToken{Value: "rt"},
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"accessToken":{"accessToken":"at","expiresAt":1795377600,"tokenType":"Bearer","scopes":["openid"]},` +
		`"idToken":{"idToken":"it","expiresAt":1795377600,"claims":{"amr":["otp"],"sub":"s"}},"refreshToken":{"refreshToken":"rt"}}`
	if string(b) != want {
		t.Errorf("got %s", b)
	}
	var out idx.Tokens
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, out); d != "" {
		t.Error(d)
	}
	var claims idx.Claims
	if b, err = json.Marshal(in.IDToken.Claims); err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if d := cmp.Diff(in.IDToken.Claims, claims); err != nil || d != "" {
		t.Error(err, d)
	}
	if b, err := json.Marshal(idx.AccessToken{Value: "at"}); err != nil || string(b) != `{"accessToken":"at","expiresAt":0,"tokenType":""}` {
		t.Errorf("%s, %v", b, err)
	}
}
