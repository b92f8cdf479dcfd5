package oauth

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
)

// fixed replaces what differs with each run, after checking its form.
func fixed(t *testing.T, claims map[string]any, access string) map[string]any {
	t.Helper()
	jti, _ := claims["jti"].(string)
	if !regexp.MustCompile(`^(AT\.gr[0-9A-Za-z_-]{24}\.[0-9A-Za-z]{22}|ID\.gr[0-9A-Za-z_-]{24}\.[0-9A-Za-z]{22})$`).MatchString(jti) {
		t.Errorf("jti %q", jti)
	}
	claims["jti"] = jti[:3] + "…"
	if h, ok := claims["at_hash"]; ok {
		if h != accessTokenHash(access) {
			t.Errorf("at_hash %v", h)
		}
		claims["at_hash"] = "…"
	}
	return claims
}

func TestClaims(t *testing.T) {
	e := newEnv(t, func(c *Config) {
		c.Servers = []AuthorizationServer{
			{ID: DefaultServer}, {ID: OrgServer},
			{ID: "typed", AccessTokenAlg: algES256, TypedAccessTokens: true, AccessTokenLife: 10 * time.Minute, Audience: "https://api.example.com"},
		}
	})
	e.addClient(Client{ID: "0oaES", RedirectURIs: []string{spaCallback}, IDTokenAlg: algES256}, false)
	for _, c := range []struct {
		name        string
		edit        func(*Interaction)
		access, id  map[string]any // headers
		accessToken string
	}{
		{"default", func(i *Interaction) { i.Nonce = "n-1" }, map[string]any{"alg": "RS256"}, map[string]any{"alg": "RS256"}, "api://default"},
		{"org", func(i *Interaction) { i.Server = OrgServer; i.Scopes = []string{"openid"} }, map[string]any{"alg": "RS256"}, map[string]any{"alg": "RS256"}, publicURL},
		{"typed", func(i *Interaction) {
			i.Server = "typed"
			i.Scopes = []string{"openid", "email"}
			i.ACR = "urn:example:two"
		},
			map[string]any{"alg": "ES256", "typ": "at+jwt"}, map[string]any{"alg": "RS256"}, "https://api.example.com"},
		{"es256-id", func(i *Interaction) { i.ClientID = "0oaES"; i.Scopes = []string{"openid", "profile"} }, map[string]any{"alg": "RS256"}, map[string]any{"alg": "ES256"}, "api://default"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var client, server string
			code := e.finish(c.edit, func(i *Interaction) { client, server = i.ClientID, i.Server })
			path := strings.TrimPrefix(e.server.TokenURL(server), publicURL)
			r := e.post(path, with(redemption(code), "client_id", client))
			if r.Status != http.StatusOK {
				t.Fatalf("%d %s", r.Status, r.Raw)
			}
			for name, want := range map[string]map[string]any{"access_token": c.access, "id_token": c.id} {
				h := headerOf(t, r.text(name))
				published := e.get(strings.TrimSuffix(path, "token") + "keys").Raw
				if kid, _ := h["kid"].(string); kid == "" || !strings.Contains(published, kid) {
					t.Errorf("%s: kid %q is not published", name, kid)
				}
				delete(h, "kid")
				if diff := cmp.Diff(want, h); diff != "" {
					t.Errorf("header of %s: %s", name, diff)
				}
			}
			access := payload(t, r.text("access_token"))
			if _, ok := access["aud"].(string); !ok || access["aud"] != c.accessToken {
				t.Errorf("aud %v", access["aud"])
			}
			golden(t, "claims-"+c.name, map[string]any{
				"access_token": fixed(t, access, ""), "id_token": fixed(t, payload(t, r.text("id_token")), r.text("access_token")),
			})
		})
	}
}

