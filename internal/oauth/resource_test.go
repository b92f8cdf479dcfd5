package oauth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
)

const (
	userinfoPath   = "/oauth2/default/v1/userinfo"
	introspectPath = "/oauth2/default/v1/introspect"
	revokePath     = "/oauth2/default/v1/revoke"
)

func TestIDX_C77_UserInfo(t *testing.T) {
	e := newEnv(t)
	r := e.redeem()
	got := e.userinfo(r.text("access_token"))
	if got.Status != 200 || got.text("sub") != payload(t, r.text("id_token"))["sub"] || got.Header.Get("Cache-Control") != "no-cache, no-store" {
		t.Errorf("%d %s", got.Status, got.Raw)
	}
	golden(t, "userinfo", got.Body)
	byForm := e.post(userinfoPath, form("access_token", r.text("access_token")))
	byPost := e.post(userinfoPath, nil, "Authorization", "Bearer "+r.text("access_token"))
	if byForm.Raw != got.Raw || byPost.Raw != got.Raw {
		t.Errorf("by form %s, by POST %s", byForm.Raw, byPost.Raw)
	}
	for _, c := range []struct {
		scopes []string
		want   map[string]any
	}{
		{[]string{"openid"}, map[string]any{"sub": userID}},
		{[]string{"openid", "email"}, map[string]any{"sub": userID, "email": "Jane.Doe@example.org", "email_verified": true}},
	} {
		if diff := cmp.Diff(c.want, e.userinfo(e.redeem(scopes(c.scopes...)).text("access_token")).Body); diff != "" {
			t.Errorf("%v: %s", c.scopes, diff)
		}
	}
}

func TestUserInfoRefusals(t *testing.T) {
	e := newEnv(t)
	token := e.redeem().text("access_token")
	for _, c := range []struct {
		name      string
		r         *http.Request
		status    int
		challenge string
	}{
		{"no token", request("GET", userinfoPath, ""), 401, "Bearer"},
		{"basic", request("GET", userinfoPath, "", "Authorization", "Basic eDp5"), 401, "Bearer"},
		{"garbage", request("GET", userinfoPath, "", "Authorization", "Bearer x"), 401, `Bearer error="invalid_token", error_description="The access token is invalid, expired or revoked."`},
		{"in the query", request("GET", userinfoPath+"?access_token="+token, ""), 401, "Bearer"},
		{"twice", request("POST", userinfoPath, form("access_token", token).Encode(), "Authorization", "Bearer "+token), 400, ""},
		{"two headers", request("GET", userinfoPath, "", "Authorization", "Bearer "+token, "Authorization", "Bearer "+token), 400, ""},
		{"no openid", request("GET", userinfoPath, "", "Authorization", "Bearer "+e.redeem(scopes("profile")).text("access_token")), 403,
			`Bearer error="insufficient_scope", error_description="The access token must provide access to the scope 'openid'."`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := e.do(c.r)
			if got.Status != c.status || got.Header.Get("WWW-Authenticate") != c.challenge || got.text("error") == "" || got.text("error_description") == "" {
				t.Errorf("%d %q %s", got.Status, got.Header.Get("WWW-Authenticate"), got.Raw)
			}
		})
	}
	t.Run("user suspended", func(t *testing.T) {
		e.store.edit(func(r *memoryRows) {
			a := r.accounts[userID]
			a.Status = directory.Disabled
			r.accounts[userID] = a
		})
		if got := e.userinfo(token); got.Status != 401 || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%d %s", got.Status, got.Raw)
		}
	})
	t.Run("client disabled", func(t *testing.T) {
		e := newEnv(t)
		token := e.redeem().text("access_token")
		c, _ := e.server.Client(t.Context(), spaID)
		c.Disabled = true
		if err := e.server.UpdateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := e.userinfo(token); got.Status != 401 {
			t.Errorf("%d %s", got.Status, got.Raw)
		}
	})
}

