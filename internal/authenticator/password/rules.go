package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// Complexity is the wire's object of that name (IDX §3.2.2): what it says is what
// is enforced, for clients check by it before they send.
type Complexity struct {
	MinLength    int // code points, 8 to 128
	MinLowerCase int // letters of category Ll
	MinUpperCase int // letters of category Lu
	MinNumber    int // digits 0 to 9
	MinSymbol    int // ASCII punctuation

	// ExcludeUsername refuses the user name, and each part of it of four letters or more.
	ExcludeUsername bool
	// ExcludeAttributes refuses the values of "firstName" and "lastName" that have
	// three letters or more; a shorter one turns up in good passwords by chance.
	ExcludeAttributes []string
	// MaxConsecutiveRepeatingCharacters is how often a character may follow itself; 0: any number.
	MaxConsecutiveRepeatingCharacters int
}

// DefaultComplexity asks for eight characters that are not the person's own name
// (decision D10).
func DefaultComplexity() Complexity {
	return Complexity{MinLength: 8, ExcludeUsername: true, ExcludeAttributes: []string{"firstName", "lastName"}}
}

const (
	minNamePart  = 3 // of a first or last name
	minLoginPart = 4 // of a user name, between its dots and dashes
	floorLength  = 8 // SEC S-45: no setting goes below
)

func (c Complexity) validate() error {
	if c.MinLength < floorLength || c.MinLength > maxLength {
		return fmt.Errorf("password: minimum length %d is not within %d to %d", c.MinLength, floorLength, maxLength)
	}
	sum := 0
	for _, n := range []int{c.MinLowerCase, c.MinUpperCase, c.MinNumber, c.MinSymbol} {
		if n < 0 {
			return fmt.Errorf("password: a minimum of %d characters of a kind", n)
		}
		sum += n
	}
	if sum > maxLength {
		return fmt.Errorf("password: %d characters are required and %d are accepted", sum, maxLength)
	}
	if c.MaxConsecutiveRepeatingCharacters < 0 {
		return fmt.Errorf("password: at most %d repeated characters", c.MaxConsecutiveRepeatingCharacters)
	}
	for _, a := range c.ExcludeAttributes {
		if a != "firstName" && a != "lastName" {
			return fmt.Errorf("password: attribute %q cannot be excluded, only firstName and lastName", a)
		}
	}
	return nil
}

// settings is the wire's form. The age object is there because clients read it:
// passwords have no age here.
func (c Complexity) settings() map[string]any {
	complexity := map[string]any{
		"minLength": c.MinLength, "minLowerCase": c.MinLowerCase, "minUpperCase": c.MinUpperCase,
		"minNumber": c.MinNumber, "minSymbol": c.MinSymbol,
		"excludeUsername": c.ExcludeUsername, "excludeAttributes": append([]string{}, c.ExcludeAttributes...),
	}
	if c.MaxConsecutiveRepeatingCharacters > 0 {
		complexity["maxConsecutiveRepeatingCharacters"] = c.MaxConsecutiveRepeatingCharacters
	}
	return map[string]any{
		"complexity": complexity,
		"age":        map[string]any{"minAgeMinutes": 0, "historyCount": 0},
	}
}

// met reports whether a password in NFC keeps all rules.
func (c Complexity) met(password string, s authenticator.Subject) bool {
	var length, lower, upper, number, symbol, run, longest int
	last := rune(-1)
	for _, r := range password {
		length++
		switch {
		case unicode.Is(unicode.Ll, r):
			lower++
		case unicode.Is(unicode.Lu, r):
			upper++
		case '0' <= r && r <= '9':
			number++
		case r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r)):
			symbol++
		}
		if r != last {
			run = 0
		}
		last = r
		run++
		longest = max(longest, run)
	}
	if length < c.MinLength || lower < c.MinLowerCase || upper < c.MinUpperCase || number < c.MinNumber || symbol < c.MinSymbol {
		return false
	}
	if m := c.MaxConsecutiveRepeatingCharacters; m > 0 && longest > m {
		return false
	}
	folded := fold(password)
	for _, w := range c.excluded(s) {
		if strings.Contains(folded, w) {
			return false
		}
	}
	return true
}

// excluded returns what no password of the subject may contain, folded.
func (c Complexity) excluded(s authenticator.Subject) []string {
	var out []string
	if c.ExcludeUsername {
		for _, login := range []string{s.Login, s.Address} {
			if login = fold(login); login != "" {
				out = append(out, login)
				out = append(out, parts(login, minLoginPart)...)
			}
		}
	}
	for _, a := range c.ExcludeAttributes {
		name := s.FirstName
		if a == "lastName" {
			name = s.LastName
		}
		if name = fold(name); utf8.RuneCountInString(name) >= minNamePart {
			out = append(out, name)
		}
	}
	return out
}

// notMet is the refusal that lists all rules; tooLong adds the one that the
// wire's settings have no member for.
func (c Complexity) notMet(tooLong bool) *problem.Message {
	rules := []string{fmt.Sprintf("at least %d characters", c.MinLength)}
	if tooLong {
		rules = append(rules, fmt.Sprintf("at most %d characters", maxLength))
	}
	for _, k := range []struct {
		n         int
		one, many string
	}{
		{c.MinLowerCase, "a lowercase letter", "lowercase letters"},
		{c.MinUpperCase, "an uppercase letter", "uppercase letters"},
		{c.MinNumber, "a number", "numbers"},
		{c.MinSymbol, "a symbol", "symbols"},
	} {
		switch {
		case k.n == 1:
			rules = append(rules, k.one)
		case k.n > 1:
			rules = append(rules, fmt.Sprintf("%d %s", k.n, k.many))
		}
	}
	if m := c.MaxConsecutiveRepeatingCharacters; m > 0 {
		rules = append(rules, fmt.Sprintf("no more than %d of the same character in a row", m))
	}
	if c.ExcludeUsername {
		rules = append(rules, "no parts of your username")
	}
	for _, a := range c.ExcludeAttributes {
		rules = append(rules, map[string]string{
			"firstName": "does not include your first name", "lastName": "does not include your last name",
		}[a])
	}
	sentence := "Password requirements: " + strings.Join(rules, ", ") + "."
	return &problem.Message{
		Key: "password.passwordRequirementsNotMet", Text: "Password requirements were not met. " + sentence,
		Params: []string{sentence}, Class: problem.ClassError,
	}
}

// fold makes text comparable without regard to case.
func fold(s string) string { return strings.ToLower(norm.NFC.String(s)) }

// parts returns the runs of letters and digits in s of at least n.
func parts(s string, n int) []string {
	var out []string
	for _, p := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		if utf8.RuneCountInString(p) >= n {
			out = append(out, p)
		}
	}
	return out
}