func TestIDX_C75_TokenResponse(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct {
		scopes  []string
		members []string
	}{
		{[]string{"openid", "profile"}, []string{"access_token", "expires_in", "id_token", "scope", "token_type"}},
		{[]string{"profile"}, []string{"access_token", "expires_in", "scope", "token_type"}},
		{[]string{"openid", "offline_access"}, []string{"access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"}},
		{[]string{"offline_access"}, []string{"access_token", "expires_in", "refresh_token", "scope", "token_type"}},
	} {
		r := e.redeem(scopes(c.scopes...))
		if got := slices.Sorted(maps.Keys(r.Body)); !slices.Equal(got, c.members) {
			t.Errorf("%v: members %v", c.scopes, got)
		}
		if r.text("token_type") != "Bearer" || r.Body["expires_in"] != 3600.0 || r.text("scope") != strings.Join(c.scopes, " ") {
			t.Errorf("%v: %s", c.scopes, r.Raw)
		}
		if r.Header.Get("Cache-Control") != "no-cache, no-store" {
			t.Errorf("Cache-Control %q", r.Header.Get("Cache-Control"))
		}
	}
}

func TestIDX_C76_NonceOnlyIfSent(t *testing.T) {
	e := newEnv(t)
	with := payload(t, e.redeem(func(i *Interaction) { i.Nonce = "n" }).text("id_token"))
	without := payload(t, e.redeem().text("id_token"))
	if with["nonce"] != "n" {
		t.Errorf("nonce %v", with["nonce"])
	}
	if _, ok := without["nonce"]; ok {
		t.Error("a nonce that nobody sent")
	}
	if _, ok := without["acr"]; ok {
		t.Error("an acr that nobody asked for")
	}
}

// IDX C-73: okta-auth-js sends a form, okta-idx-golang an empty body with all in
// the query, and a public client of it an empty secret.
func TestIDX_C73_Transport(t *testing.T) {
	e := newEnv(t)
	inQuery := e.do(request(http.MethodPost, tokenPath+"?"+redemption(e.finish()).Encode()+"&client_secret=", "", "Content-Type", "application/x-www-form-urlencoded"))
	if inQuery.Status != http.StatusOK {
		t.Errorf("query: %d %s", inQuery.Status, inQuery.Raw)
	}
	code := e.finish(func(i *Interaction) { i.ClientID, i.RedirectURI = webID, webCallback })
	secretInQuery := with(redemption(code), "client_id", webID, "client_secret", webSecret)
	if r := e.do(request(http.MethodPost, tokenPath+"?"+secretInQuery.Encode(), "")); r.Status != http.StatusOK {
		t.Errorf("secret in the query: %d %s", r.Status, r.Raw)
	}
	if log := e.logs.String(); strings.Contains(log, code) || strings.Contains(log, webSecret) || strings.Contains(log, verifier) {
		t.Error("the query is in the log")
	}
	mixed := redemption(e.finish())
	query := form("code_verifier", mixed.Get("code_verifier"), "redirect_uri", spaCallback)
	mixed.Del("code_verifier")
	if r := e.do(request(http.MethodPost, tokenPath+"?"+query.Encode(), mixed.Encode())); r.Status != http.StatusOK {
		t.Errorf("mixed: %d %s", r.Status, r.Raw)
	}
}

