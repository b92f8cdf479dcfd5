package oauth

import (
	"errors"
	"fmt"
	"net/http"
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
		edge.WriteJSON(c.w, http.StatusUnauthorized, errorBody{codeInvalidToken, "An access token is required."})
		return nil
	}
	claims, user, err := c.access(ctx, c.issuer, token, scopeOpenID)
	if claims != nil {
		c.userID = claims.UserID
	}
	if p := (*problem.Error)(nil); errors.As(err, &p) {
		switch p.Code {
		case codeInvalidToken:
			return c.challenge(http.StatusUnauthorized, p)
		case codeInsufficientScope:
			return c.challenge(http.StatusForbidden, p)
		}
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
func (c *call) challenge(status int, p *problem.Error) error {
	c.w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q", p.Code, p.Detail))
	edge.WriteJSON(c.w, status, errorBody{p.Code, p.Detail})
	return nil
}
