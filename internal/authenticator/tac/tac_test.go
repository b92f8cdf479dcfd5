package tac_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/tac"
	"github.com/stile-id/stile/internal/problem"
)

var begun = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

type world struct {
	*testing.T
	*tac.Authenticator
	now time.Time
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: begun}
	var err error
	if w.Authenticator, err = tac.New(tac.Config{Now: func() time.Time { return w.now }}); err != nil {
		t.Fatal(err)
	}
	return w
}

// issue gives somebody a code.
func (w *world) issue(more ...string) (string, authenticator.Subject) {
	w.Helper()
	in := authenticator.Input{}
	for i := 0; i < len(more); i += 2 {
		in[more[i]] = more[i+1]
	}
	made, err := w.Issue(in)
	if err != nil {
		w.Fatal(err)
	}
	if strings.Contains(string(made.Credential.Data), made.Secret) {
		w.Error("the code is kept")
	}
	made.Credential.ID = "tac1"
	return made.Secret, authenticator.Subject{Purpose: authenticator.SignIn, Enrolled: []authenticator.Credential{made.Credential}}
}

// gives answers, and keeps what comes of it.
func (w *world) gives(s *authenticator.Subject, typed string) error {
	w.Helper()
	shown, err := w.FinishVerify(w.Context(), *s, authenticator.Prompt{}, authenticator.Input{"passcode": typed})
	if err == nil {
		s.Enrolled = []authenticator.Credential{shown.Credential}
	}
	return err
}

func TestAUTH_A43_Once(t *testing.T) {
	w := start(t)
	code, s := w.issue()
	if !regexp.MustCompile(`^([0-9a-z]{4}-){3}[0-9a-z]{4}$`).MatchString(code) {
		t.Errorf("the code %q", code)
	}
	if err := w.gives(&s, "0000-0000-0000-0000"); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("another one: %v", err)
	}
	if w.Spent(s.First()) {
		t.Error("a wrong answer uses it up")
	}
	typed := " " + strings.ToUpper(strings.ReplaceAll(code, "-", " "))
	if err := w.gives(&s, strings.NewReplacer("0", "O", "1", "l").Replace(typed)); err != nil {
		t.Errorf("as people type it: %v", err)
	}
	if !w.Spent(s.First()) {
		t.Error("it is not used up")
	}
	if err := w.gives(&s, code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("a second time: %v", err)
	}
}

func TestAUTH_A43_ManyTimes(t *testing.T) {
	w := start(t)
	code, s := w.issue("uses", "many", "for", "10m")
	for range 3 {
		if err := w.gives(&s, code); err != nil {
			t.Fatal(err)
		}
	}
	w.now = begun.Add(10 * time.Minute)
	if err := w.gives(&s, code); !errors.Is(err, authenticator.ErrWrong) || !w.Spent(s.First()) {
		t.Errorf("at its end: %v", err)
	}
}

func TestAUTH_A43_Expires(t *testing.T) {
	for life, want := range map[string]time.Duration{"": time.Hour, "10m": 10 * time.Minute, "240h": 240 * time.Hour} {
		w := start(t)
		code, s := w.issue("for", life)
		w.now = begun.Add(want)
		if err := w.gives(&s, code); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%q: at its end: %v", life, err)
		}
		if w.now = begun.Add(want - time.Second); w.Spent(s.First()) {
			t.Errorf("%q: it is spent before its end", life)
		}
		if err := w.gives(&s, code); err != nil {
			t.Errorf("%q: before its end: %v", life, err)
		}
	}
	w := start(t)
	for _, in := range []authenticator.Input{{"for": "9m59s"}, {"for": "240h1s"}, {"for": "-1h"}, {"for": "soon"}, {"uses": "twice"}} {
		if _, err := w.Issue(in); !errors.As(err, new(*authenticator.Rejected)) {
			t.Errorf("%v: %v", in, err)
		}
	}
}

func TestAUTH_A43_NobodyGivesThemselvesOne(t *testing.T) {
	w := start(t)
	if _, err := w.BeginEnroll(t.Context(), authenticator.Subject{}); problem.KindOf(err) != problem.Forbidden {
		t.Errorf("begin: %v", err)
	}
	if _, err := w.FinishEnroll(t.Context(), authenticator.Subject{}, authenticator.Prompt{}, nil); problem.KindOf(err) != problem.Forbidden {
		t.Errorf("finish: %v", err)
	}
	code, s := w.issue()
	if err := w.gives(&s, " "); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("without an answer: %v", err)
	}
	s.Purpose = authenticator.SignInUnknown
	if err := w.gives(&s, code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("where nobody has an account: %v", err)
	}
	nobody := authenticator.Subject{}
	if err := w.gives(&nobody, code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("of somebody else: %v", err)
	}
}
