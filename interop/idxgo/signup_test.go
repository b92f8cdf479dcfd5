package idxgo

import (
	"slices"
	"strings"
	"testing"

	idx "github.com/okta/okta-idx-golang"
)

const goodPassword = "correct-horse-battery-9"

func TestIDX_C43_SignUpAndSkip(t *testing.T) {
	ctx := t.Context()
	c := newClient(t, engines.protect)
	email := newAddress()

	r, err := c.InitProfileEnroll(ctx, johnDoe(email))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "IDX_C36 after the profile", r, "CANCEL", "EMAIL_VERIFICATION")
	first := waitMail(t, engines.protect, email, "")

	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "after choosing the email", r, "CANCEL", "EMAIL_VERIFICATION", "EMAIL_CONFIRMATION")
	if n := len(listMails(t, engines.protect, email)); n != 1 {
		t.Errorf("IDX_C37: choosing the email again sent %d mails in all, want 1", n)
	}

	if r, err = r.ConfirmEmail(ctx, first.Code); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "after the code", r, "CANCEL", "PASSWORD_SETUP", "OKTA_VERIFY", "SKIP")
	if r, err = r.Skip(ctx); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "at the end", r, "SUCCESS")
	judge(t, engines.protect, r.Token(), email)
}

func TestSignUpWithPassword(t *testing.T) {
	for name, engine := range map[string]string{"instead of Skip": engines.protect, "required": engines.requirePassword} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			r, email := proveAddress(t, engine)
			if required := name == "required"; r.HasStep(idx.EnrollmentStepSkip) == required {
				t.Errorf("IDX_C41: steps are %v", r.AvailableSteps())
			}
			if _, err := r.SetNewPassword(ctx, "short"); err == nil || !strings.Contains(err.Error(), "Password requirements were not met") {
				t.Errorf("IDX_C50: a weak password: %v", err)
			}
			r, err := r.SetNewPassword(ctx, goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			if !r.HasStep(idx.EnrollmentStepSkip) {
				t.Errorf("IDX_C42: what is optional is not listed again: %v", r.AvailableSteps())
			}
			if r, err = r.Skip(ctx); err != nil {
				t.Fatal(err)
			}
			wantSteps(t, "at the end", r, "SUCCESS")
			judge(t, engine, r.Token(), email)
		})
	}
}

func TestIDX_C80_WrongCode(t *testing.T) {
	ctx := t.Context()
	email := newAddress()
	r, err := newClient(t, engines.protect).InitProfileEnroll(ctx, johnDoe(email))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	m := waitMail(t, engines.protect, email, "")
	if _, err = r.ConfirmEmail(ctx, wrongCode(m.Code)); err == nil || err.Error() != "Invalid code. Try again." {
		t.Errorf("a wrong code: %v", err)
	}
	if r, err = r.ConfirmEmail(ctx, m.Code); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "after the right code", r, "CANCEL", "PASSWORD_SETUP", "OKTA_VERIFY", "SKIP")
}

func TestSignUpRefusals(t *testing.T) {
	taken := signUp(t, engines.disclose)
	for _, tt := range []struct{ name, email, want string }{
		{"IDX_C46 known address", taken.email, "A user with this Email already exists"},
		{"IDX_C47 no address", "nobody", "'Email' must be in the form of an email address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, engines.disclose).InitProfileEnroll(t.Context(), johnDoe(tt.email))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestIDX_C71_CancelAndBeginAgain(t *testing.T) {
	ctx := t.Context()
	c := newClient(t, engines.protect)
	r, err := c.InitProfileEnroll(ctx, johnDoe(newAddress()))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, "after cancel", r, "CANCEL")
	if r, err = r.WhereAmI(ctx); err != nil {
		t.Fatal("the interaction is gone:", err)
	}
	wantSteps(t, "asked again", r, "CANCEL")
}

// johnDoe is the guide's person with an address.
func johnDoe(email string) *idx.UserProfile {
	return &idx.UserProfile{FirstName: "John", LastName: "Doe", Email: email}
}

// proveAddress signs a person up as far as the optional or required authenticators.
func proveAddress(t *testing.T, engine string) (*idx.EnrollmentResponse, string) {
	t.Helper()
	ctx := t.Context()
	email := newAddress()
	r, err := newClient(t, engine).InitProfileEnroll(ctx, johnDoe(email))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	if r, err = r.ConfirmEmail(ctx, waitMail(t, engine, email, "").Code); err != nil {
		t.Fatal(err)
	}
	return r, email
}

// A person has an account and tokens.
type person struct {
	email string
	mail  string // id of the newest mail
	token *idx.Token
}

func signUp(t *testing.T, engine string) person {
	t.Helper()
	r, email := proveAddress(t, engine)
	r, err := r.Skip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return person{email: email, mail: listMails(t, engine, email)[0].ID, token: r.Token()}
}

func wantSteps(t *testing.T, when string, r *idx.EnrollmentResponse, want ...string) {
	t.Helper()
	var got []string
	for _, s := range r.AvailableSteps() {
		got = append(got, s.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: steps are %v, want %v", when, got, want)
	}
}
