package idxapi

import (
	"maps"
	"strconv"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/ion"
	"github.com/stile-id/stile/internal/problem"
)

// paths are the recorded pairs of form and path (IDX §1.2, AUTH §0.4). Several forms
// may share a path; where a stage offers more than one of them, one handler takes both.
var paths = map[string]string{
	"identify":                                    "identify",
	"select-identify":                             "identify/select",
	"select-enroll-profile":                       "enroll",
	"enroll-profile":                              "enroll/new",
	"select-authenticator-enroll":                 "credential/enroll",
	"select-authenticator-authenticate":           "challenge",
	"enroll-authenticator":                        "challenge/answer",
	"challenge-authenticator":                     "challenge/answer",
	"resend":                                      "challenge/resend",
	"poll":                                        "challenge/poll",
	"enroll-poll":                                 "challenge/poll",
	"challenge-poll":                              "challenge/poll",
	"resend-push":                                 "challenge",
	"authenticator-enrollment-data":               "credential/enroll",
	"authenticator-verification-data":             "challenge",
	"select-enrollment-channel":                   "credential/enroll",
	"enrollment-channel-data":                     "challenge/send",
	"challenge-webauthn-autofillui-authenticator": "challenge/answer/webauthn-autofillui",
	"launch-passkeys-authenticator":               "challenge/answer/webauthn-autofillui",
	"skip":                                        "skip",
	"skip-change":                                 "skip/change", // of its own, or the next skip would look like this one again
	"skip-password":                               "skip/password",
	"skip-profile":                                "skip/profile",
	"recover":                                     "recover",
	"identify-recovery":                           "identify",
	"reset-authenticator":                         "challenge/answer",
	"reenroll-authenticator":                      "challenge/answer",
	"reenroll-authenticator-warning":              "challenge/answer",
	"unlock-account":                              "unlock-account",
	"select-authenticator-unlock-account":         "challenge",
	"profile-update":                              "enroll/update",
	"cancel":                                      "cancel",
}

// The waits between two polls, in milliseconds: for a mail (IDX C-65), for a device (AUTH §3.1).
const (
	pollEvery       = 2000
	pollDeviceEvery = 4000
)

// methodLabels are what people read of a method (AUTH §1.1, §3.4).
var methodLabels = map[authenticator.Method]string{
	"sms": "SMS", "voice": "Voice call", "totp": "Enter a code", "push": "Get a push notification",
}

// document encodes a view as the wire has it.
type document struct {
	org      string // the org URL: every href is absolute on it (IDX C-20)
	tokenURL func(server string) string
	view     *flow.View
	doc      *ion.Document
}

func (s *Server) document(v *flow.View) *ion.Document {
	d := document{org: s.publicURL, tokenURL: s.tokenURL, view: v, doc: &ion.Document{
		Version: ion.Version, StateHandle: v.StateHandle, ExpiresAt: wireTime(v.ExpiresAt), Intent: "LOGIN",
	}}
	top := v.Messages
	if v.Stage != flow.Terminal {
		d.people()
		top = d.offers()
		d.success()
	}
	d.doc.Messages = messages(top)
	return d.doc
}

// offers fills in the remediations and actions, each message at its field; it
// returns the messages that belong to no field.
func (d *document) offers() (top []problem.Message) {
	var forms []*ion.Form
	current := d.current()
	placed := map[int]bool{}
	for _, o := range d.view.Offers {
		f := ion.NewForm(o.Name, d.href(o.Name), d.view.StateHandle, d.fields(o.Fields, "", placed)...)
		switch flow.PlaceOf(o.Name) {
		case flow.AtTop:
			d.doc.Cancel = f
		case flow.OnAuthenticator:
			switch o.Name {
			case "poll":
				f.Refresh = pollEvery
				current.Poll = f
			case "recover":
				current.Recover = f
			default:
				current.Resend = f
			}
		case flow.InRemediation:
			switch o.Name {
			case "enroll-authenticator", "reset-authenticator", "reenroll-authenticator", "reenroll-authenticator-warning",
				"authenticator-enrollment-data":
				f.RelatesTo = []string{"$.currentAuthenticator"}
			case "challenge-authenticator", "authenticator-verification-data":
				f.RelatesTo = []string{"$." + d.currentMember()}
			case "enroll-poll", "challenge-poll":
				f.Refresh, f.RelatesTo = pollDeviceEvery, []string{"$.currentAuthenticator"}
			case "skip-change", "skip-password", "skip-profile":
				f.Name = "skip"
			case "resend-push":
				f.Name, f.RelatesTo = "resend", []string{"$.currentAuthenticator"}
			case "challenge-webauthn-autofillui-authenticator", "launch-passkeys-authenticator":
				f.RelatesTo = []string{"webauthnAutofillUIChallenge"}
				d.doc.WebAuthnAutofillUIChallenge = ion.NewObject(d.view.Discover)
			}
			forms = append(forms, f)
		}
	}
	if len(forms) > 0 {
		d.doc.Remediation = ion.NewList(forms)
	}
	for i, m := range d.view.Messages {
		if !placed[i] {
			top = append(top, m)
		}
	}
	return top
}

