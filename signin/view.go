package signin

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A page is what the templates show.
type page struct {
	*words
	Name    string // data-page
	Heading string
	Title   string // Heading, with what tabs and screen readers need
	App     string

	Options   *Options
	Prefix    string
	Style     string // addresses of assets
	Script    string
	Passkeys  string // address of their script, on pages that have use for it
	Icon      string
	Initial   string // of the app's name, for those without a logo
	Languages []language
	Nonce     string

	Flow    string
	Turn    int
	StepURL string // where the forms of a flow's steps post to
	Step    string // which step they were made for

	Fields  []*field
	Alerts  []string // what is wrong with the whole
	Notices []string
	Summary []fault // of two or more mistakes
	Data    any     // of this kind of page

	status   int
	pictures bool          // some are inside the page
	wrong    bool          // a mistake that is no alert's or field's
	wait     time.Duration // of a limit that was reached
	now      time.Time
}

// A field is one line of a form.
type field struct {
	Name, Label, Hint  string
	Type, Value        string
	Autocomplete       string
	InputMode          string
	Plain              bool // no capitals, no spelling
	Required, Secret   bool
	Checked, Autofocus bool
	Select             bool // its value is to be typed over
	Either             bool // one of several is to be filled in
	Options            []choice
	Error              string
	DescribedBy        string // id of further text
	Optional           string // "(optional)"
	Show, Hide         string // labels of the button at a secret
}

// Described are the ids of what is said about the field.
func (f *field) Described() string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.Name+"-error")
	}
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	if f.DescribedBy != "" {
		ids = append(ids, f.DescribedBy)
	}
	return strings.Join(ids, " ")
}

type choice struct {
	Value, Label, About, Icon string
	Device                    string // label where the device itself can do it
}

type fault struct{ Text, Link string }

// A language is one that the page can be had in, under its own name.
type language struct{ Tag, Name, Link string }

// A press is a button or, with Link, a link that looks like one.
type press struct {
	Label, Link  string
	Post, Action string
	Fields       map[string]string
}

type detail struct{ Name, Value string }

// A notice is a page that says one thing and offers a way on.
type notice struct {
	Heading         string
	Text            template.HTML
	Primary, Second *press
	Details         []detail
	Reference       string
	Alert           bool // something went wrong
}

var pageNames = []string{"entry", "help", "code", "list", "password", "newpassword", "profile", "phone", "form", "link", "elsewhere", "notice", "account", "change", "newemail", "method", "passkey", "verifysetup", "verifysend", "verifyask"}

func parseTemplates() (map[string]*template.Template, error) {
	all := map[string]*template.Template{}
	for _, name := range pageNames {
		t, err := template.ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("signin: templates: %w", err)
		}
		all[name] = t
	}
	return all, nil
}

// templateOf gives the template of each kind of page.
var templateOf = map[string]string{
	"sign-in": "entry", "sign-up": "entry", "recover": "help", "unlock": "help",
	codeStep: "code", listStep: "list", chooseStep: "list", passwordStep: "password",
	setStep: "newpassword", resetStep: "newpassword", expiredStep: "newpassword", expiringStep: "newpassword",
	setAppStep: "method", appStep: "method", setQuestionStep: "method", questionStep: "method", setCodesStep: "method", codesStep: "method", tokenStep: "method", accessStep: "method",
	passkeyStep: "passkey", setKeyStep: "passkey",
	phoneNumberStep: "phone", phoneMethodStep: "phone", phoneCodeStep: "code",
	verifySetUpStep: "verifysetup", verifySendStep: "verifysend", verifyMethodStep: "verifyask", verifyPushStep: "verifyask", verifyCodeStep: "verifyask",
	profileStep: "profile", anyStep: "form", "link-continue": "link", "link-elsewhere": "elsewhere",
	"profile": "account", "profile-name": "change", "profile-email": "change", "profile-password": "change", "profile-code": "newemail", "profile-method": "change",
}

func (p *Pages) page(v *visit, name string, f *flow) *page {
	pg := &page{
		words: v.words, Name: name, App: p.opt.AppName, Options: &p.opt, Prefix: p.prefix,
		Heading: v.words.T("title."+name, "app", p.opt.AppName),
		Style:   p.assets["style.css"].link, Script: p.assets["page.js"].link, Icon: p.assets["icon.svg"].link,
		Initial: initial(p.opt.AppName), Nonce: rand.Text(), status: http.StatusOK, now: v.now,
	}
	if f != nil {
		pg.Flow, pg.Turn, pg.StepURL = f.ID, f.Turn, p.to("step", "flow", f.ID)
	}
	if len(p.languages) > 1 {
		for tag, w := range p.languages {
			q := v.r.URL.Query()
			q.Set("lang", tag)
			if tag != v.words.Lang {
				pg.Languages = append(pg.Languages, language{tag, cmp.Or(w.text["foot.language"], tag), v.r.URL.Path + "?" + q.Encode()})
			}
		}
		slices.SortFunc(pg.Languages, func(a, b language) int { return strings.Compare(a.Tag, b.Tag) })
	}
	return pg
}

func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}

// report puts messages where they belong: next to their field, or above the form.
func (pg *page) report(all []note) {
	for _, n := range all {
		if n.Until != 0 && pg.now.Unix() >= n.Until {
			continue
		}
		text := pg.words.message(n)
		if n.Key == tooMany {
			pg.wait = time.Unix(n.Until, 0).Sub(pg.now)
			pg.status = http.StatusTooManyRequests
			text = pg.words.T("error.too_many", "wait", pg.words.Wait(pg.wait))
		}
		if n.Field == "username" {
			n.Field = "identifier"
		}
		i := slices.IndexFunc(pg.Fields, func(f *field) bool { return f.Name == n.Field })
		switch {
		case n.Class == info:
			pg.Notices = append(pg.Notices, text)
		case i >= 0 && pg.Fields[i].Error == "":
			pg.Fields[i].Error = text
		default:
			pg.Alerts = append(pg.Alerts, text)
		}
	}
}

