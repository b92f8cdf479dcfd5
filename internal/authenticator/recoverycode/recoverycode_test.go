package recoverycode_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/recoverycode"
)

func begin(t *testing.T) (authenticator.Prompt, []string) {
	t.Helper()
	p, err := recoverycode.New().BeginEnroll(t.Context(), authenticator.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, c := range p.Public["codes"].([]any) {
		codes = append(codes, c.(string))
	}
	return p, codes
}

func enroll(t *testing.T, p authenticator.Prompt, typed string) (authenticator.Subject, error) {
	c, err := recoverycode.New().FinishEnroll(t.Context(), authenticator.Subject{}, p, authenticator.Input{"passcode": typed})
	c.ID = "rcv1"
	return authenticator.Subject{Purpose: authenticator.SignIn, Enrolled: []authenticator.Credential{c}}, err
}

func verify(t *testing.T, s authenticator.Subject, typed string) (authenticator.Proof, error) {
	return recoverycode.New().FinishVerify(t.Context(), s, authenticator.Prompt{}, authenticator.Input{"passcode": typed})
}

func TestSEC_S54_TenCodesOf120Bits(t *testing.T) {
	p, codes := begin(t)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{6}-){3}[0-9a-hjkmnp-tv-z]{6}$`).MatchString(c) || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
		if strings.Contains(string(p.Sealed), c) {
			t.Error("a code is kept as it is")
		}
	}
	for _, typed := range []string{"yes", "save", strings.Repeat("0", 24)} {
		if _, err := enroll(t, p, typed); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if _, err := enroll(t, p, " "); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	for _, typed := range []string{"saved", " Saved\n", codes[3]} {
		if s, err := enroll(t, p, typed); err != nil || s.First().Profile["left"] != "10" {
			t.Errorf("%q: %v %v", typed, err, s.First().Profile)
		}
	}
}

func TestSEC_S54_EachCodeOnce(t *testing.T) {
	p, codes := begin(t)
	s, err := enroll(t, p, "saved")
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range codes {
		typed := []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", " "), strings.NewReplacer("0", "o", "1", "l").Replace(code)}[i%4]
		shown, err := verify(t, s, typed)
		if err != nil || shown.Credential.ID != "rcv1" {
			t.Fatalf("%q: %v", typed, err)
		}
		s.Enrolled[0] = shown.Credential
		if _, err := verify(t, s, code); !errors.Is(err, authenticator.ErrWrong) {
			t.Fatalf("%q again: %v", code, err)
		}
	}
	if s.First().Profile["left"] != "0" {
		t.Errorf("%s are left", s.First().Profile["left"])
	}
	_, other := begin(t)
	for name, nobody := range map[string]authenticator.Subject{"without an account": {Purpose: authenticator.SignInUnknown}, "with none left": s} {
		if _, err := verify(t, nobody, other[0]); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Enrolled[0].Data = []byte("{")
	if _, err := verify(t, s, codes[0]); err == nil || errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("a broken credential: %v, want a fault", err)
	}
}
