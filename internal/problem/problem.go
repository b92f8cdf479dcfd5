// Package problem is the taxonomy of what can go wrong: a person's mistake, a
// refusal, or a fault.
//
// A mistake is a [Message] shown in place while the transaction goes on. A
// refusal is an [Error]. Everything else is a fault: an ordinary wrapped error,
// logged with a request id, of which the caller sees the id only.
package problem

import (
	"errors"
	"fmt"
	"time"
)

// Kind is a class of refusals. Each HTTP edge owns one table from Kind to its dialect.
type Kind int

// The kinds. None is no problem at all; Internal is a fault, everything that is
// not a refusal.
const (
	None Kind = iota
	Internal
	Invalid
	Unauthenticated
	Forbidden
	NotFound
	Conflict
	Stale
	Expired
	Throttled
	Unavailable
)

var kindNames = [...]string{
	"none", "internal", "invalid", "unauthenticated", "forbidden", "not found",
	"conflict", "stale", "expired", "throttled", "unavailable",
}

func (k Kind) String() string { return kindNames[k] }

// An Error refuses a request. Code is the wire's own code or i18n key where it
// has one; Detail is for the person or developer at the other end; Cause is for
// the log alone.
type Error struct {
	Kind       Kind
	Code       string
	Detail     string
	RetryAfter time.Duration
	Cause      error
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// New makes a refusal with a detail in fmt's verbs.
func New(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain: Internal without one,
// None for a nil error.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Class is how grave a message is, in the wire's words.
type Class string

// The classes of the wire (IDX §2.5).
const (
	ClassError   Class = "ERROR"
	ClassWarning Class = "WARNING"
	ClassInfo    Class = "INFO"
)

// A Message tells the person something. Key is the wire's i18n key; Text is
// English, with Params already in place. Field is the dotted path of the input
// that it belongs to ("userProfile.email"), empty for the whole step.
type Message struct {
	Key    string   `json:"key"`
	Text   string   `json:"text"`
	Params []string `json:"params,omitempty"`
	Field  string   `json:"field,omitempty"`
	Class  Class    `json:"class"`
}

// On returns m placed on a field.
func (m Message) On(field string) Message {
	m.Field = field
	return m
}
