package signin

import (
	"html/template"
	"net/url"
	"slices"
	"strings"

	"github.com/stile-id/stile/idx"
)

// The pages for a phone that shows codes and approves sign-ins.

const verifyKey = "okta_verify"

// wrongNumber is the engine's message for a number that nothing can be sent to.
const wrongNumber = "api.factors.error.sms.invalid_phone"

// The names of the ways to hand the link to the phone, and of those to prove it.
const (
	channelForm  = "select-enrollment-channel"
	channelField = "channel"
	methodField  = "methodType"
)

// verifySteps are the kinds of the steps that concern the phone. A link or a
// question that was let pass, or denied, is told on the page that waited for it.
var verifySteps = map[string]string{
	"enroll-poll": verifySetUpStep, channelForm: verifySetUpStep, "enrollment-channel-data": verifySendStep,
	"authenticator-verification-data": verifyMethodStep, "challenge-poll": verifyPushStep, "resend": verifyPushStep,
	"challenge-authenticator": verifyCodeStep,
}

// verifySetUp is the page that waits for the phone to be added.
type verifySetUp struct {
	QR        template.URL
	Link      string // to go on in this browser
	Far       bool   // the address of the engine leads nowhere from a phone
	Insecure  bool   // no browser keeps a key for the engine's pages
	Sent      template.HTML
	Over      bool // the link is too old
	Channels  []choice
	Back      string
	CanSkip   bool
	CanResend bool
	PollEvery int
	Delivery  string
	Inbox     string
}

func (p *Pages) showVerifySetUp(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, verifySetUpStep)
	about := step.Authenticator.Context
	s := verifySetUp{CanSkip: step.CanSkip, Over: step.Name == channelForm, CanResend: step.CanResend, Delivery: deliveryOf(step).Status}
	if code, _ := about["qrcode"].(map[string]any); code != nil {
		if src, _ := code["href"].(string); strings.HasPrefix(src, "data:image/png;base64,") {
			s.QR, pg.pictures = template.URL(src), true //nolint:gosec // a picture, by its prefix
		}
	}
	own, _ := about["stile"].(map[string]any)
	if link, _ := own["link"].(string); s.QR != "" && p.ofEngine(link) {
		s.Link = link
	}
	s.Far, s.Insecure = p.reach()
	if address, _ := about["email"].(string); address != "" {
		s.Sent = v.words.H("verify.sent", "address", v.words.Strong(address))
		s.Inbox = p.inboxOf(address)
	} else if number, _ := about["phoneNumber"].(string); number != "" {
		s.Sent = v.words.H("verify.sent_number", "number", v.words.Strong(number))
	}
	current, _ := about["selectedChannel"].(string)
	if s.Sent != "" || s.Over {
		current = "" // the same once more: for another address, or a link that is not too old
	}
	s.Channels = p.channels(v, tx, current)
	if tx.Step(chooseEnroll) != nil {
		s.Back = p.to("step", "flow", f.ID, "view", "list")
	}
	if step.Poll != nil {
		s.PollEvery = int(max(step.Poll.Every, fastPoll).Milliseconds())
	}
	if s.Insecure { // however the link is handed over, it leads to nothing
		pg.pictures = false
		s = verifySetUp{Insecure: true, Back: s.Back, CanSkip: s.CanSkip}
	}
	pg.report(f.told(step))
	pg.wrong = pg.wrong || s.Over
	pg.Data = s
	return p.render(v, pg)
}

// channels are the ways to hand the link to the phone, but for the current one.
func (p *Pages) channels(v *visit, tx *idx.Transaction, current string) []choice {
	step := tx.Step(channelForm)
	if step == nil {
		return nil
	}
	var out []choice
	for _, in := range step.Inputs {
		for _, o := range in.Options {
			if in.Name != channelField || o.Value == current {
				continue
			}
			label := o.Label
			if own, ok := v.words.lookup("verify.channel." + o.Value); ok {
				label = own
			}
			out = append(out, choice{Value: o.Value, Label: label})
		}
	}
	return out
}

// ofEngine reports whether a link leads to the engine, and so is one to press.
func (p *Pages) ofEngine(link string) bool {
	u, err := url.Parse(link)
	issuer, ierr := url.Parse(p.client.Config().Issuer)
	return err == nil && ierr == nil && u.Host != "" && u.Scheme == issuer.Scheme && u.Host == issuer.Host
}

