package signin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// recalls checks how many steps are remembered.
func (l *real) recalls(n int) {
	l.t.Helper()
	if got := l.pages.Recalled(l.t); len(got) != n {
		l.t.Errorf("%d steps are remembered, want %d: %s", len(got), n, got)
	}
}

// What was seen of a flow is remembered for as long as the flow may come back to it:
// not after a sign-in, not after its end, and not for an hour.
func TestFlowsForgotten(t *testing.T) {
	l := live(t, "")
	l.account(ada, "")
	wait, open := true, false

	v := l.browser().begin(ada).is("email-code")
	l.recalls(1)
	l.isBusy(&wait)
	v.press("continue", "verificationCode", "000000").is("email-code").says("That was too often.")
	l.isBusy(&open)
	v.press("continue", "verificationCode", l.code(ada)).isApp()
	l.recalls(0)

	l.eng.Clock.Advance(time.Hour)
	l.browser().begin(ada).is("email-code").press("change").is("sign-in")
	l.recalls(0)

	b := l.browser()
	v = b.begin(ada).is("email-code")
	l.recalls(1)
	l.eng.Clock.Advance(61 * time.Minute)
	b.get(v.url.RequestURI())
	l.recalls(0) // the engine has ended it

	l.browser().begin(ada).is("email-code")
	l.eng.Clock.Advance(11 * time.Minute)
	l.browser().begin(ada).is("email-code")
	l.recalls(1)
}

// A step that shows a secret is not remembered, nor the one before it in its place:
// while the engine asks to wait, the page of the wait is shown.
func TestShownSecretsNotRemembered(t *testing.T) {
	l := live(t, withMethods)
	wait, open := true, false
	b := l.browser()
	v := l.listed(b, ada)
	l.recalls(1)
	v = v.press("submit", "authenticator", "google_otp").is("set-app")
	secret := v.secret().String()
	l.recalls(0)
	l.isBusy(&wait)
	for _, w := range []*view{b.get(v.url.RequestURI()), v.press("continue", "verificationCode", "000000")} {
		if w.is("error").says("That was too often."); w.status != http.StatusTooManyRequests || strings.Contains(w.html, secret) {
			t.Errorf("%d %s", w.status, w.html)
		}
	}
	l.isBusy(&open)
	if again := b.get(v.url.RequestURI()).is("set-app").secret().String(); again != secret {
		t.Error("after the wait it is another secret")
	}
	l.recalls(0)

	b = l.browser()
	v = l.listed(b, "grace@example.com").press("submit", "authenticator", "recovery_code").is("set-recovery-codes")
	l.recalls(0)
	v.press("continue").is("select-authenticator")
	l.recalls(1) // the codes were shown once, and are gone
}
