package signin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/signin"
)

func TestPasswordExpires(t *testing.T) {
	l := live(t, "password: [{name: default, complexity: {minLength: 8}, maxAge: 90d, warn: 5d}]")
	l.account(ada, right)
	signIn := func(password string) *view {
		return l.browser().begin(ada).is("email-code").press("instead").is("password").press("continue", "password", password)
	}
	signIn(right).isApp()
	l.eng.Clock.Advance(86 * 24 * time.Hour)
	t.Run("soon", func(t *testing.T) {
		v := signIn(right).is("password-expiring").says("Your password expires in 4 days", "At least 8 characters", "Not now")
		v.b.get(v.url.RequestURI()).is("password-expiring")
		v.press("skip").isApp()
		v = signIn(right).is("password-expiring").press("continue", "newPassword", "").is("password-expiring").says("Enter a password")
		v.press("continue", "newPassword", right).is("password-expiring").says("Your new password must not be your current password.")
	})
	l.eng.Clock.Advance(5 * 24 * time.Hour)
	v := signIn(right).is("password-expired").says("Your password has expired", "Change password").saysNot("Not now")
	v = v.press("continue", "newPassword", "short").is("password-expired").says("at least 8 characters")
	v.press("continue", "newPassword", fresh).isApp()
	signIn(fresh).isApp()
}

func TestUX_P7_6_ProfileAfterSignIn(t *testing.T) {
	l := live(t, `profile: [{name: default, attributes: [
  {name: team, label: Team, when: sign-in, required: true, pattern: "[a-z]+"}, {name: size, label: Size, when: sign-in, enum: [S, M]},
  {name: news, label: Send me news, when: sign-in, type: boolean}, {name: late, label: Late, when: sign-in}]}]`)
	l.account(ada, "")
	v := l.browser().begin(ada).press("continue", "verificationCode", l.code(ada)).is("profile-update")
	v.says("A few more details", "What you give here, Acme does not ask for again.", "Team", "Size (optional)", "Send me news").saysNot("Late", "Skip for now")
	v = v.press("continue", "team", " ", "size", "M").is("profile-update").says("Fill in: Team")
	v = v.press("continue", "team", "Red 1", "size", "M").is("profile-update").says("The sign-in service does not take this.")
	if v.value("team") != "Red 1" || !strings.Contains(v.html, `value="M" selected`) {
		t.Errorf("what was typed is gone: %s", v.html)
	}
	v.press("continue", "team", "red", "size", "M").is("profile-update").says("Late", "Skip for now").press("skip").isApp()

	t.Run("all optional", func(t *testing.T) {
		l := live(t, "profile: [{name: default, attributes: [{name: team, label: Team, when: sign-in}]}]")
		l.account(ada, "")
		v := l.browser().begin(ada).press("continue", "verificationCode", l.code(ada)).is("profile-update").says("Team (optional)")
		v.press("skip").isApp()
		v = l.browser().begin(ada).press("continue", "verificationCode", l.code(ada)).is("profile-update")
		v.press("continue", "team", "Red").isApp()
		l.browser().begin(ada).press("continue", "verificationCode", l.code(ada)).isApp()
	})
}

func TestAccessDenied(t *testing.T) {
	l := live(t, "access: [{name: default, rules: [{name: default, deny: true}]}]")
	v := l.browser().signUp("Ada", "L", ada)
	v = v.press("continue", "verificationCode", l.code(ada)).is("denied").says("No access", "Acme did not let you in.", "Reference:")
	if v.status != http.StatusForbidden {
		t.Errorf("status %d", v.status)
	}
	v.follow("Use another account").is("sign-in").saysNot("waiting")
}

func TestUnsatisfiable(t *testing.T) {
	l := live(t, noPasswords+"\n"+twoFactors)
	v := l.browser().signUp("Ada", "L", ada)
	v = v.press("continue", "verificationCode", l.code(ada)).is("not-enough").says("That is not enough to sign in", "Acme asks for more proof")
	v.b.get(v.url.RequestURI()).is("not-enough")
	v.follow("Go to sign-in").is("sign-in")
}

