package app

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// Purging is an App that can do nothing but Purge.
func Purging(s store.Store, now func() time.Time) *App { return &App{Store: s, now: now} }

// CompareClocks is what happens each half minute.
func (a *App) CompareClocks(ctx context.Context) error { return a.clock.compare(ctx, time.Minute) }

// Time is the engine's.
func (a *App) Time() time.Time { return a.now() }
