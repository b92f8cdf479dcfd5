package password

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// A client that knows nothing but the settings object comes to the same result as
// the server, for every policy and password.
func TestIDX_C49_ComplexityIsWhatIsEnforced(t *testing.T) {
	a, _ := cheap()
	words := []string{"ada", "lovelace", "ADA", "Lovelace", "example", "x", "Q", "7", "~", "é", "Ω", "١", " ", "語", "zz", "zzz"}
	rapid.Check(t, func(t *rapid.T) {
		few := func(name string) int { return rapid.IntRange(0, 3).Draw(t, name) }
		s := ada(func(p *policy.Password) {
			p.Complexity = policy.Complexity{
				MinLength: rapid.IntRange(policy.MinPasswordLength, 12).Draw(t, "length"), MinLowerCase: few("lower"), MinUpperCase: few("upper"),
				MinNumber: few("number"), MinSymbol: few("symbol"), ExcludeUsername: rapid.Bool().Draw(t, "username"),
				ExcludeAttributes:                 rapid.SampledFrom([][]string{nil, {"firstName"}, {"lastName"}, {"firstName", "lastName"}}).Draw(t, "attributes"),
				MaxConsecutiveRepeatingCharacters: few("repeats"),
			}
		})
		pw := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 14).Draw(t, "words"), "")
		p, err := a.BeginEnroll(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.FinishEnroll(t.Context(), s, p, answer(pw))
		got := ""
		var rejected *authenticator.Rejected
		if errors.As(err, &rejected) {
			got = rejected.Messages[0].Key
		}
		if got == "password.common" || got == "model.validation.field.blank" {
			return // no client knows the lists
		}
		if want := clientAccepts(p.Settings["complexity"].(map[string]any), pw); want != (got == "") {
			t.Fatalf("%q: the settings accept it: %t; the answer is %q, %v", pw, want, got, err)
		}
	})
}

// clientAccepts judges a password of Ada's as a client would that reads the settings.
func clientAccepts(settings map[string]any, pw string) bool {
	atLeast := map[string]func(rune) bool{
		"minLength":    func(rune) bool { return true },
		"minLowerCase": unicode.IsLower,
		"minUpperCase": unicode.IsUpper,
		"minNumber":    func(r rune) bool { return strings.ContainsRune("0123456789", r) },
		"minSymbol":    func(r rune) bool { return strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r) },
	}
	for name, is := range atLeast {
		if len(slices.DeleteFunc([]rune(pw), func(r rune) bool { return !is(r) })) < settings[name].(int) {
			return false
		}
	}
	if n, ok := settings["maxConsecutiveRepeatingCharacters"].(int); ok {
		for _, r := range pw {
			if strings.Contains(pw, strings.Repeat(string(r), n+1)) {
				return false
			}
		}
	}
	var excluded []string
	if settings["excludeUsername"].(bool) {
		excluded = append(excluded, regexp.MustCompile(`\w{4,}`).FindAllString("ada@example.org", -1)...)
	}
	for _, name := range settings["excludeAttributes"].([]string) {
		excluded = append(excluded, map[string]string{"firstName": "ada", "lastName": "lovelace"}[name])
	}
	return !slices.ContainsFunc(excluded, func(w string) bool { return strings.Contains(strings.ToLower(pw), w) })
}

// Whatever the history of a person and the policies on the way, a choice is
// refused if it is among the last that the settings count, and else accepted.
func TestIDX_C49_HistoryIsWhatIsEnforced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := cheap()
		history := rapid.IntRange(0, 5).Draw(t, "history")
		var c authenticator.Credential
		var chosen []string // the newest first
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			s := ada(func(p *policy.Password) { p.History = history })
			s.Purpose = rapid.SampledFrom([]authenticator.Purpose{authenticator.SignIn, authenticator.Recovery}).Draw(t, "purpose")
			p, err := a.BeginChange(t.Context(), holding(s, c))
			if err != nil {
				t.Fatal(err)
			}
			n := p.Settings["age"].(map[string]any)["historyCount"].(int)
			pw := fmt.Sprintf("lettuce trumpet %d", rapid.IntRange(0, 6).Draw(t, "choice"))
			next, err := a.FinishChange(t.Context(), holding(s, c), p, answer(pw))
			used := slices.Contains(chosen[:min(n, len(chosen))], pw)
			if used != errors.As(err, new(*authenticator.Rejected)) || !used && err != nil {
				t.Fatalf("%q after %q, of which %d count: %v", pw, chosen, n, err)
			}
			if err == nil {
				c, chosen = next, append([]string{pw}, chosen...)
			}
		}
	})
}

