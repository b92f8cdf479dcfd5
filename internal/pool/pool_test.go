package pool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/problem"
)

func TestSEC_S47_Pool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, waiting = 2, 8
		p := New(workers, waiting)
		release := make(chan struct{})
		var mu sync.Mutex
		working, peak, done := 0, 0, 0
		work := func() {
			mu.Lock()
			working++
			peak = max(peak, working)
			mu.Unlock()
			<-release
			mu.Lock()
			working--
			done++
			mu.Unlock()
		}
		const room = workers + waiting
		for range room {
			go func() {
				if err := p.Do(context.Background(), work); err != nil {
					t.Errorf("Do: %v", err)
				}
			}()
		}
		synctest.Wait()

		err := p.Do(context.Background(), func() { t.Error("work was run over the limit") })
		var refused *problem.Error
		if !errors.As(err, &refused) || refused.Kind != problem.Unavailable || refused.RetryAfter != time.Second {
			t.Errorf("a full queue: %v, want Unavailable, retry after 1 s", err)
		}

		close(release)
		synctest.Wait()
		if peak != workers || done != room {
			t.Errorf("%d at a time and %d in all, want %d and %d", peak, done, workers, room)
		}
		if p.Refused() != 1 || p.Busy() != 0 {
			t.Errorf("%d refused and %d busy, want 1 and 0", p.Refused(), p.Busy())
		}
		if err := p.Do(context.Background(), func() {}); err != nil {
			t.Errorf("after the flood: %v", err)
		}
	})
}

func TestPoolLeavesWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 4)
		release := make(chan struct{})
		go func() { _ = p.Do(context.Background(), func() { <-release }) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 12 { // places are given back
			if err := p.Do(ctx, func() { t.Error("work was run") }); !errors.Is(err, context.Canceled) {
				t.Errorf("Do: %v, want Canceled", err)
			}
		}
		close(release)
	})
}

func TestPoolSurvivesPanic(t *testing.T) {
	p := New(1, 4)
	for range 5 {
		func() {
			defer func() { _ = recover() }()
			_ = p.Do(t.Context(), func() { panic("x") })
		}()
	}
	if err := p.Do(t.Context(), func() {}); err != nil {
		t.Errorf("after panics: %v", err)
	}
}

// Who has a place waits, but is not refused.
func TestPoolKeepsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 1)
		place, err := p.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		go func() { _ = p.Do(context.Background(), func() { <-release }) }()
		synctest.Wait()
		if _, err := p.Reserve(); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("a third place: %v, want Unavailable", err)
		}
		done := false
		go func() {
			defer place.Release()
			if err := place.Do(context.Background(), func() { done = true }); err != nil {
				t.Errorf("with a place: %v", err)
			}
		}()
		synctest.Wait()
		close(release)
		synctest.Wait()
		if !done || p.Busy() != 0 {
			t.Errorf("done: %v, %d busy", done, p.Busy())
		}
	})
}
