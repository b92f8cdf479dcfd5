package flow

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// guessing opens transactions for an address and gives five wrong answers in
// each, as fast as mails may be sent; it returns how many answers were wrong.
func (r *rig) guessing(email string, transactions int) {
	r.tb.Helper()
	for range transactions {
		v := r.begin()
		if got := v.answer("identify", "identifier", email); got.Kind != problem.None {
			continue
		}
		for range 5 {
			v.prove("000000")
		}
	}
}

// "AuthQuake": any number of transactions guess at one account, and no more is
// looked at than its lane admits; the pause looks like a wrong answer.
func TestSEC_S05_S109_T01_ManyTransactionsOneAccount(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	for range 3 { // 15 answers within a quarter of an hour; the lane takes 10
		r.pass(time.Minute)
		r.guessing(ada, 1)
	}
	r.pass(30 * time.Second)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	got := v.prove(r.code(ada))
	if key(got) != "api.authn.error.PASSCODE_INVALID" || got.Kind != problem.Unauthenticated || got.Stage != Challenge {
		t.Fatalf("the right code while the lane is full: %v %q at %s", got.Kind, key(got), got.Stage)
	}
	if n := r.told(ada); n != 1 {
		t.Fatalf("UX_M11: told of the pause %d times", n)
	}
	r.pass(16 * time.Minute)
	v = r.begin()
	v.answer("identify", "identifier", ada)
	if got := v.prove(r.code(ada)); got.Stage != Success {
		t.Fatalf("after the pause: %s %q", got.Stage, key(got))
	}
}

// SEC S-108, T-11: whoever fills the lane of unknown browsers does not lock out
// one that has signed the person in before.
func TestSEC_S108_T11_KnownBrowserIsNotLockedOut(t *testing.T) {
	r := newRig(t, emailAndPassword())
	device := Start{Request: Request{ClientID: "0oa1"}, DeviceToken: "a secret of the browser"}
	v := r.beginWith(device)
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("skip")
	r.pass(time.Hour)
	for range 6 {
		r.pass(time.Minute)
		r.guessing(ada, 1)
	}
	for name, c := range map[string]struct {
		start Start
		want  Stage
	}{"another browser": {Start{Request: Request{ClientID: "0oa1"}}, Challenge}, "the known one": {device, Success}} {
		v := r.beginWith(c.start)
		if got := v.answer("identify", "identifier", ada); got.Kind == problem.Throttled {
			if c.want == Success {
				t.Errorf("%s: may not be sent a code", name)
			}
			continue
		}
		if got := v.prove(r.code(ada)); got.Stage != c.want {
			t.Errorf("%s: %s, want %s", name, got.Stage, c.want)
		}
	}
}

// SEC S-50: one counter whatever way the guesses come in.
func TestSEC_S50_SignUpDoorSharesTheCounter(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	for range 2 {
		r.pass(time.Minute)
		v := r.begin()
		v.signUp(ada)
		for range 5 {
			v.answer("enroll-authenticator", "credentials.passcode", "000000")
		}
	}
	r.pass(time.Minute)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	if got := v.prove(r.code(ada)); got.Stage == Success {
		t.Fatal("guesses at the sign-up door are not counted")
	}
}

func TestSEC_S49_Passwords(t *testing.T) {
	org := emailAndPassword()
	org.Session[0].Primary = policy.PasswordFirst
	r := newRig(t, org)
	r.withPassword(ada)
	for range 10 {
		v := r.begin()
		if got := v.answer("identify", "identifier", ada, "credentials.passcode", "wrong"); key(got) != "errors.E0000004" {
			t.Fatalf("%q", key(got))
		}
	}
	v := r.begin()
	if got := v.answer("identify", "identifier", ada, "credentials.passcode", right); key(got) != "errors.E0000004" {
		t.Fatalf("the right password while the lane is full: %s %q", got.Stage, key(got))
	}
	// The mailbox stays open (SEC S-109): recovery replaces what is being guessed at.
	v = r.begin()
	v.answer("recover")
	v.answer("identify-recovery", "identifier", ada)
	v.choose(emailKey)
	v.prove(r.code(ada))
	if got := v.answer("reset-authenticator", "credentials.passcode", fresh); got.Stage != Success {
		t.Fatalf("recovery while the lane is full: %s", got.Stage)
	}
}

func TestAUTH_8_MaxAttemptsAndUnlock(t *testing.T) {
	org := passwordFirst()
	org.Password[0].MaxAttempts, org.Password[0].Unlock = 2, true
	org.Access[0].Rules[0].Factors = 2
	r := newRig(t, org)
	r.withPassword(ada)
	wrong := func() { r.begin().answer("identify", "identifier", ada, "credentials.passcode", "wrong") }
	signIn := func() *View {
		return r.begin().answer("identify", "identifier", ada, "credentials.passcode", right)
	}
	wrong()
	if got := signIn(); got.Stage != ChooseFactor {
		t.Fatalf("one wrong answer: %s", got.Stage)
	}
	wrong()
	wrong()
	r.pass(48 * time.Hour)
	if got := signIn(); got.Stage != Identify {
		t.Fatalf("two in a row: %s", got.Stage)
	}
	v := r.begin()
	v.answer("unlock-account")
	v.answer("select-authenticator-unlock-account", "identifier", ada, "authenticator.id", "aut"+emailKey)
	v.prove(r.code(ada))
	if got := signIn(); got.Stage != ChooseFactor {
		t.Fatalf("after the unlock: %s", got.Stage)
	}
}

