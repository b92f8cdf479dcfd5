package signin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
)

func TestUX_G50_Back(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	form := b.get("/login/sign-up")
	code := form.press("create", "firstName", "Ada", "lastName", "Lovelace", "email", ada).is("email-code")
	t.Run("the form is filled in, and goes on", func(t *testing.T) {
		back := b.get(form.url.RequestURI()).is("sign-up")
		if back.value("firstName") != "Ada" || back.value("lastName") != "Lovelace" || back.value("email") != ada {
			t.Errorf("filled in: %q %q %q", back.value("firstName"), back.value("lastName"), back.value("email"))
		}
		back.press("create").is("email-code")
	})
	t.Run("the same page pressed again sends no mail", func(t *testing.T) {
		before := len(s.engine.mails)
		again := form.press("create", "firstName", "Ada", "lastName", "Lovelace", "email", ada).is("email-code")
		if again.url.Query().Get("flow") != code.url.Query().Get("flow") || len(s.engine.mails) != before {
			t.Errorf("went to %s with %d more mails", again.url, len(s.engine.mails)-before)
		}
	})
	t.Run("back to the code page after it", func(t *testing.T) {
		list := code.press("continue", "verificationCode", s.engine.lastMail(ada).code)
		if list.page() != "select-authenticator" {
			// Another mail of this address belongs to the flow that was begun anew above.
			list = code.press("continue", "verificationCode", s.engine.mails[0].code).is("select-authenticator")
		}
		b.get(code.url.RequestURI()).is("select-authenticator")
		code.press("continue", "verificationCode", "123456").is("select-authenticator")
	})
	t.Run("at the end", func(t *testing.T) {
		b.get(code.url.RequestURI()).press("skip")
		b.get(code.url.RequestURI()).is("already-signed-in")
		if v := code.press("continue", "verificationCode", "1"); !strings.HasPrefix(v.html, "app /") {
			t.Errorf("a late press leads to %s", v.url)
		}
	})
}

func TestUX_G51_TooOld(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	code := b.get("/deep/link?x=1").is("sign-in").press("next", "identifier", ada).is("email-code")
	s.engine.set(func() { clear(s.engine.flows) }) // the engine has forgotten it
	old := b.get(code.url.RequestURI()).is("too-old").says("This page is too old", "Start again", "Reference:")
	if old.status != http.StatusGone {
		t.Errorf("status %d", old.status)
	}
	code.press("continue", "verificationCode", "123456").is("too-old")
	again := old.press("restart").is("sign-in")
	if again.value("identifier") != ada {
		t.Errorf("filled in with %q", again.value("identifier"))
	}
	s.engine.set(func() { s.engine.users[ada] = true })
	last := again.press("next").is("email-code").press("continue", "verificationCode", s.engine.lastMail(ada).code)
	if !strings.HasPrefix(last.html, "app /deep/link?x=1") {
		t.Errorf("UX P6.2: landed at %s", last.url)
	}

	t.Run("a browser that never had it", func(t *testing.T) {
		other := s.browser()
		other.get("/login/step?flow=abcdefghijklmnop").is("too-old").follow("Start again").is("sign-in")
		other.get("/login/step").is("too-old")
		s.clock.Advance(2 * time.Minute)
		other.get(code.url.RequestURI()).is("too-old")
	})
	t.Run("its cookie is a day old", func(t *testing.T) {
		v := s.browser().signIn("grace@example.com")
		s.clock.Advance(25 * time.Hour)
		v.b.get(v.url.RequestURI()).is("too-old")
	})
}

func TestUX_G52_TwoTabs(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	one, two := b.get("/login/sign-up"), b.get("/login/sign-up")
	a := one.press("create", "firstName", "Ada", "lastName", "L", "email", ada).is("email-code")
	g := two.press("create", "firstName", "Grace", "lastName", "H", "email", "grace@example.com").is("email-code").says("grace@example.com")
	b.get(a.url.RequestURI()).says(ada).saysNot("grace@")
	a.press("continue", "verificationCode", s.engine.lastMail("grace@example.com").code).is("email-code").says("That code is not right.")
	a.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator").says(ada)
	g.press("continue", "verificationCode", s.engine.lastMail("grace@example.com").code).is("select-authenticator").says("grace@example.com")

	t.Run("many", func(t *testing.T) {
		for i := range 9 {
			s.clock.Advance(time.Second)
			b.signUp("A", "B", fmt.Sprintf("p%d@example.com", i))
		}
		n := 0
		for _, c := range b.cookies() {
			if strings.Contains(c.Name, "-f-") {
				n++
			}
		}
		if n > 5 {
			t.Errorf("keeps %d flows", n)
		}
	})
}

