package flow

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

const keyKey = "webauthn"

// keyset is an authenticator of which people have several, whose questions take one
// answer each. An answer is the question and what the key is like.
type keyset struct {
	now  func() time.Time
	next *int
	seen *[]authenticator.Subject

	trusted *bool // that those enrolled are hardware; nil: they are not
}

func (k keyset) Attested(authenticator.Credential) bool { return k.trusted != nil && *k.trusted }

func (k keyset) Info() authenticator.Info {
	return authenticator.Info{
		Key: keyKey, Type: "security_key", ID: "aut" + keyKey, Name: "Key", Methods: []authenticator.Method{"webauthn"},
		EnrollmentPrefix: "fwf", AMR: "pop", Class: policy.Possession, PhishingResistant: true, Several: true, VerifiesUser: true,
		Hardware: k.trusted != nil,
	}
}

func (k keyset) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	*k.next++
	*k.seen = append(*k.seen, s)
	question := strings.Repeat("?", *k.next)
	return authenticator.Prompt{
		Sealed: []byte(question), Public: map[string]any{"question": question}, Once: true, ExpiresAt: k.now().Add(5 * time.Minute),
		Fields: []authenticator.Field{{Name: "answer", Required: true, Hidden: true}},
	}, nil
}

func (k keyset) BeginVerify(ctx context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return k.BeginEnroll(ctx, s)
}

func (k keyset) FinishEnroll(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	question, like, _ := strings.Cut(in["answer"], " ")
	if question != string(p.Sealed) || s.VerifyUser && like != "knows me" {
		return authenticator.Credential{}, &authenticator.Rejected{Messages: []problem.Message{{Key: "no key", Class: problem.ClassError}}}
	}
	return authenticator.Credential{Data: []byte(like), VerifiesUser: like == "knows me", Hardware: k.trusted != nil, Public: map[string]any{"credentialId": "abc"}}, nil
}

func (k keyset) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	question, like, _ := strings.Cut(in["answer"], " ")
	switch {
	case like == "copied":
		return authenticator.Proof{}, &authenticator.Wrong{Reason: "COPIED", Message: problem.Message{Key: "wrong key", Class: problem.ClassError}}
	case question != string(p.Sealed) || len(s.Enrolled) == 0 || s.VerifyUser && like != "knows me":
		return authenticator.Proof{}, &authenticator.Wrong{Message: problem.Message{Key: "wrong key", Class: problem.ClassError}}
	}
	if s.Hardware && !k.Attested(s.First()) {
		return authenticator.Proof{}, &authenticator.Wrong{Message: problem.Message{Key: "wrong key", Class: problem.ClassError}}
	}
	return authenticator.Proof{Credential: s.First(), UserVerified: like == "knows me", Hardware: k.Attested(s.First())}, nil
}

// withKeys is an organisation whose people may have keys.
func withKeys(t *testing.T, factors int) (*rig, *[]authenticator.Subject) {
	org := emailAndPassword()
	org.Offer(keyKey)
	org.Access[0].Rules[0].Factors = factors
	seen := new([]authenticator.Subject)
	r := newRig(t, org)
	r.authenticators[keyKey] = keyset{now: r.clock, next: new(int), seen: seen}
	return r, seen
}

func question(v *View) string { s, _ := v.Current.Context["question"].(string); return s }

func (v *visit) enrolKey(like string) *View {
	v.tb.Helper()
	asked := v.answer("select-authenticator-enroll", "authenticator.id", "aut"+keyKey)
	return v.answer("enroll-authenticator", "credentials.answer", question(asked)+" "+like)
}

func (v *visit) proveKey(like string) *View {
	v.tb.Helper()
	return v.answer("challenge-authenticator", "credentials.answer", question(v.last)+" "+like)
}

