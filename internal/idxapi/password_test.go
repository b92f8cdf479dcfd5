package idxapi_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/stiletest"
)

const (
	firstPassword  = "a stile is a set of steps"
	secondPassword = "steps over a wall or fence"

	passwordFirst = "session: [{name: default, primary: password}]\n"
	bothRequired  = "enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_password, need: required}]}]\n"
	twoFactors    = bothRequired + "access: [{name: default, rules: [{name: default, factors: 2}]}]\n"
)

func choice(key string) map[string]any {
	id := map[string]string{"okta_email": "aut1email0000000000", "okta_password": "aut1password0000000"}[key]
	return map[string]any{"authenticator": map[string]any{"id": id}}
}

func name(identifier string) map[string]any { return map[string]any{"identifier": identifier} }

func nameAndPassword(identifier, password string) map[string]any {
	return map[string]any{"identifier": identifier, "credentials": map[string]any{"passcode": password}}
}

// withPassword signs somebody up who chooses a password, and waits an hour.
func withPassword(t *testing.T, e *stiletest.Engine, email string) {
	t.Helper()
	w := begin(t, e)
	w.enrolled(email)
	w.answer("challenge/answer", passcode(e.Code(t, email)))
	w.answer("credential/enroll", choice("okta_password"))
	done := w.answer("challenge/answer", passcode(firstPassword))
	if done.at("remediation") != nil { // what is optional is left
		done = w.answer("skip", nil)
	}
	if done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
}

