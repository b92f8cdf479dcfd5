package idx

import (
	"slices"
	"strconv"
)

// Values are what a caller offers for a form's leaves.
type values map[string]any

// find gives the value for l and the names under which it was found.
func (v values) find(l leaf) (any, string) {
	for _, name := range append([]string{l.Name}, l.aliases...) {
		if x, ok := v[name]; ok {
			return typed(x, l.Type), name
		}
	}
	return nil, ""
}

// typed turns the text of a web form into a boolean where one is asked for.
func typed(x any, kind string) any {
	if s, ok := x.(string); ok && kind == "boolean" {
		if b, err := strconv.ParseBool(s); err == nil {
			return b
		}
		return s == "on"
	}
	return x
}

// An answer is what is left to give: values by the names of forms' leaves, and
// a profile, which only a profile form takes.
type answer struct {
	values  values
	profile *Profile
}

// set leaves out what is empty, so that it does not pass for an answer.
func (v values) set(name, value string) {
	if value != "" {
		v[name] = value
	}
}

func (in Input) answer() answer {
	v := values{}
	for name, x := range in.Values {
		v[name] = x
	}
	v.set("verificationCode", in.VerificationCode)
	v.set("authenticator", in.Authenticator)
	v.set("password", in.Password)
	v.set("username", in.Username)
	if in.Skip {
		v["skip"] = true
	}
	return answer{values: v, profile: in.Profile}
}

func (cr Credentials) answer() answer {
	v := values{}
	v.set("username", cr.Username)
	v.set("password", cr.Password)
	if cr.RememberMe {
		v["rememberMe"] = true
	}
	return answer{values: v}
}

func (p *Profile) empty() bool { return p == nil || len(p.values()) == 0 }

func (p Profile) values() values {
	v := values{}
	for name, value := range p.Attributes {
		v.set(name, value)
	}
	v.set("firstName", p.FirstName)
	v.set("lastName", p.LastName)
	v.set("email", p.Email)
	v.set("password", p.Password)
	return v
}

func (a answer) empty() bool { return len(a.values) == 0 && a.profile == nil }

// to gives the values that f is posted with.
func (a answer) to(f *form) values {
	switch {
	case a.profile != nil && f.asksProfile():
		v := a.profile.values()
		for name, x := range a.values {
			v[name] = x
		}
		return v
	case f.isSelection() && a.values["authenticator"] == nil && a.values["password"] != nil:
		return passwordChoice()
	}
	return a.values
}

// passwordChoice is what a password says at a list of authenticators.
func passwordChoice() values { return values{"authenticator": "okta_password"} }

// spend takes away what f was posted with.
func (a *answer) spend(f *form, used []string) {
	for _, name := range used {
		delete(a.values, name)
	}
	if f.name == "skip" {
		delete(a.values, "skip")
	}
	if f.asksProfile() {
		a.profile = nil
	}
}

// fitting gives the first remediation, in the engine's order, that a fits.
func (d *document) fitting(a answer) *form {
	for _, f := range d.forms {
		if f.submit && d.fits(f, a) {
			return f
		}
	}
	return nil
}

func (d *document) fits(f *form, a answer) bool {
	switch {
	case f.name == "skip":
		return a.values["skip"] == true
	case f.name == "select-enroll-profile", f.asksProfile() && a.profile != nil:
		return a.profile != nil
	case f.name == "identify", f.name == "identify-recovery":
		return a.values["username"] != nil
	case f.isSelection():
		return d.selects(f, a.to(f))
	}
	return f.complete(a.values)
}

// isSelection holds for the lists of authenticators to go on with.
func (f *form) isSelection() bool {
	return f.name == "select-authenticator-enroll" || f.name == "select-authenticator-authenticate"
}

func (f *form) asksProfile() bool {
	return slices.ContainsFunc(f.fields, func(fd field) bool { return fd.name == "userProfile" })
}

// selects holds where v names an authenticator of the list that is not in hand
// already: choosing that again would only send another code.
func (d *document) selects(f *form, v values) bool {
	current := d.current().str("id")
	for _, fd := range f.fields {
		if o, ok := fd.choose(v); ok && fd.name == "authenticator" {
			return current == "" || o.related.str("id") != current
		}
	}
	return false
}

// complete holds where v has something for f and f lacks nothing that it requires.
func (f *form) complete(v values) bool {
	gives := func(l leaf) bool {
		_, name := v.find(l)
		return name != ""
	}
	return slices.ContainsFunc(f.leaves(), gives) && !f.lacks(v)
}

func (f *form) lacks(v values) bool {
	for _, l := range f.leaves() {
		if _, name := v.find(l); name == "" && (l.Required || l.choice) && !truthy(l.Value) {
			return true
		}
	}
	return !f.knowsChoice(v)
}

// knowsChoice is false where v names an authenticator that f does not list.
func (f *form) knowsChoice(v values) bool {
	for _, fd := range f.fields {
		if fd.name == "authenticator" && len(fd.options) > 0 && v["authenticator"] != nil {
			_, ok := fd.choose(v)
			return ok
		}
	}
	return true
}