func TestIntrospect(t *testing.T) {
	e := newEnv(t)
	r := e.redeem(scopes("openid", "profile", "offline_access"))
	ask := func(token string, more ...string) *reply {
		return e.post(introspectPath, with(form("client_id", spaID, "token", token), more...))
	}
	access, id := payload(t, r.text("access_token")), payload(t, r.text("id_token"))
	for _, hint := range []string{"", "access_token", "refresh_token", "id_token", "nonsense"} { // the hint is only a hint
		got := ask(r.text("access_token"), "token_type_hint", hint)
		want := map[string]any{
			"active": true, "scope": "openid profile offline_access", "client_id": spaID, "username": "Jane.Doe@example.org", "token_type": "Bearer",
			"exp": access["exp"], "iat": access["iat"], "sub": userID, "aud": "api://default", "iss": issuerURL, "jti": access["jti"], "uid": userID,
		}
		if diff := cmp.Diff(want, got.Body); diff != "" {
			t.Errorf("%d %s", got.Status, diff)
		}
	}
	if diff := cmp.Diff(map[string]any{
		"active": true, "client_id": spaID, "username": "Jane.Doe@example.org", "exp": id["exp"], "iat": id["iat"],
		"sub": userID, "aud": spaID, "iss": issuerURL, "jti": id["jti"], "uid": userID,
	}, ask(r.text("id_token")).Body); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{
		"active": true, "client_id": spaID, "scope": "openid profile offline_access", "iat": access["iat"],
		"exp": float64(start.Add(7 * 24 * time.Hour).Unix()), "sub": userID, "iss": issuerURL, "uid": userID,
	}, ask(r.text("refresh_token")).Body); diff != "" {
		t.Error(diff)
	}
	inactive := `{"active":false}` + "\n"
	for name, token := range map[string]string{"unknown": "x", "cut": r.text("access_token")[:50], "cut refresh token": r.text("refresh_token")[:40]} {
		if got := ask(token); got.Status != 200 || got.Raw != inactive {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	t.Run("SEC_S89 foreign", func(t *testing.T) {
		for _, name := range []string{"access_token", "id_token", "refresh_token"} {
			if got := ask(r.text(name), "client_id", otherID); got.Status != 200 || got.Raw != inactive {
				t.Errorf("%s: %s", name, got.Raw)
			}
		}
	})
	t.Run("SEC_S89 authentication", func(t *testing.T) {
		wantRefusal(t, e.post(introspectPath, form("token", r.text("access_token"))), 401, "invalid_client", "")
		wantRefusal(t, e.post(introspectPath, form("token", "x", "client_id", webID)), 401, "invalid_client", "")
		wantRefusal(t, e.post(introspectPath, form("client_id", spaID)), 400, "invalid_request", "The 'token' parameter is missing.")
		if got := e.post(introspectPath, form("token", r.text("access_token")), "Authorization", "Basic "+b64(spaID)); got.Body["active"] != true {
			t.Errorf("Basic without a colon: %s", got.Raw)
		}
	})
	t.Run("spent refresh token", func(t *testing.T) {
		e.refresh(r.text("refresh_token"))
		if got := ask(r.text("refresh_token")); got.Body["active"] != true {
			t.Error("inactive within the grace time")
		}
		e.clock.Move(31 * time.Second)
		if got := ask(r.text("refresh_token")); got.Raw != inactive {
			t.Error(got.Raw)
		}
		if len(e.store.void) != 0 {
			t.Error("asking revoked something")
		}
	})
}

func TestSEC_S89_StoreFaultIsNeverAnAnswer(t *testing.T) {
	e := newEnv(t)
	r := e.redeem(scopes("openid", "offline_access"))
	e.userinfo(r.text("access_token"))
	e.store.setFail(errors.New("disk on fire"))
	check := func(when string) {
		t.Helper()
		for name, got := range map[string]*reply{
			"userinfo":           e.userinfo(r.text("access_token")),
			"introspect refresh": e.post(introspectPath, form("client_id", spaID, "token", r.text("refresh_token"))),
			"revoke access":      e.post(revokePath, form("token", r.text("access_token"))),
			"revoke refresh":     e.post(revokePath, form("client_id", spaID, "token", r.text("refresh_token"))),
			"refresh":            e.refresh(r.text("refresh_token")),
		} {
			wantRefusal(t, got, 503, "temporarily_unavailable", "")
			if strings.Contains(got.Raw, "fire") || got.Header.Get("Retry-After") == "" {
				t.Errorf("%s %s: %s", when, name, got.Raw)
			}
		}
	}
	check("fresh set")
	if got := e.post(introspectPath, form("client_id", spaID, "token", r.text("access_token"))); got.Body["active"] != true {
		t.Error("the set in memory is fresh: no read is due") // decision D36
	}
	e.clock.Move(revocationsAge)
	check("stale set")
	wantRefusal(t, e.post(introspectPath, form("client_id", spaID, "token", r.text("access_token"))), 503, "temporarily_unavailable", "")
}

// Decision D36: a check reads nothing while the set is fresh.
func TestTokenCheckReadsNothing(t *testing.T) {
	e := newEnv(t)
	token := e.redeem().text("access_token")
	ask := func() *reply { return e.post(introspectPath, form("client_id", spaID, "token", token)) }
	ask()
	reads := e.store.readRows
	for range 100 {
		ask()
	}
	if e.store.readRows != reads {
		t.Errorf("%d reads", e.store.readRows-reads)
	}
	e.clock.Move(revocationsAge)
	ask()
	ask()
	if n := e.store.readRows - reads; n != 2 { // of revocations and of clients, each once
		t.Errorf("stale sets cost %d reads", n)
	}
}

func TestIDX_C78_Revoke(t *testing.T) {
	basic := []string{"Authorization", "Basic " + b64(spaID)}
	for _, c := range []struct {
		name    string
		token   string // access_token, refresh_token, or a text
		form    []string
		headers []string
		status  int
		access  bool // lives on
		refresh bool
	}{
		{name: "access token without authentication", token: "access_token", status: 200, refresh: true},
		{name: "access token by Basic without colon", token: "access_token", headers: basic, status: 200, refresh: true},
		{name: "access token by client id", token: "access_token", form: []string{"client_id", spaID}, status: 200, refresh: true},
		{name: "access token with a wrong hint", token: "access_token", form: []string{"token_type_hint", "refresh_token"}, status: 200, refresh: true},
		{name: "refresh token by Basic without colon", token: "refresh_token", headers: basic, status: 200},
		{name: "refresh token without authentication", token: "refresh_token", status: 401, access: true, refresh: true},
		{name: "access token of another client", token: "access_token", form: []string{"client_id", otherID}, status: 200, access: true, refresh: true},
		{name: "refresh token of another client", token: "refresh_token", form: []string{"client_id", otherID}, status: 200, access: true, refresh: true},
		{name: "wrong secret", token: "access_token", form: []string{"client_id", webID, "client_secret", "x"}, status: 401, access: true, refresh: true},
		{name: "unknown client", token: "access_token", form: []string{"client_id", "0oaNobody"}, status: 401, access: true, refresh: true},
		{name: "unknown token", token: "x", status: 200, access: true, refresh: true},
		{name: "unknown refresh token", token: "rt.x", status: 200, access: true, refresh: true},
		{name: "ID token", token: "id_token", status: 200, access: true, refresh: true},
		{name: "no token", token: "", status: 400, access: true, refresh: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			other := e.second()
			r := e.redeem(scopes("openid", "offline_access"))
			other.userinfo(r.text("access_token"))
			token := c.token
			if r.text(token) != "" {
				token = r.text(token)
			}
			got := e.post(revokePath, with(form(c.form...), "token", token), c.headers...)
			if got.Status != c.status || c.status == 200 && got.Raw != "" {
				t.Errorf("%d %q", got.Status, got.Raw)
			}
			if lives := e.userinfo(r.text("access_token")).Status == 200; lives != c.access {
				t.Errorf("access token lives: %v", lives)
			}
			e.clock.Move(revocationsAge) // the other node knows in a second and a half at most
			if lives := other.userinfo(r.text("access_token")).Status == 200; lives != c.access {
				t.Errorf("access token lives on the other node: %v", lives)
			}
			if lives := e.refresh(r.text("refresh_token")).Status == 200; lives != c.refresh {
				t.Errorf("refresh token lives: %v", lives)
			}
		})
	}
	t.Run("SEC_S90 one access token of several", func(t *testing.T) {
		e := newEnv(t)
		first := e.redeem(scopes("openid", "offline_access"))
		second := e.refresh(first.text("refresh_token"))
		e.post(revokePath, form("token", first.text("access_token")))
		if e.userinfo(first.text("access_token")).Status != 401 || e.userinfo(second.text("access_token")).Status != 200 {
			t.Error("revoking an access token must end it and no other")
		}
		e.post(revokePath, form("token", second.text("refresh_token"), "client_id", spaID))
		if e.userinfo(second.text("access_token")).Status != 401 {
			t.Error("revoking the refresh token must end the access tokens")
		}
	})
	t.Run("old refresh token", func(t *testing.T) {
		e := newEnv(t)
		first := e.redeem(scopes("offline_access"))
		second := e.refresh(first.text("refresh_token"))
		e.clock.Move(time.Hour)
		e.post(revokePath, form("token", first.text("refresh_token"), "client_id", spaID))
		e.refused(t, second.text("refresh_token"))
	})
}

// A node that starts knows what was revoked before, and what has ended is forgotten.
func TestRevocationSetAges(t *testing.T) {
	e := newEnv(t)
	token := e.redeem().text("access_token")
	e.post(revokePath, form("token", token))
	e.clock.Move(59 * time.Minute)
	late := e.second()
	if late.userinfo(token).Status != 401 {
		t.Error("a new node does not know of the revocation")
	}
	e.clock.Move(clockStep + 3*time.Minute)
	if err := late.server.revocations.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(late.server.revocations.void); n != 0 {
		t.Errorf("%d revocations are kept for nothing", n)
	}
}
