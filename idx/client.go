package idx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Client talks to one engine as one app. It keeps nothing of anybody's
// transaction and may be used by many goroutines at once.
type Client struct {
	cfg         Config
	http        *http.Client
	origin      string // of the engine: scheme, host and port
	oauth       string // base of the OAuth endpoints
	idx         string // base of /idp/idx
	fingerprint string

	keys        keyCache
	redemptions redemptions
}

const defaultTimeout = 15 * time.Second

// New checks cfg and makes a client of it. It makes no request.
func New(cfg Config) (*Client, error) {
	issuer, err := url.Parse(cfg.Issuer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("idx: issuer: %w", err)
	case issuer.Scheme != "https" && issuer.Scheme != "http", issuer.Host == "":
		return nil, errors.New("idx: the issuer must be an absolute http or https URL")
	case strings.HasSuffix(cfg.Issuer, "/"):
		return nil, errors.New("idx: the issuer must not end in a slash")
	case issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil:
		return nil, errors.New("idx: the issuer must have no query, fragment or user")
	case cfg.ClientID == "":
		return nil, errors.New("idx: the client id is missing")
	case cfg.RedirectURI == "":
		return nil, errors.New("idx: the redirect URI is missing")
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"openid", "profile", "email"}
	}
	cfg.Scopes = slices.Clone(cfg.Scopes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, origin: origin(issuer), fingerprint: fingerprint(cfg)}
	c.oauth, c.idx = endpoints(issuer)
	c.http = private(cfg.HTTPClient)
	c.keys.init()
	return c, nil
}

// private copies hc without its jar, which would give one person's cookies to
// another, and without redirects, which would carry handles elsewhere.
func private(hc *http.Client) *http.Client {
	if hc == nil {
		hc = &http.Client{Timeout: defaultTimeout}
	}
	mine := *hc
	mine.Jar = nil
	mine.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &mine
}

// endpoints derives the bases as public clients do: OAuth below the issuer, or
// below /oauth2 for the organization's own server; IDX on what precedes /oauth2.
func endpoints(issuer *url.URL) (oauth, idx string) {
	host := issuer.Scheme + "://" + issuer.Host
	path := issuer.EscapedPath()
	if at := strings.Index(path, "/oauth2"); at >= 0 {
		return host + path, host + path[:at]
	}
	return host + path + "/oauth2", host + path
}

// Config gives what the client was made of, defaults filled in, secret included.
func (c *Client) Config() Config {
	cfg := c.cfg
	cfg.Scopes = slices.Clone(cfg.Scopes)
	return cfg
}

// Start begins a transaction and shows what may be done: sign in, and what
// EnabledFeatures lists.
func (c *Client) Start(ctx context.Context, o StartOptions) (*Transaction, error) {
	st, err := c.interact(ctx, o)
	if err != nil {
		return nil, err
	}
	return c.introspect(ctx, st)
}

// Register begins a sign-up. With the zero Profile it stops at enroll-profile and
// shows what that asks for; with a profile it goes on to the step after, the
// proof of the address as a rule. Attributes that the form does not ask for are
// not sent. With an ActivationToken it begins as the person who was invited, whose
// address is proven, and nothing else of the profile is sent. The error is
// ErrRegistrationClosed where sign-up is not offered.
//
// To sign up on a transaction in hand, use Proceed with Input.Profile.
func (c *Client) Register(ctx context.Context, p Profile) (*Transaction, error) {
	tx, err := c.Start(ctx, StartOptions{ActivationToken: p.ActivationToken})
	if err != nil || tx.Status != StatusPending || p.ActivationToken != "" {
		return tx, err
	}
	if !tx.HasFeature(FeatureRegistration) {
		return nil, ErrRegistrationClosed
	}
	tx, err = c.Proceed(ctx, tx, Input{Profile: &p})
	if err == nil && hasKey(tx.Messages, keyRegistrationClosed) {
		return nil, ErrRegistrationClosed
	}
	return tx, err
}

// Authenticate begins a sign-in. Without a Username it stops at identify; with
// one it goes on as far as the credentials reach, to the first step that asks
// for more.
func (c *Client) Authenticate(ctx context.Context, cr Credentials) (*Transaction, error) {
	tx, err := c.Start(ctx, StartOptions{ActivationToken: cr.ActivationToken, RecoveryToken: cr.RecoveryToken})
	if err != nil || tx.Status != StatusPending {
		return tx, err
	}
	return c.advance(ctx, tx, cr.answer())
}

// RecoverPassword begins a password recovery for cr.Username, or with
// cr.RecoveryToken from a mail. Where the first step offers recovery it needs no
// Username and then stops at identify-recovery; where the engine asks for the
// identifier first, it identifies and recovers at the password step. It stops
// where a person has to choose how to prove who they are; go on with Proceed. The
// error is ErrNotOffered where no step offers recovery.
func (c *Client) RecoverPassword(ctx context.Context, cr Credentials) (*Transaction, error) {
	tx, err := c.Start(ctx, StartOptions{ActivationToken: cr.ActivationToken, RecoveryToken: cr.RecoveryToken})
	if err != nil || tx.Status != StatusPending || cr.RecoveryToken != "" {
		return tx, err
	}
	who := values{}
	who.set("username", cr.Username)
	begin := tx.state.doc.action("recover")
	if begin == nil {
		if tx, err = c.identifyToRecover(ctx, tx, who); err != nil || !tx.goesOn() {
			return tx, err
		}
		if begin = tx.state.doc.action("recover"); begin == nil {
			return nil, ErrNotOffered
		}
		who = nil
	}
	tx, err = c.submit(ctx, tx.state, begin, nil)
	if err != nil || !tx.goesOn() {
		return tx, err
	}
	return c.advance(ctx, tx, answer{values: who})
}

// identifyToRecover reaches the password step of an engine that asks for the
// identifier first: recovery is offered there.
func (c *Client) identifyToRecover(ctx context.Context, tx *Transaction, who values) (*Transaction, error) {
	identify := tx.state.doc.form("identify")
	if identify == nil || len(who) == 0 {
		return nil, ErrNotOffered
	}
	tx, err := c.submit(ctx, tx.state, identify, who)
	if err != nil || !tx.goesOn() {
		return tx, err
	}
	list := tx.state.doc.form("select-authenticator-authenticate")
	if tx.state.doc.action("recover") != nil || list == nil || !tx.state.doc.selects(list, passwordChoice()) {
		return tx, nil
	}
	return c.submit(ctx, tx.state, list, passwordChoice())
}

// goesOn holds where the next step may be taken without the person.
func (t *Transaction) goesOn() bool { return t.Status == StatusPending && len(t.Messages) == 0 }

// UnlockAccount begins the unlocking of a locked account and stops where the
// engine asks for the identifier and a way to prove it: answer with Input.Username
// and Input.Authenticator. An engine that asks for
// the identifier alone first has its answer in cr.Username; without one the
// result's NextStep is unlock-account, to be named in Input.Step. The error is
// ErrNotOffered where unlocking is not offered.
func (c *Client) UnlockAccount(ctx context.Context, cr Credentials) (*Transaction, error) {
	tx, err := c.Start(ctx, StartOptions{})
	if err != nil || tx.Status != StatusPending {
		return tx, err
	}
	unlock := tx.state.doc.form("unlock-account")
	if unlock == nil {
		return nil, ErrNotOffered
	}
	who := values{}
	who.set("username", cr.Username)
	if unlock.lacks(who) {
		tx.NextStep = tx.state.doc.step(unlock)
		return tx, nil
	}
	return c.submit(ctx, tx.state, unlock, who)
}
