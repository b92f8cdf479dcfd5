package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

const interactPath = "/oauth2/default/v1/interact"

func interaction() url.Values {
	return form("client_id", spaID, "scope", "openid profile email", "redirect_uri", spaCallback,
		"code_challenge", challengeOf(verifier), "code_challenge_method", "S256", "state", "xyz")
}

func webInteraction() url.Values {
	return with(interaction(), "client_id", webID, "redirect_uri", webCallback)
}

func TestIDX_C03_Interact(t *testing.T) {
	e := newEnv(t)
	age := int64(0)
	r := e.post(interactPath, with(interaction(), "nonce", "n-1", "max_age", "0", "acr_values", "a b", "login_hint", "jane@example.org",
		"prompt", "login", "scope", "openid  email openid", "idp", ""), "Accept-Language", "de;q=0.5, fr-CH, *;q=0.1", "User-Agent", "Agent/1")
	if r.Status != http.StatusOK || r.text("interaction_handle") == "" || len(r.Body) != 1 {
		t.Fatalf("%d %s", r.Status, r.Raw)
	}
	want := InteractionRequest{
		ClientID: spaID, Server: DefaultServer, Scopes: []string{"openid", "email"}, RedirectURI: spaCallback, State: "xyz", Nonce: "n-1",
		CodeChallenge: challengeOf(verifier), MaxAge: &age, ACRValues: []string{"a", "b"}, LoginHint: "jane@example.org",
		IP: "192.0.2.1", UserAgent: "Agent/1", Locale: "fr-CH",
	}
	if diff := cmp.Diff(want, e.flow.begun[0]); diff != "" {
		t.Error(diff)
	}
}

func TestIDX_C05_C06_C07_InteractRefusals(t *testing.T) {
	e := newEnv(t)
	e.addClient(Client{ID: "0oaRefresh", GrantTypes: []string{"refresh_token"}}, false)
	e.addClient(Client{ID: "0oaNoRefresh", GrantTypes: []string{"interaction_code"}, RedirectURIs: []string{spaCallback}}, false)
	const scope = "One or more scopes are not configured for the authorization server resource."
	for _, c := range []struct {
		name              string
		form              url.Values
		status            int
		code, description string
	}{
		{"IDX_C05 no challenge", with(interaction(), "code_challenge", ""), 400, "invalid_request", "The 'code_challenge' parameter is missing."},
		{"IDX_C05 plain", with(interaction(), "code_challenge_method", "plain"), 400, "invalid_request", "The 'code_challenge_method' parameter must be 'S256'."},
		{"IDX_C05 no method", with(interaction(), "code_challenge_method", ""), 400, "invalid_request", ""},
		{"IDX_C05 short challenge", with(interaction(), "code_challenge", strings.Repeat("a", 42)), 400, "invalid_request", ""},
		{"IDX_C05 padded challenge", with(interaction(), "code_challenge", strings.Repeat("a", 43)+"="), 400, "invalid_request", ""},
		{"IDX_C06 foreign redirect", with(interaction(), "redirect_uri", "https://evil.example/cb"), 400, "invalid_request", "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings."},
		{"IDX_C06 redirect of another client", with(interaction(), "redirect_uri", webCallback), 400, "invalid_request", ""},
		{"IDX_C06 redirect with more", with(interaction(), "redirect_uri", spaCallback+"?x=1"), 400, "invalid_request", ""},
		{"no redirect", with(interaction(), "redirect_uri", ""), 400, "invalid_request", "The 'redirect_uri' parameter is missing."},
		{"no state", with(interaction(), "state", ""), 400, "invalid_request", "The 'state' parameter is missing."},
		{"long state", with(interaction(), "state", strings.Repeat("s", 2049)), 400, "invalid_request", ""},
		{"control character", with(interaction(), "state", "a\nb"), 400, "invalid_request", ""},
		{"not UTF-8", with(interaction(), "login_hint", "\xff"), 400, "invalid_request", ""},
		{"no scope", with(interaction(), "scope", ""), 400, "invalid_request", ""},
		{"unknown scope", with(interaction(), "scope", "openid groups"), 400, "invalid_scope", scope},
		{"blank scope", with(interaction(), "scope", "  "), 400, "invalid_scope", scope},
		{"offline_access without the grant", with(interaction(), "client_id", "0oaNoRefresh", "scope", "openid offline_access"), 400, "invalid_scope", scope},
		{"bad max_age", with(interaction(), "max_age", "-1"), 400, "invalid_request", ""},
		{"no client", with(interaction(), "client_id", ""), 401, "invalid_client", "A client_id must be provided in the request."},
		{"unknown client", with(interaction(), "client_id", "0oaNobody"), 401, "invalid_client", "Invalid value for 'client_id' parameter."},
		{"client without the grant", with(interaction(), "client_id", "0oaRefresh"), 400, "unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: [refresh_token]."},
		{"SEC_S76 duplicate", func() url.Values {
			f := interaction()
			f.Add("state", "other")
			return f
		}(), 400, "invalid_request", "The parameter 'state' is given more than once."},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantRefusal(t, e.post(interactPath, c.form), c.status, c.code, c.description)
		})
	}
	if len(e.flow.begun) != 0 {
		t.Errorf("%d transactions began", len(e.flow.begun))
	}
	t.Run("content type", func(t *testing.T) {
		r := request(http.MethodPost, interactPath, `{"client_id":"`+spaID+`"}`)
		r.Header.Set("Content-Type", "application/json")
		wantRefusal(t, e.do(r), 400, "invalid_request", "The content type must be 'application/x-www-form-urlencoded'.")
	})
	t.Run("malformed body", func(t *testing.T) {
		wantRefusal(t, e.do(request(http.MethodPost, interactPath, "client_id=%zz")), 400, "invalid_request", "")
	})
	t.Run("large body", func(t *testing.T) {
		wantRefusal(t, e.do(request(http.MethodPost, interactPath, "x="+strings.Repeat("y", edge.MaxBody))), 400, "invalid_request", "")
	})
	t.Run("query does not count", func(t *testing.T) {
		wantRefusal(t, e.do(request(http.MethodPost, interactPath+"?"+interaction().Encode(), "")), 401, "invalid_client", "")
	})
}

