package signin

import (
	"time"

	"github.com/stile-id/stile/idx"
)

// An offer is what the engine lets people do at the start.
type offer struct {
	signUp   bool
	recover  bool             // a forgotten password can be replaced
	unlock   bool             // a paused password can be unlocked
	password bool             // sign-in asks for it beside the address
	keep     bool             // sign-in takes whether the person wants to stay signed in
	passkey  bool             // whoever is there may sign in with a passkey that says who they are
	profile  []idx.InputField // what sign-up asks for
}

type probed struct {
	offer *offer
	err   error
}

// offerLife is how long an offer holds before the engine is asked again. Asking
// begins a transaction that nobody goes on with, so not every page does it.
const offerLife = time.Minute

// offered gives the current offer; where the engine does not answer, the last one known.
func (p *Pages) offered(v *visit) (*offer, error) {
	got := p.probes.do("", func() (probed, time.Duration) {
		o, err := p.probe(v)
		if err != nil {
			return probed{err: err}, 0
		}
		p.offer.Store(o)
		return probed{offer: o}, offerLife
	})
	if last := p.offer.Load(); got.offer == nil && last != nil {
		return last, nil
	}
	return got.offer, got.err
}

func (p *Pages) probe(v *visit) (*offer, error) {
	tx, err := p.client.Start(v.ctx, idx.StartOptions{})
	if err != nil {
		return nil, err
	}
	o := &offer{
		signUp: tx.HasFeature(idx.FeatureRegistration), recover: tx.HasFeature(idx.FeaturePasswordRecover),
		unlock: tx.HasFeature(idx.FeatureAccountUnlock),
	}
	o.passkey = tx.Step(discoverStep) != nil
	if step := tx.Step("identify"); step != nil {
		o.password, o.keep = asksFor(step, "password"), asksFor(step, "rememberMe")
	}
	if !o.signUp {
		return o, nil
	}
	tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Profile: &idx.Profile{}})
	if err != nil {
		return nil, err
	}
	if step := tx.Step("enroll-profile"); step != nil {
		o.profile = step.Inputs
	}
	return o, nil
}
