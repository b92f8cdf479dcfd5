package signin

import (
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

func (p *Pages) stepView(v *visit, f *flow, step *idx.NextStep, name string) *page {
	pg := p.page(v, name, f)
	pg.Step = placeOf(step)
	return pg
}

// told gives the notes of f that belong to the step at hand.
func (f *flow) told(step *idx.NextStep) []note {
	if f.At != "" && f.At != placeOf(step) {
		return nil
	}
	return slices.Clone(f.Notes)
}

// code is what the page for a code that was sent shows beside its field, by mail or
// to a phone.
type code struct {
	Lead      template.HTML // where it went
	Delivered bool          // it was not refused
	Failed    bool          // it was, or did not go out in time
	Change    *press        // leads to another address or number
	Primary   string        // "" or the label of Send a new code, where no code can be right any more
	ResendIn  int           // seconds until a new code may be asked for
	Ready     string        // said when they are over
	CanResend bool
	Check     bool          // there is a link, whose opening may be told by hand
	Other     choice        // another way to send it; Value "": there is none
	Inbox     string        // of development
	Later     template.HTML // where else to look for it
	Leave     bool          // there is a way back to the app, and to Back if there is one
	Back      string
	Instead   *instead

	PollEvery int // milliseconds; 0: no polling
	Delivery  string
	Waiting   string // the step that the poll is for; "": the one of a mail
	mailed
}

// mailed is what every page of a mailed code tells of it.
type mailed struct {
	Valid    string
	ValidFor int           // seconds; 0: unknown
	Resent   template.HTML // when it was sent again
	Spam     template.HTML
}

// mailed has how long a code is good, if left is not 0.
func (p *Pages) mailed(v *visit, f *flow, left time.Duration) mailed {
	m := mailed{Spam: v.words.H("code.spam")}
	if p.opt.Sender != "" {
		m.Spam = v.words.H("code.spam_from", "sender", v.words.Strong(p.opt.Sender))
	}
	if left > 0 {
		m.Valid, m.ValidFor = v.words.N("code.valid", max(1, int((left+30*time.Second)/time.Minute))), int(left/time.Second)
	}
	if f.Resent != 0 {
		at := time.Unix(f.Resent, 0)
		m.Resent = v.words.H("code.resent", "time", v.words.time(at, "time", at.UTC().Format("15:04")+" UTC"))
	}
	return m
}

func codeField(v *visit) *field {
	return &field{
		Name: "verificationCode", Label: v.words.T("code.label"), Type: "text", InputMode: "numeric",
		Autocomplete: "one-time-code", Plain: true, Required: true,
	}
}

// fastPoll is the shortest wait between two polls; engines allow one in 2 s.
const fastPoll = 2 * time.Second

func (p *Pages) showCode(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, codeStep)
	d, address := deliveryOf(step), p.addressOf(f, tx)
	c := code{
		Delivered: d.Status != "refused", CanResend: step.CanResend, Ready: v.words.T("code.again_ready"), Delivery: d.Status,
		Instead: p.insteadOf(v, f, tx),
	}
	c.Failed = failed(d)
	pg.wrong = c.Failed
	switch {
	case c.Failed:
		c.Change = &press{Label: v.words.T("code.change_address"), Action: "change"}
	case step.Name != "challenge-authenticator" || !proven(tx):
		c.Change = &press{Label: v.words.T("code.change"), Action: "change"}
	}

	lead := "code.sent"
	switch {
	case d.Status == "refused":
		lead = "delivery.refused"
	case d.Status == "expired":
		lead = "delivery.expired"
	case d.Status == "delayed":
		lead = "delivery.delayed"
	case address == "":
		lead = "code.sent_unknown"
	case step.Name == "challenge-authenticator" && !proven(tx):
		// Whether there is an account must not show (UX P3.1).
		lead = "code.sent_if"
	}
	c.Lead = v.words.H(lead, "address", v.words.Strong(address))
	told := f.told(step)
	known := !d.CodeExpiresAt.IsZero()
	wrong := slices.IndexFunc(told, func(n note) bool { return n.Key == wrongCode })
	left := time.Duration(0)
	switch {
	case known && !v.now.Before(d.CodeExpiresAt):
		// The engine does not tell a wrong code from an old one, but it tells the time.
		c.Primary = v.words.T("code.new")
		told = append(without(told, wrong), note{Key: "code.too_old"})
	case known && d.TriesLeft == 0:
		c.Primary = v.words.T("code.new")
		told = append(without(told, wrong), note{Key: "code.exhausted"})
	case d.Status == "expired":
		c.Primary = v.words.T("code.new")
	case known:
		left = d.CodeExpiresAt.Sub(v.now)
	}
	c.mailed = p.mailed(v, f, left)
	if c.Delivered {
		c.Later = c.Spam
	}
	if c.Primary == "" && c.Delivered {
		pg.Fields = []*field{codeField(v)}
	}
	pg.report(told)
	if wrong >= 0 && known && d.TriesLeft > 0 && d.TriesLeft <= 2 && len(pg.Fields) > 0 {
		pg.Fields[0].Error += " " + v.words.N("code.tries", d.TriesLeft)
	}

	c.ResendIn = secondsUntil(v.now, d.ResendAt)
	c.Inbox = p.inboxOf(address)
	if step.Poll != nil && c.Primary == "" {
		c.Check, c.PollEvery = true, int(max(step.Poll.Every, fastPoll)/time.Millisecond)
	}
	pg.Data = c
	return p.render(v, pg)
}

