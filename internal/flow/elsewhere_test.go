package flow

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// device answers the question that is open in v.
func (v *visit) device(pairs ...string) (DeviceOutcome, error) {
	v.tb.Helper()
	in := authenticator.Input{}
	for i := 0; i < len(pairs); i += 2 {
		in[pairs[i]] = pairs[i+1]
	}
	id, _ := v.transactionID(v.handle)
	row, err := v.store.Transaction(context.Background(), id)
	if err != nil {
		v.tb.Fatal(err)
	}
	tx, err := v.unseal(row)
	if err != nil {
		v.tb.Fatal(err)
	}
	challenge := "none"
	if tx.Open != nil {
		challenge = tx.Open.ID
	}
	return v.AnswerElsewhere(context.Background(), DeviceAnswer{Transaction: id, Challenge: challenge, Input: in})
}

func (v *visit) poll() *View {
	v.tb.Helper()
	got, err := v.Poll(context.Background(), v.handle, v.browser)
	if err != nil {
		v.tb.Fatal(err)
	}
	return got
}

// withGadget signs somebody up who registers a gadget, and waits an hour.
func (r *rig) withGadget(email, key string) {
	r.tb.Helper()
	v := r.proven(email)
	v.add(gadgetKey)
	if got, err := v.device("key", key); err != nil || got.Kind != problem.None || got.Enrollment == "" {
		r.tb.Fatalf("register: %+v, %v", got, err)
	}
	if v.poll().Stage == ChooseEnroll {
		v.answer("skip")
	}
	r.pass(time.Hour)
}

func TestIDX_A27_WhoWaitsGoesOnByPolling(t *testing.T) {
	r := newRig(t, with(emailOnly(), gadgetKey))
	v := r.proven(ada)
	v.add(gadgetKey)
	if got := v.poll(); got.Stage != Enroll || names(got) != "enroll-poll select-enrollment-channel select-authenticator-enroll skip cancel" {
		t.Fatalf("while nothing has answered: %s %s", got.Stage, names(got))
	}
	out, err := v.device("key", "k1")
	if err != nil || out.Kind != problem.None || out.UserID != r.account(ada).ID {
		t.Fatalf("register: %+v, %v", out, err)
	}
	id, _ := v.transactionID(v.handle)
	again := DeviceAnswer{Transaction: id, Challenge: "over", Authenticator: gadgetKey, Unique: []byte("k1")}
	if lost, err := v.AnswerElsewhere(t.Context(), again); err != nil || lost.Enrollment != out.Enrollment || lost.UserID != out.UserID {
		t.Fatalf("the same device, which has not heard of it: %+v, %v", lost, err)
	}
	again.Unique = []byte("k2")
	if _, err := v.AnswerElsewhere(t.Context(), again); !errors.Is(err, ErrGone) {
		t.Fatalf("another device by the same link: %v", err)
	}
	got := v.poll()
	if got.Stage != Success || got.Code == "" {
		t.Fatalf("after the device: %s, code %q", got.Stage, got.Code)
	}
	if again := v.poll(); again.Stage != Terminal || again.Code != "" {
		t.Fatalf("the code is handed out twice: %s", again.Stage)
	}
	if _, err := v.device("key", "k2"); !errors.Is(err, ErrGone) {
		t.Fatalf("a stranger with the same link, later: %v", err)
	}
}

func (r *rig) challenged(email string) *visit {
	r.tb.Helper()
	v := r.begin()
	v.answer("identify", "identifier", email)
	if got := v.choose(gadgetKey); got.Stage != Challenge || names(got) != "challenge-poll select-authenticator-authenticate cancel" {
		r.tb.Fatalf("the gadget leads to %s %s", got.Stage, names(got))
	}
	return v
}

