// Package email proves that someone reads the mail of an address, by a code to
// type or a link to open.
package email

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
)

// Key is the authenticator's key on the wire.
const Key = "okta_email"

const (
	method = authenticator.Method("email")
	field  = "passcode"

	// maxLive is how many codes of one challenge are kept, the newest: the first
	// and five more (SEC S-11). Each is one more right answer to a guess.
	maxLive = 6
)

// Config is what an Authenticator is made of.
type Config struct {
	Keyring   *keyring.Keyring // required; makes links that the database alone cannot
	Now       func() time.Time // required
	PublicURL string           // required; where the engine is reached, without a path
	Lifetime  time.Duration    // of a code and its link; default and maximum 10 minutes (SEC S-02)
	Digits    int              // of a code; 6 to 10, default 6 (SEC S-01)
}

// An Authenticator sends codes and links. It is safe for concurrent use.
type Authenticator struct {
	keys     *keyring.Keyring
	now      func() time.Time
	base     string // of links, up to the token
	lifetime time.Duration
	digits   int
}

// The optional ports that it implements.
var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Resender      = (*Authenticator)(nil)
	_ authenticator.Linker        = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Lifetime == 0 {
		c.Lifetime = 10 * time.Minute
	}
	if c.Digits == 0 {
		c.Digits = minDigits
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case c.Keyring == nil || c.Now == nil:
		return nil, errors.New("email: keyring and clock are required")
	case err != nil:
		return nil, fmt.Errorf("email: public URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("email: public URL %q is not of the form https://host", c.PublicURL)
	case c.Lifetime < time.Minute || c.Lifetime > 10*time.Minute:
		return nil, fmt.Errorf("email: lifetime %v is not within 1 to 10 minutes", c.Lifetime)
	case c.Digits < minDigits || c.Digits > maxDigits:
		return nil, fmt.Errorf("email: %d digits are not within %d to %d", c.Digits, minDigits, maxDigits)
	}
	return &Authenticator{
		keys: c.Keyring, now: c.Now, base: strings.TrimRight(c.PublicURL, "/") + "/email/verify/",
		lifetime: c.Lifetime, digits: c.Digits,
	}, nil
}

// Info names it as the wire does. A mailed code is a one-time password, which is
// all that "otp" says in RFC 8176. Policies count it as possession, of the mailbox;
// it is one factor and can be relayed (SEC S-57).
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "email", ID: "aut1email0000000000", Name: "Email", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "eae", EnrollmentProves: true, AMR: "otp", Class: policy.Possession,
	}
}

// credential is what an enrollment keeps.
type credential struct {
	Address   string `json:"address"`   // as people read it
	Canonical string `json:"canonical"` // as accounts are found by it
}

// challenge is what a prompt keeps sealed: the codes that were sent, and what
// they are good for.
type challenge struct {
	Bound  [32]byte `json:"bound"`
	Serial int      `json:"serial"` // of the newest code; the first is 1
	Codes  []issued `json:"codes"`  // oldest first
}

type issued struct {
	Serial    int       `json:"serial"`
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// errTooOld is a wrong answer that was right once.
var errTooOld = fmt.Errorf("%w: past its time", authenticator.ErrWrong)

// BeginEnroll sends a code and a link to the subject's address.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return a.begin(s)
}

// FinishEnroll accepts every code of the challenge that is not past its time, and
// the answer of its link as well.
func (a *Authenticator) FinishEnroll(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if err := a.check(s, p, in); err != nil {
		return authenticator.Credential{}, err
	}
	return a.Vouch(s)
}

// Vouch makes the credential of the subject's address, which somebody else has proven.
func (a *Authenticator) Vouch(s authenticator.Subject) (authenticator.Credential, error) {
	address, err := directory.ParseAddress(s.Address)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("email: address of the subject: %w", err)
	}
	data, err := json.Marshal(credential{Address: address.Display, Canonical: address.Canonical})
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("email: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data, Profile: map[string]string{"email": directory.Mask(address.Display)}}, nil
}

// BeginVerify sends a code and a link to the subject's address, which is the
// account's and not the one typed. For an address without an account it sends
// a mail without either.
func (a *Authenticator) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return a.begin(s)
}

// FinishVerify accepts what FinishEnroll does.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	return authenticator.Proof{Credential: s.First()}, a.check(s, p, in)
}

