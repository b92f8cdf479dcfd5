package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/stile-id/stile/signin"
)

// A page is what every template gets.
type page struct {
	Name, Title    string
	App            string
	CSS, JS        string
	Issuer, Inbox  string
	SignIn, SignUp string
	SignOut        string
	Account        string
	Home           *home
}

// home is what the signed-in person sees.
type home struct {
	Who     string
	Profile []fact
	Tokens  []token
	Kind    string // sign-up or sign-in; empty if its calls are not kept
	Steps   []step
}

type fact struct{ ID, Label, Value, Note string }

func (a *app) page(name, title string) page {
	return page{
		Name: name, Title: title, App: appName, CSS: a.css, JS: a.js,
		Issuer: a.cfg.Issuer, Inbox: a.cfg.Inbox,
		SignIn: a.prefix, SignUp: a.prefix + "sign-up", SignOut: a.prefix + "sign-out", Account: a.account,
	}
}

// home greets the signed-in, and tells others what this is.
func (a *app) home(w http.ResponseWriter, r *http.Request) {
	who, ok := signin.User(r.Context())
	if !ok {
		a.render(w, r, http.StatusOK, a.page("landing", "Welcome"))
		return
	}
	h := &home{Who: firstOf(who.Name, who.Email, who.Subject), Profile: profile(who)}
	if t := who.Tokens.IDToken; t != nil {
		h.Tokens = append(h.Tokens, idToken(t.Value, a.cfg.Now()))
	}
	if t := who.Tokens.AccessToken; t != nil {
		h.Tokens = append(h.Tokens, accessToken(t.Value, a.cfg.Now()))
		if run := a.calls.of(r.Context(), t.Value); run != nil {
			s := storyOf(run)
			h.Kind, h.Steps = s.kind, s.steps
		}
	}
	p := a.page("home", "Home")
	p.Home = h
	a.render(w, r, http.StatusOK, p)
}

func profile(who signin.Identity) []fact {
	all := []fact{
		{ID: "name", Label: "Name", Value: firstOf(who.Name, who.GivenName+" "+who.FamilyName)},
		{ID: "email", Label: "Email", Value: who.Email},
		{ID: "username", Label: "Username", Value: who.Claims.Username},
		{ID: "locale", Label: "Language", Value: who.Claims.Locale},
		{ID: "subject", Label: "Id", Value: who.Subject},
	}
	email, username := &all[1], &all[2]
	if who.Claims.EmailVerified {
		email.Note = "proven"
	}
	if username.Value == email.Value {
		email.Note, username.Value = strings.TrimPrefix(email.Note+", also the username", ", "), ""
	}
	var known []fact
	for _, f := range all {
		if f.Value != "" && f.Value != " " {
			known = append(known, f)
		}
	}
	return known
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" && s != " " {
			return s
		}
	}
	return ""
}

func (a *app) notFound(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, http.StatusNotFound, a.page("not-found", "There is no such page"))
}

func (a *app) render(w http.ResponseWriter, r *http.Request, status int, p page) {
	var b bytes.Buffer
	if err := a.pages.ExecuteTemplate(&b, p.Name+".html", p); err != nil {
		a.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "demo: page", slog.String("page", p.Name), slog.Any("error", err))
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store") // tokens
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = b.WriteTo(w) // a browser that has gone away is no fault
	}
}

// An asset is a static file, known by an address that changes with it.
type asset struct {
	body        []byte
	contentType string
}

// load parses the templates and takes in the static files.
func (a *app) load() (err error) {
	if a.pages, err = template.ParseFS(files, "templates/*.html"); err != nil {
		return fmt.Errorf("demo: templates: %w", err)
	}
	a.assets = map[string]asset{}
	static := func(name string) string {
		var body []byte
		if body, err = fs.ReadFile(files, "static/"+name); err != nil {
			return ""
		}
		sum := sha256.Sum256(body)
		at := "/demo/" + hex.EncodeToString(sum[:6]) + "/" + name
		a.assets[at] = asset{body, mime.TypeByExtension(path.Ext(name))}
		return at
	}
	for name, at := range map[string]*string{"demo.css": &a.css, "demo.js": &a.js} {
		if *at = static(name); err != nil {
			return fmt.Errorf("demo: static files: %w", err)
		}
	}
	return nil
}

func (a *app) serveAsset(w http.ResponseWriter, r *http.Request) {
	file := a.assets[r.URL.Path]
	w.Header().Set("Content-Type", file.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(file.body)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodHead {
		_, _ = w.Write(file.body)
	}
}