// members lists the names of an object at a path.
func (a answer) members(path ...any) []string {
	m, _ := a.at(path...).(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// fields lists the names of a form's fields.
func (a answer) fields(form string) []string {
	var out []string
	list, _ := a.form(form)["value"].([]any)
	for _, f := range list {
		out = append(out, f.(map[string]any)["name"].(string))
	}
	return out
}

// recorded compares a document with the members of the one in the protocol's reference.
func (w *wire) recorded(what string, a answer, members string) {
	w.Helper()
	want := strings.Fields("version stateHandle expiresAt intent remediation cancel app " + members)
	slices.Sort(want)
	if diff := cmp.Diff(want, a.members()); diff != "" {
		w.Errorf("%s: members\n%s", what, diff)
	}
	w.envelope(a)
}

func TestGoldenDocumentsOfPasswords(t *testing.T) {
	first := stiletest.Start(t, stiletest.Org(passwordFirst))
	withPassword(t, first, john)
	w := begin(t, first)
	w.golden("identify-password", w.post("introspect", map[string]any{"stateToken": w.state}))
	w.golden("error-identify-password", w.answer("identify", nameAndPassword(john, "wrong")))
	w.golden("recover", w.answer("recover", nil))
	w.golden("recover-list", w.answer("identify", name(john)))
	w.golden("recover-email", w.answer("challenge", choice("okta_email")))
	w.golden("reset-authenticator", w.answer("challenge/answer", passcode(first.Code(t, john))))
	w.golden("error-reset-weak", w.answer("challenge/answer", passcode("short")))

	both := stiletest.Start(t, stiletest.Org(bothRequired+"password: [{name: default, complexity: {minLength: 8}, unlock: true, maxAge: 30d, warn: 4d}]\n"+
		"profile: [{name: default, signUp: open, attributes: [{name: department, label: Department, when: sign-in}]}]\n"))
	withPasswordAndDepartmentLater(t, both, john)
	w = begin(t, both)
	w.golden("identify-unlock", w.post("introspect", map[string]any{"stateToken": w.state}))
	w.golden("select-authenticator-authenticate", w.answer("identify", name(john)))
	w.golden("challenge-password", w.answer("challenge", choice("okta_password")))
	w.golden("error-password-wrong", w.answer("challenge/answer", passcode("wrong")))
	w.golden("profile-update", w.answer("challenge/answer", passcode(firstPassword)))

	w = begin(t, both)
	w.golden("unlock", w.answer("unlock-account", nil))

	both.Clock.Advance(27 * 24 * time.Hour)
	w = begin(t, both)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	w.golden("reenroll-warning", w.answer("challenge/answer", passcode(firstPassword)))
	both.Clock.Advance(4 * 24 * time.Hour)
	w = begin(t, both)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	w.golden("reenroll", w.answer("challenge/answer", passcode(firstPassword)))
}

// withPasswordAndDepartmentLater signs up where the profile is asked for at the end of it, and puts that off.
func withPasswordAndDepartmentLater(t *testing.T, e *stiletest.Engine, email string) {
	t.Helper()
	w := begin(t, e)
	w.enrolled(email)
	w.answer("challenge/answer", passcode(e.Code(t, email)))
	w.answer("credential/enroll", choice("okta_password"))
	w.want("AUTH_74", w.answer("challenge/answer", passcode(firstPassword)), 200, "profile-update", "skip")
	if done := w.answer("skip", nil); done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
}

func TestIDX_C52_ListFirst(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(bothRequired))
	withPassword(t, e, john)
	sent := len(e.Mails(t, john))
	w := begin(t, e)
	list := w.answer("identify", name(john))
	w.want("IDX_C52", list, 200, "select-authenticator-authenticate")
	w.recorded("IDX §3.3, several", list, "authenticators authenticatorEnrollments user")
	if n := len(e.Mails(t, john)); n != sent {
		t.Errorf("IDX_C52: %d mails before the choice", n-sent)
	}
	email := w.answer("challenge", choice("okta_email"))
	w.want("IDX_C52", email, 200, "challenge-authenticator", "select-authenticator-authenticate")
	w.recorded("IDX §3.3, email", email, "currentAuthenticatorEnrollment authenticators authenticatorEnrollments user")
	password := w.answer("challenge", choice("okta_password"))
	w.want("IDX §3.3, password", password, 200, "challenge-authenticator", "select-authenticator-authenticate")
	w.recorded("IDX §3.3, password", password, "currentAuthenticatorEnrollment authenticators authenticatorEnrollments user")
	want := []string{"displayName", "id", "key", "methods", "recover", "type"}
	if diff := cmp.Diff(want, password.members("currentAuthenticatorEnrollment", "value")); diff != "" {
		t.Errorf("IDX §3.3, password: the enrollment\n%s", diff)
	}
	wrong := w.answer("challenge/answer", passcode("wrong"))
	w.wantKeys("IDX_C54 E13", wrong, 401, "incorrectPassword")
	w.want("IDX_C54", wrong, 401, "challenge-authenticator", "select-authenticator-authenticate")
	if done := w.answer("challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("IDX_C54: no code: %s", done.body)
	}

	n := begin(t, e)
	unknown := n.answer("identify", name("nobody@example.org"))
	for _, path := range [][]any{{"authenticators"}, {"remediation", "value", 0, "value", 0, "options"}} {
		if diff := cmp.Diff(list.at(path...), unknown.at(path...)); diff != "" {
			t.Errorf("SEC_S43: %v of an unknown address\n%s", path, diff)
		}
	}
}

func TestIDX_C53_PasswordOnTheFirstForm(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordFirst))
	withPassword(t, e, john)
	begin(t, e).signedUp("without@example.org")
	w := begin(t, e)
	page := w.post("introspect", map[string]any{"stateToken": w.state})
	w.want("IDX_C53", page, 200, "identify", "select-enroll-profile")
	w.recorded("IDX §3.3, password on the same form", page, "currentAuthenticator")
	if got := page.fields("identify"); !slices.Equal(got, []string{"identifier", "credentials", "rememberMe", "stateHandle"}) {
		t.Errorf("IDX_C53: fields %v", got)
	}
	if page.at("currentAuthenticator", "value", "recover", "name") != "recover" {
		t.Errorf("IDX_C53: no recover: %s", page.body)
	}
	for _, who := range []string{john, "nobody@example.org", "without@example.org"} {
		refused := w.answer("identify", nameAndPassword(who, "wrong"))
		w.wantKeys("IDX_C54 E14 "+who, refused, 401, "errors.E0000004")
		w.want("IDX_C54", refused, 401, "identify", "select-enroll-profile")
	}
	w.wantKeys("E03", w.answer("identify", name(john)), 400, "model.validation.field.blank")
	if done := w.answer("identify", nameAndPassword(john, firstPassword)); done.code() == "" {
		t.Errorf("IDX_C53 IDX_C57: no code: %s", done.body)
	}
}

