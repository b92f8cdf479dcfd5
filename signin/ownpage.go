package signin

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stile-id/stile/idx"
)

// account is what the page shows of an account (UX P7.2).
type account struct {
	Facts   []fact
	Email   string
	Pending *resume // an address that waits for its code
	Methods []method
	Devices []device
	Delete  template.HTML // when the account goes; empty: it stays

	EditName, EditEmail, AddPassword string    // addresses, "" for what is not offered
	Add                              []addable // what may be added beside a password
	Sessions                         bool      // devices can be told
	Download, DeleteLink, Home, Self string
	SignOut                          string
	Form                             string // id of the page's forms, which are sent once each
}

// A fact is a value of the profile.
type fact struct{ Label, Value string }

// addable is a way to sign in that the person may add.
type addable struct{ Key, Name string }

// A method is a way to sign in.
type method struct {
	Name, About, Icon string
	Added, Used       template.HTML
	Change, Remove    string // addresses
	Rename            string
	Kept              string // why it cannot be removed
}

// A device is where the person is signed in.
type device struct {
	ID, Name, Apps, Place string
	Seen                  template.HTML
	Current               bool
}

// doneWords are what the page may say was done; the address names one.
var doneWords = []string{"name", "email", "password", "removed", "renamed", "device", "keep", "cancel"}

func (p *Pages) showOwn(v *visit, o *owner) (*answer, error) {
	d := account{Home: p.opt.Home, Self: p.to(ownPage), SignOut: p.to("sign-out"), Form: newFlowID(), Sessions: p.profile.sessions}
	if err := p.fillFacts(v, o, &d); err != nil {
		return nil, err
	}
	if err := p.fillMethods(v, o, &d); err != nil {
		return nil, err
	}
	if p.profile.sessions {
		all, err := o.Devices(v.ctx)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			d.Devices = append(d.Devices, v.deviceOf(one))
		}
	}
	gone, err := o.Deletion(v.ctx)
	if err != nil {
		return nil, err
	}
	if !gone.At.IsZero() {
		d.Delete = v.words.H("account.deleted_on", "time", v.words.Moment(gone.At))
	}
	if p.profile.write {
		d.EditName, d.Download = p.to(namePage), p.to(dataPage)
		if gone.At.IsZero() {
			d.DeleteLink = p.to(deletePage)
		}
	}

	pg := p.page(v, ownPage, nil)
	if what := v.r.URL.Query().Get("done"); slices.Contains(doneWords, what) {
		pg.Notices = append(pg.Notices, v.words.T("account.done."+what))
	}
	pg.Data = d
	return p.render(v, pg), nil
}

// fillFacts tells the name, the address, and what the organisation asks beyond them.
func (p *Pages) fillFacts(v *visit, o *owner, d *account) error {
	profile, err := o.Profile(v.ctx)
	if err != nil {
		return err
	}
	schema, err := o.Schema(v.ctx)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(profile.Text("firstName") + " " + profile.Text("lastName"))
	d.Facts = []fact{{v.words.T("account.name"), name}}
	for _, one := range schema {
		if ownProperty[one.Name] {
			continue
		}
		value := profile.Text(one.Name)
		if one.Type == "boolean" && value != "" {
			value = v.words.T("account." + value)
		}
		d.Facts = append(d.Facts, fact{one.Title, value})
	}
	d.Email = profile.Text("email")
	if !p.profile.email {
		return nil
	}
	d.EditEmail = p.to(emailPage)
	waiting, err := p.waiting(v, o)
	if waiting != nil {
		d.Pending = &resume{Address: waiting.Address, Link: p.to(newCodePage)}
	}
	return err
}

// ownProperty are the profile's properties that the pages have words for.
var ownProperty = map[string]bool{"firstName": true, "lastName": true, "email": true, "login": true, "locale": true}

