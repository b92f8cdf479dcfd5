package policy

import (
	"math"
	"slices"
	"time"
)

// A Class is a kind of evidence (NIST SP 800-63B).
type Class string

// The classes.
const (
	Knowledge  Class = "knowledge"
	Possession Class = "possession"
	Inherence  Class = "inherence"
)

// A Proof is one thing that a person has shown, as policies see it.
type Proof struct {
	Authenticator     string // its key
	Type              string // "password", "email", …
	Class             Class
	PhishingResistant bool
	Hardware          bool // its key is known to be kept by hardware that does not give it away
	UserVerified      bool // by the device, with a finger or a PIN: that is inherence beside its class
	At                time.Time
}

func (p Proof) shows(class Class) bool {
	return p.Class == class || p.UserVerified && class == Inherence
}

// Access is an app's sign-on policy (MGMT §6.3): the first rule that is for a person counts.
type Access struct {
	Name  string       `json:"name"`
	Rules []AccessRule `json:"rules"` // the last is everybody's
}

// An AccessRule says what proof an app asks for.
type AccessRule struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"` // none: everybody
	Deny   bool     `json:"deny,omitempty"`

	// Factors is how many classes must be shown: 1 or 2.
	Factors int `json:"factors,omitempty"` // default 1
	// Constraints are alternatives: one must hold in full, if there is any.
	Constraints []Constraint `json:"constraints,omitempty"`
	// Reauthenticate is how old a session's proof may be; 0: each sign-in asks anew.
	Reauthenticate Duration `json:"reauthenticate,omitempty"`

	// ifPossible asks for a second class only of those who have one.
	ifPossible bool
}

// A Constraint asks for evidence of each class that it names.
type Constraint struct {
	Knowledge  *Evidence `json:"knowledge,omitempty"`
	Possession *Evidence `json:"possession,omitempty"`
	Inherence  *Evidence `json:"inherence,omitempty"`
}

// Evidence narrows what counts within a class.
type Evidence struct {
	Types             []string `json:"types,omitempty"` // of authenticators; none: any
	PhishingResistant bool     `json:"phishingResistant,omitempty"`

	hardware bool // only a key of hardware, as an acr asks for
}

// AccessFor returns the rule of the named policy for someone in groups; an
// unknown name is the default's.
func (o *Org) AccessFor(name string, groups []string) AccessRule {
	i := slices.IndexFunc(o.Access, func(a Access) bool { return a.Name == name })
	if i < 0 {
		i = slices.IndexFunc(o.Access, func(a Access) bool { return a.Name == DefaultName })
	}
	if i >= 0 {
		for _, r := range o.Access[i].Rules {
			if applies(r.Groups, groups) {
				return r
			}
		}
	}
	return AccessRule{Deny: true} // a document without a last rule does not validate
}

// The assurances that a client may ask for (AUTH §12.1).
const (
	ACROneFactor            = "urn:okta:loa:1fa:any"
	ACRPassword             = "urn:okta:loa:1fa:pwd"
	ACRTwoFactors           = "urn:okta:loa:2fa:any"
	ACRTwoFactorsIfPossible = "urn:okta:loa:2fa:any:ifpossible"
	ACRPhishingResistant    = "phr"  // (OpenID EAP ACR Values §2)
	ACRHardware             = "phrh" // and its key is kept by hardware
)

// ACRs lists those that can be met here, by somebody: what is phishing-resistant where
// an enrollment policy has keys, what is hardware where only attested keys of certain
// models may be enrolled, since nothing else tells.
func (o *Org) ACRs() []string {
	out := []string{ACROneFactor, ACRPassword, ACRTwoFactors, ACRTwoFactorsIfPossible}
	if slices.ContainsFunc(o.Enrollment, func(e Enrollment) bool { return e.Allows(webauthnKey) }) {
		out = append(out, ACRPhishingResistant)
		if o.WebAuthn.Attested() {
			out = append(out, ACRHardware)
		}
	}
	return out
}

// Meets reports whether With takes acr, and somebody can meet it.
func (o *Org) Meets(acr string) bool { return acr == "" || slices.Contains(o.ACRs(), acr) }