func TestUX_G53_CookiesRefused(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.http.Jar = nil
	v := b.get("/login/").press("next", "identifier", ada).is("error").says("Cookies are switched off", "Allow them for this site")
	if v.status != http.StatusBadRequest || len(b.hops) != 2 {
		t.Errorf("%d by %v", v.status, b.hops)
	}
	b.get("/login/").press("next", "identifier", "nothing").is("error").says("Cookies are switched off")
}

func TestUX_G55_G56_Setup(t *testing.T) {
	s := newSite(t)
	s.engine.answers["/v1/interact"] = reply{status: 401, body: `{"error":"invalid_client","error_description":"Invalid value for 'client_id' parameter."}`}
	v := s.browser().get("/login/").is("error").says("This app is not set up correctly", "invalid_client", "Invalid value for 'client_id' parameter.", "req")
	if v.status != http.StatusInternalServerError {
		t.Errorf("status %d", v.status)
	}
	ref := regexp.MustCompile(`<code>([0-9A-Z-]+)</code>`).FindStringSubmatch(v.html)
	if ref == nil || !strings.Contains(s.log.text(), "reference="+ref[1]) {
		t.Errorf("reference %v is not in the log: %s", ref, s.log.text())
	}
}

func TestUX_G56_Unreachable(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	form := b.get("/login/sign-up")
	down := reply{status: 503, body: `{"errorCode":"E0000010","errorSummary":"down"}`}
	s.engine.set(func() { s.engine.answers["/v1/interact"] = down })
	v := form.press("create", "firstName", "Ada", "lastName", "L", "email", ada).is("error").says("Sign-in is not available right now", "Reference:")
	if v.status != http.StatusBadGateway {
		t.Errorf("status %d", v.status)
	}
	s.engine.set(func() { clear(s.engine.answers) })
	again := v.follow("Try again").is("sign-up")
	if again.value("firstName") != "Ada" || again.value("email") != ada {
		t.Errorf("what was typed is lost: %q %q", again.value("firstName"), again.value("email"))
	}
	code := again.press("create").is("email-code")
	s.engine.set(func() { s.engine.answers["/idp/idx/challenge/answer"] = down })
	v = code.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("error")
	s.engine.set(func() { clear(s.engine.answers) })
	v.follow("Try again").is("email-code").press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	if strings.Contains(s.log.text(), s.engine.lastMail(ada).code) {
		t.Error("the code is in the log")
	}

	t.Run("the sign-in page shows while the engine restarts", func(t *testing.T) {
		s.clock.Advance(2 * time.Minute)
		s.engine.set(func() { s.engine.answers["/v1/interact"] = down })
		s.browser().get("/login/").is("sign-in").says("Sign up")
	})
}

