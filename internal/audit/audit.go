// Package audit is the security event log: what happened, to whom, by whom.
//
// Events are written in the transaction of the change that they tell of
// (decision D38), one row for all events of a change.
package audit

import "time"

// An Event is one thing that happened. It holds no secret, no code, no link.
type Event struct {
	Type        string    `json:"type"`             // for example "user.lifecycle.create"
	Outcome     string    `json:"outcome"`          // "SUCCESS" or "FAILURE"
	Reason      string    `json:"reason,omitempty"` // why it failed
	Actor       string    `json:"actor,omitempty"`  // user or client id
	Target      string    `json:"target,omitempty"` // what it was done to
	Client      string    `json:"client,omitempty"` // OAuth client id
	Transaction string    `json:"transaction,omitempty"`
	IP          string    `json:"ip,omitempty"`
	UserAgent   string    `json:"userAgent,omitempty"`
	RequestID   string    `json:"requestId,omitempty"`
	At          time.Time `json:"at"`
}

// A Row is the events of one change.
type Row struct {
	ID     string
	At     time.Time
	Events []Event
}
