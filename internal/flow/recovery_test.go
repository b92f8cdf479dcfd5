package flow

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

func TestIDX_C67_C68_RecoveryFromTheFirstForm(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	v := r.begin()
	if got := v.answer("recover"); names(got) != "identify-recovery select-identify cancel" || got.Recovery == nil {
		t.Fatalf("recover leads to %s", names(got))
	}
	got := v.answer("identify-recovery", "identifier", ada)
	if names(got) != "select-authenticator-authenticate recover cancel" || len(got.Choices) != 1 || got.Choices[0].Key != emailKey {
		t.Fatalf("the list is %s %v", names(got), got.Choices)
	}
	mails := len(r.post.sent(ada))
	if again := v.answer("recover"); names(again) != names(got) || len(r.post.sent(ada)) != mails {
		t.Fatal("IDX_C68: recover said again changes something")
	}
	if got = v.choose(emailKey); got.Stage != Challenge || r.post.sent(ada)[mails].Template != "recovery" {
		t.Fatalf("email leads to %s", got.Stage)
	}
	if got = v.prove(r.code(ada)); names(got) != "reset-authenticator skip-password cancel" || got.Current.Role != Changing {
		t.Fatalf("the code leads to %s", names(got))
	}
	if got = v.answer("reset-authenticator", "credentials.passcode", "weak"); got.Kind != problem.Invalid || got.Stage != Reset {
		t.Fatalf("a weak password: %v at %s", got.Kind, got.Stage)
	}
	if got = v.answer("reset-authenticator", "credentials.passcode", fresh); got.Stage != Success {
		t.Fatalf("IDX_C69: the new password leads to %s", got.Stage)
	}
	if len(r.store.signedOut) != 1 {
		t.Fatal("SEC_S32: what was signed in stays so")
	}
	sent := r.post.sent(ada)
	if last := sent[len(sent)-1]; last.Template != "password-changed" || last.Code != "" {
		t.Fatalf("SEC_S61: no notice, but %q", last.Template)
	}

	r.pass(time.Hour)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	if got := v.prove(right); key(got) != "incorrectPassword" {
		t.Fatal("the old password is good still")
	}
	if got := v.prove(fresh); got.Stage != Success {
		t.Fatal("the new one is not")
	}
}

func TestIDX_C67_RecoveryFromTheChallenge(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	got := v.answer("recover")
	if names(got) != "select-authenticator-authenticate recover cancel" {
		t.Fatalf("recover leads to %s", names(got))
	}
	r.pass(time.Minute)
	v.choose(emailKey)
	if got := v.prove(r.code(ada)); got.Stage != Reset {
		t.Fatalf("the code leads to %s", got.Stage)
	}
}

func TestUX_P7_1_GoOnWithoutAPassword(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	v := r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	v.prove(r.code(ada))
	if got := v.answer("skip-password"); got.Stage != Success {
		t.Fatalf("going on leads to %s", got.Stage)
	}
	if a := r.account(ada); len(a.Enrollments) != 1 || len(r.store.signedOut) != 1 {
		t.Fatalf("the forgotten password is there still: %d ways", len(a.Enrollments))
	}

	required := emailAndPassword()
	required.Require(passwordKey)
	r = newRig(t, required)
	r.withPassword(ada)
	v = r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	if got := v.prove(r.code(ada)); names(got) != "reset-authenticator cancel" {
		t.Fatalf("a required password may be gone without: %s", names(got))
	}
}

// SEC S-59: the mailbox alone replaces no password of who has another factor.
func TestSEC_S59_T28_RecoveryAsksForTheOtherFactor(t *testing.T) {
	org := emailAndPassword()
	org.Enrollment[0].Authenticators = append(org.Enrollment[0].Authenticators, policy.Authenticator{Key: "other0", Need: policy.Optional})
	r := newRig(t, org)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
	v.answer("enroll-authenticator", "credentials.passcode", right)
	r.pass(time.Minute)
	v.answer("select-authenticator-enroll", "authenticator.id", "autother0")
	if got := v.answer("enroll-authenticator", "credentials.passcode", r.code(ada)); got.Stage != Success {
		t.Fatalf("sign-up ends at %s", got.Stage)
	}
	r.pass(time.Hour)
	v = r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	got := v.prove(r.code(ada))
	if got.Stage != ChooseFactor || len(got.Choices) != 1 || got.Choices[0].Key != "other0" {
		t.Fatalf("after the mailbox: %s %v", got.Stage, got.Choices)
	}
	if got := v.answer("reset-authenticator", "credentials.passcode", fresh); key(got) != "errors.E0000079" {
		t.Fatalf("T-27: the reset is accepted before its turn: %q", key(got))
	}
	r.pass(time.Minute)
	v.choose("other0")
	if got := v.prove(r.code(ada)); got.Stage != Reset {
		t.Fatalf("after both: %s", got.Stage)
	}
}

