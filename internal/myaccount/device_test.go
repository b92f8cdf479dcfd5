package myaccount_test

import (
	"testing"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// A device that is renamed here has the name in its profile and on the device too.
func TestARenamedDeviceKnowsItsName(t *testing.T) {
	e := stiletest.Start(t)
	c, err := idx.New(idx.Config{Issuer: e.Issuer, ClientID: e.PublicClientID, RedirectURI: e.RedirectURI, Scopes: manage, Now: e.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := c.Register(t.Context(), idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: old})
	if err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: e.Code(t, old)})
	}
	if err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{Authenticator: "okta_verify"})
	}
	if err != nil {
		t.Fatal(err)
	}
	own, _ := tx.NextStep.Authenticator.Context["stile"].(map[string]any)
	phone := e.Phone(t, own["link"].(string))
	if tx, err = c.Poll(t.Context(), tx); err == nil && tx.Tokens == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{Skip: true})
	}
	if err != nil || tx.Tokens == nil {
		t.Fatalf("%+v, %v", tx, err)
	}
	// The sign-up has shown the mailbox alone: who has a device shows that.
	if tx, err = c.Authenticate(t.Context(), idx.Credentials{Username: old}); err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{Authenticator: "okta_verify", Values: map[string]any{"authenticator.methodType": "totp"}})
	}
	if err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: phone.Code(0)})
	}
	if err != nil || tx.Tokens == nil {
		t.Fatalf("%+v, %v", tx, err)
	}
	p := &person{t: t, e: e, c: c, token: tx.Tokens.AccessToken.Value}
	id := ""
	for _, m := range p.wants(p.do("GET", "/idp/myaccount/methods", ""), 200).list {
		if m["key"] == "okta_verify" && m["id"] != nil {
			id = m["id"].(string)
		}
	}
	p.wants(p.do("PUT", "/idp/myaccount/methods/"+id, `{"label":" Ada's phone "}`), 204)
	if got := phone.Name(t); got != "Ada's phone" {
		t.Errorf("the device is called %q", got)
	}
	for _, m := range p.wants(p.do("GET", "/idp/myaccount/methods", ""), 200).list {
		if m["id"] == id && (m["label"] != "Ada's phone" || at(m, "profile", "deviceName") != "Ada's phone") {
			t.Errorf("%v", m)
		}
	}
	if code := phone.Code(0); len(code) != 6 || len(phone.Requests(t)) != 0 {
		t.Errorf("it speaks no more: %q", code)
	}
}
