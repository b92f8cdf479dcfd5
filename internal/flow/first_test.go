package flow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/session"
)

const totpKey = "google_otp"

// list tells what there is to choose.
func list(v *View) string {
	var out []string
	for _, i := range v.Choices {
		out = append(out, i.Key)
	}
	return strings.Join(out, " ")
}

// asked tells that one of a list is asked for, of which an earlier question may be open.
func (v *visit) asked() bool { return v.last.Stage == ChooseFactor || v.last.Stage == Challenge }

// guarded is an organisation of those factors and keys, where ada has these authenticators
// beside her mailbox: a password, an app, or a key by what it is like.
func guarded(t *testing.T, factors int, has ...string) (*rig, *policy.AccessRule) {
	t.Helper()
	org := emailAndPassword()
	org.Offer(totpKey, keyKey)
	rule := &org.Access[0].Rules[0]
	r := newRig(t, org)
	r.authenticators[keyKey] = keyset{now: r.clock, next: new(int), seen: new([]authenticator.Subject)}
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	for _, one := range has {
		switch one {
		case passwordKey:
			v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
			v.answer("enroll-authenticator", "credentials.passcode", right)
		case totpKey:
			v.answer("select-authenticator-enroll", "authenticator.id", "aut"+totpKey)
			v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
		default:
			v.enrolKey(one)
		}
	}
	if v.last.Stage == ChooseEnroll {
		v.answer("skip")
	}
	if n := len(r.account(ada).Enrollments); v.last.Stage != Success || n != 1+len(has) {
		t.Fatalf("the sign-up ends at %s with %d authenticators", v.last.Stage, n)
	}
	rule.Factors = factors
	r.pass(3 * time.Hour)
	return r, rule
}

func (r *rig) asking(acr string) *visit {
	return r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", ACR: acr}})
}

// SEC S-56: that a client asks for what only a new key can give spares nobody the factors
// that the policy would have asked for.
func TestSEC_S56_AnACRSparesNoFactor(t *testing.T) {
	for _, acr := range []string{policy.ACRPhishingResistant, policy.ACRHardware} {
		for _, factors := range []int{1, 2} {
			r, _ := guarded(t, factors, passwordKey, totpKey)
			v := r.asking(acr)
			v.answer("identify", "identifier", ada)
			v.choose(passwordKey)
			if v.prove(right); !v.asked() || list(v.last) != "okta_email google_otp" {
				t.Fatalf("%s, %d: the password alone leads to %s of %s", acr, factors, v.last.Stage, list(v.last))
			}
			v.choose(totpKey)
			if v.prove(r.code(ada)); acr == policy.ACRHardware {
				continue // no key of this test is one
			}
			if v.last.Stage != ChooseEnroll || list(v.last) != keyKey {
				t.Fatalf("%d: both lead to %s of %s", factors, v.last.Stage, list(v.last))
			}
			if v.enrolKey("knows me"); v.last.Stage != Success || amr(r, v.last) != "pwd otp pop mfa" {
				t.Fatalf("%d: the key leads to %s with %q", factors, v.last.Stage, amr(r, v.last))
			}
		}
	}
	// Whoever reads the mail of somebody with an app shows the app.
	r, _ := guarded(t, 1, totpKey)
	v := r.asking(policy.ACRPhishingResistant)
	v.answer("identify", "identifier", ada)
	v.choose(emailKey)
	if v.prove(r.code(ada)); v.last.Stage != ChooseFactor || list(v.last) != totpKey {
		t.Errorf("the mailbox leads to %s of %s", v.last.Stage, list(v.last))
	}
}

// Nor does a rule that none of what they have meets.
func TestSEC_S56_ARuleForFingersSparesNoFactor(t *testing.T) {
	r, rule := guarded(t, 2, passwordKey, totpKey, "does not")
	rule.Constraints = []policy.Constraint{{Inherence: &policy.Evidence{}}}
	v := r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	if v.prove(right); !v.asked() || !strings.Contains(list(v.last), totpKey) {
		t.Fatalf("the password alone leads to %s of %s", v.last.Stage, list(v.last))
	}
	v.choose(keyKey)
	if v.proveKey("does not"); v.last.Stage != ChooseEnroll {
		t.Fatalf("with the key it leads to %s", v.last.Stage)
	}
	if v.enrolKey("knows me"); v.last.Stage != Success {
		t.Errorf("a key that knows her leads to %s", v.last.Stage)
	}
}

