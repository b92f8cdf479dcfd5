package oauth

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Many who want a set that cannot be read wait as long as one, not one after the other.
func TestREL_R12_OneWaitForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("no answer")
		reads, turn, began := 0, newTurn(), time.Now()
		ask := func() error {
			return turn.take(t.Context(), func() bool { return false }, func(context.Context) error {
				reads++
				time.Sleep(4 * time.Second)
				return gone
			})
		}
		answers := make(chan error)
		for range 20 {
			go func() { answers <- ask() }()
		}
		for range 20 {
			if err := <-answers; !errors.Is(err, gone) {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 4*time.Second || reads != 1 {
			t.Errorf("%d reads in %v, want one", reads, took)
		}
		if err := ask(); !errors.Is(err, gone) || reads != 2 { // who comes later tries
			t.Errorf("%d reads, %v", reads, err)
		}
	})
}

// Whoever goes away ends neither the read nor the wait of the others.
func TestTurnOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurn()
		var done atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		take := func(ctx context.Context) error {
			return turn.take(ctx, done.Load, func(ctx context.Context) error {
				time.Sleep(time.Second)
				done.Store(true)
				return ctx.Err()
			})
		}
		first, second, third := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { first <- take(ctx) }()
		synctest.Wait()
		go func() { second <- take(ctx) }()
		go func() { third <- take(t.Context()) }()
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) || done.Load() {
			t.Errorf("who waits and goes away: %v", err)
		}
		if err := errors.Join(<-first, <-third); err != nil {
			t.Error(err)
		}
	})
}
