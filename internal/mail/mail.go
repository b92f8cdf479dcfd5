// Package mail composes the mail of accounts from typed fields, sends it by SMTP,
// and keeps a development inbox.
package mail

import (
	"errors"
	"log/slog"
	"time"
)

// Kind is the kind of outbox messages whose payload is a Message.
const Kind = "mail"

// ErrInvalid is returned for a message that cannot be composed: a header value
// with a line break, a link that is none. Another try is of no use.
var ErrInvalid = errors.New("mail: invalid message")

// A Message is one mail before it is words. It is what the outbox keeps, sealed.
// What a template needs, and what it refuses, is in plans.go.
type Message struct {
	Template  Template  `json:"template"`
	To        string    `json:"to"`                  // one validated address, used as it is
	FirstName string    `json:"firstName,omitempty"` // shown where it is surely the name of who reads it
	Code      string    `json:"code,omitempty"`      // digits
	Link      string    `json:"link,omitempty"`      // absolute, of PublicURL's origin, at most 200 characters
	SignUpURL string    `json:"signUpUrl,omitempty"` // SignInUnknown: where to sign up; empty where nobody can
	ExpiresAt time.Time `json:"expiresAt,omitzero"`  // end of code and link

	Method  string    `json:"method,omitempty"`  // name of the way to sign in, as the pages show it: "Password"
	Which   string    `json:"which,omitempty"`   // tells it from others of its kind: "+1 XXX-XXX-0100"
	Address string    `json:"address,omitempty"` // the other address of a change; only some of it is shown
	Date    time.Time `json:"date,omitzero"`     // DeletionAsked: when; Guessing: the end of the pause, if it has one
	Count   int       `json:"count,omitempty"`   // of wrong answers
	Inviter string    `json:"inviter,omitempty"` // a person's name; empty: the app invites

	App App `json:"app"`
	// Origin is where the person was who asked, acted or tried. Where nobody was,
	// or it is not the person's own to know, only At is set.
	Origin Origin `json:"origin"`
	// Void is a message that reaches nobody: it goes as far as one that is sent, and
	// ends like it, so that nothing tells one from the other (SEC S-42).
	Void   bool   `json:"void,omitempty"`
	Locale string `json:"locale,omitempty"` // BCP 47; what has no catalogue is English
}

// LogValue keeps code, link and address out of logs (UX M0.11).
func (m Message) LogValue() slog.Value { return slog.StringValue("mail " + string(m.Template)) }

// An App is what the person signs in to.
type App struct {
	Name     string `json:"name"`
	LogoURL  string `json:"logoUrl,omitempty"`  // https; the one remote image
	Accent   string `json:"accent,omitempty"`   // "#rrggbb", default accent.Default
	LogoDark string `json:"logoDark,omitempty"` // https; default: LogoURL on a white plate
}

// An Origin is where a mail was asked for. Empty fields are not known.
type Origin struct {
	Browser string    `json:"browser,omitempty"`
	OS      string    `json:"os,omitempty"`
	IP      string    `json:"ip,omitempty"`
	At      time.Time `json:"at"`
}

// NewOrigin names browser and system of a User-Agent header.
func NewOrigin(userAgent, ip string, at time.Time) Origin {
	browser, os := ParseUserAgent(userAgent)
	return Origin{Browser: browser, OS: os, IP: ip, At: at}
}