// failed reports whether a message never reached anybody, and never will.
func failed(d idx.Delivery) bool { return d.Status == "refused" || d.Status == "expired" }

// secondsUntil rounds up; 0: it is past.
func secondsUntil(now, at time.Time) int {
	return max(0, int((at.Sub(now)+time.Second-1)/time.Second))
}

// inboxOf is the development inbox, at the mail of an address; "" without.
func (p *Pages) inboxOf(address string) string {
	u, err := url.Parse(p.opt.DevInbox)
	if err != nil || p.opt.DevInbox == "" {
		return p.opt.DevInbox
	}
	q := u.Query()
	q.Set("to", address)
	u.RawQuery = q.Encode()
	return u.String()
}

// wrongCode is the protocol's key for a code that is wrong, or too old.
const wrongCode = "api.authn.error.PASSCODE_INVALID"

func without(all []note, i int) []note {
	if i < 0 {
		return all
	}
	return slices.Delete(all, i, i+1)
}

// list is the page of authenticators to choose from.
type list struct {
	Enroll  bool // to set one up; else to sign in with one
	Options []choice
	Chosen  string
	CanSkip bool
	Email   string // already proven
	Error   string
}

func (p *Pages) showList(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, kindOf(step))
	l := list{Enroll: step.Name == chooseEnroll, CanSkip: step.CanSkip}
	for _, o := range step.Options {
		c := choice{Value: o.Value, Label: o.Label, Icon: iconOf(o.Value)}
		if name, ok := v.words.lookup("authenticator." + o.Value + ".name"); ok && (o.Label == "" || o.Value == passkeyKey) {
			c.Label = name
		}
		if o.Value == passkeyKey && l.Enroll {
			c.Device, pg.Passkeys = v.words.T("passkey.device"), p.assets["webauthn.js"].link
		}
		if about, ok := v.words.lookup("authenticator." + o.Value + ".about"); ok {
			c.About = about
		}
		l.Options = append(l.Options, c)
	}
	if len(l.Options) > 0 {
		l.Chosen = l.Options[0].Value
	}
	if typed := f.Filled["authenticator"]; slices.ContainsFunc(l.Options, func(c choice) bool { return c.Value == typed }) {
		l.Chosen = typed
	}
	l.Email = p.addressOf(f, tx)
	if l.Enroll && !l.CanSkip {
		pg.Heading = v.words.T("select.required")
	}
	pg.Fields = []*field{{Name: "authenticator", Value: l.Chosen}}
	told := f.told(step)
	if v.r.URL.Query().Get("view") == "list" {
		told = f.told(tx.NextStep)
	}
	pg.report(told)
	l.Error = pg.Fields[0].Error
	pg.Data = l
	return p.render(v, pg)
}

// iconOf names one of the drawings in parts.html.
func iconOf(key string) string {
	switch key {
	case "okta_email":
		return "mail"
	case "okta_password":
		return "key"
	case "webauthn":
		return "fingerprint"
	case "phone_number", "okta_verify", "google_otp":
		return "phone"
	}
	return "shield"
}

// profile is the page that asks for what a profile lacks (UX P7.6).
type profile struct{ CanSkip bool }

func (p *Pages) showProfile(v *visit, f *flow, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, profileStep)
	for _, in := range step.Inputs {
		fd := p.describe(v, in)
		if s, typed := f.Filled[in.Name]; typed {
			fd.Value, fd.Checked = s, s != ""
		}
		pg.Fields = append(pg.Fields, fd)
	}
	pg.report(f.told(step))
	pg.Data = profile{CanSkip: step.CanSkip}
	return p.render(v, pg)
}

// freeForm is any step that has no page of its own.
type freeForm struct {
	CanSkip bool
	Link    string // where the step is done somewhere else
}

func (p *Pages) showForm(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, anyStep)
	for _, in := range step.Inputs {
		fd := p.describe(v, in)
		switch {
		case in.Name == "verificationCode":
			fd.Label, fd.InputMode, fd.Autocomplete, fd.Plain = v.words.T("code.label"), "numeric", "one-time-code", true
		case in.Name == "newPassword":
			fd.Autocomplete = "new-password"
		case !in.Secret && f.Filled[in.Name] != "":
			fd.Value, fd.Checked = f.Filled[in.Name], true
		case !in.Secret && f.Typed[in.Name] != "":
			fd.Value = f.Typed[in.Name]
		}
		pg.Fields = append(pg.Fields, fd)
	}
	if step.Authenticator != nil && step.Authenticator.DisplayName != "" {
		pg.Heading = step.Authenticator.DisplayName
	}
	form := freeForm{CanSkip: step.CanSkip}
	if u, err := url.Parse(step.Href); err == nil && strings.HasPrefix(u.Scheme, "http") {
		form.Link = step.Href
	}
	pg.report(f.told(step))
	pg.Data = form
	return p.render(v, pg)
}
