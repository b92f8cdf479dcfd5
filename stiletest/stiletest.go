// Package stiletest runs a whole Stile inside a test: a real engine on a real
// port, with its database in a temporary folder, its mail in memory and a clock
// that the test moves. There is no network and nothing to sleep for.
package stiletest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// An Engine is a running Stile with two registered clients. It stops when its test ends.
type Engine struct {
	URL    string // scheme, host and port
	Issuer string // URL and /oauth2/default

	ClientID, ClientSecret string // a confidential web app
	PublicClientID         string // a single-page app
	RedirectURI            string // of both, and where mailed links lead

	Client *idx.Client // of the web app
	Clock  *Clock

	app *app.App
}

// An Option changes the engine before it starts.
type Option func(*settings)

type settings struct {
	org         policy.Org
	limits      flow.Limits
	redirectURI string
	smtp        []string
	phones      app.Phones
	dir         string
	postgres    bool
	logger      *slog.Logger
	servers     []oauth.AuthorizationServer
	webPush     app.WebPush
	err         error
}

// Require makes authenticators required beside the email: "okta_password".
func Require(keys ...string) Option {
	return func(s *settings) {
		for _, k := range keys {
			s.org.Require(k)
		}
	}
}

// Offer makes authenticators optional ones beside those of the policies: "webauthn".
func Offer(keys ...string) Option { return func(s *settings) { s.org.Offer(keys...) } }

// Disclose makes sign-in and sign-up tell whether an address has an account.
func Disclose() Option { return func(s *settings) { s.org.Enumeration = policy.Disclose } }

// SignUpClosed switches self-service sign-up off.
func SignUpClosed() Option { return func(s *settings) { s.org.CloseSignUp() } }

// Org sets the organisation's policies, in the YAML of `stile apply`
// (docs/policies.md). What it leaves out is the default's.
func Org(yaml string) Option {
	return func(s *settings) {
		file, err := orgfile.Parse([]byte(yaml))
		if err != nil {
			s.err = err
			return
		}
		s.org = file.Org
	}
}

// RedirectURI sets where both clients are sent back to, and mailed links lead.
// The default is http://localhost:8080/login/callback.
func RedirectURI(uri string) Option { return func(s *settings) { s.redirectURI = uri } }

// SMTP delivers mail to a server too, for example smtp://127.0.0.1:2525; a test
// that wants mail to fail names one that refuses or is not there.
func SMTP(url string) Option { return func(s *settings) { s.smtp = []string{url} } }

// TelephonyHook hands texts and calls to a hook of the field too (docs/operations.md),
// which knows the engine by secret; a test that wants them to fail has one that says so.
func TelephonyHook(url, secret string) Option {
	return func(s *settings) { s.phones.Hook, s.phones.HookSecret = url, secret }
}

// ProductionLimits makes people wait for another mail as long as in production;
// without it a test may ask for one at once.
func ProductionLimits() Option {
	return func(s *settings) { s.limits = flow.DefaultLimits() }
}

// Dir keeps the database in a folder of the test's, so that a second Start goes
// on where the first was stopped.
func Dir(dir string) Option { return func(s *settings) { s.dir = dir } }

// PostgreSQL keeps the database on a server that the test binary starts, once, as the
// account postgres if root runs the test: initdb and pg_ctl are in PATH or where Debian
// has them. Without them the test is left out; with CI=true it fails. The environment
// variable STILETEST_DATABASE=postgres says the same of every engine.
func PostgreSQL() Option { return func(s *settings) { s.postgres = true } }

// ES256AccessTokens signs access tokens with ES256; ID tokens stay RS256.
func ES256AccessTokens() Option {
	return func(s *settings) {
		s.servers = []oauth.AuthorizationServer{
			{ID: oauth.DefaultServer, AccessTokenAlg: "ES256"}, {ID: oauth.OrgServer},
		}
	}
}

// WebPush has phones woken through the push services that a client reaches, such as
// that of a server of the test. key is a line of `stile web-push-key`.
func WebPush(key string, client *http.Client) Option {
	return func(s *settings) {
		s.webPush = app.WebPush{Key: key, Subject: "mailto:ops@example.com", Client: client}
	}
}

// Logger receives the engine's log. The default writes warnings and errors to the test's log.
func Logger(l *slog.Logger) Option { return func(s *settings) { s.logger = l } }

