package signin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

func TestUX_P7_1_Recovery(t *testing.T) {
	l := live(t, "password: [{name: default, complexity: {minLength: 8, minNumber: 1}, history: 3}]")
	l.account(ada, right+" 1")
	b := l.browser()
	v := b.get("/login/?return_to=/deep").is("sign-in").follow("Forgot your password?").is("recover")
	v.says("Enter your email. We send a code to it; then you can choose a new password.")
	v = v.press("next", "identifier", "ada").is("recover").says("The @ is missing")
	if v.value("identifier") != "ada" {
		t.Errorf("the address is %q", v.value("identifier"))
	}
	v = v.press("next", "identifier", ada).is("email-code").says("If there is an account for ada@example.com, we sent a code.").saysNot("instead")
	if m := l.eng.Mail(t, ada); !strings.Contains(m.Subject, "recovery") {
		t.Errorf("the mail is %q", m.Subject)
	}
	v = v.press("continue", "verificationCode", "000000").is("email-code").says("That code is not right.")
	v = v.press("continue", "verificationCode", l.code(ada)).is("reset-password")
	v.says("Choose a new password", "At least 8 characters", "A number", "Go on without a password")
	if got := attr(v.tag("password"), "autocomplete"); got != "new-password" {
		t.Errorf("autocomplete %q", got)
	}
	v = v.press("continue", "password", "no digit in here").is("reset-password").says("That password does not do. Password requirements:", "a number")
	v = v.press("continue", "password", right+" 1").is("reset-password").says("Your new password must not be any of your last 3 passwords.")
	b.get(v.url.RequestURI()).is("reset-password").says("must not be any") // reload
	v.press("continue", "password", fresh+" 2").isApp("app /deep")

	b = l.browser()
	b.begin(ada).press("instead").press("continue", "password", right+" 1").is("password").press("continue", "password", fresh+" 2").isApp()
}

func TestUX_P7_1_RecoveryWithoutAPassword(t *testing.T) {
	l := live(t, "")
	l.account(ada, right)
	b := l.browser()
	// From the password page the address is known, so nothing is asked again (UX G30).
	v := b.begin(ada).press("instead").is("password").press("recover").is("email-code")
	code := l.code(ada)
	old := v.press("continue", "verificationCode", code).is("reset-password")
	old.press("skip").isApp("[otp]")
	v = l.browser().begin(ada).press("instead").press("continue", "password", right).is("password").says("That password is not right.")
	t.Run("back", func(t *testing.T) {
		b.get(old.url.RequestURI()).is("already-signed-in")
		old.press("continue", "password", fresh).isApp()
	})
	t.Run("required, so not without", func(t *testing.T) {
		l := live(t, "", stiletest.Require("okta_password"))
		l.account(ada, right)
		b := l.browser()
		v := b.get("/login/recover").press("next", "identifier", ada).is("email-code").press("continue", "verificationCode", l.code(ada)).is("reset-password")
		if v.has("skip") {
			t.Error("Go on without a password is there")
		}
		v.press("continue", "password", fresh).isApp()
	})
}

