package myaccount_test

import (
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
)

// Codes by mail and codes of an app have one reference in tokens. The mailbox alone
// does not take the app away all the same, also where the engine keeps no session:
// not with the token of the sign-in, and not with one that was renewed.
func TestSEC_S56_MailboxIsNoApp(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("google_otp"))
	c, err := idx.New(idx.Config{
		Issuer: e.Issuer, ClientID: e.PublicClientID, RedirectURI: e.RedirectURI, Now: e.Clock.Now, Scopes: append([]string{"offline_access"}, manage...),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, e: e, c: c}
	ctx := t.Context()
	var tx *idx.Transaction
	then := func(next *idx.Transaction, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tx = next
	}
	then(c.Register(ctx, idx.Profile{FirstName: "Vera", LastName: "Victim", Email: old}))
	then(c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, old)}))
	then(c.Proceed(ctx, tx, idx.Input{Authenticator: "google_otp"}))
	text, _ := tx.NextStep.Authenticator.Context["sharedSecret"].(string)
	secret, err := oath.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	then(c.Proceed(ctx, tx, idx.Input{VerificationCode: secret.Code(oath.StepOf(e.Clock.Now()))}))
	if tx.Tokens == nil {
		then(c.Proceed(ctx, tx, idx.Input{Skip: true}))
	}
	e.Clock.Advance(time.Hour)

	p.again(old)
	if p.token == "" {
		t.Fatal("no token")
	}
	var path string
	for _, m := range p.wants(p.do("GET", "/idp/myaccount/methods", ""), 200).list {
		if m["key"] == "google_otp" {
			path = at(m, "_links", "self", "href").(string)
		}
	}
	p.wants(p.do("DELETE", path, ""), 403)

	then(c.Authenticate(ctx, idx.Credentials{Username: old}))
	then(c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, old)}))
	renewed, err := c.Refresh(ctx, tx.Tokens.RefreshToken.Value)
	if err != nil {
		t.Fatal(err)
	}
	p.token = renewed.AccessToken.Value
	p.wants(p.do("DELETE", path, ""), 403)

	// Who steps up, as the refusal says, is through.
	e.Mails(t, old)
	then(c.Start(ctx, idx.StartOptions{ACRValues: []string{"urn:okta:loa:2fa:any:ifpossible"}}))
	then(c.Proceed(ctx, tx, idx.Input{Username: old}))
	if tx.Step("select-authenticator-authenticate") != nil && tx.NextStep.Authenticator == nil {
		then(c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_email"}))
	}
	then(c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, old)}))
	if tx.Tokens == nil && tx.NextStep.Authenticator == nil {
		then(c.Proceed(ctx, tx, idx.Input{Authenticator: "google_otp"}))
	}
	if tx.Tokens == nil {
		then(c.Proceed(ctx, tx, idx.Input{VerificationCode: secret.Code(oath.StepOf(e.Clock.Now()))}))
	}
	if tx.Tokens == nil {
		t.Fatalf("%+v", tx.NextStep)
	}
	p.token = tx.Tokens.AccessToken.Value
	p.wants(p.do("DELETE", path, ""), 204)
}