// SEC S-06: one source is stopped after sixty wrong answers an hour, at whatever
// accounts; a server that does not say for whom it calls is not one source.
func TestSEC_S06_OneSource(t *testing.T) {
	for _, c := range []struct {
		confidential bool
		want         problem.Kind
	}{{false, problem.Throttled}, {true, problem.Unauthenticated}} {
		r := newRig(t, passwordFirst())
		r.client.Confidential = c.confidential
		var kind problem.Kind
		for i := range 61 {
			v := r.beginWith(Start{Request: Request{ClientID: "0oa1", IP: "192.0.2.7"}})
			got, err := v.try("identify", "identifier", fmt.Sprintf("person%d@example.com", i), "credentials.passcode", "password1")
			if kind = problem.KindOf(err); err == nil {
				kind = got.Kind
			}
		}
		if kind != c.want {
			t.Errorf("confidential %v: the last answer is %v, want %v", c.confidential, kind, c.want)
		}
	}
}

func TestSEC_S11_MailsToOneAddress(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	before := len(r.post.sent(ada))
	for _, address := range []string{ada, "nobody@example.com"} {
		var kinds []problem.Kind
		for range 8 {
			kinds = append(kinds, r.begin().answer("identify", "identifier", address).Kind)
		}
		if fmt.Sprint(kinds) != fmt.Sprint([]problem.Kind{0, 0, 0, 0, 0, problem.Throttled, problem.Throttled, problem.Throttled}) {
			t.Errorf("%s: %v", address, kinds)
		}
	}
	if got := len(r.post.sent(ada)) - before; got != 5 {
		t.Errorf("%d mails within a quarter of an hour", got)
	}
}

// SEC S-108: who has links to a device sent to somebody else's address, from a browser
// that is known to themselves, does not stop that person in a browser of their own.
func TestSEC_S11_S108_LinksToAStrangersAddress(t *testing.T) {
	org := with(emailOnly(), gadgetKey)
	r := newRig(t, org)
	const eve = "eve@example.com"
	start := func(address string) Start {
		return Start{Request: Request{ClientID: "0oa1"}, DeviceToken: "a secret of the browser of " + address}
	}
	for _, address := range []string{ada, eve} {
		v := r.beginWith(start(address))
		v.signUp(address)
		v.answer("enroll-authenticator", "credentials.passcode", r.code(address))
		if got := v.answer("skip"); got.Stage != Success {
			t.Fatalf("%s: %s", address, got.Stage)
		}
	}
	r.pass(time.Hour)
	org.Enrollment[0].Authenticators[1].Need = policy.Required
	for range 5 {
		v := r.beginWith(start(eve))
		v.answer("identify", "identifier", eve)
		v.choose(emailKey)
		if got := v.prove(r.code(eve)); got.Stage != ChooseEnroll {
			t.Fatalf("the code leads to %s %s", got.Stage, names(got))
		}
		v.add(gadgetKey)
		v.answer("select-enrollment-channel", "authenticator.id", "aut"+gadgetKey, "authenticator.channel", "email")
		if got := v.answer("enrollment-channel-data", "email", ada); got.Kind != problem.None {
			t.Fatalf("the link is refused: %v", got.Messages)
		}
	}
	if n := len(r.post.sent(ada)); n != 6 {
		t.Fatalf("%d mails went to the address", n)
	}
	ask := func(v *visit) *View {
		v.answer("identify", "identifier", ada)
		return v.choose(emailKey)
	}
	if got := ask(r.begin()); got.Kind != problem.Throttled {
		t.Errorf("from an unknown browser one more goes there: %v", got.Kind)
	}
	if got := ask(r.beginWith(start(ada))); got.Kind != problem.None {
		t.Errorf("from a known browser none does: %v %v", got.Kind, got.Messages)
	}
}

// SEC S-03: guesses in parallel, over many transactions, are each counted before
// anybody hears of them.
func TestSEC_S03_T02_ParallelTransactions(t *testing.T) {
	org := passwordFirst()
	r := newRig(t, org)
	r.withPassword(ada)
	var wg sync.WaitGroup
	for i := range 60 {
		v := r.begin()
		wg.Go(func() {
			_, _ = v.try("identify", "identifier", ada, "credentials.passcode", fmt.Sprint("guess", i))
		})
	}
	wg.Wait()
	looked := 0
	for _, ev := range r.store.audit {
		if ev.Reason == "INVALID_CREDENTIALS" {
			looked++
		}
	}
	v := r.begin()
	if got, err := v.try("identify", "identifier", ada, "credentials.passcode", right); err != nil || got.Stage == Success {
		t.Fatalf("after %d wrong answers the right one is taken (%v)", looked, err)
	}
	c, err := r.store.Counter(context.Background(), "guess/"+r.account(ada).ID+"/okta_password/unknown")
	if err != nil {
		t.Fatal(err)
	}
	if n := r.limits.Rules.Password.Standing(c, r.clock()).Consecutive; n != 10 {
		t.Fatalf("%d answers were looked at, want 10", n)
	}
}