// What is required since is enrolled by the same rule, and what was just set up is not
// asked for on the way.
func TestSEC_S56_WhatIsRequiredSinceComesAfterTwo(t *testing.T) {
	r, _ := guarded(t, 1, passwordKey)
	org := r.policies()
	for i := range org.Enrollment[0].Authenticators {
		org.Enrollment[0].Authenticators[i].Need = policy.Required
	}
	v := r.begin()
	v.answer("identify", "identifier", ada)
	if v.last.Stage != ChooseFactor {
		t.Fatalf("it begins at %s", v.last.Stage)
	}
	v.choose(passwordKey)
	if v.prove(right); !v.asked() || list(v.last) != emailKey {
		t.Fatalf("the password alone leads to %s of %s", v.last.Stage, list(v.last))
	}
	v.choose(emailKey)
	v.prove(r.code(ada))
	v.answer("select-authenticator-enroll", "authenticator.id", "aut"+totpKey)
	if v.answer("enroll-authenticator", "credentials.passcode", r.code(ada)); v.last.Stage != ChooseEnroll {
		t.Fatalf("the first leads to %s of %s", v.last.Stage, list(v.last))
	}
	if v.enrolKey("knows me"); v.last.Stage != Success {
		t.Errorf("the second leads to %s of %s", v.last.Stage, list(v.last))
	}
}

// SEC S-56: whoever finds a browser signed in adds nothing by what was shown an hour ago.
func TestSEC_S56_OldProofsEnrolNothing(t *testing.T) {
	for age, want := range map[time.Duration]Stage{time.Minute: ChooseEnroll, addAge: ChooseFactor, time.Hour: ChooseFactor} {
		r, _ := guarded(t, 1)
		v := r.begin()
		v.browser.Keeps = true
		v.answer("identify", "identifier", ada)
		cookie := v.prove(r.code(ada)).Cookie
		r.pass(age)
		start := Start{
			Request: Request{ClientID: "0oa1", Server: "default", State: "s", ACR: policy.ACRPhishingResistant},
			Browser: Browser{Cookie: cookie, Keeps: true},
		}
		if v = r.beginWith(start); v.last.Stage != want {
			t.Fatalf("after %v: %s of %s", age, v.last.Stage, list(v.last))
		}
		if want == ChooseFactor {
			v.choose(emailKey)
			if v.prove(r.code(ada)); v.last.Stage != ChooseEnroll {
				t.Fatalf("after %v, shown anew: %s of %s", age, v.last.Stage, list(v.last))
			}
		}
		if v.enrolKey("knows me"); v.last.Stage != Success {
			t.Errorf("after %v: the key leads to %s", age, v.last.Stage)
		}
	}
}

// What the person has got since an enrollment was begun is shown before it is finished.
func TestSEC_S56_AnEnrollmentWaitsForWhatIsNew(t *testing.T) {
	r, _ := guarded(t, 1)
	v := r.asking(policy.ACRPhishingResistant)
	v.answer("identify", "identifier", ada)
	v.choose(emailKey)
	v.prove(r.code(ada))
	asked := v.answer("select-authenticator-enroll", "authenticator.id", "aut"+keyKey)
	owner := r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: passwordKey}})
	owner.answer("identify", "identifier", ada)
	owner.prove(r.code(ada))
	owner.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
	owner.answer("enroll-authenticator", "credentials.passcode", right)
	if n := len(r.account(ada).Enrollments); n != 2 {
		t.Fatalf("%d authenticators", n)
	}
	got, err := v.try("enroll-authenticator", "credentials.answer", question(asked)+" knows me")
	if n := len(r.account(ada).Enrollments); err != nil || got.Stage != ChooseFactor || n != 2 {
		t.Errorf("the mailbox adds a key beside the new password: %v, %+v, %d authenticators", err, got, n)
	}
}

// Before proof a way in is offered to whom the key that is asked for is of no use; the key
// that does not know its owner is asked for after it.
func TestAUTH_12_1_NobodyIsLockedOutByAnACR(t *testing.T) {
	r, _ := guarded(t, 1, "does not")
	for _, address := range []string{ada, "nobody@example.com"} {
		v := r.asking(policy.ACRPhishingResistant)
		v.answer("identify", "identifier", address)
		if v.last.Current == nil || v.last.Current.Info.Key != keyKey || !strings.Contains(list(v.last), emailKey) {
			t.Errorf("%s: %s of %s", address, v.last.Stage, list(v.last))
		}
	}
	v := r.asking(policy.ACRPhishingResistant)
	v.answer("identify", "identifier", ada)
	if got := v.proveKey("does not"); key(got) != "wrong key" {
		t.Errorf("SEC S-51: as the whole sign-in it leads to %s", got.Stage)
	}
	v.choose(emailKey)
	if v.prove(r.code(ada)); v.last.Stage != ChooseFactor || list(v.last) != keyKey {
		t.Fatalf("the mailbox leads to %s of %s", v.last.Stage, list(v.last))
	}
	v.choose(keyKey)
	if v.proveKey("does not"); v.last.Stage != Success || amr(r, v.last) != "otp pop" {
		t.Errorf("the key leads to %s", v.last.Stage)
	}
}

