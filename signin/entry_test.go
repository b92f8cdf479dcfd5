package signin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestUX_P1_SignInPage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/login/").is("sign-in")
	t.Run("UX_P1_1", func(t *testing.T) {
		v.says("Email", "Next", "Sign up")
		if v.link("Sign up") != "/login/sign-up" {
			t.Errorf("Sign up leads to %q", v.link("Sign up"))
		}
	})
	t.Run("UX_P1_2", func(t *testing.T) {
		tag := v.tag("identifier")
		for name, want := range map[string]string{
			"type": "email", "autocomplete": "username", "inputmode": "email", "autocapitalize": "none", "spellcheck": "false", "id": "identifier",
		} {
			if got := attr(tag, name); got != want {
				t.Errorf("%s=%q, want %q", name, got, want)
			}
		}
	})
	t.Run("UX_P1_9", func(t *testing.T) {
		if strings.Contains(strings.ToLower(v.html), "password") || strings.Contains(v.html, "Forgot") {
			t.Errorf("mentions passwords: %s", v.html)
		}
	})
	t.Run("UX_P1_3", func(t *testing.T) {
		if got := b.get("/login/?login_hint=" + url.QueryEscape(" Ada@Example.com\n")).value("identifier"); got != "Ada@example.com" {
			t.Errorf("login_hint gives %q", got)
		}
		b.get("/login/").press("next", "identifier", "  ada@EXAMPLE.com \r\n").is("email-code").says(ada)
	})
	t.Run("UX_P1_4", func(t *testing.T) {
		// The button that script presses; the link alone opens an empty form.
		to, values := s.browser().get("/login/?return_to=/app").form("next", "identifier", "Ada@example.com")
		values.Set("action", "sign-up")
		up := b.send(http.MethodPost, to, values).is("sign-up")
		if up.value("email") != "Ada@example.com" {
			t.Errorf("sign-up has %q", up.value("email"))
		}
		to, values = up.form("create", "email", "grace@example.com")
		values.Set("action", "sign-in")
		in := b.send(http.MethodPost, to, values).is("sign-in")
		if in.value("identifier") != "grace@example.com" || !strings.Contains(in.html, `name="return_to" value="/app"`) {
			t.Errorf("sign-in has %q: %s", in.value("identifier"), in.html)
		}
		t.Run("without script, once it was sent", func(t *testing.T) {
			b := s.browser()
			v := b.get("/login/sign-up").press("create", "email", "grace@example.com").is("sign-up").follow("Sign in").is("sign-in")
			if v.value("identifier") != "grace@example.com" {
				t.Errorf("has %q", v.value("identifier"))
			}
		})
	})
	t.Run("UX_P1_8", func(t *testing.T) {
		s.browser().get("/login/?prompt=create&login_hint=" + ada).is("sign-up")
	})
	t.Run("UX_P1_5 the same for known and unknown", func(t *testing.T) {
		s.engine.set(func() { s.engine.users["known@example.com"] = true })
		one := s.browser().signIn("known@example.com").says("If there is an account for known@example.com, we sent a code.")
		two := s.browser().signIn("other@example.com").says("If there is an account for other@example.com, we sent a code.")
		if one.status != two.status || len(one.html) != len(two.html) {
			t.Errorf("%d with %d bytes and %d with %d", one.status, len(one.html), two.status, len(two.html))
		}
		for range 5 {
			one = one.press("continue", "verificationCode", "000000")
			two = two.press("continue", "verificationCode", "000000")
			if a, b := strings.ReplaceAll(one.sentence(), "known@", "other@"), two.sentence(); a != b {
				t.Errorf("UX P3.5:\n%s\n%s", a, b)
			}
		}
	})
}

func TestUX_P1_1_SignUpClosed(t *testing.T) {
	s := newSite(t)
	s.engine.closed = true
	b := s.browser()
	b.get("/login/").is("sign-in").saysNot("Sign up")
	if v := b.get("/login/sign-up").is("error").says("Sign-up is closed"); v.status != http.StatusForbidden {
		t.Errorf("status %d", v.status)
	}
}

func TestUX_P2_SignUpPage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/login/sign-up")
	t.Run("UX_P2_1 UX_P2_2", func(t *testing.T) {
		v.says("First name", "Last name", "Email", "Create account", "Already have an account? Sign in")
		for name, want := range map[string]string{"firstName": "given-name", "lastName": "family-name", "email": "email"} {
			if got := attr(v.tag(name), "autocomplete"); got != want {
				t.Errorf("%s: autocomplete %q", name, got)
			}
		}
		if n := strings.Count(v.html, `<div class="field `); n != 3 {
			t.Errorf("%d fields", n)
		}
	})
	t.Run("UX_P2_3", func(t *testing.T) {
		if strings.Contains(v.html, "checkbox") {
			t.Error("has a box")
		}
	})
	t.Run("UX_P2_4", func(t *testing.T) {
		b.get("/login/sign-up").press("create", "firstName", "  Ḁda-O'Brien  ", "lastName", " van der Berg ", "email", ada).is("email-code")
		s.engine.mu.Lock()
		defer s.engine.mu.Unlock()
		for _, f := range s.engine.flows {
			if f.identifier == ada && (f.first != "Ḁda-O'Brien" || f.last != "van der Berg") {
				t.Errorf("the engine gets %q %q", f.first, f.last)
			}
		}
	})
	t.Run("UX_P2_8 protect", func(t *testing.T) {
		s.engine.set(func() { s.engine.users["known@example.com"] = true })
		one, two := s.browser(), s.browser()
		a := one.signUp("Ada", "L", "known@example.com").sentence()
		c := two.signUp("Ada", "L", "fresh@example.com").sentence()
		if strings.ReplaceAll(a, "known@", "fresh@") != c {
			t.Errorf("%s\n%s", a, c)
		}
	})
	t.Run("UX_P2_8 disclose", func(t *testing.T) {
		s.engine.set(func() { s.engine.tell = true })
		b := s.browser()
		v := b.get("/login/sign-up").press("create", "firstName", "A", "lastName", "L", "email", "known@example.com").is("sign-up")
		v.says("There is already an account with this email.")
		if in := v.follow("Sign in").is("sign-in"); in.value("identifier") != "known@example.com" {
			t.Errorf("Sign in carries %q", in.value("identifier"))
		}
		b.get("/login/").press("next", "identifier", "nobody@example.com").is("sign-in").says("There is no account with this email.")
	})
}

// What an organization asks for beyond names and address is shown as the engine
// describes it.
func TestUX_P2_11_MoreFields(t *testing.T) {
	s := newSite(t)
	s.engine.asks = []m{
		{"name": "nickName", "label": "Nickname", "maxLength": 5},
		{"name": "plan", "label": "Plan", "required": true, "options": []m{{"label": "Small", "value": "s"}, {"label": "Large", "value": "l"}}},
	}
	b := s.browser()
	v := b.get("/login/sign-up").is("sign-up").says("Nickname (optional)", "Plan", "Large")
	filled := []string{"firstName", "Ada", "lastName", "L", "email", ada, "plan", "l"}
	v = v.press("create", append(filled, "nickName", "much too long")...).is("sign-up").says("This is too long: Nickname")
	v.press("create", append(filled, "nickName", "Addy")...).is("email-code")
	for _, f := range s.engine.flows {
		if f.identifier == ada && (f.profile["nickName"] != "Addy" || f.profile["plan"] != "l") {
			t.Errorf("the engine gets %v", f.profile)
		}
	}
}
