package signin

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stile-id/stile/idx"
)

const (
	passkeyKey   = "webauthn"
	discoverStep = "challenge-webauthn-autofillui-authenticator"
)

// passkeyValues are what a page's script fills in, by the kind of its step.
var passkeyValues = map[string][]string{
	setKeyStep:  {"clientData", "attestation", "transports", "clientExtensions"},
	passkeyStep: {"clientData", "authenticatorData", "signatureData", "userHandle"},
}

// passkey is the page on which the browser makes a passkey, or uses one.
type passkey struct {
	Make     bool
	Options  string // JSON, for navigator.credentials
	Values   []string
	Username string
	Lead     string
	Submit   string
	Change   bool // the address may be changed
	CanSkip  bool
	Back     string // address of the list, if there is one
	Instead  *instead
	Alone    bool // there is no other way to go on
}

// aloneKeys are the words in place of those that speak of another way, where there is none.
var aloneKeys = map[string]string{
	"passkey.none": "passkey.none_alone",
	"authfactor.webauthn.error.assertion_validation_failure": "passkey.wrong_alone",
}

func (p *Pages) showPasskey(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	kind := kindOf(step)
	pg := p.stepView(v, f, step, kind)
	k := passkey{
		Make: kind == setKeyStep, Values: passkeyValues[kind], Username: p.addressOf(f, tx), Change: !proven(tx),
		Lead: v.words.T(kind+".lead", "app", p.opt.AppName), Submit: v.words.T(kind + ".submit"),
	}
	options, err := json.Marshal(optionsOf(step))
	if err != nil {
		return p.failure(v, f, err)
	}
	k.Options = string(options)
	switch {
	case !k.Make:
		k.Instead = p.insteadOf(v, f, tx)
	case tx.Step(chooseEnroll) != nil:
		k.Back = p.to("step", "flow", f.ID, "view", "list")
	default:
		k.CanSkip = step.CanSkip
	}
	k.Alone = k.Instead == nil
	if list := tx.Step(chooseEnroll); k.Make {
		k.Alone = !step.CanSkip && (list == nil || !slices.ContainsFunc(list.Options, func(o idx.Option) bool { return o.Value != passkeyKey }))
	}
	told := f.told(step)
	for i := range told {
		if key, ok := aloneKeys[told[i].Key]; ok && k.Alone {
			told[i].Key = key
		}
	}
	pg.Passkeys = p.assets["webauthn.js"].link
	pg.report(told)
	pg.Data = k
	return p.render(v, pg)
}

// optionsOf are what the engine asks the browser for, and the keys that the person
// has: to be used, or not to be made a second time.
func optionsOf(step *idx.NextStep) map[string]any {
	have := []any{}
	for _, e := range step.Enrollments {
		if e.Key == passkeyKey && e.CredentialID != "" {
			have = append(have, map[string]any{"type": "public-key", "id": e.CredentialID, "transports": e.Transports})
		}
	}
	options, list := map[string]any{}, "allowCredentials"
	from := step.Authenticator.Context["challengeData"]
	if made, ok := step.Authenticator.Context["activationData"]; ok {
		from, list = made, "excludeCredentials"
	}
	data, _ := from.(map[string]any)
	for name, value := range data {
		options[name] = value
	}
	delete(options, "u2fParams") // of the ancestor of WebAuthn; browsers know it no more
	if len(have) > 0 {
		options[list] = have
	}
	return options
}

// passkeyInput takes what the script has filled in. Without script, or where it
// failed, there is nothing.
func passkeyInput(v *visit, in idx.Input, names []string) (idx.Input, []note) {
	for _, name := range names {
		if s := v.form(name); s != "" {
			in.Values[name] = s
		}
	}
	if len(in.Values) == 0 {
		return in, []note{{Key: "passkey.none"}}
	}
	return in, nil
}

// authenticator is what the pages call one.
func (w *words) authenticator(a *idx.Authenticator) string {
	if name, ok := w.lookup("authenticator." + a.Key + ".name"); ok && a.Key == passkeyKey {
		return name
	}
	return a.DisplayName
}

