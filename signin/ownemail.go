package signin

import (
	"errors"
	"html/template"
	"net/http"

	"github.com/stile-id/stile/idx"
)

// waiting is the address that waits for its code, nil if there is none.
func (p *Pages) waiting(v *visit, o *owner) (*idx.AccountEmail, error) {
	all, err := o.Emails(v.ctx)
	for i := range all {
		if !all[i].Verified {
			return &all[i], err
		}
	}
	return nil, err
}

func (p *Pages) showNewEmail(v *visit, o *owner) (*answer, error) {
	f := v.ownForm(emailPage, o)
	fd := &field{
		Name: "email", Label: v.words.T("account.email.new"), Type: "email", InputMode: "email", Autocomplete: "email",
		Plain: true, Required: true, Value: f.Filled["email"],
	}
	c := change{
		Lead:   v.words.H("account.email.lead", "address", v.words.Strong(o.claims().Email)),
		Submit: v.words.T("account.email.submit"), Note: v.words.T("account.email.note"),
	}
	return p.showChange(v, f, "profile-email", c, fd)
}

// saveNewEmail begins a change. An address that has an account looks like any other
// (UX P7.4).
func (p *Pages) saveNewEmail(v *visit, o *owner) (*answer, error) {
	f := v.ownPosted(emailPage, o)
	address := normalAddress(v.form("email"))
	f.Filled["email"] = address
	if fault := addressFault(address); fault != "" {
		return p.ownAgain(v, f, note{Key: fault, Field: "email"})
	}
	e, err := o.ChangeEmail(v.ctx, address)
	switch {
	case len(causes(err)) > 0:
		return p.ownAgain(v, f, note{Key: "registration.error.invalidLoginEmail", Field: "email"})
	case err != nil:
		return p.refused(v, o, f, err), nil
	case e.Verified:
		return p.ownAgain(v, f, note{Key: "error.email.same", Field: "email"})
	}
	v.remove("f-" + f.ID)
	return v.redirect(p.to(newCodePage)), nil
}

// newEmail is the page for the code that was mailed to a new address.
type newEmail struct {
	Lead, Stays template.HTML
	Action      string
	Address     string
	Back        string
	mailed
}

func (p *Pages) showNewCode(v *visit, o *owner) (*answer, error) {
	e, err := p.waiting(v, o)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return p.nothingWaits(v, o)
	}
	f := v.ownForm(newCodePage, o)
	pg := p.page(v, "profile-code", f)
	d := newEmail{
		Action: p.to(newCodePage), Back: p.to(ownPage), Address: e.Address, mailed: p.mailed(v, f, e.ExpiresAt.Sub(v.now)),
		Lead:  v.words.H("code.sent", "address", v.words.Strong(e.Address)),
		Stays: v.words.H("account.email.stays", "address", v.words.Strong(o.claims().Email)),
	}
	pg.Fields = []*field{codeField(v)}
	pg.report(f.Notes)
	pg.Data = d
	return p.render(v, pg), nil
}

// nothingWaits leads on from the page of a code that is over: to the profile if the
// address was changed or nobody knows it, else to the form, filled in.
func (p *Pages) nothingWaits(v *visit, o *owner) (*answer, error) {
	if v.r.Method != http.MethodPost {
		return v.redirect(p.to(ownPage)), nil
	}
	f := v.ownPosted(emailPage, o)
	typed := v.form("email")
	if addressFault(typed) != "" || typed == o.claims().Email {
		return v.redirect(p.to(ownPage)), nil
	}
	f.Filled["email"], f.Resent = typed, 0
	return p.ownAgain(v, f, note{Key: "code.too_old", Field: "email"})
}

func (p *Pages) actNewCode(v *visit, o *owner) (*answer, error) {
	e, err := p.waiting(v, o)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return p.nothingWaits(v, o)
	}
	f := v.ownPosted(newCodePage, o)
	switch v.form("action") {
	case "cancel":
		if err := o.CancelEmailChange(v.ctx, e.ID); err != nil {
			return nil, err
		}
		return p.done(v, f, "cancel"), nil
	case "resend":
		if _, err := o.ResendEmail(v.ctx, e); err != nil {
			return p.codeRefused(v, o, f, err)
		}
		f.Resent = v.now.Unix()
		return p.ownAgain(v, f)
	}
	typed := normalCode(v.form("verificationCode"))
	if typed == "" {
		return p.ownAgain(v, f, note{Key: "error.code.blank", Field: "verificationCode"})
	}
	if e.Challenge == "" { // no code was sent that could be right
		return p.ownAgain(v, f, note{Key: "code.exhausted", Field: "verificationCode"})
	}
	if err := o.VerifyEmail(v.ctx, e, typed); err != nil {
		return p.codeRefused(v, o, f, err)
	}
	p.renew(v, o.session)
	return p.done(v, f, "email"), nil
}

// codeRefused stays at the code, with what is wrong.
func (p *Pages) codeRefused(v *visit, o *owner, f *flow, err error) (*answer, error) {
	var r *idx.ResponseError
	if !errors.As(err, &r) {
		return nil, err
	}
	switch {
	case r.Status == http.StatusUnauthorized && r.Code == "E0000004":
		return p.ownAgain(v, f, note{Key: wrongCode, Field: "verificationCode"})
	case r.Status == http.StatusTooManyRequests && r.RetryAfter > 0:
		return p.ownAgain(v, f, note{
			Key: "code.wait", Class: info, Until: v.now.Add(r.RetryAfter).Unix(), Params: []string{v.words.Wait(r.RetryAfter)},
		})
	}
	return p.refused(v, o, f, err), nil
}
