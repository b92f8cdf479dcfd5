package flow

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// enrolled is a visit of somebody who has proven the address and is at the list.
func (r *rig) proven(email string) *visit {
	r.tb.Helper()
	v := r.begin()
	v.signUp(email)
	if got := v.answer("enroll-authenticator", "credentials.passcode", r.code(email)); got.Stage != ChooseEnroll {
		r.tb.Fatalf("the code leads to %s", got.Stage)
	}
	return v
}

func (v *visit) add(key string, pairs ...string) *View {
	v.tb.Helper()
	return v.answer("select-authenticator-enroll", append([]string{"authenticator.id", "aut" + key}, pairs...)...)
}

func TestIDX_A09_A10_A11_DetailsAreAskedForBeforeItBegins(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.proven(ada)
	got := v.add(phoneKey)
	if names(got) != "authenticator-enrollment-data select-authenticator-enroll skip cancel" || r.post.texts() != 0 {
		t.Fatalf("A-09: the choice leads to %s, with %d texts", names(got), r.post.texts())
	}
	data := func(pairs ...string) *View {
		return v.answer("authenticator-enrollment-data", append([]string{"authenticator.id", "aut" + phoneKey}, pairs...)...)
	}
	if got = data("authenticator.methodType", "sms", "authenticator.phoneNumber", "incorrectnumber"); got.Kind != problem.Invalid ||
		got.Stage != EnrollData || got.Messages[0].Field != "authenticator.phoneNumber" || r.post.texts() != 0 {
		t.Fatalf("A-11: a bad number: %v at %s, %+v, %d texts", got.Kind, got.Stage, got.Messages, r.post.texts())
	}
	if got = data("authenticator.methodType", "sms", "authenticator.phoneNumber", "+15555550100"); got.Stage != Enroll || r.post.texts() != 1 {
		t.Fatalf("the number leads to %s, with %d texts", got.Stage, r.post.texts())
	}
	if got = v.answer("enroll-authenticator", "credentials.passcode", "123456"); got.Stage != ChooseEnroll {
		t.Fatalf("the code leads to %s", got.Stage)
	}

	one := r.proven("one@example.com")
	if got := one.add(phoneKey, "authenticator.methodType", "voice", "authenticator.phoneNumber", "x"); got.Kind != problem.Invalid || got.Stage != EnrollData {
		t.Fatalf("A-11: a bad number with the choice: %v at %s", got.Kind, got.Stage)
	}
	two := r.proven("two@example.com")
	if got := two.add(phoneKey, "authenticator.methodType", "voice", "authenticator.phoneNumber", "+15555550101"); got.Stage != Enroll {
		t.Fatalf("A-10: all with the choice leads to %s", got.Stage)
	}
}

func TestIDX_A15_NothingIsSentBeforeTheMethodIsChosen(t *testing.T) {
	org := with(policy.PasswordOptional(), phoneKey)
	org.Access[0].Rules[0].Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{}, Possession: &policy.Evidence{Types: []string{"phone"}}}}
	r := newRig(t, org)
	v := r.proven(ada)
	v.add(phoneKey, "authenticator.methodType", "sms", "authenticator.phoneNumber", "+15555550100")
	v.answer("enroll-authenticator", "credentials.passcode", "123456")
	v.add(passwordKey)
	v.answer("enroll-authenticator", "credentials.passcode", right)
	r.pass(time.Hour)

	v = r.begin()
	v.answer("identify", "identifier", ada)
	if v.last.Stage == ChooseFactor {
		v.choose(passwordKey)
	}
	got := v.prove(right)
	for _, c := range got.Choices {
		if c.Key != phoneKey {
			t.Errorf("A-77: %s is offered beside the phone", c.Key)
		}
	}
	sent := r.post.texts()
	if got = v.choose(phoneKey); got.Stage != ChallengeData || names(got) != "authenticator-verification-data select-authenticator-authenticate cancel" || r.post.texts() != sent {
		t.Fatalf("A-15: the phone leads to %s, with %d texts more", names(got), r.post.texts()-sent)
	}
	if got = v.answer("authenticator-verification-data", "authenticator.id", "aut"+phoneKey, "authenticator.methodType", "sms"); got.Stage != Challenge || r.post.texts() != sent+1 {
		t.Fatalf("the method leads to %s", got.Stage)
	}
	if got = v.prove("000000"); got.Kind != problem.Unauthenticated || key(got) != "of its own" || got.Messages[0].Field != "credentials.passcode" {
		t.Fatalf("a wrong code: %v %+v", got.Kind, got.Messages)
	}
	if got = v.prove("123456"); got.Stage != Success {
		t.Fatalf("the right one leads to %s", got.Stage)
	}
}

