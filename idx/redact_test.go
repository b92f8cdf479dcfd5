package idx_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stile-id/stile/idx"
)

func TestIDX_C84_NoSecretIsPrinted(t *testing.T) {
	e := serve(t, signUp())
	e.token = func(b map[string]any) { b["refresh_token"] = "a-refresh-token" }
	c := e.client(t)
	tx, err := c.Register(t.Context(), john)
	if err != nil {
		t.Fatal(err)
	}
	text, err := tx.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	listed, err := c.Proceed(t.Context(), tx, idx.Input{VerificationCode: "726009"})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.Proceed(t.Context(), listed, idx.Input{Skip: true})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		"02.id.", "ih.1", "an-access-token", "a-refresh-token", done.Tokens.IDToken.Value, string(text),
		e.interactions[0].Get("nonce"), tx.State(), "Zk9cX1r7T2m", "726009", "hunter2", secret, "a-recovery-token", "otpauth",
	}
	things := map[string]any{
		"tx": tx, "*tx": *tx, "done": done, "*done": *done,
		"tokens": done.Tokens, "access": done.Tokens.AccessToken, "*access": *done.Tokens.AccessToken,
		"id": done.Tokens.IDToken, "*id": *done.Tokens.IDToken, "refresh": done.Tokens.RefreshToken,
		"wrapped":   struct{ T idx.Transaction }{*done},
		"embedded":  struct{ idx.Tokens }{*done.Tokens},
		"hidden":    struct{ t idx.Transaction }{*done},
		"list":      []idx.Transaction{*tx, *done},
		"step":      tx.NextStep,
		"enrolling": idx.Authenticator{Key: "google_otp", Context: map[string]any{"secret": "otpauth"}},
		"input":     idx.Input{Password: "hunter2", VerificationCode: "726009", Values: map[string]any{"x": "hunter2"}},
		"profile":   idx.Profile{Password: "hunter2"}, "credentials": idx.Credentials{Password: "hunter2", RecoveryToken: "a-recovery-token"},
		"options": idx.StartOptions{RecoveryToken: "a-recovery-token"},
		"config":  e.config(), "client": c,
	}
	for name, v := range things {
		var out bytes.Buffer
		verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"}
		if name == "hidden" { // fmt calls no method of an unexported field, and follows pointers for wrong verbs
			verbs = verbs[:3]
		}
		for _, verb := range verbs {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		if name != "wrapped" && name != "embedded" && name != "list" { // as JSON, what it has is for the app
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		}
		for _, s := range secrets {
			if strings.Contains(out.String(), s) || strings.Contains(out.String(), fmt.Sprintf("%x", s)) {
				t.Errorf("%s prints %q:\n%s", name, s, out.String())
			}
		}
	}
	if got := fmt.Sprint(tx); got != "idx.Transaction{PENDING enroll-authenticator}" {
		t.Errorf("String = %q", got)
	}
}
