package app

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/metrics"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
)

// timedStore tells the metrics how long each transaction took.
type timedStore struct {
	store.Store
	observe [store.Durable + 1]func(time.Duration)
}

func newTimedStore(s store.Store, m *metrics.Metrics) timedStore {
	t := timedStore{Store: s}
	for d, name := range map[store.Durability]string{store.Lazy: "lazy", store.Relaxed: "relaxed", store.Durable: "durable"} {
		t.observe[d] = m.Transactions(name)
	}
	return t
}

func (s timedStore) InTx(ctx context.Context, d store.Durability, fn func(store.Tx) error) error {
	began := time.Now()
	defer func() { s.observe[d](time.Since(began)) }()
	return s.Store.InTx(ctx, d, fn)
}

// voiding tells this node's OAuth core what a transaction of others has voided as
// soon as it is committed; other nodes read it within a second (SEC S-104).
type voiding struct {
	store.Store
	voided func(...oauth.Revocation)
}

func (s voiding) InTx(ctx context.Context, d store.Durability, fn func(store.Tx) error) error {
	var rows []oauth.Revocation
	err := s.Store.InTx(ctx, d, func(tx store.Tx) error {
		rows = nil // fn may be run again
		return fn(voidingTx{tx, &rows})
	})
	if err == nil && len(rows) > 0 {
		s.voided(rows...)
	}
	return err
}

type voidingTx struct {
	store.Tx
	rows *[]oauth.Revocation
}

func (t voidingTx) Revoke(r oauth.Revocation) error {
	*t.rows = append(*t.rows, r)
	return t.Tx.Revoke(r)
}

// flowStore gives the flow engine its part of the storage port.
type flowStore struct {
	store.Store
	signOuts *signOuts
}

func (s flowStore) InTx(ctx context.Context, durable bool, fn func(flow.Tx) error) error {
	d := store.Relaxed
	if durable {
		d = store.Durable
	}
	return s.Store.InTx(ctx, d, func(tx store.Tx) error { return fn(flowTx{tx, s.signOuts}) })
}

// flowTx writes what the flow does not know the parts of.
type flowTx struct {
	store.Tx
	signOuts *signOuts
}

// signOuts makes the revocation that voids a user's tokens, which is OAuth's.
type signOuts struct {
	revocation func(id string, at time.Time, kept ...string) oauth.Revocation
}

// SignOut implements [flow.Tx] (SEC S-104). A change of address or number that waits
// for its proof ends too: it may be somebody else's (SEC S-34).
func (t flowTx) SignOut(userID string, at time.Time) error {
	return errors.Join(t.SignOutBut(userID, at, "", ""), t.SpendTickets(userID, directory.EmailChange, at),
		t.SpendTickets(userID, directory.PhoneChange, at))
}

// SignOutBut implements [account.Tx]. The recovery links that are out end: they may
// lie in a mailbox that is not the person's any more. A pending change of address
// may be that of who acts here; nobody else has a token left to prove it with.
func (t flowTx) SignOutBut(userID string, at time.Time, session, grant string) error {
	var u directory.User
	u.SignOut(at, session, grant)
	return errors.Join(
		t.EndOtherSessions(userID, session, at), t.RevokeFamilies(userID, grant, at),
		t.Revoke(t.signOuts.revocation(userID, at, u.Kept...)),
		t.SpendTickets(userID, directory.Recovery, at))
}

// outboxStore gives the outbox its part.
type outboxStore struct{ store.Store }

func (s outboxStore) SettleOutbox(ctx context.Context, messages []outbox.Message) error {
	d := store.Lazy
	for _, m := range messages {
		if m.Status != outbox.Sent { // a page is waiting to tell it (decision D28)
			d = store.Relaxed
		}
	}
	return s.InTx(ctx, d, func(tx store.Tx) error {
		for _, m := range messages {
			if err := tx.Settle(m); err != nil && problem.KindOf(err) != problem.Stale {
				return err
			}
		}
		return nil
	})
}

// flowClients shows the flow engine what it must know of OAuth clients.
type flowClients struct {
	clients  func(ctx context.Context, id string) (oauth.Client, error)
	policies func() *policy.Org
}

func (f *flowClients) FlowClient(ctx context.Context, id string) (flow.Client, bool, error) {
	c, err := f.clients(ctx, id)
	if problem.KindOf(err) == problem.Unauthenticated { // unknown, or switched off
		return flow.Client{}, false, nil
	}
	if err != nil {
		return flow.Client{}, false, err
	}
	look := branded(f.policies().Brand, said(c), c.LogoURI)
	out := flow.Client{
		ID: c.ID, Name: look.Name, Confidential: !c.Public(), LogoURI: look.LogoURL,
		EmailCallback: c.EmailCallbackURI, SignUpURI: c.SignUpURI,
		SignUp: policy.SignUp(c.SignUp), Enumeration: policy.Enumeration(c.Enumeration),
		Access: c.AccessPolicy, Profile: c.ProfilePolicy, EndedAt: c.EndedAt,
		Origins: origins(c, f.policies()),
	}
	if out.Name == "" {
		out.Name = c.Name
	}
	return out, true, nil
}

