// Package signin is the pages that people see: sign-in by code, link or password,
// sign-up, recovery, more ways to sign in, sign-out. They are one http.Handler on
// package idx, and work in browsers without script.
//
//	client, err := idx.New(idx.Config{Issuer: …, ClientID: …, ClientSecret: …, RedirectURI: uri})
//	pages, err := signin.New(client, signin.Options{RedirectURI: uri, AppName: "Acme"})
//	mux.Handle("/login/", pages)
//	mux.Handle("/", pages.Require(home)) // home asks signin.User who it is
//
// # Addresses
//
// All pages lie under one prefix, the directory of the redirect URI's path: with
// https://app.example/login/callback it is /login/, and mounts there.
//
//	/login/           sign-in; takes return_to, login_hint, ui_locales, lang, prompt=create,
//	                  max_age and acr_values (what Require asks for)
//	/login/sign-up    sign-up; takes the same
//	/login/recover    forgotten password; takes the same
//	/login/unlock     password that is paused; takes the same
//	/login/welcome    takes activationToken: an app's activationUri
//	/login/new-password  takes recoveryToken: an app's recoveryUri
//	/login/step       the step that is next: code, list, password, any other form
//	/login/callback   where mailed links and the engine send the browser
//	/login/sign-out   POST signs out; GET shows the button
//	/login/signed-out
//	/login/profile    what people see and change of their account; with /name, /email,
//	                  /code, /password, /remove, /data, /data.json and /delete below it
//	/login/passkey, /login/passkey/options  for the script of a page that takes passkeys
//	/login/poll, /login/style.css, /login/page.js, /login/webauthn.js, /login/icon.svg
//
// GET shows and changes nothing. POST acts and answers with 303.
//
// The profile is there where the client asks for okta.myAccount.profile.read or
// …profile.manage; what the other scopes of idx.Account are for is there with them.
// The devices need offline_access too: an app that cannot renew its tokens is on no
// list. A change asks for a new proof first, as the engine says, and leads back.
//
// # Hooks for tests
//
// These do not change. <main data-page> is one of sign-in, sign-up, recover, unlock,
// welcome, invitation-over, new-password, recovery-over (of mailed tokens),
// email-code, password, choose-authenticator, select-authenticator, set-password,
// reset-password, password-expired, password-expiring, passkey, set-passkey, profile-update,
// verify-set-up, verify-send, verify-method, verify-push, verify-code, form,
// link-continue, link-elsewhere, already-signed-in, sign-out, signed-out,
// recovery-completed, not-enough, denied, too-old, error, profile, profile-name,
// profile-email, profile-code, profile-password, profile-method, profile-remove, profile-data,
// profile-delete. A field's name is its id:
// identifier (sign-in, recover, unlock), remember, keep (boxes to tick at sign-in),
// firstName, lastName, email (sign-up), verificationCode, authenticator (radio
// buttons; the value is the authenticator's key, the id authenticator-KEY), password,
// newPassword (password-expired, password-expiring). On pages of the kinds form,
// profile-update and profile-name, fields have the names that the engine gave them. Submit buttons
// have name="action" and one of these values:
//
//	sign-in               next, passkey; its links send sign-up, recover, unlock where there is script
//	sign-up               create
//	recover, unlock       next
//	email-code            continue, resend, check (I opened the link), change, instead
//	password              continue, instead (Send me a code instead), recover, change, cancel
//	choose-authenticator  submit, cancel
//	select-authenticator  submit, skip, cancel
//	set-password, form    continue, skip, cancel
//	passkey               continue, instead, cancel
//	set-passkey           continue, skip, cancel
//	reset-password        continue, skip (Go on without a password), cancel
//	password-expired      continue, cancel
//	password-expiring     continue, skip, cancel
//	profile-update        continue, skip, cancel
//	verify-set-up         resend, check (My phone is set up), channel, skip, cancel
//	verify-send           continue, channel
//	verify-method         push, totp, instead, cancel
//	verify-push           push (Send again), totp, check (I have answered), instead, cancel
//	verify-code           continue, push, instead, cancel
//	link-continue         continue
//	welcome, new-password  continue
//	already-signed-in     continue is a link; switch (Use another account)
//	sign-out              sign-out
//	too-old               restart
//	profile               end-device (one for each), end-all, keep
//	profile-name          save
//	profile-email         save
//	profile-code          continue, resend, cancel
//	profile-password      save
//	profile-method        save
//	profile-remove        remove
//	profile-delete        delete
//	error                 resend (Send a new one), where a mailed link was too old
//
// # What stays in the browser
//
// Sealed, or random and of no use elsewhere; set by POST alone: the session with its
// tokens, until the browser ends, or for those who ticked Keep me signed in for
// Options.KeepFor; each flow, a day; the address of those who ticked Remember my
// email, and a secret by which the engine knows the browser again (idx.Device), a year.
package signin

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/idx"
)

