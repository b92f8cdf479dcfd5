package policy

import "time"

// What a password policy may ask for at least and at most (SEC S-45).
const (
	MinPasswordLength  = 8   // code points
	MaxPasswordLength  = 128 // code points
	MaxPasswordHistory = 24  // each is a hash to make when a password is chosen
)

// A Password is the password policy of some groups (MGMT §6.5).
type Password struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"` // none: everybody

	Complexity Complexity `json:"complexity"`

	MaxAge Duration `json:"maxAge,omitempty"` // then it must be changed; 0: never
	Warn   Duration `json:"warn,omitempty"`   // before MaxAge, that it will be; 0: never
	MinAge Duration `json:"minAge,omitempty"` // before the person may change it again
	// History is how many of the last ones, the current included, may not be chosen
	// again, up to 24. The current one may not in any case.
	History int `json:"history,omitempty"`

	// MaxAttempts is how many wrong passwords in a row pause the password (never
	// the account) on devices that the person has not signed in on; 0: the limits
	// that everybody has (SEC S-49).
	MaxAttempts int      `json:"maxAttempts,omitempty"`
	AutoUnlock  Duration `json:"autoUnlock,omitempty"` // after which the pause ends by itself; 0: never

	NoRecovery bool `json:"noRecovery,omitempty"` // "forgot password" is off
	Unlock     bool `json:"unlock,omitempty"`     // people may end a pause by a code sent to them
	// NoSignIn ends a recovery with the new password, and lets people sign in with it.
	NoSignIn bool `json:"noSignIn,omitempty"`
}

// Complexity is the wire's object of that name (IDX §3.2.2): what it says is what
// is enforced, for clients check by it before they send.
type Complexity struct {
	MinLength    int `json:"minLength"`              // code points, 8 to 128
	MinLowerCase int `json:"minLowerCase,omitempty"` // letters of category Ll
	MinUpperCase int `json:"minUpperCase,omitempty"` // letters of category Lu
	MinNumber    int `json:"minNumber,omitempty"`    // digits 0 to 9
	MinSymbol    int `json:"minSymbol,omitempty"`    // ASCII punctuation

	// ExcludeUsername refuses the user name, and each part of it of four letters or more.
	ExcludeUsername bool `json:"excludeUsername,omitempty"`
	// ExcludeAttributes refuses the values of "firstName" and "lastName" that have
	// three letters or more; a shorter one turns up in good passwords by chance.
	ExcludeAttributes []string `json:"excludeAttributes,omitempty"`
	// MaxConsecutiveRepeatingCharacters is how often a character may follow itself; 0: any number.
	MaxConsecutiveRepeatingCharacters int `json:"maxConsecutiveRepeatingCharacters,omitempty"`
}

// DefaultPassword asks for eight characters that are not the person's own name
// (decision D10), for ever.
func DefaultPassword() Password {
	return Password{Name: DefaultName, Complexity: Complexity{
		MinLength: 8, ExcludeUsername: true, ExcludeAttributes: []string{"firstName", "lastName"},
	}}
}

// PasswordFor returns the password policy of someone in groups.
func (o *Org) PasswordFor(groups []string) Password {
	for _, p := range o.Password {
		if applies(p.Groups, groups) {
			return p
		}
	}
	return DefaultPassword()
}

// Expires says how a password that was chosen at changed stands at now: whether
// it is to be changed before anything else, and whether to warn that it soon will
// be. daysLeft counts started days. Where MaxAge is 0, or it is not known when it
// was chosen, a password never expires.
func Expires(p Password, changed, now time.Time) (expired bool, daysLeft int, warn bool) {
	if p.MaxAge <= 0 || changed.IsZero() {
		return false, 0, false
	}
	left := changed.Add(p.MaxAge.Std()).Sub(now)
	if left <= 0 {
		return true, 0, false
	}
	const day = 24 * time.Hour
	return false, int((left-1)/day) + 1, left <= p.Warn.Std()
}

// Recovery reports whether somebody, whoever it may be, can recover a password.
func (o *Org) Recovery() bool {
	for _, p := range o.Password {
		if !p.NoRecovery {
			return true
		}
	}
	return false
}

// Unlock reports whether somebody, whoever it may be, can end a pause.
func (o *Org) Unlock() bool {
	for _, p := range o.Password {
		if p.Unlock {
			return true
		}
	}
	return false
}