func (d *document) href(offer string) string { return d.org + "/idp/idx/" + paths[offer] }

func (d *document) fields(in []flow.Field, prefix string, placed map[int]bool) []ion.Field {
	var out []ion.Field
	for _, f := range in {
		path := prefix + f.Name
		field := ion.Field{
			Name: f.Name, Label: f.Label, Type: f.Type, Required: f.Required, Secret: f.Secret,
			MinLength: f.MinLength, MaxLength: f.MaxLength,
		}
		if f.Value != "" {
			field.Value = f.Value
		}
		if f.Hidden {
			field.Visible = new(false)
		}
		if f.Fixed {
			field.Mutable = new(false)
		}
		switch {
		case f.Given != nil:
			field.Value = ion.Given(f.Given)
		case f.Nested:
			field.Value = ion.Nested{Form: ion.SubForm{Value: d.fields(f.Fields, path+".", placed)}}
		case f.Fields != nil:
			field.Form = &ion.SubForm{Value: d.fields(f.Fields, path+".", placed)}
		}
		for _, set := range f.Either {
			field.Options = append(field.Options, ion.FormOption{
				Label: set.Label, Value: ion.Nested{Form: ion.SubForm{Value: d.fields(set.Fields, path+".", placed)}},
			})
		}
		for _, o := range f.Options {
			field.Options = append(field.Options, d.option(o))
		}
		for _, c := range f.Choices {
			field.Options = append(field.Options, ion.TextOption(c))
		}
		var own []problem.Message
		for i, m := range d.view.Messages {
			if m.Field == path {
				placed[i] = true
				own = append(own, m)
			}
		}
		field.Messages = messages(own)
		out = append(out, field)
	}
	return out
}

// option relates to its authenticator or, when it is proven, to its enrollment;
// both carry the key that clients choose by (IDX §2.4). What is challenged as a whole
// is one option, however many a person has of it (AUTH R14, §4.2).
func (d *document) option(o flow.Option) ion.Option {
	target := ""
	if o.Enrolled && !challengedWhole(o.Info) {
		for i, e := range d.view.Enrollments {
			if e.Info.Key == o.Info.Key && target == "" {
				target = "$.authenticatorEnrollments.value[" + strconv.Itoa(i) + "]"
			}
		}
	} else {
		for i, a := range d.view.Choices {
			if a.Key == o.Info.Key {
				target = "$.authenticators.value[" + strconv.Itoa(i) + "]"
			}
		}
	}
	var more []any
	if len(o.Info.Methods) == 1 {
		more = append(more, ion.Constant{Name: "methodType", Value: string(o.Info.Methods[0])})
	}
	for _, f := range o.Details {
		s := ion.Selectable{Name: f.Name, Label: f.Label, Type: "string"}
		for _, c := range f.Choices {
			s.Options = append(s.Options, ion.TextOption(c))
		}
		more = append(more, s)
	}
	return ion.NewOption(o.Info.Name, o.Info.ID, target, more...)
}

// currentMember is where the document has what is challenged: apps and keys are
// challenged as a whole, of others it is the enrollment (AUTH §1.3, §2.2, §3.4, §4.2).
func (d *document) currentMember() string {
	if c := d.view.Current; c != nil && challengedWhole(c.Info) {
		return "currentAuthenticator"
	}
	return "currentAuthenticatorEnrollment"
}

func challengedWhole(i authenticator.Info) bool { return i.Type == "app" || i.Key == "webauthn" }

// current encodes the authenticator in hand and returns it, for its actions.
func (d *document) current() *ion.Authenticator {
	c := d.view.Current
	if c == nil {
		return nil
	}
	a := wireAuthenticator(c.Info)
	a.Settings = c.Settings
	if c.Method != "" {
		a.Methods = []ion.Method{{Type: string(c.Method)}}
	}
	whole := d.currentMember() == "currentAuthenticator"
	switch c.Role {
	case flow.Enrolling:
		plain := a
		d.doc.EnrollmentAuthenticator = ion.NewObject(&plain)
	case flow.Proving:
		if !whole {
			a.ID, a.Profile = c.EnrollmentID, c.Profile
		}
	case flow.Changing, flow.Offering:
	}
	a.ContextualData = contextualData(c)
	if c.Role == flow.Proving && !whole {
		d.doc.CurrentAuthenticatorEnrollment = ion.NewObject(&a)
	} else {
		d.doc.CurrentAuthenticator = ion.NewObject(&a)
	}
	return &a
}

