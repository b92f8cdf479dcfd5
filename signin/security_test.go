package signin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// hostile are ways to write an address of another origin, or script (SEC S-72).
func hostile() []string {
	var all []string
	for _, host := range []string{"evil.example", "evil.example:443", "[2001:db8::1]", "0x7f000001", "2130706433", "evil。example", "user:pw@evil.example"} {
		for _, form := range []string{
			"//%", "///%", "////%", `\\%`, `/\%`, `\/%`, `/\/%`, `//\%`, "http://%", "https://%", "HTTPS://%", "https:/%", "https:%", "https:\\\\%",
			" //%", "\t//%", "/\t/%", "/\n/%", "/\r\n/%", "\x00//%", "/\x00/%", "/ /%", "//%/..", "//%@/", "/@%", "/x@%", "//x@%",
			"/\u200b/%", "/\u00a0/%", "\ufeff//%", "/\u202e/%", "ftp://%", "//%?a", "//%#a", "/./%//", "/a//%",
		} {
			all = append(all, strings.ReplaceAll(form, "%", host))
		}
	}
	return append(all, "", "a", "app", "?a", "#a", ".", "..", "javascript:alert(1)", "JavaScript:alert(1)", "java\nscript:alert(1)",
		"data:text/html,x", "vbscript:x", "blob:x", "mailto:a@b.c", "/\xff", "/\u2028", "/"+strings.Repeat("a", 2000), "/a b", "/a\\b", "/a?b\\c", "/a\x7f")
}

func TestSEC_S72_ReturnTo(t *testing.T) {
	refused := hostile()
	if len(refused) < 200 {
		t.Fatalf("only %d payloads", len(refused))
	}
	for _, s := range refused {
		if localPath(s) {
			t.Errorf("%q may be redirected to", s)
		}
	}
	for _, s := range []string{
		"/", "/app", "/app/", "/app?tab=1&next=https://x.example/", "/app#part", "/%40ada", "/äöü", "/a.b/c-d_e~f", "/a:b", "/?", "/.well-known/x",
	} {
		if !localPath(s) {
			t.Errorf("%q may not be redirected to", s)
		}
	}
}

func FuzzSEC_S72_ReturnTo(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Add("/app?x=1#y")
	base, err := url.Parse("https://app.example/login/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !localPath(s) {
			return
		}
		// What browsers do: drop tabs and line ends, read a backslash as a slash.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(s))
		to, err := base.Parse(seen)
		if err != nil {
			return // no browser gets an address that does not parse from our Location
		}
		if to.Scheme != "https" || to.Host != "app.example" || to.User != nil {
			t.Errorf("%q leads to %s", s, to)
		}
	})
}

func newTestCookies(t testing.TB, secret, client string) *cookies {
	t.Helper()
	c, err := newCookies([]byte(secret), client, true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSEC_S63_Cookies(t *testing.T) {
	c := newTestCookies(t, "secret", "client")
	put := func(c *cookies, name, value string) []*http.Cookie {
		v := &visit{r: httptest.NewRequest(http.MethodGet, "/", nil), cookies: c}
		if err := v.put(name, value, time.Hour); err != nil {
			t.Fatal(err)
		}
		return v.setting
	}
	get := func(c *cookies, name string, sent ...*http.Cookie) (string, error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, s := range sent {
			r.AddCookie(s)
		}
		var value string
		err := (&visit{r: r, cookies: c}).get(name, &value)
		return value, err
	}
	small := put(c, "s", "value")
	if len(small) != 1 || !strings.HasPrefix(small[0].Name, "__Host-stile-") || !small[0].Secure || !small[0].HttpOnly ||
		small[0].Path != "/" || small[0].Domain != "" || small[0].SameSite != http.SameSiteLaxMode || strings.Contains(small[0].Value, "value") {
		t.Errorf("cookie %v", small)
	}
	if got, err := get(c, "s", small...); got != "value" || err != nil {
		t.Errorf("opened %q, %v", got, err)
	}

	// Random text does not compress, so it takes several cookies.
	secret := strings.Repeat(newFlowID(), 1)
	for len(secret) < 9000 {
		secret += newFlowID()
	}
	large := put(c, "s", secret)
	if len(large) < 2 {
		t.Fatalf("%d cookies", len(large))
	}
	for _, one := range large {
		if n := len(one.Name) + len(one.Value); n > 4000 {
			t.Errorf("a cookie of %d bytes", n)
		}
	}
	if got, err := get(c, "s", large...); got != secret || err != nil {
		t.Errorf("a long value comes back with %d bytes, %v", len(got), err)
	}

	t.Run("tampered", func(t *testing.T) {
		flipped := *small[0]
		flipped.Value = flipped.Value[:10] + "AAAA" + flipped.Value[14:]
		moved := *small[0]
		moved.Name = c.prefix + "l"
		for name, try := range map[string]func() (string, error){
			"changed":        func() (string, error) { return get(c, "s", &flipped) },
			"another name":   func() (string, error) { return get(c, "l", &moved) },
			"another key":    func() (string, error) { return get(newTestCookies(t, "other", "client"), "s", small...) },
			"another client": func() (string, error) { return get(newTestCookies(t, "secret", "other"), "s", small...) },
			"a part missing": func() (string, error) { return get(c, "s", large[0]) },
			"absent":         func() (string, error) { return get(c, "s") },
		} {
			if got, err := try(); err == nil {
				t.Errorf("%s: opened %q", name, got)
			}
		}
	})
	t.Run("D33 two clients", func(t *testing.T) {
		if a, b := c.prefix, newTestCookies(t, "secret", "other").prefix; a == b {
			t.Errorf("both have %s", a)
		}
	})
	t.Run("same name, shorter value", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, s := range large {
			r.AddCookie(s)
		}
		v := &visit{r: r, cookies: c}
		if err := v.put("s", "short", 0); err != nil {
			t.Fatal(err)
		}
		gone := 0
		for _, s := range v.setting {
			if s.MaxAge < 0 {
				gone++
			}
		}
		if gone != len(large)-1 {
			t.Errorf("takes %d of %d parts back", gone, len(large)-1)
		}
	})
}

func FuzzSEC_S140_OpenCookie(f *testing.F) {
	c, err := newCookies([]byte("secret"), "client", true)
	if err != nil {
		f.Fatal(err)
	}
	good, err := c.seal("s", &session{Access: "token"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("1." + good)
	f.Add("2." + good)
	f.Add(good)
	f.Add("")
	f.Add("1.")
	f.Add("99999999999999999999." + good)
	f.Add("-1." + good)
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", c.prefix+"s="+text)
		v := &visit{r: r, cookies: c}
		var s session
		if err := v.get("s", &s); err == nil && s.Access != "token" {
			t.Errorf("%q opens to %+v", text, s)
		}
	})
}
