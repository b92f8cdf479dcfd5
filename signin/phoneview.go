package signin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

// phoneKey is the authenticator's name in the protocol.
const phoneKey = "phone_number"

// phoneForm is the page that asks how, and to which number, a code is to be sent.
type phoneForm struct {
	Lead    string
	Warning string // of what texts cost, and of their strength
	Methods []choice
	Method  string
	Error   string // of the choice of a method
	Submit  string
	Back    string // address of the list, if there is one
	CanSkip bool
	Instead *instead
}

func (p *Pages) showPhone(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	kind := kindOf(step)
	pg := p.stepView(v, f, step, kind)
	form := phoneForm{CanSkip: step.CanSkip, Instead: p.insteadOf(v, f, tx)}
	if kind == phoneNumberStep {
		form.Lead, form.Warning = v.words.T("phone.lead"), v.words.T("phone.warning", "app", p.opt.AppName)
		pg.Fields = p.numberFields(v, f, step)
		if tx.Step(chooseEnroll) != nil {
			form.Back = p.to("step", "flow", f.ID, "view", "list")
		}
	} else {
		form.Lead = v.words.T("phone.lead_unknown")
		if number := numberOf(step); number != "" {
			form.Lead = v.words.T("phone.lead_known", "number", number)
		}
	}
	pg.Fields = append(pg.Fields, &field{Name: "methodType", Required: true, Value: f.Filled["methodType"]})
	for _, in := range step.Inputs {
		if in.Name != "methodType" {
			continue
		}
		for _, o := range in.Options {
			c := choice{Value: o.Value, Label: o.Label}
			if label, ok := v.words.lookup("phone.method." + o.Value); ok {
				c.Label = label
			}
			form.Methods = append(form.Methods, c)
		}
	}
	pg.report(f.told(step))
	if form.Method = f.Filled["methodType"]; form.Method == "" && len(form.Methods) > 0 {
		form.Method = form.Methods[0].Value
	}
	last := pg.Fields[len(pg.Fields)-1]
	form.Error = last.Error
	if len(form.Methods) == 1 && form.Error != "" { // there is nothing to choose: it is the whole that is wrong
		pg.Alerts, form.Error, last.Error = append(pg.Alerts, form.Error), "", ""
	}
	form.Submit = v.words.T("phone.submit")
	pg.Data = form
	return p.render(v, pg)
}

// A callingCode is a country that numbers may be of.
type callingCode struct{ country, name, code string }

func callingCodes(step *idx.NextStep) []callingCode {
	if step.Authenticator == nil {
		return nil
	}
	list, _ := step.Authenticator.Context["countries"].([]any)
	var all []callingCode
	for _, e := range list {
		m, _ := e.(map[string]any)
		country, _ := m["country"].(string)
		name, _ := m["name"].(string)
		code, _ := m["callingCode"].(string)
		if country != "" && code != "" {
			all = append(all, callingCode{country, cmp.Or(name, country), code})
		}
	}
	return all
}

// numberFields ask for a country, where there is a choice, and for a number.
func (p *Pages) numberFields(v *visit, f *flow, step *idx.NextStep) []*field {
	number := &field{
		Name: "phoneNumber", Label: v.words.T("phone.number"), Type: "tel", Autocomplete: "tel", InputMode: "tel",
		Plain: true, Required: true, Value: f.Filled["phoneNumber"],
	}
	codes := callingCodes(step)
	if len(codes) == 0 {
		number.Hint = v.words.T("phone.hint")
		return []*field{number}
	}
	country := &field{Name: "country", Label: v.words.T("phone.country"), Type: "select", Required: true, Value: f.Filled["country"]}
	for _, c := range codes {
		label := c.name
		if name, ok := v.words.lookup("country." + c.country); ok {
			label = name
		}
		country.Options = append(country.Options, choice{Value: c.country, Label: label + " (+" + c.code + ")"})
	}
	slices.SortFunc(country.Options, func(a, b choice) int { return strings.Compare(a.Label, b.Label) })
	if country.Value == "" {
		country.Value = countryOf(v.r.Header.Get("Accept-Language"), codes)
	}
	if len(codes) == 1 {
		number.Label = v.words.T("phone.number_of", "country", country.Options[0].Label)
		return []*field{number}
	}
	return []*field{country, number}
}

// countryOf is where a browser says that its person is at home, of the countries
// that may be chosen; else the first. It is the region of the first language that has
// one of these: "de-AT, en-US; q=0.8".
func countryOf(languages string, codes []callingCode) string {
	for _, tag := range strings.FieldsFunc(clip(languages, maxTyped), func(r rune) bool { return r == ',' }) {
		tag, _, _ = strings.Cut(tag, ";")
		for _, part := range strings.Split(trim(tag), "-")[1:] {
			if len(part) == 1 {
				break // what follows are extensions (BCP 47 §2.2.6)
			}
			if i := slices.IndexFunc(codes, func(c callingCode) bool { return strings.EqualFold(c.country, part) }); i >= 0 {
				return codes[i].country
			}
		}
	}
	return codes[0].country
}

// wholeNumber is what was typed as an international number: as it is, or after the
// code of the country that was chosen. The engine knows which zeros to leave out.
func wholeNumber(typed, country string, step *idx.NextStep) string {
	typed = trim(typed)
	if rest, ok := strings.CutPrefix(typed, "00"); ok {
		return "+" + rest
	}
	if typed == "" || strings.HasPrefix(typed, "+") {
		return typed
	}
	codes := callingCodes(step)
	if i := slices.IndexFunc(codes, func(c callingCode) bool { return c.country == country }); i >= 0 {
		return "+" + codes[i].code + " " + typed
	}
	if len(codes) == 1 {
		return "+" + codes[0].code + " " + typed
	}
	return typed
}

