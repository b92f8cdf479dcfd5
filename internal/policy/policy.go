// Package policy says what an organisation asks of people who sign up and in.
//
// An Org is plain data: it is kept as one document, edited as one file, and
// evaluated without a database. Lists are ordered and the first match wins; the
// last element of each matches everybody, so that there is always an answer.
package policy

import "slices"

// Enumeration says what is told about addresses that have no account, or
// already have one (decision D8).
type Enumeration string

// The two ways.
const (
	Protect  Enumeration = "protect"  // known and unknown look the same
	Disclose Enumeration = "disclose" // say it, as the protocol's reference does
)

// DefaultName is the policy of each kind that apps and people have who name or match no other.
const DefaultName = "default"

// Org is the policy of the organisation that a process serves (decision D18).
type Org struct {
	Enumeration Enumeration `json:"enumeration"`
	Brand       Brand       `json:"brand,omitzero"`
	// TrustedOrigins may call the engine from browsers, beside those of redirect URIs (SEC S-70, S-71).
	TrustedOrigins []string `json:"trustedOrigins,omitempty"`
	Groups         []Group  `json:"groups,omitempty"`

	Session    []Session    `json:"session"`    // by group; the last is everybody's
	Access     []Access     `json:"access"`     // by name; apps name theirs
	Enrollment []Enrollment `json:"enrollment"` // by group; the last is everybody's
	Profile    []Profile    `json:"profile"`    // by name; apps name theirs
	Password   []Password   `json:"password"`   // by group; the last is everybody's

	WebAuthn WebAuthn `json:"webauthn,omitzero"` // passkeys and security keys
}

// A Brand is how the engine's own pages and mails look where an app says nothing else.
type Brand struct {
	Name  string `json:"name,omitempty"`
	Logo  string `json:"logo,omitempty"`  // https address of a picture
	Color string `json:"color,omitempty"` // of buttons, as #rrggbb
}

// A Group is a set of people that policies name. Users list the ids of theirs.
type Group struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

// PasswordOptional is the guide's organisation: anyone may sign up, the email
// must be proven, all else is optional, and any one factor signs in.
func PasswordOptional() Org {
	return Org{
		Enumeration: Protect,
		Session:     []Session{DefaultSession()},
		Access:      []Access{{Name: DefaultName, Rules: []AccessRule{{Name: DefaultName, Factors: 1, Reauthenticate: Hours(2)}}}},
		Enrollment: []Enrollment{{Name: DefaultName, Authenticators: []Authenticator{
			{Key: "okta_email", Need: Required},
			{Key: "okta_verify", Need: Optional},
			{Key: "okta_password", Need: Optional},
		}}},
		Profile:  []Profile{{Name: DefaultName, SignUp: Open}},
		Password: []Password{DefaultPassword()},
	}
}

// Installed are the keys of the authenticators that this engine has, in the order in
// which people see them where no policy has another.
var Installed = []string{
	"okta_email", "okta_verify", "okta_password", "webauthn", "google_otp", "phone_number", "security_question", "recovery_code",
	"custom_otp", "tac",
}

// Offer adds authenticators to the default enrollment policy, as optional ones, behind
// those that it has.
func (o *Org) Offer(keys ...string) {
	e := &o.Enrollment[len(o.Enrollment)-1]
	for _, key := range keys {
		if !e.Allows(key) {
			e.Authenticators = append(e.Authenticators, Authenticator{Key: key, Need: Optional})
		}
	}
}

// Require makes an authenticator of the default enrollment policy a required
// one; it reports whether it is in the list.
func (o *Org) Require(key string) bool {
	e := &o.Enrollment[len(o.Enrollment)-1]
	for i := range e.Authenticators {
		if e.Authenticators[i].Key == key {
			e.Authenticators[i].Need = Required
			return true
		}
	}
	return false
}

// CloseSignUp closes self-service sign-up in every profile policy.
func (o *Org) CloseSignUp() {
	for i := range o.Profile {
		o.Profile[i].SignUp = Closed
	}
}

// applies reports whether a policy for groups is for someone who is in some.
func applies(policy, person []string) bool {
	return len(policy) == 0 || slices.ContainsFunc(policy, func(g string) bool { return slices.Contains(person, g) })
}
