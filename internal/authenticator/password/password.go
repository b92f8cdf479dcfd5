// Package password proves that someone knows a secret they chose.
package password

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "okta_password"

const (
	method = authenticator.Method("password")
	field  = "passcode"

	maxLength = 128  // code points (decision D10)
	maxBytes  = 1024 // of the request; checked before any work is done (SEC S-45)
)

// Config is what an Authenticator is made of. The zero value is good.
type Config struct {
	Complexity *Complexity // default DefaultComplexity()
	Argon2id   Argon2id    // default DefaultArgon2id(); never less
	// Words are those of the organisation, such as its name and its products. They
	// do not count towards the length of a password.
	Words []string
	// Workers is how many hashes are made at a time, default GOMAXPROCS. Four
	// times as many callers may wait.
	Workers int
}

// An Authenticator sets and checks passwords. It is safe for concurrent use.
type Authenticator struct {
	rules  Complexity
	words  []string
	params Argon2id
	pool   *pool
}

var _ authenticator.Authenticator = (*Authenticator)(nil)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	rules := DefaultComplexity()
	if c.Complexity != nil {
		rules = *c.Complexity
		rules.ExcludeAttributes = slices.Clone(rules.ExcludeAttributes)
	}
	if err := rules.validate(); err != nil {
		return nil, err
	}
	if c.Argon2id == (Argon2id{}) {
		c.Argon2id = DefaultArgon2id()
	}
	if err := c.Argon2id.validate(); err != nil {
		return nil, err
	}
	return &Authenticator{
		rules: rules, words: foldWords(c.Words), params: c.Argon2id, pool: newPool(c.Workers),
	}, nil
}

// Info names it as the wire does. Choosing a password shows nothing of who chose it.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "password", ID: "aut1password0000000", Name: "Password", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "lae", AMR: "pwd",
	}
}

// credential is what an enrollment keeps.
type credential struct {
	Hash string `json:"hash"` // PHC string
}

// BeginEnroll asks for a password and tells the rules.
func (a *Authenticator) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Method: method, Fields: []authenticator.Field{{Name: field, Label: "Enter password", Secret: true}},
		Settings: a.rules.settings(),
	}, nil
}

// FinishEnroll hashes a password that keeps the rules, else it returns an
// *authenticator.Rejected (IDX §3.2.3). While more callers wait for the hash than
// the queue holds it returns a *problem.Error of kind Unavailable.
func (a *Authenticator) FinishEnroll(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	password, m := a.choose(in[field], s)
	if m != nil {
		return authenticator.Credential{}, &authenticator.Rejected{Messages: []problem.Message{m.On(field)}}
	}
	return a.hash(ctx, password)
}

// choose returns the new password in NFC, otherwise whole: nothing is trimmed or
// cut off (SEC S-45). A message says why it may not be used.
func (a *Authenticator) choose(typed string, s authenticator.Subject) (string, *problem.Message) {
	switch {
	case directory.Blank(typed):
		return "", blank()
	case len(typed) > maxBytes:
		return "", a.rules.notMet(true)
	}
	password := norm.NFC.String(typed)
	switch {
	case utf8.RuneCountInString(password) > maxLength:
		return "", a.rules.notMet(true)
	case !a.rules.met(password, s):
		return "", a.rules.notMet(false)
	case isCommon(password), a.madeOfWords(password, s):
		return "", common()
	}
	return password, nil
}

// BeginVerify asks for the password.
func (a *Authenticator) BeginVerify(context.Context, authenticator.Subject, authenticator.Credential) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Method: method, Fields: []authenticator.Field{{Name: field, Label: "Password", Secret: true}},
	}, nil
}

// FinishVerify compares in constant time. The credential comes back hashed anew
// if its parameters are below today's. Without a credential it does the same
// work and finds every answer wrong (SEC S-42).
func (a *Authenticator) FinishVerify(ctx context.Context, s authenticator.Subject, c authenticator.Credential, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	typed := in[field]
	switch {
	case directory.Blank(typed):
		return c, authenticator.ErrEmpty
	case len(typed) > maxBytes:
		return c, authenticator.ErrWrong
	}
	password := norm.NFC.String(typed)
	if len(c.Data) == 0 || s.Purpose == authenticator.SignInUnknown {
		if _, err := a.hash(ctx, password); err != nil {
			return c, err
		}
		return c, authenticator.ErrWrong
	}
	var stored credential
	if err := json.Unmarshal(c.Data, &stored); err != nil {
		return c, fmt.Errorf("password: decode credential: %w", err)
	}
	want, err := parsePHC(stored.Hash)
	if err != nil {
		return c, err
	}
	var right bool
	if err := a.pool.do(ctx, func() { right = want.matches(password) }); err != nil {
		return c, err
	}
	switch {
	case !right:
		return c, authenticator.ErrWrong
	case want.params.below(a.params):
		return a.hash(ctx, password)
	}
	return c, nil
}

func (a *Authenticator) hash(ctx context.Context, password string) (authenticator.Credential, error) {
	var phc string
	if err := a.pool.do(ctx, func() { phc = newHash(password, a.params).String() }); err != nil {
		return authenticator.Credential{}, err
	}
	data, err := json.Marshal(credential{Hash: phc})
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("password: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data}, nil
}

func blank() *problem.Message {
	return &problem.Message{Key: "model.validation.field.blank", Text: "This field cannot be left blank", Class: problem.ClassError}
}

func common() *problem.Message {
	return &problem.Message{
		Key: "password.common", Params: []string{""}, Class: problem.ClassError,
		Text: "This password was found in a list of commonly used passwords. Please try another password.",
	}
}
