package app

import (
	"context"
	"time"
)

// purgeEvery is how often what has ended is removed (REL R-23).
const purgeEvery = 5 * time.Minute

func (a *App) purge(ctx context.Context, run watched) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := a.purgeBy(ctx, run); err != nil && ctx.Err() == nil {
			a.log.Error("purge", "err", err)
		}
	}
}

// A purge goes on for a while and then leaves the database alone for purgeRest times
// as long, so that a twentieth of the time is its own. On a machine that is at its limit it
// rests for longestRest, or a million rows would not go within ten minutes (REL R-23).
const (
	purgeBatch  = 250
	purgeRest   = 19
	longestRest = 140 * time.Millisecond
)

// Purge removes what has ended when it begins, as is done every few minutes, and
// returns how many rows that were, as far as the database has counted. What ends
// meanwhile is for the next one: rows end all the time.
func (a *App) Purge(ctx context.Context) (total int, err error) { return a.purgeBy(ctx, unwatched) }

func (a *App) purgeBy(ctx context.Context, run watched) (total int, err error) {
	now := a.now()
	for {
		began, n := time.Now(), 0
		err := run(func() (err error) {
			n, err = a.Store.Purge(ctx, now, purgeBatch)
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
		rest := time.NewTimer(min(purgeRest*time.Since(began), longestRest))
		select {
		case <-ctx.Done():
			rest.Stop()
			return total, ctx.Err()
		case <-rest.C:
		}
	}
}
