package password

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

const (
	minNamePart  = 3 // of a first or last name
	minLoginPart = 4 // of a user name, between its dots and dashes
)

// rules are what a policy asks of one person's next password.
type rules struct {
	policy.Complexity
	minAge  int // whole minutes that the current password must have lasted, as the wire counts
	history int // how many of the last ones may not be chosen again, the current included
}

// rulesFor returns the rules of the subject's policy. A changed password is never
// the current one again. Whoever recovers has lost the current one, however young
// it is. Rules that no policy may have are a fault.
func rulesFor(s authenticator.Subject, changing bool) (rules, error) {
	p := policyFor(s)
	if err := p.Complexity.Validate(); err != nil {
		return rules{}, fmt.Errorf("password: policy %q: %w", p.Name, err)
	}
	r := rules{Complexity: p.Complexity, history: min(max(p.History, 0), policy.MaxPasswordHistory)}
	if changing {
		r.history = max(r.history, 1)
	}
	if s.Purpose != authenticator.Recovery {
		r.minAge = int((max(p.MinAge.Std(), 0) + time.Minute - 1) / time.Minute)
	}
	return r, nil
}

// policyFor is the default where the subject has none.
func policyFor(s authenticator.Subject) policy.Password {
	if s.Password.Complexity.MinLength == 0 {
		return policy.DefaultPassword()
	}
	return s.Password
}

// settings is the wire's form (IDX §3.2.2): what it says is what is enforced, for
// clients check by it before they send.
func (r rules) settings() map[string]any {
	complexity := map[string]any{
		"minLength": r.MinLength, "minLowerCase": r.MinLowerCase, "minUpperCase": r.MinUpperCase,
		"minNumber": r.MinNumber, "minSymbol": r.MinSymbol,
		"excludeUsername": r.ExcludeUsername, "excludeAttributes": append([]string{}, r.ExcludeAttributes...),
	}
	if r.MaxConsecutiveRepeatingCharacters > 0 {
		complexity["maxConsecutiveRepeatingCharacters"] = r.MaxConsecutiveRepeatingCharacters
	}
	return map[string]any{
		"complexity": complexity,
		"age":        map[string]any{"minAgeMinutes": r.minAge, "historyCount": r.history},
	}
}

// met reports whether a password in NFC keeps all rules.
func (r rules) met(password string, s authenticator.Subject) bool {
	var length, lower, upper, number, symbol, run, longest int
	last := rune(-1)
	for _, c := range password {
		length++
		switch {
		case unicode.Is(unicode.Ll, c):
			lower++
		case unicode.Is(unicode.Lu, c):
			upper++
		case '0' <= c && c <= '9':
			number++
		case c < utf8.RuneSelf && (unicode.IsPunct(c) || unicode.IsSymbol(c)):
			symbol++
		}
		if c != last {
			run = 0
		}
		last = c
		run++
		longest = max(longest, run)
	}
	if length < r.MinLength || lower < r.MinLowerCase || upper < r.MinUpperCase || number < r.MinNumber || symbol < r.MinSymbol {
		return false
	}
	if m := r.MaxConsecutiveRepeatingCharacters; m > 0 && longest > m {
		return false
	}
	folded := fold(password)
	for _, w := range r.excluded(s) {
		if strings.Contains(folded, w) {
			return false
		}
	}
	return true
}

// excluded returns what no password of the subject may contain, folded.
func (r rules) excluded(s authenticator.Subject) []string {
	var out []string
	if r.ExcludeUsername {
		for _, login := range []string{s.Login, s.Address} {
			if login = fold(login); login != "" {
				out = append(out, login)
				out = append(out, parts(login, minLoginPart)...)
			}
		}
	}
	for _, a := range r.ExcludeAttributes {
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
func (r rules) notMet(tooLong bool) *problem.Message {
	list := []string{fmt.Sprintf("at least %d characters", r.MinLength)}
	if tooLong {
		list = append(list, fmt.Sprintf("at most %d characters", policy.MaxPasswordLength))
	}
	for _, k := range []struct {
		n         int
		one, many string
	}{
		{r.MinLowerCase, "a lowercase letter", "lowercase letters"},
		{r.MinUpperCase, "an uppercase letter", "uppercase letters"},
		{r.MinNumber, "a number", "numbers"},
		{r.MinSymbol, "a symbol", "symbols"},
	} {
		switch {
		case k.n == 1:
			list = append(list, k.one)
		case k.n > 1:
			list = append(list, fmt.Sprintf("%d %s", k.n, k.many))
		}
	}
	if m := r.MaxConsecutiveRepeatingCharacters; m > 0 {
		list = append(list, fmt.Sprintf("no more than %d of the same character in a row", m))
	}
	if r.ExcludeUsername {
		list = append(list, "no parts of your username")
	}
	for _, a := range r.ExcludeAttributes {
		list = append(list, map[string]string{
			"firstName": "does not include your first name", "lastName": "does not include your last name",
		}[a])
	}
	sentence := "Password requirements: " + strings.Join(list, ", ") + "."
	return refusal(sentence)
}

// tooYoung refuses to change a password so soon after the last time.
func (r rules) tooYoung() *problem.Message {
	n, unit := r.minAge, "minute"
	switch {
	case n%(24*60) == 0:
		n, unit = n/(24*60), "day"
	case n%60 == 0:
		n, unit = n/60, "hour"
	}
	if n > 1 {
		unit += "s"
	}
	return refusal(fmt.Sprintf("Your password was changed less than %d %s ago, so it cannot be changed yet.", n, unit))
}

// usedBefore refuses one of the last passwords.
func (r rules) usedBefore() *problem.Message {
	if r.history == 1 {
		return refusal("Your new password must not be your current password.")
	}
	return refusal(fmt.Sprintf("Your new password must not be any of your last %d passwords.", r.history))
}

// refusal has the one key that clients know for all that a policy asks (IDX §3.2.3).
func refusal(sentence string) *problem.Message {
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
