package signin

import (
	"errors"

	"github.com/stile-id/stile/idx"
)

func (p *Pages) showSignIn(v *visit) *answer {
	q := v.r.URL.Query()
	if q.Get("prompt") == "create" {
		return v.redirect(p.to("sign-up", "return_to", q.Get("return_to"), "login_hint", q.Get("login_hint"),
			"ui_locales", q.Get("ui_locales")))
	}
	return p.entry(v, signInForm, func(o *offer, f *flow) []*field {
		all := []*field{identifierField(v, o, f)}
		if o.password {
			all = append(all, &field{
				Name: "password", Label: v.words.T("password.label"), Type: "password", Autocomplete: "current-password",
				Secret: true, Required: true,
			})
		}
		return all
	})
}

// signIn takes the address, and the password where the engine asks for both at
// once. The button of another form leads there and carries what was typed (UX P1.4).
func (p *Pages) signIn(v *visit) *answer {
	typed := normalAddress(v.form("identifier"))
	switch action := v.form("action"); action {
	case signUpForm, recoverForm, unlockForm:
		return p.carry(v, action, typed)
	}
	o, err := p.offered(v)
	if err != nil {
		return p.failure(v, nil, err)
	}
	f := v.begin(signInForm)
	f.Remember, f.Keep = v.form("remember") != "", v.form("keep") != "" && o.keep && p.keeps()
	values := map[string]string{"identifier": typed}
	if !o.password {
		if a := p.goOn(v, f, values); a != nil {
			return a
		}
	} else { // another password is another try, whatever came of the last
		f.Typed = values
		if a := p.end(v, f); a != nil {
			return a
		}
	}
	var wrong []note
	if fault := addressFault(typed); fault != "" {
		wrong = append(wrong, note{Key: fault, Field: "identifier"})
	}
	if o.password && v.form("password") == "" {
		wrong = append(wrong, note{Key: "error.password.blank", Field: "password"})
	}
	if len(wrong) > 0 {
		return p.again(v, f, wrong...)
	}
	return p.startSignIn(v, f, v.form("password"))
}

func (p *Pages) startSignIn(v *visit, f *flow, password string) *answer {
	tx, err := p.client.Start(v.ctx, p.startOptions(f))
	if err == nil && tx.Status == idx.StatusPending {
		in := idx.Input{Username: f.Typed["identifier"], Password: password}
		if f.Keep {
			in.Values = map[string]any{"rememberMe": true}
		}
		tx, err = p.client.Proceed(v.ctx, tx, in)
	}
	return p.started(v, f, tx, err)
}

// goOn leads to the step of a form that was sent before with the same values, so
// that going back and pressing the button again sends no second mail. With other
// values it ends the old transaction, whose code then is void (UX P3.10).
func (p *Pages) goOn(v *visit, f *flow, typed map[string]string) *answer {
	before := []*flow{f}
	if f.Form == signUpForm {
		// The page may have been made anew meanwhile, for a flow of its own. Not so
		// at sign-in: an address may have got its account since it was last tried.
		before = append(before, v.flows()...)
	}
	for _, sent := range before {
		same := sent.live(v.now) && sent.Form == f.Form && sent.Asks == f.Asks && sent.ReturnTo == f.ReturnTo
		for name, s := range typed {
			same = same && sent.Typed[name] == clip(s, maxTyped)
		}
		if !same {
			continue
		}
		if sent == f { // a box may have been ticked since
			if err := v.save(f); err != nil {
				return p.failure(v, nil, err)
			}
		}
		return v.redirect(p.stepPage(v, sent))
	}
	f.Typed = typed
	return p.end(v, f)
}

// end cancels what f began at the engine. It gives an answer only where that failed.
func (p *Pages) end(v *visit, f *flow) *answer {
	if !f.live(v.now) {
		p.steps.drop(f)
		f.abandon()
		return nil
	}
	var tx idx.Transaction
	err := tx.UnmarshalText([]byte(f.Tx))
	if err == nil {
		_, err = p.client.Cancel(v.ctx, &tx)
	}
	if err != nil && !gone(err) && !errors.Is(err, idx.ErrNotOffered) {
		return p.failure(v, f, err)
	}
	p.steps.drop(f)
	f.abandon()
	return nil
}

// gone holds for errors after which the transaction cannot go on.
func gone(err error) bool {
	return errors.Is(err, idx.ErrExpired) || errors.Is(err, idx.ErrNoTransaction) || errors.Is(err, idx.ErrInvalidGrant)
}

// again keeps what was typed and shows the form with what is wrong.
func (p *Pages) again(v *visit, f *flow, wrong ...note) *answer {
	f.Notes = wrong
	if err := v.save(f); err != nil {
		return p.failure(v, nil, err)
	}
	return v.redirect(p.formPage(v, f))
}

// started goes on from the engine's first answer to a form: to the next step, or
// back to the form with what the engine says is wrong.
func (p *Pages) started(v *visit, f *flow, tx *idx.Transaction, err error) *answer {
	if err != nil {
		return p.failure(v, f, err)
	}
	if tx.Status == idx.StatusSuccess {
		return p.finish(v, f, tx.Tokens)
	}
	if len(tx.Messages) > 0 && (tx.NextStep == nil && tx.Status == idx.StatusPending || tx.NextStep != nil && atForm[tx.NextStep.Name]) {
		return p.again(v, f, p.said(v, tx)...)
	}
	if tx, err = p.narrow(v, f, tx); err != nil {
		return p.failure(v, f, err)
	}
	return p.advance(v, f, tx)
}

// atForm are the steps that a form answers: who stands there has got no further.
var atForm = map[string]bool{
	"identify": true, "enroll-profile": true, "identify-recovery": true, "unlock-account": true,
	"select-authenticator-unlock-account": true,
}

// said keeps the engine's messages, with the end of the wait where one was named.
func (p *Pages) said(v *visit, tx *idx.Transaction) []note {
	all := notes(tx.Messages)
	atIdentify := tx.NextStep != nil && tx.NextStep.Name == "identify" && asksFor(tx.NextStep, "password")
	for i := range all {
		switch {
		case all[i].Key == wrongPassword:
			all[i].Field = "password"
		case all[i].Key == authenticationFailed && atIdentify:
			all[i] = note{Key: "sign_in.wrong", Field: "password"}
		}
		if all[i].Key != tooMany {
			continue
		}
		all[i].Until = tooOften(v, tx.RetryAfter).Until
	}
	return all
}

// The protocol's keys for every limit, for a password that is not the one of the
// person who is asked for it, and for a pair of address and password.
const (
	tooMany              = "tooManyRequests"
	wrongPassword        = "incorrectPassword"
	authenticationFailed = "errors.E0000004"
)