// SEC S-60: the proof names one user; another cannot be put in their place later.
func TestSEC_S60_RecoveryOfAnother(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	r.withPassword("bob@example.com")
	v := r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", "bob@example.com")
	v.choose(emailKey)
	v.prove(r.code("bob@example.com"))
	for _, name := range []string{"identify-recovery", "identify", "recover"} {
		if got := v.answer(name, "identifier", ada); key(got) != "errors.E0000079" {
			t.Fatalf("%s after the proof: %q", name, key(got))
		}
	}
	v.answer("reset-authenticator", "credentials.passcode", fresh, "identifier", ada)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	if got := v.prove(right); got.Stage != Success {
		t.Fatal("ada's password is another's now")
	}
}

// T-28: nobody comes by recovery to a password that their policy does not let them
// have, nor by one to the assurance that it would give.
func TestSEC_T28_RecoveryOfWhoMayHaveNoPassword(t *testing.T) {
	org := twoFactors()
	org.Groups = []policy.Group{{ID: "guests"}}
	org.Profile[0].Groups = []string{"guests"}
	org.Enrollment = append([]policy.Enrollment{{Name: "guests", Groups: []string{"guests"}, Authenticators: []policy.Authenticator{
		{Key: emailKey, Need: policy.Required},
	}}}, org.Enrollment...)
	r := newRig(t, org)
	v := r.begin()
	v.signUp(ada)
	if got := v.answer("enroll-authenticator", "credentials.passcode", r.code(ada)); got.Stage != Terminal {
		t.Fatalf("one factor is enough: %s", got.Stage)
	}
	r.pass(time.Hour)
	v = r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	if got := v.prove(r.code(ada)); got.Stage != Terminal || got.Code != "" {
		t.Fatalf("the code leads to %s, which offers %s", got.Stage, names(got))
	}
	if got := v.answer("reset-authenticator", "credentials.passcode", fresh); got.Stage != Terminal {
		t.Fatalf("a new password leads to %s", got.Stage)
	}
	if a := r.account(ada); len(a.Enrollments) != 1 {
		t.Fatal("there is a password")
	}
}

func TestRecoverySwitchedOff(t *testing.T) {
	org := emailAndPassword()
	org.Password[0].NoRecovery = true
	r := newRig(t, org)
	v := r.begin()
	if strings.Contains(names(v.last), "recover") || v.last.Current != nil {
		t.Fatalf("offers %s", names(v.last))
	}
	if got := v.answer("recover"); got.Kind != problem.Forbidden || key(got) != "oie.selfservice.reset.password.not.allowed" {
		t.Fatalf("E31: %v %q", got.Kind, key(got))
	}
}

func TestRecoveryThatDoesNotSignIn(t *testing.T) {
	org := emailAndPassword()
	org.Password[0].NoSignIn = true
	r := newRig(t, org)
	r.withPassword(ada)
	v := r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	v.prove(r.code(ada))
	got := v.answer("reset-authenticator", "credentials.passcode", fresh)
	if got.Stage != Terminal || got.Kind != problem.None || key(got) != "idx.recovery.completed" {
		t.Fatalf("IDX_C69: %s %v %q", got.Stage, got.Kind, key(got))
	}
}

func TestIDX_C70_PasswordThatExpires(t *testing.T) {
	org := emailAndPassword()
	org.Password[0].MaxAge, org.Password[0].Warn = policy.Days(90), policy.Days(5)
	r := newRig(t, org)
	r.withPassword(ada)
	signIn := func() (*visit, *View) {
		v := r.begin()
		v.answer("identify", "identifier", ada)
		v.choose(passwordKey)
		return v, v.prove(right)
	}
	if _, got := signIn(); got.Stage != Success {
		t.Fatalf("a young one: %s", got.Stage)
	}
	r.pass(86 * 24 * time.Hour)
	v, got := signIn()
	if names(got) != "reenroll-authenticator-warning skip-change cancel" || key(got) != "idx.password.expiring.message" {
		t.Fatalf("soon: %s, %q", names(got), key(got))
	}
	if got := v.answer("skip-change"); got.Stage != Success {
		t.Fatalf("later: %s", got.Stage)
	}
	r.pass(5 * 24 * time.Hour)
	v, got = signIn()
	if names(got) != "reenroll-authenticator cancel" {
		t.Fatalf("over: %s", names(got))
	}
	if got := v.answer("reenroll-authenticator", "credentials.passcode", fresh); got.Stage != Success {
		t.Fatalf("changed: %s", got.Stage)
	}
	v = r.begin()
	v.answer("identify", "identifier", ada)
	if got := v.prove(r.code(ada)); got.Stage != Success {
		t.Fatalf("whoever comes by another way is held up: %s", got.Stage)
	}
}

