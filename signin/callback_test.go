package signin_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func (m mail) link() string {
	return "/login/callback?" + url.Values{"otp": {m.code}, "state": {m.state}}.Encode()
}

func TestUX_P4_1_OpeningUsesNothingUp(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	code := b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	scanner := s.browser()
	for range 20 {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			scanner.send(method, m.link(), nil)
			s.browser().send(method, m.link(), nil)
			b.send(method, m.link(), nil)
		}
	}
	t.Run("SEC_S14 a scanner that submits forms", func(t *testing.T) {
		v := scanner.get(m.link()).is("link-elsewhere")
		if strings.Contains(v.html, "<form") {
			t.Error("has a form")
		}
		scanner.send(http.MethodPost, "/login/callback", url.Values{"action": {"continue"}, "state": {m.state}}).is("too-old")
		scanner.get("/").is("sign-in")
	})
	if n := s.engine.count("/challenge/answer"); n != 0 {
		t.Errorf("%d answers", n)
	}
	code.press("continue", "verificationCode", m.code).is("select-authenticator")
}

func TestUX_P4_2_SameBrowser(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.get("/deep?x=1").is("sign-in").follow("Sign up").press("create", "firstName", "Ada", "lastName", "L", "email", ada).is("email-code")
	m := s.engine.lastMail(ada)
	v := b.get(m.link()).is("link-continue").says("Continue to Acme")
	t.Run("UX_P4_8", func(t *testing.T) {
		if v.url.RawQuery != "" {
			t.Errorf("the address keeps %q", v.url.RawQuery)
		}
		if strings.Contains(v.html, m.code) {
			t.Error("the page has the code")
		}
	})
	v = v.press("continue").is("select-authenticator").press("skip")
	if !strings.HasPrefix(v.html, "app /deep?x=1") {
		t.Errorf("UX P6.2: landed at %s", v.url)
	}
	t.Run("UX_P4_5 used, and the flow is finished", func(t *testing.T) {
		if v := b.get(m.link()); !strings.HasPrefix(v.html, "app /deep?x=1") {
			t.Errorf("opening it again leads to %s", v.url)
		}
		if v := b.get("/login/callback?error=link_used&state=" + m.state); !strings.HasPrefix(v.html, "app /deep?x=1") {
			t.Errorf("the engine's word that it was used leads to %s", v.url)
		}
	})
}

func TestUX_P4_3_OtherBrowser(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	code := b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	other := s.browser()
	v := other.get(m.link()).is("link-elsewhere").says(m.code, "Enter this code where you started.", "Your code")
	if v.url.RawQuery != "" {
		t.Errorf("UX P4.8: the address keeps %q", v.url.RawQuery)
	}
	if !strings.Contains(v.html, `<output id="code">`+m.code+`</output>`) || !strings.Contains(v.html, ">Copy</button>") {
		t.Errorf("no code to copy: %s", v.html)
	}
	other.get(v.url.RequestURI()).is("link-elsewhere").says(m.code)
	other.get("/").is("sign-in")
	b.get(code.url.RequestURI()).is("email-code")

	t.Run("SEC_S15 another flow of that browser does not help", func(t *testing.T) {
		other.signUp("Eve", "L", "eve@example.com")
		other.get(m.link()).is("link-elsewhere")
		to, values := "/login/callback", url.Values{"action": {"continue"}, "state": {m.state}}
		other.send(http.MethodPost, to, values).is("too-old")
	})
	t.Run("UX_P4_10 cookies refused", func(t *testing.T) {
		bare := s.browser()
		bare.http.Jar = nil
		bare.get(m.link()).is("link-elsewhere").says(m.code)
	})
	code.press("continue", "verificationCode", m.code).is("select-authenticator")
}

func TestUX_P4_5_Used(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	used := "/login/callback?error=link_used&state=" + m.state
	s.browser().get(used).is("error").says("This link was already used", "Go to sign-in")
	v.press("continue", "verificationCode", m.code).is("select-authenticator")
	b.get(used).is("select-authenticator")
	b.get(m.link()).press("continue").is("select-authenticator")
}

