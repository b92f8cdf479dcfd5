package oauth

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
)

const (
	// revocationsAge is how old the set may be when a token is checked; Run renews
	// it every second (decision D36).
	revocationsAge = 1500 * time.Millisecond
	// revocationsOverlap is read again each time: a row's time is taken before its
	// transaction commits, on a clock that may differ a little.
	revocationsOverlap = 30 * time.Second
	// revocationsWhole is how often all are read, whatever times they have.
	revocationsWhole = time.Minute
	// clockSkew is how far the clocks of two nodes may be apart.
	clockSkew = time.Minute
	// apart is how much later than another node's clock the clock of one may be that issues
	// a token: each is wrong by half of what the database's answer may take (decision D31).
	apart = 200 * time.Millisecond
	// clockStep is how far the only clock may be set while a revocation is kept: else one
	// that was set ahead and back would have forgotten what is void (REL R-15).
	clockStep = time.Hour
)

// revocations is the set of what is void, kept in memory so that a check of a
// token costs no query (decision D36). A set that has grown stale is read again
// by whoever needs it; if that fails so does the check (SEC S-89).
type revocations struct {
	load      func(context.Context, time.Time) ([]Revocation, error)
	now       func() time.Time
	tokenLife time.Duration // of the longest-lived token

	turn  *turn // to load
	mu    sync.RWMutex
	void  map[string]Revocation
	at    time.Time // of the last read
	whole time.Time // of the last one of all rows
}

// has reports whether any of ids is void: grants, tokens, sessions.
func (r *revocations) has(ctx context.Context, ids ...string) (bool, error) {
	return r.voids(ctx, "", 0, ids...)
}

// voids reports whether a token is void: because it was issued until its user
// was signed out everywhere, or as one of ids is.
func (r *revocations) voids(ctx context.Context, user string, issuedAt int64, ids ...string) (bool, error) {
	if err := r.renew(ctx); err != nil {
		return false, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if v, ok := r.void[user]; ok && user != "" && voidSince(lastOf(v.RevokedAt), issuedAt) && !directory.Kept(v.Kept, ids...) {
		return true, nil
	}
	for _, id := range ids {
		if _, ok := r.void[id]; ok && id != "" {
			return true, nil
		}
	}
	return false, nil
}

// voidSince reports whether a token was issued until what its user or its client
// had ended. An iat has no part of a second: what may have been
// issued before is void (SEC S-104).
func voidSince(ended time.Time, issuedAt int64) bool {
	return !ended.IsZero() && issuedAt <= ended.Unix()
}

// lastOf is the latest time that something may have which was issued before a sign-out
// everywhere, at whichever node.
func lastOf(signedOut time.Time) time.Time {
	if signedOut.IsZero() {
		return signedOut
	}
	return signedOut.Add(apart)
}

// began is the time from which something is in force that begins at t: later than
// when all of its user or client last ended, by the least that its own time can
// tell. Else what follows a sign-out at once, as the sign-in
// after a new password does, would be void with what was before.
func began(t, ended time.Time, unit time.Duration) time.Time {
	if next := ended.Truncate(unit).Add(unit); !ended.IsZero() && t.Before(next) {
		return next
	}
	return t
}

// renew reads the set again if it is stale.
func (r *revocations) renew(ctx context.Context) error {
	if r.young() {
		return nil
	}
	return r.turn.take(ctx, r.young, r.read)
}

func (r *revocations) young() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d := r.now().Sub(r.at)
	return !r.at.IsZero() && 0 <= d && d < revocationsAge
}

func (r *revocations) refresh(ctx context.Context) error {
	return r.turn.take(ctx, func() bool { return false }, r.read)
}

func (r *revocations) read(ctx context.Context) error {
	now := r.now()
	r.mu.RLock()
	since := r.at.Add(-revocationsOverlap)
	all := r.at.IsZero() || r.at.After(now) || now.Sub(r.whole) >= revocationsWhole
	if all {
		since = now.Add(-r.tokenLife - clockSkew)
	}
	r.mu.RUnlock()
	rows, err := r.load(ctx, since)
	if err != nil {
		return fmt.Errorf("oauth: load revocations: %w", err)
	}
	r.add(rows...)
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.void, func(_ string, row Revocation) bool { return now.After(row.ExpiresAt) })
	r.at = now
	if all {
		r.whole = now
	}
	return nil
}

// ForgetRevocations has all of them read again: after a clock was set, rows may be
// there with times that no later read looks for.
func (s *Server) ForgetRevocations() {
	s.revocations.mu.Lock()
	defer s.revocations.mu.Unlock()
	s.revocations.at = time.Time{}
}

// add keeps the latest of an id's revocations: a read may have begun before the
// newer one was written.
func (r *revocations) add(rows ...Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.void == nil {
		r.void = map[string]Revocation{}
	}
	for _, row := range rows {
		if old, ok := r.void[row.ID]; !ok || old.RevokedAt.Before(row.RevokedAt) {
			r.void[row.ID] = row
		}
	}
}

// Revoked takes what this node has just written into the set: here it is void at
// once, on other nodes as soon as they read it.
func (s *Server) Revoked(rows ...Revocation) { s.revocations.add(rows...) }

// Revocation voids what was issued until at under an id: a grant, a token, a
// session, or a user, but for what has one of the ids kept.
func (s *Server) Revocation(id string, at time.Time, kept ...string) Revocation {
	return Revocation{ID: id, Kept: kept, RevokedAt: at, ExpiresAt: at.Add(s.revocations.tokenLife + clockSkew + clockStep)}
}

// revocation voids a grant or a jti for as long as a token of it may live.
func (s *Server) revocation(id string) Revocation {
	return s.Revocation(id, s.now())
}

// revokeGrant ends all tokens of a grant, and says so in an audit row.
func (s *Server) revokeGrant(ctx context.Context, grant string, row audit.Row) error {
	r := s.revocation(grant)
	err := s.inTx(ctx, func(tx Tx) error {
		if err := tx.RevokeGrant(grant, r.RevokedAt); err != nil {
			return err
		}
		if err := tx.Revoke(r); err != nil {
			return err
		}
		return tx.Append(row)
	})
	if err != nil {
		return fmt.Errorf("oauth: revoke grant: %w", err)
	}
	s.revocations.add(r)
	return nil
}
