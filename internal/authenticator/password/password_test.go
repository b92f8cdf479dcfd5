package password_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

func start(t testing.TB, c password.Config) *password.Authenticator {
	t.Helper()
	a, err := password.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func john() authenticator.Subject {
	return authenticator.Subject{
		Transaction: "tx1", Challenge: "ch1", UserID: "00u1", Address: "john.doerr@example.org", Login: "John.Doerr@Example.org",
		FirstName: "John", LastName: "Doerr", Purpose: authenticator.SignUp, Enrolling: true,
	}
}

// enroll sets a password and returns the credential, or the messages of its rejection.
func enroll(t testing.TB, a *password.Authenticator, s authenticator.Subject, pw string) (authenticator.Credential, []problem.Message) {
	t.Helper()
	p, err := a.BeginEnroll(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.FinishEnroll(t.Context(), s, p, authenticator.Input{"passcode": pw})
	var rejected *authenticator.Rejected
	switch {
	case errors.As(err, &rejected):
		return c, rejected.Messages
	case err != nil:
		t.Fatal(err)
	}
	return c, nil
}

func verify(t testing.TB, a *password.Authenticator, c authenticator.Credential, pw string) (authenticator.Credential, error) {
	t.Helper()
	s := john()
	s.Purpose, s.Enrolling = authenticator.SignIn, false
	p, err := a.BeginVerify(t.Context(), holding(s, c))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := a.FinishVerify(t.Context(), holding(s, c), p, authenticator.Input{"passcode": pw})
	return shown.Credential, err
}

func TestInfo(t *testing.T) {
	i := start(t, password.Config{}).Info()
	if i.Key != password.Key || i.Type != "password" || i.Name != "Password" || i.AMR != "pwd" {
		t.Errorf("info = %+v", i)
	}
	if i.Class != policy.Knowledge || i.PhishingResistant || i.EnrollmentProves {
		t.Errorf("class %q, resists phishing: %t, enrolling proves: %t", i.Class, i.PhishingResistant, i.EnrollmentProves)
	}
}

func TestPrompts(t *testing.T) {
	a := start(t, password.Config{})
	got, err := a.BeginEnroll(t.Context(), john())
	if err != nil {
		t.Fatal(err)
	}
	want := authenticator.Prompt{
		Method: "password", Fields: []authenticator.Field{{Name: "passcode", Label: "Enter password", Secret: true}},
		Settings: map[string]any{
			"complexity": map[string]any{
				"minLength": 8, "minLowerCase": 0, "minUpperCase": 0, "minNumber": 0, "minSymbol": 0,
				"excludeUsername": true, "excludeAttributes": []string{"firstName", "lastName"},
			},
			"age": map[string]any{"minAgeMinutes": 0, "historyCount": 0},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("BeginEnroll (-want +got):\n%s", diff)
	}
	got, err = a.BeginVerify(t.Context(), john())
	if err != nil {
		t.Fatal(err)
	}
	want = authenticator.Prompt{
		Method: "password", Fields: []authenticator.Field{{Name: "passcode", Label: "Password", Secret: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("BeginVerify (-want +got):\n%s", diff)
	}
}

func TestNewRefusesUnsafeConfiguration(t *testing.T) {
	tests := []struct {
		name string
		c    password.Config
		ok   bool
	}{
		{"zero", password.Config{}, true},
		{"SEC_S46 less memory", password.Config{Argon2id: argon2id.Params{MemoryKiB: 19455, Time: 2, Threads: 1}}, false},
		{"SEC_S46 one pass", password.Config{Argon2id: argon2id.Params{MemoryKiB: 65536, Time: 1, Threads: 1}}, false},
		{"SEC_S46 more", password.Config{Argon2id: argon2id.Params{MemoryKiB: 65536, Time: 3, Threads: 4}}, true},
		{"a terabyte", password.Config{Argon2id: argon2id.Params{MemoryKiB: 1 << 30, Time: 2, Threads: 1}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := password.New(test.c); (err == nil) != test.ok {
				t.Errorf("New: %v, want accepted: %t", err, test.ok)
			}
		})
	}
}

func TestSEC_S46_PHCString(t *testing.T) {
	a := start(t, password.Config{})
	const pw = "correct horse battery"
	c, messages := enroll(t, a, john(), pw)
	if messages != nil {
		t.Fatal(messages)
	}
	again, _ := enroll(t, a, john(), pw)
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if h := hashOf(t, c); !form.MatchString(h) {
		t.Errorf("hash %q is not of the form %v", h, form)
	}
	if hashOf(t, c) == hashOf(t, again) {
		t.Error("two hashes of one password are alike: the salt is missing")
	}
	if c.Profile != nil {
		t.Errorf("profile = %v, want none", c.Profile)
	}
}

func TestSEC_S45_VerifiedWhole(t *testing.T) {
	a := start(t, password.Config{})
	long := strings.Repeat("0123456789abcdef", 8)
	tests := []struct {
		name, set, typed string
		want             error
	}{
		{"same", "correct horse", "correct horse", nil},
		{"case counts", "correct horse", "Correct horse", authenticator.ErrWrong},
		{"leading spaces count", "  correct horse", "correct horse", authenticator.ErrWrong},
		{"leading spaces", "  correct horse ", "  correct horse ", nil},
		{"composed and decomposed are one", "caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me", nil},
		{"compatibility forms are two", "o\ufb03ce hours", "office hours", authenticator.ErrWrong},
		{"nothing is cut off at 72 bytes", long, long[:127], authenticator.ErrWrong},
		{"128 characters", long, long, nil},
		{"emoji", "🐢🐇🦊🐻🐼🐨🐯🦁", "🐢🐇🦊🐻🐼🐨🐯🦁", nil},
		{"null inside", "correct\x00horse", "correct", authenticator.ErrWrong},
		{"over 1,024 bytes", "correct horse", strings.Repeat("x", 1025), authenticator.ErrWrong},
		{"nothing", "correct horse", "", authenticator.ErrEmpty},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, messages := enroll(t, a, john(), test.set)
			if messages != nil {
				t.Fatal(messages)
			}
			got, err := verify(t, a, c, test.typed)
			if !errors.Is(err, test.want) {
				t.Errorf("verify: %v, want %v", err, test.want)
			}
			if diff := cmp.Diff(c, got); diff != "" {
				t.Errorf("the credential changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestSEC_S46_RehashWhenCostsRose(t *testing.T) {
	const pw = "correct horse battery"
	old := start(t, password.Config{})
	risen := start(t, password.Config{Argon2id: argon2id.Params{MemoryKiB: 20480, Time: 3, Threads: 1}})
	c, messages := enroll(t, old, john(), pw)
	if messages != nil {
		t.Fatal(messages)
	}
	if got, err := verify(t, risen, c, "wrong horse battery"); !errors.Is(err, authenticator.ErrWrong) || hashOf(t, got) != hashOf(t, c) {
		t.Errorf("a wrong answer: %v, hash changed: %t", err, hashOf(t, got) != hashOf(t, c))
	}
	updated, err := verify(t, risen, c, pw)
	if err != nil {
		t.Fatal(err)
	}
	if h := hashOf(t, updated); !strings.HasPrefix(h, "$argon2id$v=19$m=20480,t=3,p=1$") {
		t.Errorf("hash %q was not made anew", h)
	}
	again, err := verify(t, risen, updated, pw)
	if err != nil || hashOf(t, again) != hashOf(t, updated) {
		t.Errorf("the next sign-in: %v, hash changed: %t", err, hashOf(t, again) != hashOf(t, updated))
	}
	if !risen.ChangedAt(c).Equal(risen.ChangedAt(updated)) || risen.ChangedAt(updated).IsZero() {
		t.Errorf("chosen at %v, after another hash at %v", risen.ChangedAt(c), risen.ChangedAt(updated))
	}
	if back, err := verify(t, old, updated, pw); err != nil || hashOf(t, back) != hashOf(t, updated) {
		t.Errorf("costs went down again: %v, hash changed: %t", err, hashOf(t, back) != hashOf(t, updated))
	}
}

var purposes = []authenticator.Purpose{
	authenticator.SignUp, authenticator.SignIn, authenticator.SignUpKnown, authenticator.SignInUnknown,
	authenticator.Recovery, authenticator.Unlock, authenticator.EmailChange,
}

// Nobody's password is right for an account without a password, whatever it would
// be for, and for an address without an account.
func TestNothingIsRightForNobody(t *testing.T) {
	a := start(t, password.Config{})
	const pw = "correct horse battery"
	in := authenticator.Input{"passcode": pw}
	c, _ := enroll(t, a, john(), pw)
	for _, purpose := range purposes {
		s := john()
		s.Purpose = purpose
		if _, err := a.FinishVerify(t.Context(), s, authenticator.Prompt{}, in); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%s, without a credential: %v", purpose, err)
		}
	}
	s := john()
	s.Purpose = authenticator.SignInUnknown
	if _, err := a.FinishVerify(t.Context(), holding(s, c), authenticator.Prompt{}, in); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("for an unknown address: %v", err)
	}
	if got, err := a.FinishEnroll(t.Context(), s, authenticator.Prompt{}, in); !errors.Is(err, authenticator.ErrWrong) || got.Data != nil {
		t.Errorf("an unknown address chose a password: %v", err)
	}
	if got, err := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, in); !errors.Is(err, authenticator.ErrWrong) || got.Data != nil {
		t.Errorf("an unknown address changed a password: %v", err)
	}
}

func TestBrokenCredentialIsAFault(t *testing.T) {
	a := start(t, password.Config{})
	for _, data := range []string{
		`{`, `{}`, `{"hash":"$2b$12$abcdefghijklmnopqrstuv"}`, `{"hash":"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA"}`,
		`{"hash":"$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$dGFndGFndGFndGFndGFndGFndGFndGFndGFndGFndGE"}`,
		`{"hash":"$argon2id$v=19$m=+19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$dGFndGFndGFndGFndGFndGFndGFndGFndGFndGFndGE"}`,
		`{"hash":"$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$dGFndGFndGFndGFndGFndGFndGFndGFndGFndGFndGE"}`,
		`{"hash":"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$"}`,
	} {
		_, err := verify(t, a, authenticator.Credential{Data: []byte(data)}, "correct horse")
		if err == nil || errors.Is(err, authenticator.ErrWrong) || problem.KindOf(err) != problem.Internal {
			t.Errorf("%s: %v, want a fault", data, err)
		}
	}
}

func hashOf(t testing.TB, c authenticator.Credential) string {
	t.Helper()
	var v struct{ Hash string }
	if err := json.Unmarshal(c.Data, &v); err != nil {
		t.Fatal(err)
	}
	return v.Hash
}

func BenchmarkEnroll(b *testing.B) {
	a := start(b, password.Config{})
	for b.Loop() {
		if _, messages := enroll(b, a, john(), "correct horse battery"); messages != nil {
			b.Fatal(messages)
		}
	}
}

// BenchmarkVerify has as many callers as the queue holds.
func BenchmarkVerify(b *testing.B) {
	a := start(b, password.Config{})
	c, _ := enroll(b, a, john(), "correct horse battery")
	b.SetParallelism(5)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := verify(b, a, c, "correct horse battery"); err != nil {
				b.Error(err)
			}
		}
	})
}

// holding is s with the credential that they have enrolled.
func holding(s authenticator.Subject, c authenticator.Credential) authenticator.Subject {
	s.Enrolled = []authenticator.Credential{c}
	return s
}
