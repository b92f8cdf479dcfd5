// Package demo is an app with Stile's sign-up and sign-in, and a home page that
// shows what came of it: the profile, both tokens in plain words, and the HTTP
// calls just made, told as the six steps of a password-optional sign-up. It is
// written only against packages idx and signin, as any app would be.
//
// # Hooks for tests
//
// <main data-page> is landing, home or not-found. The landing page has the links
// #sign-in, #sign-up and #inbox. The home page has #name, #email and #subject, the
// link #account, the sections #id-token and #access-token with a data-claim for each claim told, the
// button name="action" value="sign-out", and a <details data-step="1"> for each
// step, with an <article data-call="enroll/new"> for each exchange.
package demo

import (
	"cmp"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
)

// Config names the engine and the app registered with it.
type Config struct {
	Issuer       string // for example http://localhost:9000/oauth2/default
	ClientID     string
	ClientSecret string // empty for a public client
	RedirectURI  string // of this app, for example http://localhost:8080/login/callback

	Inbox  string // address of a development inbox, shown as a link; empty: none
	Sender string // From of the engine's mails, to look for among spam

	// Key, of at least 32 random bytes, seals the cookies. Default: see signin.Options.
	Key []byte

	HTTPClient *http.Client     // for calls to the engine; default: one with a 15 s timeout
	Now        func() time.Time // default: time.Now
	Logger     *slog.Logger     // default: slog.Default()
}

const appName = "Stile demo"

// scopes are for the tokens, and for the profile page of package signin.
var scopes = []string{
	"openid", "profile", "email", "offline_access",
	idx.ScopeProfileManage, idx.ScopeEmailManage, idx.ScopePasswordManage, idx.ScopeSessionsManage,
}

type app struct {
	cfg     Config
	prefix  string // of the sign-in pages
	account string // address of the profile page
	calls   *recorder
	pages   *template.Template
	assets  map[string]asset
	css     string // address of the style sheet, with its version
	js      string
	secure  bool // the app is served over https
}

//go:embed templates/*.html static/*
var files embed.FS

// New makes the app's handler, to be served at the root of RedirectURI's origin.
func New(c Config) (http.Handler, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	uri, err := url.Parse(c.RedirectURI)
	if err != nil {
		return nil, fmt.Errorf("demo: redirect URI: %w", err)
	}
	if c.Inbox != "" && !strings.HasPrefix(c.Inbox, "http://") && !strings.HasPrefix(c.Inbox, "https://") {
		return nil, errors.New("demo: the inbox must be an absolute http or https URL")
	}
	a := &app{cfg: c, prefix: path.Dir(uri.Path), secure: uri.Scheme == "https"}
	if !strings.HasSuffix(a.prefix, "/") {
		a.prefix += "/"
	}
	if a.prefix == "/" {
		return nil, errors.New("demo: the redirect URI needs a folder, like /login/callback: the home page is at /")
	}
	if err := a.load(); err != nil {
		return nil, err
	}

	engine := http.Client{Timeout: 15 * time.Second}
	if c.HTTPClient != nil {
		engine = *c.HTTPClient
	}
	a.calls = newRecorder(cmp.Or[http.RoundTripper](engine.Transport, http.DefaultTransport), c.Now, c.ClientSecret)
	engine.Transport = a.calls
	client, err := idx.New(idx.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURI: c.RedirectURI,
		HTTPClient: &engine, Now: c.Now, Scopes: scopes,
	})
	if err != nil {
		return nil, err
	}
	pages, err := signin.New(client, signin.Options{
		RedirectURI: c.RedirectURI, AppName: appName, DevInbox: c.Inbox, Sender: c.Sender,
		Key: c.Key, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}

	a.account = pages.ProfilePath()

	mux := http.NewServeMux()
	mux.Handle(a.prefix, pages)
	mux.Handle("GET /{$}", pages.Identify(http.HandlerFunc(a.home)))
	for at := range a.assets {
		mux.HandleFunc("GET "+at, a.serveAsset)
	}
	mux.HandleFunc("/", a.notFound)
	return a.watched(mux), nil
}

// browserCookie names the browser whose calls are kept. It proves nothing: calls
// are shown only to who holds the tokens that came of them.
const browserCookie = "stile-demo-calls"

var browserID = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// watched makes the calls to the engine that serve a request count as its browser's.
func (a *app) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, static := a.assets[r.URL.Path]; static {
			next.ServeHTTP(w, r)
			return
		}
		c, err := r.Cookie(browserCookie)
		if err != nil || !browserID.MatchString(c.Value) {
			c = &http.Cookie{
				Name: browserCookie, Value: rand.Text(), Path: "/", HttpOnly: true,
				Secure: a.secure, SameSite: http.SameSiteLaxMode,
			}
			http.SetCookie(w, c)
		}
		next.ServeHTTP(w, r.WithContext(withBrowser(r.Context(), c.Value)))
	})
}
