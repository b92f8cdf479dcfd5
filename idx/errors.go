package idx

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

var (
	// ErrExpired says that the engine has forgotten the transaction, or never knew
	// it (idx.session.expired). Start again.
	ErrExpired = errors.New("idx: the transaction has expired")

	// ErrNotOffered says that the step or feature is not offered now. No request was made for it.
	ErrNotOffered = errors.New("idx: not offered now")

	// ErrNoTransaction says that there is nothing to go on with: nil, finished,
	// damaged, or made by a client with another configuration.
	ErrNoTransaction = errors.New("idx: no transaction")

	// ErrRegistrationClosed says that the engine offers no sign-up to this app.
	ErrRegistrationClosed = errors.New("idx: sign-up is closed")

	// ErrInvalidGrant says that a code or refresh token was refused (RFC 6749 §5.2).
	// Neither is worth sending again.
	ErrInvalidGrant = errors.New("idx: the grant is invalid or has expired")

	// ErrInvalidToken says that a JWT failed verification.
	ErrInvalidToken = errors.New("idx: invalid token")
)

// A ResponseError is an answer of the engine that is neither a step nor a
// person's mistake: an OAuth error, an API error, a fault, or no JSON at all.
// It matches ErrExpired and ErrInvalidGrant under errors.Is where its code says so.
type ResponseError struct {
	Status      int    // HTTP status; 0 for an error that came in a callback's query
	Code        string // error, errorCode or i18n.key, in this order; may be empty
	Description string
	Causes      []Cause       // what is wrong in particular; API errors alone have any
	Body        []byte        // at most 1 MiB, may hold bearer secrets: do not log it
	RequestID   string        // the engine's X-Okta-Request-Id
	RetryAfter  time.Duration // zero where the engine names no wait
}

// A Cause is one of the things that an API error names (errorCauses).
type Cause struct {
	Field string // the value that is wrong; empty: none in particular
	Text  string // why, in the engine's words
}

// fieldCause is how the engine writes a cause that is about one value.
var fieldCause = regexp.MustCompile(`(?s)^([A-Za-z][0-9A-Za-z_.-]*): (.+)$`)

func causeOf(text string) Cause {
	if m := fieldCause.FindStringSubmatch(text); m != nil {
		return Cause{Field: m[1], Text: m[2]}
	}
	return Cause{Text: text}
}

func (e *ResponseError) Error() string {
	s := "idx: the engine answered"
	if e.Status != 0 {
		s += fmt.Sprintf(" %d", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Unwrap gives the sentinel that the code stands for, nil for others.
func (e *ResponseError) Unwrap() error {
	switch e.Code {
	case "invalid_grant":
		return ErrInvalidGrant
	case keySessionExpired:
		return ErrExpired
	}
	return nil
}

// LogValue leaves the body out.
func (e *ResponseError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("status", e.Status),
		slog.String("code", e.Code),
		slog.String("description", e.Description),
		slog.String("request", e.RequestID),
	)
}

// GoString leaves the body out.
func (e *ResponseError) GoString() string { return fmt.Sprintf("&idx.ResponseError{%q}", e.Error()) }

// A CallbackError says that a callback belongs to a transaction that is not the
// one in hand: the mailed link was opened in another browser. Show the code, to
// be typed where the flow began; never finish the flow here.
type CallbackError struct {
	Code  string // the one-time code; empty where the callback had an interaction code
	State string // of the transaction that it belongs to
}

// Error names no code, for it would end in a log.
func (e *CallbackError) Error() string {
	return "idx: the callback belongs to a transaction begun elsewhere"
}

// Format prints the message only, whatever the verb.
func (e *CallbackError) Format(f fmt.State, verb rune) { redact(f, e.Error()) }

// i18n keys that change what a call returns. Every other key is for the person.
const (
	keySessionExpired     = "idx.session.expired"
	keyRegistrationClosed = "oie.registration.is.not.enabled"
	keyUnsatisfiable      = "oie.assurance.unsatisfiable"
)

// failure makes an error of an answer in any of the three error shapes: OAuth
// (RFC 6749 §5.2), API (errorCode, errorSummary) and IDX messages.
func (r *response) failure() *ResponseError {
	e := &ResponseError{Status: r.status, Body: r.body, RequestID: r.requestID, RetryAfter: r.retryAfter}
	var tree any
	if json.Unmarshal(r.body, &tree) != nil {
		return e
	}
	body, _ := tree.(map[string]any)
	o := object(body)
	switch {
	case o.str("error") != "":
		e.Code, e.Description = o.str("error"), o.str("error_description")
	case o.str("errorCode") != "":
		e.Code, e.Description = o.str("errorCode"), o.str("errorSummary")
		for _, one := range o.list("errorCauses") {
			if text := one.str("errorSummary"); text != "" {
				e.Causes = append(e.Causes, causeOf(text))
			}
		}
	default:
		if m := readMessages(o); len(m) > 0 {
			e.Code, e.Description = m[0].I18n.Key, m[0].Text
		}
	}
	return e
}
