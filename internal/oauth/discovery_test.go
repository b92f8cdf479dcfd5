package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiscovery(t *testing.T) {
	e := newEnv(t)
	for name, path := range map[string]string{
		"discovery-default": "/oauth2/default/.well-known/openid-configuration",
		"discovery-org":     "/.well-known/openid-configuration",
	} {
		r := e.get(path + "?client_id=ignored")
		if r.Status != http.StatusOK || r.Header.Get("Cache-Control") != "max-age=86400, must-revalidate" || r.Header.Get("Pragma") != "" {
			t.Errorf("%s: %d %v", path, r.Status, r.Header)
		}
		golden(t, name, r.Body)
	}
	for _, same := range [][2]string{
		{"/oauth2/default/.well-known/oauth-authorization-server", "/oauth2/default/.well-known/openid-configuration"},
		{"/.well-known/oauth-authorization-server/oauth2/default", "/oauth2/default/.well-known/openid-configuration"},
		{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
	} {
		if a, b := e.get(same[0]), e.get(same[1]); a.Raw != b.Raw || a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", same[0], a.Status, a.Raw)
		}
	}
}

func TestIDX_C01_C02_DiscoveryAgreesWithTokens(t *testing.T) {
	e := newEnv(t)
	for server, base := range map[string]string{DefaultServer: "/oauth2/default", OrgServer: ""} {
		d := e.get(base + "/.well-known/openid-configuration")
		methods, _ := d.Body["code_challenge_methods_supported"].([]any)
		if !slices.Contains(methods, any("S256")) {
			t.Errorf("%s: methods %v", server, methods)
		}
		token := strings.TrimPrefix(d.text("token_endpoint"), publicURL)
		r := e.post(token, redemption(e.finish(func(i *Interaction) { i.Server = server })))
		for _, name := range []string{"id_token", "access_token"} {
			if iss := payload(t, r.text(name))["iss"]; iss != d.text("issuer") || iss != e.server.Issuer(server) {
				t.Errorf("%s: iss of %s is %v, discovery says %v", server, name, iss, d.text("issuer"))
			}
		}
		if d.text("token_endpoint") != e.server.TokenURL(server) {
			t.Errorf("%s: token endpoint %s", server, d.text("token_endpoint"))
		}
	}
}

// Whatever discovery names is there, and nothing that has an endpoint is left out.
func TestSEC_S97_DiscoveryIsTheRouter(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/oauth2/default/.well-known/openid-configuration", "/.well-known/openid-configuration"} {
		d := e.get(path)
		var found []string
		for name, v := range d.Body {
			raw, _ := v.(string)
			if raw == "" || name == "issuer" {
				continue
			}
			if !strings.HasPrefix(raw, publicURL+"/") {
				t.Errorf("%s is not on the public URL: %s", name, raw)
			}
			method := http.MethodPost
			if name == "jwks_uri" || name == "userinfo_endpoint" || name == "end_session_endpoint" {
				method = http.MethodGet
			}
			r := e.do(request(method, strings.TrimPrefix(raw, publicURL), ""))
			if r.Status == http.StatusNotFound || r.Status == http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, raw, r.Status)
			}
			found = append(found, name)
		}
		slices.Sort(found)
		want := []string{"end_session_endpoint", "introspection_endpoint", "jwks_uri", "revocation_endpoint", "token_endpoint", "userinfo_endpoint"}
		if !slices.Equal(found, want) {
			t.Errorf("endpoints %v, want %v", found, want)
		}
		for _, g := range d.Body["grant_types_supported"].([]any) {
			r := e.post("/oauth2/default/v1/token", form("client_id", spaID, "grant_type", g.(string)))
			if r.text("error") == "unsupported_grant_type" {
				t.Errorf("grant %s is listed and unsupported", g)
			}
		}
	}
	if r := e.get("/oauth2/default/v1/authorize"); r.Status != http.StatusNotFound {
		t.Errorf("authorize exists (%d) and is not in discovery", r.Status)
	}
}

func TestREL_R12_DiscoveryAndKeysOutliveTheStore(t *testing.T) {
	e := newEnv(t)
	keys := e.get("/oauth2/default/v1/keys")
	e.store.setFail(errors.New("down"))
	e.clock.Move(23 * time.Hour)
	if r := e.get("/oauth2/default/.well-known/openid-configuration"); r.Status != http.StatusOK {
		t.Errorf("discovery: %d", r.Status)
	}
	if r := e.get("/oauth2/default/v1/keys"); r.Status != http.StatusOK || r.Raw != keys.Raw {
		t.Errorf("keys: %d %s", r.Status, r.Raw)
	}
	if r := e.post(tokenPath, redemption("ic.x")); r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("token: %d %s", r.Status, r.Raw)
	}
	e.clock.Move(2 * time.Hour)
	if r := e.get("/oauth2/default/v1/keys"); r.Status == http.StatusOK {
		t.Error("keys published for more than a day without the store")
	}
}

func TestConfig(t *testing.T) {
	good := newEnv(t).config
	for name, edit := range map[string]func(*Config){
		"path":            func(c *Config) { c.PublicURL = "https://id.example.com/auth" },
		"slash":           func(c *Config) { c.PublicURL = "https://id.example.com/" },
		"no scheme":       func(c *Config) { c.PublicURL = "id.example.com" },
		"user":            func(c *Config) { c.PublicURL = "https://u@id.example.com" },
		"query":           func(c *Config) { c.PublicURL = "https://id.example.com?x" },
		"no store":        func(c *Config) { c.Store = nil },
		"server id":       func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a/b"}} },
		"reserved id":     func(c *Config) { c.Servers = []AuthorizationServer{{ID: "v1"}} },
		"twice":           func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a"}, {ID: "a"}} },
		"algorithm":       func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", AccessTokenAlg: "HS256"}} },
		"audience as id":  func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", Audience: webID}} },
		"long life":       func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", AccessTokenLife: 25 * time.Hour}} },
		"short life":      func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", IDTokenLife: time.Minute}} },
		"long grace":      func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", RefreshGrace: 61 * time.Second}} },
		"unknown grant":   func(c *Config) { c.Servers = []AuthorizationServer{{ID: "a", Grants: []string{"password"}}} },
		"no interactions": func(c *Config) { c.Interactions = nil },
		"no sessions":     func(c *Config) { c.Sessions = nil },
	} {
		c := good
		edit(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
