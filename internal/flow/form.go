package flow

import (
	"maps"
	"slices"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
)

// A Field is one value of a form, free of any encoding. A field with Fields is
// an object, one with Options a choice.
type Field struct {
	Name                 string
	Label                string
	Type                 string // "", "boolean" or "object"; "" is a string
	Required             bool
	Secret               bool
	MinLength, MaxLength int
	Value                string
	Fixed                bool // Value is sent back as it is
	Hidden               bool // a program fills it in
	Fields               []Field
	Nested               bool // Fields are one level deeper, as a choice that is made already
	Options              []Option
	Choices              []authenticator.Choice
	Either               []Field           // objects of which one is filled in
	Given                map[string]string // an object that is sent back as it is
}

// An Option is an authenticator to choose, by enrollment where Enrolled is set.
type Option struct {
	Info     authenticator.Info
	Enrolled bool
	Details  []Field // that may be said with the choice
}

// A Form makes the fields of an offer, beside the state handle.
type Form func(*Turn) []Field

func noForm(*Turn) []Field { return nil }

func identifyForm(t *Turn) []Field {
	fields := []Field{{Name: "identifier", Label: "Username", Required: true, Value: t.tx.Request.LoginHint}}
	if t.org.PasswordFirst() {
		fields = append(fields, Field{Name: "credentials", Type: "object", Required: true, Fields: []Field{
			{Name: "passcode", Label: "Password", Secret: true},
		}})
	}
	return append(fields, Field{Name: "rememberMe", Type: "boolean", Label: "Keep me signed in"})
}

func recoveryForm(t *Turn) []Field {
	return []Field{{Name: "identifier", Label: "Email or Username", Required: true, Value: t.tx.Request.LoginHint}}
}

func unlockForm(t *Turn) []Field {
	email := Option{Info: t.e.authenticators[emailKey].Info(), Enrolled: true}
	return []Field{
		{Name: "identifier", Label: "Username", Required: true, Value: t.tx.Request.LoginHint},
		{Name: "authenticator", Type: "object", Options: []Option{email}},
	}
}

func profileForm(t *Turn) []Field {
	return []Field{{Name: "userProfile", Fields: append([]Field{
		{Name: "firstName", Label: "First name", Required: true, MinLength: 1, MaxLength: directory.MaxName},
		{Name: "lastName", Label: "Last name", Required: true, MinLength: 1, MaxLength: directory.MaxName},
		{Name: "email", Label: "Email", Required: true, MaxLength: directory.MaxAddress},
	}, attributeFields(t.profile().Asked(policy.AtSignUp))...)}}
}

// changeForm asks for a new password; clients match the label.
func changeForm(*Turn) []Field {
	return []Field{{Name: "credentials", Type: "object", Required: true, Fields: []Field{
		{Name: "passcode", Label: "New password", Secret: true},
	}}}
}

func promptForm(t *Turn) []Field {
	p := t.tx.Open.Prompt
	object := Field{Name: "credentials", Type: "object", Required: true, Fields: asked(p.Fields)}
	for _, a := range p.Either {
		object.Either = append(object.Either, Field{Label: a.Label, Fields: asked(a.Fields)})
	}
	return []Field{object}
}

// againForm asks the devices once more, in the way that was chosen.
func againForm(t *Turn) []Field {
	o := t.tx.Open
	return []Field{{Name: "authenticator", Required: true, Fixed: true, Hidden: true, Given: map[string]string{
		"id": t.openAuthenticator().Info().ID, "methodType": o.Details["methodType"],
	}}}
}

// resendForm says where a link was sent, as it is sent there again (AUTH §3.2).
func resendForm(t *Turn) []Field {
	o := t.tx.Open
	if !o.Prompt.Elsewhere {
		return nil
	}
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(o.Details)) {
		if name != "channel" {
			out = append(out, Field{Name: name, Required: true, Value: o.Details[name], Fixed: true, Hidden: true})
		}
	}
	return out
}

func enrollChoices(t *Turn) []Field {
	choice := Field{Name: "authenticator", Type: "object"}
	for _, key := range t.choices() {
		choice.Options = append(choice.Options, t.option(key, false))
	}
	return []Field{choice}
}

func factorChoices(t *Turn) []Field {
	choice := Field{Name: "authenticator", Type: "object"}
	for _, key := range t.factors() {
		choice.Options = append(choice.Options, t.option(key, true))
	}
	return []Field{choice}
}

func (t *Turn) option(key string, enrolled bool) Option {
	a := t.e.authenticators[key]
	o := Option{Info: a.Info(), Enrolled: enrolled}
	if d, ok := a.(authenticator.Detailer); ok {
		o.Details = asked(d.Details(!enrolled))
	}
	return o
}
