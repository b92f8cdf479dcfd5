package signin

import (
	"github.com/stile-id/stile/idx"
)

// profileFields are the fields that every engine calls the same; what else a
// sign-up asks for is shown as the engine describes it.
var profileFields = map[string]struct{ label, autocomplete string }{
	"firstName": {"sign_up.first_name", "given-name"},
	"lastName":  {"sign_up.last_name", "family-name"},
	"email":     {"sign_up.email", "email"},
}

// asked gives what sign-up asks for: the engine's fields, or the three of old
// where it describes none.
func (o *offer) asked() []idx.InputField {
	if len(o.profile) > 0 {
		return o.profile
	}
	return []idx.InputField{
		{Name: "firstName", Required: true}, {Name: "lastName", Required: true}, {Name: "email", Required: true},
	}
}

func (p *Pages) showSignUp(v *visit) *answer {
	return p.entry(v, signUpForm, func(o *offer, f *flow) []*field {
		var all []*field
		for _, in := range o.asked() {
			fd := p.describe(v, in)
			if known, ok := profileFields[in.Name]; ok {
				fd.Label, fd.Autocomplete = v.words.T(known.label), known.autocomplete
			}
			if in.Name == "email" {
				fd.Type, fd.InputMode, fd.Plain, fd.Required = "email", "email", true, true
			}
			if fd.Secret {
				fd.Autocomplete = "new-password"
			} else {
				fd.Value = f.Typed[in.Name]
			}
			all = append(all, fd)
		}
		return all
	})
}

// signUp takes names and address. Whether the address has an account already does
// not show in what comes next (decision D8).
func (p *Pages) signUp(v *visit) *answer {
	if v.form("action") == "sign-in" {
		return p.carry(v, signInForm, normalAddress(v.form("email")))
	}
	o, err := p.offered(v)
	if err != nil {
		return p.failure(v, nil, err)
	}
	f := v.begin(signUpForm)
	typed, secret := map[string]string{}, ""
	var wrong []note
	for _, in := range o.asked() {
		value := trim(v.form(in.Name))
		switch {
		case in.Name == "email":
			value = normalAddress(value)
			if fault := addressFault(value); fault != "" {
				wrong = append(wrong, note{Key: fault, Field: in.Name})
			}
		case in.Secret:
			if secret = v.form(in.Name); secret == "" && in.Required {
				wrong = append(wrong, note{Key: "error.password.blank", Field: in.Name})
			}
			continue
		default:
			if n := wrongText(in, value); n != nil {
				wrong = append(wrong, *n)
			}
		}
		typed[in.Name] = value
	}
	if secret == "" {
		if a := p.goOn(v, f, typed); a != nil {
			return a
		}
	} else {
		f.Typed = typed
		if a := p.end(v, f); a != nil {
			return a
		}
	}
	if len(wrong) > 0 {
		return p.again(v, f, wrong...)
	}
	return p.startSignUp(v, f, secret)
}

// wrongText checks a line of text against what the engine says of it.
func wrongText(in idx.InputField, value string) *note {
	limit := in.MaxLength
	if _, name := profileFields[in.Name]; name && (limit == 0 || limit > maxName) {
		limit = maxName
	}
	if limit == 0 {
		limit = maxTyped
	}
	fault := nameFault(value, in.Required, limit)
	if fault == "" {
		return nil
	}
	n := &note{Field: in.Name, Params: []string{labelOf(in)}}
	switch in.Name {
	case "firstName":
		n.Key = "error.first_name." + fault
	case "lastName":
		n.Key = "error.last_name." + fault
	default:
		n.Key = "error.field." + fault
	}
	return n
}

func labelOf(in idx.InputField) string {
	if in.Label != "" {
		return in.Label
	}
	return in.Name
}

func (p *Pages) startSignUp(v *visit, f *flow, password string) *answer {
	profile := idx.Profile{
		FirstName: f.Typed["firstName"], LastName: f.Typed["lastName"], Email: f.Typed["email"],
		Password: password, Attributes: map[string]string{},
	}
	for name, value := range f.Typed {
		if _, known := profileFields[name]; !known {
			profile.Attributes[name] = value
		}
	}
	tx, err := p.client.Start(v.ctx, p.startOptions(f))
	switch {
	case err != nil || tx.Status != idx.StatusPending:
	case !tx.HasFeature(idx.FeatureRegistration):
		err = idx.ErrRegistrationClosed
	default:
		tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Profile: &profile})
	}
	return p.started(v, f, tx, err)
}

// describe makes a form field of one of the engine's inputs.
func (p *Pages) describe(v *visit, in idx.InputField) *field {
	fd := &field{Name: in.Name, Label: labelOf(in), Type: "text", Required: in.Required, Secret: in.Secret}
	switch {
	case in.Secret:
		fd.Type, fd.Autocomplete = "password", "current-password"
	case in.Type == "boolean":
		fd.Type = "checkbox"
		fd.Checked, _ = in.Value.(bool)
		if s, ok := in.Value.(string); ok {
			fd.Checked = s == "true"
		}
	case len(in.Options) > 0:
		fd.Type = "select"
		if in.Value == nil || in.Value == "" { // nothing is chosen for anybody
			fd.Options = append(fd.Options, choice{Label: v.words.T("field.choose")})
		}
		for _, o := range in.Options {
			fd.Options = append(fd.Options, choice{Value: o.Value, Label: o.Label})
		}
	}
	if s, ok := in.Value.(string); ok && fd.Type != "checkbox" && !in.Secret {
		fd.Value = s
	}
	return fd
}