func TestIDX_C54_PasswordTriedTooOften(t *testing.T) {
	e := stiletest.Start(t)
	withPassword(t, e, john)
	w := begin(t, e)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	for range 5 {
		w.wantKeys("E13", w.answer("challenge/answer", passcode("wrong")), 401, "incorrectPassword")
	}
	w.wantKeys("IDX_C54 E09", w.answer("challenge/answer", passcode(firstPassword)), 401, "authfactor.challenge.suspended_factor")
	w.answer("challenge", choice("okta_email"))
	if done := w.answer("challenge/answer", passcode(e.Code(t, john))); done.code() == "" {
		t.Errorf("the email is no way on: %s", done.body)
	}
}

func TestIDX_C55_TwoFactors(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(twoFactors))
	withPassword(t, e, john)
	for _, first := range []string{"okta_password", "okta_email"} {
		w := begin(t, e)
		prove := func(key string) answer {
			w.answer("challenge", choice(key))
			if key == "okta_password" {
				return w.answer("challenge/answer", passcode(firstPassword))
			}
			return w.answer("challenge/answer", passcode(e.Code(t, john)))
		}
		second := map[string]string{"okta_password": "okta_email", "okta_email": "okta_password"}[first]
		w.answer("identify", name(john))
		left := prove(first)
		w.want("IDX_C55 after "+first, left, 200, "select-authenticator-authenticate")
		w.recorded("IDX §3.3, MFA", left, "authenticators authenticatorEnrollments user")
		list, _ := left.at("authenticators", "value").([]any)
		if len(list) != 1 || list[0].(map[string]any)["key"] != second {
			t.Errorf("IDX_C55: after %s the list is %v", first, list)
		}
		w.wantKeys("IDX_C81", w.answer("skip", nil), 400, "errors.E0000079")
		if done := prove(second); done.code() == "" {
			t.Errorf("IDX_C55: no code: %s", done.body)
		}
	}
}

func TestIDX_C56_RequiredAuthenticatorMissing(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(bothRequired))
	left := begin(t, e)
	left.enrolled(john)
	left.answer("challenge/answer", passcode(e.Code(t, john))) // and no password
	w := begin(t, e)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_email"))
	w.want("IDX_C56", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll")
	w.wantKeys("IDX_C41", w.answer("skip", nil), 400, "errors.E0000079")
	w.answer("credential/enroll", choice("okta_password"))
	if done := w.answer("challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("IDX_C56: no code: %s", done.body)
	}
}

