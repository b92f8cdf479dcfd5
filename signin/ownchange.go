package signin

import (
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/stile-id/stile/idx"
)

// change is a form that changes one thing of an account.
type change struct {
	Lead     template.HTML
	Action   string // address that it posts to
	Submit   string
	Username string // for password managers
	Back     string
	Note     string   // below the button
	Query    []string // of Action
}

func (p *Pages) showChange(v *visit, f *flow, name string, c change, fields ...*field) (*answer, error) {
	pg := p.page(v, name, f)
	c.Action, c.Back = p.to(f.Form, c.Query...), p.to(ownPage)
	pg.Fields, pg.Data = fields, c
	pg.report(f.Notes)
	return p.render(v, pg), nil
}

// editable lists what the person may change of their profile, as fields of a form.
// The language is offered where there are several to be had.
func (p *Pages) editable(v *visit, o *owner) ([]idx.InputField, *idx.AccountProfile, error) {
	profile, err := o.Profile(v.ctx)
	if err != nil {
		return nil, nil, err
	}
	schema, err := o.Schema(v.ctx)
	if err != nil {
		return nil, nil, err
	}
	var all []idx.InputField
	for _, one := range schema {
		_, has := profile.Values[one.Name]
		if one.ReadOnly || !has || one.Name == "locale" && len(p.languages) < 2 {
			continue
		}
		in := idx.InputField{
			Name: one.Name, Label: one.Title, Type: one.Type, Required: one.Required, MinLength: one.MinLength, MaxLength: one.MaxLength,
			Value: profile.Text(one.Name),
		}
		if one.Name == "locale" {
			in.Label = v.words.T("account.language")
			one.Enum = p.tongues(profile.Text("locale"))
		}
		for _, value := range one.Enum {
			label := value
			if w := p.languages[value]; one.Name == "locale" && w != nil {
				label = w.T("foot.language")
			}
			in.Options = append(in.Options, idx.Option{Label: label, Value: value})
		}
		all = append(all, in)
	}
	return all, profile, nil
}

// tongues are the languages of the pages, and the person's own.
func (p *Pages) tongues(own string) []string {
	var all []string
	for tag := range p.languages {
		all = append(all, tag)
	}
	slices.Sort(all)
	if own != "" && !slices.Contains(all, own) {
		all = append(all, own)
	}
	return all
}

func (p *Pages) showName(v *visit, o *owner) (*answer, error) {
	inputs, _, err := p.editable(v, o)
	if err != nil {
		return nil, err
	}
	f := v.ownForm(namePage, o)
	var fields []*field
	for _, in := range inputs {
		fd := p.describe(v, in)
		if typed, ok := f.Filled[in.Name]; ok {
			fd.Value, fd.Checked = typed, typed != ""
		}
		switch in.Name {
		case "firstName":
			fd.Label, fd.Autocomplete = v.words.T("sign_up.first_name"), "given-name"
		case "lastName":
			fd.Label, fd.Autocomplete = v.words.T("sign_up.last_name"), "family-name"
		}
		if in.Type == "number" {
			fd.InputMode = "decimal"
		}
		fields = append(fields, fd)
	}
	return p.showChange(v, f, "profile-name", change{Submit: v.words.T("profile.submit")}, fields...)
}

// saveName sends the whole profile back: what was read, with what was typed.
func (p *Pages) saveName(v *visit, o *owner) (*answer, error) {
	inputs, profile, err := p.editable(v, o)
	if err != nil {
		return nil, err
	}
	f := v.ownPosted(namePage, o)
	var wrong []note
	for _, in := range inputs {
		value := v.form(in.Name)
		if in.Type != "boolean" {
			value = trim(value)
			n := wrongText(in, value)
			if n == nil && in.Type == "number" && value != "" && !decimal.MatchString(value) {
				n = &note{Key: "error.field.number", Field: in.Name, Params: []string{labelOf(in)}}
			}
			if n != nil {
				wrong = append(wrong, *n)
			}
		}
		f.Filled[in.Name] = value
		profile.Values[in.Name] = typedAs(in, value)
	}
	if len(wrong) > 0 {
		return p.ownAgain(v, f, wrong...)
	}
	if _, err = o.UpdateProfile(v.ctx, profile.Values); err != nil {
		for _, c := range causes(err) {
			wrong = append(wrong, note{Key: "registration.error.doesNotMatchPattern", Text: clip(c.Text, 300), Field: c.Field})
		}
		if len(wrong) > 0 {
			return p.ownAgain(v, f, wrong...)
		}
		return p.refused(v, o, f, err), nil
	}
	p.renew(v, o.session)
	return p.done(v, f, "name"), nil
}

// decimal is a number as JSON writes it (RFC 8259 §6), without an exponent.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// typedAs gives a typed value as its property's type wants it.
func typedAs(in idx.InputField, value string) any {
	switch {
	case in.Type == "boolean":
		return value != ""
	case value == "":
		return nil
	case in.Type == "number" && decimal.MatchString(value):
		return json.Number(value)
	}
	return value
}

func (p *Pages) showNewSecret(v *visit, o *owner) (*answer, error) {
	has, err := o.hasPassword(v)
	if err != nil {
		return nil, err
	}
	f := v.ownForm(secretPage, o)
	f.Filled = nil
	c := change{Username: o.claims().Email, Lead: v.words.H("account.password.lead"), Submit: v.words.T("set-password.submit")}
	label := "password.label"
	if has {
		c.Submit, label = v.words.T("password-expired.submit"), "password.new"
	}
	fd := &field{
		Name: "password", Label: v.words.T(label), Type: "password", Autocomplete: "new-password", Secret: true, Required: true,
		DescribedBy: "lead",
	}
	return p.showChange(v, f, "profile-password", c, fd)
}

// notMetText is how the protocol begins the sentence that says what a password
// lacks. Ours begins otherwise.
const notMetText = "Password requirements were not met. "

func (o *owner) hasPassword(v *visit) (bool, error) {
	all, err := o.Methods(v.ctx)
	return slices.ContainsFunc(all, func(m idx.AccountMethod) bool { return m.Key == "okta_password" && m.ID != "" }), err
}

// saveNewSecret sets the first password, or another in its place. The page asked for
// a new proof of the old one, so the form does not ask once more.
func (p *Pages) saveNewSecret(v *visit, o *owner) (*answer, error) {
	f := v.ownPosted(secretPage, o)
	password := v.form("password")
	if password == "" {
		return p.ownAgain(v, f, note{Key: "error.password.blank", Field: "password"})
	}
	has, err := o.hasPassword(v)
	switch {
	case err != nil:
	case has:
		err = o.ChangePassword(v.ctx, "", password)
	default:
		err = o.SetPassword(v.ctx, password)
	}
	if err != nil {
		var wrong []note
		for _, c := range causes(err) {
			if len(wrong) == 0 {
				wrong = append(wrong, note{
					Key: notMet, Params: []string{clip(strings.TrimPrefix(c.Text, notMetText), 300)}, Field: "password",
				})
			}
		}
		switch {
		case len(wrong) > 0:
			return p.ownAgain(v, f, wrong...)
		case isStatus(err, http.StatusForbidden, "E0000038"):
			return v.redirect(p.to(ownPage)), nil // no passwords here, as of now
		}
		return p.refused(v, o, f, err), nil
	}
	return p.done(v, f, "password"), nil
}
