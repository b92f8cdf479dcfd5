package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
)

// Start runs the background workers until Close.
func (a *App) Start() {
	var ctx context.Context
	ctx, a.stop = context.WithCancel(context.Background())
	worker := func(name string, every time.Duration, run func(watched)) {
		w := a.watch.worker(name, every, stuckAfter)
		a.workers.Go(func() { run(w) })
	}
	a.outbox.Start()
	worker("revocations", oauth.RefreshEvery, func(w watched) {
		if err := a.OAuth.Run(ctx, w); err != nil && ctx.Err() == nil {
			a.log.Error("token keys", "err", err)
		}
	})
	worker("policies", policiesEvery, func(w watched) { a.policies.run(ctx, w) })
	if a.clock != nil {
		worker("clock", compareEvery, func(w watched) { a.clock.run(ctx, a.log, w, a.OAuth.ForgetRevocations) })
	}
	if a.schema != nil {
		worker("schema", fitEvery, func(w watched) { watchSchema(ctx, a.schema, w) })
	}
	if a.disk != nil {
		worker("disk", diskEvery, func(w watched) { a.disk.run(ctx, w) })
	}
	worker("purge", purgeEvery, func(w watched) { a.purge(ctx, w) })
	worker("erase", account.EraseEvery, func(w watched) { a.Account.Run(ctx, w) })
	worker("guesses", flow.AddUpEvery, func(w watched) { a.Engine.Run(ctx, w) })
	worker("seal", a.sealing, func(w watched) {
		tick := time.NewTicker(a.sealing)
		defer tick.Stop()
		a.sealer.Run(ctx, tick.C, w)
	})
	a.workers.Go(func() { a.examine(ctx) }) // once: it has an end of its own
	a.workers.Go(func() { a.watch.run(ctx) })
}

// Close stops the workers, gives back the mail that they had in hand, seals the
// audit log and closes the database.
func (a *App) Close(ctx context.Context) error {
	var err error
	if a.stop != nil {
		a.stop()
		if a.stopMail(ctx) != nil { // no failure of the stop: leases are given back, or run out
			a.log.Warn("mail under way was broken off; it is tried again by another node, or after the next start")
		}
		a.workers.Wait()
		err = errors.Join(err, a.sealer.Seal(ctx))
	}
	if a.relays != nil {
		err = errors.Join(err, a.relays.Close())
	}
	a.tracing.stop(ctx)
	if cerr := a.Store.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close the database: %w", cerr))
	}
	return err
}

// stopMail leaves time for what else there is to do: a relay that does not answer
// would take all of it.
func (a *App) stopMail(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*3/5)
		defer cancel()
	}
	return a.outbox.Stop(ctx)
}

// MailSettled returns once no mail is on its way: what a test waits for.
func (a *App) MailSettled(ctx context.Context) error { return a.outbox.Idle(ctx) }

// MailWritten is MailSettled, and what became of each mail is written down too.
func (a *App) MailWritten(ctx context.Context) error { return a.outbox.Written(ctx) }