func TestSEC_S79_EachBinding(t *testing.T) {
	e := newEnv(t)
	const invalid = "The interaction code is invalid or has expired."
	for _, c := range []struct {
		name        string
		edit        func(*Interaction)
		form        []string
		code        string
		description string
		path        string
	}{
		{name: "IDX_C74 another client", form: []string{"client_id", otherID}, code: "invalid_grant", description: invalid},
		{name: "another server", path: "/oauth2/v1/token", code: "invalid_grant", description: invalid},
		{name: "unknown code", form: []string{"interaction_code", "ic.unknown"}, code: "invalid_grant", description: invalid},
		{name: "no code", form: []string{"interaction_code", ""}, code: "invalid_request"},
		{name: "IDX_C73 wrong verifier", form: []string{"code_verifier", verifier + "x"}, code: "invalid_grant", description: "PKCE verification failed."},
		{name: "challenge as verifier", form: []string{"code_verifier", challengeOf(verifier)}, code: "invalid_grant", description: "PKCE verification failed."},
		{name: "short verifier", edit: func(i *Interaction) { i.CodeChallenge = challengeOf("x") }, form: []string{"code_verifier", "x"}, code: "invalid_grant", description: "PKCE verification failed."},
		{name: "no verifier", form: []string{"code_verifier", ""}, code: "invalid_request", description: "The 'code_verifier' parameter is missing."},
		{name: "no challenge was sent", edit: func(i *Interaction) { i.CodeChallenge = "" }, code: "invalid_grant", description: "PKCE verification failed."},
		{name: "another redirect URI", form: []string{"redirect_uri", "http://127.0.0.1/cb"}, code: "invalid_grant", description: "The 'redirect_uri' does not match the redirection URI used in the authorization request."},
		{name: "user gone", edit: func(i *Interaction) { i.UserID = "00uGone" }, code: "access_denied"},
		{name: "user suspended", edit: func(i *Interaction) { i.UserID = "00uSuspended" }, code: "access_denied"},
		{name: "no grant type", form: []string{"grant_type", ""}, code: "invalid_request", description: "The 'grant_type' parameter is missing."},
		{name: "password grant", form: []string{"grant_type", "password"}, code: "unsupported_grant_type"},
		{name: "scopes that are gone", edit: func(i *Interaction) { i.Scopes = []string{"groups"} }, code: "invalid_scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.store.edit(func(r *memoryRows) {
				r.accounts["00uSuspended"] = directory.Account{User: directory.User{ID: "00uSuspended", Status: directory.Disabled}}
			})
			var edits []func(*Interaction)
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			code := e.finish(edits...)
			path := c.path
			if path == "" {
				path = tokenPath
			}
			wantRefusal(t, e.post(path, with(redemption(code), c.form...)), 400, c.code, c.description)
			if len(e.store.void) != 0 || len(e.store.spent) != 0 {
				t.Error("a refused request consumed or revoked something")
			}
		})
	}
	t.Run("confidential client without its secret", func(t *testing.T) {
		code := e.finish(func(i *Interaction) { i.ClientID = webID })
		wantRefusal(t, e.post(tokenPath, with(redemption(code), "client_id", webID)), 401, "invalid_client", "")
	})
	t.Run("SEC_S78 client without the grant", func(t *testing.T) {
		e.addClient(Client{ID: "0oaR", GrantTypes: []string{"refresh_token"}}, false)
		code := e.finish(func(i *Interaction) { i.ClientID = "0oaR" })
		wantRefusal(t, e.post(tokenPath, with(redemption(code), "client_id", "0oaR")), 400, "unauthorized_client",
			"The client is not authorized to use the provided grant type. Configured grant types: [refresh_token].")
	})
	t.Run("right redirect URI", func(t *testing.T) {
		if r := e.post(tokenPath, with(redemption(e.finish()), "redirect_uri", spaCallback)); r.Status != 200 {
			t.Error(r.Raw)
		}
	})
	t.Run("IDX_C74 after 60 seconds", func(t *testing.T) {
		code := e.finish()
		e.clock.Move(time.Minute)
		wantRefusal(t, e.post(tokenPath, redemption(code)), 400, "invalid_grant", invalid)
	})
}

func TestSEC_S27_CodeReuse(t *testing.T) {
	e := newEnv(t)
	other := e.second()
	code := e.finish(scopes("openid", "offline_access"))
	first := e.post(tokenPath, redemption(code))
	if first.Status != 200 || e.userinfo(first.text("access_token")).Status != 200 || other.userinfo(first.text("access_token")).Status != 200 {
		t.Fatal(first.Raw)
	}
	elsewhere := e.redeem(scopes("openid", "offline_access"))
	e.clock.Move(30 * time.Second)
	wantRefusal(t, other.post(tokenPath, redemption(code)), 400, "invalid_grant", "The interaction code is invalid or has expired.")
	e.clock.Move(2 * time.Second)
	for _, node := range []*env{e, other} {
		if r := node.userinfo(first.text("access_token")); r.Status != 401 {
			t.Errorf("the first access token lives: %d", r.Status)
		}
		wantRefusal(t, node.post(tokenPath, refreshing(first.text("refresh_token"))), 400, "invalid_grant", "The refresh token is invalid or expired.")
		if node.userinfo(elsewhere.text("access_token")).Status != 200 {
			t.Error("tokens of another grant died")
		}
	}
	if n := strings.Count(strings.Join(e.store.events(), " "), "app.oauth2.token.detect_reuse"); n != 1 {
		t.Errorf("%d events", n)
	}
	writes := e.store.writes
	e.post(tokenPath, redemption(code))
	if e.store.writes != writes {
		t.Error("each further reuse writes again")
	}
}

