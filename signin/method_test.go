package signin_test

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
)

// withMethods lets people have an app, a question and codes beside the email and a
// password, and asks for two factors of who has them.
const withMethods = `enrollment: [{name: default, authenticators: [
  {key: okta_email, need: required}, {key: okta_password, need: optional}, {key: google_otp, need: optional},
  {key: security_question, need: optional}, {key: recovery_code, need: optional}]}]`

func (l *real) listed(b *browser, address string) *view {
	l.t.Helper()
	v := b.get("/login/sign-up").press("create", "firstName", "Ada", "lastName", "Lovelace", "email", address).is("email-code")
	return v.press("continue", "verificationCode", l.code(address)).is("select-authenticator")
}

var secretText = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)

func (v *view) secret() oath.Secret {
	v.b.t.Helper()
	found := secretText.FindStringSubmatch(v.html)
	if found == nil {
		v.b.t.Fatalf("no secret on %s", v.html)
	}
	s, err := oath.ParseSecret(found[1])
	if err != nil {
		v.b.t.Fatal(err)
	}
	return s
}

func (l *real) totp(s oath.Secret, steps int64) string {
	return s.Code(oath.StepOf(l.eng.Clock.Now()) + steps)
}

func TestUX_P5_AuthenticatorApp(t *testing.T) {
	l := live(t, withMethods+"\naccess: [{name: default, rules: [{name: default, factors: 1}]}]")
	b := l.browser()
	v := l.listed(b, ada).says("Google Authenticator", "A code from an app on your phone.")
	v = v.press("submit", "authenticator", "google_otp").is("set-app").says("Scan this with the authenticator app")
	secret := v.secret()
	if !strings.Contains(v.html, `src="data:image/png;base64,`) || !strings.Contains(v.header.Get("Content-Security-Policy"), "img-src data:") {
		t.Error("no picture to scan")
	}
	if !strings.Contains(html.UnescapeString(v.html), `href="otpauth://totp/Acme:ada@example.com?secret=`+secret.String()) {
		t.Error("no way to an app on this device")
	}
	w := v.press("continue", "verificationCode", "000000").is("set-app").says("That code is not right")
	if w.secret().String() != secret.String() {
		t.Error("a wrong code changes the secret")
	}
	w.press("continue", "verificationCode", " ").is("set-app").says("Enter the code")
	v = w.press("continue", "verificationCode", l.totp(secret, -3)).is("select-authenticator").says("Google Authenticator added.").saysNot("A code from an app")
	v.press("skip").isApp("[otp]")
	l.eng.Clock.Advance(time.Hour)

	t.Run("SEC_S52 each code once", func(t *testing.T) {
		sign := func() *view {
			b := l.browser()
			v := b.begin(ada).is("email-code")
			v = b.get(v.url.RequestURI() + "&view=list")
			return v.press("submit", "authenticator", "google_otp").is("app-code").says("The code changes every half minute.")
		}
		sign().press("continue", "verificationCode", "000000").is("app-code").says("That code is not right")
		now := l.totp(secret, 0)
		sign().press("continue", "verificationCode", now[:3]+" "+now[3:]).isApp("[otp]")
		sign().press("continue", "verificationCode", now).is("app-code").says("That code was used already. Wait for the next one.")
	})
}

func TestUX_P5_SecurityQuestion(t *testing.T) {
	l := live(t, withMethods+"\naccess: [{name: default, rules: [{name: default, factors: 2}]}]")
	b := l.browser()
	v := l.listed(b, ada).press("submit", "authenticator", "security_question").is("set-question").says("What is the food you least liked as a child?")
	v.press("continue", "questionKey", "", "question", "", "answer", "").is("set-question").says("Enter the answer")
	w := v.press("continue", "questionKey", "disliked_food", "question", "", "answer", "abc").is("set-question").says("An answer has at least 4 characters.")
	if !strings.Contains(w.html, `value="disliked_food" selected`) || strings.Contains(w.html, `"abc"`) {
		t.Error("what was chosen is lost, or the answer is shown")
	}
	w = w.press("continue", "questionKey", "", "question", "Who <b>was</b> it?", "answer", "Grandma").is("set-question").says("without < and >")
	if w.value("question") != "Who &lt;b&gt;was&lt;/b&gt; it?" && w.value("question") != "Who <b>was</b> it?" {
		t.Errorf("the question typed is %q", w.value("question"))
	}
	w = w.press("continue", "questionKey", "disliked_food", "question", "Who was it?", "answer", "Grandma")
	w.is("select-authenticator").press("skip").isApp("mfa") // what the app cannot do without is not asked for once more
	l.eng.Clock.Advance(3 * time.Hour)

	v = l.browser().begin(ada)
	if v.page() == "choose-authenticator" {
		v = v.press("submit", "authenticator", "okta_email")
	}
	v = v.is("email-code").press("continue", "verificationCode", l.code(ada)).is("question").says("Who was it?")
	v = v.press("continue", "answer", "Grandpa").is("question").says("That answer is not right.")
	v.press("continue", "answer", "  GRANDMA ").isApp("kba")
}

