package idx_test

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// The same calls as against scripts, here against a real engine.
func TestEngine(t *testing.T) {
	e := stiletest.Start(t)
	public, err := idx.New(idx.Config{
		Issuer: e.Issuer, ClientID: e.PublicClientID, RedirectURI: e.RedirectURI, Now: e.Clock.Now,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*idx.Client{"confidential": e.Client, "public": public} {
		p := person{e, c, name + "@example.org"}
		t.Run(name+" sign-up and tokens", p.signsUp)
		t.Run(name+" sign-in", p.signsIn)
		t.Run(name+" mistakes and a password", p.takesPassword)
		t.Run(name+" link", p.opensLink)
		t.Run(name+" expiry", p.comesTooLate)
	}
}

type person struct {
	e       *stiletest.Engine
	c       *idx.Client
	address string
}

func (p person) profile(address string) idx.Profile {
	return idx.Profile{FirstName: "John", LastName: "Doe", Email: address}
}

// at fails the test unless a call led to the step; "" is success.
func at(t *testing.T, tx *idx.Transaction, err error, step string) {
	t.Helper()
	switch {
	case err != nil:
		t.Fatal(err)
	case step == "" && tx.Status == idx.StatusSuccess:
	case tx.NextStep == nil || tx.NextStep.Name != step:
		t.Fatalf("got %v, not %q", tx, step)
	}
}

func (p person) signsUp(t *testing.T) {
	ctx, c := t.Context(), p.c
	tx, err := c.Register(ctx, p.profile(p.address))
	at(t, tx, err, "enroll-authenticator")
	if d := tx.NextStep.Authenticator.Delivery; d == nil || d.TriesLeft != 5 || d.CodeExpiresAt.IsZero() {
		t.Errorf("Delivery = %+v", d)
	}
	text, err := tx.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: "not it"})
	at(t, tx, err, "enroll-authenticator")
	if len(tx.Messages) != 1 || tx.Messages[0].Field != "verificationCode" {
		t.Errorf("messages: %v", keys(tx.Messages))
	}
	tx, err = c.Resend(ctx, tx)
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Poll(ctx, tx)
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Resume(ctx, string(text))
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
	at(t, tx, err, "select-authenticator-enroll")
	if !tx.NextStep.CanSkip || len(tx.NextStep.Options) == 0 {
		t.Errorf("list: %v, CanSkip %v", tx.NextStep.Options, tx.NextStep.CanSkip)
	}
	tx, err = c.Proceed(ctx, tx, idx.Input{Skip: true})
	at(t, tx, err, "")

	access, id := tx.Tokens.AccessToken.Value, tx.Tokens.IDToken
	info, err := c.UserInfo(ctx, access)
	if err != nil || info.Subject != id.Claims.Subject || info.Email != p.address {
		t.Errorf("userinfo: %+v, %v", info, err)
	}
	if _, err := c.VerifyIDToken(ctx, id.Value); err != nil {
		t.Error(err)
	}
	if _, err := c.VerifyIDToken(ctx, access); !errors.Is(err, idx.ErrInvalidToken) {
		t.Errorf("SEC_S84 an access token passed for an ID token: %v", err)
	}
	if r := tx.Tokens.RefreshToken; r != nil {
		fresh, err := c.Refresh(ctx, r.Value)
		if err != nil || fresh.AccessToken.Value == access || fresh.IDToken.Claims.Subject != id.Claims.Subject {
			t.Errorf("refresh: %v, %v", fresh, err)
		}
	}
	if err := c.Revoke(ctx, access, "access_token"); err != nil {
		t.Error(err)
	}
	p.e.Clock.Advance(2 * time.Second) // a node may know a revocation a second late
	var re *idx.ResponseError
	if _, err := c.UserInfo(ctx, access); !errors.As(err, &re) || re.Code != "invalid_token" || re.RequestID == "" {
		t.Errorf("after revocation: %v", err)
	}
}

func (p person) signsIn(t *testing.T) {
	tx, err := p.c.Authenticate(t.Context(), idx.Credentials{Username: p.address})
	at(t, tx, err, "challenge-authenticator")
	tx, err = p.c.Proceed(t.Context(), tx, idx.Input{VerificationCode: p.e.Code(t, p.address)})
	at(t, tx, err, "")
}

func (p person) takesPassword(t *testing.T) {
	ctx, c := t.Context(), p.c
	tx, err := c.Register(ctx, idx.Profile{FirstName: "John", Email: "no address"})
	at(t, tx, err, "enroll-profile")
	fields := map[string]bool{}
	for _, m := range tx.Messages {
		fields[m.Field] = true
	}
	if !fields["lastName"] || !fields["email"] || fields["firstName"] {
		t.Errorf("messages: %v", keys(tx.Messages))
	}
	if tx, err = c.Cancel(ctx, tx); err != nil || tx.Status != idx.StatusCanceled {
		t.Fatalf("%v, %v", tx, err)
	}
	other := "password-" + p.address
	profile := p.profile(other)
	tx, err = c.Proceed(ctx, tx, idx.Input{Profile: &profile})
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(t, other)})
	at(t, tx, err, "select-authenticator-enroll")
	tx, err = c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_password"})
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Proceed(ctx, tx, idx.Input{Password: "short"})
	at(t, tx, err, "enroll-authenticator")
	if len(tx.Messages) != 1 || tx.Messages[0].Field != "password" {
		t.Errorf("messages: %v", keys(tx.Messages))
	}
	tx, err = c.Proceed(ctx, tx, idx.Input{Password: "a long and winding road 7"})
	at(t, tx, err, "select-authenticator-enroll")
	tx, err = c.Proceed(ctx, tx, idx.Input{Skip: true})
	at(t, tx, err, "")
}

func (p person) opensLink(t *testing.T) {
	ctx, address := t.Context(), "link-"+p.address
	tx, err := p.c.Register(ctx, p.profile(address))
	at(t, tx, err, "enroll-authenticator")
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Get(p.e.Link(t, address))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	var elsewhere *idx.CallbackError
	if _, err := p.c.HandleCallback(ctx, nil, to.Query()); !errors.As(err, &elsewhere) || elsewhere.State != tx.State() {
		t.Errorf("in another browser: %v", err)
	}
	tx, err = p.c.HandleCallback(ctx, tx, to.Query())
	at(t, tx, err, "select-authenticator-enroll")

	// A person presses five times. The engine gives its code to some of them, and
	// tells the others that the flow went on; nobody makes it revoke the tokens.
	var wg sync.WaitGroup
	got := make([]*idx.Transaction, 5)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = p.c.Proceed(ctx, tx, idx.Input{Skip: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	signedIn := 0
	for _, g := range got {
		if g == nil || g.Tokens == nil {
			continue
		}
		signedIn++
		if _, err := p.c.UserInfo(ctx, g.Tokens.AccessToken.Value); err != nil {
			t.Error(err)
		}
	}
	if signedIn == 0 {
		t.Error("nobody was signed in")
	}
}

func (p person) comesTooLate(t *testing.T) {
	tx, err := p.c.Start(t.Context(), idx.StartOptions{})
	at(t, tx, err, "identify")
	p.e.Clock.Advance(2 * time.Hour)
	if _, err := p.c.Proceed(t.Context(), tx, idx.Input{Username: p.address}); !errors.Is(err, idx.ErrExpired) {
		t.Errorf("err = %v", err)
	}
}