// focus decides where the page begins: at the summary of several mistakes, at the
// one wrong field, or at the only field of a page that is still empty.
func (pg *page) focus() {
	for _, text := range pg.Alerts {
		pg.Summary = append(pg.Summary, fault{Text: text})
	}
	var wrong *field
	for _, f := range pg.Fields {
		f.Show, f.Hide = pg.words.T("field.show"), pg.words.T("field.hide")
		if !f.Required && !f.Either && f.Type != "checkbox" {
			f.Optional = pg.words.T("field.optional")
		}
		if f.Error == "" {
			continue
		}
		pg.Summary = append(pg.Summary, fault{Text: f.Error, Link: "#" + f.Name})
		if wrong == nil {
			wrong = f
		}
	}
	if pg.Title = pg.Heading; len(pg.Summary) > 0 || pg.wrong {
		pg.Title = pg.words.T("title.error", "title", pg.Heading)
	}
	switch {
	case len(pg.Summary) > 1:
		pg.Alerts = nil
		return
	case wrong != nil:
		wrong.Autofocus = true
	case len(pg.Fields) == 1 && pg.Fields[0].Value == "" && pg.Fields[0].Type != "checkbox":
		pg.Fields[0].Autofocus = true
	}
	pg.Summary = nil
}

func (p *Pages) render(v *visit, pg *page) *answer {
	pg.focus()
	name, ok := templateOf[pg.Name]
	if !ok {
		name = "notice"
	}
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "layout.html", pg); err != nil {
		// The templates are our own and their data typed: this is a defect.
		p.opt.Logger.Error("signin: template", "page", pg.Name, "error", err)
		body.Reset()
		body.WriteString("<!doctype html><title>Error</title>")
		pg.status = http.StatusInternalServerError
	}
	a := v.answer(pg.status)
	a.header.Set("Content-Type", "text/html; charset=utf-8")
	a.header.Set("Content-Language", pg.Lang)
	csp := p.csp
	if pg.pictures {
		csp = strings.Replace(csp, "img-src ", "img-src data: ", 1)
	}
	a.header.Set("Content-Security-Policy", csp+"; script-src 'nonce-"+pg.Nonce+"'")
	if pg.status == http.StatusTooManyRequests {
		a.header.Set("Retry-After", strconv.Itoa(max(1, int(pg.wait/time.Second))))
	}
	a.body = body.Bytes()
	return a
}

func (p *Pages) notice(v *visit, status int, name string, n notice) *answer {
	pg := p.page(v, name, nil)
	pg.Heading, pg.Data, pg.status, pg.wrong = n.Heading, n, status, n.Alert
	return p.render(v, pg)
}

func (v *visit) json(value any) *answer {
	a := v.answer(http.StatusOK)
	a.header.Set("Content-Type", "application/json")
	body, err := json.Marshal(value)
	if err != nil {
		return v.answer(http.StatusInternalServerError)
	}
	a.body = body
	return a
}

func (p *Pages) signedInAs(v *visit, s *session) template.HTML {
	id := s.identity()
	who := id.Email
	if who == "" {
		who = id.Name
	}
	if who == "" {
		return v.words.H("signed_in.text_unknown", "app", p.opt.AppName)
	}
	return v.words.H("signed_in.text", "app", p.opt.AppName, "who", v.words.Strong(who))
}

// contentPolicy allows our own files only, the operator's logo, and forms that end
// at this origin (SEC S-68, decision D33). The scripts' nonce is added per answer.
func (p *Pages) contentPolicy() string {
	img := "img-src 'self'"
	for _, logo := range []string{p.opt.Logo, p.opt.LogoDark} {
		if u, err := url.Parse(logo); err == nil && u.Host != "" && !strings.Contains(img, u.Host) {
			img += " " + u.Scheme + "://" + u.Host
		}
	}
	return "default-src 'none'; style-src 'self'; connect-src 'self'; " + img +
		"; form-action 'self' " + p.origin + "; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
}

// An asset is a file that never changes under its link.
type asset struct {
	kind, link, tag string
	body            []byte
}

func (p *Pages) loadAssets(accent color) (map[string]asset, error) {
	all := map[string]asset{}
	add := func(name, kind string, body []byte) {
		sum := sha256.Sum256(body)
		tag := hex.EncodeToString(sum[:6])
		all[name] = asset{kind: kind, tag: tag, link: p.prefix + name + "?v=" + tag, body: body}
	}
	css, err := files.ReadFile("static/style.css")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"page.js", "webauthn.js"} {
		js, err := files.ReadFile("static/" + name)
		if err != nil {
			return nil, err
		}
		add(name, "text/javascript; charset=utf-8", js)
	}
	add("style.css", "text/css; charset=utf-8", append([]byte(paletteCSS(accent)), css...))
	add("icon.svg", "image/svg+xml", fmt.Appendf(nil,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="%s"/>`+
			`<text x="16" y="22" font-family="system-ui,sans-serif" font-size="17" font-weight="600" text-anchor="middle" fill="%s">%s</text></svg>`,
		accent, onTop(accent), template.HTMLEscapeString(initial(p.opt.AppName))))
	return all, nil
}

func (p *Pages) serveAsset(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutPrefix(r.URL.Path, p.prefix)
	a, found := p.assets[name]
	if !ok || !found || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+a.tag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
	return true
}