// With returns the rule raised to what the client asks for; never lowered.
func (r AccessRule) With(acr string) AccessRule {
	switch acr {
	case ACRPhishingResistant, ACRHardware:
		r.Constraints = withKey(r.Constraints, acr == ACRHardware)
		r.Deny = r.Deny || len(r.Constraints) == 0
	case ACRPassword:
		r.Constraints = withPassword(r.Constraints)
		r.Deny = r.Deny || len(r.Constraints) == 0
	case ACRTwoFactors:
		r.Factors, r.ifPossible = max(r.Factors, 2), false
	case ACRTwoFactorsIfPossible:
		if r.Factors < 2 {
			r.Factors, r.ifPossible = 2, true
		}
	}
	return r
}

// IfPossible reports whether a second factor is asked for only of who has one.
func (r AccessRule) IfPossible() bool { return r.ifPossible }

// withPassword narrows the alternatives to passwords, and drops those that a
// password cannot meet: taking it for another secret would lower the rule.
func withPassword(alternatives []Constraint) []Constraint {
	if len(alternatives) == 0 {
		alternatives = []Constraint{{}}
	}
	var out []Constraint
	for _, c := range alternatives {
		password := Evidence{Types: []string{"password"}}
		if k := c.Knowledge; k != nil {
			if len(k.Types) > 0 && !slices.Contains(k.Types, "password") {
				continue
			}
			password.PhishingResistant = k.PhishingResistant
		}
		c.Knowledge = &password
		out = append(out, c)
	}
	return out
}

// withKey narrows the alternatives to possession that cannot be relayed, and drops
// those that ask for possession of something else.
func withKey(alternatives []Constraint, hardware bool) []Constraint {
	if len(alternatives) == 0 {
		alternatives = []Constraint{{}}
	}
	var out []Constraint
	for _, c := range alternatives {
		var key Evidence
		if p := c.Possession; p != nil {
			if len(p.Types) > 0 && !slices.Contains(p.Types, "security_key") {
				continue
			}
			key = *p
		}
		key.PhishingResistant, key.hardware = true, key.hardware || hardware
		c.Possession = &key
		out = append(out, c)
	}
	return out
}

// Satisfied reports whether proofs are enough. A rule that asks for a second
// factor if possible is satisfied by one where havingMore is false.
func (r AccessRule) Satisfied(proofs []Proof, havingMore bool) bool {
	if r.ifPossible && !havingMore {
		r.Factors = 1
	}
	return !r.Deny && len(proofs) > 0 && r.distance(proofs) == 0
}

// Helps reports whether one more proof comes nearer to what the rule asks for.
func (r AccessRule) Helps(more Proof, proofs []Proof) bool {
	return r.distance(append(slices.Clone(proofs), more)) < r.distance(proofs)
}

// distance is how many proofs are missing at least, by the nearest constraint.
func (r AccessRule) distance(proofs []Proof) int {
	constraints := r.Constraints
	if len(constraints) == 0 {
		constraints = []Constraint{{}}
	}
	nearest := math.MaxInt
	for _, c := range constraints {
		open := c.open(proofs)
		shown := Classes(proofs)
		for _, class := range open {
			if !slices.Contains(shown, class) {
				shown = append(shown, class)
			}
		}
		nearest = min(nearest, len(open)+max(0, max(1, r.Factors)-len(shown)))
	}
	return nearest
}

// open lists the classes of a constraint that proofs leave open.
func (c Constraint) open(proofs []Proof) []Class {
	var out []Class
	for _, part := range []struct {
		class Class
		want  *Evidence
	}{{Knowledge, c.Knowledge}, {Possession, c.Possession}, {Inherence, c.Inherence}} {
		if part.want == nil {
			continue
		}
		if !slices.ContainsFunc(proofs, func(p Proof) bool { return p.shows(part.class) && part.want.accepts(p) }) {
			out = append(out, part.class)
		}
	}
	return out
}

func (e *Evidence) accepts(p Proof) bool {
	return (len(e.Types) == 0 || slices.Contains(e.Types, p.Type)) && (!e.PhishingResistant || p.PhishingResistant) && (!e.hardware || p.Hardware)
}

// Classes lists the kinds of evidence that proofs show.
func Classes(proofs []Proof) []Class {
	var out []Class
	for _, p := range proofs {
		for _, class := range []Class{Knowledge, Possession, Inherence} {
			if p.shows(class) && !slices.Contains(out, class) {
				out = append(out, class)
			}
		}
	}
	return out
}
