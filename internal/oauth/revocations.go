package oauth

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/audit"
)

const (
	// revocationsAge is how old the set may be when a token is checked; Run renews
	// it every second (decision D36).
	revocationsAge = 1500 * time.Millisecond
	// revocationsOverlap is read again each time: a row's time is taken before its
	// transaction commits, on a clock that may differ a little.
	revocationsOverlap = 30 * time.Second
	// clockSkew is how far the clocks of two nodes may be apart.
	clockSkew = time.Minute
)

// revocations is the set of void grants and tokens, kept in memory so that a
// check of a token costs no query (decision D36). A set that has grown stale is
// read again by whoever needs it; if that fails so does the check (SEC S-89).
type revocations struct {
	load      func(context.Context, time.Time) ([]Revocation, error)
	now       func() time.Time
	tokenLife time.Duration // of the longest-lived token

	reading sync.Mutex // held while loading
	mu      sync.RWMutex
	void    map[string]time.Time // until when it matters
	at      time.Time            // of the last read
}

// has reports whether any of ids is void.
func (r *revocations) has(ctx context.Context, ids ...string) (bool, error) {
	if !r.young() {
		r.reading.Lock()
		var err error
		if !r.young() {
			err = r.read(ctx)
		}
		r.reading.Unlock()
		if err != nil {
			return false, err
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, id := range ids {
		if _, ok := r.void[id]; ok {
			return true, nil
		}
	}
	return false, nil
}

func (r *revocations) young() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d := r.now().Sub(r.at)
	return !r.at.IsZero() && 0 <= d && d < revocationsAge
}

func (r *revocations) refresh(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.read(ctx)
}

func (r *revocations) read(ctx context.Context) error {
	now := r.now()
	r.mu.RLock()
	since := r.at.Add(-revocationsOverlap)
	if r.at.IsZero() || r.at.After(now) {
		since = now.Add(-r.tokenLife - clockSkew)
	}
	r.mu.RUnlock()
	rows, err := r.load(ctx, since)
	if err != nil {
		return fmt.Errorf("oauth: load revocations: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.void == nil {
		r.void = map[string]time.Time{}
	}
	for _, row := range rows {
		r.void[row.ID] = row.ExpiresAt
	}
	maps.DeleteFunc(r.void, func(_ string, until time.Time) bool { return now.After(until) })
	r.at = now
	return nil
}

func (r *revocations) add(row Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.void == nil {
		r.void = map[string]time.Time{}
	}
	r.void[row.ID] = row.ExpiresAt
}

// Revocation voids what was issued until at under an id: a grant, a token, or a user.
func (s *Server) Revocation(id string, at time.Time) Revocation {
	return Revocation{ID: id, RevokedAt: at, ExpiresAt: at.Add(s.revocations.tokenLife + clockSkew)}
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