func TestIDX_C67_C68_Recovery(t *testing.T) {
	for name, c := range map[string]struct {
		org   string
		enter func(*wire) answer // goes as far as the list
		reset []string           // remediations beside the new password
	}{
		"first form": {passwordFirst + bothRequired, func(w *wire) answer {
			a := w.answer("recover", nil)
			w.want("IDX §3.6, entry A", a, 200, "identify-recovery", "select-identify")
			w.recorded("IDX §3.6, entry A", a, "recoveryAuthenticator")
			return w.answer("identify", map[string]any{"identifier": john})
		}, nil},
		"first form, identifier first": {"", func(w *wire) answer {
			w.answer("recover", nil)
			return w.answer("identify", map[string]any{"identifier": john})
		}, []string{"skip"}},
		"challenge": {bothRequired, func(w *wire) answer {
			w.answer("identify", map[string]any{"identifier": john})
			w.answer("challenge", choice("okta_password"))
			return w.answer("recover", nil)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.Org(c.org))
			withPassword(t, e, john)
			sent := len(e.Mails(t, john))
			w := begin(t, e)
			list := c.enter(w)
			w.want("IDX_C67", list, 200, "select-authenticator-authenticate")
			w.recorded("IDX §3.6, list", list, "authenticators authenticatorEnrollments recoveryAuthenticator user currentAuthenticatorEnrollment")
			if list.at("currentAuthenticatorEnrollment", "value", "recover", "name") != "recover" {
				t.Errorf("IDX_C68: the list has no recover: %s", list.body)
			}
			for range 3 {
				again := w.answer("recover", nil)
				if diff := cmp.Diff(string(list.body), string(again.body)); diff != "" {
					t.Errorf("IDX_C68: recover is not idempotent\n%s", diff)
				}
			}
			if n := len(e.Mails(t, john)); n != sent {
				t.Errorf("IDX_C68: %d mails before the choice", n-sent)
			}
			email := w.answer("challenge", choice("okta_email"))
			w.want("IDX §3.6, email", email, 200, "challenge-authenticator", "select-authenticator-authenticate")
			if email.at("recoveryAuthenticator") == nil || email.at("currentAuthenticatorEnrollment", "value", "recover") != nil {
				t.Errorf("IDX §3.6, email: %s", email.body)
			}
			reset := w.answer("challenge/answer", passcode(e.Code(t, john)))
			w.want("IDX_C67", reset, 200, append([]string{"reset-authenticator"}, c.reset...)...)
			w.recorded("IDX §3.6, reset", reset, "currentAuthenticator authenticators authenticatorEnrollments recoveryAuthenticator user")
			if got := reset.at("remediation", "value", 0, "value", 0, "form", "value", 0, "label"); got != "New password" {
				t.Errorf("IDX_C67: labelled %v", got)
			}
			if reset.at("currentAuthenticator", "value", "settings", "complexity") == nil {
				t.Errorf("IDX_C49: no complexity: %s", reset.body)
			}
			weak := w.answer("challenge/answer", passcode("short"))
			w.wantKeys("IDX_C50", weak, 400, "password.passwordRequirementsNotMet")
			w.want("IDX_C50", weak, 400, append([]string{"reset-authenticator"}, c.reset...)...)
			if done := w.answer("challenge/answer", passcode(secondPassword)); done.code() == "" {
				t.Errorf("IDX_C69: no code: %s", done.body)
			}
		})
	}
}

func TestIDX_C69_RecoveryThatDoesNotSignIn(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordFirst+"password: [{name: default, complexity: {minLength: 8}, noSignIn: true}]\n"))
	withPassword(t, e, john)
	w := begin(t, e)
	w.answer("recover", nil)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_email"))
	w.answer("challenge/answer", passcode(e.Code(t, john)))
	end := w.answer("challenge/answer", passcode(secondPassword))
	w.wantKeys("IDX_C69", end, 200, "idx.recovery.completed")
	if len(end.forms()) > 0 || end.code() != "" {
		t.Errorf("IDX_C69: not the end: %s", end.body)
	}
	if done := begin(t, e).answer("identify", nameAndPassword(john, secondPassword)); done.code() == "" {
		t.Errorf("the new password: %s", done.body)
	}
}

func TestRecoverySwitchedOffOverTheWire(t *testing.T) {
	w := begin(t, stiletest.Start(t, stiletest.Org("password: [{name: default, complexity: {minLength: 8}, noRecovery: true}]\n")))
	if page := w.post("introspect", map[string]any{"stateToken": w.state}); page.at("currentAuthenticator") != nil {
		t.Errorf("IDX §2.8: a current authenticator without recover: %s", page.body)
	}
	a := w.answer("recover", nil)
	w.wantKeys("E31", a, 403, "oie.selfservice.reset.password.not.allowed")
	if a.doc["cancel"] == nil {
		t.Error("E31: no cancel")
	}
}

