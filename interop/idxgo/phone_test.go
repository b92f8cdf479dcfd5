package idxgo

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"testing"

	idx "github.com/okta/okta-idx-golang"
)

// newNumber returns one that is nobody's; few tests use the same.
func newNumber(t *testing.T) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(600))
	if err != nil {
		t.Fatal(err)
	}
	areas := []int64{202, 212, 305, 404, 503, 702}
	return fmt.Sprintf("+1%d55501%02d", areas[n.Int64()%6], n.Int64()/6)
}

func TestIDX_A10_A11_A13_A15_A77_Phone(t *testing.T) {
	ctx, engine, number := t.Context(), engines.phone, newNumber(t)
	r, email := proveAddress(t, engine)
	if !r.HasStep(idx.EnrollmentStepPhoneVerification) {
		t.Fatalf("A-07: steps are %v", r.AvailableSteps())
	}
	if _, err := r.VerifyPhone(ctx, idx.PhoneMethodSMS, "incorrectnumber"); err == nil || err.Error() != "Invalid Phone Number." {
		t.Errorf("A-11: %v", err)
	}
	before := ""
	if all := listMails(t, engine, number); len(all) > 0 {
		before = all[0].ID
	}
	r, err := r.VerifyPhone(ctx, idx.PhoneMethodSMS, number)
	if err != nil {
		t.Fatal(err)
	}
	m := waitMail(t, engine, number, before)
	if _, err := r.ConfirmPhone(ctx, wrongCode(m.Code)); err == nil || err.Error() != "Invalid code. Try again." {
		t.Errorf("A-13: %v", err)
	}
	if r, err = r.ConfirmPhone(ctx, m.Code); err != nil {
		t.Fatal(err)
	}
	if r, err = r.SetNewPassword(ctx, goodPassword); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "at the end", r, "SUCCESS")
	subject := judge(t, engine, r.Token(), email)

	l, err := login(t, engine, email, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if l.IsAuthenticated() || !l.HasStep(idx.LoginStepPhoneVerification) || l.HasStep(idx.LoginStepEmailVerification) {
		t.Fatalf("A-77: after the password steps are %v", l.AvailableSteps())
	}
	if n := listMails(t, engine, number); n[0].ID != m.ID {
		t.Error("A-15: a text was sent before the method was chosen")
	}
	if l, err = l.VerifyPhone(ctx, idx.PhoneMethodVoiceCall); err != nil {
		t.Fatal(err)
	}
	called := waitMail(t, engine, number, m.ID).Code
	if _, err := l.ConfirmPhone(ctx, wrongCode(called)); err == nil || err.Error() != "Invalid code. Try again." {
		t.Errorf("A-13: at sign-in: %v", err)
	}
	if l, err = l.ConfirmPhone(ctx, called); err != nil {
		t.Fatal(err)
	}
	if !l.IsAuthenticated() {
		t.Fatalf("after the code: steps are %v", l.AvailableSteps())
	}
	if again := judge(t, engine, l.Token(), email); again != subject {
		t.Errorf("signed in as %s, signed up as %s", again, subject)
	}
}
