// Package recoverycode proves that someone kept a list of codes that each hold once
// (NIST SP 800-63B §3.1.2, look-up secrets).
package recoverycode

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
)

// Key is the authenticator's key on the wire. The protocol has none for it; clients
// that do not know it ask for a code.
const Key = "recovery_code"

const (
	method = authenticator.Method("recovery_code")
	field  = "passcode"

	codes = 10
	size  = 15 // bytes: 120 bits, 24 characters (SEC S-54)
	group = 6  // characters between two hyphens

	// saved is the answer of who has kept the codes.
	saved = "saved"
)

// An Authenticator makes lists of codes and takes them. It is safe for concurrent use.
type Authenticator struct{}

// The optional port that it implements, beside the one that it must.
var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Spender       = (*Authenticator)(nil)
)

// New returns an Authenticator.
func New() *Authenticator { return &Authenticator{} }

// Info names it. The codes are for who has lost what they prove themselves by
// otherwise; whoever has shown nothing is not asked for one.
func (*Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "recovery_code", ID: "aut1recoverycode000", Name: "Recovery Codes", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "rcv", AMR: "otp", Class: policy.Possession, AfterProof: true,
	}
}

// credential is what an enrollment keeps: hashes of the codes that are left. They
// have 120 bits each, so that a plain hash is as good as a slow one.
type credential struct {
	Left [][]byte `json:"left"`
}

func (c credential) encode() (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("recoverycode: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data, Profile: map[string]string{"left": strconv.Itoa(len(c.Left))}}, nil
}

var base = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func newCode() string {
	b := make([]byte, size)
	rand.Read(b)
	text := base.EncodeToString(b)
	var parts []string
	for i := 0; i < len(text); i += group {
		parts = append(parts, text[i:min(i+group, len(text))])
	}
	return strings.Join(parts, "-")
}

// hash is of a code as people type it.
func hash(typed string) []byte {
	sum := sha256.Sum256([]byte(authenticator.BareCode(typed)))
	return sum[:]
}

// BeginEnroll shows ten codes. They are shown once: when the question is closed
// only their hashes are left.
func (*Authenticator) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	var c credential
	var shown []any
	for range codes {
		code := newCode()
		shown = append(shown, code)
		c.Left = append(c.Left, hash(code))
	}
	sealed, err := json.Marshal(c)
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("recoverycode: encode: %w", err)
	}
	return authenticator.Prompt{
		Method: method, Sealed: sealed, Public: map[string]any{"codes": shown},
		Fields: []authenticator.Field{{Name: field, Label: `Enter "saved" once you have kept the codes`, Required: true}},
	}, nil
}

// FinishEnroll takes the word that the codes are kept: what nobody wrote down would
// only seem to be a way back. Any of the codes says so as well, and stays good.
func (*Authenticator) FinishEnroll(_ context.Context, _ authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if directory.Blank(in[field]) {
		return authenticator.Credential{}, authenticator.ErrEmpty
	}
	var c credential
	if err := json.Unmarshal(p.Sealed, &c); err != nil {
		return authenticator.Credential{}, fmt.Errorf("recoverycode: decode: %w", err)
	}
	if strings.ToLower(strings.TrimSpace(in[field])) != saved && c.find(in[field]) < 0 {
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return c.encode()
}

// Spent reports whether no code is left.
func (*Authenticator) Spent(have authenticator.Credential) bool {
	var c credential
	return json.Unmarshal(have.Data, &c) == nil && len(c.Left) == 0
}

// find compares with every code that is left, so that its time tells nothing.
func (c credential) find(typed string) int {
	sum, at := hash(typed), -1
	for i, left := range c.Left {
		if subtle.ConstantTimeCompare(sum, left) == 1 {
			at = i
		}
	}
	return at
}

// BeginVerify asks for one of the codes.
func (*Authenticator) BeginVerify(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Method: method, Fields: []authenticator.Field{{Name: field, Label: "Enter code", Required: true}},
	}, nil
}

// FinishVerify takes a code and crosses it off: the engine writes the list only over
// the one that was read, so of two that use the same code at a time one is too late.
func (*Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if directory.Blank(in[field]) {
		return authenticator.Proof{}, authenticator.ErrEmpty
	}
	have := s.First()
	var c credential
	if len(have.Data) > 0 {
		if err := json.Unmarshal(have.Data, &c); err != nil {
			return authenticator.Proof{}, fmt.Errorf("recoverycode: decode credential: %w", err)
		}
	}
	i := c.find(in[field])
	if i < 0 || s.Purpose == authenticator.SignInUnknown {
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	c.Left = append(c.Left[:i:i], c.Left[i+1:]...)
	updated, err := c.encode()
	have.Data, have.Profile = updated.Data, updated.Profile
	return authenticator.Proof{Credential: have}, err
}
