package flow

import (
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
	Fields               []Field
	Options              []Option
	Values               []string // that may be chosen
}

// An Option is an authenticator to choose, by enrollment where Enrolled is set.
type Option struct {
	Info     authenticator.Info
	Enrolled bool
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
	object := Field{Name: "credentials", Type: "object", Required: true}
	for _, f := range t.tx.Open.Prompt.Fields {
		object.Fields = append(object.Fields, Field{Name: f.Name, Label: f.Label, Secret: f.Secret})
	}
	return []Field{object}
}

func enrollChoices(t *Turn) []Field {
	choice := Field{Name: "authenticator", Type: "object"}
	for _, key := range t.choices() {
		choice.Options = append(choice.Options, Option{Info: t.e.authenticators[key].Info()})
	}
	return []Field{choice}
}

func factorChoices(t *Turn) []Field {
	choice := Field{Name: "authenticator", Type: "object"}
	for _, key := range t.factors() {
		choice.Options = append(choice.Options, Option{Info: t.e.authenticators[key].Info(), Enrolled: true})
	}
	return []Field{choice}
}
