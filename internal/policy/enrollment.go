package policy

// A Need says whether people must enrol an authenticator. What is not allowed is
// not listed at all.
type Need string

// The needs.
const (
	Optional Need = "optional"
	Required Need = "required"
)

// An Authenticator is one line of an enrollment policy.
type Authenticator struct {
	Key  string `json:"key"`
	Need Need   `json:"need"`
}

// An Enrollment is the authenticator enrollment policy of some groups (MGMT
// §6.6): what it does not list can neither be enrolled nor used.
type Enrollment struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"` // none: everybody
	// Authenticators are listed to people in this order.
	Authenticators []Authenticator `json:"authenticators"`
}

// EnrollmentFor returns the enrollment policy of someone in groups.
func (o *Org) EnrollmentFor(groups []string) Enrollment {
	for _, e := range o.Enrollment {
		if applies(e.Groups, groups) {
			return e
		}
	}
	return Enrollment{Name: DefaultName} // a document without a last policy does not validate
}

// Allows reports whether people may have and use an authenticator.
func (e Enrollment) Allows(key string) bool { return e.Need(key) != "" }

// Need returns how an authenticator is needed, "" for not at all.
func (e Enrollment) Need(key string) Need {
	for _, a := range e.Authenticators {
		if a.Key == key {
			return a.Need
		}
	}
	return ""
}

// Keys lists the authenticators of a need, in order; "" lists all.
func (e Enrollment) Keys(need Need) []string {
	var out []string
	for _, a := range e.Authenticators {
		if need == "" || a.Need == need {
			out = append(out, a.Key)
		}
	}
	return out
}
