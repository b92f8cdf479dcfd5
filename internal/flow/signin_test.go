package flow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

const (
	right = "correct horse"
	fresh = "battery staple"
)

// twoFactors asks for two classes of proof of everybody.
func twoFactors() policy.Org {
	org := emailAndPassword()
	org.Access[0].Rules[0].Factors = 2
	return org
}

func passwordFirst() policy.Org {
	org := emailAndPassword()
	org.Session[0].Primary = policy.PasswordFirst
	return org
}

// ada signs up and chooses a password.
func (r *rig) withPassword(email string) {
	r.tb.Helper()
	v := r.begin()
	v.signUp(email)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(email))
	v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
	if got := v.answer("enroll-authenticator", "credentials.passcode", right); got.Stage == ChooseEnroll {
		v.answer("skip")
	}
	if got := v.last; got.Stage != Success {
		r.tb.Fatalf("sign-up with a password ends at %s", got.Stage)
	}
	r.pass(time.Hour)
}

// account is the stored one of an address.
func (r *rig) account(email string) directory.Account {
	r.tb.Helper()
	a, err := r.store.AccountByAddress(context.Background(), email)
	if err != nil {
		r.tb.Fatal(err)
	}
	return a
}

func (v *visit) choose(key string) *View {
	v.tb.Helper()
	return v.answer("select-authenticator-authenticate", "authenticator.id", "aut"+key)
}

func (v *visit) prove(passcode string) *View {
	v.tb.Helper()
	return v.answer("challenge-authenticator", "credentials.passcode", passcode)
}

func amr(r *rig, v *View) string {
	r.tb.Helper()
	got, err := r.Finished(context.Background(), v.Code)
	if err != nil {
		r.tb.Fatal(err)
	}
	return strings.Join(got.AMR, " ")
}

func TestSignInByPassword(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	if got := names(v.last); got != "challenge-authenticator select-authenticator-authenticate resend cancel" {
		t.Fatalf("email goes first, beside the choice: %s", got)
	}
	got := v.choose(passwordKey)
	if names(got) != "challenge-authenticator select-authenticator-authenticate recover cancel" {
		t.Fatalf("the password challenge offers %s", names(got))
	}
	if got := v.prove("wrong"); key(got) != "incorrectPassword" || got.Kind != problem.Unauthenticated {
		t.Fatalf("IDX_C54, E13: a wrong password is %v %q", got.Kind, key(got))
	}
	if got := v.prove(right); got.Stage != Success || amr(r, got) != "pwd" {
		t.Fatalf("the right one leads to %s", got.Stage)
	}
}

func TestIDX_C54_PasswordThatIsTriedTooOften(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	for range 5 {
		v.prove("wrong")
	}
	if got := v.prove(right); key(got) != "authfactor.challenge.suspended_factor" || got.Stage != Challenge {
		t.Fatalf("E09: the sixth answer, right as it is, is %q at %s", key(got), got.Stage)
	}
	if got := v.choose(emailKey); got.Stage != Challenge || got.Current.Info.Key != emailKey {
		t.Fatal("the mailbox is no way on")
	}
	if got := v.prove(r.code(ada)); got.Stage != Success {
		t.Fatalf("the code leads to %s", got.Stage)
	}
}

func TestSEC_S43_FactorsTellNothingBeforeProof(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	r.signUpOnly("bob@example.com")
	shape := func(address string) string {
		v := r.begin()
		var b strings.Builder
		for _, view := range []*View{
			v.answer("identify", "identifier", address), v.choose(passwordKey), v.prove("wrong"), v.choose(emailKey), v.prove("000000"),
			v.choose(passwordKey), v.answer("recover"),
		} {
			b.WriteString(string(view.Stage) + " " + names(view) + " " + key(view) + ";")
			for _, e := range view.Enrollments {
				b.WriteString(e.Info.Key + ",")
			}
			for _, c := range view.Choices {
				b.WriteString(c.Key + ",")
			}
		}
		return b.String()
	}
	want := shape(ada)
	for _, address := range []string{"bob@example.com", "nobody@example.com"} {
		if got := shape(address); got != want {
			t.Errorf("%s differs:\n%s\n%s", address, got, want)
		}
	}
}

