package idx

import (
	"slices"
	"strings"
	"time"
)

// defaultPoll is what public clients wait where the engine names no interval.
const defaultPoll = 4 * time.Second

// transaction shows the document to the caller. st is kept for the next call.
func (d *document) transaction(st *state) *Transaction {
	st = st.with(d)
	tx := &Transaction{
		Status:          StatusPending,
		Messages:        d.allMessages(),
		EnabledFeatures: d.features(),
		AvailableSteps:  d.steps(),
		User:            d.user(),
		App:             d.app(),
		ExpiresAt:       d.expiresAt,
		state:           st,
	}
	if len(d.forms) == 0 {
		tx.Status = StatusTerminal
		return tx
	}
	tx.NextStep = d.step(d.forms[0])
	return tx
}

// aboutCurrent are the forms that concern the authenticator in hand without saying so.
var aboutCurrent = map[string]bool{
	"enroll-poll": true, "challenge-poll": true, "select-enrollment-channel": true, "enrollment-channel-data": true,
}

func (d *document) step(f *form) *NextStep {
	s := &NextStep{
		Name:      f.name,
		CanSkip:   d.form("skip") != nil,
		CanResend: slices.ContainsFunc(d.actions, func(a *form) bool { return strings.Contains(a.name, "resend") }),
	}
	if !f.submit {
		s.Href = f.href
	}
	about := f.related
	if about == nil && aboutCurrent[f.name] {
		about = d.current()
	}
	if about != nil {
		s.Authenticator = readAuthenticator(about)
		s.Type = s.Authenticator.Type
	}
	if s.Authenticator != nil && s.Authenticator.Key == "webauthn" || f.name == "select-authenticator-enroll" {
		for _, o := range d.root.obj("authenticatorEnrollments").list("value") {
			s.Enrollments = append(s.Enrollments, readAuthenticator(o))
		}
	}
	for _, l := range f.leaves() {
		if !l.hidden {
			s.Inputs = append(s.Inputs, l.InputField)
		}
		if l.choice && !l.hidden {
			s.Options = l.Options
		}
	}
	switch poll := d.action("poll"); {
	case strings.HasSuffix(f.name, "-poll"):
		s.Poll = &PollInfo{Every: interval(f)}
	case poll != nil && f.related != nil:
		s.Poll = &PollInfo{Every: interval(poll)}
	}
	return s
}

func interval(f *form) time.Duration {
	if f.refresh > 0 {
		return f.refresh
	}
	return defaultPoll
}

func (d *document) features() []Feature {
	var on []Feature
	if d.action("recover") != nil {
		on = append(on, FeaturePasswordRecover)
	}
	for _, o := range []struct {
		form    string
		feature Feature
	}{
		{"select-enroll-profile", FeatureRegistration},
		{"redirect-idp", FeatureSocialIDP},
		{"unlock-account", FeatureAccountUnlock},
	} {
		if d.form(o.form) != nil {
			on = append(on, o.feature)
		}
	}
	return on
}

func (d *document) steps() []string {
	var names []string
	for _, f := range slices.Concat(d.forms, d.actions) {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// allMessages gives the messages for the whole step, then those of fields, each once.
func (d *document) allMessages() []Message {
	all := slices.Clone(d.messages)
	add := func(m Message, same func(Message) bool) {
		if !slices.ContainsFunc(all, func(have Message) bool {
			return have.I18n.Key == m.I18n.Key && have.Text == m.Text && same(have)
		}) {
			all = append(all, m)
		}
	}
	for _, f := range d.forms {
		for _, l := range f.leaves() {
			for _, m := range l.Messages {
				add(m, func(have Message) bool { return have.Field == m.Field })
			}
		}
		// Fields that are never shown may be complained about too.
		for _, m := range fieldMessages(f.fields) {
			add(m, func(Message) bool { return true })
		}
	}
	return all
}

func fieldMessages(fields []field) []Message {
	var all []Message
	for _, fd := range fields {
		all = append(all, fd.messages...)
		all = append(all, fieldMessages(fd.fields)...)
		for _, o := range fd.options {
			all = append(all, fieldMessages(o.fields)...)
		}
	}
	return all
}

func (d *document) user() *User {
	v := d.root.obj("user").obj("value")
	if v == nil {
		return nil
	}
	p := v.obj("profile")
	return &User{ID: v.str("id"), Identifier: v.str("identifier"), FirstName: p.str("firstName"), LastName: p.str("lastName")}
}

func (d *document) app() *App {
	v := d.root.obj("app").obj("value")
	if v == nil {
		return nil
	}
	return &App{ID: v.str("id"), Name: v.str("name"), Label: v.str("label")}
}

func readAuthenticator(o object) *Authenticator {
	a := &Authenticator{
		Type:        o.str("type"),
		Key:         o.str("key"),
		DisplayName: o.str("displayName"),
		ID:          o.str("id"),
		Profile:     o.obj("profile"),
		Settings:    o.obj("settings"),
		Context:     o.obj("contextualData"),
	}
	for _, m := range o.list("methods") {
		if t := m.str("type"); t != "" {
			a.Methods = append(a.Methods, t)
		}
	}
	if s := o.obj("contextualData").obj("stile"); s != nil {
		a.Delivery = &Delivery{TriesLeft: s.int("triesLeft"), Status: s.str("delivery")}
		a.Delivery.CodeExpiresAt, _ = time.Parse(time.RFC3339, s.str("codeExpiresAt"))
		a.Delivery.ResendAt, _ = time.Parse(time.RFC3339, s.str("resendAt"))
	}
	if c := o.obj("challengeData"); c != nil && a.Context == nil { // the challenge itself, of a passkey
		a.Context = map[string]any{"challengeData": map[string]any(c)}
	}
	a.CredentialID = o.str("credentialId")
	list, _ := o["transports"].([]any)
	for _, t := range list {
		if s, ok := t.(string); ok {
			a.Transports = append(a.Transports, s)
		}
	}
	return a
}

// refused shows the last good state again with what the engine said of an answer.
func (d *document) refused(st *state, messages []Message) *Transaction {
	tx := d.transaction(st)
	tx.Messages = messages
	if tx.NextStep != nil {
		for i := range tx.NextStep.Inputs {
			tx.NextStep.Inputs[i].Messages = nil
		}
	}
	return tx
}

// HasFeature tells whether the engine offers f at this state.
func (t *Transaction) HasFeature(f Feature) bool {
	return t != nil && slices.Contains(t.EnabledFeatures, f)
}

// Step gives any remediation offered now by its name, not only the first one;
// nil if it is not offered.
func (t *Transaction) Step(name string) *NextStep {
	switch {
	case t == nil:
		return nil
	case t.state != nil && t.state.doc != nil:
		if f := t.state.doc.form(name); f != nil {
			return t.state.doc.step(f)
		}
	case t.NextStep != nil && t.NextStep.Name == name:
		return t.NextStep
	}
	return nil
}

// State is the OAuth state of the interaction, which names it in callbacks.
func (t *Transaction) State() string {
	if t == nil || t.state == nil {
		return ""
	}
	return t.state.state
}
