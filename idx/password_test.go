package idx_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

const (
	long  = "a long and winding road 7"
	other = "another road of some length 8"
)

// withPassword gives an engine, and a person who has a password there.
func withPassword(t *testing.T, yaml string) person {
	t.Helper()
	e := stiletest.Start(t, stiletest.Org(yaml))
	p := person{e, e.Client, "john@example.org"}
	ctx := t.Context()
	tx, err := p.c.Register(ctx, p.profile(p.address))
	at(t, tx, err, "enroll-authenticator")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, p.address)})
	at(t, tx, err, "select-authenticator-enroll")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_password", Password: long})
	if err == nil && tx.NextStep != nil && tx.NextStep.CanSkip { // what is optional is left
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Skip: true})
	}
	at(t, tx, err, "")
	e.Clock.Advance(time.Hour)
	return p
}

func TestAuthenticateByPassword(t *testing.T) {
	ctx := t.Context()
	t.Run("identifier first", func(t *testing.T) {
		p := withPassword(t, "")
		tx, err := p.c.Authenticate(ctx, idx.Credentials{Username: p.address})
		at(t, tx, err, "challenge-authenticator")
		if tx.HasFeature(idx.FeaturePasswordRecover) {
			t.Error("recovery is offered for the email")
		}
		tx, err = p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: "wrong"})
		at(t, tx, err, "challenge-authenticator")
		if got := keys(tx.Messages); len(got) != 1 || tx.NextStep.Type != "password" || !tx.HasFeature(idx.FeaturePasswordRecover) {
			t.Errorf("messages %v at %s", got, tx.NextStep.Type)
		}
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: long})
		at(t, tx, err, "")
	})
	t.Run("both on the first form", func(t *testing.T) {
		p := withPassword(t, "session: [{name: default, primary: password}]")
		tx, err := p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: "wrong"})
		at(t, tx, err, "identify")
		if got := keys(tx.Messages); len(got) != 1 {
			t.Errorf("messages %v", got)
		}
		tx, err = p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: long, RememberMe: true})
		at(t, tx, err, "")
	})
	t.Run("two factors", func(t *testing.T) {
		p := withPassword(t, "access: [{name: default, rules: [{name: default, factors: 2}]}]")
		tx, err := p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: long})
		at(t, tx, err, "challenge-authenticator") // the code was sent with the user name
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
		at(t, tx, err, "")
	})
	t.Run("two factors because the app asks for them", func(t *testing.T) {
		p := withPassword(t, "")
		age := time.Minute
		tx, err := p.c.Start(ctx, idx.StartOptions{MaxAge: &age, ACRValues: []string{"urn:unknown", "urn:okta:loa:2fa:any"}})
		at(t, tx, err, "identify")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Username: p.address, Password: long})
		at(t, tx, err, "challenge-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
		at(t, tx, err, "")
		if got := tx.Tokens.IDToken.Claims.All["acr"]; got != "urn:okta:loa:2fa:any" {
			t.Errorf("acr = %v", got)
		}
	})
}