// Options are the settings of the pages.
type Options struct {
	// RedirectURI is the client's, as registered with the engine; it is also the
	// callback of mailed links. Required. Plain http only on loopback.
	RedirectURI string

	AppName        string // on every page; default: the redirect URI's host
	Logo, LogoDark string // URL paths, about 32 px high; default: the app's name as text
	AccentColor    string // "#1d6b52"; what is written on it, and its shade for links, are computed

	HelpURL, TermsURL, PrivacyURL string // linked at the foot of each page

	Sender   string // "Acme <login@acme.example>", to look for among spam
	DevInbox string // base URL of a development inbox, linked from the code page; empty in production

	Home string // where people go after sign-in if they asked for nothing else; default "/"

	// Key, of at least 32 random bytes, seals the cookies. Default: derived from the
	// client's secret; without a secret random, so that a restart signs everyone out.
	Key []byte

	// Catalog lays the operator's words over the shipped ones, key by key: en.json,
	// de.json at its root. A language that is not shipped is added.
	Catalog fs.FS

	// RefreshLeeway is how long before its end an access token is refreshed, where
	// there is a refresh token. Default: 30 seconds.
	RefreshLeeway time.Duration

	// KeepFor is how long those stay signed in who tick Keep me signed in, for which
	// the client needs the scope offline_access: after two weeks without a visit it
	// ends in any case, and with the refresh token. Default: 30 days. Less than zero:
	// there is no such box.
	KeepFor time.Duration

	// Recheck is how often the engine is asked, while a session is in use, whether
	// it still holds: somebody may have signed out everywhere from elsewhere, and an
	// access token cannot tell. Default: a minute where there is a profile page
	// (ProfilePath), else never. Less than zero is never.
	Recheck time.Duration

	Now    func() time.Time // default: time.Now
	Logger *slog.Logger     // default: slog.Default()
}

// Pages is the handler of all pages. Make one with New.
type Pages struct {
	client  *idx.Client
	opt     Options
	prefix  string
	origin  string // of the redirect URI
	cookies *cookies
	cross   *http.CrossOriginProtection

	languages map[string]*words
	templates map[string]*template.Template
	assets    map[string]asset
	csp       string // up to the script's nonce

	routes    map[string]route
	answers   *once[*answer]
	refreshes *once[refreshed]
	probes    *once[probed]
	checks    *once[checked]
	steps     *recall
	profile   profileScopes
	offline   bool                  // there are refresh tokens
	offer     atomic.Pointer[offer] // the last one known
}

// A route is what an address does. keep is how long a POST's answer is given again
// to the very same request.
type route struct {
	show, act func(*visit) *answer
	keep      time.Duration
}

//go:embed templates/*.html static/*
var files embed.FS

// New makes the pages for the app that c stands for. The error tells which option
// is wrong.
func New(c *idx.Client, o Options) (*Pages, error) {
	uri, err := url.Parse(o.RedirectURI)
	switch {
	case err != nil:
		return nil, fmt.Errorf("signin: RedirectURI: %w", err)
	case uri.Host == "" || uri.Scheme != "https" && uri.Scheme != "http":
		return nil, errors.New("signin: RedirectURI must be an absolute https URL")
	case uri.Scheme == "http" && !loopback(uri.Hostname()):
		return nil, errors.New("signin: RedirectURI must be https outside of loopback: cookies would travel in the clear")
	case path.Base(uri.Path) == "/" || path.Base(uri.Path) == "." || strings.HasSuffix(uri.Path, "/"):
		return nil, errors.New("signin: RedirectURI needs a path like /login/callback")
	case o.Home != "" && !localPath(o.Home):
		return nil, errors.New("signin: Home must be a path of the app itself")
	case o.Key != nil && len(o.Key) < 32:
		return nil, errors.New("signin: Key needs 32 bytes")
	}
	o.defaults(uri)
	accent, err := parseColor(o.AccentColor)
	if err != nil {
		return nil, err
	}
	p := &Pages{
		client: c, opt: o,
		prefix: strings.TrimSuffix(path.Dir(uri.Path), "/") + "/",
		origin: uri.Scheme + "://" + uri.Host,
		cross:  http.NewCrossOriginProtection(),

		answers:   newOnce[*answer](o.Now),
		refreshes: newOnce[refreshed](o.Now),
		probes:    newOnce[probed](o.Now),
		checks:    newOnce[checked](o.Now),
		steps:     newRecall(o.Now),
		profile:   scopesOf(c.Config().Scopes),
		offline:   slices.Contains(c.Config().Scopes, "offline_access"),
	}
	if o.Recheck == 0 && p.profile.offered() {
		p.opt.Recheck = time.Minute
	}
	if err := p.cross.AddTrustedOrigin(p.origin); err != nil {
		return nil, fmt.Errorf("signin: RedirectURI: %w", err)
	}
	cfg := c.Config()
	secret := o.Key
	if secret == nil {
		secret = []byte(cfg.ClientSecret)
	}
	if p.cookies, err = newCookies(secret, cfg.ClientID, uri.Scheme == "https"); err != nil {
		return nil, err
	}
	if p.languages, err = loadWords(o.Catalog); err != nil {
		return nil, err
	}
	if p.templates, err = parseTemplates(); err != nil {
		return nil, err
	}
	if p.assets, err = p.loadAssets(accent); err != nil {
		return nil, err
	}
	p.csp = p.contentPolicy()
	p.routes = p.table(path.Base(uri.Path))
	p.addTickets()
	return p, nil
}

