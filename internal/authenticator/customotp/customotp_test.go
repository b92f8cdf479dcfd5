package customotp_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/customotp"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/problem"
)

var (
	secret = oath.Secret("12345678901234567890")
	now    = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
)

func start(t *testing.T) *customotp.Authenticator {
	t.Helper()
	a, err := customotp.New(customotp.Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func holder(t *testing.T, a *customotp.Authenticator, more ...string) authenticator.Subject {
	t.Helper()
	in := authenticator.Input{"secret": secret.String()}
	for i := 0; i < len(more); i += 2 {
		in[more[i]] = more[i+1]
	}
	c, err := a.Assign(in)
	if err != nil {
		t.Fatal(err)
	}
	c.ID = "chf1"
	return authenticator.Subject{Purpose: authenticator.SignIn, Enrolled: []authenticator.Credential{c}}
}

// gives answers, and keeps what comes of it.
func gives(t *testing.T, a *customotp.Authenticator, s *authenticator.Subject, typed string) error {
	t.Helper()
	shown, err := a.FinishVerify(t.Context(), *s, authenticator.Prompt{}, authenticator.Input{"passcode": typed})
	if err == nil {
		s.Enrolled = []authenticator.Credential{shown.Credential}
	}
	return err
}

func TestIDX_A44_LookAheadAndResync(t *testing.T) {
	a := start(t)
	for n := range int64(130) {
		s := holder(t, a, "counter", "5")
		one, two := secret.Code(5+n), secret.Code(6+n)
		if err := gives(t, a, &s, one); (err == nil) != (n < 10) {
			t.Errorf("%d presses: %v", n, err)
		}
		s = holder(t, a, "counter", "5")
		err := gives(t, a, &s, one+" "+two)
		if (err == nil) != (n < 100) || err != nil && !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%d presses, two codes in a row: %v", n, err)
		}
		if err != nil {
			continue
		}
		if gives(t, a, &s, one) == nil || gives(t, a, &s, two) == nil {
			t.Errorf("%d presses: a code holds twice", n)
		}
		if err := gives(t, a, &s, secret.Code(7+n)); err != nil {
			t.Errorf("%d presses: the next one: %v", n, err)
		}
		s = holder(t, a, "counter", "5")
		if gives(t, a, &s, two+one) == nil || gives(t, a, &s, one+one) == nil {
			t.Errorf("%d presses: two codes that are not in a row", n)
		}
	}
}

func TestEachCodeOfAClockOnce(t *testing.T) {
	a := start(t)
	step := oath.StepOf(now)
	for drift := int64(-3); drift <= 3; drift++ {
		s := holder(t, a, "clock", "true")
		if err := gives(t, a, &s, secret.Code(step+drift)); (err == nil) != (drift >= -1 && drift <= 1) {
			t.Errorf("step %+d: %v", drift, err)
		} else if err == nil && gives(t, a, &s, secret.Code(step+drift)) == nil {
			t.Errorf("step %+d: it holds twice", drift)
		}
	}
}

func TestAssign(t *testing.T) {
	a := start(t)
	s := holder(t, a, "secret", hex.EncodeToString(secret), "encoding", "hex")
	if err := gives(t, a, &s, secret.Code(0)); err != nil {
		t.Errorf("in hexadecimal: %v", err)
	}
	for _, in := range []authenticator.Input{
		{}, {"secret": "short"}, {"secret": "zz", "encoding": "hex"}, {"secret": "00ff", "encoding": "hex"},
		{"secret": secret.String(), "counter": "-1"}, {"secret": secret.String(), "counter": "x"},
	} {
		if _, err := a.Assign(in); !errors.As(err, new(*authenticator.Rejected)) {
			t.Errorf("%v: %v", in, err)
		}
	}
}

func TestNobodyGivesThemselvesAToken(t *testing.T) {
	a := start(t)
	if _, err := a.BeginEnroll(t.Context(), authenticator.Subject{}); problem.KindOf(err) != problem.Forbidden {
		t.Errorf("begin: %v", err)
	}
	if _, err := a.FinishEnroll(t.Context(), authenticator.Subject{}, authenticator.Prompt{}, nil); problem.KindOf(err) != problem.Forbidden {
		t.Errorf("finish: %v", err)
	}
	nobody := authenticator.Subject{}
	if err := gives(t, a, &nobody, secret.Code(0)); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("without a token: %v", err)
	}
	if err := gives(t, a, &nobody, " "); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("without an answer: %v", err)
	}
}
