package flow

import (
	"context"
	"maps"
	"slices"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// detailsOf is what an answer says of the chosen authenticator beside which one it
// is, as far as that can be told anything.
func (t *Turn) detailsOf(key string, enrolling bool, in Input) authenticator.Input {
	var names []string
	if d, ok := t.e.authenticators[key].(authenticator.Detailer); ok {
		for _, f := range d.Details(enrolling) {
			names = append(names, f.Name)
		}
	}
	if _, ok := t.e.authenticators[key].(authenticator.Channeler); ok && enrolling {
		names = append(names, "channel")
	}
	out := authenticator.Input{}
	for _, name := range names {
		if v := in["authenticator."+name]; !directory.Blank(v) {
			out[name] = v
		}
	}
	return out
}

// changes reports whether details say anything that o was not begun with.
func (o *Open) changes(details authenticator.Input) bool {
	for k, v := range details {
		if o.Details[k] != v {
			return true
		}
	}
	return false
}

// onlyFactor puts the one factor that is left in hand, if it asks how before it sends
// anything: a list of one is nothing to choose from (AUTH §0.5, SEL-3). In a recovery,
// where okta-idx-golang answers a security question and chooses nothing but the email,
// so is one that sends nothing.
func (t *Turn) onlyFactor(ctx context.Context) error {
	if t.tx.Open != nil || t.StageOf() != ChooseFactor {
		return nil
	}
	left := t.factors()
	if len(left) != 1 {
		return nil
	}
	if _, asks := t.e.authenticators[left[0]].(authenticator.Detailer); !asks && !t.recovering() {
		return nil
	}
	o := &Open{ID: directory.NewID("ch"), Authenticator: left[0], Purpose: t.purpose()}
	if err := t.begins(ctx, o); err != nil {
		return err
	}
	if o.Wanted == nil && (!t.recovering() || len(o.Prompt.Effects) > 0) {
		return nil
	}
	t.tx.Open = o
	t.move()
	return nil
}

// anew reports whether what is to be enrolled was chosen once more without a word of
// where its code goes: the person wants to say that again, as after a slip in a number.
func (t *Turn) anew(o *Open, details authenticator.Input) bool {
	_, told := t.e.authenticators[o.Authenticator].(authenticator.Detailer)
	_, channels := t.e.authenticators[o.Authenticator].(authenticator.Channeler)
	if channels && details["channel"] != "" { // which is asked where it leads apart
		return len(o.Details) > len(details)
	}
	return told && len(details) == 0 && len(o.Details) > 0
}

// withEarlier completes details that say something by what was said before: whoever
// asks for a call in place of a text need not type the number again. Where a link goes
// is asked with each channel: an address may have been a slip.
func (t *Turn) withEarlier(key string, details authenticator.Input) authenticator.Input {
	o := t.tx.Open
	_, channels := t.e.authenticators[key].(authenticator.Channeler)
	if o == nil || o.Authenticator != key || len(details) == 0 || channels && o.Enrolling {
		return details
	}
	out := maps.Clone(o.Details)
	if out == nil {
		return details
	}
	maps.Copy(out, details)
	return out
}

// again is the same question, to be asked anew.
func (o *Open) again() *Open {
	return &Open{Authenticator: o.Authenticator, Enrolling: o.Enrolling, Purpose: o.Purpose, Details: o.Details}
}

// giveChannel takes where a way to enrol leads: the address or the number that a
// link is sent to (AUTH §3.2). Clients send it beside the state handle, bare.
func giveChannel(ctx context.Context, t *Turn, in Input) error {
	o := t.tx.Open.again()
	if o.Details = maps.Clone(o.Details); o.Details == nil {
		o.Details = authenticator.Input{}
	}
	given := false
	for _, f := range t.tx.Open.Wanted.Fields {
		if v := in[f.Name]; !directory.Blank(v) {
			o.Details[f.Name], given = v, true
		}
	}
	if !given {
		t.refuse(problem.Invalid, blank(t.tx.Open.Wanted.Fields[0].Name))
		return nil
	}
	return t.open(ctx, o)
}

// added notes that what the person came to add is theirs.
func (t *Turn) added(o *Open) {
	if o.Authenticator == t.tx.Request.Enroll {
		t.tx.Added = true
	}
}

func wantedForm(t *Turn) []Field {
	o := t.tx.Open
	object := Field{Name: "authenticator", Label: t.openAuthenticator().Info().Name, Fields: []Field{
		{Name: "id", Required: true, Value: t.openAuthenticator().Info().ID, Fixed: true},
	}}
	for _, f := range asked(o.Wanted.Fields) {
		f.Type = "string" // clients show it to their app (AUTH §1.1)
		object.Fields = append(object.Fields, f)
	}
	return []Field{object}
}

func channelForm(t *Turn) []Field { return asked(t.tx.Open.Wanted.Fields) }

func channelChoices(t *Turn) []Field {
	info := t.openAuthenticator().Info()
	var channels []authenticator.Choice
	if about, err := t.about(t.tx.Open); err == nil {
		channels = t.openAuthenticator().(authenticator.Channeler).Channels(about)
	}
	return []Field{{Name: "authenticator", Type: "object", Label: info.Name, Nested: true, Fields: []Field{
		{Name: "id", Required: true, Value: info.ID, Fixed: true, Hidden: true},
		{Name: "channel", Type: "string", Required: true, Choices: channels},
	}}}
}

// asked are an authenticator's fields as those of a form.
func asked(in []authenticator.Field) []Field {
	var out []Field
	for _, f := range in {
		kind := ""
		if len(f.Choices) > 0 { // clients leave out a choice of what they take for no text
			kind = "string"
		}
		out = append(out, Field{
			Type: kind, Name: f.Name, Label: f.Label, Secret: f.Secret, Required: f.Required, Hidden: f.Hidden,
			Value: f.Value, Fixed: f.Fixed, Choices: slices.Clone(f.Choices),
		})
	}
	return out
}
