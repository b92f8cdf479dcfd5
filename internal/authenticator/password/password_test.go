package password_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/password"
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
	p, err := a.BeginVerify(t.Context(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return a.FinishVerify(t.Context(), s, c, p, authenticator.Input{"passcode": pw})
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
	got, err = a.BeginVerify(t.Context(), john(), authenticator.Credential{})
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

func TestSettingsNeverShareTheConfiguration(t *testing.T) {
	attributes := []string{"firstName"}
	c := password.DefaultComplexity()
	c.ExcludeAttributes, c.MaxConsecutiveRepeatingCharacters = attributes, 3
	a := start(t, password.Config{Complexity: &c})
	attributes[0] = "lastName"
	p, err := a.BeginEnroll(t.Context(), john())
	if err != nil {
		t.Fatal(err)
	}
	complexity := p.Settings["complexity"].(map[string]any)
	if diff := cmp.Diff([]string{"firstName"}, complexity["excludeAttributes"]); diff != "" {
		t.Error(diff)
	}
	if complexity["maxConsecutiveRepeatingCharacters"] != 3 {
		t.Errorf("complexity = %v", complexity)
	}
}

// The messages of IDX §3.2.3, word for word.
func TestRejections(t *testing.T) {
	strict := password.Complexity{
		MinLength: 8, MinLowerCase: 1, MinUpperCase: 1, MinNumber: 1, ExcludeUsername: true,
	}
	a := start(t, password.Config{Complexity: &strict})
	sentence := "Password requirements: at least 8 characters, a lowercase letter, an uppercase letter, a number, no parts of your username."
	tests := []struct {
		name, password string
		want           problem.Message
	}{
		{"requirements", "short", problem.Message{
			Key: "password.passwordRequirementsNotMet", Text: "Password requirements were not met. " + sentence,
			Params: []string{sentence}, Field: "passcode", Class: problem.ClassError,
		}},
		{"common", "Password1", problem.Message{
			Key: "password.common", Text: "This password was found in a list of commonly used passwords. Please try another password.",
			Params: []string{""}, Field: "passcode", Class: problem.ClassError,
		}},
		{"blank", "", problem.Message{
			Key: "model.validation.field.blank", Text: "This field cannot be left blank", Field: "passcode", Class: problem.ClassError,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, got := enroll(t, a, john(), test.password)
			if diff := cmp.Diff([]problem.Message{test.want}, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequirementsSentence(t *testing.T) {
	a := start(t, password.Config{Complexity: &password.Complexity{
		MinLength: 12, MinLowerCase: 2, MinUpperCase: 1, MinNumber: 3, MinSymbol: 1, ExcludeUsername: true,
		ExcludeAttributes: []string{"firstName", "lastName"}, MaxConsecutiveRepeatingCharacters: 2,
	}})
	_, got := enroll(t, a, john(), "x")
	want := "Password requirements: at least 12 characters, 2 lowercase letters, an uppercase letter, 3 numbers, a symbol, " +
		"no more than 2 of the same character in a row, no parts of your username, " +
		"does not include your first name, does not include your last name."
	if len(got) != 1 || len(got[0].Params) != 1 || got[0].Params[0] != want {
		t.Errorf("messages = %+v, want the sentence %q", got, want)
	}
	_, got = enroll(t, a, john(), strings.Repeat("aB1!", 40))
	if len(got) != 1 || !strings.Contains(got[0].Text, "at most 128 characters") {
		t.Errorf("messages = %+v, want the upper limit named", got)
	}
}

// Every rule of the settings is enforced, and no other.
func TestEnrollmentEnforcesTheSettings(t *testing.T) {
	const met, notMet, common, blank = "", "password.passwordRequirementsNotMet", "password.common", "model.validation.field.blank"
	with := func(change func(*password.Complexity)) password.Complexity {
		c := password.DefaultComplexity()
		change(&c)
		return c
	}
	standard := password.DefaultComplexity()
	bare := password.Complexity{MinLength: 8}
	tests := []struct {
		name     string
		rules    password.Complexity
		password string
		want     string
	}{
		{"eight characters", standard, "xkcdgrub", met},
		{"seven characters", standard, "xkcdgru", notMet},
		{"SEC_S45 eight emoji", standard, "🐢🐇🦊🐻🐼🐨🐯🦁", met},
		{"SEC_S45 seven emoji", standard, "🐢🐇🦊🐻🐼🐨🐯", notMet},
		{"SEC_S45 seven letters that are fourteen decomposed", standard, strings.Repeat("e\u0301", 7), notMet},
		{"SEC_S45 spaces count", standard, "  a b  c", met},
		{"SEC_S45 128 characters", standard, strings.Repeat("語x9z", 32), met},
		{"SEC_S45 129 characters", standard, strings.Repeat("語x9z", 32) + "q", notMet},
		{"SEC_S45 1,024 bytes", standard, strings.Repeat("e\u0301", 100) + strings.Repeat("z", 24), met},
		{"SEC_S45 1,025 bytes", standard, strings.Repeat("a\u0301\u0323\u0302", 146) + "zzz", notMet},
		{"no composition rules", standard, "zzzzzzzzq", met},
		{"blank", standard, "          ", blank},

		{"lower case missing", with(func(c *password.Complexity) { c.MinLowerCase = 1 }), "XKCDGRUB", notMet},
		{"lower case, Cyrillic", with(func(c *password.Complexity) { c.MinLowerCase = 2 }), "ЖЩЪЫЭяюз", met},
		{"upper case missing", with(func(c *password.Complexity) { c.MinUpperCase = 1 }), "xkcdgrub", notMet},
		{"upper case, Greek", with(func(c *password.Complexity) { c.MinUpperCase = 1 }), "xkcdgruΩ", met},
		{"number missing", with(func(c *password.Complexity) { c.MinNumber = 2 }), "xkcdgru1", notMet},
		{"numbers are ASCII", with(func(c *password.Complexity) { c.MinNumber = 1 }), "xkcdgru١", notMet},
		{"numbers", with(func(c *password.Complexity) { c.MinNumber = 2 }), "xkc1gru1", met},
		{"symbol missing", with(func(c *password.Complexity) { c.MinSymbol = 1 }), "xkcd grub", notMet},
		{"each symbol of the clients", with(func(c *password.Complexity) { c.MinSymbol = 32 }), "\"!#$%&'()*+,-./\\:;<=>?@[]^_`{|}~", met},
		{"repeats", with(func(c *password.Complexity) { c.MaxConsecutiveRepeatingCharacters = 2 }), "xkkkcdgrub", notMet},
		{"repeats at the limit", with(func(c *password.Complexity) { c.MaxConsecutiveRepeatingCharacters = 2 }), "xkkcdggrukk", met},
		{"longer minimum", with(func(c *password.Complexity) { c.MinLength = 15 }), "xkcdgrubxkcdgr", notMet},

		{"user name", standard, "x-john.doerr@example.org-x", notMet},
		{"user name in capitals", standard, "xx JOHN.DOERR@EXAMPLE.ORG", notMet},
		{"a part of the user name", standard, "my-doerr-mywords", notMet},
		{"a part of the domain", standard, "my-Example-mywords", notMet},
		{"a part under four letters", standard, "organic-lettuce", met},
		{"user name allowed", with(func(c *password.Complexity) { c.ExcludeUsername, c.ExcludeAttributes = false, nil }), "doerr-lettuce-trumpet", met},
		{"first name", with(func(c *password.Complexity) { c.ExcludeUsername = false }), "xxJOHNxxxxq", notMet},
		{"first name allowed", with(func(c *password.Complexity) { c.ExcludeUsername, c.ExcludeAttributes = false, []string{"lastName"} }), "xxJOHNxkcdqw", met},
		{"last name", with(func(c *password.Complexity) { c.ExcludeUsername = false }), "xxdoerrxxxxq", notMet},

		{"SEC_S48 common", standard, "iloveyou", common},
		{"SEC_S48 common in capitals", standard, "ILoveYou", common},
		{"SEC_S48 common digits", standard, "12345678", common},
		{"SEC_S48 common keys", standard, "1qaz2wsx", common},
		{"SEC_S48 full-width digits are not the list's", standard, "１２３４５６７８", met},
		{"SEC_S48 organisation", bare, "acme2026", common},
		{"SEC_S48 organisation twice", bare, "AcmeACMEacme", common},
		{"SEC_S48 two words of the organisation", bare, "Acme Roadrunner", common},
		{"SEC_S48 organisation in a long password", bare, "acme lettuce trumpet", met},
		{"SEC_S48 own name, though the rules allow it", bare, "john1999", common},
		{"SEC_S48 own address, though the rules allow it", bare, "john.doerr@example.org1", common},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := start(t, password.Config{Complexity: &test.rules, Words: []string{"Acme", "Roadrunner Ltd", "x"}})
			got := ""
			if _, messages := enroll(t, a, john(), test.password); messages != nil {
				got = messages[0].Key
			}
			if got != test.want {
				t.Errorf("%q: %q, want %q", test.password, got, test.want)
			}
		})
	}
}

func TestShortNamesAreNotExcluded(t *testing.T) {
	a := start(t, password.Config{})
	s := john()
	s.FirstName, s.LastName, s.Login, s.Address = "Li", "", "", ""
	if _, messages := enroll(t, a, s, "lichen-on-slate"); messages != nil {
		t.Errorf("messages = %+v", messages)
	}
}

func TestNewRefusesUnsafeConfiguration(t *testing.T) {
	rules := func(change func(*password.Complexity)) password.Config {
		c := password.DefaultComplexity()
		change(&c)
		return password.Config{Complexity: &c}
	}
	tests := []struct {
		name string
		c    password.Config
		ok   bool
	}{
		{"zero", password.Config{}, true},
		{"SEC_S45 length 7", rules(func(c *password.Complexity) { c.MinLength = 7 }), false},
		{"SEC_S45 length 15", rules(func(c *password.Complexity) { c.MinLength = 15 }), true},
		{"length 129", rules(func(c *password.Complexity) { c.MinLength = 129 }), false},
		{"negative", rules(func(c *password.Complexity) { c.MinSymbol = -1 }), false},
		{"more kinds than room", rules(func(c *password.Complexity) { c.MinSymbol, c.MinNumber = 100, 29 }), false},
		{"unknown attribute", rules(func(c *password.Complexity) { c.ExcludeAttributes = []string{"email"} }), false},
		{"SEC_S46 less memory", password.Config{Argon2id: password.Argon2id{MemoryKiB: 19455, Time: 2, Threads: 1}}, false},
		{"SEC_S46 one pass", password.Config{Argon2id: password.Argon2id{MemoryKiB: 65536, Time: 1, Threads: 1}}, false},
		{"SEC_S46 more", password.Config{Argon2id: password.Argon2id{MemoryKiB: 65536, Time: 3, Threads: 4}}, true},
		{"a terabyte", password.Config{Argon2id: password.Argon2id{MemoryKiB: 1 << 30, Time: 2, Threads: 1}}, false},
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
	risen := start(t, password.Config{Argon2id: password.Argon2id{MemoryKiB: 20480, Time: 3, Threads: 1}})
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
	if back, err := verify(t, old, updated, pw); err != nil || hashOf(t, back) != hashOf(t, updated) {
		t.Errorf("costs went down again: %v, hash changed: %t", err, hashOf(t, back) != hashOf(t, updated))
	}
}

// Nobody's password is right for an address without an account, and for an account without a password.
func TestNothingIsRightForNobody(t *testing.T) {
	a := start(t, password.Config{})
	const pw = "correct horse battery"
	c, _ := enroll(t, a, john(), pw)
	if _, err := verify(t, a, authenticator.Credential{}, pw); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("without a credential: %v", err)
	}
	s := john()
	s.Purpose = authenticator.SignInUnknown
	if _, err := a.FinishVerify(t.Context(), s, c, authenticator.Prompt{}, authenticator.Input{"passcode": pw}); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("for an unknown address: %v", err)
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