// contextualData is the recorded one, and the extension that docs/idx.md describes.
func contextualData(c *flow.Current) map[string]any {
	data := maps.Clone(c.Context)
	if s := c.Sent; s != nil {
		sent := map[string]any{
			"codeExpiresAt": wireTime(s.CodeExpiresAt), "triesLeft": s.TriesLeft, "delivery": s.Delivery,
		}
		if !s.ResendAt.IsZero() {
			sent["resendAt"] = wireTime(s.ResendAt)
		}
		if data == nil {
			data = map[string]any{}
		}
		data["stile"] = sent
	}
	return data
}

func (d *document) people() {
	v := d.view
	d.doc.App = ion.NewObject(wireApp(v.Client))
	if r := v.Recovery; r != nil {
		a := wireAuthenticator(r.Info)
		a.Settings = r.Settings
		d.doc.RecoveryAuthenticator = ion.NewObject(&a)
	}
	if v.User == nil && v.Stage != flow.UnlockAccount {
		return
	}
	d.user()
	if v.Stage == flow.Success {
		return
	}
	var all, enrolled []any
	for _, a := range v.Choices {
		all = append(all, wireAuthenticator(a))
	}
	for _, e := range v.Enrollments {
		a := wireAuthenticator(e.Info)
		a.ID, a.Profile = e.ID, e.Profile
		a.CredentialID, _ = e.Public["credentialId"].(string)
		a.Transports = texts(e.Public["transports"])
		if e.Name != "" && e.Info.Type == "security_key" {
			a.DisplayName = e.Name
		}
		enrolled = append(enrolled, a)
	}
	d.doc.Authenticators, d.doc.AuthenticatorEnrollments = ion.NewList(all), ion.NewList(enrolled)
}

func (d *document) user() {
	v := d.view
	if v.User == nil {
		return
	}
	u := &ion.User{ID: v.User.ID, Identifier: v.User.Identifier}
	if v.User.Profile {
		u.Profile = &ion.UserProfile{
			FirstName: v.User.FirstName, LastName: v.User.LastName, TimeZone: "UTC", Locale: wireLocale(v.User.Locale),
		}
	}
	d.doc.User = ion.NewObject(u)
}

// success adds the form that redeems the code (IDX §3.1 step 6).
func (d *document) success() {
	v := d.view
	if v.Code == "" {
		return
	}
	fields := []ion.Field{
		{Name: "grant_type", Required: true, Value: "interaction_code"},
		{Name: "interaction_code", Required: true, Value: v.Code},
		{Name: "client_id", Required: true, Value: v.Client.ID},
	}
	if v.Client.Confidential {
		fields = append(fields, ion.Field{Name: "client_secret", Required: true})
	}
	fields = append(fields, ion.Field{Name: "code_verifier", Required: true})
	d.doc.SuccessWithInteractionCode = ion.NewTokenForm(d.tokenURL(v.Server), fields...)
}

func wireAuthenticator(i authenticator.Info) ion.Authenticator {
	a := ion.Authenticator{Type: i.Type, Key: i.Key, ID: i.ID, DisplayName: i.Name, Methods: []ion.Method{}}
	for _, m := range i.Methods {
		a.Methods = append(a.Methods, ion.Method{Type: string(m)})
	}
	return a
}

// texts reads a list of strings that has been JSON.
func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func wireApp(c flow.Client) ion.App {
	a := ion.App{Name: "oidc_client", Label: c.Name, ID: c.ID}
	if c.LogoURI != "" {
		a.Logo = &ion.Logo{Href: c.LogoURI}
	}
	return a
}

func wireLocale(l string) string {
	if l == "" {
		return "en_US"
	}
	return l
}

func messages(in []problem.Message) *ion.Messages {
	if len(in) == 0 {
		return nil
	}
	out := make([]ion.Message, len(in))
	for i, m := range in {
		out[i] = ion.Message{Text: m.Text, I18n: ion.I18n{Key: m.Key, Params: m.Params}, Class: string(m.Class)}
	}
	return ion.NewList(out)
}

// wireTime is RFC 3339 with milliseconds, in UTC (IDX §2.1).
func wireTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
