package password

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/pool"
	"github.com/stile-id/stile/internal/problem"
)

// A clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// cheap makes hashes that cost next to nothing, which New refuses, so that a test
// can make many.
func cheap() (*Authenticator, *clock) {
	c := &clock{time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)}
	return &Authenticator{params: argon2id.Params{MemoryKiB: 8, Time: 1, Threads: 1}, pool: pool.New(1, 4), now: c.now}, c
}

// ada is signed in, under a policy for passwords of eight characters.
func ada(change func(*policy.Password)) authenticator.Subject {
	s := authenticator.Subject{
		Transaction: "tx1", Challenge: "ch1", UserID: "00u1", Address: "ada@example.org", Login: "ada@example.org",
		FirstName: "Ada", LastName: "Lovelace", Purpose: authenticator.SignIn, Password: policy.DefaultPassword(),
	}
	if change != nil {
		change(&s.Password)
	}
	return s
}

func answer(pw string) authenticator.Input { return authenticator.Input{field: pw} }

// choose changes the password, or sets the first one; it fails the test if it is refused.
func choose(t testing.TB, a *Authenticator, s authenticator.Subject, c authenticator.Credential, pw string) authenticator.Credential {
	t.Helper()
	next, err := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, answer(pw))
	if err != nil {
		t.Fatalf("%q: %v", pw, messages(err))
	}
	return next
}

// messages are the texts of a refusal, each with its key and field; another error is itself.
func messages(err error) string {
	var rejected *authenticator.Rejected
	if !errors.As(err, &rejected) {
		return fmt.Sprint(err)
	}
	var out []string
	for _, m := range rejected.Messages {
		out = append(out, m.Field+" "+m.Key+": "+m.Text)
	}
	return strings.Join(out, "; ")
}

func TestIDX_C67_ChangePrompt(t *testing.T) {
	a, clock := cheap()
	born := clock.at
	month := func(p *policy.Password) { p.MaxAge, p.Warn = policy.Days(30), policy.Days(5) }
	tests := []struct {
		name    string
		policy  func(*policy.Password)
		purpose authenticator.Purpose
		first   bool // there is no password yet
		after   time.Duration
		age     map[string]any
		days    any
	}{
		{"default", nil, authenticator.SignIn, false, 0, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, nil},
		{"first password", nil, authenticator.SignIn, true, 0, map[string]any{"minAgeMinutes": 0, "historyCount": 0}, nil},
		{"history", func(p *policy.Password) { p.History = 4 }, authenticator.SignIn, false, 0, map[string]any{"minAgeMinutes": 0, "historyCount": 4}, nil},
		{"history beyond bounds", func(p *policy.Password) { p.History = 99 }, authenticator.SignIn, false, 0, map[string]any{"minAgeMinutes": 0, "historyCount": 24}, nil},
		{"started minutes", func(p *policy.Password) { p.MinAge = policy.Duration(90 * time.Second) }, authenticator.SignIn, false, 0, map[string]any{"minAgeMinutes": 2, "historyCount": 1}, nil},
		{"recovery", func(p *policy.Password) { p.MinAge = policy.Hours(1) }, authenticator.Recovery, false, 0, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, nil},
		{"long before the end", month, authenticator.SignIn, false, 24 * time.Hour, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, nil},
		{"before the end", month, authenticator.SignIn, false, 26*24*time.Hour + time.Minute, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, 4},
		{"before the end, forgotten", month, authenticator.Recovery, false, 26 * 24 * time.Hour, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, nil},
		{"after the end", month, authenticator.SignIn, false, 31 * 24 * time.Hour, map[string]any{"minAgeMinutes": 0, "historyCount": 1}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clock.at = born
			s := ada(test.policy)
			s.Purpose = test.purpose
			var c authenticator.Credential
			if !test.first {
				c = choose(t, a, s, c, "correct horse")
			}
			clock.at = born.Add(test.after)
			p, err := a.BeginChange(t.Context(), holding(s, c))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]authenticator.Field{{Name: "passcode", Label: "New password", Secret: true}}, p.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.age, p.Settings["age"]); diff != "" {
				t.Errorf("age (-want +got):\n%s", diff)
			}
			if got, there := p.Settings["daysToExpiry"]; got != test.days || there != (test.days != nil) {
				t.Errorf("daysToExpiry = %v, want %v", got, test.days)
			}
			if p.Settings["complexity"].(map[string]any)["minLength"] != 8 {
				t.Errorf("complexity = %v", p.Settings["complexity"])
			}
		})
	}
}

