package oauth

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// A guarded store turns every fault of a Store into a refusal of kind
// problem.Unavailable, so that it is answered with 503 and never taken for "no
// such token" (SEC S-89, REL R-12).
type guarded struct{ Store }

// unavailable returns err as it is if it is a refusal already.
func unavailable(err error) error {
	if err == nil || problem.KindOf(err) != problem.Internal {
		return err
	}
	return &problem.Error{Kind: problem.Unavailable, Cause: err}
}

func (g guarded) Clients(ctx context.Context) ([]Client, error) {
	v, err := g.Store.Clients(ctx)
	return v, unavailable(err)
}

func (g guarded) Keys(ctx context.Context) ([]Key, error) {
	v, err := g.Store.Keys(ctx)
	return v, unavailable(err)
}

func (g guarded) RefreshFamily(ctx context.Context, id string) (RefreshFamily, error) {
	v, err := g.Store.RefreshFamily(ctx, id)
	return v, unavailable(err)
}

func (g guarded) RefreshFamilies(ctx context.Context, userID string) ([]RefreshFamily, error) {
	v, err := g.Store.RefreshFamilies(ctx, userID)
	return v, unavailable(err)
}

func (g guarded) Session(ctx context.Context, id string) (session.Session, error) {
	v, err := g.Store.Session(ctx, id)
	return v, unavailable(err)
}

func (g guarded) RevocationsSince(ctx context.Context, t time.Time) ([]Revocation, error) {
	v, err := g.Store.RevocationsSince(ctx, t)
	return v, unavailable(err)
}

func (g guarded) Account(ctx context.Context, id string) (directory.Account, error) {
	v, err := g.Store.Account(ctx, id)
	return v, unavailable(err)
}
