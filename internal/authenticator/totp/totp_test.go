package totp_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/totp"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/policy"
)

type clock struct{ at time.Time }

func start(t *testing.T) (*totp.Authenticator, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 27, 10, 0, 10, 0, time.UTC)}
	a, err := totp.New(totp.Config{Now: func() time.Time { return c.at }, Issuer: func() string { return "Acme" }})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func ada() authenticator.Subject {
	return authenticator.Subject{UserID: "00u1", Login: "ada@example.com", Purpose: authenticator.SignIn}
}

func begin(t *testing.T, a *totp.Authenticator) (authenticator.Prompt, oath.Secret) {
	t.Helper()
	p, err := a.BeginEnroll(t.Context(), ada())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := oath.ParseSecret(p.Public["sharedSecret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return p, secret
}

func code(passcode string) authenticator.Input { return authenticator.Input{"passcode": passcode} }

func (c *clock) code(s oath.Secret, steps int64) authenticator.Input {
	return code(s.Code(oath.StepOf(c.at) + steps))
}

func enrolled(t *testing.T, a *totp.Authenticator, c *clock) (authenticator.Subject, oath.Secret) {
	t.Helper()
	p, secret := begin(t, a)
	credential, err := a.FinishEnroll(t.Context(), ada(), p, c.code(secret, -3))
	if err != nil {
		t.Fatal(err)
	}
	credential.ID = "uft1"
	s := ada()
	s.Enrolled = []authenticator.Credential{credential}
	return s, secret
}

func why(err error) string {
	var w *authenticator.Wrong
	switch {
	case errors.As(err, &w):
		_, short, _ := strings.Cut(w.Message.Key, "soft_token.")
		return short
	case errors.Is(err, authenticator.ErrWrong):
		return "invalid_passcode"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestInfo(t *testing.T) {
	a, _ := start(t)
	if i := a.Info(); i.Key != "google_otp" || i.Type != "app" || i.Name != "Google Authenticator" || i.Class != policy.Possession || i.EnrollmentProves {
		t.Errorf("%+v", i)
	}
	if _, err := totp.New(totp.Config{}); err == nil {
		t.Error("without a clock it is accepted")
	}
}

func TestIDX_A18_PictureAndSecret(t *testing.T) {
	a, _ := start(t)
	p, _ := begin(t, a)
	picture := p.Public["qrcode"].(map[string]any)
	data, ok := strings.CutPrefix(picture["href"].(string), "data:image/png;base64,")
	if !ok || picture["method"] != "embedded" || picture["type"] != "image/png" {
		t.Fatalf("the picture is %v", picture)
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	if img, err := png.Decode(bytes.NewReader(raw)); err != nil || img.Bounds().Dx() < 100 {
		t.Fatalf("no picture: %v", err)
	}
	if again, _ := begin(t, a); again.Public["sharedSecret"] == p.Public["sharedSecret"] {
		t.Error("two people have the same secret")
	}
}

func TestIDX_A19_A20_Drift(t *testing.T) {
	a, c := start(t)
	for steps := int64(-8); steps <= 4; steps++ {
		p, secret := begin(t, a)
		_, err := a.FinishEnroll(t.Context(), ada(), p, c.code(secret, steps))
		if want := steps >= -5 && steps <= 1; (err == nil) != want {
			t.Errorf("enroll with the code of step %+d: %v", steps, err)
		}
		s, secret := enrolled(t, a, c)
		_, err = a.FinishVerify(t.Context(), s, authenticator.Prompt{}, c.code(secret, steps))
		if want := steps >= -1 && steps <= 1; (err == nil) != want {
			t.Errorf("verify with the code of step %+d: %v", steps, err)
		}
	}
}

func TestSEC_S52_IDX_A19_EachCodeOnce(t *testing.T) {
	a, c := start(t)
	s, secret := enrolled(t, a, c)
	shown, err := a.FinishVerify(t.Context(), s, authenticator.Prompt{}, c.code(secret, 0))
	if err != nil || shown.Credential.ID != "uft1" {
		t.Fatalf("the first time: %v %+v", err, shown)
	}
	s.Enrolled = []authenticator.Credential{shown.Credential}
	for _, steps := range []int64{0, -1} {
		if _, err := a.FinishVerify(t.Context(), s, authenticator.Prompt{}, c.code(secret, steps)); why(err) != "used_passcode" {
			t.Errorf("step %+d again: %v", steps, err)
		}
	}
	if _, err := a.FinishVerify(t.Context(), s, authenticator.Prompt{}, c.code(secret, 1)); err != nil {
		t.Errorf("the next one: %v", err)
	}
	c.at = c.at.Add(time.Hour)
	if _, err := a.FinishVerify(t.Context(), s, authenticator.Prompt{}, c.code(secret, -120)); why(err) != "invalid_passcode" {
		t.Errorf("an old one: %v", err)
	}
}

func TestWrongAnswers(t *testing.T) {
	a, c := start(t)
	s, secret := enrolled(t, a, c)
	p, _ := begin(t, a)
	for _, typed := range []string{"", " ", "\t"} {
		if _, err := a.FinishVerify(t.Context(), s, p, code(typed)); !errors.Is(err, authenticator.ErrEmpty) {
			t.Errorf("verify %q: %v", typed, err)
		}
		if _, err := a.FinishEnroll(t.Context(), s, p, code(typed)); !errors.Is(err, authenticator.ErrEmpty) {
			t.Errorf("enroll %q: %v", typed, err)
		}
	}
	for _, typed := range []string{"0", "abcdef", strings.Repeat("1", 1000)} {
		if _, err := a.FinishVerify(t.Context(), s, p, code(typed)); why(err) != "invalid_passcode" || !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("verify %q: %v", typed, err)
		}
		if _, err := a.FinishEnroll(t.Context(), s, p, code(typed)); !errors.Is(err, authenticator.ErrWrong) {
			t.Errorf("enroll %q: %v", typed, err)
		}
	}
	right := c.code(secret, 0)
	for name, nobody := range map[string]authenticator.Subject{
		"without one":        ada(),
		"without an account": {Purpose: authenticator.SignInUnknown, Enrolled: s.Enrolled},
	} {
		if _, err := a.FinishVerify(t.Context(), nobody, p, right); why(err) != "invalid_passcode" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Enrolled[0].Data = []byte("{")
	if _, err := a.FinishVerify(t.Context(), s, p, right); err == nil || errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("a broken credential: %v, want a fault", err)
	}
}

func TestIDX_A21_NothingIsShownAtVerification(t *testing.T) {
	a, _ := start(t)
	if p, err := a.BeginVerify(t.Context(), ada()); err != nil || p.Public != nil || p.Sealed != nil || len(p.Effects) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