func TestAUTH_A51_A52_A53_Unlock(t *testing.T) {
	org := emailAndPassword()
	org.Password[0].Unlock = true
	org.Session[0].Primary = policy.PasswordFirst
	org.Access[0].Rules[0].Factors = 2
	r := newRig(t, org)
	r.withPassword(ada)
	shape := func(address string) []string {
		v := r.begin()
		var out []string
		for _, view := range []*View{
			v.answer("unlock-account"),
			v.answer("select-authenticator-unlock-account", "identifier", address, "authenticator.id", "aut"+emailKey),
			v.prove("000000"),
		} {
			out = append(out, string(view.Stage), names(view), key(view))
		}
		return out
	}
	if known, unknown := shape(ada), shape("nobody@example.com"); strings.Join(known, ";") != strings.Join(unknown, ";") {
		t.Errorf("SEC_S41: known and unknown differ\n%q\n%q", known, unknown)
	}
	r.pass(time.Hour)
	v := r.begin()
	v.answer("unlock-account")
	v.answer("select-authenticator-unlock-account", "identifier", ada, "authenticator.id", "aut"+emailKey)
	got := v.prove(r.code(ada))
	if got.Stage != ChooseFactor || key(got) != "oie.selfservice.unlock_user.landing.to.app.success.message" {
		t.Fatalf("the code leads to %s %q", got.Stage, key(got))
	}
	if got := v.begin().last; !strings.Contains(names(got), "unlock-account") {
		t.Fatalf("first offers %s", names(got))
	}
}

// Somebody who proved the mailbox, and is asked for the password that they have
// forgotten, recovers from there; what a session brought along is too old for it.
func TestRecoveryAtTheSecondFactor(t *testing.T) {
	r := newRig(t, twoFactors())
	r.withPassword(ada)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(emailKey)
	v.prove(r.code(ada))
	v.choose(passwordKey)
	if got := v.answer("recover"); got.Stage != Reset {
		t.Fatalf("after the mailbox was proven: %s", got.Stage)
	}

	r = newRig(t, emailAndPassword())
	r.withPassword(ada)
	v = r.begin()
	v.browser.Keeps = true
	v.answer("identify", "identifier", ada)
	cookie := v.prove(r.code(ada)).Cookie
	r.pass(time.Hour)
	v = r.beginWith(Start{Request: Request{ClientID: "0oa1", ACR: policy.ACRTwoFactors}, Browser: Browser{Cookie: cookie, Keeps: true}})
	v.choose(passwordKey)
	if got := v.answer("recover"); got.Stage != ChooseFactor || got.Choices[0].Key != emailKey {
		t.Fatalf("SEC_S56: by an old session: %s", got.Stage)
	}
}

// Whoever sits at a browser that somebody has signed in with their password before does
// not choose another one by that: where its time is over it is asked for anew.
func TestSEC_S56_AnOldSessionChangesNoPassword(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name    string
		changed time.Duration // age of the password when the person signs in
		later   time.Duration
		want    Stage
	}{
		{"soon over, just shown", 86 * day, addAge - time.Second, ReenrollSoon},
		{"soon over, shown before", 86 * day, addAge, Success},
		{"over since, just shown", 90*day - time.Minute, 2 * time.Minute, Reenroll},
		{"over since, shown before", 90*day - time.Minute, time.Hour, Identify},
	} {
		org := emailAndPassword()
		org.Password[0].MaxAge, org.Password[0].Warn = policy.Days(90), policy.Days(5)
		r := newRig(t, org)
		at := r.clock()
		r.withPassword(ada)
		r.pass(c.changed - r.clock().Sub(at))
		v := r.begin()
		v.browser.Keeps = true
		v.answer("identify", "identifier", ada)
		v.choose(passwordKey)
		v.prove(right)
		if v.last.Stage == ReenrollSoon {
			v.answer("skip-change")
		}
		if v.last.Stage != Success {
			t.Fatalf("%s: signing in leads to %s", c.name, v.last.Stage)
		}
		cookie := v.last.Cookie
		r.pass(c.later)
		v = r.beginWith(Start{Request: Request{ClientID: "0oa1"}, Browser: Browser{Cookie: cookie, Keeps: true}})
		if v.last.Stage != c.want {
			t.Errorf("%s: %s, want %s", c.name, v.last.Stage, c.want)
		}
	}
}
