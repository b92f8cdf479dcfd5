// Package audit is the security event log: what happened, to whom, by whom.
//
// Events are written in the transaction of the change that they tell of
// (decision D38), one row for all events of a change. A Sealer chains the rows
// by hash later, in batches; Verify finds what was done to them since.
package audit

import (
	"context"
	"time"
)

// An Event is one thing that happened. It holds no secret, no code, no link and
// no address; docs/audit.md lists the types.
type Event struct {
	Type          string    `json:"type"`                    // for example "user.lifecycle.create"
	Outcome       string    `json:"outcome"`                 // Success or Failure
	Reason        string    `json:"reason,omitempty"`        // why it failed, for example InvalidCredentials
	Actor         string    `json:"actor,omitempty"`         // user or client id, or System; empty: somebody who has proven nothing
	Target        string    `json:"target,omitempty"`        // what it was done to: the id of a user, client, key, grant or token
	Authenticator string    `json:"authenticator,omitempty"` // key of the one that it is about, for example "okta_email"
	Client        string    `json:"client,omitempty"`        // OAuth client id
	Transaction   string    `json:"transaction,omitempty"`   // of the sign-up or sign-in
	IP            string    `json:"ip,omitempty"`            // of the person, as far as it is known, else of the caller
	UserAgent     string    `json:"userAgent,omitempty"`     // idem
	RequestID     string    `json:"requestId,omitempty"`     // as in X-Okta-Request-Id and in the log; empty: not from a request
	At            time.Time `json:"at"`
}

// The outcomes, the reasons of failures that the field knows, and the actor
// where the engine or its operator acts.
const (
	Success = "SUCCESS"
	Failure = "FAILURE"

	InvalidCredentials = "INVALID_CREDENTIALS" // a wrong answer
	Denied             = "DENIED"              // by the owner of the device that was asked
	LockedOut          = "LOCKED_OUT"          // the wrong answer that used up the last try

	System = "system"
)

// A Row is the events of one change.
type Row struct {
	ID     string
	At     time.Time
	Events []Event
}

// A Source is the request that an event comes from.
type Source struct {
	RequestID string
	IP        string // of the caller
	UserAgent string // printable ASCII, of the caller
}

type sourceKey struct{}

// WithSource returns a context that carries s to whoever records events.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceOf returns what WithSource put into ctx, else the zero Source.
func SourceOf(ctx context.Context) Source {
	s, _ := ctx.Value(sourceKey{}).(Source)
	return s
}