func TestRecoverPassword(t *testing.T) {
	ctx := t.Context()
	p := withPassword(t, "")
	tx, err := p.c.Start(ctx, idx.StartOptions{})
	at(t, tx, err, "identify")
	if !tx.HasFeature(idx.FeaturePasswordRecover) || !slices.Contains(tx.AvailableSteps, "currentAuthenticator-recover") {
		t.Errorf("features %v, steps %v", tx.EnabledFeatures, tx.AvailableSteps)
	}
	tx, err = p.c.RecoverPassword(ctx, idx.Credentials{})
	at(t, tx, err, "identify-recovery")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Username: p.address})
	at(t, tx, err, "select-authenticator-authenticate")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_email"})
	at(t, tx, err, "challenge-authenticator")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
	at(t, tx, err, "reset-authenticator")
	if !tx.NextStep.CanSkip {
		t.Error("going on without a password is not offered")
	}
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: "short"})
	at(t, tx, err, "reset-authenticator")
	if len(tx.Messages) != 1 || tx.Messages[0].Field != "password" || len(tx.Messages[0].I18n.Params) != 1 {
		t.Errorf("messages: %+v", tx.Messages)
	}
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: other})
	at(t, tx, err, "")

	t.Run("from the password, and without one", func(t *testing.T) {
		tx, err := p.c.Authenticate(ctx, idx.Credentials{Username: p.address})
		at(t, tx, err, "challenge-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_password"})
		at(t, tx, err, "challenge-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Step: "recover"})
		at(t, tx, err, "select-authenticator-authenticate")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_email"})
		at(t, tx, err, "challenge-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
		at(t, tx, err, "reset-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Skip: true})
		at(t, tx, err, "")
	})
	t.Run("with the user name at once", func(t *testing.T) {
		tx, err := p.c.RecoverPassword(ctx, idx.Credentials{Username: p.address})
		at(t, tx, err, "select-authenticator-authenticate")
	})
	t.Run("ends without a sign-in", func(t *testing.T) {
		p := withPassword(t, "password: [{name: default, complexity: {minLength: 8}, noSignIn: true}]")
		tx, err := p.c.RecoverPassword(ctx, idx.Credentials{Username: p.address})
		at(t, tx, err, "select-authenticator-authenticate")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_email"})
		at(t, tx, err, "challenge-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
		at(t, tx, err, "reset-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: other})
		if err != nil || tx.Status != idx.StatusTerminal || len(tx.Messages) != 1 || tx.Messages[0].I18n.Key != "idx.recovery.completed" {
			t.Errorf("%v, %v", tx, err)
		}
	})
	t.Run("a token that is none", func(t *testing.T) {
		for name, err := range map[string]error{
			"recovery":   second(p.c.RecoverPassword(ctx, idx.Credentials{RecoveryToken: "no such"})),
			"activation": second(p.c.Register(ctx, idx.Profile{ActivationToken: "no such"})),
		} {
			if err == nil {
				t.Errorf("a %s token that is none begins a transaction", name)
			}
		}
	})
}

func second(_ *idx.Transaction, err error) error { return err }

func TestUnlockAccount(t *testing.T) {
	ctx := t.Context()
	p := withPassword(t, "password: [{name: default, complexity: {minLength: 8}, unlock: true}]")
	tx, err := p.c.Start(ctx, idx.StartOptions{})
	at(t, tx, err, "identify")
	if !tx.HasFeature(idx.FeatureAccountUnlock) {
		t.Errorf("features %v", tx.EnabledFeatures)
	}
	tx, err = p.c.UnlockAccount(ctx, idx.Credentials{Username: p.address})
	at(t, tx, err, "select-authenticator-unlock-account")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{Username: p.address, Authenticator: "okta_email"})
	at(t, tx, err, "challenge-authenticator")
	tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
	at(t, tx, err, "")
}

func TestAfterSignIn(t *testing.T) {
	ctx := t.Context()
	t.Run("expired", func(t *testing.T) {
		p := withPassword(t, "password: [{name: default, complexity: {minLength: 8}, maxAge: 90d, warn: 5d}]")
		p.e.Clock.Advance(86 * 24 * time.Hour)
		tx, err := p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: long})
		at(t, tx, err, "reenroll-authenticator-warning")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Skip: true})
		at(t, tx, err, "")
		p.e.Clock.Advance(5 * 24 * time.Hour)
		tx, err = p.c.Authenticate(ctx, idx.Credentials{Username: p.address, Password: long})
		at(t, tx, err, "reenroll-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: long})
		at(t, tx, err, "reenroll-authenticator")
		if len(tx.Messages) != 1 || tx.Messages[0].Field != "newPassword" {
			t.Errorf("the same again: %+v", tx.Messages)
		}
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Password: other})
		at(t, tx, err, "")
	})
	t.Run("profile", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Org("profile: [{name: default, attributes: [{name: team, label: Team, when: sign-in, required: true}]}]"))
		p := person{e, e.Client, "jane@example.org"}
		tx, err := p.c.Register(ctx, p.profile(p.address))
		at(t, tx, err, "enroll-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, p.address)})
		at(t, tx, err, "select-authenticator-enroll")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Skip: true})
		at(t, tx, err, "profile-update")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Profile: &idx.Profile{Attributes: map[string]string{"team": "red"}}})
		at(t, tx, err, "")
	})
	t.Run("more than anybody can show", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Org("enrollment: [{name: default, authenticators: [{key: okta_email, need: required}]}]\n"+
			"access: [{name: default, rules: [{name: default, factors: 2}]}]"))
		p := person{e, e.Client, "jim@example.org"}
		tx, err := p.c.Register(ctx, p.profile(p.address))
		at(t, tx, err, "enroll-authenticator")
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, p.address)})
		if err != nil || tx.Status != idx.StatusTerminal || tx.NextStep != nil {
			t.Errorf("%v, %v", tx, err)
		}
	})
}
