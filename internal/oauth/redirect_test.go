package oauth

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

func TestSEC_S75_RedirectURIRegistration(t *testing.T) {
	for _, uri := range []string{
		"https://app.example.com/cb", "https://app.example.com", "https://app.example.com:8443/cb?tenant=a%2Fb",
		"https://xn--bcher-kva.example/cb", "https://203.0.113.7/cb", "https://[2001:db8::1]:8443/cb",
		"http://localhost:8080/login/callback", "http://127.0.0.1/cb", "http://[::1]:5000/cb", "http://app.localhost/cb",
		"https://app.example.com/cb?codes=1", "https://App.Example.com/CB",
	} {
		if err := ValidateRedirectURI(uri, false); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{"com.example.app:/callback", "com.example.app://callback"} {
		if err := ValidateRedirectURI(uri, true); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		if ValidateRedirectURI(uri, false) == nil {
			t.Errorf("%s: a confidential client has no private-use scheme", uri)
		}
	}
	for _, uri := range refusedURIs {
		if ValidateRedirectURI(uri, true) == nil {
			t.Errorf("accepted %q", uri)
		}
	}
}

var refusedURIs = []string{
	"", "/cb", "cb", "//app.example.com/cb", "app.example.com/cb", "https:///cb", "https:app.example.com", "https://",
	"https://*.example.com/cb", "https://app.example.com/*", "https://app.example.com/cb#", "https://app.example.com/cb#x",
	"https://user@app.example.com/cb", "https://user:pw@app.example.com/cb", "https://app.example.com@evil.example/cb",
	"javascript:alert(1)", "JavaScript://app.example.com/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "blob:https://app.example.com/x",
	"vbscript:x", "about:blank", "ftp://app.example.com/cb", "HTTPS://app.example.com/cb",
	"http://app.example.com/cb", "http://localhost.example.com/cb", "http://127.0.0.1.example.com/cb", "http://0.0.0.0/cb",
	"https://app.example.com/cb?code=1", "https://app.example.com/cb?x=1&state=2", "https://app.example.com/cb?iss=x",
	"https://app.example.com/cb?error=x", "https://app.example.com/cb?interaction_code=x", "https://app.example.com/cb?%63ode=x", "https://app.example.com/cb?otp=1",
	"https://app.example.com/cb?a;b", "https://app.example.com\\@evil.example/cb", "https://app.example.com/a b", " https://app.example.com/cb",
	"https://app.example.com/cb\n", "https://app.example.com/\x00", "https://bücher.example/cb", "https://app..example.com/cb", "https://.example.com/cb",
	"https://app.example.com:0/cb", "https://app.example.com:99999/cb", "https://app.example.com:/cb", "https://app.example.com:x/cb",
	"https://[::1/cb", "https://[fe80::1%25eth0]/cb", "https://[127.0.0.1]/cb", "https://app_example.com/cb%zz",
	"https://app.example.com/" + strings.Repeat("a", maxURI),
}

func TestSEC_S75_RedirectURIMatch(t *testing.T) {
	secret := [][]byte{HashSecret("x")}
	for _, c := range []struct {
		registered, uri string
		public, private bool // whether a public and a confidential client may use it
	}{
		{"https://app.example.com/cb", "https://app.example.com/cb", true, true},
		{"https://app.example.com/cb", "https://app.example.com/cb/", false, false},
		{"https://app.example.com/cb", "https://app.example.com/CB", false, false},
		{"https://app.example.com/cb", "https://APP.example.com/cb", false, false},
		{"https://app.example.com/cb", "https://app.example.com:443/cb", false, false},
		{"https://app.example.com/cb", "https://app.example.com/cb?x", false, false},
		{"https://app.example.com/cb", "https://app.example.com/x/../cb", false, false},
		{"https://app.example.com/cb", "https://app.example.com/%63b", false, false},
		{"https://app.example.com/cb", "https://app.example.com/cb#", false, false},
		{"https://app.example.com/cb?a=1", "https://app.example.com/cb", false, false},
		{"https://app.example.com/cb?a=1", "https://app.example.com/cb?a=1", true, true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true, false},
		{"http://127.0.0.1:80/cb", "http://127.0.0.1:49152/cb", true, false},
		{"http://[::1]/cb", "http://[::1]:49152/cb", true, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:49152/other", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:49152@evil.example/cb", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false, false},
		{"http://127.0.0.1/cb", "http://127.0.0.2:1/cb", false, false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:1/cb", false, false},
		{"http://127.0.0.1/cb", "http://[::1]:1/cb", false, false},
		{"http://localhost/cb", "http://localhost:1/cb", false, false}, // RFC 8252 §8.3: a name, not an address
	} {
		public := &Client{RedirectURIs: []string{"https://else.example.com/", c.registered}}
		private := &Client{RedirectURIs: public.RedirectURIs, Secrets: secret}
		if public.AllowsRedirect(c.uri) != c.public || private.AllowsRedirect(c.uri) != c.private {
			t.Errorf("%s for %s: public %v, confidential %v", c.uri, c.registered, public.AllowsRedirect(c.uri), private.AllowsRedirect(c.uri))
		}
	}
}

func FuzzRedirectURI(f *testing.F) {
	for _, uri := range refusedURIs {
		f.Add(uri)
	}
	f.Add("https://app.example.com/cb?x=1")
	f.Add("http://127.0.0.1:8080/cb")
	f.Add("com.example.app:/cb")
	f.Add("h.000:/000000@0")
	f.Fuzz(func(t *testing.T, uri string) {
		if ValidateRedirectURI(uri, true) != nil {
			if ValidateRedirectURI(uri, false) == nil {
				t.Fatalf("%q is refused for public clients alone", uri)
			}
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme == "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(uri, "#*\\ \r\n\t") {
			t.Fatalf("accepted %q as %+v (%v)", uri, u, err)
		}
		if slices.Contains([]string{"javascript", "data", "file", "blob"}, u.Scheme) {
			t.Fatalf("accepted %q", uri)
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			t.Fatalf("accepted plain http to %q", u.Hostname())
		}
		c := &Client{RedirectURIs: []string{uri}}
		if !c.AllowsRedirect(uri) || c.AllowsRedirect(uri+"x") || c.AllowsRedirect(uri+"#x") {
			t.Fatalf("%q does not match itself alone", uri)
		}
		if o := edge.OriginOf(uri); o != "" && edge.OriginOf(o) != o {
			t.Fatalf("origin of %q is %q, whose origin is %q", uri, o, edge.OriginOf(o))
		}
		// what is appended stays readable
		q := u.Query()
		q.Set("state", "s")
		u.RawQuery = q.Encode()
		if again, err := url.Parse(u.String()); err != nil || again.Query().Get("state") != "s" {
			t.Fatalf("%q cannot take parameters: %v", uri, err)
		}
	})
}

func TestRegistration(t *testing.T) {
	good := Client{ID: "0oaX", RedirectURIs: []string{webCallback}}
	for name, edit := range map[string]func(*Client){
		"id with a colon":    func(c *Client) { c.ID = "a:b" },
		"id like an URI":     func(c *Client) { c.ID = "api://default" },
		"name":               func(c *Client) { c.Name = "a\nb" },
		"no redirect":        func(c *Client) { c.RedirectURIs = nil },
		"bad redirect":       func(c *Client) { c.RedirectURIs = []string{"http://app.example.com"} },
		"bad logout":         func(c *Client) { c.PostLogoutRedirectURIs = []string{"javascript:x"} },
		"bad email callback": func(c *Client) { c.EmailCallbackURI = "https://app.example.com/#x" },
		"grant":              func(c *Client) { c.GrantTypes = []string{"password"} },
		"origin with path":   func(c *Client) { c.TrustedOrigins = []string{"https://app.example.com/"} },
		"origin upper case":  func(c *Client) { c.TrustedOrigins = []string{"https://App.example.com"} },
		"origin port":        func(c *Client) { c.TrustedOrigins = []string{"https://app.example.com:443"} },
		"origin null":        func(c *Client) { c.TrustedOrigins = []string{"null"} },
		"origin wildcard":    func(c *Client) { c.TrustedOrigins = []string{"*"} },
		"origin http":        func(c *Client) { c.TrustedOrigins = []string{"http://app.example.com"} },
		"algorithm":          func(c *Client) { c.IDTokenAlg = "none" },
		"sign-up":            func(c *Client) { c.SignUp = "yes" },
		"enumeration":        func(c *Client) { c.Enumeration = "strict" },
		"three secrets":      func(c *Client) { c.Secrets = [][]byte{HashSecret("a"), HashSecret("b"), HashSecret("c")} },
		"plain secret":       func(c *Client) { c.Secrets = [][]byte{[]byte("secret")} },
	} {
		c := good
		edit(&c)
		if _, _, err := NewClient(c, len(c.Secrets) > 0, start); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	public, secret, err := NewClient(Client{RedirectURIs: []string{spaCallback}}, false, start)
	if err != nil || secret != "" || !public.Public() || !strings.HasPrefix(public.ID, "0oa") || !public.CreatedAt.Equal(start) {
		t.Errorf("public: %+v %q %v", public, secret, err)
	}
	confidential, secret, err := NewClient(Client{RedirectURIs: []string{webCallback}}, true, start)
	if err != nil || secret == "" || confidential.Public() || !confidential.authenticates(secret) {
		t.Errorf("confidential: %+v %v", confidential, err)
	}
	if !slices.Equal(confidential.GrantTypes, knownGrants) {
		t.Errorf("grants %v", confidential.GrantTypes)
	}
}