// signUpOnly signs somebody up who declines everything else.
func (r *rig) signUpOnly(email string) {
	r.tb.Helper()
	v := r.begin()
	v.signUp(email)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(email))
	if v.last.Stage == ChooseEnroll {
		v.answer("skip")
	}
	if v.last.Stage != Success {
		r.tb.Fatalf("sign-up ends at %s", v.last.Stage)
	}
	r.pass(time.Hour)
}

func TestIDX_C53_PasswordOnTheFirstForm(t *testing.T) {
	r := newRig(t, passwordFirst())
	r.withPassword(ada)
	v := r.begin()
	if v.last.Current == nil || v.last.Current.Info.Key != passwordKey || !strings.Contains(names(v.last), "recover") {
		t.Fatalf("the first form has no password to recover: %s", names(v.last))
	}
	for _, c := range []struct{ address, passcode, key string }{
		{ada, "", "model.validation.field.blank"},
		{ada, "wrong", "errors.E0000004"},
		{"nobody@example.com", right, "errors.E0000004"},
	} {
		got := v.answer("identify", "identifier", c.address, "credentials.passcode", c.passcode)
		if key(got) != c.key || got.Stage != Identify {
			t.Errorf("%s with %q: %q at %s, want %q", c.address, c.passcode, key(got), got.Stage, c.key)
		}
	}
	if got := v.answer("identify", "identifier", ada, "credentials.passcode", right); got.Stage != Success {
		t.Fatalf("the right password leads to %s %q", got.Stage, key(got))
	}
}

func TestIDX_C52_ListFirstWhereSeveralAreRequired(t *testing.T) {
	org := emailAndPassword()
	org.Require(passwordKey)
	r := newRig(t, org)
	r.withPassword(ada)
	mails := len(r.post.sent(ada))
	for _, address := range []string{ada, "nobody@example.com"} {
		v := r.begin()
		if got := v.answer("identify", "identifier", address); names(got) != "select-authenticator-authenticate cancel" || len(got.Choices) != 2 {
			t.Fatalf("%s: %s with %d choices", address, names(got), len(got.Choices))
		}
	}
	if len(r.post.sent(ada)) != mails {
		t.Fatal("a mail was sent before it was asked for")
	}
}

func TestTwoFactors(t *testing.T) {
	r := newRig(t, twoFactors())
	v := r.begin()
	v.signUp(ada)
	got := v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got.Stage != ChooseEnroll || strings.Contains(names(got), "skip") {
		t.Fatalf("IDX_C41, IDX_C56: a new person is at %s with %s", got.Stage, names(got))
	}
	v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
	if got := v.answer("enroll-authenticator", "credentials.passcode", right); got.Stage != Success {
		t.Fatalf("who has just chosen the second factor is asked for it again: %s", got.Stage)
	}

	for _, first := range []string{emailKey, passwordKey} {
		r.pass(time.Hour)
		v = r.begin()
		v.answer("identify", "identifier", ada)
		second := passwordKey
		if first == passwordKey {
			second = emailKey
			v.choose(passwordKey)
			got = v.prove(right)
		} else {
			got = v.prove(r.code(ada))
		}
		if len(got.Choices) != 1 || got.Choices[0].Key != second {
			t.Fatalf("IDX_C55: after %s: %s with %v", first, got.Stage, got.Choices)
		}
		if asked := got.Stage == Challenge; asked != (second == emailKey) { // its code was sent with the user name
			t.Fatalf("after %s: %s", first, got.Stage)
		}
		mails := len(r.post.sent(ada))
		if got = v.choose(second); len(r.post.sent(ada)) != mails {
			t.Fatal("choosing what is asked for sends again")
		}
		if second == emailKey {
			got = v.prove(r.code(ada))
		} else {
			got = v.prove(right)
		}
		if got.Stage != Success || amr(r, got) == "" {
			t.Fatalf("after both: %s", got.Stage)
		}
	}
}

