// Package customotp proves that someone has a token that an operator gave them, a
// device that computes one-time codes by a count or by the clock (RFC 4226, RFC 6238).
package customotp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "custom_otp"

const (
	method = authenticator.Method("otp")
	field  = "passcode"

	ahead  = 10  // presses of the button that nobody saw (AUTH A-44)
	resync = 100 // the same, for who gives two codes in a row (RFC 4226 §7.4)
	drift  = 1   // steps that a clock may be off
)

// Config is what an Authenticator is made of.
type Config struct {
	Now func() time.Time // required
}

// An Authenticator checks the codes of tokens. It is safe for concurrent use.
type Authenticator struct{ now func() time.Time }

// The optional port that it implements.
var _ authenticator.Assigner = (*Authenticator)(nil)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Now == nil {
		return nil, errors.New("customotp: a clock is required")
	}
	return &Authenticator{now: c.Now}, nil
}

// Info names it as the wire does.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "security_key", ID: "aut1customotp000000", Name: "One-Time Code Token", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "chf", AMR: "otp", Class: policy.Possession, Assigned: true,
	}
}

// credential is what an enrollment keeps. Next is the lowest count, or step of the
// clock, whose code is accepted.
type credential struct {
	Secret oath.Secret `json:"secret"`
	Clock  bool        `json:"clock,omitempty"`
	Next   int64       `json:"next"`
}

func (c credential) encode() (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("customotp: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data}, nil
}

// Assign takes what the maker of a token says of it: "secret", in base32, or in
// hexadecimal with "encoding" "hex"; "counter", where its count stands, default 0;
// or "clock" "true" for one that goes by time. It refuses with *authenticator.Rejected.
func (a *Authenticator) Assign(in authenticator.Input) (authenticator.Credential, error) {
	var c credential
	var err error
	if in["encoding"] == "hex" {
		var raw []byte
		if raw, err = hex.DecodeString(strings.Join(strings.Fields(in["secret"]), "")); err == nil {
			c.Secret, err = oath.ParseSecret(oath.Secret(raw).String())
		}
	} else {
		c.Secret, err = oath.ParseSecret(in["secret"])
	}
	if err != nil {
		return authenticator.Credential{}, rejected("secret", "The secret must be 16 to 64 bytes, in base32 or in hexadecimal.")
	}
	if c.Clock = in["clock"] == "true"; !c.Clock && in["counter"] != "" {
		if c.Next, err = strconv.ParseInt(in["counter"], 10, 64); err != nil || c.Next < 0 {
			return authenticator.Credential{}, rejected("counter", "The counter must be a number that is not negative.")
		}
	}
	return c.encode()
}

func rejected(field, text string) error {
	return &authenticator.Rejected{Messages: []problem.Message{{Key: "model.validation", Text: text, Field: field, Class: problem.ClassError}}}
}

// BeginEnroll refuses: nobody gives themselves a token (AUTH §6).
func (a *Authenticator) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{}, &problem.Error{
		Kind: problem.Forbidden, Code: "enroll.hotp.restricted", Detail: "Contact your administrator to continue enrollment",
	}
}

// FinishEnroll refuses as BeginEnroll does.
func (a *Authenticator) FinishEnroll(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt, _ authenticator.Input) (authenticator.Credential, error) {
	_, err := a.BeginEnroll(ctx, s)
	return authenticator.Credential{}, err
}

// BeginVerify asks for a code.
func (a *Authenticator) BeginVerify(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{Method: method, Fields: []authenticator.Field{{Name: field, Label: "Enter code", Required: true}}}, nil
}

// FinishVerify takes each code once, and within ten of the last one. Who has pressed
// the button more often without signing in gives two codes in a row, as one answer.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if directory.Blank(in[field]) {
		return authenticator.Proof{}, authenticator.ErrEmpty
	}
	have := s.First()
	c := credential{Secret: make(oath.Secret, 20)} // for who has none, so that the work is the same (S-42)
	if len(have.Data) > 0 {
		if err := json.Unmarshal(have.Data, &c); err != nil {
			return authenticator.Proof{}, fmt.Errorf("customotp: decode credential: %w", err)
		}
	}
	at, ok := c.find(in[field], oath.StepOf(a.now()))
	if !ok || len(have.Data) == 0 || s.Purpose == authenticator.SignInUnknown {
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	c.Next = at + 1
	updated, err := c.encode()
	have.Data = updated.Data
	return authenticator.Proof{Credential: have}, err
}

// find is where the count, or the clock, of the token stood when it showed what was typed.
func (c credential) find(typed string, now int64) (at int64, ok bool) {
	if c.Clock {
		return c.Secret.Match(typed, max(c.Next, now-drift), now+drift)
	}
	digits := strings.Join(strings.Fields(strings.ReplaceAll(typed, "-", "")), "")
	if len(digits) != 2*oath.Digits {
		return c.Secret.Match(digits, c.Next, c.Next+ahead-1)
	}
	for n := c.Next; n < c.Next+resync; n++ {
		if _, first := c.Secret.Match(digits[:oath.Digits], n, n); first {
			if _, second := c.Secret.Match(digits[oath.Digits:], n+1, n+1); second {
				at, ok = n+1, true
			}
		}
	}
	return at, ok
}
