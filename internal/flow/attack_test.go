package flow

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
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
	r := newRig(t, emailAndPassword())
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
