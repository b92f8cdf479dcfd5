package signin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/stile-id/stile/idx"
)

func (p *Pages) showStep(v *visit) *answer {
	f, ok := v.flow(v.r.URL.Query().Get("flow"))
	if a := p.elsewhere(v, f, ok); a != nil {
		return a
	}
	tx, err := p.resume(v, f)
	if last := p.asLast(v, f, err); last != nil {
		tx, err = last, nil
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	switch {
	case tx.Status == idx.StatusSuccess:
		return p.finish(v, f, tx.Tokens)
	case tx.NextStep == nil:
		return p.ended(v, f, tx)
	case v.r.URL.Query().Get("view") == "list":
		for _, name := range []string{chooseEnroll, chooseFactor} {
			if list := tx.Step(name); list != nil {
				return p.showList(v, f, tx, list)
			}
		}
	}
	switch step := tx.NextStep; kindOf(step) {
	case codeStep:
		return p.showCode(v, f, tx, step)
	case listStep, chooseStep:
		return p.showList(v, f, tx, step)
	case passwordStep:
		return p.showPassword(v, f, tx, step)
	case setStep, resetStep, expiredStep, expiringStep:
		return p.showNewPassword(v, f, tx, step)
	case passkeyStep, setKeyStep:
		return p.showPasskey(v, f, tx, step)
	case phoneNumberStep, phoneMethodStep:
		return p.showPhone(v, f, tx, step)
	case phoneCodeStep:
		return p.showPhoneCode(v, f, tx, step)
	case profileStep:
		return p.showProfile(v, f, step)
	case setAppStep, appStep, setQuestionStep, questionStep, setCodesStep, codesStep, tokenStep, accessStep:
		return p.showMethod(v, f, tx, step)
	case verifySetUpStep:
		return p.showVerifySetUp(v, f, tx, step)
	case verifySendStep:
		return p.showVerifySend(v, f, tx, step)
	case verifyMethodStep, verifyPushStep, verifyCodeStep:
		return p.showVerifyAsk(v, f, tx, step)
	default:
		return p.showForm(v, f, tx, step)
	}
}

// elsewhere answers for a flow that has no step to show; ok tells whether this
// browser has the flow at all.
func (p *Pages) elsewhere(v *visit, f *flow, ok bool) *answer {
	switch {
	case !ok && v.cookiesRefused():
		return p.noCookies(v)
	case !ok:
		return p.tooOld(v, nil)
	case f.Done:
		if s, _ := p.session(v); s != nil {
			return p.alreadySignedIn(v, s, f.ReturnTo)
		}
		return v.redirect(p.to(""))
	case f.Tx == "":
		return v.redirect(p.formPage(v, f))
	}
	return nil
}

// step takes every form after the first.
func (p *Pages) step(v *visit) *answer {
	f, ok := v.flow(v.r.URL.Query().Get("flow"))
	action := v.form("action")
	if ok && f.Done {
		return v.redirect(p.onward(v, f))
	}
	if ok {
		switch action {
		case "change", "restart":
			if a := p.end(v, f); a != nil {
				return a
			}
			a := p.again(v, f)
			if to := a.header.Get("Location"); to != "" && action == "change" {
				a.header.Set("Location", to+"&change=1")
			}
			return a
		case "cancel":
			if a := p.end(v, f); a != nil {
				return a
			}
			if err := v.save(f); err != nil {
				return p.failure(v, nil, err)
			}
			return v.redirect(p.to("", "return_to", f.ReturnTo))
		}
	}
	if a := p.elsewhere(v, f, ok); a != nil {
		return a
	}
	f.Lang = v.words.Lang
	tx, err := p.resume(v, f)
	if gone(err) && action == "resend" {
		return p.restart(v, f)
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	if tx.Status == idx.StatusSuccess {
		return p.finish(v, f, tx.Tokens)
	}
	if name, _, _ := strings.Cut(v.form("step"), " "); tx.NextStep == nil || name != "" && tx.Step(name) == nil {
		if a := p.added(v, f, v.form("step"), tx.NextStep); a != nil {
			return a
		}
		return v.redirect(p.stepPage(v, f)) // made for a step that is past
	}
	return p.do(v, f, tx, action)
}

// do carries out one button of the step that tx stands at.
func (p *Pages) do(v *visit, f *flow, tx *idx.Transaction, action string) *answer {
	step := tx.NextStep
	var next *idx.Transaction
	var err error
	switch {
	case action == "resend":
		return p.resend(v, f, tx)
	case action == "sms" || action == "voice":
		return p.sendBy(v, f, tx, action)
	case action == "check":
		if next, err = p.client.Poll(v.ctx, tx); err == nil && placeOf(next.NextStep) == placeOf(step) && next.Status == idx.StatusPending {
			still := "code.not_opened"
			if kindOf(step) != codeStep {
				still = "verify.not_yet"
			}
			return p.stay(v, f, step, note{Key: still, Class: info})
		}
	case action == "skip":
		next, err = p.client.Proceed(v.ctx, tx, idx.Input{Skip: true})
	case action == "recover":
		next, err = p.forgot(v, f, tx)
	case action == "submit", action == "instead":
		f.Filled = map[string]string{"authenticator": v.form("authenticator")}
		next, err = p.choose(v, tx)
		if errors.Is(err, errNothingChosen) {
			return p.stay(v, f, step, note{Key: "error.authenticator", Field: "authenticator"})
		}
	case v.form("step") != placeOf(step):
		return v.redirect(p.stepPage(v, f)) // made for a step that is past
	default:
		var phone bool
		if next, phone, err = p.doVerify(v, tx, action); phone {
			break
		}
		in, wrong := p.input(v, f, step)
		if len(wrong) > 0 {
			return p.stay(v, f, step, wrong...)
		}
		next, err = p.client.Proceed(v.ctx, tx, in)
	}
	if errors.Is(err, idx.ErrNotOffered) {
		return v.redirect(p.stepPage(v, f))
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	if next, err = p.narrow(v, f, next); err != nil {
		return p.failure(v, f, err)
	}
	a := p.advance(v, f, next)
	if step.Name == "enroll-authenticator" && kindOf(step) != codeStep && action == "continue" && len(next.Messages) == 0 &&
		a.status == http.StatusSeeOther && next.NextStep != nil && kindOf(next.NextStep) == listStep {
		return p.stay(v, f, next.NextStep, note{Key: "select.added", Params: []string{v.words.authenticator(step.Authenticator)}, Class: info})
	}
	return a
}

var errNothingChosen = errors.New("signin: nothing chosen")

func (p *Pages) choose(v *visit, tx *idx.Transaction) (*idx.Transaction, error) {
	key := v.form("authenticator")
	if key == "" {
		return nil, errNothingChosen
	}
	name := chooseEnroll
	if tx.Step(name) == nil {
		name = chooseFactor
	}
	return p.client.Proceed(v.ctx, tx, idx.Input{Step: name, Authenticator: key})
}

// input reads the form of a step, and says what is missing before the engine has
// to. What may be shown again is kept in f.
func (p *Pages) input(v *visit, f *flow, step *idx.NextStep) (idx.Input, []note) {
	in := idx.Input{Step: step.Name, Values: map[string]any{}}
	f.Filled = map[string]string{}
	if names := passkeyValues[kindOf(step)]; names != nil {
		return passkeyInput(v, in, names)
	}
	var wrong []note
	for _, asked := range step.Inputs {
		value, missing := v.form(asked.Name), "error.field.blank"
		switch asked.Name {
		case "verificationCode":
			missing = "error.code.blank"
			if kindOf(step) == verifyCodeStep {
				missing = "error.code.blank_phone"
			}
			value = typedCode(step, value)
		case "answer":
			missing = "error.answer.blank"
		case "password", "newPassword":
			missing = "error.password.blank"
		}
		if asked.Type == "boolean" {
			in.Values[asked.Name] = value != ""
			f.Filled[asked.Name] = value
			continue
		}
		if !asked.Secret && asked.Name != "verificationCode" {
			value = trim(value)
			f.Filled[asked.Name] = value
		}
		if asked.Name == "phoneNumber" {
			f.Filled["country"] = trim(v.form("country"))
			value, missing = wholeNumber(value, f.Filled["country"], step), "error.phone.blank"
		}
		if value == "" && asked.Required {
			wrong = append(wrong, note{Key: missing, Field: asked.Name, Params: []string{labelOf(asked)}})
		}
		if value != "" {
			in.Values[asked.Name] = value
		}
	}
	return in, wrong
}

// advance shows what comes after tx: the app, the next step, or this one again with
// what the engine said.
func (p *Pages) advance(v *visit, f *flow, tx *idx.Transaction) *answer {
	if tx.Status == idx.StatusSuccess {
		return p.finish(v, f, tx.Tokens)
	}
	f.Notes, f.At, f.Coded = p.said(v, tx), placeOf(tx.NextStep), false
	if !hasError(tx.Messages) {
		f.Filled = nil
	}
	if tx.Status == idx.StatusPending {
		// A terminal answer leaves the transaction as it was, for another try.
		if err := f.follow(tx, v.now); err != nil {
			return p.failure(v, f, err)
		}
		p.steps.keep(tx)
	}
	if err := v.save(f); err != nil {
		return p.failure(v, nil, err)
	}
	return v.redirect(p.stepPage(v, f))
}

// stay shows the same step with our own message.
func (p *Pages) stay(v *visit, f *flow, step *idx.NextStep, n ...note) *answer {
	f.Notes, f.At = n, placeOf(step)
	if err := v.save(f); err != nil {
		return p.failure(v, nil, err)
	}
	to := p.stepPage(v, f)
	if slices.ContainsFunc(n, func(n note) bool { return n.Field == "authenticator" }) {
		to += "&view=list"
	}
	return v.redirect(to)
}

// resend asks for another code, or tells how long to wait: a press without script
// may come too early (UX P3.8).
func (p *Pages) resend(v *visit, f *flow, tx *idx.Transaction) *answer {
	step := tx.NextStep
	if !step.CanResend {
		return v.redirect(p.stepPage(v, f))
	}
	if a := p.tooEarly(v, f, step); a != nil {
		return a
	}
	next, err := p.client.Resend(v.ctx, tx)
	if gone(err) {
		return p.restart(v, f)
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	if len(next.Messages) == 0 && next.Status == idx.StatusPending {
		f.Resent = v.now.Unix()
	}
	return p.advance(v, f, next)
}

// tooEarly tells how long to wait before a code may be sent; nil: no time.
func (p *Pages) tooEarly(v *visit, f *flow, step *idx.NextStep) *answer {
	d := deliveryOf(step)
	if !d.ResendAt.After(v.now) {
		return nil
	}
	return p.stay(v, f, step, note{
		Key: "code.wait", Class: info, Until: d.ResendAt.Unix(),
		Params: []string{v.words.Wait(d.ResendAt.Sub(v.now))},
	})
}

// restart begins again with what was typed, so that a new code takes one press
// (UX P4.6).
func (p *Pages) restart(v *visit, f *flow) *answer {
	p.steps.drop(f)
	f.abandon()
	switch {
	case f.address() == "":
		return p.tooOld(v, f)
	case f.Form == signUpForm:
		return p.startSignUp(v, f, "")
	case f.Form == recoverForm:
		return p.startRecovery(v, f)
	case f.Form == unlockForm:
		return p.startUnlock(v, f)
	}
	if o, err := p.offered(v); err == nil && o.password {
		return p.again(v, f) // the password was not kept
	}
	return p.startSignIn(v, f, "")
}

// addressOf is the address as typed; where this browser does not know it, what the
// engine shows of it.
func (p *Pages) addressOf(f *flow, tx *idx.Transaction) string {
	if a := f.address(); a != "" {
		return a
	}
	if tx.User != nil && strings.Contains(tx.User.Identifier, "@") {
		return tx.User.Identifier
	}
	if tx.NextStep != nil && tx.NextStep.Authenticator != nil {
		s, _ := tx.NextStep.Authenticator.Profile["email"].(string)
		return s
	}
	return ""
}
