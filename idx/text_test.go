package idx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

func TestResume(t *testing.T) {
	e := serve(t, script{
		"/idp/idx/introspect": {ok("introspect"), ok("enroll-email"), ok("enroll-email"), ok("enroll-email")},
		"/idp/idx/enroll":     {ok("enroll-profile")}, "/idp/idx/enroll/new": {ok("enroll-email")},
		"/idp/idx/challenge/answer": {ok("success")},
	})
	c := e.client(t)
	tx, err := c.Register(t.Context(), john)
	if err != nil {
		t.Fatal(err)
	}
	text, err := tx.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 600 || strings.ContainsAny(string(text), "\"; ,\\") {
		t.Errorf("%d bytes: %s", len(text), text)
	}

	// Another process of the same app.
	c = e.client(t)
	got, err := c.Resume(t.Context(), string(text))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(asJSON(t, tx), asJSON(t, got)); d != "" {
		t.Errorf("resumed: %s", d)
	}
	if got.State() != tx.State() || got.State() == "" {
		t.Errorf("State = %q, was %q", got.State(), tx.State())
	}
	again, err := got.MarshalText()
	if err != nil || string(again) != string(text) {
		t.Errorf("the text changed: %v", err)
	}

	// Unmarshaled, it asks first where it stands.
	var bare idx.Transaction
	if err := bare.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	if want := start.Add(time.Hour); !bare.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %v", bare.ExpiresAt)
	}
	if _, err := c.Resend(t.Context(), &idx.Transaction{}); !errors.Is(err, idx.ErrNoTransaction) {
		t.Errorf("zero transaction: %v", err)
	}
	done, err := c.Proceed(t.Context(), &bare, idx.Input{VerificationCode: "726009"})
	if err != nil || done.Status != idx.StatusSuccess {
		t.Fatalf("%v, %v", done, err)
	}
	if _, err := done.MarshalText(); !errors.Is(err, idx.ErrNoTransaction) {
		t.Errorf("a finished transaction: %v", err)
	}
	if _, err := c.Proceed(t.Context(), done, idx.Input{Skip: true}); !errors.Is(err, idx.ErrNoTransaction) {
		t.Errorf("a finished transaction: %v", err)
	}

	// The code is spent; the text of before still finds what came of it.
	e.mu.Lock()
	e.script["/idp/idx/introspect"] = []reply{ok("success")}
	e.mu.Unlock()
	if got, err = c.Resume(t.Context(), string(text)); err != nil || got.Tokens == nil || e.redeemed != 1 {
		t.Errorf("%v, %v, redeemed %d times", got, err, e.redeemed)
	}
	e.mu.Lock()
	e.script["/idp/idx/introspect"] = nil
	e.mu.Unlock()
}

func TestResumeRefuses(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("introspect")}})
	tx, err := e.client(t).Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := tx.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	before := len(e.calls)
	for name, tt := range map[string]struct {
		client *idx.Client
		text   string
	}{
		"empty":              {e.client(t), ""},
		"no prefix":          {e.client(t), text[5:]},
		"later version":      {e.client(t), "idx2." + text[5:]},
		"cut":                {e.client(t), text[:len(text)/2]},
		"too long":           {e.client(t), text + strings.Repeat("A", 10000)},
		"another app's":      {e.client(t, func(c *idx.Config) { c.ClientID = "other" }), text},
		"another callback's": {e.client(t, func(c *idx.Config) { c.RedirectURI = "https://x.example/" }), text},
	} {
		if _, err := tt.client.Resume(t.Context(), tt.text); !errors.Is(err, idx.ErrNoTransaction) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(e.calls) != before {
		t.Errorf("requests were made: %v", e.calls[before:])
	}
}

func TestIDX_C79_ResumeExpired(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("introspect"), refused(401, "error-session-expired")}})
	c := e.client(t)
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := tx.MarshalText()
	if _, err := c.Resume(t.Context(), string(text)); !errors.Is(err, idx.ErrExpired) {
		t.Errorf("err = %v", err)
	}
}