// A part of the app may ask for a proof that is new, or of a kind.
func TestFreshProof(t *testing.T) {
	l := liveWith(t, "", []signin.Ask{signin.MaxAge(5 * time.Minute)})
	l.account(ada, right)
	b := l.browser()
	b.begin(ada).press("instead").press("continue", "password", right).isApp()
	b.get("/careful?x=1").isApp("app /careful?x=1")
	l.eng.Clock.Advance(6 * time.Minute)
	b.get("/").isApp()
	v := b.get("/careful?x=1").is("sign-in").says("Please show once more that you are ada@example.com.").saysNot("Sign up")
	if v.value("identifier") != ada {
		t.Errorf("the address is %q", v.value("identifier"))
	}
	if w := b.send(http.MethodPost, "/careful", nil); w.status != http.StatusForbidden || !strings.Contains(w.html, "Sign in again") {
		t.Errorf("POST answers %d %s", w.status, w.html)
	}
	b.get("/login/").is("already-signed-in")
	v = v.press("next").is("email-code").press("instead").is("password")
	v.press("continue", "password", right).isApp("app /careful?x=1")
	b.get("/careful").isApp()
}

func TestAssurance(t *testing.T) {
	l := liveWith(t, "", []signin.Ask{signin.ACR("urn:okta:loa:2fa:any")})
	l.account(ada, right)
	b := l.browser()
	b.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp("[otp]")
	v := b.get("/careful").is("sign-in").press("next").is("email-code")
	v = v.press("continue", "verificationCode", l.code(ada)).is("password").press("continue", "password", right)
	v.isApp("app /careful", "otp")
	b.get("/careful").isApp()
	b.get("/").isApp()
	stranger := l.browser().get("/careful").is("sign-in")
	if !strings.Contains(stranger.html, `name="acr_values" value="urn:okta:loa:2fa:any"`) {
		t.Error("sign-in does not ask for it")
	}
}

// The engine is told by which browser a sign-in comes, from its first form on.
func TestDeviceToken(t *testing.T) {
	l := live(t, "")
	l.account(ada, "")
	b := l.browser()
	b.get("/login/").is("sign-in")
	if n := len(b.cookies()); n != 0 {
		t.Errorf("UX G5: opening the page sets %d cookies", n)
	}
	b.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp()
	token := ""
	for _, c := range b.cookies() {
		if strings.HasSuffix(c.Name, "-d") {
			token = c.Value
		}
	}
	if len(token) != 32 || l.agents[len(l.agents)-1] != token {
		t.Errorf("cookie %q, sent %q", token, l.agents)
	}
	l.eng.Clock.Advance(24 * time.Hour)
	b.begin(ada)
	l.browser().begin(ada)
	if n := len(l.agents); l.agents[n-3] != token && l.agents[n-2] != token || l.agents[n-1] == token || len(l.agents[n-1]) != 32 {
		t.Errorf("sent %q", l.agents)
	}
}

func TestUX_P1_7_RememberMyEmail(t *testing.T) {
	l := live(t, "")
	l.account(ada, "")
	b := l.browser()
	signIn := func(ticked string) {
		t.Helper()
		v := b.get("/login/").is("sign-in")
		v.press("next", "identifier", ada, "remember", ticked).press("continue", "verificationCode", l.code(ada)).isApp()
		b.get("/login/sign-out").press("sign-out").is("signed-out")
	}
	signIn("")
	if v := b.get("/login/"); v.value("identifier") != "" || strings.Contains(v.tag("remember"), "checked") {
		t.Errorf("without a tick: %q %s", v.value("identifier"), v.tag("remember"))
	}
	signIn("true")
	if v := b.get("/login/"); v.value("identifier") != ada || !strings.Contains(v.tag("remember"), "checked") {
		t.Errorf("with a tick: %q %s", v.value("identifier"), v.tag("remember"))
	}
	for _, c := range b.cookies() {
		if strings.Contains(c.Value, "example.com") {
			t.Error("the address is in a cookie in the clear")
		}
	}
	signIn("")
	if v := b.get("/login/"); v.value("identifier") != "" {
		t.Error("the tick taken away changes nothing")
	}
}

// What a mailed link carries may be long, and have letters.
func TestLongAnswerGoesThrough(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", ada)
	s.engine.set(func() { s.engine.lastTransaction().codes[longAnswer] = s.clock.Now().Add(time.Minute) })
	state := s.engine.lastMail(ada).state
	other := s.browser().get("/login/callback?otp=" + longAnswer + "&state=" + state).is("link-elsewhere").says(longAnswer)
	if !strings.Contains(other.html, `class="code long"`) {
		t.Error("52 letters are shown as large as six digits")
	}
	b.get("/login/callback?otp=" + longAnswer + "&state=" + state).is("link-continue")
	v.press("continue", "verificationCode", " "+longAnswer[:20]+"\r\n"+longAnswer[20:]+" ").is("select-authenticator")
}

const longAnswer = "abcdefghijklmnopqrstuvwxyzABCDEFabcdefghijklmnopqrst"