func TestUX_P4_6_TooOld(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	old := "/login/callback?error=link_expired&state=" + m.state
	s.browser().get(old).is("error").says("This link is too old", "Go back to where you started").saysNot(ada)
	s.clock.Advance(11 * time.Minute)
	v := b.get(old).is("error").says("This link is too old", "Send a new one").press("resend").is("email-code").says("We sent it again")
	if n := len(s.engine.mails); n != 2 {
		t.Errorf("%d mails", n)
	}
	v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")

	t.Run("and the engine has forgotten the flow", func(t *testing.T) {
		b := s.browser()
		b.get("/login/?return_to=/deep").press("next", "identifier", ada).is("email-code")
		m := s.engine.lastMail(ada)
		s.clock.Advance(2 * time.Hour)
		s.engine.set(func() { clear(s.engine.flows) })
		v := b.get("/login/callback?error=link_expired&state=" + m.state).press("resend").is("email-code").says(ada)
		v = v.press("continue", "verificationCode", s.engine.lastMail(ada).code)
		if !strings.HasPrefix(v.html, "app /deep") {
			t.Errorf("landed at %s", v.url)
		}
	})
	t.Run("the page's own button, hours later", func(t *testing.T) {
		v := s.browser().signUp("Bea", "L", "bea@example.com")
		s.clock.Advance(3 * time.Hour)
		s.engine.set(func() { clear(s.engine.flows) })
		v.press("resend").is("email-code").says("bea@example.com").press("continue", "verificationCode", s.engine.lastMail("bea@example.com").code).is("select-authenticator")
	})
}

func TestUX_P4_3_WhereItBegan(t *testing.T) {
	s := newSite(t)
	s.browser().signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	at := s.clock.Now().Unix()
	link := func(browser, system string, started int64) string {
		return "/login/callback?" + url.Values{"otp": {m.code}, "state": {m.state}, "browser": {browser}, "os": {system},
			"started": {strconv.FormatInt(started, 10)}}.Encode()
	}
	s.browser().get(link("Chrome", "Windows", at)).is("link-elsewhere").says(m.code, "Enter this code where you started: Chrome on Windows, "+s.clock.Now().Format("15:04"))
	for _, odd := range []string{
		link("Call 555 now", "Windows", at), link("<b>", "Windows", at), link("", "", at), link("Chrome", "Windows", -1), link("Chrome", "Windows", at+1e6),
	} {
		s.browser().get(odd).is("link-elsewhere").says(m.code, "Enter this code where you started.").saysNot("Call 555")
	}
}

func TestD22_StaleLink(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.signUp("Ada", "L", ada)
	stale := "/login/callback?error=link_stale&state=" + s.engine.lastMail(ada).state
	s.browser().get(stale).is("error").says("This link no longer works", "Go to sign-in").saysNot(ada)
	b.get(stale).is("error").follow("Go on where you started").is("email-code")
}

func TestUX_P4_7_Cut(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	for _, address := range []string{
		"/login/callback", "/login/callback?otp=123456", "/login/callback?state=" + m.state, "/login/callback?error=link_invalid",
	} {
		s.browser().get(address).is("error").says("This link is not complete", "Copy all of it from the mail, or enter the code instead.")
	}
	b.get("/login/callback?error=link_invalid&state=" + m.state).is("error").follow("Enter the code").is("email-code")
	b.send(http.MethodPost, "/login/callback", url.Values{"state": {m.state}}).is("error")

	t.Run("a code that is not right", func(t *testing.T) {
		v := b.get("/login/callback?otp=000000&state=" + m.state).is("link-continue").press("continue").is("email-code")
		v.says("That code is not right.")
	})
	t.Run("kept for ten minutes", func(t *testing.T) {
		v := b.get(m.link()).is("link-continue")
		s.clock.Advance(11 * time.Minute)
		v.press("continue").is("error")
		b.get(v.url.RequestURI()).is("error")
	})
}

func TestCallbackOfTheEngine(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.signUp("Ada", "L", ada)
	m := s.engine.lastMail(ada)
	t.Run("an interaction code", func(t *testing.T) {
		s.engine.set(func() {
			for _, f := range s.engine.flows {
				if f.identifier == ada {
					f.step, f.code = "done", "ic-by-redirect"
					s.engine.codes[f.code] = f
				}
			}
		})
		back := "/login/callback?interaction_code=ic-by-redirect&state=" + m.state
		s.browser().get(back).is("too-old")
		v := b.get(back).is("link-continue").press("continue")
		if !strings.HasPrefix(v.html, "app /") {
			t.Errorf("landed at %s", v.url)
		}
	})
	t.Run("an error", func(t *testing.T) {
		s.browser().get("/login/callback?error=access_denied&state=x").is("error").says("No access")
		s.browser().get("/login/callback?error=server_error&state=x").is("error").says("server_error", "Reference:")
	})
}
