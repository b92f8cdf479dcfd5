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
	// AMR is the authentication method reference that a proof adds (RFC 8176).
	AMR string
	// Class is the kind of evidence that a proof is.
	Class policy.Class
	// PhishingResistant says that a proof cannot be relayed by a page that looks like ours.
	PhishingResistant bool
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
}

// A Prompt is an open question.
type Prompt struct {
	Method    Method
	Sealed    []byte         // the authenticator's own, never shown; the engine keeps it sealed
	Fields    []Field        // what to ask for, inside "credentials"
	Public    map[string]any // contextualData on the wire; plain JSON values
	Settings  map[string]any // settings on the wire, for example the password complexity
	ExpiresAt time.Time      // end of the newest thing issued; zero: as long as the transaction
	Effects   []Effect       // to queue with the state
}

// A Field is one value to ask for.
type Field struct {
	Name   string // "passcode"
	Label  string
	Secret bool
}

// An Effect is something to carry out after the commit: a mail.
type Effect struct {
	Mail *Mail
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
	Address string    // another address, partly hidden
	Date    time.Time // when something will happen
	Count   int       // of wrong answers
}

// Input is the answer, by the names of Prompt.Fields.
type Input map[string]string

// A Credential is what an enrollment keeps. Data is the authenticator's own JSON;
// the engine seals it. Profile is shown (masked) on the wire.
type Credential struct {
	Data    []byte
	Profile map[string]string
}

// What FinishEnroll and FinishVerify return, beside faults. A *Rejected carries
// the messages of a value that may not be used, such as a weak password.
var (
	ErrWrong = errors.New("authenticator: wrong answer")
	// ErrEmpty is an answer without a value: nothing was tried.
	ErrEmpty = errors.New("authenticator: empty answer")
)

// Rejected tells why a value may not be used; Messages have Field set to a
// name of Prompt.Fields.
type Rejected struct{ Messages []problem.Message }

func (*Rejected) Error() string { return "authenticator: value rejected" }

// An Authenticator is one way to prove who someone is.
type Authenticator interface {
	Info() Info
	BeginEnroll(context.Context, Subject) (Prompt, error)
	FinishEnroll(context.Context, Subject, Prompt, Input) (Credential, error)
	BeginVerify(context.Context, Subject, Credential) (Prompt, error)
	// FinishVerify returns the updated credential.
	FinishVerify(context.Context, Subject, Credential, Prompt, Input) (Credential, error)
}

// A Changer has a credential that its owner replaces by another, as a password
// is. What FinishChange returns is written over the old one.
type Changer interface {
	BeginChange(context.Context, Subject, Credential) (Prompt, error)
	// FinishChange refuses a value that policy forbids with *Rejected. Without an
	// old credential (its Data is empty) it is FinishEnroll.
	FinishChange(context.Context, Subject, Credential, Prompt, Input) (Credential, error)
	// ChangedAt is when the credential was last chosen.
	ChangedAt(Credential) time.Time
}

// A Voucher makes the credential of something that was proven by other means, as
// an invitation that was mailed proves an address.
type Voucher interface {
	Vouch(Subject) (Credential, error)
}

// A Resender can send its prompt again: the returned Prompt replaces the one
// given, and what was issued before stays good until its own end (decision D5).
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