func TestChangeRefusals(t *testing.T) {
	a, clock := cheap()
	born := clock.at
	const notMet = "passcode password.passwordRequirementsNotMet: Password requirements were not met. "
	day := func(p *policy.Password) { p.MinAge = policy.Days(1) }
	three := func(p *policy.Password) { p.History = 3 }
	tests := []struct {
		name    string
		policy  func(*policy.Password)
		purpose authenticator.Purpose
		after   time.Duration
		choice  string
		want    string
	}{
		{"good", nil, authenticator.SignIn, 0, "lettuce trumpet", ""},
		{"IDX_C50 weak", nil, authenticator.SignIn, 0, "short", notMet + "Password requirements: at least 8 characters, no parts of your username, " +
			"does not include your first name, does not include your last name."},
		{"blank", nil, authenticator.SignIn, 0, " ", "passcode model.validation.field.blank: This field cannot be left blank"},
		{"SEC_S48 common", nil, authenticator.SignIn, 0, "iloveyou", "passcode password.common: This password was found in a list of commonly used passwords. Please try another password."},
		{"the current one", nil, authenticator.SignIn, 0, "correct horse", notMet + "Your new password must not be your current password."},
		{"the current one, in recovery", nil, authenticator.Recovery, 0, "correct horse", notMet + "Your new password must not be your current password."},
		{"the current one, with a history", three, authenticator.SignIn, 0, "correct horse", notMet + "Your new password must not be any of your last 3 passwords."},
		{"one before, without a history", nil, authenticator.SignIn, 0, "battery staple", ""},
		{"one before", three, authenticator.SignIn, 0, "battery staple", notMet + "Your new password must not be any of your last 3 passwords."},
		{"too young", day, authenticator.SignIn, 24*time.Hour - time.Second, "lettuce trumpet", notMet + "Your password was changed less than 1 day ago, so it cannot be changed yet."},
		{"old enough", day, authenticator.SignIn, 24 * time.Hour, "lettuce trumpet", ""},
		{"too young, in hours", func(p *policy.Password) { p.MinAge = policy.Hours(36) }, authenticator.SignIn, 0, "lettuce trumpet", notMet + "Your password was changed less than 36 hours ago, so it cannot be changed yet."},
		{"too young, in minutes", func(p *policy.Password) { p.MinAge = policy.Minutes(90) }, authenticator.SignIn, 0, "lettuce trumpet", notMet + "Your password was changed less than 90 minutes ago, so it cannot be changed yet."},
		{"a started minute is a whole one", func(p *policy.Password) { p.MinAge = policy.Duration(time.Second) }, authenticator.SignIn, 59 * time.Second, "lettuce trumpet", notMet + "Your password was changed less than 1 minute ago, so it cannot be changed yet."},
		{"young, in recovery", day, authenticator.Recovery, 0, "lettuce trumpet", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clock.at = born
			c := choose(t, a, ada(three), authenticator.Credential{}, "battery staple")
			c = choose(t, a, ada(three), c, "correct horse")
			clock.at = born.Add(test.after)
			s := ada(test.policy)
			s.Purpose = test.purpose
			next, err := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, answer(test.choice))
			if test.want != "" {
				if got := messages(err); got != test.want {
					t.Errorf("refusal\n got %s\nwant %s", got, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(messages(err))
			}
			if _, err := a.FinishVerify(t.Context(), holding(s, next), authenticator.Prompt{}, answer(test.choice)); err != nil {
				t.Errorf("the new password: %v", err)
			}
			if _, err := a.FinishVerify(t.Context(), holding(s, next), authenticator.Prompt{}, answer("correct horse")); !errors.Is(err, authenticator.ErrWrong) {
				t.Errorf("the old password: %v", err)
			}
			if got := a.ChangedAt(next); !got.Equal(clock.at) {
				t.Errorf("ChangedAt = %v, want %v", got, clock.at)
			}
		})
	}
}