func TestRecoveryPages(t *testing.T) {
	l := live(t, "")
	l.account(ada, right)
	t.Run("the same for nobody", func(t *testing.T) {
		want := ""
		for _, address := range []string{ada, "nobody@example.com"} {
			v := l.browser().get("/login/recover").press("next", "identifier", address).is("email-code").press("continue", "verificationCode", "000000").is("email-code")
			got := strings.ReplaceAll(v.sentence(), address, "x")
			if want != "" && got != want {
				t.Errorf("%s, want %s", got, want)
			}
			want = got
		}
	})
	t.Run("the address is carried", func(t *testing.T) {
		b := l.browser()
		to, values := b.get("/login/").form("next", "identifier", ada)
		values.Set("action", "recover") // the press that script makes of the link
		v := b.send("POST", to, values).is("recover")
		if v.value("identifier") != ada {
			t.Errorf("the address is %q", v.value("identifier"))
		}
		if in := v.follow("Back to sign-in").is("sign-in"); in.value("identifier") != ada {
			t.Errorf("back at sign-in it is %q", in.value("identifier"))
		}
	})
	t.Run("change", func(t *testing.T) {
		v := l.browser().get("/login/recover").press("next", "identifier", ada).press("change").is("recover")
		v.press("next", "identifier", "bea@example.com").is("email-code").says("bea@example.com")
	})
	t.Run("by the link", func(t *testing.T) {
		b := l.browser()
		waiting := b.get("/login/recover").press("next", "identifier", ada).is("email-code")
		b.get(l.eng.Link(t, ada)).is("link-continue").press("continue").is("reset-password")
		waiting.press("check").is("reset-password").press("cancel").is("sign-in")
	})
	t.Run("expired, and a new code", func(t *testing.T) {
		v := l.browser().get("/login/recover").press("next", "identifier", ada).is("email-code")
		first := l.code(ada)
		l.eng.Clock.Advance(11 * time.Minute)
		v = v.press("continue", "verificationCode", first).is("email-code").says("That code is too old.").press("resend").is("email-code")
		v.press("continue", "verificationCode", l.code(ada)).is("reset-password")
	})
	t.Run("transaction expired", func(t *testing.T) {
		v := l.browser().get("/login/recover").press("next", "identifier", ada).is("email-code")
		l.eng.Clock.Advance(61 * time.Minute)
		v.press("resend").is("email-code").press("continue", "verificationCode", l.code(ada)).is("reset-password")
	})
	t.Run("come back", func(t *testing.T) {
		b := l.browser()
		b.get("/login/recover").press("next", "identifier", ada).is("email-code")
		v := b.get("/").is("sign-in").says("A code for ada@example.com is waiting.").follow("Enter it").is("email-code")
		v.press("continue", "verificationCode", l.code(ada)).is("reset-password")
		b.get("/").is("sign-in").saysNot("waiting")
	})
	t.Run("Back and again sends no second mail", func(t *testing.T) {
		b := l.browser()
		form := b.get("/login/recover")
		form.press("next", "identifier", ada).is("email-code")
		n := len(l.eng.Mails(t, ada))
		form.press("next", "identifier", ada).is("email-code")
		if got := len(l.eng.Mails(t, ada)); got != n {
			t.Errorf("%d mails, then %d", n, got)
		}
	})
}

// An organisation may want the new password to be used before it counts.
func TestRecoveryEndsAtSignIn(t *testing.T) {
	l := live(t, "password: [{name: default, complexity: {minLength: 8}, noSignIn: true}]")
	l.account(ada, right)
	b := l.browser()
	v := b.get("/login/recover").press("next", "identifier", ada).press("continue", "verificationCode", l.code(ada)).is("reset-password")
	v = v.press("continue", "password", fresh).is("recovery-completed").says("Your password is changed", "Sign in to Acme with the new one.")
	b.get(v.url.RequestURI()).is("recovery-completed")
	v = v.follow("Go to sign-in").is("sign-in").saysNot("waiting")
	if v.value("identifier") != ada {
		t.Errorf("the address is %q", v.value("identifier"))
	}
	v.press("next").is("email-code").press("instead").is("password").press("continue", "password", fresh).isApp()
}

func TestUnlock(t *testing.T) {
	l := live(t, "password: [{name: default, complexity: {minLength: 8}, unlock: true, maxAttempts: 3}]\n"+twoFactors+"\n"+passwordFirst)
	l.account(ada, right)
	b := l.browser()
	v := b.get("/login/").says("Unlock your password")
	for range 3 {
		v = v.press("next", "identifier", ada, "password", "not it at all").is("sign-in")
	}
	v = v.press("next", "identifier", ada, "password", right).is("sign-in").says("The email or the password is not right.")
	v = v.follow("Unlock your password").is("unlock").says("After too many wrong tries a password stops working for a while.")
	v = v.press("next", "identifier", "").is("unlock").says("Enter an email address")
	v = v.press("next", "identifier", ada).is("email-code").says("If there is an account for ada@example.com")
	v = v.press("continue", "verificationCode", "000000").is("email-code").says("That code is not right.")
	v = v.press("continue", "verificationCode", l.code(ada)).is("password").says("Your password works again.")
	v.press("continue", "password", right).isApp("otp")
}

// An unlocked password lets nobody into what asks for more than the one proof of it.
func TestUnlockForMore(t *testing.T) {
	l := live(t, "password: [{name: default, complexity: {minLength: 8}, unlock: true, maxAttempts: 3}]\n"+passwordFirst)
	l.account(ada, right)
	v := l.browser().get("/login/?acr_values=urn:okta:loa:2fa:any&max_age=60").is("sign-in").follow("Unlock your password").is("unlock")
	v = v.press("next", "identifier", ada).is("email-code").press("continue", "verificationCode", l.code(ada))
	v.is("password").says("Your password works again.").press("continue", "password", right).isApp("otp")
}
