package policy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	groupID   = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	nameOf    = regexp.MustCompile(`^[0-9A-Za-z ._-]{1,64}$`)
	attribute = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_]{0,63}$`)
	color     = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
)

// reserved are attribute names that mean something else in a profile, or in a token (SEC S-98).
var reserved = []string{
	"id", "status", "firstName", "lastName", "email", "login", "locale", "groups", "emailVerified",
	"sub", "iss", "aud", "exp", "iat", "acr", "amr", "azp", "nonce", "jti", "scp", "cid", "uid", "ver", "auth_time", "at_hash",
}

// Validate reports everything that is wrong with the document, each line with
// the path of what it means; nil if nothing is. known tells whether an
// authenticator is installed.
func (o *Org) Validate(known func(key string) bool) error {
	v := &validation{org: o}
	if o.Enumeration != Protect && o.Enumeration != Disclose {
		v.fail("enumeration", "%q is neither %q nor %q", o.Enumeration, Protect, Disclose)
	}
	if o.Brand.Color != "" && !color.MatchString(o.Brand.Color) {
		v.fail("brand.color", "%q is not of the form #rrggbb", o.Brand.Color)
	}
	if u, err := url.Parse(o.Brand.Logo); o.Brand.Logo != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		v.fail("brand.logo", "%q is not an https address", o.Brand.Logo)
	}
	for i, origin := range o.TrustedOrigins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || origin != u.Scheme+"://"+strings.ToLower(u.Host) {
			v.fail(fmt.Sprintf("trustedOrigins[%d]", i), "%q is not of the form https://host", origin)
		}
	}
	for i, g := range o.Groups {
		path := fmt.Sprintf("groups[%d].id", i)
		if !groupID.MatchString(g.ID) {
			v.fail(path, "%q must be 1 to 64 letters, digits, dashes or underscores", g.ID)
		}
		if slices.ContainsFunc(o.Groups[:i], func(x Group) bool { return x.ID == g.ID }) {
			v.fail(path, "%q is there twice", g.ID)
		}
	}
	v.sessions()
	v.access()
	v.enrollment(known)
	v.profiles()
	v.passwords()
	v.webauthn()
	return errors.Join(v.errs...)
}

type validation struct {
	org  *Org
	errs []error
}

func (v *validation) fail(path, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...)))
}

// groups checks that each is there.
func (v *validation) groups(path string, ids []string) {
	for _, id := range ids {
		if !slices.ContainsFunc(v.org.Groups, func(g Group) bool { return g.ID == id }) {
			v.fail(path+".groups", "there is no group %q", id)
		}
	}
}

// list checks the names of an ordered list, and that the last is for everybody.
func (v *validation) list(path string, names []string, last []string) {
	if len(names) == 0 {
		v.fail(path, "at least one is needed, for everybody")
		return
	}
	for i, n := range names {
		at := fmt.Sprintf("%s[%d].name", path, i)
		if !nameOf.MatchString(n) {
			v.fail(at, "%q must be 1 to 64 letters, digits, spaces, dots, dashes or underscores", n)
		}
		if slices.Contains(names[:i], n) {
			v.fail(at, "%q is there twice", n)
		}
	}
	if len(last) > 0 {
		v.fail(fmt.Sprintf("%s[%d].groups", path, len(names)-1), "the last is for everybody, so it names no groups")
	}
}

func (v *validation) sessions() {
	var names, last []string
	for i, s := range v.org.Session {
		path := fmt.Sprintf("session[%d]", i)
		names, last = append(names, s.Name), s.Groups
		v.groups(path, s.Groups)
		if s.Primary != "" && s.Primary != IdentifierFirst && s.Primary != PasswordFirst {
			v.fail(path+".primary", "%q is neither %q nor %q", s.Primary, IdentifierFirst, PasswordFirst)
		}
		if s.Max < 0 || s.Max > 100 {
			v.fail(path+".max", "%d is not within 1 and 100", s.Max)
		}
		if s.Lifetime > Days(365) || s.RememberLifetime > Days(365) {
			v.fail(path+".lifetime", "is longer than a year")
		}
	}
	v.list("session", names, last)
}

func (v *validation) access() {
	var names []string
	for i, a := range v.org.Access {
		path := fmt.Sprintf("access[%d]", i)
		names = append(names, a.Name)
		var rules, last []string
		for j, r := range a.Rules {
			at := fmt.Sprintf("%s.rules[%d]", path, j)
			rules, last = append(rules, r.Name), r.Groups
			v.groups(at, r.Groups)
			if r.Factors < 0 || r.Factors > 2 {
				v.fail(at+".factors", "%d is neither 1 nor 2", r.Factors)
			}
			for k, c := range r.Constraints {
				if c.Knowledge == nil && c.Possession == nil && c.Inherence == nil {
					v.fail(fmt.Sprintf("%s.constraints[%d]", at, k), "names no class: knowledge, possession or inherence")
				}
			}
		}
		v.list(path+".rules", rules, last)
	}
	v.list("access", names, nil)
	v.hasDefault("access", names)
}

func (v *validation) enrollment(known func(string) bool) {
	var names, last []string
	for i, e := range v.org.Enrollment {
		path := fmt.Sprintf("enrollment[%d]", i)
		names, last = append(names, e.Name), e.Groups
		v.groups(path, e.Groups)
		for j, a := range e.Authenticators {
			at := fmt.Sprintf("%s.authenticators[%d]", path, j)
			if !known(a.Key) {
				v.fail(at+".key", "there is no authenticator %q here", a.Key)
			}
			if a.Need != Optional && a.Need != Required {
				v.fail(at+".need", "%q is neither %q nor %q; leave out what is not allowed", a.Need, Optional, Required)
			}
			if slices.ContainsFunc(e.Authenticators[:j], func(x Authenticator) bool { return x.Key == a.Key }) {
				v.fail(at+".key", "%q is there twice", a.Key)
			}
		}
		if e.Need("okta_email") != Required {
			v.fail(path+".authenticators", "okta_email must be required: the address is what proves who signs up and recovers")
		}
	}
	v.list("enrollment", names, last)
}

func (v *validation) profiles() {
	var names []string
	for i, p := range v.org.Profile {
		path := fmt.Sprintf("profile[%d]", i)
		names = append(names, p.Name)
		v.groups(path, p.Groups)
		if p.SignUp != "" && p.SignUp != Open && p.SignUp != Closed {
			v.fail(path+".signUp", "%q is neither %q nor %q", p.SignUp, Open, Closed)
		}
		for j, a := range p.Attributes {
			v.attribute(fmt.Sprintf("%s.attributes[%d]", path, j), a)
			if slices.ContainsFunc(p.Attributes[:j], func(x Attribute) bool { return x.Name == a.Name }) {
				v.fail(fmt.Sprintf("%s.attributes[%d].name", path, j), "%q is there twice", a.Name)
			}
		}
	}
	v.list("profile", names, nil)
	v.hasDefault("profile", names)
}

func (v *validation) attribute(path string, a Attribute) {
	switch {
	case !attribute.MatchString(a.Name):
		v.fail(path+".name", "%q must be letters, digits and underscores, and begin with a letter", a.Name)
	case slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, a.Name) }):
		v.fail(path+".name", "%q has a meaning of its own", a.Name)
	}
	if a.Type != "" && a.Type != "string" && a.Type != "number" && a.Type != "boolean" {
		v.fail(path+".type", "%q is none of string, number, boolean", a.Type)
	}
	if a.When != "" && a.When != AtSignUp && a.When != AfterSignIn && a.When != OnProfile {
		v.fail(path+".when", "%q is none of %q, %q, %q", a.When, AtSignUp, AfterSignIn, OnProfile)
	}
	if a.MinLength < 0 || a.MaxLength < 0 || a.MaxLength > 1024 || (a.MaxLength > 0 && a.MinLength > a.MaxLength) {
		v.fail(path, "a length of %d to %d is not within 0 and 1024", a.MinLength, a.MaxLength)
	}
	if _, err := regexp.Compile(a.Pattern); err != nil {
		v.fail(path+".pattern", "%w", err)
	}
}

func (v *validation) passwords() {
	var names, last []string
	for i, p := range v.org.Password {
		path := fmt.Sprintf("password[%d]", i)
		names, last = append(names, p.Name), p.Groups
		v.groups(path, p.Groups)
		if err := p.Complexity.Validate(); err != nil {
			v.fail(path+".complexity", "%w", err)
		}
		if p.History < 0 || p.History > MaxPasswordHistory {
			v.fail(path+".history", "%d is not within 0 and %d", p.History, MaxPasswordHistory)
		}
		if p.MaxAttempts < 0 {
			v.fail(path+".maxAttempts", "%d is less than 0", p.MaxAttempts)
		}
		if p.Warn > 0 && p.Warn >= p.MaxAge {
			v.fail(path+".warn", "is not shorter than maxAge")
		}
		if p.MaxAge > 0 && p.MinAge >= p.MaxAge { // or nobody could change what has expired
			v.fail(path+".minAge", "is not shorter than maxAge")
		}
	}
	v.list("password", names, last)
}

// Validate reports what is wrong with the rules, nil if nothing is.
func (c Complexity) Validate() error {
	if c.MinLength < MinPasswordLength || c.MinLength > MaxPasswordLength {
		return fmt.Errorf("minimum length %d is not within %d to %d", c.MinLength, MinPasswordLength, MaxPasswordLength)
	}
	sum := 0
	for _, n := range []int{c.MinLowerCase, c.MinUpperCase, c.MinNumber, c.MinSymbol} {
		if n < 0 {
			return fmt.Errorf("a minimum of %d characters of a kind", n)
		}
		sum += n
	}
	if sum > MaxPasswordLength {
		return fmt.Errorf("%d characters are required and %d are accepted", sum, MaxPasswordLength)
	}
	if c.MaxConsecutiveRepeatingCharacters < 0 {
		return fmt.Errorf("at most %d repeated characters", c.MaxConsecutiveRepeatingCharacters)
	}
	for _, a := range c.ExcludeAttributes {
		if a != "firstName" && a != "lastName" {
			return fmt.Errorf("attribute %q cannot be excluded, only firstName and lastName", a)
		}
	}
	return nil
}

// hasDefault checks that there is a policy for apps that name none.
func (v *validation) hasDefault(path string, names []string) {
	if !slices.Contains(names, DefaultName) {
		v.fail(path, "there must be one named %q, for apps that name none", DefaultName)
	}
}
