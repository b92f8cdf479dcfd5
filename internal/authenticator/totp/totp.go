// Package totp proves that someone has an app that computes one-time codes (RFC 6238).
package totp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rsc.io/qr"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "google_otp"

const (
	method = authenticator.Method("otp")
	field  = "passcode"
)

// How many steps a code may be early or late. At enrollment clocks may be off, and
// clients test with old codes (AUTH §2.1); afterwards one step either way (SEC S-52).
const (
	enrollBack, enrollAhead = 5, 1
	verifyBack, verifyAhead = 1, 1
)

// Config is what an Authenticator is made of.
type Config struct {
	Now    func() time.Time // required
	Issuer func() string    // the name that apps show beside the code; nil or empty: the app's
}

// An Authenticator enrols and checks apps. It is safe for concurrent use.
type Authenticator struct {
	now    func() time.Time
	issuer func() string
}

var _ authenticator.Authenticator = (*Authenticator)(nil)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Now == nil {
		return nil, errors.New("totp: a clock is required")
	}
	if c.Issuer == nil {
		c.Issuer = func() string { return "" }
	}
	return &Authenticator{now: c.Now, issuer: c.Issuer}, nil
}

// Info names it as the wire does: clients match the label.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "app", ID: "aut1googleotp000000", Name: "Google Authenticator", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "uft", AMR: "otp", Class: policy.Possession,
		Wrong: message("authfactor.challenge.soft_token.invalid_passcode", "Your code doesn't match our records. Please try again."),
	}
}

// credential is what an enrollment keeps. Step is the highest whose code was
// accepted: no code of it or before is accepted again (RFC 6238 §5.2).
type credential struct {
	Secret oath.Secret `json:"secret"`
	Step   int64       `json:"step"`
}

func (c credential) encode() (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("totp: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data}, nil
}

// BeginEnroll makes a secret and shows it, as a picture to scan and as text. It is
// nobody's until its first code has come back.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	secret := oath.NewSecret()
	issuer := a.issuer()
	if issuer == "" {
		issuer = s.App
	}
	picture, err := qr.Encode(secret.URI(issuer, s.Login), qr.M)
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("totp: draw: %w", err)
	}
	p := question()
	p.Sealed = secret
	p.Public = map[string]any{
		"qrcode": map[string]any{
			"method": "embedded", "type": "image/png",
			"href": "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.PNG()),
		},
		"sharedSecret": secret.String(),
	}
	return p, nil
}

func question() authenticator.Prompt {
	return authenticator.Prompt{Method: method, Fields: []authenticator.Field{{Name: field, Label: "Enter code", Required: true}}}
}

// FinishEnroll takes a code that the app computes from the secret.
func (a *Authenticator) FinishEnroll(_ context.Context, _ authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if directory.Blank(in[field]) {
		return authenticator.Credential{}, authenticator.ErrEmpty
	}
	now := oath.StepOf(a.now())
	step, ok := oath.Secret(p.Sealed).Match(in[field], now-enrollBack, now+enrollAhead)
	if !ok {
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return credential{Secret: p.Sealed, Step: step}.encode()
}

// BeginVerify asks for a code.
func (a *Authenticator) BeginVerify(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return question(), nil
}

// FinishVerify takes each code once: the engine writes the step only over the one
// that was read, so of the same code given twice at a time one is too late (SEC S-52).
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if directory.Blank(in[field]) {
		return authenticator.Proof{}, authenticator.ErrEmpty
	}
	have := s.First()
	c := credential{Secret: make(oath.Secret, 20)} // for who has none, so that the work is the same (S-42)
	if len(have.Data) > 0 {
		if err := json.Unmarshal(have.Data, &c); err != nil {
			return authenticator.Proof{}, fmt.Errorf("totp: decode credential: %w", err)
		}
	}
	now := oath.StepOf(a.now())
	step, ok := c.Secret.Match(in[field], now-verifyBack, now+verifyAhead)
	switch {
	case !ok, len(have.Data) == 0, s.Purpose == authenticator.SignInUnknown:
		return authenticator.Proof{}, authenticator.ErrWrong
	case step <= c.Step:
		return authenticator.Proof{}, &authenticator.Wrong{Message: message("authfactor.challenge.soft_token.used_passcode",
			"Each code can only be used once. Please wait for a new code and try again.")}
	}
	c.Step = step
	updated, err := c.encode()
	have.Data = updated.Data
	return authenticator.Proof{Credential: have}, err
}

func message(key, text string) problem.Message {
	return problem.Message{Key: key, Text: text, Field: field, Class: problem.ClassError}
}
