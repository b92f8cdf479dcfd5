package policy

// Primary says what the first page of a sign-in asks for.
type Primary string

// The first pages.
const (
	IdentifierFirst Primary = "identifier" // the user name alone
	PasswordFirst   Primary = "password"   // user name and password on one form
)

// A Session is the global session policy of some groups (MGMT §6.4).
type Session struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"` // none: everybody

	// Primary counts in the last policy only: whom a form is for is not known before it is sent.
	Primary Primary `json:"primary,omitempty"` // default identifier

	Idle             Duration `json:"idle,omitempty"`             // default 2h (SEC S-65)
	Lifetime         Duration `json:"lifetime,omitempty"`         // default 24h
	RememberIdle     Duration `json:"rememberIdle,omitempty"`     // of those who ask to be kept signed in; default 14d
	RememberLifetime Duration `json:"rememberLifetime,omitempty"` // default 30d
	Max              int      `json:"max,omitempty"`              // sessions of one person; the oldest ends; default 20
}

// DefaultSession is what people have whom no other policy is for.
func DefaultSession() Session {
	return Session{
		Name: DefaultName, Primary: IdentifierFirst, Idle: Hours(2), Lifetime: Hours(24),
		RememberIdle: Days(14), RememberLifetime: Days(30), Max: 20,
	}
}

// SessionFor returns the session policy of someone in groups.
func (o *Org) SessionFor(groups []string) Session {
	for _, s := range o.Session {
		if applies(s.Groups, groups) {
			return s.withDefaults()
		}
	}
	return DefaultSession()
}

func (s Session) withDefaults() Session {
	d := DefaultSession()
	for _, f := range []struct{ value, def *Duration }{
		{&s.Idle, &d.Idle}, {&s.Lifetime, &d.Lifetime},
		{&s.RememberIdle, &d.RememberIdle}, {&s.RememberLifetime, &d.RememberLifetime},
	} {
		if *f.value == 0 {
			*f.value = *f.def
		}
	}
	if s.Max == 0 {
		s.Max = d.Max
	}
	if s.Primary == "" {
		s.Primary = d.Primary
	}
	return s
}

// PasswordFirst reports whether the first form asks for the password.
func (o *Org) PasswordFirst() bool { return o.SessionFor(nil).Primary == PasswordFirst }