// Resend sends one more code; those sent before stay good until their own end
// (decision D5), but for the oldest of more than six.
func (a *Authenticator) Resend(_ context.Context, s authenticator.Subject, p authenticator.Prompt) (authenticator.Prompt, error) {
	ch, err := decode(p)
	if err != nil {
		return authenticator.Prompt{}, err
	}
	return a.issue(s, ch)
}

func (a *Authenticator) begin(s authenticator.Subject) (authenticator.Prompt, error) {
	return a.issue(s, challenge{Bound: a.bind(s)})
}

// issue adds a code to the challenge and makes the mail that carries it.
func (a *Authenticator) issue(s authenticator.Subject, ch challenge) (authenticator.Prompt, error) {
	address, err := directory.ParseAddress(s.Address)
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("email: address of the subject: %w", err)
	}
	code, err := newCode(a.digits)
	if err != nil {
		return authenticator.Prompt{}, err
	}
	ch.Serial++
	next := issued{Serial: ch.Serial, Code: code, ExpiresAt: a.now().Add(a.lifetime)}
	ch.Codes = append(ch.Codes, next)
	if n := len(ch.Codes); n > maxLive {
		ch.Codes = ch.Codes[n-maxLive:]
	}
	sealed, err := json.Marshal(ch)
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("email: encode challenge: %w", err)
	}
	mail := authenticator.Mail{
		Template: string(s.Purpose), To: address.Mailbox(), FirstName: s.FirstName,
		Code: code, Link: a.base + a.token(claim{s.Transaction, s.Challenge, next.Serial}), ExpiresAt: next.ExpiresAt,
	}
	switch s.Purpose {
	case authenticator.SignUp, authenticator.SignIn, authenticator.Recovery, authenticator.Unlock:
	case authenticator.SignUpKnown, authenticator.EmailChange:
		mail.FirstName = "" // whoever types an address must not choose words in its owner's mail
	case authenticator.SignInUnknown: // nothing is right, so nothing is told
		mail.FirstName, mail.Code, mail.Link = "", "", ""
	default:
		return authenticator.Prompt{}, fmt.Errorf("email: no mail for the purpose %q", s.Purpose)
	}
	return authenticator.Prompt{
		Method: method, Sealed: sealed, Fields: []authenticator.Field{{Name: field, Label: "Enter code"}},
		Public:    map[string]any{"useEmailMagicLink": true},
		ExpiresAt: next.ExpiresAt,
		Effects:   []authenticator.Effect{{Mail: &mail}},
	}, nil
}

// check returns nil for a right answer, ErrEmpty for none, and else ErrWrong. It
// compares with all codes and links, live or not, whatever it finds, so that its
// time tells nothing about which one came near.
func (a *Authenticator) check(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) error {
	if directory.Blank(in[field]) {
		return authenticator.ErrEmpty
	}
	ch, err := decode(p)
	if err != nil {
		return err
	}
	bound, now := a.bind(s), a.now()
	code, link := []byte(readCode(in[field], a.digits)), []byte(strings.TrimSpace(in[field]))
	live, old := 0, 0
	for _, sent := range ch.Codes {
		right := subtle.ConstantTimeCompare(code, []byte(sent.Code)) | subtle.ConstantTimeCompare(link, []byte(a.linkAnswer(bound, sent)))
		if now.Before(sent.ExpiresAt) {
			live |= right
		} else {
			old |= right
		}
	}
	switch {
	case subtle.ConstantTimeCompare(bound[:], ch.Bound[:]) == 0, s.Purpose == authenticator.SignInUnknown:
		return authenticator.ErrWrong
	case live == 1:
		return nil
	case old == 1:
		return errTooOld
	}
	return authenticator.ErrWrong
}

func decode(p authenticator.Prompt) (challenge, error) {
	var ch challenge
	if err := json.Unmarshal(p.Sealed, &ch); err != nil {
		return challenge{}, fmt.Errorf("email: decode challenge: %w", err)
	}
	return ch, nil
}

// bind says what the codes of a challenge are good for: this transaction, this
// challenge, this purpose, this address and nothing else (SEC S-07).
func (a *Authenticator) bind(s authenticator.Subject) [32]byte {
	canonical := s.Address
	if address, err := directory.ParseAddress(s.Address); err == nil {
		canonical = address.Canonical
	}
	return a.keys.MAC("email/challenge", s.Transaction, s.Challenge, string(s.Purpose), canonical)
}
