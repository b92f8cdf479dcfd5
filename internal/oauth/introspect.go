package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// introspection is RFC 7662 §2.2.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expiry    int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	UserID    string `json:"uid,omitempty"`
}

// introspect tells a client about a token of its own. Foreign, ended, revoked
// and unknown tokens all look the same (SEC S-89).
func (c *call) introspect() error {
	p, err := c.form(false)
	if err != nil {
		return err
	}
	if err := c.authenticate(p); err != nil {
		return err
	}
	token, err := p.need("token")
	if err != nil {
		return err
	}
	i, err := c.inspect(token)
	if err != nil {
		return err
	}
	edge.WriteJSON(c.w, http.StatusOK, i)
	return nil
}

// inspect tells what a token is from the token alone: the hint may be wrong and
// is not needed (RFC 7662 §2.1).
func (c *call) inspect(token string) (introspection, error) {
	ctx := c.r.Context()
	if strings.HasPrefix(token, refreshPrefix) {
		return c.inspectRefresh(token)
	}
	access, err := c.verifyAccess(ctx, c.issuer, token)
	if err == nil {
		if access.ClientID != c.client.ID || c.client.ended(access.IssuedAt) {
			return introspection{}, nil
		}
		return introspection{
			Active: true, Scope: strings.Join(access.Scopes, " "), ClientID: access.ClientID, Username: access.Username,
			TokenType: "Bearer", Expiry: access.Expiry, IssuedAt: access.IssuedAt, Subject: access.Subject,
			Audience: access.Audience, Issuer: access.Issuer, ID: access.ID, UserID: access.UserID,
		}, nil
	}
	if !errors.Is(err, errToken) {
		return introspection{}, err
	}
	id, err := c.verifyID(ctx, c.issuer, c.client.ID, token)
	if errors.Is(err, errToken) || err == nil && c.client.ended(id.IssuedAt) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	return introspection{
		Active: true, ClientID: id.Audience, Username: id.PreferredUsername, Expiry: id.Expiry, IssuedAt: id.IssuedAt,
		Subject: id.Subject, Audience: id.Audience, Issuer: id.Issuer, ID: id.ID, UserID: id.Subject,
	}, nil
}

func (c *call) inspectRefresh(token string) (introspection, error) {
	f, state, err := c.familyOf(token)
	if err != nil || (state != refreshCurrent && state != refreshRepeated) {
		return introspection{}, err
	}
	if _, err := c.holder(c.r.Context(), f); problem.KindOf(err) == problem.Forbidden {
		return introspection{}, nil
	} else if err != nil {
		return introspection{}, err
	}
	return introspection{
		Active: true, Scope: strings.Join(f.Scopes, " "), ClientID: f.ClientID, Expiry: f.IdleUntil.Unix(),
		IssuedAt: f.RotatedAt.Unix(), Subject: f.UserID, Issuer: c.issuer.URL, UserID: f.UserID,
	}, nil
}

// familyOf returns the family that a refresh token of the calling client belongs
// to, and what the token is good for: refreshEnded if there is none.
func (c *call) familyOf(token string) (*RefreshFamily, refreshState, error) {
	id, generation, ok := c.parseRefreshToken(token)
	if !ok {
		return nil, refreshEnded, nil
	}
	f, err := c.store.RefreshFamily(c.r.Context(), id)
	if problem.KindOf(err) == problem.NotFound {
		return nil, refreshEnded, nil
	}
	if err != nil {
		return nil, refreshEnded, err
	}
	if f.ClientID != c.client.ID || f.Server != c.issuer.ID || f.endedWith(c.client) {
		return nil, refreshEnded, nil
	}
	return &f, c.issuer.stateOf(&f, generation, c.now()), nil
}
