package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// A hung is a database that keeps whoever asks it for a setting.
type hung struct {
	store.Store
	goOn chan struct{}
}

func (s hung) Setting(context.Context, string) ([]byte, error) {
	<-s.goOn
	return nil, errors.New("too late")
}

// REL R-30: a worker that hangs is seen within a minute, one that waits for its time is not,
// and one that fails is not stuck but was not well either.
func TestREL_R30_AWorkerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out journal
		w := newWatch(slog.New(slog.NewTextHandler(&out, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.run(ctx)

		p := &policies{store: hung{goOn: make(chan struct{})}, log: slog.New(slog.DiscardHandler)}
		go p.run(ctx, w.worker("policies", policiesEvery, stuckAfter))
		seldom := w.worker("purge", purgeEvery, stuckAfter)
		_ = seldom(func() error { return nil })
		failing := w.worker("seal", time.Second, stuckAfter)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				_ = failing(func() error { return errors.New("no room") })
				time.Sleep(time.Second) // by the bubble's clock
			}
		}()
		idle := w.worker("mail", 0, stuckAfter)
		one := w.worker("mail", 0, stuckAfter)
		_ = idle(func() error { return nil })
		_ = one

		since := time.Now()
		time.Sleep(policiesEvery + stuckAfter/2) // by the bubble's clock
		synctest.Wait()
		if w.all()["policies"].Stuck || out.String() != "" {
			t.Errorf("told too early: %+v\n%s", w.all(), &out)
		}
		time.Sleep(time.Until(since.Add(time.Minute))) // by the bubble's clock
		synctest.Wait()
		for name, m := range w.all() {
			if m.Stuck != (name == "policies") || m.Well.IsZero() != (name == "policies" || name == "seal") {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if n := strings.Count(out.String(), "level=ERROR"); n != 1 || !strings.Contains(out.String(), "worker=policies") {
			t.Errorf("the log says it %d times:\n%s", n, &out)
		}

		close(p.store.(hung).goOn)
		time.Sleep(2 * lookAtWorkers) // by the bubble's clock
		synctest.Wait()
		if w.all()["policies"].Stuck || !strings.Contains(out.String(), "the worker goes on") {
			t.Errorf("it goes on: %+v\n%s", w.all(), &out)
		}

		// One that never comes again is seen too.
		time.Sleep(purgeEvery) // by the bubble's clock
		synctest.Wait()
		if !w.all()["purge"].Stuck {
			t.Error("a worker that does not come again is not seen")
		}
		cancel()
		<-ended
	})
}
