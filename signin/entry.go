package signin

import (
	"net/http"
)

// entry is what the forms that begin a flow show beside their fields.
type entry struct {
	Action   string // address that the form posts to
	Ask      asks
	ReturnTo string
	Resume   *resume
	Again    string   // the address of who is signed in and must prove it once more
	Boxes    []*field // to tick at sign-in
	Password bool     // sign-in asks for it
	Passkey  bool     // whoever is there may use a passkey

	// Addresses of the other forms, "" for those that are not offered.
	SignIn, SignUp, Recover, Unlock string
}

// PasskeyValues are what the script of the page fills in.
func (entry) PasskeyValues() []string {
	return append(passkeyValues[passkeyStep][:4:4], "remember", "keep")
}

// Alone is for the words of passkeys: at the start the address is another way.
func (entry) Alone() bool { return false }

// A resume leads back to a flow that waits for its code (UX P3.14).
type resume struct{ Address, Link string }

// formPages are the values of data-page.
var formPages = map[string]string{
	signInForm: "sign-in", signUpForm: "sign-up", recoverForm: "recover", unlockForm: "unlock",
}

// offers reports whether the engine lets people use a form.
func (o *offer) offers(form string) bool {
	switch form {
	case signUpForm:
		return o.signUp
	case recoverForm:
		return o.recover
	case unlockForm:
		return o.unlock
	}
	return true
}

// entry shows one of the forms.
func (p *Pages) entry(v *visit, form string, fields func(*offer, *flow) []*field) *answer {
	q := v.r.URL.Query()
	need := asksOf(q)
	s, _ := p.session(v)
	if s != nil && need.metBy(s, v.now) {
		return p.alreadySignedIn(v, s, q.Get("return_to"))
	}
	o, err := p.offered(v)
	if err != nil {
		return p.failure(v, nil, err)
	}
	if !o.offers(form) {
		return p.closed(v, form)
	}
	f, known := v.flow(q.Get("flow"))
	if !known && v.cookiesRefused() {
		return p.noCookies(v)
	}
	carried := ""
	if known && !f.Done {
		carried = f.ID
	}
	if carried == "" || f.Form != form {
		fresh := &flow{ID: newFlowID(), Form: form, Typed: map[string]string{}, Asks: need}
		address := normalAddress(q.Get("login_hint"))
		if carried != "" {
			address, fresh.ReturnTo = f.address(), f.ReturnTo
		}
		if addressFault(address) == "" {
			fresh.Typed["identifier"], fresh.Typed["email"] = address, address
		}
		if localPath(q.Get("return_to")) {
			fresh.ReturnTo = q.Get("return_to")
		}
		f = fresh
	}

	lang := q.Get("ui_locales")
	other := func(form string) string {
		if !o.offers(form) {
			return ""
		}
		return p.to(form, append(f.Asks.query(), "flow", carried, "return_to", f.ReturnTo, "ui_locales", lang)...)
	}
	e := entry{
		Action: p.to(form, "ui_locales", lang), Ask: f.Asks, ReturnTo: f.ReturnTo, Password: o.password,
		SignIn: other(signInForm), SignUp: other(signUpForm), Recover: other(recoverForm), Unlock: other(unlockForm),
	}
	p.resumable(v, f, &e)
	if kept := v.remembered(); form == signInForm {
		if len(f.Typed) == 0 && kept != "" {
			f.Typed = map[string]string{"identifier": kept}
			f.Remember = true
		}
		e.Boxes = []*field{{Name: "remember", Label: v.words.T("sign_in.remember"), Type: "checkbox", Checked: f.Remember || kept != "" && carried == ""}}
		if s == nil && o.keep && p.keeps() {
			e.Boxes = append(e.Boxes, &field{Name: "keep", Label: v.words.T("sign_in.keep"), Type: "checkbox", Checked: f.Keep})
		}
	}
	e.Passkey = form == signInForm && o.passkey
	if s != nil {
		e.Again, e.SignUp = s.identity().Email, "" // who is asked once more has an account
	}
	if form == signInForm && f.Typed["identifier"] == "" && len(f.Notes) == 0 && e.Again != "" {
		f.Typed = map[string]string{"identifier": e.Again}
	}

	pg := p.page(v, formPages[form], f)
	pg.Data = e
	if e.Passkey {
		pg.Passkeys = p.assets["webauthn.js"].link
	}
	pg.Fields = fields(o, f)
	for _, fd := range pg.Fields {
		if q.Get("change") != "" && (fd.Name == "identifier" || fd.Name == "email") { // UX P3.10
			fd.Autofocus, fd.Select = true, true
		}
	}
	pg.report(f.Notes)
	return p.render(v, pg)
}

// identifierField is the address of someone who has been here before (UX P1.2).
func identifierField(v *visit, o *offer, f *flow) *field {
	return &field{
		Name: "identifier", Label: v.words.T("sign_in.identifier"), Type: "email", InputMode: "email",
		Autocomplete: username(o), Plain: true, Required: true, Value: f.Typed["identifier"],
	}
}

func username(o *offer) string {
	if o.passkey {
		return "username webauthn"
	}
	return "username"
}

// resumable looks for a flow of this browser that waits for its code. The back
// button leads to an address without a flow's id, so the form is filled in from it.
func (p *Pages) resumable(v *visit, f *flow, e *entry) {
	for _, other := range v.flows() {
		if other.ID == f.ID || !other.live(v.now) || other.address() == "" {
			continue
		}
		if other.Coded {
			e.Resume = &resume{Address: other.address(), Link: p.to("step", "flow", other.ID)}
		}
		if len(f.Typed) == 0 && len(f.Notes) == 0 && other.Form == f.Form {
			f.Typed, f.Remember = other.Typed, other.Remember
		}
		return
	}
}

// carry opens another form with the address filled in.
func (p *Pages) carry(v *visit, form, address string) *answer {
	to := v.form("return_to")
	f := &flow{
		ID: newFlowID(), Begun: v.now.Unix(), Form: form, Lang: v.words.Lang, Asks: asksOf(v.r.PostForm),
		Typed: map[string]string{"email": clip(address, maxTyped), "identifier": clip(address, maxTyped)},
	}
	if localPath(to) {
		f.ReturnTo = to
	}
	if err := v.save(f); err != nil {
		return p.failure(v, nil, err)
	}
	return v.redirect(p.formPage(v, f))
}

// closed is the page of a form that the engine does not offer.
func (p *Pages) closed(v *visit, form string) *answer {
	return p.notice(v, http.StatusForbidden, "error", notice{
		Heading: v.words.T("closed." + formPages[form] + ".heading"),
		Text:    v.words.H("closed."+formPages[form]+".text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("closed.sign_in"), Link: p.to("")},
	})
}
