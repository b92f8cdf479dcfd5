// Package session is the browser's signed-on state at the engine: who is signed
// in there, since when, and by what proofs.
package session

import (
	"time"
)

// A Proof is one thing that the person showed, and when.
type Proof struct {
	Authenticator string    `json:"authenticator"`
	AMR           string    `json:"amr"`
	At            time.Time `json:"at"`
	UserVerified  bool      `json:"userVerified,omitempty"` // the device knew its owner: two classes
	Hardware      bool      `json:"hardware,omitempty"`     // hardware is known to keep the key
}

// An Addition is a way to sign in that was set up in a sign-in.
type Addition struct {
	Enrollment string    `json:"enrollment"` // its id
	At         time.Time `json:"at"`

	// Removed is when the sign-in took it away again by that alone; zero: it has not.
	Removed time.Time `json:"removed,omitzero"`
}

// A Session is one browser. Its row is made when all factors are shown, never
// before (SEC S-58). The cookie is a MAC of the id; the database has only the id.
type Session struct {
	ID         string // "ses" and 22 characters
	UserID     string
	Version    int64
	Proofs     []Proof
	Remembered bool // the person asked to be kept signed in
	IP         string
	UserAgent  string
	CreatedAt  time.Time
	SeenAt     time.Time
	IdleUntil  time.Time
	ExpiresAt  time.Time // at most; IdleUntil is not after it
	EndedAt    time.Time // zero: live
}

// Live reports whether the session counts at a time.
func (s *Session) Live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.IdleUntil) && now.Before(s.ExpiresAt)
}

// A Device is a browser from which a person has signed in fully before; it
// guesses in a lane of its own (SEC S-108). ID is a hash of the device's token.
type Device struct {
	UserID    string
	ID        string
	IP        string
	UserAgent string
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}