func (o *Options) defaults(uri *url.URL) {
	if o.AppName == "" {
		o.AppName = uri.Hostname()
	}
	if o.AccentColor == "" {
		o.AccentColor = "#1d6b52"
	}
	if o.Home == "" {
		o.Home = "/"
	}
	if o.KeepFor == 0 {
		o.KeepFor = 30 * 24 * time.Hour
	}
	if o.RefreshLeeway <= 0 {
		o.RefreshLeeway = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// doublePress is how long the answer to a form is given again to its duplicate.
const doublePress = 10 * time.Second

func (p *Pages) table(callback string) map[string]route {
	all := map[string]route{
		p.prefix:                {show: p.showSignIn, act: p.signIn, keep: doublePress},
		p.prefix + "sign-up":    {show: p.showSignUp, act: p.signUp, keep: doublePress},
		p.prefix + "recover":    {show: p.showRecover, act: p.recover, keep: doublePress},
		p.prefix + "unlock":     {show: p.showUnlock, act: p.unlock, keep: doublePress},
		p.prefix + "step":       {show: p.showStep, act: p.step, keep: doublePress},
		p.prefix + callback:     {show: p.showCallback, act: p.callback, keep: doublePress},
		p.prefix + "sign-out":   {show: p.showSignOut, act: p.signOut, keep: doublePress},
		p.prefix + "signed-out": {show: p.showSignedOut},
		p.prefix + "poll":       {act: p.poll},

		p.prefix + "passkey":         {act: p.passkey, keep: doublePress},
		p.prefix + "passkey/options": {act: p.passkeyOptions},
	}
	p.addProfile(all)
	return all
}

// maxForm bounds a form's body; the largest has two names, an address and a path.
const maxForm = 64 << 10

func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.serveAsset(w, r) {
		return
	}
	v := p.visit(r)
	at, ok := p.routes[r.URL.Path]
	switch get := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case !ok:
		p.notFound(v).write(w)
	case get && at.show != nil:
		at.show(v).write(w)
	case r.Method == http.MethodPost && at.act != nil:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		p.act(v, at).write(w)
	default:
		var allow []string
		if at.show != nil {
			allow = append(allow, http.MethodGet, http.MethodHead)
		}
		if at.act != nil {
			allow = append(allow, http.MethodPost)
		}
		a := p.refuse(v, http.StatusMethodNotAllowed, "error.method")
		a.header.Set("Allow", strings.Join(allow, ", "))
		a.write(w)
	}
}

// act carries out a POST: from our own pages only, and once for a double press.
func (p *Pages) act(v *visit, at route) *answer {
	if err := p.cross.Check(v.r); err != nil {
		return p.refuse(v, http.StatusForbidden, "error.cross_origin")
	}
	if err := v.r.ParseForm(); err != nil {
		return p.refuse(v, http.StatusBadRequest, "error.bad_form")
	}
	p.knowDevice(v)
	h := sha256.New()
	for _, s := range []string{v.r.URL.Path, v.r.URL.RawQuery, v.r.PostForm.Encode(), v.ownCookies()} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	a := p.answers.do(base64.RawStdEncoding.EncodeToString(h.Sum(nil)), func() (*answer, time.Duration) {
		a := at.act(v)
		if a.status >= 500 {
			return a, 0
		}
		return a, at.keep
	})
	if a == nil { // the one who worked on it panicked
		return p.refuse(v, http.StatusInternalServerError, "error.internal")
	}
	return a
}