func TestSEC_S76_EachParameterOnce(t *testing.T) {
	e := newEnv(t)
	full := with(interaction(), "nonce", "n", "max_age", "1", "acr_values", "a", "login_hint", "x", "unknown", "u")
	for name := range full {
		f := with(full)
		f[name] = []string{full.Get(name), full.Get(name)}
		r := e.post(interactPath, f)
		wantRefusal(t, r, 400, "invalid_request", "The parameter '"+name+"' is given more than once.")
	}
	code := e.finish()
	for name := range redemption(code) {
		// once in the body, once in the query
		r := e.do(request(http.MethodPost, tokenPath+"?"+form(name, redemption(code).Get(name)).Encode(), redemption(code).Encode()))
		wantRefusal(t, r, 400, "invalid_request", "The parameter '"+name+"' is given more than once.")
	}
	if r := e.post(tokenPath, redemption(code)); r.Status != http.StatusOK {
		t.Errorf("the refused requests consumed the code: %s", r.Raw)
	}
}

func TestIDX_C08_C09_RefusalsOfTheFlow(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct {
		name              string
		err               error
		status            int
		code, description string
	}{
		{"IDX_C08 activation", ErrActivationToken, 400, "invalid_request", "The activation token is invalid"},
		{"IDX_C08 recovery", ErrRecoveryToken, 400, "invalid_request", "The recovery token is invalid"},
		{"IDX_C09 feature", errFeature, 400, "access_denied", "The requested feature is not enabled in this environment."},
		{"busy", problem.New(problem.Unavailable, "", "x"), 503, "temporarily_unavailable", "Server is unable to respond at the moment."},
		{"fault", errMemoryStale, 500, "server_error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.flow.beginErr = c.err
			r := e.post(interactPath, interaction())
			wantRefusal(t, r, c.status, c.code, c.description)
			if (r.Status == 503) != (r.Header.Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
			}
		})
	}
	t.Run("throttled", func(t *testing.T) {
		e.flow.beginErr = &problem.Error{Kind: problem.Throttled, RetryAfter: 1500e6}
		r := e.post(interactPath, interaction())
		if r.Status != 429 || r.text("errorCode") != "E0000047" || r.Header.Get("Retry-After") != "2" ||
			r.text("errorSummary") != "API call exceeded rate limit due to too many requests." {
			t.Errorf("%d %s %v", r.Status, r.Raw, r.Header)
		}
	})
	t.Run("IDX_C09 server without the grant", func(t *testing.T) {
		e := newEnv(t, func(c *Config) {
			c.Servers = []AuthorizationServer{{ID: DefaultServer, Grants: []string{"refresh_token"}}}
		})
		wantRefusal(t, e.post(interactPath, interaction()), 400, "access_denied", "The requested feature is not enabled in this environment.")
	})
}

// Only a client that proved its secret is believed about who it speaks for.
func TestIDX_C04_InteractClients(t *testing.T) {
	e := newEnv(t)
	headers := []string{"X-Forwarded-For", "203.0.113.9, 10.0.0.1", "X-Device-Token", "device-1", "User-Agent", "Browser/1"}
	basic := "Basic " + b64(webID+":"+webSecret)
	for _, c := range []struct {
		name          string
		form          url.Values
		header        string
		authenticated bool
	}{
		{"confidential without secret", webInteraction(), "", false},
		{"secret in the form", with(webInteraction(), "client_secret", webSecret), "", true},
		{"secret by Basic", with(webInteraction(), "client_id", ""), basic, true},
		{"public", interaction(), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.flow.begun = nil
			h := headers
			if c.header != "" {
				h = append(append([]string{}, headers...), "Authorization", c.header)
			}
			if r := e.post(interactPath, c.form, h...); r.Status != http.StatusOK {
				t.Fatalf("%d %s", r.Status, r.Raw)
			}
			got := e.flow.begun[0]
			want := [...]any{c.authenticated, "192.0.2.1", ""}
			if c.authenticated {
				want = [...]any{true, "203.0.113.9", "device-1"}
			}
			if have := [...]any{got.ClientAuthenticated, got.IP, got.DeviceToken}; have != want {
				t.Errorf("got %v, want %v", have, want)
			}
		})
	}
	t.Run("wrong secret", func(t *testing.T) {
		wantRefusal(t, e.post(interactPath, with(webInteraction(), "client_secret", "wrong")), 401, "invalid_client",
			"The client secret supplied for a confidential client is invalid.")
	})
	t.Run("forged headers", func(t *testing.T) {
		e.flow.begun = nil
		e.post(interactPath, with(webInteraction(), "client_secret", webSecret),
			"X-Forwarded-For", "not an address", "X-Device-Token", strings.Repeat("d", 33), "Accept-Language", strings.Repeat("de,", 100))
		if got := e.flow.begun[0]; got.IP != "192.0.2.1" || got.DeviceToken != "" || got.Locale != "" {
			t.Errorf("%+v", got)
		}
	})
}
