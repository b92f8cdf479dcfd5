package password

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
		const workers = 2
		p := newPool(workers)
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
		const room = workers * (1 + queueFactor)
		for range room {
			go func() {
				if err := p.do(context.Background(), work); err != nil {
					t.Errorf("do: %v", err)
				}
			}()
		}
		synctest.Wait()

		err := p.do(context.Background(), func() { t.Error("work was run over the limit") })
		var refused *problem.Error
		if !errors.As(err, &refused) || refused.Kind != problem.Unavailable || refused.RetryAfter != time.Second {
			t.Errorf("a full queue: %v, want Unavailable, retry after 1 s", err)
		}

		close(release)
		synctest.Wait()
		if peak != workers || done != room {
			t.Errorf("%d at a time and %d in all, want %d and %d", peak, done, workers, room)
		}
		if err := p.do(context.Background(), func() {}); err != nil {
			t.Errorf("after the flood: %v", err)
		}
	})
}

func TestPoolLeavesWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1)
		release := make(chan struct{})
		go func() { _ = p.do(context.Background(), func() { <-release }) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 3 * queueFactor { // places are given back
			if err := p.do(ctx, func() { t.Error("work was run") }); !errors.Is(err, context.Canceled) {
				t.Errorf("do: %v, want Canceled", err)
			}
		}
		close(release)
	})
}

func TestPoolSurvivesPanic(t *testing.T) {
	p := newPool(1)
	for range 1 + queueFactor {
		func() {
			defer func() { _ = recover() }()
			_ = p.do(t.Context(), func() { panic("x") })
		}()
	}
	if err := p.do(t.Context(), func() {}); err != nil {
		t.Errorf("after panics: %v", err)
	}
}
