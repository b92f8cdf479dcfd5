// Package policy says what an organisation asks of people who sign up and in.
package policy

// Enumeration says what is told about addresses that have no account, or
// already have one (decision D8).
type Enumeration string

// The two ways.
const (
	Protect  Enumeration = "protect"  // known and unknown look the same
	Disclose Enumeration = "disclose" // say it, as the protocol's reference does
)

// A Need says whether people must enrol an authenticator.
type Need int

// The needs, from weakest to strongest. What is off is not listed at all.
const (
	Optional Need = iota
	Required
)

// An Authenticator is one line of the enrollment policy.
type Authenticator struct {
	Key  string
	Need Need
}

// Org is the policy of the organisation that a process serves (decision D18).
type Org struct {
	SignUp      bool // self-service sign-up is open
	Enumeration Enumeration
	// Authenticators are listed to people in this order.
	Authenticators []Authenticator
}

// PasswordOptional is the guide's organisation: anyone may sign up, the email
// must be proven, all else is optional.
func PasswordOptional() Org {
	return Org{
		SignUp:      true,
		Enumeration: Protect,
		Authenticators: []Authenticator{
			{Key: "okta_email", Need: Required},
			{Key: "okta_password", Need: Optional},
		},
	}
}

// Require makes an authenticator of the list a required one; it reports whether it is in the list.
func (o *Org) Require(key string) bool {
	for i := range o.Authenticators {
		if o.Authenticators[i].Key == key {
			o.Authenticators[i].Need = Required
			return true
		}
	}
	return false
}
