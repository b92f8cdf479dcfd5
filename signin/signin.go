package signin

import (
	"errors"
	"net/http"
	"time"

	"github.com/stile-id/stile/idx"
)

// An offer is what the engine lets people do at the start.
type offer struct {
	signUp  bool
	profile []idx.InputField // what sign-up asks for
}

type probed struct {
	offer *offer
	err   error
}

// offerLife is how long an offer holds before the engine is asked again. Asking
// begins a transaction that nobody goes on with, so not every page does it.
const offerLife = time.Minute

// offered gives the current offer; where the engine does not answer, the last one known.
func (p *Pages) offered(v *visit) (*offer, error) {
	got := p.probes.do("", func() (probed, time.Duration) {
		o, err := p.probe(v)
		if err != nil {
			return probed{err: err}, 0
		}
		p.offer.Store(o)
		return probed{offer: o}, offerLife
	})
	if last := p.offer.Load(); got.offer == nil && last != nil {
		return last, nil
	}
	return got.offer, got.err
}

func (p *Pages) probe(v *visit) (*offer, error) {
	tx, err := p.client.Start(v.ctx, idx.StartOptions{})
	if err != nil {
		return nil, err
	}
	o := &offer{signUp: tx.HasFeature(idx.FeatureRegistration)}
	if !o.signUp {
		return o, nil
	}
	tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Profile: &idx.Profile{}})
	if err != nil {
		return nil, err
	}
	if step := tx.Step("enroll-profile"); step != nil {
		o.profile = step.Inputs
	}
	return o, nil
}

// entry is what the sign-in and sign-up pages show beside their fields.
type entry struct {
	Action   string // address that the form posts to
	SignUp   bool   // sign-up is open
	Other    string // address of the other of the two pages
	ReturnTo string
	Resume   *resume
}

// A resume leads back to a flow that waits for its code (UX P3.14).
type resume struct{ Address, Link string }

func (p *Pages) showSignIn(v *visit) *answer {
	q := v.r.URL.Query()
	if q.Get("prompt") == "create" {
		return v.redirect(p.to("sign-up", "return_to", q.Get("return_to"), "login_hint", q.Get("login_hint"),
			"ui_locales", q.Get("ui_locales")))
	}
	return p.entry(v, false, func(o *offer, f *flow) []*field {
		return []*field{{
			Name: "identifier", Label: v.words.T("sign_in.identifier"), Type: "email", InputMode: "email",
			Autocomplete: "username", Plain: true, Required: true, Value: f.Typed["identifier"],
		}}
	})
}

// forms are the addresses of sign-in (false) and sign-up (true) below the prefix.
var forms = map[bool]string{false: "", true: "sign-up"}

