package signin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

const (
	passwordFirst = "session: [{name: default, primary: password}]"
	twoFactors    = "access: [{name: default, rules: [{name: default, factors: 2}]}]"
	noPasswords   = "enrollment: [{name: default, authenticators: [{key: okta_email, need: required}]}]"
)

// Where the email signs in by itself the code comes at once, and the password is one press away.
func TestSignInByPasswordInsteadOfTheCode(t *testing.T) {
	l := live(t, "")
	l.account(ada, right)
	b := l.browser()
	v := b.begin(ada).is("email-code").says("Use your password instead")
	v = v.press("instead").is("password").says("You are signing in as ada@example.com. Change", "Forgot your password?", "Send me a code instead")
	tag := v.tag("password")
	if attr(tag, "autocomplete") != "current-password" || attr(tag, "type") != "password" || attr(tag, "data-show") != "Show" {
		t.Errorf("field %s", tag)
	}
	if !strings.Contains(v.html, `value="ada@example.com" autocomplete="username" readonly hidden`) {
		t.Error("no user name for password managers")
	}
	t.Run("none typed", func(t *testing.T) {
		v.press("continue", "password", "").is("password").says("Enter a password")
	})
	t.Run("wrong", func(t *testing.T) {
		w := v.press("continue", "password", "not it at all").is("password").says("That password is not right.")
		if strings.Contains(w.html, "not it at all") || !strings.Contains(w.tag("password"), `aria-invalid="true"`) {
			t.Errorf("field %s", w.tag("password"))
		}
	})
	t.Run("back to the code, which still works", func(t *testing.T) {
		b := l.browser()
		v := b.begin(ada).press("instead").is("password").press("instead").is("email-code")
		v.press("continue", "verificationCode", l.code(ada)).isApp("[otp]")
	})
	t.Run("change", func(t *testing.T) {
		v := l.browser().begin(ada).press("instead").is("password").press("change").is("sign-in")
		if v.value("identifier") != ada {
			t.Errorf("the address is %q", v.value("identifier"))
		}
	})
	t.Run("cancel", func(t *testing.T) {
		l.browser().begin(ada).press("instead").press("cancel").is("sign-in").saysNot("waiting")
	})
	t.Run("two tabs", func(t *testing.T) {
		b := l.browser()
		one, two := b.begin(ada).press("instead").is("password"), b.begin("grace@example.com").press("instead").is("password")
		two.says("grace@example.com")
		b.get(one.url.RequestURI()).is("password").says(ada)
		one.press("continue", "password", right).isApp(ada)
	})
	v.press("continue", "password", right).isApp(ada, "[pwd]")
	for _, c := range b.cookies() {
		if strings.Contains(c.Value, "horse") {
			t.Error("the password is in a cookie")
		}
	}
	b.get(v.url.RequestURI()).is("already-signed-in") // back
	t.Run("too late", func(t *testing.T) {
		v := l.browser().begin(ada).press("instead").is("password")
		l.eng.Clock.Advance(61 * time.Minute)
		v = v.press("continue", "password", right).is("too-old").press("restart").is("sign-in")
		if v.value("identifier") != ada {
			t.Errorf("the address is %q", v.value("identifier"))
		}
	})
}

// Known and unknown addresses meet the same pages, and one who has no password too (UX P1.5).
func TestPasswordPageTellsNothing(t *testing.T) {
	l := live(t, "")
	l.account(ada, right)
	l.account("bea@example.com", "")
	want := ""
	for _, address := range []string{ada, "bea@example.com", "cid@example.com"} {
		v := l.browser().begin(address).is("email-code").press("instead").is("password")
		for _, password := range []string{"guess number one", "guess number two"} {
			v = v.press("continue", "password", password).is("password")
		}
		got := strings.ReplaceAll(v.sentence(), address, "x")
		if want != "" && got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
		want = got
	}
}

