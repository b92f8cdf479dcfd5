// Package authenticator is the port that every way to prove who someone is
// implements, and its value types.
//
// An authenticator keeps no state and does nothing: what must survive a round
// trip goes into the Prompt or the Credential, and what must be sent is an
// Effect that the engine queues in the transaction of the state it belongs to.
// Counting tries, lock-out, expiry of the whole, limits, enumeration defence and
// audit are the engine's, so no authenticator can forget them.
package authenticator

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// A Method is a way to use an authenticator: "email", "password", "sms", "otp", …
type Method string

// Info describes an authenticator as the wire shows it.
type Info struct {
	Key     string // "okta_email"
	Type    string // "email"
	ID      string // "aut…", stable for the installation
	Name    string // "Email": clients match this label exactly
	Methods []Method

	// EnrollmentPrefix begins the ids of enrollments, "eae" for email.
	EnrollmentPrefix string
	// EnrollmentProves reports whether enrolling it shows who the person is, as a
	// code sent to an address does and choosing a password does not.
	EnrollmentProves bool
	// AMR is the authentication method reference that a proof adds (RFC 8176);
	// MethodAMR has those of methods for which it is another.
	AMR       string
	MethodAMR map[Method]string
	// Class is the kind of evidence that a proof is.
	Class policy.Class
	// PhishingResistant says that a proof cannot be relayed by a page that looks like ours.
	PhishingResistant bool
	// Wrong is what a wrong answer is told, and a right one while answers are not
	// looked at (SEC S-109); zero: "Invalid code. Try again." at Prompt.Fields' first.
	Wrong problem.Message
	// Unguessable says that no number of tries comes nearer to a right answer: that of a
	// key of its own, a long random code. Counting them for the account would only let a
	// stranger stop its owner.
	Unguessable bool
	// Several says that a person may have more than one: keys, devices.
	Several bool
	// AfterProof says that only who has shown something else is asked for it, because
	// the question tells of the account or costs money: a security question, a phone.
	AfterProof bool
	// Assigned says that an operator gives it; nobody sets it up for themselves.
	Assigned bool
	// VerifiesUser says that the device which proves it may know its owner, and that
	// enrolling shows whether it does.
	VerifiesUser bool
	// Hardware says that what is enrolled now is known to be kept by hardware, of which
	// its maker has said so.
	Hardware bool
}

// Reference is the authentication method reference of a proof by a method.
func (i Info) Reference(m Method) string {
	if r, ok := i.MethodAMR[m]; ok {
		return r
	}
	return i.AMR
}

// References are all that a proof may add.
func (i Info) References() []string {
	out := []string{i.AMR}
	for _, r := range i.MethodAMR {
		out = append(out, r)
	}
	return out
}

// Purpose is what a proof is for; a proof for one is none for another (SEC S-07).
type Purpose string

// The purposes of this engine.
const (
	SignUp Purpose = "sign-up"
	SignIn Purpose = "sign-in"
	// SignUpKnown is a sign-up with an address that has an account: the person
	// sees a sign-up, the mail says so, the proof signs in (decision D8).
	SignUpKnown Purpose = "sign-up-known"
	// SignInUnknown is a sign-in with an address without an account. No answer is right.
	SignInUnknown Purpose = "sign-in-unknown"
	// Recovery proves who has forgotten a password; Unlock who ends its pause.
	Recovery Purpose = "recovery"
	Unlock   Purpose = "unlock"
	// EmailChange proves a new address of somebody who is signed in.
	EmailChange Purpose = "email-change"
	// PhoneChange proves a number of somebody who is signed in.
	PhoneChange Purpose = "phone-change"
)

// A Subject is the person as far as the transaction knows them.
type Subject struct {
	Transaction string // its id: binds what is issued
	Challenge   string // random, new with each challenge: binds what is issued
	UserID      string // the id shown on the wire; before proof a per-transaction one
	Address     string // where mail goes: the stored address of an account, else as typed
	Login       string // as typed
	FirstName   string
	LastName    string
	Locale      string
	Purpose     Purpose
	Enrolling   bool
	Password    policy.Password // the policy that is for them
	Enrolled    []Credential    // theirs of this authenticator, oldest first; none for who has no account

	App     string   // the name of the app that they are on their way to
	Origins []string // "https://app.example", of pages that may ask for the app: WebAuthn's
	Details Input    // what they said before it began, by the names of Wanted.Fields

	VerifyUser bool // a proof without Proof.UserVerified is of no use
	Hardware   bool // nor is one without Proof.Hardware
}

// First is the oldest enrollment, empty for who has none.
func (s Subject) First() Credential {
	if len(s.Enrolled) == 0 {
		return Credential{}
	}
	return s.Enrolled[0]
}

