package flow

import (
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

func (v *visit) number(method, number string) *View {
	v.tb.Helper()
	return v.add(phoneKey, "authenticator.methodType", method, "authenticator.phoneNumber", number)
}

// Whoever types numbers of strangers has three of them texted, and no more.
func TestSEC_S53_ThreeNumbersOfATransaction(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.proven(ada)
	for i := range 3 {
		if got := v.number("sms", fmt.Sprintf("+1555000%04d", i)); got.Stage != Enroll {
			t.Fatalf("number %d leads to %s, %+v", i+1, got.Stage, got.Messages)
		}
	}
	for _, method := range []string{"sms", "voice"} {
		got := v.number(method, "+15550009999")
		want := map[string]string{"sms": "errors.E0000150", "voice": "errors.E0000151"}[method]
		if got.Kind != problem.Forbidden || key(got) != want || r.post.texts() != 3 {
			t.Errorf("a fourth by %s: %v %s, %d texts", method, got.Kind, key(got), r.post.texts())
		}
		if names(got) != "enroll-authenticator select-authenticator-enroll skip cancel" {
			t.Errorf("what may be done then: %s", names(got))
		}
	}
	v.answer("cancel")
	if got := v.signUp(ada); got.Stage != Enroll { // in the same transaction; the account is there by now
		t.Fatalf("%s", got.Stage)
	}
	r.pass(time.Minute)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got := v.last; got.Stage == ChooseEnroll {
		if got = v.number("sms", "+15550009999"); got.Kind != problem.Forbidden {
			t.Errorf("cancel gives numbers back: %v", got.Kind)
		}
	}
}

// However many transactions and accounts, a number gets four texts within an hour
// before it is anybody's, and all numbers together what a day may cost.
func TestSEC_S53_CapsOfNumberAndDay(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	r.limits.Rules.Texts = limit.Volume{{N: 16, Per: 24 * time.Hour}} // half of them before they are anybody's
	try := func(i int, number string) *View {
		return r.proven(fmt.Sprintf("p%d@example.com", i)).number("sms", number)
	}
	const number = "+15550000100"
	for i := range 4 {
		if got := try(i, number); got.Stage != Enroll {
			t.Fatalf("text %d: %s %+v", i+1, got.Stage, got.Messages)
		}
	}
	got := try(5, number)
	if got.Kind != problem.Forbidden || key(got) != "errors.E0000150" || r.post.texts() != 4 {
		t.Fatalf("a fifth within the hour: %v %s, %d texts", got.Kind, key(got), r.post.texts())
	}
	if names(got) != "select-authenticator-enroll skip cancel" {
		t.Errorf("the way on is %s", names(got))
	}
	for i := range 4 {
		if got := try(10+i, fmt.Sprintf("+1555000020%d", i)); got.Stage != Enroll {
			t.Fatalf("another number: %s %+v", got.Stage, got.Messages)
		}
	}
	for i := range 4 {
		if got := try(20+i, fmt.Sprintf("+1555000030%d", i)); got.Kind != problem.Forbidden {
			t.Errorf("beyond what the day may cost: %v", got.Kind)
		}
	}
	if r.post.texts() != 8 {
		t.Errorf("%d texts went out", r.post.texts())
	}
	r.pass(time.Hour)
	if got := try(30, number); got.Kind != problem.Forbidden {
		t.Errorf("an hour later the day is not over: %v", got.Kind)
	}
	r.pass(24 * time.Hour)
	if got := try(31, number); got.Stage != Enroll {
		t.Errorf("a day later: %s %+v", got.Stage, got.Messages)
	}
}

// Whoever has numbers of one country texted, as one that shares what a text costs,
// comes to that country's end, and leaves people of others theirs: those who come new
// and those who sign in by phone.
func TestSEC_S53_CapOfACountry(t *testing.T) {
	org := with(policy.PasswordOptional(), phoneKey)
	org.Access[0].Rules[0].Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{}, Possession: &policy.Evidence{Types: []string{"phone"}}}}
	r := newRig(t, org)
	r.limits.Rules.CountryTexts = limit.Volume{{N: 8, Per: 24 * time.Hour}} // half of them before they are anybody's
	r.limits.Rules.Texts = limit.Volume{{N: 40, Per: 24 * time.Hour}}
	owns := func(email, number string) {
		t.Helper()
		v := r.proven(email)
		v.number("sms", number)
		v.answer("enroll-authenticator", "credentials.passcode", "123456")
		v.add(passwordKey)
		if got := v.answer("enroll-authenticator", "credentials.passcode", right); got.Stage == Enroll || got.Kind != problem.None {
			t.Fatalf("%s: %s %+v", email, got.Stage, got.Messages)
		}
	}
	signIn := func(email string) *View {
		v := r.begin()
		if got := v.answer("identify", "identifier", email); got.Stage == ChooseFactor {
			v.choose(passwordKey)
		}
		v.prove(right)
		return v.answer("select-authenticator-authenticate", "authenticator.id", "aut"+phoneKey, "authenticator.methodType", "voice")
	}
	owns(ada, "+685720001")
	owns("grace@example.com", "+491711234567")
	for i := range 6 {
		got := r.proven(fmt.Sprintf("p%d@example.com", i)).number("sms", fmt.Sprintf("+68572010%d", i))
		if want := map[bool]problem.Kind{true: problem.Forbidden}[i >= 3]; got.Kind != want {
			t.Errorf("text %d to the country: %v, want %v", i+1, got.Kind, want)
		}
	}
	if got := r.proven("new@example.com").number("sms", "+491711234500"); got.Stage != Enroll || got.Kind != problem.None {
		t.Errorf("somebody new of another country: %s %v", got.Stage, got.Kind)
	}
	for i := range 6 { // whoever owns a number there
		got := signIn(ada)
		if want := map[bool]problem.Kind{true: problem.Forbidden}[i >= 4]; got.Kind != want || want == problem.Forbidden && key(got) != "errors.E0000151" {
			t.Errorf("call %d to the country: %v %s, want %v", i+1, got.Kind, key(got), want)
		}
		r.pass(time.Hour)
	}
	if got := signIn("grace@example.com"); got.Stage != Challenge || got.Kind != problem.None {
		t.Errorf("who signs in by a phone of another country: %s %v", got.Stage, got.Kind)
	}
	r.pass(24 * time.Hour)
	if got := r.proven("late@example.com").number("sms", "+685720199"); got.Stage != Enroll {
		t.Errorf("a day later: %s %v", got.Stage, got.Kind)
	}
}