// origins are those of an app's pages: where it redirects to, and those that it or the
// organization lets call the engine (decision D12). The authenticator adds the engine's own.
func origins(c oauth.Client, org *policy.Org) []string {
	var out []string
	for _, uri := range c.RedirectURIs {
		if o := edge.OriginOf(uri); o != "" { // as browsers write it
			out = append(out, o)
		}
	}
	out = append(append(out, c.TrustedOrigins...), org.TrustedOrigins...)
	slices.Sort(out)
	return slices.Compact(out)
}

// interactions is the flow engine as the OAuth core knows it.
type interactions struct {
	engine   *flow.Engine
	policies func() *policy.Org
}

func (i interactions) Begin(ctx context.Context, r oauth.InteractionRequest) (string, error) {
	acr := ""
	if len(r.ACRValues) > 0 { // in the client's order of preference
		known := slices.IndexFunc(r.ACRValues, i.policies().Meets)
		if known < 0 {
			return "", problem.New(problem.Invalid, "unmet_authentication_requirements",
				"None of the requested 'acr_values' can be satisfied.")
		}
		acr = r.ACRValues[known]
	}
	start := flow.Start{
		Request: flow.Request{
			ClientID: r.ClientID, Server: r.Server, Scopes: r.Scopes, RedirectURI: r.RedirectURI, State: r.State,
			Nonce: r.Nonce, CodeChallenge: r.CodeChallenge, ACR: acr, LoginHint: r.LoginHint, Enroll: r.Enroll,
			IP: r.IP, Forwarded: r.Forwarded, UserAgent: r.UserAgent, Locale: r.Locale,
		},
		Browser:       flow.Browser{Cookie: r.SessionCookie, Keeps: r.Browser},
		RecoveryToken: r.RecoveryToken, ActivationToken: r.ActivationToken, DeviceToken: r.DeviceToken,
	}
	if r.MaxAge != nil {
		age := time.Duration(*r.MaxAge) * time.Second
		start.MaxAge = &age
	}
	handle, err := i.engine.Begin(ctx, start)
	switch {
	case errors.Is(err, flow.ErrRecoveryToken):
		return "", oauth.ErrRecoveryToken
	case errors.Is(err, flow.ErrActivationToken):
		return "", oauth.ErrActivationToken
	}
	return handle, err
}

func (i interactions) Finished(ctx context.Context, code string) (oauth.Interaction, error) {
	r, err := i.engine.Finished(ctx, code)
	if err != nil {
		return oauth.Interaction{}, err
	}
	return oauth.Interaction{
		ID: r.Transaction, ClientID: r.Request.ClientID, Server: r.Request.Server, UserID: r.UserID,
		Scopes: r.Request.Scopes, RedirectURI: r.Request.RedirectURI, Nonce: r.Request.Nonce,
		IP: r.Request.IP, UserAgent: r.Request.UserAgent, Session: r.Session,
		CodeChallenge: r.Request.CodeChallenge, ACR: r.Request.ACR, AuthTime: r.AuthTime, AMR: r.AMR, BegunAt: r.BegunAt, Since: r.Since,
		Redeemed: r.Redeemed, Row: r,
	}, nil
}

func (i interactions) Spend(tx oauth.Tx, x oauth.Interaction, grant string) error {
	return i.engine.Spend(flowTx{Tx: tx.(store.Tx)}, x.Row.(flow.Result), grant)
}

// mailer makes the flow's outgoing mail into messages of the outbox.
type mailer struct {
	*outbox.Outbox
	policies func() *policy.Org
}

// noAccountLife is how long the mail to an address without an account is of use; it has no code that ends.
const noAccountLife = 15 * time.Minute

// noticeLife is how long a notice of a change is tried to be delivered.
const noticeLife = 24 * time.Hour

func (m mailer) Prepare(o flow.Outgoing) (outbox.Message, error) {
	switch {
	case o.Text != nil:
		return m.prepareText(o)
	case o.Wake != nil:
		return m.prepareWake(o)
	}
	msg := mail.Message{
		Template: mail.Template(o.Mail.Template), To: o.Mail.To, FirstName: o.Mail.FirstName,
		Code: o.Mail.Code, Link: o.Mail.Link, ExpiresAt: o.Mail.ExpiresAt,
		App:    branded(m.policies().Brand, o.Client.Name, o.Client.LogoURI),
		Method: o.Mail.Method, Which: o.Mail.Which, Address: o.Mail.Address, Date: o.Mail.Date, Count: o.Mail.Count,
		Origin: mail.NewOrigin(o.Request.UserAgent, o.Request.IP, o.At),
		Locale: o.Request.Locale, Void: o.Void,
	}
	if msg.Template == mail.SignInUnknown && o.SignUp && o.Client.SignUpURI != "" {
		msg.SignUpURL = withHint(o.Client.SignUpURI, o.Mail.To)
	}
	if o.Once != "" && !o.Void {
		return m.Outbox.PrepareAs(o.Once, mail.Kind, msg, o.At, o.KeepUntil)
	}
	expires := o.Mail.ExpiresAt
	switch {
	case !expires.IsZero():
	case msg.Template == mail.SignInUnknown:
		expires = o.At.Add(noAccountLife)
	default:
		expires = o.At.Add(noticeLife)
	}
	return m.Outbox.Prepare(mail.Kind, msg, o.At, expires)
}

// withHint fills the address in on a sign-up page.
func withHint(page, address string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("login_hint", address)
	u.RawQuery = q.Encode()
	return u.String()
}