func TestIDX_A27_ApprovedDeniedAndTooLate(t *testing.T) {
	r := newRig(t, with(emailOnly(), gadgetKey))
	r.withGadget(ada, "k1")

	v := r.challenged(ada)
	asked, err := r.Pushes(t.Context(), r.account(ada).ID)
	if err != nil || len(asked) != 1 || asked[0].App != "Acme" || string(asked[0].Data) != `{"n":42}` {
		t.Fatalf("the device is asked %+v, %v", asked, err)
	}
	if out, err := v.device("key", "somebody else's"); err != nil || out.Kind != problem.Unauthenticated {
		t.Fatalf("another key: %+v, %v", out, err)
	}
	if got := v.poll(); got.Stage != Challenge || got.Kind != problem.None {
		t.Fatalf("a wrong key is told to the browser: %s %v", got.Stage, got.Messages)
	}
	if out, err := v.device("key", "k1", "say", "no"); err != nil || !out.Denied {
		t.Fatalf("no: %+v, %v", out, err)
	}
	got := v.poll()
	if got.Kind != problem.Invalid || key(got) != "api.authn.poll.error.push_rejected" || names(got) != "resend-push select-authenticator-authenticate cancel" {
		t.Fatalf("denied: %v %v %s", got.Kind, got.Messages, names(got))
	}
	if asked, _ = r.Pushes(t.Context(), r.account(ada).ID); len(asked) != 0 {
		t.Fatal("what was denied is asked still")
	}
	r.pass(time.Minute)
	if got = v.answer("resend-push", "authenticator.id", "aut"+gadgetKey); got.Stage != Challenge || got.Kind != problem.None {
		t.Fatalf("once more: %s %v %v", got.Stage, got.Kind, got.Messages)
	}
	r.pass(6 * time.Minute)
	if got = v.poll(); key(got) != "core.system.transaction_resource_not_found" {
		t.Fatalf("too late: %v", got.Messages)
	}
	if _, err := v.device("key", "k1"); !errors.Is(err, ErrGone) {
		t.Fatalf("an answer that comes too late: %v", err)
	}
	v.answer("resend-push", "authenticator.id", "aut"+gadgetKey)
	if out, err := v.device("key", "k1"); err != nil || out.Kind != problem.None {
		t.Fatalf("yes: %+v, %v", out, err)
	}
	if got = v.poll(); got.Stage != Success || got.Code == "" {
		t.Fatalf("approved: %s", got.Stage)
	}
}

// Whoever knows an address cannot ask its owner until they are tired of saying no.
func TestSEC_S108_PushesAreCounted(t *testing.T) {
	r := newRig(t, with(emailOnly(), gadgetKey))
	r.withGadget(ada, "k1")
	asked := 0
	for range 5 { // as many codes may be mailed to the address
		v := r.begin()
		v.answer("identify", "identifier", ada)
		if got := v.choose(gadgetKey); got.Kind == problem.None {
			asked++
		} else if got.Kind != problem.Throttled || got.RetryAfter <= 0 {
			t.Fatalf("refused as %v", got.Kind)
		}
	}
	if rows, _ := r.Pushes(t.Context(), r.account(ada).ID); asked != 3 || len(rows) != asked {
		t.Errorf("asked %d times with %d requests, want 3", asked, len(rows))
	}
}

// An address without an account, and one without a device, look like one that has.
func TestSEC_S43_AskingNobodysDevice(t *testing.T) {
	r := newRig(t, with(emailOnly(), gadgetKey))
	r.withGadget(ada, "k1")
	v := r.begin()
	v.answer("identify", "identifier", "nobody@example.com")
	got := v.choose(gadgetKey)
	if want := r.challenged(ada).last; names(got) != names(want) || got.Stage != want.Stage || (got.Current.Sent == nil) != (want.Current.Sent == nil) {
		t.Errorf("%s %s, want %s %s", got.Stage, names(got), want.Stage, names(want))
	}
}

// What only one person may have is refused to the second, who keeps the question.
func TestSEC_S51_TakenKey(t *testing.T) {
	r := newRig(t, with(emailOnly(), passkeyKey))
	for i, email := range []string{ada, "eve@example.com"} {
		v := r.proven(email)
		v.add(passkeyKey)
		got := v.answer("enroll-authenticator", "credentials.key", "k1")
		if i == 0 && got.Stage != Success || i == 1 && (got.Kind != problem.Invalid || got.Stage != Enroll || key(got) != "oie.authenticator.enroll.error.fail") {
			t.Errorf("%s: %s %v %v", email, got.Stage, got.Kind, got.Messages)
		}
	}
	if n := len(r.account("eve@example.com").Enrollments); n != 1 {
		t.Errorf("%d ways to sign in, want the email alone", n)
	}
}

