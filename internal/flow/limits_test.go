package flow

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// from is a visit from an address.
func (r *rig) from(ip string) *visit {
	return r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s", IP: ip}})
}

// guess gives a wrong password for an address, and returns how it is answered.
func (v *visit) guess(address string) problem.Kind {
	got, err := v.try("identify", "identifier", address, "credentials.passcode", "password1")
	if err != nil {
		return problem.KindOf(err)
	}
	return got.Kind
}

func (r *rig) told(address string) (n int) {
	for _, m := range r.post.sent(address) {
		if m.Template == "guessing" {
			n++
		}
	}
	return n
}

func (r *rig) recordedOf(kind string) (out []audit.Event) {
	for _, ev := range r.store.audit {
		if ev.Type == kind {
			out = append(out, ev)
		}
	}
	return out
}

// SEC S-06: one guess at each of very many accounts is told in the audit log,
// once, wherever the guesses came in. A node adds up what it has seen once a second.
func TestSEC_S06_Spray(t *testing.T) {
	one, two := newRig(t, passwordFirst()), newRig(t, passwordFirst())
	two.Engine.store = one.store
	for i := range 1100 {
		node := one
		if i%2 == 1 {
			node = two
		}
		node.begin().guess(fmt.Sprintf("person%d@example.com", i))
		if i == 1050 || i == 500 {
			for _, node := range []*rig{one, two} {
				if err := node.addUp(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(one.recordedOf("security.attack.start")); n != i/1000 {
				t.Fatalf("%d alarms after %d guesses", n, i+1)
			}
		}
	}
	if err := one.addUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(one.recordedOf("security.attack.start")); n != 1 {
		t.Fatalf("%d alarms", n)
	}
}

// What could not be added up is added up the next time.
func TestSEC_S06_SprayOverAFault(t *testing.T) {
	r := newRig(t, passwordFirst())
	store := r.Engine.store
	for i := range 1001 {
		r.begin().guess(fmt.Sprintf("person%d@example.com", i))
	}
	r.Engine.store = broken{store}
	if err := r.addUp(context.Background()); err == nil {
		t.Fatal("no error")
	}
	r.Engine.store = store
	if err := r.addUp(context.Background()); err != nil || len(r.recordedOf("security.attack.start")) != 1 {
		t.Fatalf("no alarm, %v", err)
	}
}

// broken cannot write.
type broken struct{ Store }

func (broken) InTx(context.Context, bool, func(Tx) error) error {
	return problem.New(problem.Unavailable, "", "the disk is full")
}

// SEC S-108: whoever has a whole network has one more limit, over all its sources;
// a browser that has signed the person in before, and another network, have not.
func TestSEC_S108_Network(t *testing.T) {
	org := passwordFirst()
	r := newRig(t, org)
	r.withPassword(ada)
	device := Start{Request: Request{ClientID: "0oa1", IP: "2001:db8:1::1"}, DeviceToken: "a secret of the browser"}
	if got := r.beginWith(device).answer("identify", "identifier", ada, "credentials.passcode", right); got.Stage != Success {
		t.Fatalf("the first sign-in: %s", got.Stage)
	}
	for i := range 600 {
		ip := fmt.Sprintf("2001:db8:1:%x::1", i/50)
		if got := r.from(ip).guess(fmt.Sprintf("person%d@example.com", i)); got != problem.Unauthenticated {
			t.Fatalf("guess %d from %s: %v", i+1, ip, got)
		}
	}
	if got := r.from("2001:db8:1:ffff::1").guess("last@example.com"); got != problem.Throttled {
		t.Errorf("from one more source of the network: %v", got)
	}
	if _, err := r.from("2001:db8:1:ffff::1").try("identify", "identifier", ada, "credentials.passcode", right); problem.KindOf(err) != problem.Throttled {
		t.Errorf("a right answer from there is told: %v", err)
	}
	if got := r.from("2001:db8:2::1").guess("last@example.com"); got != problem.Unauthenticated {
		t.Errorf("from another network: %v", got)
	}
	if got := r.beginWith(device).answer("identify", "identifier", ada, "credentials.passcode", right); got.Stage != Success {
		t.Errorf("in a known browser: %s %q", got.Stage, key(got))
	}
	r.pass(time.Hour)
	if got := r.from("2001:db8:1:ffff::1").guess("last@example.com"); got != problem.Unauthenticated {
		t.Errorf("an hour later: %v", got)
	}
}

// SEC S-05: a hundred wrong codes in a row close the lane of browsers that are not
// known until the person comes in by another way: a known one.
func TestSEC_S05_KnownBrowserEndsTheRow(t *testing.T) {
	r := newRig(t, policy.PasswordOptional())
	device := Start{Request: Request{ClientID: "0oa1"}, DeviceToken: "a secret of the browser"}
	v := r.beginWith(device)
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("skip")
	for range 20 {
		r.pass(5 * time.Hour)
		r.guessing(ada, 1)
	}
	signIn := func(s Start) Stage {
		r.pass(5 * time.Hour)
		v := r.beginWith(s)
		v.answer("identify", "identifier", ada)
		return v.prove(r.code(ada)).Stage
	}
	unknown := Start{Request: Request{ClientID: "0oa1"}}
	if got := signIn(unknown); got != Challenge {
		t.Fatalf("after a hundred wrong codes: %s", got)
	}
	if got := signIn(device); got != Success {
		t.Fatalf("in a known browser: %s", got)
	}
	if got := signIn(unknown); got != Success {
		t.Fatalf("after that: %s", got)
	}
}

// A pause is in the audit log each time, with where the guess came from; the mail
// about it is sent once a day.
func TestSEC_S109_PausesAreRecorded(t *testing.T) {
	r := newRig(t, passwordFirst())
	r.withPassword(ada)
	r.client.Confidential = false
	ctx := audit.WithSource(context.Background(), audit.Source{RequestID: "req1", IP: "192.0.2.9", UserAgent: "curl"})
	for range 2 {
		for range 10 {
			v := r.begin()
			in := Input{"identifier": ada, "credentials.passcode": "wrong"}
			if _, err := r.Answer(ctx, Answer{Handle: v.handle, Names: []string{"identify"}, Input: in}); err != nil {
				t.Fatal(err)
			}
		}
		r.pass(20 * time.Minute)
	}
	locks := r.recordedOf("user.account.lock")
	if len(locks) != 2 || r.told(ada) != 1 {
		t.Fatalf("%d pauses in the log, told %d times", len(locks), r.told(ada))
	}
	for _, ev := range locks {
		if ev.Target != r.account(ada).ID || ev.RequestID != "req1" || ev.IP != "192.0.2.9" || ev.UserAgent != "curl" || ev.Authenticator != passwordKey {
			t.Errorf("recorded as %+v", ev)
		}
	}
}

// A browser is known for a year from its last sign-in, not from its first (SEC S-108).
func TestSEC_S108_DeviceIsRenewed(t *testing.T) {
	r := newRig(t, passwordFirst())
	r.withPassword(ada)
	for range 3 {
		s := Start{Request: Request{ClientID: "0oa1", IP: "192.0.2.1"}, DeviceToken: "a secret of the browser"}
		v := r.beginWith(s)
		v.answer("identify", "identifier", ada, "credentials.passcode", right)
		for _, d := range r.store.devices {
			if !d.ExpiresAt.Equal(r.clock().Add(deviceLife)) || !d.SeenAt.Equal(r.clock()) {
				t.Fatalf("seen %v, until %v", d.SeenAt, d.ExpiresAt)
			}
		}
		r.pass(200 * 24 * time.Hour)
	}
	if len(r.store.devices) != 1 {
		t.Fatalf("%d devices", len(r.store.devices))
	}
}

// SEC S-11: one source is sent thirty mails an hour, to ten addresses; whether
// there are accounts makes no difference, and nothing else of the source is held up.
func TestSEC_S11_OneSource(t *testing.T) {
	const here, there = "192.0.2.7", "192.0.2.8"
	t.Run("addresses", func(t *testing.T) {
		r := newRig(t, policy.PasswordOptional())
		r.signUpOnly(ada)
		addresses := []string{ada}
		for i := range 9 {
			addresses = append(addresses, fmt.Sprintf("person%d@example.com", i))
		}
		for i, a := range addresses {
			if got := r.from(here).answer("identify", "identifier", a); got.Kind != problem.None {
				t.Fatalf("address %d: %v", i+1, got.Kind)
			}
		}
		got := r.from(here).answer("identify", "identifier", "eleventh@example.com")
		if got.Kind != problem.Throttled || got.RetryAfter != time.Hour || got.Code != "" {
			t.Errorf("the eleventh: %v after %v", got.Kind, got.RetryAfter)
		}
		if got := r.from(here).signUp("eleventh@example.com"); got.Kind != problem.Throttled {
			t.Errorf("the eleventh at the sign-up door: %v", got.Kind)
		}
		if got := r.from(here).answer("identify", "identifier", "PERSON1+x@example.com"); got.Kind != problem.None {
			t.Errorf("one of the ten, with a tag: %v", got.Kind)
		}
		if got := r.from(there).answer("identify", "identifier", "eleventh@example.com"); got.Kind != problem.None {
			t.Errorf("from another source: %v", got.Kind)
		}
		r.pass(time.Hour)
		if got := r.from(here).answer("identify", "identifier", "eleventh@example.com"); got.Kind != problem.None {
			t.Errorf("an hour later: %v", got.Kind)
		}
	})
	t.Run("mails", func(t *testing.T) {
		r := newRig(t, policy.PasswordOptional())
		for i := range 30 {
			if got := r.from(here).answer("identify", "identifier", fmt.Sprintf("person%d@example.com", i%10)); got.Kind != problem.None {
				t.Fatalf("mail %d: %v", i+1, got.Kind)
			}
		}
		v := r.from(here)
		if got := v.answer("identify", "identifier", "person1@example.com"); got.Kind != problem.Throttled || got.RetryAfter != time.Hour {
			t.Errorf("one more: %v after %v", got.Kind, got.RetryAfter)
		}
		if n := len(r.post.mails); n > 30 {
			t.Errorf("%d mails", n)
		}
	})
	t.Run("a server that does not say for whom it calls", func(t *testing.T) {
		r := newRig(t, policy.PasswordOptional())
		r.client.Confidential = true
		for i := range 11 {
			if got := r.from(here).answer("identify", "identifier", fmt.Sprintf("person%d@example.com", i)); got.Kind != problem.None {
				t.Fatalf("address %d: %v", i+1, got.Kind)
			}
		}
	})
}

// SEC S-29: twenty requests about one person in five seconds from one source,
// over all transactions; others' requests about them are their own.
func TestSEC_S29_User(t *testing.T) {
	r := newRig(t, policy.PasswordOptional())
	r.signUpOnly(ada)
	var visits []*visit
	for range 3 {
		v := r.from("192.0.2.7")
		v.answer("identify", "identifier", ada)
		visits = append(visits, v)
	}
	other := r.from("192.0.2.8")
	other.answer("identify", "identifier", ada)
	r.limits.Rules.UserRequests = limit.DefaultRules().UserRequests
	ask := func(v *visit) error {
		_, err := r.Introspect(context.Background(), v.handle, Browser{})
		return err
	}
	for i := range 20 {
		if err := ask(visits[i%3]); err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	if err := ask(visits[0]); problem.KindOf(err) != problem.Throttled {
		t.Errorf("one more: %v", err)
	}
	if err := ask(other); err != nil {
		t.Errorf("from another source: %v", err)
	}
	r.pass(5 * time.Second)
	if err := ask(visits[0]); err != nil {
		t.Errorf("five seconds later: %v", err)
	}
}

// A request that loses races is one request still.
func TestSEC_S29_LostRacesCountOnce(t *testing.T) {
	r := newRig(t, policy.PasswordOptional())
	v := r.from("192.0.2.7")
	v.answer("identify", "identifier", ada)
	r.limits.Rules.UserRequests = limit.Volume{{N: 1, Per: time.Second}}
	r.store.races = 5
	if got, err := v.try("challenge-authenticator", "credentials.passcode", "000000"); err != nil || got.Kind != problem.Unauthenticated {
		t.Fatalf("%v", err)
	}
	if r.store.races != 0 {
		t.Fatalf("%d races were not run", r.store.races)
	}
}

func TestSEC_S29_Polls(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, policy.PasswordOptional())
	v := r.begin()
	got, err := r.Poll(ctx, v.handle)
	if err != nil || key(got) != "errors.E0000079" || got.Kind != problem.Invalid || got.Stage != Identify {
		t.Fatalf("a poll where nobody was asked: %v %q", err, key(got))
	}
	v.signUp(ada)
	commits := r.store.commits
	r.limits.Rules.HandleRequests = limit.DefaultRules().HandleRequests
	for i := range 10 {
		if got, err := r.Poll(ctx, v.handle); err != nil || got.Stage != Enroll {
			t.Fatalf("poll %d: %v", i+1, err)
		}
	}
	var refused *problem.Error
	if _, err := r.Poll(ctx, v.handle); problem.KindOf(err) != problem.Throttled {
		t.Fatalf("IDX_C66: the eleventh within five seconds: %v", err)
	} else if refused = err.(*problem.Error); refused.RetryAfter != 5*time.Second {
		t.Errorf("again after %v", refused.RetryAfter)
	}
	if r.store.commits != commits {
		t.Error("a poll writes")
	}
	r.pass(5 * time.Second)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got, err := r.Poll(ctx, v.handle); err != nil || got.Kind != problem.None || got.Stage != ChooseEnroll {
		t.Errorf("once the question was answered elsewhere: %v", err)
	}
}

// SEC S-28: one source begins six hundred flows within the life of one, no more.
func TestSEC_S28_FlowsOfOneSource(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, policy.PasswordOptional())
	begin := func(ip string) error {
		_, err := r.Begin(ctx, Start{Request: Request{ClientID: "0oa1", IP: ip}})
		return err
	}
	for i := range 600 {
		if err := begin("192.0.2.7"); err != nil {
			t.Fatalf("flow %d: %v", i+1, err)
		}
	}
	if err := begin("192.0.2.7"); problem.KindOf(err) != problem.Throttled {
		t.Errorf("one more: %v", err)
	}
	if err := begin("192.0.2.8"); err != nil {
		t.Errorf("from another source: %v", err)
	}
	r.pass(Life)
	if err := begin("192.0.2.7"); err != nil {
		t.Errorf("when they have ended: %v", err)
	}
}

// SEC S-114: twenty accounts an hour are made from one source. Who is the next is
// told to wait, and can go on then with the code that they have.
func TestSEC_S114_SignUpsOfOneSource(t *testing.T) {
	r := newRig(t, policy.PasswordOptional())
	r.limits.Rules.SourceMails, r.limits.Rules.SourceAddresses = nil, limit.Distinct{}
	signUp := func(i int) (*visit, *View) {
		address := fmt.Sprintf("person%d@example.com", i)
		v := r.from("192.0.2.7")
		v.signUp(address)
		return v, v.answer("enroll-authenticator", "credentials.passcode", r.code(address))
	}
	for i := range 20 {
		if _, got := signUp(i); got.Stage != ChooseEnroll {
			t.Fatalf("account %d: %s %q", i+1, got.Stage, key(got))
		}
	}
	r.pass(55 * time.Minute)
	v, got := signUp(20)
	if got.Kind != problem.Throttled || got.RetryAfter != 5*time.Minute || len(r.store.users) != 20 {
		t.Fatalf("one more: %v after %v, %d accounts", got.Kind, got.RetryAfter, len(r.store.users))
	}
	r.pass(5 * time.Minute)
	if got := v.answer("enroll-authenticator", "credentials.passcode", r.code("person20@example.com")); got.Stage != ChooseEnroll {
		t.Errorf("after the wait: %s %q", got.Stage, key(got))
	}
}
