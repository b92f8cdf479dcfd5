package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// accountStore gives the changes of accounts their part of the storage port.
type accountStore struct {
	store.Store
	signOuts *signOuts
	outbox   *outbox.Outbox
}

func (s accountStore) InTx(ctx context.Context, fn func(account.Tx) error) error {
	return s.Store.InTx(ctx, store.Durable, func(tx store.Tx) error { return fn(accountTx{flowTx{tx, s.signOuts}}) })
}

// Grants are the refresh families that can still be used.
func (s accountStore) Grants(ctx context.Context, userID string) ([]account.Grant, error) {
	families, err := s.RefreshFamilies(ctx, userID)
	return grantsOf(families), err
}

// Proofs implements [account.Store].
func (s accountStore) Proofs(ctx context.Context, grant string) ([]session.Proof, error) {
	c, err := s.Counter(ctx, flow.ProofsKey(grant))
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return flow.ReadProofs(c)
}

// Additions implements [account.Store].
func (s accountStore) Additions(ctx context.Context, grant string) ([]session.Addition, error) {
	c, err := s.Counter(ctx, flow.AdditionsKey(grant))
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return flow.ReadAdditions(c)
}

// Belongings implements [account.Store].
func (s accountStore) Belongings(ctx context.Context, userID string) (account.Belongings, error) {
	b, err := s.Store.Belongings(ctx, userID)
	return account.Belongings{Sessions: b.Sessions, Grants: grantsOf(b.Families), Tickets: b.Tickets}, err
}

// Mails looks through the whole outbox: it has no index of people, and not much in it.
func (s accountStore) Mails(ctx context.Context, canonical []string) (out []account.Mail, err error) {
	const page = 500
	for after := ""; ; {
		all, err := s.Messages(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			payload, err := s.outbox.Payload(m)
			if err != nil {
				return nil, err
			}
			var letter mail.Message
			if m.Kind != mail.Kind || payload == nil {
				continue
			}
			if err := json.Unmarshal(payload, &letter); err != nil {
				return nil, fmt.Errorf("message %s: %w", m.ID, err)
			}
			to, err := directory.ParseAddress(letter.To)
			if err != nil || letter.Void || !slices.Contains(canonical, to.Canonical) {
				continue
			}
			out = append(out, account.Mail{
				ID: m.ID, To: letter.To, Template: string(letter.Template), Status: string(m.Status), Attempts: int(m.Attempts),
				CreatedAt: m.CreatedAt, ExpiresAt: m.ExpiresAt,
			})
		}
		if len(all) < page {
			return out, nil
		}
		after = all[page-1].ID
	}
}

func grantsOf(families []oauth.RefreshFamily) []account.Grant {
	out := make([]account.Grant, 0, len(families))
	for _, f := range families {
		g := account.Grant{
			ID: f.ID, Grant: f.Grant, App: f.ClientID, Session: f.Session, IP: f.IP, UserAgent: f.UserAgent,
			Scopes: f.Scopes, CreatedAt: f.CreatedAt, SeenAt: f.RotatedAt, EndsAt: f.IdleUntil,
			RevokedAt: f.RevokedAt,
		}
		if f.ExpiresAt.Before(g.EndsAt) {
			g.EndsAt = f.ExpiresAt
		}
		out = append(out, g)
	}
	return out
}

// accountTx voids as OAuth does, beside what a flowTx does.
type accountTx struct{ flowTx }

func (t accountTx) Void(id string, at time.Time) error {
	return t.Revoke(t.signOuts.revocation(id, at))
}

// KeepAdditions implements [account.Tx].
func (t accountTx) KeepAdditions(grant string, all []session.Addition) error {
	return flow.KeepAdditions(t, grant, all)
}

// accountApps shows the changes of accounts what they must know of OAuth clients.
type accountApps struct {
	clients func(ctx context.Context, id string) (oauth.Client, error)
}

func (a *accountApps) App(ctx context.Context, id string) (account.App, error) {
	if id == "" {
		return account.App{}, nil
	}
	c, err := a.clients(ctx, id)
	if problem.KindOf(err) == problem.Unauthenticated { // unknown, or switched off
		return account.App{ID: id}, nil
	}
	return account.App{ID: id, Name: c.Name, Confidential: !c.Public(), LogoURI: c.LogoURI, Profile: c.ProfilePolicy}, err
}

// accountPost makes letters into messages of the outbox, as the flow's are made.
type accountPost struct{ mailer }

func (p accountPost) Prepare(l account.Letter) (outbox.Message, error) {
	return p.mailer.Prepare(flow.Outgoing{
		Mail: l.Mail, Text: l.Text, User: l.User, Client: flow.Client{Name: l.App.Name, LogoURI: l.App.LogoURI},
		Request: flow.Request{IP: l.Source.IP, UserAgent: l.Source.UserAgent, Locale: l.Locale},
		At:      l.At, Void: l.Void,
	})
}

// accountTokens checks the access tokens of MyAccount's requests.
type accountTokens struct{ oauth *oauth.Server }

func (t accountTokens) CheckAccessToken(ctx context.Context, raw, scope string) (account.Actor, error) {
	token, err := t.oauth.CheckAccessToken(ctx, raw, scope)
	return account.Actor{
		UserID: token.UserID, App: token.ClientID, Grant: token.Grant, Session: token.Session, AuthTime: token.AuthTime, AMR: token.AMR,
	}, err
}
