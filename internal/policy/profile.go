package policy

import (
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// SignUp says whether people may make an account for themselves.
type SignUp string

// The two ways.
const (
	Open   SignUp = "open"
	Closed SignUp = "closed"
)

// A Profile is an app's profile enrollment policy (MGMT §6.7). The email is
// always asked for and always proven before there is an account (SEC S-30).
type Profile struct {
	Name       string      `json:"name"`
	SignUp     SignUp      `json:"signUp,omitempty"`     // default open
	Groups     []string    `json:"groups,omitempty"`     // that people who sign up join
	Attributes []Attribute `json:"attributes,omitempty"` // beyond first name, last name and email
}

// When says where an attribute is asked for.
type When string

// The places.
const (
	AtSignUp    When = "sign-up"
	AfterSignIn When = "sign-in" // progressive profiling: while it is empty
	OnProfile   When = "profile" // on the profile page only
)

// An Attribute is one value of a profile.
type Attribute struct {
	Name      string   `json:"name"` // letters and digits, begins with a letter
	Label     string   `json:"label,omitempty"`
	Type      string   `json:"type,omitempty"` // string (default), number or boolean
	Required  bool     `json:"required,omitempty"`
	When      When     `json:"when,omitempty"`      // default sign-up
	MinLength int      `json:"minLength,omitempty"` // in characters
	MaxLength int      `json:"maxLength,omitempty"` // default 255
	Pattern   string   `json:"pattern,omitempty"`   // RE2, matches the whole value
	Enum      []string `json:"enum,omitempty"`
	ReadOnly  bool     `json:"readOnly,omitempty"` // people cannot change it themselves
}

// ProfileFor returns the named policy; an unknown name is the default's.
func (o *Org) ProfileFor(name string) Profile {
	i := slices.IndexFunc(o.Profile, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		i = slices.IndexFunc(o.Profile, func(p Profile) bool { return p.Name == DefaultName })
	}
	if i < 0 {
		return Profile{Name: DefaultName, SignUp: Closed}
	}
	return o.Profile[i]
}

// Asked lists the attributes that are asked for at a place.
func (p Profile) Asked(when When) []Attribute {
	var out []Attribute
	for _, a := range p.Attributes {
		w := a.When
		if w == "" {
			w = AtSignUp
		}
		if w == when {
			out = append(out, a)
		}
	}
	return out
}

// Title is what people see beside the field.
func (a Attribute) Title() string {
	if a.Label != "" {
		return a.Label
	}
	return a.Name
}

// defaultMaxLength holds for attributes that say nothing else, in characters.
const defaultMaxLength = 255

// Accepts reports whether the attribute may have a value that is not empty.
func (a Attribute) Accepts(value string) bool {
	n, longest := utf8.RuneCountInString(value), a.MaxLength
	if longest == 0 {
		longest = defaultMaxLength
	}
	if n < a.MinLength || n > longest || (len(a.Enum) > 0 && !slices.Contains(a.Enum, value)) {
		return false
	}
	switch a.Type {
	case "number":
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return false
		}
	case "boolean":
		if value != "true" && value != "false" {
			return false
		}
	}
	if a.Pattern == "" {
		return true
	}
	re, err := regexp.Compile(`^(?:` + a.Pattern + `)$`)
	return err == nil && re.MatchString(value)
}
