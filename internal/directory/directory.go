// Package directory knows the people: users, their addresses and the ways to
// sign in that they have enrolled.
package directory

import (
	"strings"
	"time"
	"unicode"
)

// A Status is where a user stands in their life cycle.
type Status string

// The statuses, in the wire's words. There is no status for an unproven user:
// no such row exists (SEC S-30).
const (
	Active   Status = "ACTIVE"
	Disabled Status = "SUSPENDED"
)

// A User is a person with a proven address.
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

	EmailVerifiedAt time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
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
