package app

import (
	"net/netip"
	"time"

	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/pool"
)

// bounds are what keeps a flood of one thing from everything else (REL ).
type bounds struct {
	hashing, signing *pool.Pool
	admission        *edge.Admission // nil: lets everything in
}

func (a *App) newBounds(bounded bool, trusted []netip.Prefix) bounds {
	b := bounds{hashing: password.NewPool(), signing: oauth.NewSigningPool()}
	for name, p := range map[string]*pool.Pool{"hash": b.hashing, "sign": b.signing} {
		a.metrics.Pool(name, p.Busy, p.Places(), p.Refused)
	}
	if !bounded {
		return b
	}
	var observe [len(edge.Classes)]func(time.Duration, bool)
	b.admission = edge.NewAdmission(trusted, func(c edge.Class, waited time.Duration, admitted bool) { observe[c](waited, admitted) })
	for c, name := range edge.Classes {
		observe[c] = a.metrics.Class(name, func() (limit, inside int) { return b.admission.Limits(edge.Class(c)) })
	}
	return b
}