// entry shows the sign-in or the sign-up page.
func (p *Pages) entry(v *visit, signUp bool, fields func(*offer, *flow) []*field) *answer {
	q := v.r.URL.Query()
	if s, _ := p.session(v); s != nil {
		return p.alreadySignedIn(v, s, q.Get("return_to"))
	}
	o, err := p.offered(v)
	if err != nil {
		return p.failure(v, nil, err)
	}
	if signUp && !o.signUp {
		return p.closed(v)
	}
	f, known := v.flow(q.Get("flow"))
	if !known && v.cookiesRefused() {
		return p.noCookies(v)
	}
	carried := ""
	if known && !f.Done {
		carried = f.ID
	}
	if carried == "" || f.SignUp != signUp {
		fresh := &flow{ID: newFlowID(), SignUp: signUp, Typed: map[string]string{}}
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
	e := entry{
		Action: p.to(forms[signUp], "ui_locales", lang), SignUp: o.signUp, ReturnTo: f.ReturnTo,
		Other: p.to(forms[!signUp], "flow", carried, "return_to", f.ReturnTo, "ui_locales", lang),
	}
	p.resumable(v, f, &e)

	name := "sign-in"
	if signUp {
		name = "sign-up"
	}
	pg := p.page(v, name, f)
	pg.Data = e
	pg.Fields = fields(o, f)
	for _, fd := range pg.Fields {
		if q.Get("change") != "" && (fd.Name == "identifier" || fd.Name == "email") { // UX P3.10
			fd.Autofocus, fd.Select = true, true
		}
	}
	pg.report(f.Notes)
	return p.render(v, pg)
}

// resumable looks for a flow of this browser that waits for its code. The back
// button leads to an address without a flow's id, so the form is filled in from it.
func (p *Pages) resumable(v *visit, f *flow, e *entry) {
	for _, other := range v.flows() {
		if other.ID == f.ID || !other.live(v.now) || other.address() == "" {
			continue
		}
		e.Resume = &resume{Address: other.address(), Link: p.to("step", "flow", other.ID)}
		if len(f.Typed) == 0 && len(f.Notes) == 0 && other.SignUp == f.SignUp {
			f.Typed = other.Typed
		}
		return
	}
}

// signIn takes the address. The button of the other page leads there and carries
// what was typed (UX P1.4).
func (p *Pages) signIn(v *visit) *answer {
	typed := normalAddress(v.form("identifier"))
	if v.form("action") == "sign-up" {
		return p.carry(v, true, typed)
	}
	f := v.begin(false)
	if a := p.goOn(v, f, map[string]string{"identifier": typed}); a != nil {
		return a
	}
	if fault := addressFault(typed); fault != "" {
		return p.again(v, f, note{Key: fault, Field: "identifier"})
	}
	return p.startSignIn(v, f)
}

func (p *Pages) startSignIn(v *visit, f *flow) *answer {
	tx, err := p.client.Authenticate(v.ctx, idx.Credentials{Username: f.Typed["identifier"]})
	return p.started(v, f, tx, err)
}

// carry opens the other form with the address filled in.
func (p *Pages) carry(v *visit, signUp bool, address string) *answer {
	to := v.form("return_to")
	f := &flow{
		ID: newFlowID(), Begun: v.now.Unix(), SignUp: signUp, Lang: v.words.Lang,
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

// goOn leads to the step of a form that was sent before with the same values, so
// that going back and pressing the button again sends no second mail. With other
// values it ends the old transaction, whose code then is void (UX P3.10).
func (p *Pages) goOn(v *visit, f *flow, typed map[string]string) *answer {
	before := []*flow{f}
	if f.SignUp {
		// The page may have been made anew meanwhile, for a flow of its own. Not so
		// at sign-in: an address may have got its account since it was last tried.
		before = append(before, v.flows()...)
	}
	for _, sent := range before {
		same := sent.live(v.now) && sent.SignUp == f.SignUp && sent.ReturnTo == f.ReturnTo
		for name, s := range typed {
			same = same && sent.Typed[name] == clip(s, maxTyped)
		}
		if same {
			return v.redirect(p.stepPage(v, sent))
		}
	}
	f.Typed = typed
	return p.end(v, f)
}

// end cancels what f began at the engine. It gives an answer only where that failed.
func (p *Pages) end(v *visit, f *flow) *answer {
	if !f.live(v.now) {
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
	stays := tx.NextStep == nil || tx.NextStep.Name == "identify" || tx.NextStep.Name == "enroll-profile"
	if len(tx.Messages) > 0 && stays {
		return p.again(v, f, p.said(v, tx)...)
	}
	return p.advance(v, f, tx)
}

// said keeps the engine's messages, with the end of the wait where one was named.
func (p *Pages) said(v *visit, tx *idx.Transaction) []note {
	all := notes(tx.Messages)
	for i := range all {
		if all[i].Key != tooMany {
			continue
		}
		wait := tx.RetryAfter
		if wait <= 0 {
			wait = time.Minute
		}
		all[i].Until = v.now.Add(wait).Unix()
	}
	return all
}

// tooMany is the protocol's key for every limit.
const tooMany = "tooManyRequests"

func (p *Pages) closed(v *visit) *answer {
	return p.notice(v, http.StatusForbidden, "error", notice{
		Heading: v.words.T("closed.heading"),
		Text:    v.words.H("closed.text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("closed.sign_in"), Link: p.to("")},
	})
}
