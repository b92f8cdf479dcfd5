package flow

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// SEC S-11: one source is sent thirty mails an hour, to ten addresses; whether
// there are accounts makes no difference, and nothing else of the source is held up.
func TestSEC_S11_OneSource(t *testing.T) {
	const here, there = "192.0.2.7", "192.0.2.8"
	t.Run("addresses", func(t *testing.T) {
		r := newRig(t, emailAndPassword())
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
		r := newRig(t, emailAndPassword())
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
		r := newRig(t, emailAndPassword())
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
	r := newRig(t, emailAndPassword())
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
	r := newRig(t, emailAndPassword())
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
	r := newRig(t, emailAndPassword())
	v := r.begin()
	got, err := r.Poll(ctx, v.handle, Browser{})
	if err != nil || key(got) != "errors.E0000079" || got.Kind != problem.Invalid || got.Stage != Identify {
		t.Fatalf("a poll where nobody was asked: %v %q", err, key(got))
	}
	v.signUp(ada)
	commits := r.store.commits
	r.limits.Rules.HandleRequests = limit.DefaultRules().HandleRequests
	for i := range 10 {
		if got, err := r.Poll(ctx, v.handle, Browser{}); err != nil || got.Stage != Enroll {
			t.Fatalf("poll %d: %v", i+1, err)
		}
	}
	_, err = r.Poll(ctx, v.handle, Browser{})
	if refused := new(problem.Error); !errors.As(err, &refused) || refused.Kind != problem.Throttled || refused.RetryAfter != 5*time.Second {
		t.Fatalf("IDX_C66: the eleventh within five seconds: %+v", err)
	}
	if r.store.commits != commits {
		t.Error("a poll writes")
	}
	r.pass(5 * time.Second)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got, err := r.Poll(ctx, v.handle, Browser{}); err != nil || got.Kind != problem.None || got.Stage != ChooseEnroll {
		t.Errorf("once the question was answered elsewhere: %v", err)
	}
}

// SEC S-28: one source begins six hundred flows within the life of one, no more.
func TestSEC_S28_FlowsOfOneSource(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, emailAndPassword())
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
	r := newRig(t, emailAndPassword())
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