func TestChangedAt(t *testing.T) {
	a, clock := cheap()
	c, err := a.FinishEnroll(t.Context(), ada(nil), authenticator.Prompt{}, answer("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.ChangedAt(c); !got.Equal(clock.at) {
		t.Errorf("ChangedAt = %v, want %v", got, clock.at)
	}
	for _, data := range []string{"", "{", `{"hash":"$argon2id$"}`} {
		if got := a.ChangedAt(authenticator.Credential{Data: []byte(data)}); !got.IsZero() {
			t.Errorf("ChangedAt of %q = %v, want the zero time", data, got)
		}
	}
}

// A password of which it is not known when it was chosen is neither too young nor too old.
func TestUndatedPassword(t *testing.T) {
	a, _ := cheap()
	s := ada(func(p *policy.Password) { p.MinAge, p.MaxAge, p.Warn = policy.Days(1), policy.Days(2), policy.Days(1) })
	c, err := credential{Hash: argon2id.New("correct horse", a.params).String()}.encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.BeginChange(t.Context(), holding(s, c))
	if _, there := p.Settings["daysToExpiry"]; err != nil || there {
		t.Errorf("settings = %v, %v", p.Settings, err)
	}
	choose(t, a, s, c, "lettuce trumpet")
}

// The hash is made anew, what else is known of the password stays.
func TestSEC_S46_RehashKeepsAgeAndHistory(t *testing.T) {
	a, clock := cheap()
	s := ada(func(p *policy.Password) { p.History = 3 })
	c := choose(t, a, s, authenticator.Credential{}, "battery staple")
	c = choose(t, a, s, c, "correct horse")
	before, _ := decode(c)
	clock.at = clock.at.Add(time.Hour)
	a.params.Time = 2
	shown, err := a.FinishVerify(t.Context(), holding(s, c), authenticator.Prompt{}, answer("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	c = shown.Credential
	after, _ := decode(c)
	if after.Hash == before.Hash {
		t.Error("the hash was not made anew")
	}
	after.Hash = before.Hash
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the rest changed (-before +after):\n%s", diff)
	}
	for _, pw := range []string{"correct horse", "battery staple"} {
		if _, err := a.FinishChange(t.Context(), holding(s, c), authenticator.Prompt{}, answer(pw)); !errors.As(err, new(*authenticator.Rejected)) {
			t.Errorf("%q again: %v", pw, err)
		}
	}
}

func TestChangeOfABrokenCredentialIsAFault(t *testing.T) {
	a, _ := cheap()
	good := argon2id.New("correct horse", a.params).String()
	for _, data := range []string{`{`, `{}`, `{"hash":"x"}`, fmt.Sprintf(`{"hash":%q,"earlier":["x"]}`, good)} {
		_, err := a.FinishChange(t.Context(), holding(ada(func(p *policy.Password) { p.History = 2 }),
			authenticator.Credential{Data: []byte(data)}), authenticator.Prompt{}, answer("lettuce trumpet"))
		if problem.KindOf(err) != problem.Internal || errors.As(err, new(*authenticator.Rejected)) {
			t.Errorf("%s: %v, want a fault", data, err)
		}
	}
}

// What is kept of earlier passwords is what the policy needs, and no more.
func TestHistoryIsNoLongerThanThePolicy(t *testing.T) {
	a, _ := cheap()
	long := ada(func(p *policy.Password) { p.History = 5 })
	var c authenticator.Credential
	for i := range 8 {
		c = choose(t, a, long, c, fmt.Sprintf("lettuce trumpet %d", i))
	}
	for _, test := range []struct{ history, want int }{{5, 4}, {2, 1}, {1, 0}, {0, 0}} {
		next := choose(t, a, ada(func(p *policy.Password) { p.History = test.history }), c, "correct horse")
		var kept struct{ Earlier []string }
		if err := json.Unmarshal(next.Data, &kept); err != nil || len(kept.Earlier) != test.want {
			t.Errorf("history %d keeps %d beside the current, %v; want %d", test.history, len(kept.Earlier), err, test.want)
		}
	}
}

// holding is s with the credential that they have enrolled.
func holding(s authenticator.Subject, c authenticator.Credential) authenticator.Subject {
	s.Enrolled = []authenticator.Credential{c}
	return s
}
