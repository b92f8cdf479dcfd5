package stiletest_test

import (
	"testing"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// A person signs up in a test of your app.
func TestSignUp(t *testing.T) {
	stile := stiletest.Start(t)
	ctx := t.Context()

	tx, err := stile.Client.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	tx, err = stile.Client.Proceed(ctx, tx, idx.Input{VerificationCode: stile.Code(t, "ada@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	tx, err = stile.Client.Proceed(ctx, tx, idx.Input{Skip: true})
	if err != nil || tx.Status != idx.StatusSuccess {
		t.Fatalf("%v, %v", tx, err)
	}
}
