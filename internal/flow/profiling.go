package flow

import (
	"context"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// maxAttribute is the longest value of any attribute, in characters.
const maxAttribute = 1024

// maxAsked is how many attributes one page asks for after sign-in (UX P7.6).
const maxAsked = 3

// asked lists the attributes to ask for now: empty ones of those that the app's
// policy wants after sign-in. Whoever signs up has them on the form.
func (t *Turn) asked() []policy.Attribute {
	var out []policy.Attribute
	if t.account == nil || !t.tx.proven() {
		return nil
	}
	for _, a := range t.profile().Asked(policy.AfterSignIn) {
		if t.account.Attributes[a.Name] == "" && len(out) < maxAsked {
			out = append(out, a)
		}
	}
	return out
}

// attributes reads and checks values of a form's profile.
func attributes(in Input, asked []policy.Attribute) (map[string]string, []problem.Message) {
	values := map[string]string{}
	var bad []problem.Message
	for _, a := range asked {
		field := "userProfile." + a.Name
		value, err := directory.ParseName(in[field], maxAttribute)
		switch {
		case directory.Blank(in[field]):
			if a.Required {
				bad = append(bad, blank(field))
			}
			continue
		case err != nil, !a.Accepts(value):
			bad = append(bad, badPattern(a.Title(), field))
			continue
		}
		values[a.Name] = value
	}
	return values, bad
}

func attributeFields(asked []policy.Attribute) []Field {
	var out []Field
	for _, a := range asked {
		f := Field{Name: a.Name, Label: a.Title(), Required: a.Required, MinLength: a.MinLength, MaxLength: a.MaxLength}
		if a.Type == "boolean" {
			f.Type = "boolean"
		}
		for _, v := range a.Enum {
			f.Choices = append(f.Choices, authenticator.Choice{Label: v, Value: v})
		}
		out = append(out, f)
	}
	return out
}

func updateForm(t *Turn) []Field {
	return []Field{{Name: "userProfile", Required: true, Fields: attributeFields(t.asked())}}
}

// updateProfile takes what the app asks for after sign-in (decision D43).
func updateProfile(_ context.Context, t *Turn, in Input) error {
	values, bad := attributes(in, t.asked())
	if len(bad) > 0 {
		t.refuse(problem.Invalid, bad...)
		return nil
	}
	t.changeUser(func(u *directory.User) {
		all := map[string]string{}
		for k, v := range u.Attributes {
			all[k] = v
		}
		for k, v := range values {
			all[k] = v
		}
		u.Attributes = all
	})
	t.record(audit.Event{Type: "user.account.update_profile", Outcome: audit.Success})
	t.tx.ProfileSkipped = len(values) == 0
	t.durable = true
	t.move()
	return nil
}

func skipProfile(_ context.Context, t *Turn, _ Input) error {
	t.tx.ProfileSkipped = true
	t.move()
	return nil
}