func TestUX_G57_Limits(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	form := b.get("/login/sign-up")
	limit := func(path, body string) {
		s.engine.set(func() {
			s.engine.answers[path] = reply{status: 429, header: http.Header{"Retry-After": {"240"}}, body: body}
		})
	}
	idxBody := `{"version":"1.0.0","messages":{"type":"array","value":[{"message":"Too many requests","i18n":{"key":"tooManyRequests"},"class":"ERROR"}]}}`
	check := func(v *view) {
		t.Helper()
		v.says("That was too often. Try again in 4 minutes.")
		if v.status != 429 || v.header.Get("Retry-After") != "240" {
			t.Errorf("%d, Retry-After %q", v.status, v.header.Get("Retry-After"))
		}
	}
	limit("/idp/idx/enroll/new", idxBody)
	v := form.press("create", "firstName", "Ada", "lastName", "L", "email", ada).is("sign-up")
	check(v)
	if v.value("firstName") != "Ada" {
		t.Error("what was typed is lost")
	}
	s.clock.Advance(4 * time.Minute)
	if later := b.get(v.url.RequestURI()).saysNot("too often"); later.status != 200 {
		t.Errorf("after the wait: %d", later.status)
	}
	s.engine.set(func() { clear(s.engine.answers) })
	code := v.press("create").is("email-code")

	limit("/idp/idx/challenge/resend", idxBody)
	s.clock.Advance(time.Minute)
	v = code.press("resend").is("email-code")
	check(v)
	s.engine.set(func() { clear(s.engine.answers) })
	v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")

	t.Run("on every request", func(t *testing.T) {
		stays := func(path string) {
			t.Helper()
			s.clock.Advance(2 * time.Minute)
			s.engine.set(func() { clear(s.engine.answers) })
			b := s.browser()
			code := b.signUp("Ada", "L", "grace@example.com").is("email-code")
			limit(path, idxBody)
			check(code.press("continue", "verificationCode", "000000").is("email-code"))
			check(code.press("resend").is("email-code"))
			check(code.press("change").is("email-code"))
			s.engine.set(func() { clear(s.engine.answers) })
			list := b.get(code.url.RequestURI()).press("continue", "verificationCode", s.engine.lastMail("grace@example.com").code).is("select-authenticator")
			limit(path, idxBody)
			check(list.press("submit", "authenticator", "okta_password").is("select-authenticator"))
			check(list.press("skip").is("select-authenticator"))
			s.engine.set(func() { clear(s.engine.answers) })
			list.press("submit", "authenticator", "okta_password").is("set-password")
		}
		stays("/idp/idx/introspect")

		s.start() // which has seen no step
		s.engine.set(func() { clear(s.engine.answers) })
		s.clock.Advance(2 * time.Minute)
		b := s.browser()
		code := b.signUp("Ada", "L", "alan@example.com").is("email-code")
		s.start()
		limit("/idp/idx/introspect", idxBody)
		v := code.press("continue", "verificationCode", "000000").is("error")
		check(v)
		s.engine.set(func() { clear(s.engine.answers) })
		v.follow("Try again").is("email-code").press("continue", "verificationCode", s.engine.lastMail("alan@example.com").code).is("select-authenticator")
	})

	t.Run("at the edge", func(t *testing.T) {
		s.clock.Advance(2 * time.Minute)
		limit("/v1/interact", `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit"}`)
		s.start()
		check(s.browser().get("/login/").is("error"))
	})
}

func TestUX_G60_Escaping(t *testing.T) {
	s := newSite(t, func(o *signin.Options) { o.AppName = "Acme" })
	b := s.browser()
	for _, name := range []string{
		`<b>Ada</b>`, `"><script>alert(1)</script>`, `'onmouseover='x`, "{{.}}", "{address}", "\u202eadA", "Ada\u200f", "👩‍🚀", strings.Repeat("W", 200),
	} {
		v := b.get("/login/sign-up").press("create", "firstName", name, "lastName", "L", "email", "<i>@x")
		if v.page() == "sign-up" && v.value("firstName") != name {
			t.Errorf("%q comes back as %q", name, v.value("firstName"))
		}
		if strings.Contains(v.html, "<b>Ada") || strings.Contains(v.html, "alert(1)</script>") || strings.Contains(v.html, "<i>") {
			t.Errorf("%q is not escaped", name)
		}
	}
	v := b.signUp("Ada", "L", `"<b>x</b>"@example.com`)
	if strings.Contains(v.html, "<b>x") {
		t.Error("the address is not escaped")
	}
	v.says(`We sent a code to "<b>x</b>"@example.com.`)
	b.get("/login/callback?error="+url.QueryEscape("<b>call 555</b>")+"&error_description=call+me").is("error").saysNot("555", "call me")
}

func TestNewRefuses(t *testing.T) {
	client, err := idx.New(idx.Config{Issuer: "https://id.example/oauth2/default", ClientID: "c", RedirectURI: "https://app.example/login/callback"})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]signin.Options{
		"no redirect URI":       {},
		"not absolute":          {RedirectURI: "/login/callback"},
		"another scheme":        {RedirectURI: "ftp://app.example/login/callback"},
		"SEC_S63 plain http":    {RedirectURI: "http://app.example/login/callback"},
		"no path":               {RedirectURI: "https://app.example"},
		"only a directory":      {RedirectURI: "https://app.example/login/"},
		"colour":                {RedirectURI: "https://app.example/login/callback", AccentColor: "red"},
		"SEC_S72 home":          {RedirectURI: "https://app.example/login/callback", Home: "//evil.example"},
		"short key":             {RedirectURI: "https://app.example/login/callback", Key: []byte("short")},
		"catalogue of no words": {RedirectURI: "https://app.example/login/callback", Catalog: fstest.MapFS{"en.json": {Data: []byte("[]")}}},
	} {
		if _, err := signin.New(client, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, uri := range []string{
		"https://app.example/login/callback", "https://app.example/callback", "http://localhost:8080/login/callback",
		"http://127.0.0.1/a/b/c", "http://[::1]:8080/login/callback", "http://app.localhost/login/callback",
	} {
		if _, err := signin.New(client, signin.Options{RedirectURI: uri}); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