func TestIDX_C70_AUTH_A56_A57_PasswordExpiry(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordFirst+"password: [{name: default, complexity: {minLength: 8}, maxAge: 30d, warn: 4d}]\n"))
	withPassword(t, e, john)
	enter := func(password string) (*wire, answer) {
		w := begin(t, e)
		return w, w.answer("identify", nameAndPassword(john, password))
	}
	if _, a := enter(firstPassword); a.code() == "" {
		t.Fatalf("a young password: %s", a.body)
	}

	e.Clock.Advance(27 * 24 * time.Hour)
	w, warned := enter(firstPassword)
	w.want("IDX_C70 A-56", warned, 200, "reenroll-authenticator-warning", "skip")
	w.wantKeys("IDX_C70", warned, 200, "idx.password.expiring.message")
	if got := warned.at("currentAuthenticator", "value", "settings", "daysToExpiry"); got != float64(3) {
		t.Errorf("IDX_C70: daysToExpiry %v", got)
	}
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("A-56: skip: %s", done.body)
	}

	e.Clock.Advance(4 * 24 * time.Hour)
	w, expired := enter(firstPassword)
	w.want("IDX_C70 A-57", expired, 200, "reenroll-authenticator")
	w.recorded("IDX §3.6, expired", expired, "currentAuthenticator authenticators authenticatorEnrollments user")
	if got := expired.at("remediation", "value", 0, "value", 0, "form", "value", 0, "label"); got != "New password" {
		t.Errorf("IDX_C70: labelled %v", got)
	}
	w.wantKeys("A-57", w.answer("skip", nil), 400, "errors.E0000079")
	if done := w.answer("challenge/answer", passcode(secondPassword)); done.code() == "" {
		t.Errorf("IDX_C70: no code: %s", done.body)
	}
	if _, a := enter(secondPassword); a.code() == "" {
		t.Errorf("the new password: %s", a.body)
	}
}

func TestIDX_C71_Cancel(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(twoFactors))
	withPassword(t, e, john)
	w := begin(t, e)
	first := w.post("introspect", map[string]any{"interactionHandle": w.interaction})
	for what, walk := range map[string]func(){
		"between two factors": func() {
			w.answer("identify", name(john))
			w.answer("challenge", choice("okta_password"))
			w.want("one factor", w.answer("challenge/answer", passcode(firstPassword)), 200, "select-authenticator-authenticate")
		},
		"in a recovery": func() {
			w.answer("recover", nil)
			w.answer("identify", name(john))
			w.answer("challenge", choice("okta_email"))
			w.want("reset", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "reset-authenticator")
		},
	} {
		walk()
		for _, a := range []answer{w.answer("cancel", nil), w.post("introspect", map[string]any{"interactionHandle": w.interaction})} {
			if diff := cmp.Diff(string(first.body), string(a.body)); diff != "" || a.status != 200 {
				t.Errorf("IDX_C71 %s: %d\n%s", what, a.status, diff)
			}
		}
	}
}

func TestAUTH_A51_A53_UnlockOverTheWire(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(twoFactors+"password: [{name: default, complexity: {minLength: 8}, unlock: true, maxAttempts: 2}]\n"))
	withPassword(t, e, john)
	w := begin(t, e)
	w.want("A-51", w.post("introspect", map[string]any{"stateToken": w.state}), 200, "identify", "select-enroll-profile", "unlock-account")
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	for range 2 {
		w.wantKeys("AUTH §8", w.answer("challenge/answer", passcode("wrong")), 401, "incorrectPassword")
	}
	w.wantKeys("a pause looks like a wrong answer", w.answer("challenge/answer", passcode(firstPassword)), 401, "incorrectPassword")

	w = begin(t, e)
	unlock := w.answer("unlock-account", nil)
	w.want("AUTH §8", unlock, 200, "select-authenticator-unlock-account", "select-identify")
	w.envelope(unlock)
	if got := unlock.fields("select-authenticator-unlock-account"); !slices.Equal(got, []string{"identifier", "authenticator", "stateHandle"}) {
		t.Errorf("AUTH §8: fields %v", got)
	}
	body := choice("okta_email")
	body["identifier"] = john
	w.want("AUTH §8", w.answer("challenge", body), 200, "challenge-authenticator", "select-authenticator-authenticate")
	unlocked := w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.wantKeys("A-53", unlocked, 200, "oie.selfservice.unlock_user.landing.to.app.success.message")
	w.answer("challenge", choice("okta_password"))
	if done := w.answer("challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("A-53: %s", done.body)
	}

	off := begin(t, stiletest.Start(t))
	off.want("A-51", off.post("introspect", map[string]any{"stateToken": off.state}), 200, "identify", "select-enroll-profile")
	off.wantKeys("AUTH §8", off.answer("unlock-account", nil), 403, "oie.selfservice.user.unlock.not.allowed")
}

