package oauth

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

const (
	registryAge  = time.Second // after which clients are read again: one that is switched off is so everywhere (SEC S-104)
	registryMiss = time.Second // at most once in which a miss reads them again
)

// A registry keeps all clients in memory: each request needs one, few ever change.
type registry struct {
	load func(context.Context) ([]Client, error)
	now  func() time.Time

	mu      sync.Mutex // held while loading
	current atomic.Pointer[clientSet]
}

type clientSet struct {
	at      time.Time
	byID    map[string]*Client
	origins map[string]bool
}

func (s *clientSet) within(age time.Duration, now time.Time) bool {
	if s == nil {
		return false
	}
	d := now.Sub(s.at)
	return 0 <= d && d < age
}

// get returns an enabled client, else errClientID. It must not be changed.
func (r *registry) get(ctx context.Context, id string) (*Client, error) {
	set, err := r.fresh(ctx, registryAge)
	if err == nil && set.byID[id] == nil {
		set, err = r.fresh(ctx, registryMiss)
	}
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
	set, err := r.fresh(ctx, registryAge)
	if err != nil {
		set = r.current.Load()
	}
	if set != nil && !set.origins[origin] {
		if again, err := r.fresh(ctx, registryMiss); err == nil {
			set = again
		}
	}
	return set != nil && set.origins[origin]
}

// forget makes the next use read again. A load under way ends first, since it may
// have missed what has just been written.
func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.Store(nil)
}

func (r *registry) fresh(ctx context.Context, age time.Duration) (*clientSet, error) {
	if set := r.current.Load(); set.within(age, r.now()) {
		return set, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if set := r.current.Load(); set.within(age, r.now()) {
		return set, nil
	}
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