// The id that a key keeps is the account's own, also where somebody signs in to enrol it.
func TestSEC_S51_KeysAreMadeForTheAccount(t *testing.T) {
	r, seen := withKeys(t, 1)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.enrolKey("knows me")
	r.pass(time.Hour)
	v = r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: keyKey}})
	v.answer("identify", "identifier", ada)
	v.prove(r.code(ada))
	v.choose(keyKey) // who has one shows it before another is added
	v.proveKey("knows me")
	if v.enrolKey("knows me"); v.last.Stage != Success {
		t.Fatalf("a second key leads to %s", v.last.Stage)
	}
	v = r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s"}}) // another account, without a key yet
	v.signUp("eve@example.com")
	v.answer("enroll-authenticator", "credentials.passcode", r.code("eve@example.com"))
	v.answer("skip")
	r.pass(time.Hour)
	v = r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: keyKey}})
	v.answer("identify", "identifier", "eve@example.com")
	v.prove(r.code("eve@example.com"))
	if v.enrolKey("knows me"); v.last.Stage != Success {
		t.Errorf("the first key, once added, leads to %s", v.last.Stage)
	}
	*seen = (*seen)[:len(*seen)-1]
	account := r.account(ada)
	if n := len(account.Enrollments); n != 3 {
		t.Errorf("%d enrollments", n)
	}
	for i, s := range *seen {
		if s.UserID != account.ID {
			t.Errorf("question %d is for %q, the account is %q", i, s.UserID, account.ID)
		}
	}
}

// SEC S-51, AUTH A-38: the device must know its owner where it is the whole sign-in,
// and where one class of evidence is not enough.
func TestSEC_S51_A38_WhenKeysMustKnowTheirOwner(t *testing.T) {
	r, seen := withKeys(t, 1)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if v.enrolKey("does not"); v.last.Stage != ChooseEnroll {
		t.Fatalf("a key for one factor leads to %s", v.last.Stage)
	}
	r.pass(time.Hour)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	v.choose(keyKey)
	if got := v.proveKey("does not"); key(got) != "wrong key" {
		t.Errorf("as the whole sign-in: %s, %s", got.Stage, key(got))
	}

	two, seenTwo := withKeys(t, 2)
	v = two.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", two.code(ada))
	if got := v.enrolKey("does not"); key(got) != "no key" {
		t.Errorf("beside a mailed code, of the same class: %s, %s", got.Stage, key(got))
	}
	if got := v.answer("enroll-authenticator", "credentials.answer", question(v.last)+" knows me"); got.Stage == Enroll || names(got) == "cancel" {
		t.Fatalf("one that knows her leads to %s: %s", got.Stage, names(got))
	}
	two.pass(time.Hour)
	v = two.begin()
	v.answer("identify", "identifier", ada)
	v.prove(two.code(ada))
	if v.last.Current == nil || v.last.Stage != ChooseFactor && v.last.Stage != Challenge {
		v.choose(keyKey)
	}
	if v.last.Stage == ChooseFactor {
		v.choose(keyKey)
	}
	if got := v.proveKey("knows me"); got.Stage != Success {
		t.Errorf("two classes lead to %s", got.Stage)
	}
	must := func(seen []authenticator.Subject) (out []bool) {
		for _, s := range seen {
			out = append(out, s.VerifyUser)
		}
		return out
	}
	if got := must(*seen); !slices.Equal(got, []bool{false, true, true}) {
		t.Errorf("one factor: asked for with %v", got)
	}
	if got := must(*seenTwo); !slices.Equal(got, []bool{true, true, true}) {
		t.Errorf("two factors: asked for with %v", got)
	}
}

// A key that does not know its owner keeps nobody out: where two classes are asked for, one that does can be
// added beside it, by whoever has shown the first.
func TestSEC_S51_AKeyThatKnowsItsOwnerJoinsOneThatDoesNot(t *testing.T) {
	org := emailAndPassword()
	org.Enrollment[0].Authenticators = org.Enrollment[0].Authenticators[:1] // no password
	org.Offer(keyKey)
	seen := new([]authenticator.Subject)
	r := newRig(t, org)
	r.authenticators[keyKey] = keyset{now: r.clock, next: new(int), seen: seen}
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if v.enrolKey("does not"); v.last.Stage != Success {
		t.Fatalf("the sign-up ends at %s", v.last.Stage)
	}
	org.Access[0].Rules[0].Factors = 2 // as of now
	r.pass(time.Hour)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	v.prove(r.code(ada))
	if v.last.Stage == ChooseEnroll {
		t.Fatal("SEC S-56: a mailed code alone adds a key")
	}
	if v.last.Stage == ChooseFactor {
		v.choose(keyKey)
	}
	if v.proveKey("does not"); v.last.Stage != ChooseEnroll {
		t.Fatalf("the key leads to %s", v.last.Stage)
	}
	if got := v.enrolKey("does not"); key(got) != "no key" {
		t.Fatalf("a second one that does not leads to %s, %s", got.Stage, key(got))
	}
	v.answer("enroll-authenticator", "credentials.answer", question(v.last)+" knows me")
	if n := len(r.account(ada).Enrollments); n != 3 {
		t.Fatalf("%d enrollments, at %s", n, v.last.Stage)
	}
	if v.last.Stage != Success || amr(r, v.last) != "otp pop mfa" {
		t.Errorf("it ends at %s with %q", v.last.Stage, amr(r, v.last))
	}
}

