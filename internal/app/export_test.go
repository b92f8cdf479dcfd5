package app

import (
	"context"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/store"
)

// Purging is an App that can do nothing but Purge.
func Purging(s store.Store, now func() time.Time) *App { return &App{Store: s, now: now} }

// CompareClocks is what happens each half minute.
func (a *App) CompareClocks(ctx context.Context) error { return a.clock.compare(ctx, time.Minute) }

// Time is the engine's.
func (a *App) Time() time.Time { return a.now() }

// SetDisk is before Start. It reports whether a disk is watched here.
func (a *App) SetDisk(space func() (free, size uint64, err error)) bool {
	if a.disk == nil {
		return false
	}
	a.disk.space = space
	return true
}

// SetWatchClock is before Start.
func (a *App) SetWatchClock(now func() time.Time) { a.watch.now = now }

// HoldPolicies makes the worker hang that reads them again, until release.
func (a *App) HoldPolicies() (release func()) {
	a.policies.mu.Lock()
	return a.policies.mu.Unlock
}

// Busy reports whether a worker of that name does something.
func (a *App) Busy(name string) bool {
	a.watch.mu.Lock()
	defer a.watch.mu.Unlock()
	return slices.ContainsFunc(a.watch.workers, func(x *worker) bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.name == name && x.busy
	})
}

// Fill takes all the room for requests that begin something, until release.
func (a *App) Fill() (release func()) {
	return occupy(a.bounds.admission, edge.Start)
}