func (p *Pages) fillMethods(v *visit, o *owner, d *account) error {
	all, err := o.Methods(v.ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.ID == "" {
			if one.Key == "okta_password" && p.profile.password {
				d.AddPassword = p.to(secretPage)
			} else if one.Key != "okta_password" && p.profile.write {
				d.Add = append(d.Add, addable{one.Key, v.words.methodName(one)})
			}
			continue
		}
		m := method{Name: v.words.methodName(one), About: aboutOf(one), Icon: iconOf(one.Key)}
		m.Added = v.words.H("account.added", "time", v.words.Day(one.CreatedAt))
		if m.Used = v.words.H("account.unused"); !one.LastUsedAt.IsZero() {
			m.Used = v.words.H("account.used", "time", v.words.Day(one.LastUsedAt))
		}
		if one.Key == "okta_password" && p.profile.password {
			m.Change = p.to(secretPage)
		}
		if one.Label != "" && p.profile.write {
			m.Rename = p.to(renamePage, "method", one.ID)
		}
		switch {
		case one.Kept != "":
			m.Kept = v.words.T(keptKey(one.Kept))
		case p.profile.write && one.Removable:
			m.Remove = p.to(removePage, "method", one.ID)
		}
		d.Methods = append(d.Methods, m)
	}
	return nil
}

// aboutOf tells one enrollment from another of its kind.
func aboutOf(m idx.AccountMethod) string {
	for _, s := range []string{m.Label, m.Profile["email"], m.Profile["deviceName"], m.Profile["phoneNumber"]} {
		if s != "" {
			return s
		}
	}
	return ""
}

func (w *words) methodName(m idx.AccountMethod) string {
	if name, ok := w.lookup("authenticator." + m.Key + ".name"); ok {
		return name
	}
	return m.Name
}

// called is what its owner calls a way to sign in, else its name.
func (w *words) called(m idx.AccountMethod) string {
	if m.Label != "" {
		return m.Label
	}
	return w.methodName(m)
}

func keptKey(k idx.Kept) string {
	switch k {
	case idx.KeptEmail, idx.KeptRequired, idx.KeptLast:
		return "account.kept." + string(k)
	}
	return "account.kept.unknown"
}

func (v *visit) deviceOf(one idx.AccountDevice) device {
	d := device{ID: one.ID, Current: one.Current, Apps: strings.Join(one.Apps, ", "), Place: one.IP}
	switch {
	case one.Browser != "" && one.System != "":
		d.Name = v.words.T("account.device", "browser", one.Browser, "system", one.System)
	case one.Browser+one.System != "":
		d.Name = one.Browser + one.System
	default:
		d.Name = v.words.T("account.device_unknown")
	}
	if !one.LastSeenAt.IsZero() {
		d.Seen = v.words.H("account.seen", "time", v.words.Moment(one.LastSeenAt))
	}
	return d
}

// addMethod begins a sign-in that proves the person anew and then adds a way to
// sign in: accounts are taken over by adding one.
func (p *Pages) addMethod(v *visit, o *owner, key string) *answer {
	f := &flow{
		ID: newFlowID(), Begun: v.now.Unix(), Form: signInForm, Lang: v.words.Lang, Asks: asksOf(url.Values{"enroll": {key}}),
		ReturnTo: p.to(ownPage), Typed: map[string]string{"identifier": o.claims().Email},
	}
	if f.Asks.Enroll == "" {
		return v.redirect(p.to(ownPage))
	}
	if offer, err := p.offered(v); err != nil || offer.password {
		return p.signInAgain(v, o.session, f.Asks, f.ReturnTo)
	}
	return p.startSignIn(v, f, "")
}

// actOwn carries out the buttons that ask for no proof: they take rights from
// nobody but whoever is signed in.
func (p *Pages) actOwn(v *visit, o *owner) (*answer, error) {
	switch v.form("action") {
	case "end-device":
		err := o.EndDevice(v.ctx, v.form("device"))
		if err != nil && !isStatus(err, http.StatusNotFound, "") { // it has ended by itself
			return nil, err
		}
		return p.done(v, nil, "device"), nil
	case "end-all":
		if err := o.EndAllSessions(v.ctx); err != nil {
			return nil, err
		}
		v.remove(sessionCookie)
		return v.redirect(p.to("signed-out")), nil
	case "add":
		return p.addMethod(v, o, v.form("method")), nil
	case "keep":
		if err := o.KeepAccount(v.ctx); err != nil {
			return nil, err
		}
		return p.done(v, nil, "keep"), nil
	}
	return v.redirect(p.to(ownPage)), nil
}