func TestIDX_A37_ADiscoverableKeySignsIn(t *testing.T) {
	r := newRig(t, with(emailOnly(), passkeyKey))
	v := r.proven(ada)
	v.add(passkeyKey)
	v.answer("enroll-authenticator", "credentials.key", "k1")
	r.pass(time.Hour)
	id := r.account(ada).ID
	const offer = "challenge-webauthn-autofillui-authenticator"

	v = r.begin()
	challenge := func(got *View) string { s, _ := got.Discover["challenge"].(string); return s }
	first := challenge(v.last)
	if first == "" {
		t.Fatalf("nothing is asked of whoever is there: %s", names(v.last))
	}
	for _, wrong := range [][2]string{{"k2", id}, {"k1", "00unobody"}, {"k1", ""}} {
		got := v.answer(offer, "credentials.key", wrong[0], "credentials.userHandle", wrong[1], "credentials.signed", challenge(v.last))
		if got.Kind != problem.Unauthenticated || got.Stage != Identify || key(got) != "authfactor.webauthn.error.assertion_validation_failure" {
			t.Fatalf("%v: %v at %s %v", wrong, got.Kind, got.Stage, got.Messages)
		}
	}
	if got := v.answer(offer, "credentials.key", "k1", "credentials.userHandle", id, "credentials.signed", first); got.Stage != Identify {
		t.Fatal("A-33: a question is answered that was answered before")
	}
	got := v.answer(offer, "credentials.key", "k1", "credentials.userHandle", id, "credentials.signed", challenge(v.last))
	if got.Stage != Success {
		t.Fatalf("the key leads to %s %v", got.Stage, got.Messages)
	}
	code, err := r.Finished(t.Context(), got.Code)
	if err != nil || code.UserID != id || len(code.AMR) != 2 || code.AMR[1] != "mfa" {
		t.Fatalf("a key whose device knows its owner shows two classes: %v, %v", code.AMR, err)
	}
}

// Asking nobody's devices writes what asking somebody's does, however many they have: as
// many rows, as long.
func TestSEC_S42_AskingNobodyIsAsMuchWork(t *testing.T) {
	r := newRig(t, with(emailOnly(), gadgetKey))
	const eve = "eve@example.com"
	r.withGadget(ada, "k1")
	r.withGadget(eve, "e1")
	r.proven("bob@example.com").answer("skip")
	several := r.store.users[r.account(eve).ID]
	for _, id := range []string{"gadget2", "gadget3"} {
		en := several.Enrollments[len(several.Enrollments)-1]
		c, err := r.OpenCredential(en)
		if err != nil {
			t.Fatal(err)
		}
		en.ID, en.Credential = id, r.SealCredential(id, c)
		several.Enrollments = append(several.Enrollments, en)
	}
	r.store.users[several.ID] = several
	type work struct{ rows, bytes, messages, wake int }
	asking := func(address string) work {
		v := r.begin()
		v.answer("identify", "identifier", address)
		rows := func() (n, size int) {
			for _, k := range r.store.tickets {
				n, size = n+1, size+len(k.Data)
			}
			for key, c := range r.store.counters {
				if strings.HasPrefix(key, "void push/") {
					n, size = n+1, size+len(c.Data)
				}
			}
			return n, size
		}
		n, size := rows()
		sent := len(r.store.messages)
		if got := v.answer("select-authenticator-authenticate", "authenticator.id", "aut"+gadgetKey); got.Stage != Challenge || got.Kind != problem.None {
			t.Fatalf("%s: %s %+v", address, got.Stage, got.Messages)
		}
		after, sized := rows()
		w := work{rows: after - n, bytes: sized - size, messages: len(r.store.messages) - sent}
		for _, o := range r.post.woken[len(r.post.woken)-w.messages:] {
			data, err := json.Marshal(o.Wake)
			if err != nil {
				t.Fatal(err)
			}
			w.wake += len(data)
			account, err := r.store.AccountByAddress(t.Context(), address)
			if known := err == nil; o.Void || o.Wake.Request == "" || o.Wake.UserID == "" || known != (o.Wake.UserID == account.ID) {
				t.Errorf("%s: %+v", address, o.Wake)
			}
		}
		return w
	}
	want := asking(ada)
	if want.rows != 1 || want.messages != 1 || want.wake == 0 {
		t.Errorf("asking somebody: %+v", want)
	}
	for _, address := range []string{eve, "bob@example.com", "nobody@example.com"} {
		if got := asking(address); got != want {
			t.Errorf("%s: %+v, not %+v", address, got, want)
		}
	}
}