// A phone is asked of nobody who has shown nothing: texts cost money, and tell.
func TestSEC_S53_PhoneOnlyAfterProof(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.begin()
	for _, c := range v.answer("identify", "identifier", ada).Choices {
		if c.Key == phoneKey {
			t.Error("the phone is offered before proof")
		}
	}
	if got := v.choose(phoneKey); got.Kind != problem.Invalid || r.post.texts() != 0 {
		t.Errorf("choosing it all the same: %v, %d texts", got.Kind, r.post.texts())
	}
}

func TestIDX_A23_ChannelsAndTheirData(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), gadgetKey))
	v := r.proven(ada)
	got := v.add(gadgetKey)
	if names(got) != "enroll-poll select-enrollment-channel select-authenticator-enroll skip cancel" {
		t.Fatalf("A-22: the choice leads to %s", names(got))
	}
	got = v.answer("select-enrollment-channel", "authenticator.id", "aut"+gadgetKey, "authenticator.channel", "email")
	if names(got) != "enrollment-channel-data select-enrollment-channel select-authenticator-enroll skip cancel" {
		t.Fatalf("the channel leads to %s", names(got))
	}
	if got = v.answer("enrollment-channel-data"); got.Kind != problem.Invalid || got.Stage != EnrollData {
		t.Fatalf("nothing typed: %v at %s", got.Kind, got.Stage)
	}
	if got = v.answer("enrollment-channel-data", "email", ada, "phoneNumber", ""); got.Stage != Enroll || got.Current.Context["selectedChannel"] != "email" {
		t.Fatalf("the address leads to %s, %v", got.Stage, got.Current.Context)
	}
	if got = v.answer("select-enrollment-channel", "authenticator.id", "aut"+gadgetKey, "authenticator.channel", "qrcode"); got.Stage != Enroll ||
		got.Current.Context["selectedChannel"] != "qrcode" {
		t.Fatalf("back to the first: %s, %v", got.Stage, got.Current.Context)
	}
}

// What a person came to add is asked for after a fresh proof, may be declined, and
// is told of.
func TestAddingAnAuthenticator(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), passkeyKey))
	r.withPassword(ada)
	_, err := r.Begin(t.Context(), Start{Request: Request{ClientID: "0oa1", Enroll: "nothing"}})
	if problem.KindOf(err) != problem.Invalid {
		t.Fatalf("an authenticator that there is not: %v", err)
	}
	begin := func() *visit {
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: passkeyKey}})
		v.answer("identify", "identifier", ada)
		v.prove(r.code(ada))
		if v.last.Stage != ChooseFactor { // the mailbox alone must not add the second factor
			t.Fatalf("SEC_S56: one of two factors leads to %s", v.last.Stage)
		}
		v.choose(passwordKey)
		return v
	}
	v := begin()
	got := v.prove(right)
	if got.Stage != ChooseEnroll || len(got.Choices) != 1 || got.Choices[0].Key != passkeyKey {
		t.Fatalf("the proof leads to %s %v", got.Stage, got.Choices)
	}
	v.add(passkeyKey)
	if got = v.answer("enroll-authenticator", "credentials.key", "k1"); got.Stage != Success {
		t.Fatalf("adding leads to %s", got.Stage)
	}
	sent := r.post.sent(ada)
	if last := sent[len(sent)-1]; last.Template != "method-added" || last.Method != "Passkey" {
		t.Fatalf("no notice, but %q of %q", last.Template, last.Method)
	}
	r.pass(time.Hour)
	v = begin()
	if got = v.prove(right); got.Stage != ChooseEnroll {
		t.Fatalf("a second one cannot be added: %s", got.Stage)
	}
	if got = v.answer("skip"); got.Stage != Success {
		t.Fatalf("declining leads to %s", got.Stage)
	}
	if n := len(r.account(ada).Enrollments); n != 3 {
		t.Fatalf("%d ways to sign in, want 3", n)
	}
}

