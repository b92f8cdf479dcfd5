package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
)

// A-55, M-22: after as many wrong passwords as the policy permits, operators see
// LOCKED_OUT, and can end it. It is a pause: the person is active, and signs in by
// the mailbox.
func TestAUTH_A53_A55_LockedOut(t *testing.T) {
	const words = "a stile is a set of steps"
	l := flow.DevelopmentLimits()
	l.Rules.Password = flow.DefaultLimits().Rules.Password
	e := startNode(t, app.Config{Dir: t.TempDir(), Limits: l, Overlay: func(o *policy.Org) {
		o.Password[0].MaxAttempts, o.Password[0].Unlock = 1, true
	}})
	e.register(t)
	ask := func(action, format string, args ...any) (string, error) {
		doc, err := e.idx(action, fmt.Sprintf(format, args...))
		return string(doc), err
	}
	must := func(got string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	h := must(e.enrolled("ada@example.com"))
	code := must(e.code(t.Context(), "ada@example.com"))
	must(ask("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
	must(ask("credential/enroll", `{"stateHandle":%q,"authenticator":{"id":"aut1password0000000"}}`, h))
	must(ask("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, words))

	password := func(word string) (string, error) {
		h := must(e.begun())
		must(ask("identify", `{"stateHandle":%q,"identifier":"ada@example.com"}`, h))
		must(ask("challenge", `{"stateHandle":%q,"authenticator":{"id":"aut1password0000000"}}`, h))
		return ask("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, word)
	}
	status := func() any { return e.must(t, "GET", "/users/ada@example.com", "")["status"] }
	unlock := func() int { return e.operate(t, "POST", "/users/ada@example.com/lifecycle/unlock", "").Code }

	if got := status(); got != "ACTIVE" {
		t.Fatalf("to begin with: %v", got)
	}
	if got := unlock(); got != http.StatusForbidden {
		t.Errorf("unlocking what is not paused: %d", got)
	}
	for _, word := range []string{"wrong", words} { // the second is not looked at, and looks the same
		if _, err := password(word); err == nil || !strings.Contains(err.Error(), `"incorrectPassword"`) {
			t.Fatalf("%q: %v", word, err)
		}
	}
	if got := status(); got != "LOCKED_OUT" {
		t.Errorf("after one wrong password: %v", got)
	}
	if got := e.must(t, "GET", "/users/ada@example.com", "")["_links"].(map[string]any)["unlock"]; got == nil {
		t.Error("no link to unlock")
	}
	if got := unlock(); got != http.StatusOK {
		t.Errorf("unlocking: %d", got)
	}
	if got := status(); got != "ACTIVE" {
		t.Errorf("unlocked: %v", got)
	}
	if doc, err := password(words); err != nil || !interactionCode.MatchString(doc) {
		t.Errorf("the right password after it: %v", err)
	}

	// Once more, and the person ends it.
	if _, err := password("wrong"); err == nil || status() != "LOCKED_OUT" {
		t.Fatalf("again: %v, %v", err, status())
	}
	h = must(e.begun())
	must(ask("unlock-account", `{"stateHandle":%q}`, h))
	must(ask("challenge", `{"stateHandle":%q,"identifier":"ada@example.com","authenticator":{"id":"aut1email0000000000"}}`, h))
	if err := e.MailSettled(t.Context()); err != nil { // or the code is that of the sign-up
		t.Fatal(err)
	}
	code = must(e.code(t.Context(), "ada@example.com"))
	must(ask("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
	if got := status(); got != "ACTIVE" {
		t.Errorf("A-53: %v", got)
	}
}