// Strangers who type somebody's number leave its owner a text to sign in with: five
// within the hour are for both.
func TestSEC_S53_StrangersLeaveTheOwnerAText(t *testing.T) {
	org := with(policy.PasswordOptional(), phoneKey)
	org.Access[0].Rules[0].Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{}, Possession: &policy.Evidence{Types: []string{"phone"}}}}
	r := newRig(t, org)
	const number = "+15550000100"
	v := r.proven(ada)
	v.number("sms", number)
	v.answer("enroll-authenticator", "credentials.passcode", "123456")
	v.add(passwordKey)
	v.answer("enroll-authenticator", "credentials.passcode", right)
	for i := range 6 {
		r.proven(fmt.Sprintf("p%d@example.com", i)).number("sms", number)
	}
	if r.post.texts() != 4 {
		t.Fatalf("%d texts to a number that strangers type", r.post.texts())
	}
	signIn := func() *View {
		v := r.begin()
		if got := v.answer("identify", "identifier", ada); got.Stage == ChooseFactor {
			v.choose(passwordKey)
		}
		v.prove(right)
		return v.answer("select-authenticator-authenticate", "authenticator.id", "aut"+phoneKey, "authenticator.methodType", "voice")
	}
	if got := signIn(); got.Stage != Challenge || r.post.texts() != 5 {
		t.Errorf("the owner: %v at %s, %d texts", got.Kind, got.Stage, r.post.texts())
	}
	if got := signIn(); got.Kind != problem.Forbidden || key(got) != "errors.E0000151" || r.post.texts() != 5 {
		t.Errorf("once more: %v %s, %d texts", got.Kind, key(got), r.post.texts())
	}
}

// Another number is not made to wait for the one that was a slip; the same one is.
func TestIDX_A14_WaitIsOfTheNumber(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.proven(ada)
	v.number("sms", "+15550000101")
	if got := v.number("voice", "+15550000101"); got.Kind != problem.Throttled || r.post.texts() != 1 {
		t.Errorf("the same number in another way at once: %v, %d texts", got.Kind, r.post.texts())
	}
	if got := v.number("sms", "+15550000102"); got.Stage != Enroll || got.Kind != problem.None || r.post.texts() != 2 {
		t.Errorf("another number: %v at %s, %d texts", got.Kind, got.Stage, r.post.texts())
	}
}

func TestPhoneIsChosenAnew(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.proven(ada)
	v.number("sms", "+15550000101")
	r.pass(time.Minute)
	if got := v.add(phoneKey, "authenticator.methodType", "voice"); got.Stage != Enroll || got.Current.Method != "voice" || r.post.texts() != 2 {
		t.Errorf("a call in place of a text: %s by %s, %d texts", got.Stage, got.Current.Method, r.post.texts())
	}
	if got := v.add(phoneKey); got.Stage != EnrollData || r.post.texts() != 2 {
		t.Errorf("chosen once more without a number: %s, %d texts", got.Stage, r.post.texts())
	}
	if got := v.number("sms", "+15550000102"); got.Stage != Enroll {
		t.Errorf("the right number leads to %s", got.Stage)
	}
}

// Who adds a phone has shown it by that: it is not asked for in the same breath.
func TestWhatWasJustAddedIsNotAskedFor(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	r.proven(ada).answer("skip")
	r.pass(time.Hour)
	v := r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", Enroll: phoneKey}})
	if got := v.answer("identify", "identifier", ada); got.Stage == ChooseFactor {
		v.choose(emailKey)
	}
	if got := v.prove(r.code(ada)); got.Stage != ChooseEnroll {
		t.Fatalf("the mailbox leads to %s", got.Stage)
	}
	v.number("sms", "+15550000101")
	if got := v.answer("enroll-authenticator", "credentials.passcode", "123456"); got.Stage != Success {
		t.Errorf("the phone's code leads to %s %s", got.Stage, names(got))
	}
}

// A page that waits is told how its text stands; of one that ran out it is not said
// that it is tried again.
func TestUX_P3_15_DeliveryOfAText(t *testing.T) {
	r := newRig(t, with(policy.PasswordOptional(), phoneKey))
	v := r.proven(ada)
	v.number("sms", "+15550000100")
	for _, status := range []outbox.Status{outbox.Delayed, outbox.Sent, outbox.Refused, outbox.Expired} {
		for id, m := range r.store.messages {
			m.Status = status
			r.store.messages[id] = m
		}
		got, err := r.Introspect(t.Context(), v.handle, Browser{})
		if err != nil || got.Current == nil || got.Current.Sent == nil || got.Current.Sent.Delivery != string(status) {
			t.Errorf("%s: %+v, %v", status, got, err)
		}
	}
}
