package oauth

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/stile-id/stile/internal/problem"
)

// redeemInteractionCode exchanges the code of a finished interaction (IDX §1.8).
// Each binding is checked by itself (SEC S-79). Exactly one of several requests
// with a code succeeds; any other, later or at the same time, revokes what the
// first was given (SEC S-27, decision D30).
func (s *Server) redeemInteractionCode(c *call, p params) (*issue, error) {
	ctx := c.r.Context()
	code, err := p.need("interaction_code")
	if err != nil {
		return nil, err
	}
	verifier, err := p.need("code_verifier")
	if err != nil {
		return nil, err
	}
	for range 3 {
		now := s.now()
		found, err := s.interactions.Finished(ctx, code)
		if err != nil {
			return nil, err
		}
		grant := s.grantOf(found.ID)
		if found.ClientID != c.client.ID {
			return nil, errCode
		}
		if found.Server != c.issuer.ID {
			return nil, errCode
		}
		if ended := c.client.EndedAt; !ended.IsZero() && !found.BegunAt.After(ended) {
			return nil, errCode
		}
		if found.Redeemed {
			if err := c.revokeReused(grant, found.UserID, found.ID); err != nil {
				return nil, err
			}
			return nil, errCode
		}
		if !verifies(verifier, found.CodeChallenge) {
			return nil, errVerifier
		}
		if uri := p["redirect_uri"]; uri != "" && uri != found.RedirectURI {
			return nil, errRedirect
		}
		user, err := s.activeUser(ctx, found.UserID)
		if err != nil {
			return nil, err
		}
		if !found.Since.IsZero() && user.SignedOutAt.After(found.Since) && !user.Keeps(found.Session) {
			return nil, errCode
		}
		if ended, err := s.revocations.has(ctx, found.Session); ended || err != nil { // the device was signed out
			return nil, cmp.Or(err, error(errCode))
		}
		i := &issue{
			user: user, client: c.client, scopes: c.issuer.allowedScopes(c.client, found.Scopes), grant: grant,
			authTime: found.AuthTime, amr: found.AMR, nonce: found.Nonce, acr: found.ACR,
			session: found.Session, at: now,
		}
		if len(i.scopes) == 0 {
			return nil, errScope
		}
		var family *RefreshFamily
		if slices.Contains(i.scopes, scopeOffline) {
			family = c.newFamily(i)
			family.IP, family.UserAgent, family.Session = found.IP, found.UserAgent, found.Session
			i.refresh = s.refreshToken(family.ID, family.Generation)
		}
		row := s.auditRow(ctx, c.granted(i, found.ID)...)
		err = s.inTx(ctx, func(tx Tx) error {
			if err := s.interactions.Spend(tx, found, grant); err != nil {
				return err
			}
			if family != nil {
				if err := tx.InsertRefreshFamily(*family); err != nil {
					return err
				}
			}
			return tx.Append(row)
		})
		if problem.KindOf(err) == problem.Stale {
			continue // the interaction moved: most likely it was redeemed
		}
		if err != nil {
			return nil, err
		}
		return i, nil
	}
	return nil, errors.New("oauth: the interaction of a code keeps changing")
}

// grantOf names the grant of an interaction. It can be made again when a code
// comes a second time, and does not tell the transaction's id to those who see tokens.
func (s *Server) grantOf(interaction string) string {
	mac := s.keyring.MAC("oauth/grant", interaction)
	return "gr" + base64.RawURLEncoding.EncodeToString(mac[:18])
}

// verifies reports whether the verifier is the one behind an S256 challenge
// (RFC 7636 §4.6).
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	h := sha256.Sum256([]byte(verifier))
	got := base64.RawURLEncoding.EncodeToString(h[:])
	return subtle.ConstantTimeCompare([]byte(got), []byte(challenge)) == 1
}
