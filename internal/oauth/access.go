package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// An AccessToken is what an access token that is in force says: whom a request
// acts for, by which app, and how they proved themselves.
type AccessToken struct {
	ID       string // jti
	UserID   string
	ClientID string
	Server   string // authorization server id
	Scopes   []string
	AuthTime time.Time
	AMR      []string
	ACR      string // empty: none was requested
	Grant    string // of the sign-in; a refresh family of it has the same
	Session  string // of the browser at the engine that it ends with; empty: with none
}

// The refusals of an access token (RFC 6750 §3.1), told apart by Code or Kind.
var (
	errAccessToken  = problem.New(problem.Unauthenticated, codeInvalidToken, "The access token is invalid, expired or revoked.")
	errAccessClient = problem.New(problem.Unauthenticated, codeInvalidToken, "The client of the access token is not active.")
	errAccessUser   = problem.New(problem.Unauthenticated, codeInvalidToken, "The user of the access token is not active.")
)

const (
	codeInvalidToken      = "invalid_token"
	codeInsufficientScope = "insufficient_scope"
)

// CheckAccessToken returns what an access token of any server says, for services
// that act for its user: if it is in force, its client and user are active, and
// it has the scope, or the one to manage where the scope is to read. Refusals
// are a *problem.Error of Code "invalid_token" (kind Unauthenticated) or
// "insufficient_scope" (kind Forbidden); anything else is a fault.
func (s *Server) CheckAccessToken(ctx context.Context, raw, scope string) (AccessToken, error) {
	header, _, _ := strings.Cut(raw, ".")
	key, err := s.keys.byHeader(ctx, header)
	if err != nil {
		return AccessToken{}, err
	}
	var i *issuer
	if key != nil {
		i = s.issuerOf(key.Server)
	}
	if i == nil {
		return AccessToken{}, errAccessToken
	}
	c, _, err := s.access(ctx, i, raw, scope)
	if err != nil {
		return AccessToken{}, err
	}
	grant, _ := grantIn(c.ID, accessPrefix)
	return AccessToken{
		ID: c.ID, UserID: c.UserID, ClientID: c.ClientID, Server: i.ID, Scopes: c.Scopes, AuthTime: time.Unix(c.AuthTime, 0).UTC(),
		AMR: c.AMR, ACR: c.ACR, Grant: grant, Session: c.Session,
	}, nil
}

// access returns the claims of an access token that may be used for a scope, and
// its user. The claims are there as well where the refusal came after them.
func (s *Server) access(ctx context.Context, i *issuer, raw, scope string) (*accessClaims, *directory.User, error) {
	c, err := s.verifyAccess(ctx, i, raw)
	if errors.Is(err, errToken) {
		return nil, nil, errAccessToken
	}
	if err != nil {
		return nil, nil, err
	}
	client, err := s.clients.get(ctx, c.ClientID)
	switch {
	case problem.KindOf(err) == problem.Unauthenticated:
		return c, nil, errAccessClient
	case err != nil:
		return c, nil, err
	case client.ended(c.IssuedAt):
		return c, nil, errAccessToken
	}
	if !covers(c.Scopes, scope) {
		return c, nil, problem.New(problem.Forbidden, codeInsufficientScope,
			"The access token must provide access to the scope '%s'.", scope)
	}
	user, err := s.activeUser(ctx, c.UserID)
	grant, _ := grantIn(c.ID, accessPrefix)
	switch {
	case problem.KindOf(err) == problem.Forbidden:
		return c, nil, errAccessUser
	case err != nil:
		return c, nil, err
	case voidSince(lastOf(user.SignedOutAt), c.IssuedAt) && !user.Keeps(grant, c.Session): // this node may not have read the revocation yet
		return c, nil, errAccessToken
	}
	return c, user, nil
}

// covers reports whether scopes allow what needs a scope: who may manage
// something may read it.
func covers(scopes []string, scope string) bool {
	if slices.Contains(scopes, scope) {
		return true
	}
	of, ok := strings.CutSuffix(scope, ".read")
	return ok && slices.Contains(scopes, of+".manage")
}