func TestUX_P5_RecoveryCodes(t *testing.T) {
	l := live(t, withMethods+"\naccess: [{name: default, rules: [{name: default, factors: 2}]}]")
	v := l.listed(l.browser(), ada).press("submit", "authenticator", "okta_password").is("set-password")
	v = v.press("continue", "password", right).is("select-authenticator").press("submit", "authenticator", "recovery_code").is("set-recovery-codes")
	found := regexp.MustCompile(`<li><code>([0-9a-z-]+)</code></li>`).FindAllStringSubmatch(v.html, -1)
	if len(found) != 10 {
		t.Fatalf("%d codes on %s", len(found), v.html)
	}
	code := found[3][1]
	v.press("continue").is("select-authenticator").says("Recovery Codes added.").press("skip").isApp("mfa")
	l.eng.Clock.Advance(3 * time.Hour)

	sign := func() *view {
		b := l.browser()
		v := b.begin(ada)
		if v.page() != "choose-authenticator" {
			v = b.get(v.url.RequestURI() + "&view=list")
		}
		v = v.press("submit", "authenticator", "okta_password").is("password").press("continue", "password", right)
		if v.page() != "choose-authenticator" {
			v = b.get(v.url.RequestURI() + "&view=list")
		}
		return v.press("submit", "authenticator", "recovery_code").is("recovery-code")
	}
	v = sign()
	v.press("continue", "verificationCode", strings.Repeat("0", 24)).is("recovery-code").says("That code is not right")
	v.press("continue", "verificationCode", strings.ToUpper(code)).isApp("mfa")
	t.Run("SEC_S54 each code once", func(t *testing.T) {
		sign().press("continue", "verificationCode", code).is("recovery-code").says("That code is not right")
		sign().press("continue", "verificationCode", found[4][1]).isApp("mfa")
	})
}

// AUTH A-43: who has lost all else asks an operator.
func TestAUTH_A43_AccessCode(t *testing.T) {
	l := live(t, `enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: tac, need: optional}]}]`)
	l.grow(ownScopes)
	l.account(ada, "")
	code := l.eng.AccessCode(t, ada)
	sign := func() *view {
		b := l.browser()
		v := b.begin(ada).is("email-code")
		v = b.get(v.url.RequestURI()+"&view=list").says("Temporary Access Code", "A code that you were given by whoever looks after your account.")
		return v.press("submit", "authenticator", "tac").is("access-code").says("It has sixteen letters and digits")
	}
	sign().press("continue", "verificationCode", "0000 0000 0000 0000").is("access-code").says("That code is not right, or holds no more.")
	in := sign().press("continue", "verificationCode", strings.ToUpper(code)).isApp(ada)
	in.b.get("/login/profile").is("profile").saysNot("Temporary access code") // it is used up, and nobody adds one
	sign().press("continue", "verificationCode", code).is("access-code").says("That code is not right, or holds no more.")
	l.eng.AccessCode(t, ada)
	in.b.get("/login/profile").is("sign-in") // SEC S-104: who came in by the one before
	in = l.browser().begin(ada).is("email-code").press("continue", "verificationCode", l.eng.Code(t, ada)).isApp(ada)
	in.b.get("/login/profile").is("profile").says("Temporary access code")
}

// Who has an authenticator app beside the mailbox, and nothing else, is told what to do
// without it where it is all that is asked for.
func TestUX_P5_TheOnlyAppIsLost(t *testing.T) {
	l := ownable(t, ownScopes, stiletest.Offer("google_otp"))
	v := l.browser().signUp("Ada", "L", ada).press("continue", "verificationCode", l.eng.Code(t, ada)).is("select-authenticator")
	v = v.press("submit", "authenticator", "google_otp").is("set-app").saysNot("If you have lost")
	v.press("continue", "verificationCode", l.totp(v.secret(), 0)).is("select-authenticator").press("skip").isApp(ada)
	l.eng.Clock.Advance(time.Hour)
	b := l.browser()
	b.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp(ada)
	v = b.get("/login/profile").press("add", "method", "okta_verify").is("email-code").press("continue", "verificationCode", l.code(ada))
	v.is("app-code").says("If you have lost the app, ask whoever runs Acme to remove it from your account.")
}
