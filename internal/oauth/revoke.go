package oauth

import (
	"errors"
	"net/http"
	"strings"
)

// revoke ends a token (RFC 7009): an access token alone, a refresh token with
// its family and their access tokens. Tokens that are unknown or belong to
// another client are answered with 200 too (SEC S-89).
//
// okta-idx-golang authenticates no client at all, so having an access token is
// proof enough to end it (IDX §1.9, C-78). A refresh token needs its client.
func (c *call) revoke() error {
	p, err := c.form(false)
	if err != nil {
		return err
	}
	if err := c.identify(p); err != nil {
		return err
	}
	token, err := p.need("token")
	if err != nil {
		return err
	}
	if strings.HasPrefix(token, refreshPrefix) {
		err = c.revokeRefresh(token)
	} else {
		err = c.revokeAccess(token)
	}
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) revokeAccess(token string) error {
	ctx := c.r.Context()
	claims, err := c.verifyAccess(ctx, c.issuer, token)
	if errors.Is(err, errToken) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.client != nil && c.client.ID != claims.ClientID {
		return nil
	}
	r := c.revocation(claims.ID)
	event := c.event("app.oauth2.token.revoke", claims.UserID, claims.ID, "")
	event.Client = claims.ClientID
	row := c.auditRow(ctx, event)
	err = c.inTx(ctx, func(tx Tx) error {
		if err := tx.Revoke(r); err != nil {
			return err
		}
		return tx.Append(row)
	})
	if err != nil {
		return err
	}
	c.revocations.add(r)
	return nil
}

func (c *call) revokeRefresh(token string) error {
	if _, _, ok := c.parseRefreshToken(token); !ok {
		return nil
	}
	if err := c.needClient(); err != nil {
		return err
	}
	f, _, err := c.familyOf(token)
	if err != nil || f == nil {
		return err
	}
	ctx := c.r.Context()
	return c.revokeGrant(ctx, f.Grant, c.auditRow(ctx, c.event("app.oauth2.token.revoke", f.UserID, f.Grant, "")))
}
