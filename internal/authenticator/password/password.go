// Package password proves that someone knows a secret they chose.
package password

import (
	"context"
	"runtime"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/pool"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "okta_password"

const (
	method = authenticator.Method("password")
	field  = "passcode"

	maxBytes = 1024 // of the request; checked before any work is done (SEC S-45)
)

// Config is what an Authenticator is made of. The zero value is good. What
// passwords must be like comes with each subject's policy.
type Config struct {
	Argon2id argon2id.Params // default argon2id.Default(); never less
	// Words are those of the organisation, such as its name and its products. They
	// do not count towards the length of a password.
	Words []string
	// Pool is where hashes are made, default NewPool().
	Pool *pool.Pool
	Now  func() time.Time // default time.Now
}

// An Authenticator sets, changes and checks passwords. It is safe for concurrent use.
type Authenticator struct {
	words  []string
	params argon2id.Params
	pool   *pool.Pool
	now    func() time.Time
}

var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Changer       = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Argon2id == (argon2id.Params{}) {
		c.Argon2id = argon2id.Default()
	}
	if err := c.Argon2id.Validate(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pool == nil {
		c.Pool = NewPool()
	}
	return &Authenticator{words: foldWords(c.Words), params: c.Argon2id, pool: c.Pool, now: c.Now}, nil
}

// NewPool bounds how many hashes are made at a time, and so the memory that they
// take, and how many callers wait (SEC S-47). Without it a flood of sign-ins
// would exhaust the machine.
func NewPool() *pool.Pool {
	workers := runtime.GOMAXPROCS(0)
	return pool.New(workers, 4*workers)
}

// Info names it as the wire does. Choosing a password shows nothing of who chose it.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "password", ID: "aut1password0000000", Name: "Password", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "lae", AMR: "pwd", Class: policy.Knowledge,
	}
}

// BeginEnroll asks for a password and tells the rules of the subject's policy.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return ask("Enter password", s, false)
}

// ask is the question for a new password; clients match the label.
func ask(label string, s authenticator.Subject, changing bool) (authenticator.Prompt, error) {
	r, err := rulesFor(s, changing)
	if err != nil {
		return authenticator.Prompt{}, err
	}
	return authenticator.Prompt{
		Method: method, Fields: []authenticator.Field{{Name: field, Label: label, Secret: true}}, Settings: r.settings(),
	}, nil
}

// FinishEnroll hashes a password that keeps the rules, else it returns an
// *authenticator.Rejected (IDX §3.2.3). While more callers wait for the hash than
// the queue holds it returns a *problem.Error of kind Unavailable.
func (a *Authenticator) FinishEnroll(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	r, err := rulesFor(s, false)
	if err != nil {
		return authenticator.Credential{}, err
	}
	password, m := a.choose(in[field], s, r)
	if m != nil {
		return authenticator.Credential{}, rejected(m)
	}
	phc, err := a.hash(ctx, password)
	switch {
	case err != nil:
		return authenticator.Credential{}, err
	case s.Purpose == authenticator.SignInUnknown:
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return credential{Hash: phc, Changed: a.now().UTC()}.encode()
}

// choose returns the new password in NFC, otherwise whole: nothing is trimmed or
// cut off (SEC S-45). A message says why it may not be used.
func (a *Authenticator) choose(typed string, s authenticator.Subject, r rules) (string, *problem.Message) {
	switch {
	case directory.Blank(typed):
		return "", blank()
	case len(typed) > maxBytes:
		return "", r.notMet(true)
	}
	password := norm.NFC.String(typed)
	switch {
	case utf8.RuneCountInString(password) > policy.MaxPasswordLength:
		return "", r.notMet(true)
	case !r.met(password, s):
		return "", r.notMet(false)
	case isCommon(password), a.madeOfWords(password, s, r.MinLength):
		return "", common()
	}
	return password, nil
}

// BeginVerify asks for the password.
func (a *Authenticator) BeginVerify(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Method: method, Fields: []authenticator.Field{{Name: field, Label: "Password", Secret: true}},
	}, nil
}

// FinishVerify compares in constant time. The credential comes back hashed anew
// if its parameters are below today's: the password is the same, so when it was
// chosen and those before it stay. Without a credential it does the same work and
// finds every answer wrong, whatever it is for (SEC S-42).
func (a *Authenticator) FinishVerify(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	c, err := a.verify(ctx, s, in[field])
	return authenticator.Proof{Credential: c}, err
}

func (a *Authenticator) verify(ctx context.Context, s authenticator.Subject, typed string) (authenticator.Credential, error) {
	c := s.First()
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
	stored, err := decode(c)
	if err != nil {
		return c, err
	}
	want, err := argon2id.Parse(stored.Hash)
	if err != nil {
		return c, err
	}
	var right bool
	if err := a.pool.Do(ctx, func() { right = want.Matches(password) }); err != nil {
		return c, err
	}
	switch {
	case !right:
		return c, authenticator.ErrWrong
	case !want.Params.Below(a.params):
		return c, nil
	}
	if stored.Hash, err = a.hash(ctx, password); err != nil {
		return c, err
	}
	updated, err := stored.encode()
	c.Data = updated.Data
	return c, err
}

func (a *Authenticator) hash(ctx context.Context, password string) (phc string, err error) {
	err = a.pool.Do(ctx, func() { phc = argon2id.New(password, a.params).String() })
	return phc, err
}

func rejected(m *problem.Message) error {
	return &authenticator.Rejected{Messages: []problem.Message{m.On(field)}}
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
