package account

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
)

// maxAttribute is the most characters of an attribute.
const maxAttribute = 1024

// A Value is one value of a profile. Its Type is "string", "number" or
// "boolean"; without one there is no value.
type Value struct {
	Type string
	Text string // as the type is written: "31", "true"
}

// A Property is a value with what its schema says of it.
type Property struct {
	policy.Attribute
	Value
}

// A Profile is what an app shows of a person: the names, the address and the
// attributes of its profile policy, in that order.
type Profile struct {
	Properties []Property
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// A Fault is what is wrong with one value.
type Fault struct{ Name, Text string }

// Invalid refuses a profile; nothing of it was taken.
type Invalid struct{ Faults []Fault }

func (e *Invalid) Error() string {
	names := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		names[i] = f.Name
	}
	return "account: profile: " + strings.Join(names, ", ")
}

// Profile returns the person's.
func (a *Accounts) Profile(ctx context.Context, by Actor) (Profile, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return Profile{}, err
	}
	return c.profile(), nil
}

func (c *change) profile() Profile {
	u := &c.account.User
	p := Profile{CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt}
	add := func(a policy.Attribute, text string) {
		if a.Type == "" {
			a.Type = "string"
		}
		v := Value{Text: text}
		if text != "" {
			v.Type = a.Type
		}
		p.Properties = append(p.Properties, Property{a, v})
	}
	add(policy.Attribute{Name: "firstName", Label: "First name", Required: true, MinLength: 1, MaxLength: directory.MaxName}, u.FirstName)
	add(policy.Attribute{Name: "lastName", Label: "Last name", Required: true, MinLength: 1, MaxLength: directory.MaxName}, u.LastName)
	add(policy.Attribute{Name: "email", Label: "Email", Required: true, MaxLength: directory.MaxAddress, ReadOnly: true}, u.Email)
	add(policy.Attribute{Name: "login", Label: "Username", Required: true, MaxLength: directory.MaxAddress, ReadOnly: true}, u.Email)
	add(policy.Attribute{Name: "locale", Label: "Language", MaxLength: directory.MaxLocale}, u.Locale)
	for _, a := range c.org.ProfileFor(c.app.Profile).Attributes {
		add(a, u.Attributes[a.Name])
	}
	return p
}

// UpdateProfile puts values in the place of the profile's: exactly those that
// Profile returns, no less, since leaving one out would be taken for emptying it,
// and no more (SEC S-40). What is read only must come back as it is. Faults are an
// *Invalid, and then nothing has changed.
func (a *Accounts) UpdateProfile(ctx context.Context, by Actor, values map[string]Value) (Profile, error) {
	var out Profile
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		if err := c.need(ctx, Recent); err != nil {
			return err
		}
		before := c.profile()
		set, faults := check(before.Properties, values)
		if len(faults) > 0 {
			return &Invalid{Faults: faults}
		}
		u := &c.account.User
		u.FirstName, u.LastName, u.Locale = set["firstName"], set["lastName"], set["locale"]
		all := maps.Clone(u.Attributes)
		if all == nil {
			all = map[string]string{}
		}
		for _, p := range before.Properties[ownProperties:] {
			if p.ReadOnly {
				continue
			}
			if delete(all, p.Name); set[p.Name] != "" {
				all[p.Name] = set[p.Name]
			}
		}
		if u.Attributes = all; len(all) == 0 {
			u.Attributes = nil
		}
		if out = c.profile(); slices.EqualFunc(before.Properties, out.Properties, func(x, y Property) bool { return x.Value == y.Value }) {
			return nil
		}
		u.UpdatedAt = c.now
		out.UpdatedAt = c.now
		c.moved = true
		c.record(audit.Event{Type: "user.account.update_profile"})
		return nil
	})
	return out, err
}

// ownProperties is how many properties come before those of the policy.
const ownProperties = 5

// check reads new values. They are the person's: emptied by no type, else of the
// property's type and what its policy accepts.
func check(properties []Property, values map[string]Value) (map[string]string, []Fault) {
	set := map[string]string{}
	var faults []Fault
	fault := func(name, text string) { faults = append(faults, Fault{name, text}) }
	for _, p := range properties {
		v, given := values[p.Name]
		switch {
		case !given:
			fault(p.Name, "This property must be given, as it was read or changed")
			continue
		case p.ReadOnly:
			if v != p.Value {
				fault(p.Name, "This property is read only")
			}
			continue
		case v.Type == "" || v.Type == "string" && directory.Blank(v.Text):
			if p.Required {
				fault(p.Name, "This property cannot be left blank")
			}
			continue
		case v.Type != p.Attribute.Type:
			fault(p.Name, "This property must be of the type "+p.Attribute.Type)
			continue
		}
		longest := maxAttribute
		if p.Name == "firstName" || p.Name == "lastName" {
			longest = directory.MaxName
		}
		if p.Name == "locale" {
			tag, err := directory.ParseLocale(v.Text)
			if err != nil {
				fault(p.Name, "This property must be a language such as en or pt-BR")
			}
			set[p.Name] = tag
			continue
		}
		text, err := directory.ParseName(v.Text, longest)
		if err != nil || !p.Accepts(text) {
			fault(p.Name, "This value is not accepted")
			continue
		}
		set[p.Name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(properties, func(p Property) bool { return p.Name == name }) {
			fault(name, "There is no such property")
		}
	}
	return set, faults
}
