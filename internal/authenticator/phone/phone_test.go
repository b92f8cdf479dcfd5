package phone_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/phone"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func start(t *testing.T, countries ...string) (*phone.Authenticator, *clock) {
	t.Helper()
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
	a, err := phone.New(phone.Config{
		Keyring: keys, Now: c.now, Methods: []authenticator.Method{phone.SMS, phone.Voice}, Countries: countries,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func subject(details ...string) authenticator.Subject {
	s := authenticator.Subject{
		Transaction: "tx1", Challenge: "ch1", Purpose: authenticator.SignUp, Enrolling: true, Details: authenticator.Input{},
	}
	for i := 0; i < len(details); i += 2 {
		s.Details[details[i]] = details[i+1]
	}
	return s
}

const number = "+12025550100"

func enrolling() authenticator.Subject { return subject("methodType", "sms", "phoneNumber", number) }

func begin(t *testing.T, a *phone.Authenticator, s authenticator.Subject) (authenticator.Prompt, authenticator.Text) {
	t.Helper()
	p, err := a.BeginEnroll(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return p, *p.Effects[0].Text
}

func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

func finish(t *testing.T, a *phone.Authenticator, s authenticator.Subject, p authenticator.Prompt, code string) error {
	t.Helper()
	_, err := a.FinishEnroll(t.Context(), s, p, authenticator.Input{"passcode": code})
	return err
}

func TestSEC_S53_PhoneIsRestricted(t *testing.T) {
	a, _ := start(t)
	i := a.Info()
	if !i.AfterProof || i.Class != policy.Possession || i.PhishingResistant || i.EnrollmentProves {
		t.Errorf("%+v", i)
	}
	if i.Reference(phone.SMS) != "sms" || i.Reference(phone.Voice) != "tel" {
		t.Error("a proof is not told as what it is (RFC 8176)")
	}
}

func TestIDX_A09_AsksForMethodAndNumber(t *testing.T) {
	a, _ := start(t, "DE", "AT")
	for _, s := range []authenticator.Subject{
		subject(), subject("methodType", "sms"), subject("phoneNumber", number), subject("methodType", "sms", "phoneNumber", " "),
	} {
		_, err := a.BeginEnroll(t.Context(), s)
		var wanted *authenticator.Wanted
		if !errors.As(err, &wanted) || len(wanted.Fields) != 2 || wanted.Fields[0].Name != "methodType" || len(wanted.Fields[0].Choices) != 2 ||
			wanted.Fields[1].Name != "phoneNumber" {
			t.Errorf("%v: %v", s.Details, err)
			continue
		}
		countries := wanted.Public["countries"].([]any)
		if len(countries) != 2 || countries[0].(map[string]any)["country"] != "DE" || countries[0].(map[string]any)["callingCode"] != "49" ||
			countries[1].(map[string]any)["name"] != "Austria" {
			t.Errorf("the page is told of %v", countries)
		}
	}
}

func TestIDX_A11_InvalidNumber(t *testing.T) {
	a, _ := start(t)
	for _, s := range []authenticator.Subject{
		subject("methodType", "sms", "phoneNumber", "incorrectnumber"),
		subject("methodType", "sms", "phoneNumber", "+49 30 12345678"), // a line at a wall
	} {
		_, err := a.BeginEnroll(t.Context(), s)
		var rejected *authenticator.Rejected
		if !errors.As(err, &rejected) || rejected.Messages[0].Key != "api.factors.error.sms.invalid_phone" ||
			rejected.Messages[0].Text != "Invalid Phone Number." || rejected.Messages[0].Field != "phoneNumber" {
			t.Errorf("%v: %v", s.Details, err)
		}
	}
	if _, err := a.BeginEnroll(t.Context(), subject("methodType", "pigeon", "phoneNumber", number)); err == nil {
		t.Error("a code goes by pigeon")
	}
}

func TestIDX_A10_CodeOfSixDigitsForFiveMinutes(t *testing.T) {
	a, c := start(t)
	s := enrolling()
	p, text := begin(t, a, s)
	if text.To != number || text.Method != phone.SMS || !regexp.MustCompile(`^\d{6}$`).MatchString(text.Code) || !text.ExpiresAt.Equal(c.at.Add(5*time.Minute)) {
		t.Errorf("%+v", text)
	}
	if p.Public["phoneNumber"] != "+1 XXX-XXX-0100" {
		t.Errorf("the wire tells %v", p.Public)
	}
	for _, right := range []string{text.Code, " " + text.Code[:3] + " " + text.Code[3:] + "\n", "code: " + text.Code + "."} {
		if err := finish(t, a, s, p, right); err != nil {
			t.Errorf("%q: %v", right, err)
		}
	}
	for _, wrong := range []string{other(text.Code), text.Code[:5], text.Code + "0", "abc", text.Code + " " + text.Code} {
		if err := finish(t, a, s, p, wrong); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := finish(t, a, s, p, " "); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	c.at = c.at.Add(5*time.Minute - time.Second)
	if err := finish(t, a, s, p, text.Code); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	c.at = c.at.Add(time.Second)
	if err := finish(t, a, s, p, text.Code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("at its end: %v", err)
	}
}

func TestIDX_A14_ResendVoidsTheCodeBefore(t *testing.T) {
	a, _ := start(t)
	s := enrolling()
	p, first := begin(t, a, s)
	second := first
	for second.Code == first.Code { // one in a million is the same
		next, err := a.Resend(t.Context(), s, p)
		if err != nil {
			t.Fatal(err)
		}
		p, second = next, *next.Effects[0].Text
	}
	if second.To != first.To || second.Method != first.Method {
		t.Errorf("sent again: %+v", second)
	}
	if err := finish(t, a, s, p, first.Code); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("the code before: %v", err)
	}
	if err := finish(t, a, s, p, second.Code); err != nil {
		t.Errorf("the new code: %v", err)
	}
}

// A code is of use in the transaction, for the challenge, purpose and number that it
// was sent for, and nowhere else.
func TestSEC_S07_CodeIsBound(t *testing.T) {
	a, _ := start(t)
	s := enrolling()
	p, text := begin(t, a, s)
	for what, change := range map[string]func(*authenticator.Subject){
		"transaction": func(s *authenticator.Subject) { s.Transaction = "tx2" },
		"challenge":   func(s *authenticator.Subject) { s.Challenge = "ch2" },
		"purpose":     func(s *authenticator.Subject) { s.Purpose = authenticator.SignIn },
	} {
		elsewhere := enrolling()
		change(&elsewhere)
		if err := finish(t, a, elsewhere, p, text.Code); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("in another %s: %v", what, err)
		}
	}
}

func TestVerify(t *testing.T) {
	a, _ := start(t)
	p, text := begin(t, a, enrolling())
	c, err := a.FinishEnroll(t.Context(), enrolling(), p, authenticator.Input{"passcode": text.Code})
	if err != nil || c.Profile["phoneNumber"] != "+1 XXX-XXX-0100" || a.Address(c) != number {
		t.Fatalf("%+v, %v", c, err)
	}
	c.ID = "sms1"
	s := authenticator.Subject{Transaction: "tx2", Challenge: "ch1", Purpose: authenticator.SignIn, Enrolled: []authenticator.Credential{c}}
	var wanted *authenticator.Wanted
	if _, err := a.BeginVerify(t.Context(), s); !errors.As(err, &wanted) || len(wanted.Fields) != 1 || wanted.Public != nil {
		t.Errorf("A-15: without a method: %v", err)
	}
	s.Details = authenticator.Input{"methodType": "voice", "phoneNumber": "+12025550199"} // theirs, not the person's
	p, err = a.BeginVerify(t.Context(), s)
	if err != nil || p.Effects[0].Text.To != number || p.Effects[0].Text.Method != phone.Voice || p.Public != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	proof, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"passcode": p.Effects[0].Text.Code})
	if err != nil || proof.Credential.ID != "sms1" {
		t.Errorf("%+v, %v", proof, err)
	}
	// A country that is not allowed any more is not texted.
	here, _ := start(t, "DE")
	var rejected *authenticator.Rejected
	if _, err := here.BeginVerify(t.Context(), s); !errors.As(err, &rejected) {
		t.Errorf("a number of a country that was taken from the list: %v", err)
	}
	s.Enrolled = nil
	if _, err := a.BeginVerify(t.Context(), s); !errors.As(err, &rejected) {
		t.Errorf("nobody's number: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	good := phone.Config{Keyring: keys, Now: time.Now, Methods: []authenticator.Method{phone.SMS}}
	for what, change := range map[string]func(*phone.Config){
		"no keys":      func(c *phone.Config) { c.Keyring = nil },
		"no clock":     func(c *phone.Config) { c.Now = nil },
		"no transport": func(c *phone.Config) { c.Methods = nil },
		"by pigeon":    func(c *phone.Config) { c.Methods = []authenticator.Method{"pigeon"} },
		"no country":   func(c *phone.Config) { c.Countries = []string{"Atlantis"} },
	} {
		c := good
		change(&c)
		if _, err := phone.New(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
