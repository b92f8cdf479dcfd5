package signin

import (
	"encoding/base64"
	"html/template"
	"net/url"
	"strings"

	"github.com/stile-id/stile/idx"
)

// setup is the page of an authenticator that has no page to itself: what is shown
// to keep, and what is asked for.
type setup struct {
	Lead     template.HTML
	Picture  template.URL // a QR code
	Alt      string
	Secret   string       // that the picture holds, for those who cannot scan it
	Open     template.URL // the same for an app on this device
	Codes    []string     // to keep
	Submit   string
	Answer   string // that the button gives; empty: the fields have it
	Username string
	Back     string // address of the list, if there is one
	CanSkip  bool
	Lost     string // what to do without it, where there is no other way
	Instead  *instead
}

// methodSteps are the kinds of the steps that setup shows, by authenticator: what sets an authenticator up,
// or asks for it.
var methodSteps = map[string]map[string]string{
	"google_otp":        {"enroll-authenticator": setAppStep, "challenge-authenticator": appStep},
	"security_question": {"enroll-authenticator": setQuestionStep, "challenge-authenticator": questionStep},
	"recovery_code":     {"enroll-authenticator": setCodesStep, "challenge-authenticator": codesStep},
	"custom_otp":        {"challenge-authenticator": tokenStep},
	"tac":               {"challenge-authenticator": accessStep},
}

// The kinds of pages that setup shows.
const (
	setAppStep      = "set-app"
	appStep         = "app-code"
	setQuestionStep = "set-question"
	questionStep    = "question"
	setCodesStep    = "set-recovery-codes"
	codesStep       = "recovery-code"
	tokenStep       = "token-code"
	accessStep      = "access-code"
)

// lostWords tell who has lost what is asked for, and has nothing else, what to do.
var lostWords = map[string]string{appStep: "app-code.lost", tokenStep: "token-code.lost"}

func (p *Pages) showMethod(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	kind := kindOf(step)
	pg := p.stepView(v, f, step, kind)
	s := setup{
		Lead: v.words.H(kind+".lead", "app", p.opt.AppName), Submit: v.words.T("form.continue"), Username: p.addressOf(f, tx),
		CanSkip: step.CanSkip && tx.Step(chooseEnroll) == nil, Instead: p.insteadOf(v, f, tx),
	}
	if tx.Step(chooseEnroll) != nil {
		s.Back = p.to("step", "flow", f.ID, "view", "list")
	}
	context := step.Authenticator.Context
	switch kind {
	case setAppStep:
		p.drawApp(pg, &s, context)
		fallthrough
	case appStep:
		fd := codeField(v)
		fd.Label = v.words.T("app.code")
		pg.Fields = []*field{fd}
	case tokenStep:
		fd := codeField(v)
		fd.Label, fd.Autocomplete = v.words.T("token.code"), "off"
		pg.Fields = []*field{fd}
	case setQuestionStep:
		pg.Fields = p.questionFields(v, f, step)
	case questionStep:
		asked, _ := context["enrolledQuestion"].(map[string]any)
		text, _ := asked["question"].(string)
		s.Lead = v.words.Strong(text)
		pg.Fields = []*field{{Name: "answer", Label: v.words.T("question.answer"), Type: "password", Secret: true, Required: true, Autocomplete: "off", DescribedBy: "lead"}}
	case setCodesStep:
		s.Codes, s.Submit, s.Answer = texts(context["codes"]), v.words.T("set-recovery-codes.submit"), "saved"
	case accessStep:
		pg.Fields = []*field{{Name: "verificationCode", Label: v.words.T("access-code.label"), Type: "text", Plain: true, Required: true, Autocomplete: "off", DescribedBy: "lead"}}
	case codesStep:
		pg.Fields = []*field{{Name: "verificationCode", Label: v.words.T("recovery-code.label"), Type: "text", Plain: true, Required: true, Autocomplete: "off", DescribedBy: "lead"}}
	}
	told := f.told(step)
	for i := range told {
		if wrong := kind + ".wrong"; told[i].Key == wrongCode && told[i].Class != info { // no mail has it
			if _, ok := v.words.lookup(wrong); ok {
				told[i].Key = wrong
			}
		}
	}
	if lost := lostWords[kind]; lost != "" && s.Instead == nil {
		s.Lost = v.words.T(lost, "app", p.opt.AppName)
	}
	pg.report(told)
	pg.Data = s
	return p.render(v, pg)
}

// drawApp shows what an authenticator app takes in: a picture for another device,
// a link for this one, and the secret for all that can do neither.
func (p *Pages) drawApp(pg *page, s *setup, context map[string]any) {
	const prefix = "data:image/png;base64,"
	picture, _ := context["qrcode"].(map[string]any)
	href, _ := picture["href"].(string)
	if data, ok := strings.CutPrefix(href, prefix); ok {
		if _, err := base64.StdEncoding.DecodeString(data); err == nil {
			s.Picture, s.Alt, pg.pictures = template.URL(href), pg.words.T("set-app.picture"), true
		}
	}
	secret, _ := context["sharedSecret"].(string)
	if strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return
	}
	for i := 0; i < len(secret); i += 4 {
		s.Secret = strings.TrimSpace(s.Secret + " " + secret[i:min(i+4, len(secret))])
	}
	issuer := strings.ReplaceAll(url.QueryEscape(p.opt.AppName), "+", "%20")
	s.Open = template.URL("otpauth://totp/" + issuer + ":" + url.PathEscape(s.Username) + "?secret=" + secret + "&issuer=" + issuer)
}

// questionFields are the choice of a question, room for an own one, and the answer.
func (p *Pages) questionFields(v *visit, f *flow, step *idx.NextStep) []*field {
	own := v.words.T("set-question.own")
	fields := []*field{
		{Name: "questionKey", Label: v.words.T("set-question.choose"), Type: "select", Either: true, Options: []choice{{Label: v.words.T("field.choose")}}},
		{Name: "question", Label: own, Type: "text", Either: true, Hint: v.words.T("set-question.own_hint")},
		{Name: "answer", Label: v.words.T("question.answer"), Type: "password", Secret: true, Required: true, Autocomplete: "off", Hint: v.words.T("set-question.hint")},
	}
	for _, in := range step.Inputs {
		if in.Name != "questionKey" {
			continue
		}
		for _, o := range in.Options {
			label := o.Label
			if text, ok := v.words.lookup("question." + o.Value); ok {
				label = text
			}
			fields[0].Options = append(fields[0].Options, choice{Value: o.Value, Label: label})
		}
	}
	for _, fd := range fields[:2] {
		fd.Value = f.Filled[fd.Name]
	}
	return fields
}

func texts(x any) []string {
	var all []string
	list, _ := x.([]any)
	for _, one := range list {
		if s, ok := one.(string); ok {
			all = append(all, s)
		}
	}
	return all
}
