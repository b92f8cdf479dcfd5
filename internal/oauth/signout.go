package oauth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/problem"
)

// What ends when somebody signs out (SEC S-104). Of this browser: its session,
// the access tokens that were issued in it, and refresh families too unless they
// are for offline_access, which is for when the person is away (OIDC Back-Channel
// Logout §2.7). Of one device: its refresh family and grant. Of all: a revocation
// under the user's id, User.SignedOutAt, and the verbs of the store that end a
// user's sessions and families.

const sessionEnded = "user.session.end"

var errNotTheirs = problem.New(problem.NotFound, "", "there is nothing of that id which belongs to the user")

// EndSession signs a user out of one browser, and of what was issued in it. A
// session that is unknown or somebody else's is an error of kind problem.NotFound.
func (s *Server) EndSession(ctx context.Context, userID, sessionID string) error {
	row, err := s.store.Session(ctx, sessionID)
	if err != nil {
		return fmt.Errorf("oauth: end session: %w", err)
	}
	if row.UserID != userID {
		return errNotTheirs
	}
	return s.end(ctx, userID, sessionID, "", audit.Event{Type: sessionEnded, Actor: userID, Target: sessionID})
}

// RevokeFamily signs a user out of one device: what a refresh family of theirs
// has given and may give. One that is unknown or somebody else's is an error of
// kind problem.NotFound; revoking it again changes nothing.
func (s *Server) RevokeFamily(ctx context.Context, userID, familyID string) error {
	f, err := s.store.RefreshFamily(ctx, familyID)
	if err != nil {
		return fmt.Errorf("oauth: revoke family: %w", err)
	}
	if f.UserID != userID {
		return errNotTheirs
	}
	if !f.RevokedAt.IsZero() {
		return nil
	}
	event := audit.Event{Type: "app.oauth2.token.revoke", Actor: userID, Target: f.Grant, Client: f.ClientID}
	return s.revokeGrant(ctx, f.Grant, s.auditRow(ctx, event))
}

// end ends a user's session, the grant of an ID token that was shown for it, or
// both, each if it is named, with what belongs to them.
func (s *Server) end(ctx context.Context, userID, sessionID, grant string, event audit.Event) error {
	families, err := s.store.RefreshFamilies(ctx, userID)
	if err != nil {
		return fmt.Errorf("oauth: sign out: %w", err)
	}
	at := s.now()
	var grants []string
	if grant != "" {
		grants = append(grants, grant)
	}
	for _, f := range families {
		switch {
		case outlivesSession(&f):
			grants = slices.DeleteFunc(grants, func(g string) bool { return g == f.Grant })
		case sessionID != "" && f.Session == sessionID && !slices.Contains(grants, f.Grant):
			grants = append(grants, f.Grant)
		}
	}
	if sessionID == "" && len(grants) == 0 {
		return nil
	}
	voided := s.voided(at, grants, sessionID)
	row := s.auditRow(ctx, event)
	err = s.inTx(ctx, func(tx Tx) error {
		if sessionID != "" {
			if err := tx.EndSession(sessionID, at); err != nil {
				return err
			}
		}
		for _, g := range grants {
			if err := tx.RevokeGrant(g, at); err != nil {
				return err
			}
		}
		for _, r := range voided {
			if err := tx.Revoke(r); err != nil {
				return err
			}
		}
		return tx.Append(row)
	})
	if err != nil {
		return fmt.Errorf("oauth: sign out: %w", err)
	}
	s.revocations.add(voided...)
	return nil
}

// outlivesSession reports whether a family goes on when the session ends that it
// began in.
func outlivesSession(f *RefreshFamily) bool { return slices.Contains(f.Scopes, scopeOffline) }

// voided are the revocations of grants and of a session, if there is one.
func (s *Server) voided(at time.Time, grants []string, sessionID string) []Revocation {
	var out []Revocation
	for _, g := range grants {
		out = append(out, s.Revocation(g, at))
	}
	if sessionID != "" {
		out = append(out, s.Revocation(sessionID, at))
	}
	return out
}