func TestIDX_C49_MinAgeIsWhatIsEnforced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, clock := cheap()
		s := ada(func(p *policy.Password) {
			p.MinAge = policy.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "min"))
		})
		c, err := a.FinishEnroll(t.Context(), s, authenticator.Prompt{}, answer("correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.BeginChange(t.Context(), holding(s, c))
		if err != nil {
			t.Fatal(err)
		}
		end := clock.at.Add(time.Duration(p.Settings["age"].(map[string]any)["minAgeMinutes"].(int)) * time.Minute)
		clock.at = clock.at.Add(time.Duration(rapid.Int64Range(0, int64(80*time.Hour)).Draw(t, "later")))
		for _, at := range []time.Time{clock.at, end.Add(-time.Nanosecond), end} {
			if clock.at = at; at.Before(a.ChangedAt(c)) {
				continue
			}
			_, err = a.FinishChange(t.Context(), holding(s, c), p, answer("lettuce trumpet"))
			if early := at.Before(end); early != errors.As(err, new(*authenticator.Rejected)) || !early && err != nil {
				t.Fatalf("at %v of %v: %v", at, end, err)
			}
		}
	})
}

// However long the stored history is, at most 24 hashes are compared.
func TestHistoryWorkIsBounded(t *testing.T) {
	a, _ := cheap()
	var stored credential
	for i := range 40 {
		phc := argon2id.New(fmt.Sprintf("lettuce trumpet %d", i), a.params).String()
		if i == 0 {
			stored.Hash = phc
			continue
		}
		stored.Earlier = append(stored.Earlier, phc)
	}
	c, err := stored.encode()
	if err != nil {
		t.Fatal(err)
	}
	s := ada(func(p *policy.Password) { p.History = 1000 })
	for i := range 40 {
		next, err := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, answer(fmt.Sprintf("lettuce trumpet %d", i)))
		if refused := errors.As(err, new(*authenticator.Rejected)); refused != (i < policy.MaxPasswordHistory) {
			t.Errorf("%d before: %v", i, err)
		}
		if kept, _ := decode(next); err == nil && len(kept.Earlier) != policy.MaxPasswordHistory-1 {
			t.Errorf("%d earlier hashes are kept", len(kept.Earlier))
		}
	}
}

// Who has no password costs a hash like everybody else: where the queue is full,
// each is turned away alike.
func TestSEC_S42_SameWorkForNobody(t *testing.T) {
	a, _ := cheap()
	c := choose(t, a, ada(nil), authenticator.Credential{}, "correct horse")
	for range a.pool.Places() {
		if _, err := a.pool.Reserve(); err != nil {
			t.Fatal(err)
		}
	}
	unavailable := func(what string, got authenticator.Credential, err error, want authenticator.Credential) {
		t.Helper()
		if problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%s: %v, want Unavailable", what, err)
		}
		if string(got.Data) != string(want.Data) {
			t.Errorf("%s: the credential changed", what)
		}
	}
	in, none := answer("lettuce trumpet"), authenticator.Credential{}
	for _, purpose := range []authenticator.Purpose{
		authenticator.SignIn, authenticator.SignInUnknown, authenticator.Recovery, authenticator.Unlock, authenticator.EmailChange,
	} {
		s := ada(nil)
		s.Purpose = purpose
		for _, have := range []authenticator.Credential{none, c} {
			shown, err := a.FinishVerify(t.Context(), holding(s, have), authenticator.Prompt{}, in)
			unavailable("verify for "+string(purpose), shown.Credential, err, have)
		}
		got, err := a.FinishEnroll(t.Context(), s, authenticator.Prompt{}, in)
		unavailable("enroll for "+string(purpose), got, err, none)
		got, err = a.FinishChange(t.Context(), holding(s, none), authenticator.Prompt{}, in)
		unavailable("first password for "+string(purpose), got, err, none)
		if purpose != authenticator.SignInUnknown {
			got, err = a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, in)
			unavailable("change for "+string(purpose), got, err, c)
		}
	}
}