// Whoever reads somebody's mail must not add a way to sign in to an account that has
// another one, although that is evidence of the same kind.
func TestSEC_S56_S59_TheMailboxAloneAddsNothing(t *testing.T) {
	for name, org := range map[string]policy.Org{
		"asked for by the person": with(policy.PasswordOptional(), gadgetKey),
		"asked for by the app":    with(twoFactors(), gadgetKey),
		"required by policy":      with(requiring(passwordKey), gadgetKey),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, org)
			r.store.users["00ugadget"] = directory.Account{User: directory.User{
				ID: "00ugadget", Version: 1, Status: directory.Active, Email: ada, Canonical: ada, FirstName: "Ada", LastName: "L", EmailVerifiedAt: r.at,
			}}
			for key, data := range map[string]string{emailKey: "", gadgetKey: "k1"} {
				en := directory.Enrollment{ID: "en" + key, UserID: "00ugadget", Version: 1, Authenticator: key}
				en.Credential = r.SealCredential(en.ID, authenticator.Credential{Data: []byte(data)})
				a := r.store.users["00ugadget"]
				a.Enrollments = append(a.Enrollments, en)
				r.store.users["00ugadget"] = a
			}
			request := Request{ClientID: "0oa1", Server: "default", State: "s"}
			if name == "asked for by the person" {
				request.Enroll = passwordKey
			}
			v := r.beginWith(Start{Request: request})
			got := v.answer("identify", "identifier", ada)
			if got.Stage == ChooseFactor {
				got = v.choose(emailKey)
			}
			got = v.prove(r.code(ada))
			if got.Stage != ChooseFactor || len(got.Choices) != 1 || got.Choices[0].Key != gadgetKey {
				t.Fatalf("the mailbox leads to %s %v", got.Stage, got.Choices)
			}
			if got := v.add(passwordKey); got.Kind != problem.Invalid || got.Stage != ChooseFactor {
				t.Fatalf("enrolling all the same: %v at %s", got.Kind, got.Stage)
			}
			v.choose(gadgetKey)
			if out, err := v.device("key", "k1"); err != nil || out.Kind != problem.None {
				t.Fatalf("%+v, %v", out, err)
			}
			if got := v.poll(); got.Stage != ChooseEnroll || got.Choices[0].Key != passwordKey {
				t.Fatalf("both lead to %s %v", got.Stage, got.Choices)
			}
		})
	}
}

func requiring(key string) policy.Org {
	org := policy.PasswordOptional()
	org.Require(key)
	return org
}

// While answers are not looked at, the right one is told what a wrong one is.
func TestSEC_S109_APauseTellsNothing(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), passkeyKey))
	v := r.proven(ada)
	v.add(passkeyKey)
	v.answer("enroll-authenticator", "credentials.key", "k1")
	v.answer("skip")
	r.pass(time.Hour)
	asked := func() *visit {
		v := r.begin()
		v.answer("identify", "identifier", ada)
		v.choose(passkeyKey)
		return v
	}
	sign := func(v *visit, key string) *View {
		challenge, _ := v.last.Current.Context["challenge"].(string)
		return v.answer("challenge-authenticator", "credentials.key", key, "credentials.signed", challenge)
	}
	var first *View
	for range 3 { // ten within a quarter of an hour
		v := asked()
		for range 4 {
			first = sign(v, "k2")
		}
	}
	paused := sign(asked(), "k1")
	if paused.Stage == Success {
		t.Fatal("no pause began")
	}
	if key(first) != "of its own" || key(paused) != "of its own" || paused.Messages[0].Text != first.Messages[0].Text || paused.Messages[0].Field != first.Messages[0].Field {
		t.Errorf("a wrong answer is told %+v, the right one in the pause %+v", first.Messages, paused.Messages)
	}
}

