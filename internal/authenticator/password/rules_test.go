package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// johnUnder is john under a policy that asks for such passwords.
func johnUnder(c policy.Complexity) authenticator.Subject {
	s := john()
	s.Password = policy.Password{Name: "tested", Complexity: c}
	return s
}

func TestSettingsNeverShareThePolicy(t *testing.T) {
	a := start(t, password.Config{})
	rules := policy.DefaultPassword().Complexity
	rules.ExcludeAttributes, rules.MaxConsecutiveRepeatingCharacters = []string{"firstName"}, 3
	p, err := a.BeginEnroll(t.Context(), johnUnder(rules))
	if err != nil {
		t.Fatal(err)
	}
	rules.ExcludeAttributes[0] = "lastName"
	complexity := p.Settings["complexity"].(map[string]any)
	if diff := cmp.Diff([]string{"firstName"}, complexity["excludeAttributes"]); diff != "" {
		t.Error(diff)
	}
	if complexity["maxConsecutiveRepeatingCharacters"] != 3 {
		t.Errorf("complexity = %v", complexity)
	}
}

// A policy that nobody may have is a fault at every turn, and not a weak password.
func TestSEC_S45_UnsafePolicyIsAFault(t *testing.T) {
	a := start(t, password.Config{})
	s, in := johnUnder(policy.Complexity{MinLength: 7}), authenticator.Input{"passcode": "correct horse"}
	c, _ := enroll(t, a, john(), "correct horse battery")
	_, begin := a.BeginEnroll(t.Context(), s)
	_, finish := a.FinishEnroll(t.Context(), s, authenticator.Prompt{}, in)
	_, beginChange := a.BeginChange(t.Context(), holding(s, c))
	_, finishChange := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, in)
	for i, err := range []error{begin, finish, beginChange, finishChange} {
		if problem.KindOf(err) != problem.Internal || errors.As(err, new(*authenticator.Rejected)) {
			t.Errorf("%d: %v, want a fault", i, err)
		}
	}
}

// The messages of IDX §3.2.3, word for word.
func TestRejections(t *testing.T) {
	strict := policy.Complexity{
		MinLength: 8, MinLowerCase: 1, MinUpperCase: 1, MinNumber: 1, ExcludeUsername: true,
	}
	a := start(t, password.Config{})
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
			_, got := enroll(t, a, johnUnder(strict), test.password)
			if diff := cmp.Diff([]problem.Message{test.want}, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequirementsSentence(t *testing.T) {
	a := start(t, password.Config{})
	s := johnUnder(policy.Complexity{
		MinLength: 12, MinLowerCase: 2, MinUpperCase: 1, MinNumber: 3, MinSymbol: 1, ExcludeUsername: true,
		ExcludeAttributes: []string{"firstName", "lastName"}, MaxConsecutiveRepeatingCharacters: 2,
	})
	_, got := enroll(t, a, s, "x")
	want := "Password requirements: at least 12 characters, 2 lowercase letters, an uppercase letter, 3 numbers, a symbol, " +
		"no more than 2 of the same character in a row, no parts of your username, " +
		"does not include your first name, does not include your last name."
	if len(got) != 1 || len(got[0].Params) != 1 || got[0].Params[0] != want {
		t.Errorf("messages = %+v, want the sentence %q", got, want)
	}
	_, got = enroll(t, a, s, strings.Repeat("aB1!", 40))
	if len(got) != 1 || !strings.Contains(got[0].Text, "at most 128 characters") {
		t.Errorf("messages = %+v, want the upper limit named", got)
	}
}

// Every rule of the settings is enforced, and no other.
func TestEnrollmentEnforcesTheSettings(t *testing.T) {
	const met, notMet, common, blank = "", "password.passwordRequirementsNotMet", "password.common", "model.validation.field.blank"
	with := func(change func(*policy.Complexity)) policy.Complexity {
		c := policy.DefaultPassword().Complexity
		change(&c)
		return c
	}
	standard := policy.DefaultPassword().Complexity
	bare := policy.Complexity{MinLength: 8}
	tests := []struct {
		name     string
		rules    policy.Complexity
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

		{"lower case missing", with(func(c *policy.Complexity) { c.MinLowerCase = 1 }), "XKCDGRUB", notMet},
		{"lower case, Cyrillic", with(func(c *policy.Complexity) { c.MinLowerCase = 2 }), "ЖЩЪЫЭяюз", met},
		{"upper case missing", with(func(c *policy.Complexity) { c.MinUpperCase = 1 }), "xkcdgrub", notMet},
		{"upper case, Greek", with(func(c *policy.Complexity) { c.MinUpperCase = 1 }), "xkcdgruΩ", met},
		{"number missing", with(func(c *policy.Complexity) { c.MinNumber = 2 }), "xkcdgru1", notMet},
		{"numbers are ASCII", with(func(c *policy.Complexity) { c.MinNumber = 1 }), "xkcdgru١", notMet},
		{"numbers", with(func(c *policy.Complexity) { c.MinNumber = 2 }), "xkc1gru1", met},
		{"symbol missing", with(func(c *policy.Complexity) { c.MinSymbol = 1 }), "xkcd grub", notMet},
		{"each symbol of the clients", with(func(c *policy.Complexity) { c.MinSymbol = 32 }), "\"!#$%&'()*+,-./\\:;<=>?@[]^_`{|}~", met},
		{"repeats", with(func(c *policy.Complexity) { c.MaxConsecutiveRepeatingCharacters = 2 }), "xkkkcdgrub", notMet},
		{"repeats at the limit", with(func(c *policy.Complexity) { c.MaxConsecutiveRepeatingCharacters = 2 }), "xkkcdggrukk", met},
		{"longer minimum", with(func(c *policy.Complexity) { c.MinLength = 15 }), "xkcdgrubxkcdgr", notMet},

		{"user name", standard, "x-john.doerr@example.org-x", notMet},
		{"user name in capitals", standard, "xx JOHN.DOERR@EXAMPLE.ORG", notMet},
		{"a part of the user name", standard, "my-doerr-mywords", notMet},
		{"a part of the domain", standard, "my-Example-mywords", notMet},
		{"a part under four letters", standard, "organic-lettuce", met},
		{"user name allowed", with(func(c *policy.Complexity) { c.ExcludeUsername, c.ExcludeAttributes = false, nil }), "doerr-lettuce-trumpet", met},
		{"first name", with(func(c *policy.Complexity) { c.ExcludeUsername = false }), "xxJOHNxxxxq", notMet},
		{"first name allowed", with(func(c *policy.Complexity) { c.ExcludeUsername, c.ExcludeAttributes = false, []string{"lastName"} }), "xxJOHNxkcdqw", met},
		{"last name", with(func(c *policy.Complexity) { c.ExcludeUsername = false }), "xxdoerrxxxxq", notMet},

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
			a := start(t, password.Config{Words: []string{"Acme", "Roadrunner Ltd", "x"}})
			got := ""
			if _, messages := enroll(t, a, johnUnder(test.rules), test.password); messages != nil {
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
