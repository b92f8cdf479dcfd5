package oauth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

var corsRoutes = []struct {
	method, path string
	body         string
}{
	{http.MethodPost, "/oauth2/default/v1/interact", ""},
	{http.MethodPost, "/oauth2/default/v1/token", "grant_type=x"},
	{http.MethodGet, "/oauth2/default/v1/userinfo", ""},
	{http.MethodPost, "/oauth2/default/v1/userinfo", ""},
	{http.MethodPost, "/oauth2/default/v1/introspect", ""},
	{http.MethodPost, "/oauth2/default/v1/revoke", "token=x"},
	{http.MethodPost, "/oauth2/v1/interact", interaction().Encode()},
	{http.MethodPut, "/oauth2/default/v1/token", ""},
}

func TestIDX_C17_CORS(t *testing.T) {
	const exposed = "x-okta-request-id, x-rate-limit-limit, x-rate-limit-remaining, x-rate-limit-reset, " +
		"retry-after, www-authenticate, dpop-nonce"
	e := newEnv(t)
	for _, origin := range []string{"https://app.example.com", "http://localhost:8081", "https://admin.example.com", "http://127.0.0.1"} {
		for _, c := range corsRoutes {
			r := e.do(request(c.method, c.path, c.body, "Origin", origin))
			h := r.Header
			if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
				t.Errorf("%s %s from %s: %d %v", c.method, c.path, origin, r.Status, h)
			}
			if h.Get("Access-Control-Expose-Headers") != exposed {
				t.Errorf("%s: exposed %q", c.path, h.Get("Access-Control-Expose-Headers"))
			}
		}
	}
}

func TestIDX_C18_Preflight(t *testing.T) {
	e := newEnv(t)
	for _, c := range corsRoutes {
		r := e.do(request(http.MethodOptions, c.path, "", "Origin", "http://localhost:8081",
			"Access-Control-Request-Method", c.method, "Access-Control-Request-Headers", "content-type,x-okta-user-agent-extended"))
		if r.Status != http.StatusNoContent || r.Raw != "" {
			t.Errorf("%s: %d %q", c.path, r.Status, r.Raw)
		}
		for _, want := range []string{"content-type", "authorization", "x-okta-user-agent-extended", "accept", "accept-language", "x-device-token", "x-device-fingerprint", "dpop", "x-requested-with"} {
			if !strings.Contains(", "+r.Header.Get("Access-Control-Allow-Headers")+",", ", "+want+",") {
				t.Errorf("%s: %s is not allowed", c.path, want)
			}
		}
		if r.Header.Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" || r.Header.Get("Access-Control-Max-Age") != "600" {
			t.Errorf("%s: %v", c.path, r.Header)
		}
	}
	if len(e.flow.begun) != 0 {
		t.Error("a preflight began a transaction")
	}
}

func TestSEC_S70_ForeignOrigins(t *testing.T) {
	e := newEnv(t)
	for _, origin := range []string{
		"null", "*", "https://app.example.com.evil.example", "https://evil-app.example.com", "https://evil.example", "https://APP.example.com",
		"http://app.example.com", "https://app.example.com:8443", "https://app.example.com:443", "https://app.example.com/", "app.example.com",
		"https://app.example.co", "https://app.example.comm", "https://sub.app.example.com", "http://localhost", "http://localhost:80810", publicURL,
		"https://app.example.com, https://evil.example", " https://app.example.com",
	} {
		for _, c := range corsRoutes {
			for _, preflight := range []bool{false, true} {
				r := request(c.method, c.path, c.body)
				if preflight {
					r = request(http.MethodOptions, c.path, "", "Access-Control-Request-Method", c.method)
				}
				r.Header["Origin"] = []string{origin}
				got := e.do(r)
				for name := range got.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s from %q: %s", c.path, origin, name)
					}
				}
				if got.Header.Get("Vary") != "Origin" {
					t.Errorf("%s from %q: Vary %q", c.path, origin, got.Header.Get("Vary"))
				}
				if preflight && got.Status != http.StatusForbidden {
					t.Errorf("%s from %q: preflight %d", c.path, origin, got.Status)
				}
			}
		}
	}
	two := request(http.MethodPost, tokenPath, "")
	two.Header["Origin"] = []string{"https://app.example.com", "https://evil.example"}
	if got := e.do(two); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("two Origin headers got an answer")
	}
}

func TestSEC_S70_DiscoveryAndKeysAreForAll(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/oauth2/default/.well-known/openid-configuration", "/oauth2/default/v1/keys", "/oauth2/v1/keys"} {
		for _, origin := range []string{"https://app.example.com", "https://evil.example", "null", ""} {
			r := e.get(path, "Origin", origin)
			h := r.Header
			if r.Status != 200 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %q: %d %v", path, origin, r.Status, h)
			}
		}
		r := e.do(request(http.MethodOptions, path, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET"))
		if r.Status != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "x-okta-user-agent-extended") {
			t.Errorf("%s: preflight %d %v", path, r.Status, r.Header)
		}
	}
}

// Where the store does not answer, an error must still reach the script.
func TestCORSWithoutTheStore(t *testing.T) {
	e := newEnv(t)
	e.post(tokenPath, nil, "Origin", "https://app.example.com")
	e.store.setFail(errors.New("down"))
	e.clock.Move(time.Hour)
	r := e.post(tokenPath, redemption("x"), "Origin", "https://app.example.com")
	if r.Status != http.StatusServiceUnavailable || r.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

func TestIDX_C16_SEC_S69_Headers(t *testing.T) {
	e := newEnv(t)
	seen := map[string]bool{}
	for _, c := range append(corsRoutes, []struct{ method, path, body string }{
		{http.MethodGet, "/oauth2/default/v1/keys", ""},
		{http.MethodGet, "/.well-known/openid-configuration", ""},
		{http.MethodGet, "/nowhere", ""},
		{http.MethodGet, "/oauth2/default/v1/token", ""},
		{http.MethodOptions, "/oauth2/default/v1/token", ""},
		{http.MethodHead, "/oauth2/default/v1/keys", ""},
	}...) {
		r := e.do(request(c.method, c.path, c.body, "X-Request-Id", "from outside"))
		h := r.Header
		id := h.Get("X-Okta-Request-Id")
		if id == "" || seen[id] || h.Get("X-Request-Id") != id || id == "from outside" {
			t.Errorf("%s %s: request id %q", c.method, c.path, id)
		}
		seen[id] = true
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s %s: %s %q", c.method, c.path, name, h.Get(name))
			}
		}
		cacheable := r.Status == 200 && (strings.HasSuffix(c.path, "/keys") || strings.Contains(c.path, ".well-known"))
		if noStore := h.Get("Cache-Control") == "no-cache, no-store" && h.Get("Pragma") == "no-cache" && h.Get("Expires") == "0"; noStore == cacheable {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
		if len(h.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: a cookie", c.path)
		}
	}
	r := e.get("/oauth2/default/v1/token")
	if r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "POST, OPTIONS" || r.text("errorCode") != "E0000022" {
		t.Errorf("GET token: %d %s", r.Status, r.Raw)
	}
	if r := e.get("/oauth2/unknown/v1/token"); r.Status != http.StatusNotFound || r.text("errorCode") != "E0000007" {
		t.Errorf("unknown server: %d %s", r.Status, r.Raw)
	}
}
