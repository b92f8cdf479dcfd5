package oauth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

// registryAge is after how long clients are read again: by then one that is new
// or switched off is so on every node (SEC S-104).
const registryAge = time.Second

// A registry keeps all clients in memory: each request needs one, few ever change.
type registry struct {
	load func(context.Context) ([]Client, error)
	now  func() time.Time

	turn    *turn // to load
	current atomic.Pointer[clientSet]
}

type clientSet struct {
	at      time.Time
	byID    map[string]*Client
	origins map[string]bool
}

func (s *clientSet) fresh(now time.Time) bool {
	if s == nil {
		return false
	}
	d := now.Sub(s.at)
	return 0 <= d && d < registryAge
}

// get returns an enabled client, else errClientID. It must not be changed.
func (r *registry) get(ctx context.Context, id string) (*Client, error) {
	set, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	c := set.byID[id]
	if c == nil || c.Disabled {
		return nil, errClientID
	}
	return c, nil
}

// trusts reports whether an origin belongs to any client. Where the store does
// not answer, what was known last still counts.
func (r *registry) trusts(ctx context.Context, origin string) bool {
	set, err := r.read(ctx)
	if err != nil {
		set = r.current.Load()
	}
	return set != nil && set.origins[origin]
}

// forget makes the next use read again. A load under way ends first, since it may
// have missed what has just been written.
func (r *registry) forget() {
	r.turn.alone(func() { r.current.Store(nil) })
}

func (r *registry) read(ctx context.Context) (*clientSet, error) {
	set := r.current.Load()
	if set.fresh(r.now()) {
		return set, nil
	}
	err := r.turn.take(ctx, func() bool {
		set = r.current.Load()
		return set.fresh(r.now())
	}, func(ctx context.Context) (err error) {
		set, err = r.reload(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

func (r *registry) reload(ctx context.Context) (*clientSet, error) {
	set := &clientSet{at: r.now(), byID: map[string]*Client{}, origins: map[string]bool{}}
	all, err := r.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("oauth: load clients: %w", err)
	}
	for _, c := range all {
		set.byID[c.ID] = &c
		if c.Disabled {
			continue
		}
		for _, uri := range c.RedirectURIs {
			if o := edge.OriginOf(uri); o != "" {
				set.origins[o] = true
			}
		}
		for _, o := range c.TrustedOrigins {
			set.origins[o] = true
		}
	}
	r.current.Store(set)
	return set, nil
}