func TestSEC_S79_ParallelRedeem(t *testing.T) {
	e := newEnv(t)
	nodes := []*env{e, e.second()}
	code := e.finish(scopes("openid", "offline_access"))
	replies := parallel(50, func(i int) *reply { return nodes[i%2].post(tokenPath, redemption(code)) })
	won := 0
	for _, r := range replies {
		if r.Status == 200 {
			won++
			continue
		}
		wantRefusal(t, r, 400, "invalid_grant", "The interaction code is invalid or has expired.")
	}
	if won != 1 || len(e.store.families) != 1 {
		t.Errorf("%d of 50 succeeded, %d families", won, len(e.store.families))
	}
}

func parallel(n int, f func(int) *reply) []*reply {
	out := make([]*reply, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i] = f(i) })
	}
	wg.Wait()
	return out
}

// The budget of a redemption: the interaction and one audit row, and a family
// if there is a refresh token; two reads once clients and keys are known.
func TestREL_R22_RedemptionBudget(t *testing.T) {
	e := newEnv(t)
	e.redeem()
	for _, c := range []struct {
		scope  string
		writes int
	}{{"openid", 2}, {"offline_access", 3}} {
		code := e.finish(scopes(c.scope))
		reads, writes := e.store.readRows, e.store.writes
		if r := e.post(tokenPath, redemption(code)); r.Status != 200 {
			t.Fatal(r.Raw)
		}
		if got := [2]int{e.store.readRows - reads, e.store.writes - writes}; got != [2]int{2, c.writes} {
			t.Errorf("%s: %d reads, %d writes", c.scope, got[0], got[1])
		}
	}
}

func TestAuditOfGrants(t *testing.T) {
	e := newEnv(t)
	before := len(e.store.audit)
	code := e.finish(scopes("openid", "offline_access"), func(i *Interaction) { i.ID = "tx1" })
	e.post(tokenPath, redemption(code), "User-Agent", "Agent/1\n")
	if len(e.store.audit) != before+1 {
		t.Fatalf("%d rows", len(e.store.audit)-before)
	}
	row := e.store.audit[before]
	var types []string
	for _, ev := range row.Events {
		types = append(types, ev.Type)
		if ev.Actor != userID || ev.Client != spaID || ev.Transaction != "tx1" || ev.Outcome != "SUCCESS" || ev.IP != "192.0.2.1" ||
			ev.RequestID == "" || !ev.At.Equal(start) || ev.UserAgent != "Agent/1" {
			t.Errorf("%+v", ev)
		}
	}
	want := []string{"app.oauth2.token.grant.access_token", "app.oauth2.token.grant.id_token", "app.oauth2.token.grant.refresh_token"}
	if !slices.Equal(types, want) {
		t.Errorf("events %v", types)
	}
}

// A user's words in claims change no other claim (SEC S-98).
func TestSEC_S98_ReservedClaims(t *testing.T) {
	e := newEnv(t)
	e.store.edit(func(r *memoryRows) {
		a := r.accounts[userID]
		a.FirstName = `","sub":"00uEvil","x":"`
		a.Attributes = map[string]string{"sub": "00uEvil", "iss": "evil", "scp": "admin", "timezone": `"}`}
		r.accounts[userID] = a
	})
	r := e.redeem()
	id := payload(t, r.text("id_token"))
	if id["sub"] != userID || id["iss"] != issuerURL || id["given_name"] != `","sub":"00uEvil","x":"` {
		t.Errorf("%v", id)
	}
	if access := payload(t, r.text("access_token")); fmt.Sprint(access["scp"]) != "[openid profile email]" {
		t.Errorf("%v", access)
	}
}
