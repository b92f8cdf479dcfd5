package email_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/email"
	"github.com/stile-id/stile/internal/keyring"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func start(t testing.TB) (*email.Authenticator, *clock) {
	t.Helper()
	keys, err := keyring.New(bytes.Repeat([]byte{7}, keyring.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)}
	a, err := email.New(email.Config{Keyring: keys, Now: c.now, PublicURL: "https://id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func ada(purpose authenticator.Purpose) authenticator.Subject {
	return authenticator.Subject{
		Transaction: "tx0123456789abcdefghijkl", Challenge: "ch0123456789abcdefghijkl", UserID: "00u1",
		Address: "Ada@B\u00fccher.example", Login: "Ada@B\u00fccher.example", FirstName: "Ada", LastName: "Lovelace",
		Purpose: purpose, Enrolling: purpose == authenticator.SignUp || purpose == authenticator.SignUpKnown,
	}
}

func begin(t testing.TB, a *email.Authenticator, s authenticator.Subject) authenticator.Prompt {
	t.Helper()
	p, err := a.BeginEnroll(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func resend(t testing.TB, a *email.Authenticator, s authenticator.Subject, p authenticator.Prompt) authenticator.Prompt {
	t.Helper()
	p, err := a.Resend(t.Context(), s, p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mailOf returns the one mail that a prompt wants sent.
func mailOf(t testing.TB, p authenticator.Prompt) authenticator.Mail {
	t.Helper()
	if len(p.Effects) != 1 || p.Effects[0].Mail == nil {
		t.Fatalf("effects = %+v, want one mail", p.Effects)
	}
	return *p.Effects[0].Mail
}

// answer is the outcome of an answer to a verification.
func answer(t testing.TB, a *email.Authenticator, s authenticator.Subject, p authenticator.Prompt, code string) error {
	t.Helper()
	_, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"passcode": code})
	return err
}

// other returns a code that is not among codes.
func other(codes ...string) string {
	for _, c := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777"} {
		if !strings.Contains(strings.Join(codes, " "), c) {
			return c
		}
	}
	panic("every code is taken")
}

func TestNewRefusesUnsafeConfiguration(t *testing.T) {
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	good := email.Config{Keyring: keys, Now: time.Now, PublicURL: "http://localhost:9000"}
	tests := []struct {
		name   string
		change func(*email.Config)
		ok     bool
	}{
		{"defaults", func(*email.Config) {}, true},
		{"SEC_S01 eight digits", func(c *email.Config) { c.Digits = 8 }, true},
		{"SEC_S01 five digits", func(c *email.Config) { c.Digits = 5 }, false},
		{"SEC_S01 eleven digits", func(c *email.Config) { c.Digits = 11 }, false},
		{"SEC_S02 five minutes", func(c *email.Config) { c.Lifetime = 5 * time.Minute }, true},
		{"SEC_S02 eleven minutes", func(c *email.Config) { c.Lifetime = 11 * time.Minute }, false},
		{"a negative lifetime", func(c *email.Config) { c.Lifetime = -time.Minute }, false},
		{"no keyring", func(c *email.Config) { c.Keyring = nil }, false},
		{"no clock", func(c *email.Config) { c.Now = nil }, false},
		{"no URL", func(c *email.Config) { c.PublicURL = "" }, false},
		{"another scheme", func(c *email.Config) { c.PublicURL = "ftp://id.example.com" }, false},
		{"a query", func(c *email.Config) { c.PublicURL = "https://id.example.com/?x=y" }, false},
		{"a password", func(c *email.Config) { c.PublicURL = "https://u:p@id.example.com" }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			if _, err := email.New(c); (err == nil) != test.ok {
				t.Errorf("New: %v, want accepted: %t", err, test.ok)
			}
		})
	}
}

func TestBeginEnroll(t *testing.T) {
	a, c := start(t)
	p := begin(t, a, ada(authenticator.SignUp))
	m := mailOf(t, p)

	want := authenticator.Mail{
		Template: "sign-up", To: "Ada@xn--bcher-kva.example", FirstName: "Ada",
		Code: m.Code, Link: m.Link, ExpiresAt: c.at.Add(10 * time.Minute),
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^[0-9]{6}$`).MatchString(m.Code) {
		t.Errorf("code %q is not six digits", m.Code)
	}
	if !regexp.MustCompile(`^https://id\.example\.com/email/verify/[^/?#]+$`).MatchString(m.Link) || len(m.Link) > 200 {
		t.Errorf("link %q is not one path segment of at most 200 characters in all", m.Link)
	}

	p.Sealed, p.Effects = nil, nil
	wantPrompt := authenticator.Prompt{
		Method: "email", Fields: []authenticator.Field{{Name: "passcode", Label: "Enter code"}},
		Public: map[string]any{"useEmailMagicLink": true}, ExpiresAt: c.at.Add(10 * time.Minute),
	}
	if diff := cmp.Diff(wantPrompt, p); diff != "" {
		t.Errorf("prompt (-want +got):\n%s", diff)
	}
}

func TestFinishEnroll(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignUp)
	p := begin(t, a, s)
	c, err := a.FinishEnroll(t.Context(), s, p, authenticator.Input{"passcode": mailOf(t, p).Code})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"email": "A***a@Bücher.example"}, c.Profile); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	var data map[string]string
	if err := json.Unmarshal(c.Data, &data); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"address": "Ada@Bücher.example", "canonical": "ada@xn--bcher-kva.example"}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestFinishVerifyKeepsTheCredential(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	have := authenticator.Credential{Data: []byte(`{"address":"x"}`), Profile: map[string]string{"email": "x"}}
	p, err := a.BeginVerify(t.Context(), holding(s, have))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.FinishVerify(t.Context(), holding(s, have), p, authenticator.Input{"passcode": mailOf(t, p).Code})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(authenticator.Proof{Credential: have}, got); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
}