// Start runs an engine until the test ends. It fails the test if it cannot.
func Start(tb testing.TB, options ...Option) *Engine {
	tb.Helper()
	s := settings{
		org: policy.PasswordOptional(), limits: flow.DevelopmentLimits(),
		redirectURI: "http://localhost:8080/login/callback",
		logger:      slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		postgres:    os.Getenv("STILETEST_DATABASE") == "postgres",
	}
	for _, o := range options {
		o(&s)
	}
	if s.err != nil {
		tb.Fatalf("stiletest: %v", s.err)
	}
	database := ""
	switch {
	case s.postgres && s.dir != "":
		database = pgtest.Of(tb, s.dir)
	case s.postgres:
		database = pgtest.Database(tb)
	}
	if s.dir == "" {
		s.dir = tb.TempDir()
	}
	e := &Engine{Clock: &Clock{}, RedirectURI: s.redirectURI}
	server := httptest.NewUnstartedServer(nil)
	e.URL = "http://" + server.Listener.Addr().String()
	a, err := app.New(tb.Context(), app.Config{
		Dir: s.dir, Database: database, PublicURL: e.URL, Policy: s.org, Limits: s.limits, Servers: s.servers,
		SMTP: s.smtp, Phones: s.phones, Inbox: true, WebPush: s.webPush, Now: e.Clock.Now, Logger: s.logger,
	})
	if err != nil {
		tb.Fatalf("stiletest: %v", err)
	}
	e.app = a
	server.Config.Handler = a.Handler()
	a.Start()
	server.Start()
	var once sync.Once
	tb.Cleanup(func() {
		once.Do(func() {
			server.Close()
			if err := a.Close(context.Background()); err != nil {
				tb.Errorf("stiletest: stop: %v", err)
			}
		})
	})
	e.Issuer = a.OAuth.Issuer(oauth.DefaultServer)
	e.ClientID, e.ClientSecret = e.register(tb, "Acme Web", true)
	e.PublicClientID, _ = e.register(tb, "Acme SPA", false)
	e.Client, err = idx.New(idx.Config{
		Issuer: e.Issuer, ClientID: e.ClientID, ClientSecret: e.ClientSecret, RedirectURI: e.RedirectURI,
		Scopes: []string{"openid", "profile", "email"}, Now: e.Clock.Now,
	})
	if err != nil {
		tb.Fatalf("stiletest: %v", err)
	}
	return e
}

func (e *Engine) register(tb testing.TB, name string, confidential bool) (id, secret string) {
	tb.Helper()
	c, secret, err := oauth.NewClient(oauth.Client{
		Name: name, RedirectURIs: []string{e.RedirectURI}, EmailCallbackURI: e.RedirectURI,
	}, confidential, e.Clock.Now())
	if err == nil {
		err = e.app.OAuth.AddClient(context.Background(), c)
	}
	if err != nil {
		tb.Fatalf("stiletest: register %s: %v", name, err)
	}
	return c.ID, secret
}

// A Mail is a message as the person gets it. Code and Link are what they came from, not cut out of the text.
type Mail struct {
	ID, To, From, Subject, Text, HTML, Code, Link string
	CreatedAt                                     time.Time
}

// patience is how long a test waits for mail that does not come, on the busiest machine.
const patience = time.Minute

// Mail returns the newest message to an address, waiting for what is on its way.
// It fails the test if there is none.
func (e *Engine) Mail(tb testing.TB, address string) Mail {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := e.app.MailSettled(ctx); err != nil {
		tb.Fatalf("stiletest: mail to %s: %v", address, err)
	}
	m, err := e.app.Inbox.Wait(ctx, address, "")
	if err != nil {
		tb.Fatalf("stiletest: no mail to %s: %v", address, err)
	}
	return mailOf(m)
}

// Code returns the code of the newest message to an address, as Mail does.
func (e *Engine) Code(tb testing.TB, address string) string {
	tb.Helper()
	m := e.Mail(tb, address)
	if m.Code == "" {
		tb.Fatalf("stiletest: the newest mail to %s has no code: %q", address, m.Subject)
	}
	return m.Code
}

// Link returns the link of the newest message to an address, as Mail does.
func (e *Engine) Link(tb testing.TB, address string) string {
	tb.Helper()
	m := e.Mail(tb, address)
	if m.Link == "" {
		tb.Fatalf("stiletest: the newest mail to %s has no link: %q", address, m.Subject)
	}
	return m.Link
}

// Mails returns all messages to an address, newest first; none if nothing was sent.
func (e *Engine) Mails(tb testing.TB, address string) []Mail {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := e.app.MailSettled(ctx); err != nil {
		tb.Fatalf("stiletest: mail to %s: %v", address, err)
	}
	var out []Mail
	for _, m := range e.app.Inbox.Messages(address) {
		out = append(out, mailOf(m))
	}
	return out
}

// MailTried waits until every mail that was due has been tried, and what became of
// it is written down. With a server that does not answer no mail arrives to wait for.
func (e *Engine) MailTried(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := e.app.MailWritten(ctx); err != nil {
		tb.Fatalf("stiletest: %v", err)
	}
}

func mailOf(m mail.InboxMessage) Mail {
	return Mail{
		ID: m.ID, To: m.To, From: m.From, Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		Code: m.Code, Link: m.Link, CreatedAt: m.CreatedAt,
	}
}

// A Clock is the engine's time: the machine's, and what a test has added to it.
type Clock struct {
	mu      sync.Mutex
	ahead   time.Duration
	stopped time.Time // not zero: what it shows instead of the machine's
}

// Now returns the engine's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.IsZero() {
		return time.Now().Add(c.ahead)
	}
	return c.stopped.Add(c.ahead)
}

// Advance moves the engine's time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// Stop makes the time stand still but for Advance, so that nothing that a test reads
// depends on how long the machine took.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.IsZero() {
		c.stopped = time.Now()
	}
}