func TestSEC_S58_SecondFactorIsAskedForBeforeItMayBeEnrolled(t *testing.T) {
	org := emailAndPassword()
	org.Enrollment[0].Authenticators = append(org.Enrollment[0].Authenticators, policy.Authenticator{Key: "other0", Need: policy.Required})
	org.Access[0].Rules[0].Factors = 2
	r := newRig(t, org)
	org.Enrollment[0].Authenticators = org.Enrollment[0].Authenticators[:2]
	r.withPassword(ada)
	org.Enrollment[0].Authenticators = org.Enrollment[0].Authenticators[:3]

	v := r.begin()
	v.answer("identify", "identifier", ada)
	if v.last.Stage == ChooseFactor {
		v.choose(emailKey)
	}
	got := v.prove(r.code(ada))
	if got.Stage != ChooseFactor || got.Choices[0].Key != passwordKey {
		t.Fatalf("who holds the mailbox alone is at %s", got.Stage)
	}
	v.choose(passwordKey)
	if got := v.prove(right); got.Stage != ChooseEnroll {
		t.Fatalf("after both factors the missing one is not enrolled: %s", got.Stage)
	}
}

func TestPolicyThatNobodyCanSatisfy(t *testing.T) {
	org := twoFactors()
	org.Enrollment[0].Authenticators = org.Enrollment[0].Authenticators[:1]
	r := newRig(t, org)
	v := r.begin()
	v.signUp(ada)
	got := v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got.Stage != Terminal || key(got) != "oie.assurance.unsatisfiable" {
		t.Fatalf("E22: %s %q", got.Stage, key(got))
	}
}

func TestPolicyByGroup(t *testing.T) {
	org := emailAndPassword()
	org.Groups = []policy.Group{{ID: "staff"}, {ID: "banned"}}
	org.Access[0].Rules = append([]policy.AccessRule{
		{Name: "no", Groups: []string{"banned"}, Deny: true}, {Name: "staff", Groups: []string{"staff"}, Factors: 2},
	}, org.Access[0].Rules...)
	r := newRig(t, org)
	for _, c := range []struct {
		group string
		stage Stage
		key   string
	}{{"", Success, ""}, {"staff", ChooseEnroll, ""}, {"banned", Terminal, "security.access_denied"}} {
		email := c.group + "x@example.com"
		r.signUpOnly(email)
		a := r.account(email)
		a.Groups = []string{c.group}
		r.store.users[a.ID] = a
		v := r.begin()
		v.answer("identify", "identifier", email)
		if got := v.prove(r.code(email)); got.Stage != c.stage || key(got) != c.key {
			t.Errorf("group %q: %s %q, want %s %q", c.group, got.Stage, key(got), c.stage, c.key)
		}
	}
}

func TestAUTH_A63_ACRValues(t *testing.T) {
	for _, c := range []struct {
		acr   string
		stage Stage // after the code
	}{
		{"", Success},
		{policy.ACROneFactor, Success},
		{policy.ACRPassword, Challenge}, // nothing but the password is asked for
		{policy.ACRTwoFactors, ChooseFactor},
		{policy.ACRTwoFactorsIfPossible, ChooseFactor},
	} {
		r := newRig(t, emailAndPassword())
		r.withPassword(ada)
		r.signUpOnly("bob@example.com")
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1", ACR: c.acr}})
		v.answer("identify", "identifier", ada)
		if c.acr == policy.ACRPassword {
			if v.last.Stage != c.stage || v.last.Current.Info.Key != passwordKey {
				t.Errorf("%q: %s", c.acr, v.last.Stage)
			}
			continue
		}
		if v.last.Current == nil || v.last.Current.Info.Key != emailKey {
			v.choose(emailKey)
		}
		if got := v.prove(r.code(ada)); got.Stage != c.stage {
			t.Errorf("%q: with a password %s, want %s", c.acr, got.Stage, c.stage)
		}
	}
	r := newRig(t, emailAndPassword())
	r.signUpOnly("bob@example.com")
	v := r.beginWith(Start{Request: Request{ClientID: "0oa1", ACR: policy.ACRTwoFactorsIfPossible}})
	v.answer("identify", "identifier", "bob@example.com")
	if got := v.prove(r.code("bob@example.com")); got.Stage != Success {
		t.Errorf("who has one factor only is held up: %s", got.Stage)
	}
}