// numberOf is what the engine shows of the number in hand.
func numberOf(step *idx.NextStep) string {
	if step.Authenticator == nil {
		return ""
	}
	if s, ok := step.Authenticator.Profile["phoneNumber"].(string); ok {
		return s
	}
	s, _ := step.Authenticator.Context["phoneNumber"].(string)
	return s
}

// newsOfText is how often the page looks whether the message has gone out; after
// that there is no more to learn.
const newsOfText = 4 * time.Second

func (p *Pages) showPhoneCode(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, phoneCodeStep)
	d := deliveryOf(step)
	c := code{
		Delivered: d.Status != "refused", CanResend: step.CanResend, Ready: v.words.T("phone.again_ready"), Delivery: d.Status,
		Waiting: placeOf(step), Instead: p.insteadOf(v, f, tx), Inbox: p.opt.DevInbox, Leave: true,
	}
	c.Failed = failed(d)
	pg.wrong = c.Failed
	if !handedOver(d.Status) {
		c.PollEvery = int(newsOfText / time.Millisecond)
	}
	if tx.Step(chooseEnroll) != nil {
		c.Back = p.to("step", "flow", f.ID, "view", "list")
		c.Change = &press{Label: v.words.T("code.change"), Action: "instead", Fields: map[string]string{"authenticator": phoneKey}}
		if c.Failed {
			c.Change.Label = v.words.T("phone.change")
		}
	}
	method, others := "sms", otherMethods(tx, step)
	if len(step.Authenticator.Methods) > 0 {
		method = step.Authenticator.Methods[0]
	}
	for _, m := range others {
		if m != method {
			c.Other = choice{Value: m, Label: v.words.T("phone.instead." + m)}
		}
	}
	lead := "phone.sent." + method
	switch d.Status {
	case "refused":
		lead = "phone.refused"
	case "expired":
		lead = "phone.expired"
	case "delayed":
		lead = "phone.delayed"
	}
	c.Lead = v.words.H(lead, "number", v.words.Strong(numberOf(step)))

	told := f.told(step)
	known := !d.CodeExpiresAt.IsZero()
	wrong := slices.IndexFunc(told, func(n note) bool { return n.Key == wrongCode })
	left := d.CodeExpiresAt.Sub(v.now)
	switch {
	case known && left <= 0:
		c.Primary, left = v.words.T("code.new"), 0
		told = append(without(told, wrong), note{Key: "code.too_old"})
	case known && d.TriesLeft == 0:
		c.Primary, left = v.words.T("code.new"), 0
		told = append(without(told, wrong), note{Key: "code.exhausted"})
	case d.Status == "expired":
		c.Primary, left = v.words.T("code.new"), 0
	case !known:
		left = 0
	case wrong >= 0: // there is no mail to look into
		told[wrong] = note{Key: "phone.wrong", Field: "verificationCode"}
	}
	c.mailed = p.mailed(v, f, left)
	if c.Primary == "" && c.Delivered {
		pg.Fields = []*field{codeField(v)}
	}
	pg.report(told)
	if wrong >= 0 && known && d.TriesLeft > 0 && d.TriesLeft <= 2 && len(pg.Fields) > 0 {
		pg.Fields[0].Error += " " + v.words.N("code.tries", d.TriesLeft)
	}
	c.ResendIn = secondsUntil(v.now, d.ResendAt)
	pg.Data = c
	return p.render(v, pg)
}

// handedOver reports whether a message has gone as far as it ever will. "" is of an
// engine that does not tell.
func handedOver(status string) bool { return status != "queued" && status != "delayed" }

// textNews tells a page that waits for a code on a phone how the message stands.
func (p *Pages) textNews(v *visit, f *flow) *answer {
	next, err := p.resume(v, f)
	switch {
	case gone(err):
		return v.json(news{Go: p.onward(v, f)})
	case err != nil:
		return v.json(news{Wait: int(max(10*time.Second, waitOf(err)) / time.Millisecond)})
	case next.NextStep == nil || placeOf(next.NextStep) != v.form("step"):
		return v.json(news{Go: p.onward(v, f)})
	}
	out := news{Delivery: deliveryOf(next.NextStep).Status}
	out.Stop = handedOver(out.Delivery)
	if out.Delivery != v.form("delivery") && slices.Contains([]string{"sent", "delayed", "refused", "expired"}, out.Delivery) {
		out.Notice = v.words.T("phone."+out.Delivery, "number", numberOf(next.NextStep))
	}
	return v.json(out)
}

// otherMethods are the ways to send a code that the list offers for the phone.
func otherMethods(tx *idx.Transaction, step *idx.NextStep) []string {
	var out []string
	for _, name := range []string{chooseEnroll, chooseFactor} {
		list := tx.Step(name)
		if list == nil {
			continue
		}
		for _, o := range list.Options {
			if o.Value != step.Authenticator.Key {
				continue
			}
			for _, in := range o.Inputs {
				for _, m := range in.Options {
					if in.Name == "methodType" && (m.Value == "sms" || m.Value == "voice") {
						out = append(out, m.Value)
					}
				}
			}
		}
	}
	return out
}

// sendBy has the code sent in the other way, once one may be sent at all.
func (p *Pages) sendBy(v *visit, f *flow, tx *idx.Transaction, method string) *answer {
	if a := p.tooEarly(v, f, tx.NextStep); a != nil {
		return a
	}
	name := chooseEnroll
	if tx.Step(name) == nil {
		name = chooseFactor
	}
	next, err := p.client.Proceed(v.ctx, tx, idx.Input{Step: name, Authenticator: phoneKey, Values: map[string]any{"methodType": method}})
	if err != nil {
		return p.failure(v, f, err)
	}
	return p.advance(v, f, next)
}