func TestAUTH_A63_ACR(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp(john)
	with := func(acr string) *wire {
		w := &wire{T: t, e: e}
		w.interaction = w.interact(func(v url.Values) { v.Set("acr_values", acr) }).doc["interaction_handle"].(string)
		w.state, _ = w.post("introspect", map[string]any{"interactionHandle": w.interaction}).doc["stateHandle"].(string)
		return w
	}
	w := with("urn:okta:loa:2fa:any:ifpossible")
	w.answer("identify", name(john))
	if done := w.answer("challenge/answer", passcode(e.Code(t, john))); done.code() == "" {
		t.Errorf("A-63: no code: %s", done.body)
	}
	w = with("urn:okta:loa:2fa:any")
	w.answer("identify", name(john))
	w.want("AUTH §12.1", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll")
	w.answer("credential/enroll", choice("okta_password"))
	if done := w.answer("challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("AUTH §12.1: no code: %s", done.body)
	}
	w = with("urn:okta:loa:2fa:any:ifpossible")
	w.answer("identify", name(john))
	w.want("A-63", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-authenticate")
}

func TestAUTH_A74_ProfileUpdate(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org("profile: [{name: default, signUp: open, attributes: [{name: department, label: Department, required: true, when: sign-in}]}]\n"))
	w := begin(t, e)
	w.enrolled(john)
	w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.want("A-74", w.answer("skip", nil), 200, "profile-update")

	w = begin(t, e)
	w.answer("identify", name(john))
	update := w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.want("A-74", update, 200, "profile-update")
	w.recorded("AUTH §12.3", update, "authenticators authenticatorEnrollments user")
	w.wantKeys("A-74", w.answer("skip", nil), 400, "errors.E0000079")
	w.wantKeys("E03", w.answer("enroll/update", map[string]any{"userProfile": map[string]any{}}), 400, "model.validation.field.blank")
	if done := w.answer("enroll/update", map[string]any{"userProfile": map[string]any{"department": "Stiles"}}); done.code() == "" {
		t.Errorf("A-74: no code: %s", done.body)
	}

	w = begin(t, e)
	w.answer("identify", name(john))
	if done := w.answer("challenge/answer", passcode(e.Code(t, john))); done.code() == "" {
		t.Errorf("A-74: asked again: %s", done.body)
	}
}

// the answer that begins a pause of the password, and those that are not looked
// at, say what a wrong one says; decision 9 has why no account is locked.
func TestAUTH_A55_OnePermittedAttempt(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordFirst+"password: [{name: default, complexity: {minLength: 8}, unlock: true, maxAttempts: 1}]\n"))
	withPassword(t, e, john)
	w := begin(t, e)
	w.wantKeys("the wrong one", w.answer("identify", nameAndPassword(john, "wrong")), 401, "errors.E0000004")
	w.wantKeys("the right one after it", w.answer("identify", nameAndPassword(john, firstPassword)), 401, "errors.E0000004")
	w.answer("unlock-account", nil)
	w.answer("challenge", map[string]any{"identifier": john, "authenticator": choice("okta_email")["authenticator"]})
	if done := w.answer("challenge/answer", passcode(e.Code(t, john))); done.status != 200 {
		t.Fatalf("the code that unlocks: %s", done.body)
	}
	if done := begin(t, e).answer("identify", nameAndPassword(john, firstPassword)); done.code() == "" {
		t.Errorf("unlocked: %s", done.body)
	}
}