// knowing is a passkey that knows its owner.
type knowing struct{ passkey }

func (k knowing) Info() authenticator.Info {
	info := k.passkey.Info()
	info.VerifiesUser = true
	return info
}

// The one factor that is left and that asks how before it sends anything is in hand
// whichever way the person came; nothing is sent by that.
func TestAUTH_SEL3_TheOnlyFactorIsInHandEachWayIn(t *testing.T) {
	phoneToo := []policy.Constraint{{Possession: &policy.Evidence{Types: []string{"phone"}}}}
	start := func(t *testing.T, keys ...string) (*rig, *policy.AccessRule) {
		org := with(emailOnly(), keys...)
		r := newRig(t, org)
		r.authenticators[passkeyKey] = knowing{}
		v := r.proven(ada)
		v.number("sms", "+15550000101")
		v.answer("enroll-authenticator", "credentials.passcode", "123456")
		for _, key := range keys[1:] {
			v.add(key)
			v.answer("enroll-authenticator", "credentials.key", "k1", "credentials.passcode", right)
		}
		if v.last.Stage != Success {
			t.Fatalf("the sign-up ends at %s of %s", v.last.Stage, list(v.last))
		}
		r.pass(time.Hour)
		return r, &org.Access[0].Rules[0] // what it holds is in force
	}
	inHand := func(t *testing.T, r *rig, got *View, sent int) {
		t.Helper()
		if got.Stage != ChallengeData || got.Current == nil || got.Current.Info.Key != phoneKey || r.post.texts() != sent {
			t.Errorf("at %s %s, %d texts more", got.Stage, names(got), r.post.texts()-sent)
		}
	}
	t.Run("a sign-up that becomes a sign-in", func(t *testing.T) {
		r, rule := start(t, phoneKey)
		rule.Constraints = phoneToo
		v, sent := r.begin(), r.post.texts()
		v.signUp(ada)
		inHand(t, r, v.answer("enroll-authenticator", "credentials.passcode", r.code(ada)), sent)
	})
	t.Run("a key of the field's list", func(t *testing.T) {
		r, rule := start(t, phoneKey, passkeyKey)
		rule.Constraints = []policy.Constraint{{Possession: phoneToo[0].Possession, Inherence: &policy.Evidence{}}}
		v, sent := r.begin(), r.post.texts()
		challenge, _ := v.last.Discover["challenge"].(string)
		inHand(t, r, v.answer("challenge-webauthn-autofillui-authenticator",
			"credentials.key", "k1", "credentials.userHandle", r.account(ada).ID, "credentials.signed", challenge), sent)
	})
	t.Run("a session", func(t *testing.T) {
		r, rule := start(t, phoneKey)
		v := r.begin()
		v.browser.Keeps = true
		v.answer("identify", "identifier", ada)
		cookie := v.prove(r.code(ada)).Cookie
		if cookie == "" {
			t.Fatalf("no session at %s", v.last.Stage)
		}
		rule.Constraints = phoneToo
		sent := r.post.texts()
		v = r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s"}, Browser: Browser{Cookie: cookie, Keeps: true}})
		inHand(t, r, v.last, sent)
		if got := v.answer("authenticator-verification-data", "authenticator.id", "aut"+phoneKey, "authenticator.methodType", "sms"); got.Stage != Challenge {
			t.Fatalf("the method leads to %s", got.Stage)
		}
		if got := v.prove("123456"); got.Stage != Success {
			t.Errorf("the code leads to %s", got.Stage)
		}
	})
	t.Run("a recovery token", func(t *testing.T) {
		r, _ := start(t, phoneKey, passwordKey)
		sent := r.post.texts()
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1"}, RecoveryToken: r.ticket(directory.Recovery, r.account(ada).ID)})
		inHand(t, r, v.last, sent)
	})
}