// A Prompt is an open question.
type Prompt struct {
	Method    Method
	Sealed    []byte         // the authenticator's own, never shown; the engine keeps it sealed
	Fields    []Field        // what to ask for, inside "credentials"; none: it is answered elsewhere
	Either    []Alternative  // sets of fields of which one is asked for, in place of Fields
	Public    map[string]any // contextualData on the wire; plain JSON values
	Settings  map[string]any // settings on the wire, for example the password complexity
	ExpiresAt time.Time      // end of the newest thing issued; zero: as long as the transaction
	Elsewhere bool           // a device answers it; who waits polls
	Once      bool           // an answer uses it up: after a wrong one another is asked
	Effects   []Effect       // to queue with the state
}

// A Field is one value to ask for.
type Field struct {
	Name     string // "passcode"
	Label    string
	Secret   bool
	Required bool
	Hidden   bool   // a program fills it in, as that of WebAuthn does
	Value    string // that it has at first
	Fixed    bool   // Value is sent back as it is
	Choices  []Choice
}

// A Choice is one value that a field may have.
type Choice struct{ Label, Value string }

// An Alternative is a set of fields to fill in, of several.
type Alternative struct {
	Label  string
	Fields []Field
}

// An Effect is something to carry out after the commit: one of these.
type Effect struct {
	Mail *Mail
	Text *Text
	Push *Push
}

// Text is a message to a phone. The engine adds app and language.
type Text struct {
	Method    Method // "sms", "voice"
	To        string // E.164
	Country   string // of the number, two letters
	Code      string // empty: nothing is right, and nobody is told
	Link      string // in place of a code
	ExpiresAt time.Time

	Purpose   Purpose
	Enrolling bool // the number is not the person's own yet
}

// Push asks the subject's devices to approve. The engine adds app, browser, place and time.
type Push struct {
	Data      []byte // the authenticator's own JSON, sealed by the engine; its devices' API reads it
	ExpiresAt time.Time
	Wakes     bool // those devices that can be woken are
}

// Mail is a message to one address. The engine adds app, origin, language and
// validity to the template's data.
type Mail struct {
	Template  string // "sign-up", "sign-in", "recovery", …: the names in internal/mail
	To        string
	FirstName string
	Code      string
	Link      string
	ExpiresAt time.Time

	// What some notices tell beside.
	Method  string    // name of the way to sign in that was added, changed or removed: "Password"
	Which   string    // Credential.Which of it
	Address string    // another address, partly hidden
	Date    time.Time // when something will happen
	Count   int       // of wrong answers
}

// Input is the answer, by the names of Prompt.Fields.
type Input map[string]string

// A Credential is what an enrollment keeps. Data is the authenticator's own JSON;
// the engine seals it. Profile is shown (masked) on the wire.
type Credential struct {
	ID      string `json:"-"` // of the enrollment; the engine's, empty for a new one
	Data    []byte
	Profile map[string]string
	Name    string         `json:",omitempty"` // what its owner calls it: "MacBook"; empty: as the authenticator
	Public  map[string]any `json:",omitempty"` // beside the profile on the wire, to whom the person is proven: a credentialId
	// Unique is what no two enrollments may have, whoever's they are, such as the id
	// of a key: the engine refuses a second one. Empty: nothing.
	Unique []byte `json:"-"`
	// VerifiesUser says that its device has shown that it knows its owner (Proof.UserVerified).
	VerifiesUser bool `json:",omitempty"`
	// Hardware says that it is known to be kept by hardware (Proof.Hardware).
	Hardware bool `json:",omitempty"`
}

// Which tells a credential from others of its kind: its name, or its number, partly
// hidden. Empty: there is nothing to tell it by.
func (c Credential) Which() string { return cmp.Or(c.Name, c.Profile["phoneNumber"]) }

// A Proof is what a right answer shows.
type Proof struct {
	Credential   Credential // the one of Subject.Enrolled that it was given with, brought up to date
	UserVerified bool       // the device knows its owner, by a finger or a PIN: that is a second class of evidence
	Hardware     bool       // it was given by a key that hardware is known to keep
}

// What FinishEnroll and FinishVerify return, beside faults. A *Rejected carries
// the messages of a value that may not be used, such as a weak password, a *Wrong
// the one of a wrong answer of which more can be said.
var (
	ErrWrong = errors.New("authenticator: wrong answer")
	// ErrEmpty is an answer without a value: nothing was tried.
	ErrEmpty = errors.New("authenticator: empty answer")
	// ErrDenied is the answer of a device whose owner wants nothing of it. One that is
	// ErrWrong too counts as a wrong answer.
	ErrDenied = errors.New("authenticator: denied on the device")
)

// Wrong is ErrWrong of which more can be said than Info.Wrong, to somebody who has
// all but given the right answer: a code that was used before. The Field of Message is
// a name of Prompt.Fields or empty.
type Wrong struct {
	Message problem.Message
	Reason  string // for the audit log; empty: nothing but that it was wrong
}

func (*Wrong) Error() string { return "authenticator: wrong answer, and why" }

func (*Wrong) Unwrap() error { return ErrWrong }