func TestUX_P1_PasswordOnTheFirstForm(t *testing.T) {
	l := live(t, passwordFirst)
	l.account(ada, right)
	b := l.browser()
	v := b.get("/login/?return_to=/deep").is("sign-in").says("Email", "Password", "Remember my email", "Sign in", "Forgot your password?")
	if got := attr(v.tag("password"), "autocomplete"); got != "current-password" {
		t.Errorf("autocomplete %q", got)
	}
	w := v.press("next", "identifier", "ada", "password", "").is("sign-in").says("The @ is missing", "Enter a password", "Please check these")
	if w.value("identifier") != "ada" {
		t.Errorf("the address is %q", w.value("identifier"))
	}
	for _, address := range []string{ada, "nobody@example.com"} {
		w := v.press("next", "identifier", address, "password", "not it at all").is("sign-in").says("The email or the password is not right.")
		if w.value("identifier") != address || strings.Contains(w.html, "not it at all") {
			t.Errorf("the form is %s", w.html)
		}
		v = w
	}
	v.press("next", "identifier", ada, "password", right).isApp("app /deep", "[pwd]")
}

func TestUX_P1_9_NoPasswordsNoMention(t *testing.T) {
	l := live(t, noPasswords)
	l.account(ada, "")
	b := l.browser()
	for _, v := range []*view{b.get("/login/").is("sign-in"), b.begin(ada).is("email-code")} {
		if strings.Contains(strings.ToLower(v.html), "password") {
			t.Errorf("%s mentions passwords", v.page())
		}
	}
	b.get("/login/recover").is("error").says("Passwords cannot be replaced here")
	b.get("/login/unlock").is("error").says("Passwords cannot be unlocked here")
}

// With the password required beside the email, people choose which they prove first.
func TestChoiceOfFactors(t *testing.T) {
	l := live(t, "", stiletest.Require("okta_password"))
	l.account(ada, right)
	v := l.browser().begin(ada).is("choose-authenticator").says("Choose how to sign in", "Email", "Password", "You are signing in as ada@example.com.")
	if len(l.eng.Mails(t, ada)) != 1 {
		t.Error("a code was sent before it was chosen")
	}
	v.press("submit", "authenticator", "").is("choose-authenticator").says("Choose one of these")
	v.press("submit", "authenticator", "okta_email").is("email-code")
	v.press("submit", "authenticator", "okta_password").is("password").press("continue", "password", right).isApp("[pwd]")
}

func TestTwoFactors(t *testing.T) {
	l := live(t, twoFactors)
	l.account(ada, right)
	v := l.browser().begin(ada).is("email-code")
	v = v.press("continue", "verificationCode", l.code(ada)).is("password").says(ada, "Forgot your password?").saysNot("Change", "instead")
	v = v.press("continue", "password", "not it at all").is("password").says("That password is not right.")
	v.press("continue", "password", right).isApp("otp")

	t.Run("the password first", func(t *testing.T) {
		v := l.browser().begin(ada).press("instead").is("password")
		// The second factor needs no choice: its code is on its way.
		v = v.press("continue", "password", right).is("email-code").says("We sent a code to ada@example.com.").saysNot("Change", "instead")
		v.press("continue", "verificationCode", l.code(ada)).isApp("otp")
	})
	t.Run("by the link", func(t *testing.T) {
		b := l.browser()
		b.begin(ada).is("email-code")
		b.get(l.eng.Link(t, ada)).is("link-continue").press("continue").is("password").press("continue", "password", right).isApp("otp")
	})
	t.Run("nothing to prove it with is set up first", func(t *testing.T) {
		l := live(t, "")
		l.account("bea@example.com", "")
		v := l.browser().begin("bea@example.com").press("continue", "verificationCode", l.code("bea@example.com"))
		v.isApp()
	})
}

// Somebody who lacks what is required sets it up after the first proof.
func TestRequiredEnrolmentAfterSignIn(t *testing.T) {
	l := live(t, twoFactors)
	v := l.browser().signUp("Bea", "L", "bea@example.com")
	v.press("continue", "verificationCode", l.code("bea@example.com")).is("select-authenticator").press("cancel").is("sign-in")
	v = l.browser().begin("bea@example.com").is("email-code")
	v = v.press("continue", "verificationCode", l.code("bea@example.com")).is("select-authenticator")
	v.says("Set up one more way to sign in", "Acme asks for it.", "Password").saysNot("Skip", "later")
	v = v.press("submit").is("set-password").says("At least 8 characters")
	v = v.press("continue", "password", "short").is("set-password").says("That password does not do.", "at least 8 characters")
	v.press("continue", "password", right).isApp("otp")
}
