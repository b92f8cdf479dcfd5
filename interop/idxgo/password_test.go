package idxgo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	idx "github.com/okta/okta-idx-golang"
)

const freshPassword = "staple-of-a-new-horse-7"

// withPassword makes a person who has chosen a password.
func withPassword(t *testing.T, engine string) person {
	t.Helper()
	r, email := proveAddress(t, engine)
	r, err := r.SetNewPassword(t.Context(), goodPassword)
	if err == nil && r.HasStep(idx.EnrollmentStepSkip) { // what is optional is left
		r, err = r.Skip(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return person{email: email, mail: listMails(t, engine, email)[0].ID, token: r.Token()}
}

func login(t *testing.T, engine, email, password string) (*idx.LoginResponse, error) {
	t.Helper()
	r, err := newClient(t, engine).InitLogin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r.Identify(t.Context(), &idx.IdentifyRequest{Identifier: email, Credentials: idx.Credentials{Password: password}})
}

func TestIDX_C52_C53_SignInByPassword(t *testing.T) {
	// Where the code is sent with the user name, this client answers it with the
	// password: there it signs in by the code alone.
	for name, c := range map[string]struct{ engine, wrong string }{
		"identifier first": {engines.requirePassword, "Password is incorrect"},
		"password first":   {engines.passwordFirst, "Authentication failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := withPassword(t, c.engine)
			sent := len(listMails(t, c.engine, p.email))
			for _, email := range []string{p.email, newAddress()} {
				if _, err := login(t, c.engine, email, "not-the-password"); err == nil || err.Error() != c.wrong {
					t.Errorf("IDX_C54: a wrong password of %s: %v, want %q", email, err, c.wrong)
				}
			}
			r, err := login(t, c.engine, p.email, goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			if !r.IsAuthenticated() {
				t.Fatalf("after the password: steps are %v", r.AvailableSteps())
			}
			if was, is := judge(t, c.engine, p.token, p.email), judge(t, c.engine, r.Token(), p.email); was != is {
				t.Errorf("signed in as %s, signed up as %s", is, was)
			}
			if n := len(listMails(t, c.engine, p.email)); n != sent {
				t.Errorf("signing in by password sent %d mails", n-sent)
			}
		})
	}
}

func TestIDX_C55_TwoFactors(t *testing.T) {
	ctx := t.Context()
	p := withPassword(t, engines.twoFactors)
	r, err := login(t, engines.twoFactors, p.email, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if r.IsAuthenticated() || !r.HasStep(idx.LoginStepEmailVerification) {
		t.Fatalf("after the password: steps are %v", r.AvailableSteps())
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	if r, err = r.ConfirmEmail(ctx, waitMail(t, engines.twoFactors, p.email, p.mail).Code); err != nil {
		t.Fatal(err)
	}
	if !r.IsAuthenticated() {
		t.Fatalf("after the code: steps are %v", r.AvailableSteps())
	}
	judge(t, engines.twoFactors, r.Token(), p.email)
}

func TestIDX_C67_C68_PasswordReset(t *testing.T) {
	for name, engine := range map[string]string{
		"identifier first": engines.protect, "identifier first, required": engines.requirePassword, "password first": engines.passwordFirst,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p := withPassword(t, engine)
			was := judge(t, engine, p.token, p.email)
			r, err := newClient(t, engine).InitPasswordReset(ctx, &idx.IdentifyRequest{Identifier: p.email})
			if err != nil {
				t.Fatal(err)
			}
			wantReset(t, "after the username", r, "CANCEL", "EMAIL_VERIFICATION")
			if r, err = r.VerifyEmail(ctx); err != nil {
				t.Fatal(err)
			}
			wantReset(t, "after choosing the email", r, "CANCEL", "EMAIL_VERIFICATION", "EMAIL_CONFIRMATION")
			m := waitMail(t, engine, p.email, p.mail)
			if _, err := r.ConfirmEmail(ctx, wrongCode(m.Code)); err == nil || err.Error() != "Invalid code. Try again." {
				t.Errorf("IDX_C80: a wrong code: %v", err)
			}
			if r, err = r.ConfirmEmail(ctx, m.Code); err != nil {
				t.Fatal(err)
			}
			if !r.HasStep(idx.ResetPasswordStepNewPassword) {
				t.Fatalf("after the code: steps are %v", r.AvailableSteps())
			}
			if _, err := r.SetNewPassword(ctx, "short"); err == nil || !strings.Contains(err.Error(), "Password requirements were not met") {
				t.Errorf("IDX_C50: a weak password: %v", err)
			}
			if r, err = r.SetNewPassword(ctx, freshPassword); err != nil {
				t.Fatal(err)
			}
			wantReset(t, "at the end", r, "SUCCESS")
			if is := judge(t, engine, r.Token(), p.email); was != is {
				t.Errorf("recovered as %s, signed up as %s", is, was)
			}
			if engine == engines.protect {
				return // there this client signs in by the code alone
			}
			if _, err := login(t, engine, p.email, goodPassword); err == nil {
				t.Error("the forgotten password still signs in")
			}
			if l, err := login(t, engine, p.email, freshPassword); err != nil || !l.IsAuthenticated() {
				t.Errorf("the new password: %v", err)
			}
		})
	}
}

func TestIDX_C71_PasswordResetRestarts(t *testing.T) {
	ctx := t.Context()
	p := withPassword(t, engines.protect)
	ir := &idx.IdentifyRequest{Identifier: p.email}
	r, err := newClient(t, engines.protect).InitPasswordReset(ctx, ir)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	wantReset(t, "after cancel", r, "CANCEL", "RESTART")
	if r, err = r.Restart(ctx, ir); err != nil {
		t.Fatal(err)
	}
	wantReset(t, "begun again", r, "CANCEL", "EMAIL_VERIFICATION")
}

func wantReset(t *testing.T, when string, r *idx.ResetPasswordResponse, want ...string) {
	t.Helper()
	var got []string
	for _, s := range r.AvailableSteps() {
		got = append(got, fmt.Sprint(s))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: steps are %v, want %v", when, got, want)
	}
}