// reach reports whether the engine's pages open on this computer alone, or are such
// that no browser keeps a key for them: they do over https, and on loopback.
func (p *Pages) reach() (far, insecure bool) {
	u, err := url.Parse(p.client.Config().Issuer)
	far = err == nil && loopback(u.Hostname())
	return far, !far && (err != nil || u.Scheme != "https")
}

// verifySend is the page that asks where the link is to be sent.
type verifySend struct {
	Channels []choice
	Back     string
}

func (p *Pages) showVerifySend(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, verifySendStep)
	current, _ := step.Authenticator.Context["selectedChannel"].(string)
	s := verifySend{Channels: p.channels(v, tx, current)}
	if tx.Step(chooseEnroll) != nil {
		s.Back = p.to("step", "flow", f.ID, "view", "list")
	}
	for _, in := range step.Inputs {
		fd := p.describe(v, in)
		switch in.Name {
		case "email":
			fd.Label, fd.Type, fd.Autocomplete, fd.Plain = v.words.T("sign_in.identifier"), "email", "email", true
			fd.Value = p.addressOf(f, tx)
		case "phoneNumber":
			fd.Label, fd.Type, fd.Autocomplete = v.words.T("verify.number"), "tel", "tel"
		}
		if s, typed := f.Filled[in.Name]; typed {
			fd.Value = s
		}
		pg.Fields = append(pg.Fields, fd)
	}
	told := f.told(step)
	for i := range told {
		if told[i].Key == wrongNumber {
			told[i].Key = "verify.number_wrong" // this page asks for no country
		}
	}
	pg.report(told)
	pg.Data = s
	return p.render(v, pg)
}

// verifyAsk are the pages that ask for the phone: by which way, for its answer, for
// its code.
type verifyAsk struct {
	Username  string
	Number    string
	Over      bool // denied, or nobody answered
	PollEvery int
	Instead   *instead
}

func (p *Pages) showVerifyAsk(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	kind := kindOf(step)
	pg := p.stepView(v, f, step, kind)
	a := verifyAsk{Username: p.addressOf(f, tx), Over: step.Name == "resend", Instead: p.insteadOf(v, f, tx)}
	told := f.told(step)
	switch kind {
	case verifyPushStep:
		a.Number, _ = step.Authenticator.Context["correctAnswer"].(string)
		if a.Over { // the engine says why as long as it is so
			told = p.said(v, tx)
			pg.Heading = v.words.T("verify.over")
		}
		if step.Poll != nil {
			a.PollEvery = int(max(step.Poll.Every, fastPoll).Milliseconds())
		}
	case verifyCodeStep:
		fd := codeField(v)
		fd.Autocomplete = "one-time-code"
		pg.Fields = []*field{fd}
		for i := range told {
			if told[i].Key == wrongCode {
				told[i].Key = "verify.wrong"
			}
		}
	}
	pg.report(told)
	pg.Data = a
	return p.render(v, pg)
}

// doVerify carries out the buttons that pages of the phone have beside the others';
// ok is false for those.
func (p *Pages) doVerify(v *visit, tx *idx.Transaction, action string) (next *idx.Transaction, ok bool, err error) {
	switch action {
	case "channel":
		next, err = p.client.Proceed(v.ctx, tx, idx.Input{Step: channelForm, Values: map[string]any{channelField: v.form(channelField)}})
		return next, true, err
	case "push", "totp":
		if tx.Step(chooseFactor) == nil {
			return nil, true, idx.ErrNotOffered
		}
		next, err = p.client.Proceed(v.ctx, tx, idx.Input{
			Step: chooseFactor, Authenticator: verifyKey, Values: map[string]any{methodField: action},
		})
		return next, true, err
	}
	return nil, false, nil
}

// added leads from the page that waited for the phone to the list of what is left to
// set up, and says which phone was added, for it may be a stranger's who has seen the QR
// code; nil where that is not what has happened.
func (p *Pages) added(v *visit, f *flow, from string, next *idx.NextStep) *answer {
	if from != "enroll-poll app" || next == nil || kindOf(next) != listStep ||
		slices.ContainsFunc(next.Options, func(o idx.Option) bool { return o.Value == verifyKey }) {
		return nil
	}
	n := note{Key: "select.added", Params: []string{v.words.T("authenticator." + verifyKey + ".name")}, Class: info}
	for _, e := range next.Enrollments { // the newest one is the last
		if name, _ := e.Profile["deviceName"].(string); e.Key == verifyKey && name != "" {
			n.Key, n.Params = "select.added_which", []string{n.Params[0], name}
		}
	}
	return p.stay(v, f, next, n)
}
