package stiletest_test

import (
	"testing"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// Somebody is invited, and later handed a way to a new password.
func TestInviteAndReset(t *testing.T) {
	stile := stiletest.Start(t)
	ctx := t.Context()

	tx, err := stile.Client.Register(ctx, idx.Profile{ActivationToken: stile.Invite(t, "Ada", "Lovelace", "ada+1@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	if tx, err = stile.Client.Proceed(ctx, tx, idx.Input{Skip: true}); err != nil || tx.Status != idx.StatusSuccess {
		t.Fatalf("%v, %v", tx, err)
	}
	if c := tx.Tokens.IDToken.Claims; c.Email != "ada+1@example.com" {
		t.Errorf("signed in as %q", c.Email)
	}

	tx, err = stile.Client.RecoverPassword(ctx, idx.Credentials{RecoveryToken: stile.Reset(t, "ada+1@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	tx, err = stile.Client.Proceed(ctx, tx, idx.Input{Password: "correct horse battery staple"})
	if err != nil || tx.Status != idx.StatusSuccess {
		t.Fatalf("%v, %v", tx, err)
	}
}
