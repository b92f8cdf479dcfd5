package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// redeemRefreshToken exchanges a refresh token for new tokens and its successor
// (RFC 6749 §6, SEC S-81 … S-83).
//
// A family is a chain: its token of generation n is made from the family's id
// and n, so requests that use one token at the same time all get the same
// successor, and one whose answer was lost can be repeated for the grace time.
func (s *Server) redeemRefreshToken(c *call, p params) (*issue, error) {
	ctx := c.r.Context()
	token, err := p.need("refresh_token")
	if err != nil {
		return nil, err
	}
	id, generation, ok := s.parseRefreshToken(token)
	if !ok {
		return nil, errRefreshToken
	}
	for range 3 {
		f, err := s.store.RefreshFamily(ctx, id)
		if problem.KindOf(err) == problem.NotFound {
			return nil, errRefreshToken
		}
		if err != nil {
			return nil, err
		}
		now := s.now()
		if f.ClientID != c.client.ID {
			return nil, errRefreshToken
		}
		if f.Server != c.issuer.ID {
			return nil, errRefreshToken
		}
		if f.endedWith(c.client) {
			return nil, errRefreshToken
		}
		state := c.issuer.stateOf(&f, generation, now)
		if state == refreshReused {
			if err := c.revokeReused(f.Grant, f.UserID, f.ID); err != nil {
				return nil, err
			}
			return nil, errRefreshToken
		}
		if state == refreshEnded {
			return nil, errRefreshToken
		}
		user, err := s.holder(ctx, &f)
		if problem.KindOf(err) == problem.Forbidden {
			return nil, errRefreshToken
		}
		if err != nil {
			return nil, err
		}
		i := &issue{
			user: user, client: c.client, grant: f.Grant, authTime: f.AuthTime, amr: f.AMR, at: now,
			scopes: c.issuer.allowedScopes(c.client, f.Scopes),
		}
		if i.scopes, err = narrow(i.scopes, p["scope"]); err != nil {
			return nil, err
		}
		if state == refreshRepeated {
			i.refresh = s.refreshToken(f.ID, f.Generation)
			return i, nil
		}
		f.Generation++
		f.RotatedAt = now
		f.IdleUntil = earlier(now.Add(c.issuer.RefreshIdle), f.ExpiresAt)
		row := s.auditRow(ctx, c.granted(i, "")...)
		err = s.inTx(ctx, func(tx Tx) error {
			if err := tx.RotateRefreshFamily(f); err != nil {
				return err
			}
			return tx.Append(row)
		})
		if problem.KindOf(err) == problem.Stale {
			continue // somebody else was first: their successor is ours
		}
		if err != nil {
			return nil, err
		}
		i.refresh = s.refreshToken(f.ID, f.Generation)
		return i, nil
	}
	return nil, errors.New("oauth: a refresh family keeps changing")
}

// narrow returns the scopes to issue: those asked for, which must be among the
// granted, or all of them (RFC 6749 §6).
func narrow(granted []string, asked string) ([]string, error) {
	if len(granted) == 0 {
		return nil, errScope
	}
	if asked == "" {
		return granted, nil
	}
	out, err := parseScopes(asked)
	if err != nil {
		return nil, err
	}
	for _, scope := range out {
		if !slices.Contains(granted, scope) {
			return nil, errScope
		}
	}
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// holder returns the user of a family, if they may go on using it: who is active,
// and has not been signed out everywhere since it began (SEC S-83, S-104).
func (s *Server) holder(ctx context.Context, f *RefreshFamily) (*directory.User, error) {
	user, err := s.activeUser(ctx, f.UserID)
	if err != nil {
		return nil, err
	}
	if out := user.SignedOutAt; !out.IsZero() && !f.CreatedAt.After(lastOf(out)) && !user.Keeps(f.Grant, f.Session) {
		return nil, errNotActive
	}
	return user, nil
}

func (c *call) newFamily(i *issue) *RefreshFamily {
	now := i.began(time.Microsecond) // as exact as databases keep times
	f := &RefreshFamily{
		ID: directory.NewIDAt(familyPrefix, now), Grant: i.grant, ClientID: c.client.ID, UserID: i.user.ID, Server: c.issuer.ID,
		Scopes: i.scopes, AMR: i.amr, AuthTime: i.authTime, Generation: 1, RotatedAt: now, CreatedAt: now,
		ExpiresAt: now.Add(c.issuer.RefreshLife),
	}
	f.IdleUntil = earlier(now.Add(c.issuer.RefreshIdle), f.ExpiresAt)
	return f
}

// revokeReused ends everything of a grant because a secret of it that was spent
// came back: whoever has it may have stolen it (RFC 9700 §4.14.2). It does
// nothing if the grant's tokens are void already.
func (c *call) revokeReused(grant, userID, transaction string) error {
	ctx := c.r.Context()
	if void, err := c.revocations.has(ctx, grant); void || err != nil {
		return err
	}
	event := c.event("app.oauth2.token.detect_reuse", userID, grant, transaction)
	event.Outcome = audit.Failure
	event.Reason = "reuse"
	return c.revokeGrant(ctx, grant, c.auditRow(ctx, event))
}

func parseScopes(s string) ([]string, error) {
	var out []string
	for scope := range strings.SplitSeq(s, " ") {
		switch {
		case scope == "" || slices.Contains(out, scope):
		case len(out) == 50:
			return nil, errScope
		default:
			out = append(out, scope)
		}
	}
	return out, nil
}