func TestMailByPurpose(t *testing.T) {
	a, _ := start(t)
	tests := []struct {
		purpose           authenticator.Purpose
		template          string
		named, code, link bool
	}{
		{authenticator.SignUp, "sign-up", true, true, true},
		{authenticator.SignIn, "sign-in", true, true, true},
		{authenticator.SignUpKnown, "sign-up-known", false, true, true},
		{authenticator.SignInUnknown, "sign-in-unknown", false, false, false},
		{authenticator.Recovery, "recovery", true, true, true},
		{authenticator.Unlock, "unlock", true, true, true},
		{authenticator.EmailChange, "email-change", false, true, true},
	}
	for _, test := range tests {
		t.Run(string(test.purpose), func(t *testing.T) {
			p := begin(t, a, ada(test.purpose))
			for _, p := range []authenticator.Prompt{p, resend(t, a, ada(test.purpose), p)} {
				m := mailOf(t, p)
				got := [3]bool{m.FirstName != "", m.Code != "", m.Link != ""}
				if m.Template != test.template || got != [3]bool{test.named, test.code, test.link} {
					t.Errorf("template %q; name, code, link: %v", m.Template, got)
				}
			}
		})
	}
	if _, err := a.BeginVerify(t.Context(), ada("step-up")); err == nil {
		t.Error("a purpose without a mail was accepted")
	}
}

func TestAnswers(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	code := mailOf(t, p).Code
	tests := []struct {
		name, answer string
		want         error
	}{
		{"right", code, nil},
		{"wrong", other(code), authenticator.ErrWrong},
		{"cut", code[:5], authenticator.ErrWrong},
		{"with a digit more", code + "0", authenticator.ErrWrong},
		{"no digits", "abcdef", authenticator.ErrWrong},
		{"very long", strings.Repeat("9", 100_000), authenticator.ErrWrong},
		{"IDX_D24 nothing", "", authenticator.ErrEmpty},
		{"spaces", " \r\n\t", authenticator.ErrEmpty},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := answer(t, a, s, p, test.answer); !errors.Is(got, test.want) {
				t.Errorf("answer: %v, want %v", got, test.want)
			}
		})
	}
	if _, err := a.FinishVerify(t.Context(), s, p, nil); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("no field at all: %v, want ErrEmpty", err)
	}
}

