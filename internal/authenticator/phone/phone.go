// Package phone proves that someone has a phone number, by digits that are sent to
// it as a text or read out in a call.
//
// It is a restricted authenticator (NIST SP 800-63B-4 §3.2.9): numbers are taken
// over and texts are read by others, and each one costs money. So it is asked of
// nobody who has not shown something else before, and only in countries that the
// operator names.
package phone

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "phone_number"

// The ways to send a code.
const (
	SMS   = authenticator.Method("sms")
	Voice = authenticator.Method("voice")
)

const (
	field  = "passcode"
	number = "phoneNumber"
	method = "methodType"

	digits   = 6
	lifetime = 5 * time.Minute // AUTH §1.4

	// home is the country of numbers without a code where all countries may be used.
	home = "US"
)

// Config is what an Authenticator is made of.
type Config struct {
	Keyring   *keyring.Keyring       // required; binds a code to what it is good for
	Now       func() time.Time       // required
	Methods   []authenticator.Method // how codes can be sent, the preferred one first; at least one
	Countries []string               // that messages go to; numbers without a code are of the first. None: all, of which the first is US.
}

// An Authenticator sends codes to phones. It is safe for concurrent use.
type Authenticator struct {
	keys      *keyring.Keyring
	now       func() time.Time
	methods   []authenticator.Method
	countries []string
}

// The optional ports that it implements.
var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Detailer      = (*Authenticator)(nil)
	_ authenticator.Resender      = (*Authenticator)(nil)
	_ authenticator.Addresser     = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Keyring == nil || c.Now == nil {
		return nil, errors.New("phone: keyring and clock are required")
	}
	if len(c.Methods) == 0 {
		return nil, errors.New("phone: there is no way to send a code")
	}
	for _, m := range c.Methods {
		if m != SMS && m != Voice {
			return nil, fmt.Errorf("phone: %q is neither %q nor %q", m, SMS, Voice)
		}
	}
	all, err := countries(c.Countries, home)
	if err != nil {
		return nil, err
	}
	return &Authenticator{keys: c.Keyring, now: c.Now, methods: slices.Clone(c.Methods), countries: all}, nil
}

// Info names it as the wire does.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "phone", ID: "aut1phone0000000000", Name: "Phone", Methods: a.methods,
		EnrollmentPrefix: "sms", AMR: "sms", MethodAMR: map[authenticator.Method]string{Voice: "tel"},
		Class: policy.Possession, AfterProof: true,
	}
}

// credential is what an enrollment keeps.
type credential struct {
	Number string `json:"number"` // E.164
}

// challenge is what a prompt keeps sealed: the one code that is right, and what it
// is good for.
type challenge struct {
	Bound  [32]byte `json:"bound"`
	Number string   `json:"number"`
	Code   string   `json:"code"`
}

// Details is how, and to which number. The method stands first: pages of the field
// look for it there (AUTH §1.1).
func (a *Authenticator) Details(enrolling bool) []authenticator.Field {
	labels := map[authenticator.Method]string{SMS: "SMS", Voice: "Voice call"}
	how := authenticator.Field{Name: method, Required: true}
	for _, m := range a.methods {
		how.Choices = append(how.Choices, authenticator.Choice{Label: labels[m], Value: string(m)})
	}
	out := []authenticator.Field{how}
	if enrolling {
		out = append(out, authenticator.Field{Name: number, Label: "Phone number", Required: true})
	}
	return out
}

// BeginEnroll asks for a number, and sends a code to it.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	if directory.Blank(s.Details[number]) || s.Details[method] == "" {
		return authenticator.Prompt{}, a.wanted(true)
	}
	how, err := a.method(s.Details[method])
	if err != nil {
		return authenticator.Prompt{}, err
	}
	to, err := a.parse(s.Details[number])
	if err != nil || how == SMS && !textable(to) {
		return authenticator.Prompt{}, reject(number, invalidNumber())
	}
	return a.issue(s, how, to)
}

// FinishEnroll takes the code that was sent last.
func (a *Authenticator) FinishEnroll(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	ch, err := a.check(s, p, in)
	if err != nil {
		return authenticator.Credential{}, err
	}
	data, err := json.Marshal(credential{Number: ch.Number})
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("phone: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data, Profile: map[string]string{number: Mask(ch.Number)}}, nil
}

// BeginVerify asks how the code is to be sent, and sends it to the enrolled number.
func (a *Authenticator) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	if s.Details[method] == "" {
		return authenticator.Prompt{}, a.wanted(false)
	}
	how, err := a.method(s.Details[method])
	if err != nil {
		return authenticator.Prompt{}, err
	}
	to := a.Address(s.First())
	// A country may have been taken from the list since; and where nobody has the
	// number nothing is sent, and no answer is right.
	if _, err := a.parse(to); err != nil || how == SMS && !textable(to) {
		return authenticator.Prompt{}, reject(method, notThere(how))
	}
	return a.issue(s, how, to)
}