// A session says nothing of hardware: which models are trusted may have changed since.
func TestAUTH_12_1_HardwareIsAskedForAnew(t *testing.T) {
	r, _ := guarded(t, 1, "knows me")
	v := r.begin()
	v.browser.Keeps = true
	v.answer("identify", "identifier", ada)
	v.choose(keyKey)
	cookie := v.proveKey("knows me").Cookie
	for id, row := range r.store.sessions {
		row.Proofs = slices.Clone(row.Proofs)
		for i := range row.Proofs {
			row.Proofs[i] = session.Proof{Authenticator: keyKey, AMR: "pop", At: row.Proofs[i].At, UserVerified: true, Hardware: true}
		}
		r.store.sessions[id] = row
	}
	r.pass(time.Minute)
	for acr, want := range map[string]bool{policy.ACRPhishingResistant: true, policy.ACRHardware: false} {
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1", ACR: acr}, Browser: Browser{Cookie: cookie, Keeps: true}})
		if got := v.last.Stage == Success; got != want || v.last.Stage == Identify {
			t.Errorf("%s by the session: %s", acr, v.last.Stage)
		}
	}
}

// Hardware is asked for where the client wants it, and of whom it is trusted; of who has
// only what is trusted no more it is asked to be set up, and theirs signs in as before.
func TestAUTH_12_1_HardwareThatIsTrustedNoMore(t *testing.T) {
	r, _ := guarded(t, 2, passwordKey)
	trusted, seen := true, new([]authenticator.Subject)
	r.authenticators[keyKey] = keyset{now: r.clock, next: new(int), seen: seen, trusted: &trusted}
	v := r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: keyKey}})
	v.answer("identify", "identifier", ada)
	v.choose(passwordKey)
	v.prove(right)
	v.choose(emailKey)
	v.prove(r.code(ada))
	if v.enrolKey("knows me"); v.last.Stage != Success {
		t.Fatalf("a key is added at %s", v.last.Stage)
	}
	by := func(acr string) *visit {
		r.pass(3 * time.Hour)
		v := r.asking(acr)
		v.answer("identify", "identifier", ada)
		v.choose(passwordKey)
		v.prove(right)
		if !strings.Contains(list(v.last), keyKey) {
			t.Fatalf("%q: %s of %s", acr, v.last.Stage, list(v.last))
		}
		v.choose(keyKey)
		return v
	}
	for _, acr := range []string{"", policy.ACRPhishingResistant, policy.ACRHardware} {
		v := by(acr)
		if got := (*seen)[len(*seen)-1].Hardware; got != (acr == policy.ACRHardware) {
			t.Errorf("%q: hardware is demanded: %t", acr, got)
		}
		if v.proveKey("knows me"); v.last.Stage != Success {
			t.Errorf("%q: the key leads to %s", acr, v.last.Stage)
		}
	}
	trusted = false
	for acr, want := range map[string]Stage{"": Success, policy.ACRPhishingResistant: Success, policy.ACRHardware: ChooseEnroll} {
		if v := by(acr); v.proveKey("knows me").Stage != want {
			t.Errorf("trusted no more, %q: the key leads to %s, %s", acr, v.last.Stage, key(v.last))
		}
	}
}

// What the policy of a person's groups leaves out does not sign them in, though everybody's has it.
func TestPolicyOfGroupsBeforeProof(t *testing.T) {
	r, _ := guarded(t, 1, passwordKey)
	org := r.policies()
	org.Groups = []policy.Group{{ID: "staff"}}
	org.Enrollment = append([]policy.Enrollment{{
		Name: "staff", Groups: []string{"staff"}, Authenticators: []policy.Authenticator{{Key: emailKey, Need: policy.Required}},
	}}, org.Enrollment...)
	try := func() *View {
		v := r.begin()
		v.answer("identify", "identifier", ada)
		v.choose(passwordKey)
		return v.prove(right)
	}
	if got := try(); got.Stage != Success {
		t.Fatalf("somebody of no group: %s", got.Stage)
	}
	u := r.store.users[r.account(ada).ID]
	u.Groups = []string{"staff"}
	r.store.users[u.ID] = u
	n := len(r.recordedOf(proof))
	if got := try(); got.Stage != Challenge || key(got) != "incorrectPassword" {
		t.Errorf("one of staff: %s, %s", got.Stage, key(got))
	}
	if all := r.recordedOf(proof); len(all) != n+1 || all[n].Reason != "INVALID_CREDENTIALS" {
		t.Errorf("the audit log has %+v", all[n:])
	}
}
