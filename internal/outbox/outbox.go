// Package outbox delivers effects that were committed with the state they
// belong to: at least once, with back-off, and never after they are of use.
package outbox

import "time"

// A Status says how a message stands.
type Status string

// The statuses of a message (decision D20 names what people are shown of them).
const (
	Queued  Status = "queued"  // not tried yet
	Sent    Status = "sent"    // handed over; the payload is blanked
	Delayed Status = "delayed" // tried in vain, will be tried again
	Refused Status = "refused" // refused for good
	Expired Status = "expired" // its time ran out before it could be handed over
)

// A Message is one effect to carry out. It belongs to nobody until it is leased;
// Fence counts the leases, so that a worker whose lease ran out cannot settle it.
type Message struct {
	ID          string
	Kind        string // "mail"
	Payload     []byte // sealed; nil once settled (SEC S-119)
	Status      Status
	Attempts    int
	LastError   string // a class such as "connect" or "550", never a remote text with an address
	CreatedAt   time.Time
	NotBefore   time.Time
	ExpiresAt   time.Time
	LeasedUntil time.Time
	Fence       int64
}
