package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// userinfo tells who the bearer of an access token is, as far as its scopes go
// (OIDC Core §5.3, SEC S-90).
func (c *call) userinfo() error {
	ctx := c.r.Context()
	token, err := c.bearer()
	if err != nil {
		return err
	}
	if token == "" {
		c.w.Header().Set("WWW-Authenticate", "Bearer") // without a token there is no error to name (RFC 6750 §3.1)
		edge.WriteJSON(c.w, http.StatusUnauthorized, errorBody{"invalid_token", "An access token is required."})
		return nil
	}
	claims, err := c.verifyAccess(ctx, c.issuer, token)
	if errors.Is(err, errToken) {
		return c.challenge(http.StatusUnauthorized, "invalid_token", "The access token is invalid, expired or revoked.")
	}
	if err != nil {
		return err
	}
	c.userID = claims.UserID
	if _, err := c.clients.get(ctx, claims.ClientID); problem.KindOf(err) == problem.Unauthenticated {
		return c.challenge(http.StatusUnauthorized, "invalid_token", "The client of the access token is not active.")
	} else if err != nil {
		return err
	}
	if !slices.Contains(claims.Scopes, scopeOpenID) {
		return c.challenge(http.StatusForbidden, "insufficient_scope", "The access token must provide access to the scope 'openid'.")
	}
	user, err := c.activeUser(ctx, claims.UserID)
	if problem.KindOf(err) == problem.Forbidden {
		return c.challenge(http.StatusUnauthorized, "invalid_token", "The user of the access token is not active.")
	}
	if err != nil {
		return err
	}
	edge.WriteJSON(c.w, http.StatusOK, userInfoClaims{Subject: user.ID, personClaims: personOf(user, claims.Scopes)})
	return nil
}

// bearer returns the access token of a request: in the Authorization header or,
// with POST, in the form (RFC 6750 §2), never in both.
func (c *call) bearer() (string, error) {
	var token string
	if c.r.Method == http.MethodPost {
		p, err := c.form(false)
		if err != nil {
			return "", err
		}
		token = p["access_token"]
	}
	headers := c.r.Header.Values("Authorization")
	if len(headers) == 0 {
		return token, nil
	}
	scheme, value, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || token != "" {
		return "", invalidRequest("Only one access token may be sent.")
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.TrimSpace(value), nil
}

// challenge answers as a protected resource does; okta-auth-js reads the header
// (IDX §1.3).
func (c *call) challenge(status int, code, description string) error {
	c.w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q", code, description))
	edge.WriteJSON(c.w, status, errorBody{code, description})
	return nil
}