// A discovery is a question that was put to whoever is at a sign-in page. It is no
// flow yet: most people who see the page do not answer it.
type discovery struct {
	ID    string `json:"i"` // of the page
	Tx    string `json:"x"`
	Begun int64  `json:"b"`
}

const (
	discoveries   = "passkeys"       // the cookie that has them
	maxDiscovered = 3                // tabs
	discoveryLife = 50 * time.Minute // a transaction's is an hour
)

func (v *visit) discoveries() []discovery {
	var all []discovery
	if v.get(discoveries, &all) != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(d discovery) bool { return v.now.Sub(time.Unix(d.Begun, 0)) > discoveryLife })
}

// passkeyOptions gives the script of a sign-in page what the browser is to be asked
// for. The first time it begins a transaction for the page; later ones read it again,
// so that a page which stays open costs no more than one.
func (p *Pages) passkeyOptions(v *visit) *answer {
	id := v.form("flow")
	o, err := p.offered(v)
	if err != nil || !o.passkey || !flowID.MatchString(id) {
		return v.answer(http.StatusNotFound)
	}
	all := v.discoveries()
	if i := slices.IndexFunc(all, func(d discovery) bool { return d.ID == id }); i >= 0 {
		if tx, err := p.client.Resume(v.ctx, all[i].Tx); err == nil {
			if step := tx.Step(discoverStep); step != nil && step.Authenticator != nil {
				return v.json(optionsOf(step))
			}
		}
		all = slices.Delete(all, i, i+1)
	}
	tx, err := p.client.Start(v.ctx, p.startOptions(&flow{Asks: asksOf(v.r.PostForm)}))
	if err != nil {
		return v.answer(http.StatusServiceUnavailable)
	}
	step := tx.Step(discoverStep)
	text, err := tx.MarshalText()
	if step == nil || step.Authenticator == nil || err != nil {
		return v.answer(http.StatusNotFound)
	}
	all = append(all, discovery{ID: id, Tx: string(text), Begun: v.now.Unix()})
	if err := v.put(discoveries, all[max(0, len(all)-maxDiscovered):], discoveryLife); err != nil {
		return v.answer(http.StatusServiceUnavailable)
	}
	return v.json(optionsOf(step))
}

// passkey signs in whoever the key says is there. A mail that waits for its code in
// this tab is void by it.
func (p *Pages) passkey(v *visit) *answer {
	f := v.begin(signInForm)
	o, err := p.offered(v)
	if err != nil {
		return p.failure(v, nil, err)
	}
	f.Remember, f.Keep = v.form("remember") != "", v.form("keep") != "" && o.keep && p.keeps()
	if a := p.end(v, f); a != nil {
		return a
	}
	all := v.discoveries()
	i := slices.IndexFunc(all, func(d discovery) bool { return d.ID == f.ID })
	in, none := passkeyInput(v, idx.Input{Step: discoverStep, Values: map[string]any{}}, passkeyValues[passkeyStep])
	switch {
	case len(none) > 0:
		return p.again(v, f, none...)
	case i < 0:
		return p.again(v, f, note{Key: "passkey.too_old"})
	}
	var tx idx.Transaction
	if err := tx.UnmarshalText([]byte(all[i].Tx)); err != nil {
		return p.again(v, f, note{Key: "passkey.too_old"})
	}
	// From here on it is this flow's: the page that is shown again has another.
	if err := v.put(discoveries, slices.Delete(all, i, i+1), discoveryLife); err != nil {
		return p.failure(v, f, err)
	}
	if f.Keep {
		in.Values["rememberMe"] = true
	}
	next, err := p.client.Proceed(v.ctx, &tx, in)
	if gone(err) || errors.Is(err, idx.ErrNotOffered) {
		return p.again(v, f, note{Key: "passkey.too_old"})
	}
	if err == nil && next.User != nil && next.NextStep != nil && !atForm[next.NextStep.Name] {
		f.Typed = map[string]string{"identifier": next.User.Identifier}
	}
	return p.started(v, f, next, err)
}