// Each answer uses its question up, whatever it was; the tries are counted on.
func TestSEC_S51_QuestionsForKeysTakeOneAnswer(t *testing.T) {
	r, _ := withKeys(t, 1)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.enrolKey("knows me")
	r.pass(time.Hour)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	first := question(v.choose(keyKey))
	if got := question(v.choose(keyKey)); got != first {
		t.Errorf("chosen twice, it asks %q after %q", got, first)
	}
	second := v.answer("challenge-authenticator", "credentials.answer", "no")
	if question(second) == first {
		t.Error("after a wrong answer it asks the same")
	}
	if got := v.answer("challenge-authenticator", "credentials.answer", first+" knows me"); key(got) != "wrong key" {
		t.Errorf("the answer to the question before leads to %s", got.Stage)
	}
	if got := v.proveKey("copied"); key(got) != "wrong key" {
		t.Errorf("a copy leads to %s", got.Stage)
	}
	var reasons []string
	for _, e := range r.store.audit {
		if e.Authenticator == keyKey && e.Reason != "" {
			reasons = append(reasons, e.Reason)
		}
	}
	if want := []string{"INVALID_CREDENTIALS", "INVALID_CREDENTIALS", "COPIED"}; !slices.Equal(reasons, want) {
		t.Errorf("the audit log has %q", reasons)
	}
	third := question(v.last)
	r.pass(5 * time.Minute)
	if got := question(v.choose(keyKey)); got == third {
		t.Error("chosen again after its time, it asks the same")
	}
	if got := v.proveKey("knows me"); got.Stage != Success || amr(r, got) != "pop mfa" {
		t.Errorf("the right answer leads to %s", got.Stage)
	}
}

// Before proof nothing is told of keys: neither that there are, nor how many, nor which.
func TestSEC_S43_KeysBeforeProof(t *testing.T) {
	r, _ := withKeys(t, 1)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.enrolKey("knows me")
	if got := v.last.Enrollments; len(got) != 2 || got[1].Public["credentialId"] != "abc" {
		t.Errorf("AUTH A-36: after proof %+v", got)
	}
	r.pass(time.Hour)
	for _, address := range []string{ada, "nobody@example.com"} {
		v = r.begin()
		v.answer("identify", "identifier", address)
		v.choose(keyKey)
		for _, e := range v.last.Enrollments {
			if e.Info.Key == keyKey || e.Public != nil {
				t.Errorf("%s: %+v", address, e)
			}
		}
	}
}

// SEC S-59: a mailbox does not replace the password of who has a key; one that does
// not know its owner will do beside it.
func TestSEC_S59_RecoveryAsksForTheKey(t *testing.T) {
	r, seen := withKeys(t, 1)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
	v.answer("enroll-authenticator", "credentials.passcode", right)
	if v.enrolKey("does not"); v.last.Stage != Success {
		t.Fatalf("the sign-up ends at %s", v.last.Stage)
	}
	r.pass(time.Hour)
	v = r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	if v.prove(r.code(ada)); v.last.Stage != Challenge || v.last.Current.Info.Key != keyKey {
		t.Fatalf("the code leads to %s", v.last.Stage)
	}
	if asked := (*seen)[len(*seen)-1]; asked.VerifyUser {
		t.Error("the key must know its owner")
	}
	if v.proveKey("does not"); v.last.Stage != Reset {
		t.Errorf("the key leads to %s", v.last.Stage)
	}
}
