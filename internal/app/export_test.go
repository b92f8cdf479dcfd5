package app

import (
	"context"
	"time"
)

// CompareClocks is what happens each half minute.
func (a *App) CompareClocks(ctx context.Context) error { return a.clock.compare(ctx, time.Minute) }

// Time is the engine's.
func (a *App) Time() time.Time { return a.now() }