// FinishVerify takes what FinishEnroll does.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	_, err := a.check(s, p, in)
	return authenticator.Proof{Credential: s.First()}, err
}

// Resend sends a new code, and with that the one before is void (AUTH §1.4): a
// text that comes late shows on a screen that others may see.
func (a *Authenticator) Resend(_ context.Context, s authenticator.Subject, p authenticator.Prompt) (authenticator.Prompt, error) {
	ch, err := decode(p)
	if err != nil {
		return authenticator.Prompt{}, err
	}
	return a.issue(s, p.Method, ch.Number)
}

// Address is the number of a credential, in E.164.
func (a *Authenticator) Address(c authenticator.Credential) string {
	var has credential
	if json.Unmarshal(c.Data, &has) != nil {
		return ""
	}
	return has.Number
}

func (a *Authenticator) wanted(enrolling bool) *authenticator.Wanted {
	w := &authenticator.Wanted{Fields: a.Details(enrolling)}
	if enrolling {
		w.Public = map[string]any{"countries": callingCodes(a.countries)}
	}
	return w
}

func (a *Authenticator) method(said string) (authenticator.Method, error) {
	m := authenticator.Method(said)
	if !slices.Contains(a.methods, m) {
		return "", reject(method, notThere(m))
	}
	return m, nil
}

// issue makes a new code and the message that carries it.
func (a *Authenticator) issue(s authenticator.Subject, how authenticator.Method, to string) (authenticator.Prompt, error) {
	code, err := newCode()
	if err != nil {
		return authenticator.Prompt{}, err
	}
	sealed, err := json.Marshal(challenge{Bound: a.bind(s, to), Number: to, Code: code})
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("phone: encode challenge: %w", err)
	}
	text := authenticator.Text{
		Method: how, To: to, Country: countryOf(to), Code: code, ExpiresAt: a.now().Add(lifetime),
		Purpose: s.Purpose, Enrolling: s.Enrolling,
	}
	p := authenticator.Prompt{
		Method: how, Sealed: sealed, Fields: []authenticator.Field{{Name: field, Label: "Enter code", Required: true}},
		ExpiresAt: text.ExpiresAt, Effects: []authenticator.Effect{{Text: &text}},
	}
	if s.Enrolling { // later the enrollment's profile tells it
		p.Public = map[string]any{number: Mask(to)}
	}
	return p, nil
}

// check returns the challenge that an answer is right for, ErrEmpty for none, and
// else ErrWrong.
func (a *Authenticator) check(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (challenge, error) {
	if directory.Blank(in[field]) {
		return challenge{}, authenticator.ErrEmpty
	}
	ch, err := decode(p)
	if err != nil {
		return challenge{}, err
	}
	bound := a.bind(s, ch.Number)
	right := subtle.ConstantTimeCompare([]byte(readCode(in[field])), []byte(ch.Code)) & subtle.ConstantTimeCompare(bound[:], ch.Bound[:])
	if right != 1 || !a.now().Before(p.ExpiresAt) || s.Purpose == authenticator.SignInUnknown {
		return challenge{}, authenticator.ErrWrong
	}
	return ch, nil
}

func decode(p authenticator.Prompt) (challenge, error) {
	var ch challenge
	if err := json.Unmarshal(p.Sealed, &ch); err != nil {
		return challenge{}, fmt.Errorf("phone: decode challenge: %w", err)
	}
	return ch, nil
}

// bind says what a code is good for: this transaction, this challenge, this
// purpose, this number and nothing else (SEC S-07).
func (a *Authenticator) bind(s authenticator.Subject, to string) [32]byte {
	return a.keys.MAC("phone/challenge", s.Transaction, s.Challenge, string(s.Purpose), to)
}

// newCode draws digits, each code as likely as the next (SEC S-01).
func newCode() (string, error) {
	v, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("phone: draw code: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, v), nil
}

// readCode is the code in what a person typed: the digits, whatever stands between
// them. More than that many are none.
func readCode(typed string) string {
	var out []byte
	for i := range len(typed) {
		if c := typed[i]; '0' <= c && c <= '9' {
			out = append(out, c)
		}
	}
	if len(out) != digits {
		return ""
	}
	return string(out)
}

func reject(on string, m problem.Message) error {
	return &authenticator.Rejected{Messages: []problem.Message{m.On(on)}}
}

func invalidNumber() problem.Message { // AUTH §1.4
	return problem.Message{Key: "api.factors.error.sms.invalid_phone", Text: "Invalid Phone Number.", Params: []string{}, Class: problem.ClassError}
}

func notThere(how authenticator.Method) problem.Message {
	return problem.Message{
		Key: "api.factors.error.phone.method", Text: "A code cannot be sent in this way.", Params: []string{string(how)}, Class: problem.ClassError,
	}
}
