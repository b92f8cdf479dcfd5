package edge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

const trusted = "https://app.example.com"

func trusts(_ context.Context, origin string) bool { return origin == trusted }

func TestCORS(t *testing.T) {
	for name, c := range map[string]struct {
		edge.CORS
		methods, exposed string
	}{
		"as the IDX protocol": {
			edge.CORS{Trusts: trusts}, "GET, POST, OPTIONS",
			"x-okta-request-id, x-rate-limit-limit, x-rate-limit-remaining, x-rate-limit-reset, retry-after, www-authenticate, dpop-nonce",
		},
		"of its own": {
			edge.CORS{Trusts: trusts, Methods: []string{"GET", "POST", "PUT", "DELETE"}, Exposed: []string{"WWW-Authenticate"}},
			"GET, POST, PUT, DELETE, OPTIONS", "WWW-Authenticate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			door := c.Handler(ok)
			w := serve(door, http.MethodGet, "Origin", trusted)
			h := w.Header()
			if w.Code != 200 || h.Get("Access-Control-Allow-Origin") != trusted || h.Get("Access-Control-Allow-Credentials") != "true" ||
				h.Get("Access-Control-Expose-Headers") != c.exposed || h.Get("Vary") != "Origin" {
				t.Errorf("%d %v", w.Code, h)
			}
			w = serve(door, http.MethodOptions, "Origin", trusted, "Access-Control-Request-Method", "PUT")
			h = w.Header()
			if w.Code != 204 || h.Get("Access-Control-Allow-Methods") != c.methods || h.Get("Access-Control-Max-Age") != "600" ||
				!strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization") {
				t.Errorf("preflight: %d %v", w.Code, h)
			}
		})
	}
}

func TestSEC_S70_UntrustedOrigins(t *testing.T) {
	teapot := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	for name, c := range map[string]struct {
		header            []string
		status, preflight int
		refuse            http.HandlerFunc
	}{
		"none":            {nil, 200, 200, nil}, // without an origin there is no preflight
		"foreign":         {[]string{"Origin", "https://evil.example"}, 200, 403, nil},
		"two":             {[]string{"Origin", trusted, "Origin", trusted}, 200, 403, nil},
		"refused its way": {[]string{"Origin", "null"}, 200, http.StatusTeapot, teapot},
	} {
		t.Run(name, func(t *testing.T) {
			door := edge.CORS{Trusts: trusts, Refuse: c.refuse}.Handler(ok)
			plain := serve(door, http.MethodGet, c.header...)
			pre := serve(door, http.MethodOptions, append(c.header, "Access-Control-Request-Method", "GET")...)
			if plain.Code != c.status || pre.Code != c.preflight {
				t.Errorf("%d, preflight %d", plain.Code, pre.Code)
			}
			for _, w := range []http.Header{plain.Header(), pre.Header()} {
				if w.Get("Vary") != "Origin" {
					t.Errorf("Vary %q", w.Get("Vary"))
				}
				for name := range w {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Error(name)
					}
				}
			}
		})
	}
}

func TestAnyOrigin(t *testing.T) {
	for _, header := range [][]string{nil, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		h := serve(edge.AnyOrigin(ok), http.MethodGet, header...).Header()
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%v: %v", header, h)
		}
	}
	w := serve(edge.AnyOrigin(ok), http.MethodOptions, "Origin", "null", "Access-Control-Request-Method", "GET")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
}

func TestOriginOf(t *testing.T) {
	for raw, want := range map[string]string{
		"https://App.Example.com:443/cb?x=1": "https://app.example.com", "http://localhost:80/": "http://localhost",
		"http://localhost:8080/cb": "http://localhost:8080", "https://[2001:db8::1]:8443/": "https://[2001:db8::1]:8443",
		"http://app.example.com:443": "http://app.example.com:443",
		"com.example.app:/cb":        "", "null": "", "": "", "/cb": "", "https://%zz": "",
	} {
		if got := edge.OriginOf(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
