package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
)

// sprayKey is the counter of the wrong answers of the installation (SEC S-06).
const sprayKey = "spray"

// wrongGuess counts what was committed as a wrong answer where no account is asked for it.
func (t *Turn) wrongGuess() {
	if t.network != "" {
		t.e.local.Spend(t.network, t.e.limits.Rules.NetworkWrong, t.now)
	}
	if !t.e.limits.Rules.Spray.Off() {
		t.e.wrong.Add(1)
	}
}

// AddUpEvery is how often a node adds its wrong answers to those of the others.
// Were each answer written, all nodes would wait for one row.
const AddUpEvery = time.Second

// Run adds up what this node counts of the installation, until ctx is done, each time
// through run.
func (e *Engine) Run(ctx context.Context, run func(work func() error) error) {
	tick := time.NewTicker(AddUpEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := run(func() error { return e.addUp(ctx) }); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "wrong answers are not added up", "err", err)
		}
	}
}

// addUp adds this node's wrong answers to those of the installation. When there
// are suddenly very many, over however many accounts and sources, both logs say
// so, once: somebody may be trying one guess at everybody (SEC S-06).
func (e *Engine) addUp(ctx context.Context) error {
	n := e.wrong.Swap(0)
	if n == 0 {
		return nil
	}
	now, tripped := e.now(), false
	err := e.store.InTx(ctx, false, func(tx Tx) error {
		c, err := tx.Counter(sprayKey)
		if err != nil {
			return err
		}
		var next limit.Counter
		if next, tripped = e.limits.Rules.Spray.Wrong(c, now, int(n)); !tripped {
			return tx.PutCounter(next)
		}
		if err := tx.PutCounter(next); err != nil {
			return err
		}
		return tx.Append(audit.Row{ID: directory.NewIDAt("ae", now), At: now, Events: []audit.Event{{
			At: now, Type: "security.attack.start", Outcome: audit.Failure, Actor: audit.System, Reason: "SPRAY",
		}}})
	})
	if err != nil {
		e.wrong.Add(n) // for the next time
		return fmt.Errorf("flow: spray guard: %w", err)
	}
	if tripped {
		e.log.ErrorContext(ctx, "wrong answers at an unusual rate: accounts may be under attack")
	}
	return nil
}
