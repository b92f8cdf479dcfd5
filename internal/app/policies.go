package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
)

// policies holds those in force. Every node reads the document again each
// second, so that a change reaches all of them without a signal.
type policies struct {
	store   store.Store
	initial policy.Org        // until a document is stored
	overlay func(*policy.Org) // what this process changes of either; nil: nothing
	check   func(*policy.Org) error
	log     *slog.Logger

	current atomic.Pointer[policy.Org]
	mu      sync.Mutex
	read    []byte // the document that current came from
}

// Current returns the policies in force; nobody changes what it points to.
func (p *policies) Current() *policy.Org { return p.current.Load() }

// load reads the document. One that cannot be in force here leaves the old one.
func (p *policies) load(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, err := p.store.Setting(ctx, admin.OrgSetting)
	if problem.KindOf(err) == problem.NotFound {
		data, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	if p.current.Load() != nil && bytes.Equal(data, p.read) {
		return nil
	}
	org := p.initial
	if data != nil {
		org = policy.Org{}
		if err := json.Unmarshal(data, &org); err != nil {
			return fmt.Errorf("read policies: %w", err)
		}
	}
	if p.overlay != nil {
		p.overlay(&org)
	}
	if p.check != nil {
		if err := p.check(&org); err != nil {
			return fmt.Errorf("the stored policies: %w", err)
		}
	}
	p.read = data
	p.current.Store(&org)
	return nil
}

// policiesEvery is how often the document is read again.
const policiesEvery = time.Second

// run reads the document again each second until ctx ends, each time through run.
func (p *policies) run(ctx context.Context, run watched) {
	tick := time.NewTicker(policiesEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := run(func() error { return p.load(ctx) })
		if err != nil && ctx.Err() == nil && !failing {
			p.log.Error("policies", "err", err)
		}
		failing = err != nil
	}
}