func TestSEC_S02_Lifetime(t *testing.T) {
	a, c := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	code := mailOf(t, p).Code
	c.advance(9*time.Minute + 59*time.Second)
	if err := answer(t, a, s, p, code); err != nil {
		t.Errorf("after 9:59: %v", err)
	}
	c.advance(2 * time.Second)
	if err := answer(t, a, s, p, code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("after 10:01: %v, want ErrWrong", err)
	}
}

// Every code of the challenge works until its own end, in any order (decision D5).
func TestUX_P3_7_OlderCodes(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1) // no two codes alike
	a, c := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	codes := []string{mailOf(t, p).Code}
	for range 2 {
		c.advance(3 * time.Minute)
		p = resend(t, a, s, p)
		codes = append(codes, mailOf(t, p).Code)
	}
	if want := c.at.Add(10 * time.Minute); !p.ExpiresAt.Equal(want) {
		t.Errorf("the prompt ends %v, want %v, the end of the newest", p.ExpiresAt, want)
	}
	for i, code := range codes {
		if err := answer(t, a, s, p, code); err != nil {
			t.Errorf("code %d of %d: %v", i+1, len(codes), err)
		}
	}
	c.advance(4*time.Minute + time.Second) // the first is 10:01 old
	for i, code := range codes {
		if err := answer(t, a, s, p, code); (err != nil) != (i == 0) {
			t.Errorf("later, code %d of %d: %v", i+1, len(codes), err)
		}
	}
}

func TestResendKeepsTheNewestSix(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1) // no two codes alike
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	mails := []authenticator.Mail{mailOf(t, p)}
	for range 6 {
		p = resend(t, a, s, p)
		mails = append(mails, mailOf(t, p))
	}
	for i, m := range mails {
		_, _, link := a.Link(s, p, tokenOf(m))
		code := answer(t, a, s, p, m.Code) == nil
		if want := i > 0; code != want || link != want {
			t.Errorf("mail %d of %d: code %t, link %t, want %t", i+1, len(mails), code, link, want)
		}
	}
}

// For an address without an account every code is wrong, also the one that was drawn.
func TestNothingIsRightForSignInUnknown(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignInUnknown)
	p := begin(t, a, s)
	known := begin(t, a, ada(authenticator.SignIn))
	for _, code := range regexp.MustCompile(`"[0-9]{6}"`).FindAllString(string(p.Sealed), -1) {
		if err := answer(t, a, s, p, code); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("the drawn code: %v, want ErrWrong", err)
		}
	}
	if err := answer(t, a, s, known, mailOf(t, known).Code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("the code of a known address: %v, want ErrWrong", err)
	}
	if diff := cmp.Diff(known.Fields, p.Fields); diff != "" {
		t.Errorf("fields differ (-known +unknown):\n%s", diff)
	}
	if diff := cmp.Diff(known.Public, p.Public); diff != "" {
		t.Errorf("public data differ (-known +unknown):\n%s", diff)
	}
	if !known.ExpiresAt.Equal(p.ExpiresAt) {
		t.Error("ends differ")
	}
	var a1, a2 map[string]any
	if json.Unmarshal(known.Sealed, &a1) != nil || json.Unmarshal(p.Sealed, &a2) != nil || len(a1) != len(a2) {
		t.Errorf("sealed data of another shape: %s, %s", known.Sealed, p.Sealed)
	}
}

// A prompt is kept as JSON between two requests.
func TestPromptSurvivesItsRow(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignUp)
	p := begin(t, a, s)
	code := mailOf(t, p).Code
	p.Effects = nil
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again authenticator.Prompt
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if err := answer(t, a, s, again, code); err != nil {
		t.Errorf("the code is wrong after a round trip: %v", err)
	}
}

func tokenOf(m authenticator.Mail) string { return m.Link[strings.LastIndexByte(m.Link, '/')+1:] }

// holding is s with the credential that they have enrolled.
func holding(s authenticator.Subject, c authenticator.Credential) authenticator.Subject {
	s.Enrolled = []authenticator.Credential{c}
	return s
}
