// Package tac proves that someone was given a temporary access code by an operator,
// who knows them: it is for who has lost all else, or has nothing yet.
package tac

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "tac"

const (
	method = authenticator.Method("tac")
	field  = "passcode"

	length = 16 // characters, of five bits each (63B-4 §3.1.2 asks for 64 bits)
	group  = 4  // characters between two hyphens

	// The bounds of how long a code is good (AUTH §6), and what it is unless it is said.
	shortest = 10 * time.Minute
	longest  = 10 * 24 * time.Hour
	usual    = time.Hour
)

// alphabet is Crockford's base32: nothing in it looks like something else.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// Config is what an Authenticator is made of.
type Config struct {
	Now func() time.Time // required
}

// An Authenticator makes codes and takes them. It is safe for concurrent use.
type Authenticator struct{ now func() time.Time }

// The optional ports that it implements.
var (
	_ authenticator.Issuer  = (*Authenticator)(nil)
	_ authenticator.Spender = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Now == nil {
		return nil, errors.New("tac: a clock is required")
	}
	return &Authenticator{now: c.Now}, nil
}

// Info names it as the wire does.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "tac", ID: "aut1tac0000000000000", Name: "Temporary Access Code", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "tac", AMR: "otp", Class: policy.Possession, Assigned: true,
		Unguessable: true,
	}
}

// credential is what an enrollment keeps: nothing that a code could be made of.
type credential struct {
	Hash []byte    `json:"hash,omitempty"` // none: it was used
	Ends time.Time `json:"ends"`
	Many bool      `json:"many,omitempty"` // it holds until it ends, however often it is used
}

func (c credential) encode() (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("tac: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data}, nil
}

// Issue makes a code that is good for the duration "for", ten minutes to ten days,
// default one hour, and once, or until then with "uses" "many". It refuses with
// *authenticator.Rejected.
func (a *Authenticator) Issue(in authenticator.Input) (authenticator.Issued, error) {
	life, err := usual, error(nil)
	if in["for"] != "" {
		life, err = time.ParseDuration(in["for"])
	}
	if err != nil || life < shortest || life > longest {
		return authenticator.Issued{}, rejected("for", "A code is good for 10 minutes at least and 10 days (240h) at most.")
	}
	if in["uses"] != "" && in["uses"] != "once" && in["uses"] != "many" {
		return authenticator.Issued{}, rejected("uses", "A code is used once or many times.")
	}
	out := authenticator.Issued{Secret: newCode(), ExpiresAt: a.now().Add(life).Truncate(time.Second)}
	out.Credential, err = credential{Hash: hash(out.Secret), Ends: out.ExpiresAt, Many: in["uses"] == "many"}.encode()
	return out, err
}

func rejected(field, text string) error {
	return &authenticator.Rejected{Messages: []problem.Message{{Key: "model.validation", Text: text, Field: field, Class: problem.ClassError}}}
}

func newCode() string {
	raw := make([]byte, length)
	rand.Read(raw)
	var out strings.Builder
	for i, b := range raw {
		if i > 0 && i%group == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(alphabet[b&31])
	}
	return out.String()
}

// hash is of a code as people type it.
func hash(typed string) []byte {
	sum := sha256.Sum256([]byte(authenticator.BareCode(typed)))
	return sum[:]
}

// Spent reports whether a code was used, or is too old.
func (a *Authenticator) Spent(have authenticator.Credential) bool {
	var c credential
	return json.Unmarshal(have.Data, &c) == nil && !c.good(a.now())
}

func (c credential) good(now time.Time) bool { return len(c.Hash) > 0 && now.Before(c.Ends) }

// BeginEnroll refuses: nobody gives themselves a code (AUTH A-43).
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

// BeginVerify asks for the code.
func (a *Authenticator) BeginVerify(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{Method: method, Fields: []authenticator.Field{{Name: field, Label: "Enter code", Secret: true, Required: true}}}, nil
}

// FinishVerify takes a code and crosses it off: the engine writes that only over what
// was read, so of two that use the same code at a time one is too late.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if directory.Blank(in[field]) {
		return authenticator.Proof{}, authenticator.ErrEmpty
	}
	have := s.First()
	var c credential
	if len(have.Data) > 0 {
		if err := json.Unmarshal(have.Data, &c); err != nil {
			return authenticator.Proof{}, fmt.Errorf("tac: decode credential: %w", err)
		}
	}
	right := subtle.ConstantTimeCompare(hash(in[field]), c.Hash) == 1
	if !right || !c.good(a.now()) || s.Purpose == authenticator.SignInUnknown {
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	if !c.Many {
		c.Hash = nil
	}
	updated, err := c.encode()
	have.Data = updated.Data
	return authenticator.Proof{Credential: have}, err
}
