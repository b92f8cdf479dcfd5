// Package directory knows the people: users, their addresses and the ways to
// sign in that they have enrolled.
package directory

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Status is where a user stands in their life cycle.
type Status string

// The statuses, in the wire's words. Nobody is in a status between sign-up and
// proof: no such row exists (SEC S-30).
const (
	Active      Status = "ACTIVE"
	Staged      Status = "STAGED"        // made by an operator and not invited yet
	Provisioned Status = "PROVISIONED"   // invited: the address is not proven, and nothing signs in
	Disabled    Status = "SUSPENDED"     // by an operator, who can take it back
	Deactivated Status = "DEPROVISIONED" // the step before deletion (SEC S-132); only an invitation leads back
)

// A User is a person with a proven address, or one who was invited to prove it.
type User struct {
	ID        string // "00u" and 22 characters; never reused (SEC S-39)
	Version   int64
	Status    Status
	Email     string // as typed, NFC
	Canonical string // unique; see Address
	FirstName string
	LastName  string
	Locale    string // BCP 47, empty if unknown

	Attributes map[string]string // profile attributes beyond the ones above
	Groups     []string          // ids, sorted

	EmailVerifiedAt time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// SignedOutAt is when the person was last signed out everywhere: no token and
	// no session that began before counts (SEC S-104), but those of Kept.
	SignedOutAt time.Time
	Kept        []string // ids of the session and the grant that went on then; none: all ended
	// DeleteAt is when the account goes, if the person has asked for that.
	DeleteAt time.Time
}

// SignOut ends all that began before, but what has one of the ids kept; an empty
// id keeps nothing.
func (u *User) SignOut(at time.Time, kept ...string) {
	u.SignedOutAt, u.Kept = at, slices.DeleteFunc(kept, func(id string) bool { return id == "" })
}

// Keeps reports whether what has one of these ids went on when the person was
// last signed out of everything else.
func (u *User) Keeps(ids ...string) bool { return Kept(u.Kept, ids...) }

// Kept reports whether one of ids is among kept; an empty one never is.
func Kept(kept []string, ids ...string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return id != "" && slices.Contains(kept, id) })
}

// An Enrollment is one user's registered use of an authenticator.
type Enrollment struct {
	ID            string
	UserID        string
	Version       int64
	Authenticator string // its key, for example "okta_email"
	Credential    []byte // sealed; what the authenticator needs to verify
	CreatedAt     time.Time
	LastUsedAt    time.Time // zero: never
}

// An Account is a user with all their enrollments, oldest first.
type Account struct {
	User
	Enrollments []Enrollment
}

// Enrolled returns the first enrollment of an authenticator.
func (a *Account) Enrolled(key string) (Enrollment, bool) {
	for _, e := range a.Enrollments {
		if e.Authenticator == key {
			return e, true
		}
	}
	return Enrollment{}, false
}

// Blank reports whether s holds nothing but spaces and control characters.
func Blank(s string) bool {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) == ""
}

// A Query selects users, in the order of their ids.
type Query struct {
	After  string // id; "" begins
	Limit  int
	Search string // begins the address or a name, whatever the case; "" is everybody
	Group  string // id; "" is any
	Status Status // "" is any
}

// A TicketKind is what a ticket is good for.
type TicketKind string

// The kinds.
const (
	Recovery     TicketKind = "recovery"      // begins at the new password (IDX §3.8)
	Activation   TicketKind = "activation"    // begins at the enrollment of an invited person
	EmailChange  TicketKind = "email-change"  // a new address that waits for its proof
	PhoneChange  TicketKind = "phone-change"  // a new number that waits for its proof
	EmailUndo    TicketKind = "email-undo"    // gives the old address back
	DeletionUndo TicketKind = "deletion-undo" // keeps an account that is to go
	Push         TicketKind = "push"          // asks the person's devices to approve a sign-in
)

// A Ticket is something that one user may do once, later, in another place: what
// a mailed link or a handed-out token stands for. The database has only its id;
// the bearer secret is a MAC of it.
type Ticket struct {
	ID        string
	Kind      TicketKind
	UserID    string
	Version   int64
	Data      []byte // sealed; by the kind
	CreatedAt time.Time
	ExpiresAt time.Time
	SpentAt   time.Time // zero: not yet
}