// Wanted is what BeginEnroll and BeginVerify return if they cannot begin before the
// person has said more: by which method, to which number. The engine asks, and
// begins again with the answers in Subject.Details.
type Wanted struct {
	Fields []Field
	// Channel says that they belong to a way to enrol that was chosen among several
	// (AUTH §3.2), and are asked for as such.
	Channel bool
	Public  map[string]any // contextualData meanwhile
}

func (*Wanted) Error() string { return "authenticator: more is wanted before it can begin" }

// Rejected tells why a value may not be used; Messages have Field set to a
// name of Prompt.Fields.
type Rejected struct{ Messages []problem.Message }

func (*Rejected) Error() string { return "authenticator: value rejected" }

// An Authenticator is one way to prove who someone is. BeginEnroll and BeginVerify
// may return *Wanted, or *Rejected for what Subject.Details has.
type Authenticator interface {
	Info() Info
	BeginEnroll(context.Context, Subject) (Prompt, error)
	FinishEnroll(context.Context, Subject, Prompt, Input) (Credential, error)
	// BeginVerify asks for any of Subject.Enrolled. Without one the question is
	// asked all the same, and no answer is right.
	BeginVerify(context.Context, Subject) (Prompt, error)
	FinishVerify(context.Context, Subject, Prompt, Input) (Proof, error)
}

// A Changer has a credential that its owner replaces by another, as a password
// is. What FinishChange returns is written over the old one, Subject.First().
type Changer interface {
	BeginChange(context.Context, Subject) (Prompt, error)
	// FinishChange refuses a value that policy forbids with *Rejected. Without an
	// old credential it is FinishEnroll.
	FinishChange(context.Context, Subject, Prompt, Input) (Credential, error)
	// ChangedAt is when the credential was last chosen.
	ChangedAt(Credential) time.Time
}

// A Voucher makes the credential of something that was proven by other means, as
// an invitation that was mailed proves an address.
type Voucher interface {
	Vouch(Subject) (Credential, error)
}

// An Assigner is given to people by an operator, as a token is that somebody hands
// out. It refuses what the operator says of it with *Rejected.
type Assigner interface {
	Authenticator
	Assign(Input) (Credential, error)
}

// An Issuer is given to people by an operator as well, and makes what they are given:
// a code, which is told once. It refuses what the operator says of it with *Rejected.
type Issuer interface {
	Authenticator
	Issue(Input) (Issued, error)
}

// Issued is what an Issuer makes. Secret is kept nowhere.
type Issued struct {
	Credential Credential
	Secret     string
	ExpiresAt  time.Time
}

// A Spender has credentials that are used up, as a list of codes is: who has only
// such a one has none.
type Spender interface {
	Spent(Credential) bool
}

// A Detailer can be told more in the same answer that chooses it: by which method, to
// which number. Clients that cannot do that are asked by *Wanted.
type Detailer interface {
	Details(enrolling bool) []Field
}

// A Channeler can be enrolled in several ways, of which the person chooses one:
// Subject.Details["channel"]. The first is that of who has not chosen.
type Channeler interface {
	Channels(Subject) []Choice
}

// A Discoverer can ask somebody who has not said who they are (WebAuthn L3 §1.2.1).
// The question is made of Subject.Transaction, Challenge and Origins alone, is kept
// nowhere, and comes back to FinishVerify as BeginDiscover makes it again.
type Discoverer interface {
	BeginDiscover(context.Context, Subject) (Prompt, error)
	// Discover tells the user id that an answer names. Nothing is verified by that.
	Discover(Input) (userID string, ok bool)
}

// An Attester can tell of a credential whether hardware is known to keep it, by what is
// trusted now. Of those of others it is what Credential.Hardware says.
type Attester interface {
	Attested(Credential) bool
}

// An Addresser has an address of its own in each credential, such as a number, of
// which the profile shows a part. All of it is for its owner alone.
type Addresser interface {
	Address(Credential) string
}

// A Namer tells the name that its owner gives a credential in the profile too.
type Namer interface {
	Named(c Credential, name string) Credential
}

// A Resender can send its prompt again: the returned Prompt replaces the one
// given. What was issued before stays good until its own end (decision D5), or not, as
// its medium asks.
type Resender interface {
	Resend(context.Context, Subject, Prompt) (Prompt, error)
}

// A Linker issues links as well. Link says which of the prompt's links a token
// is: its code and that code's end; ok is false for any other token.
//
// LinkAnswer is a long answer that stands for having opened one of the prompt's
// links, which is handed out in the code's place while codes may not be guessed
// (SEC S-05, S-16); IsLinkAnswer tells it from a code. Nobody can guess it.
type Linker interface {
	Link(s Subject, p Prompt, token string) (code string, expiresAt time.Time, ok bool)
	LinkAnswer(s Subject, p Prompt, token string) string
	IsLinkAnswer(s Subject, p Prompt, in Input) bool
}
