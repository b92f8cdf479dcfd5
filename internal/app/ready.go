package app

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

// readiness is whether requests should come here.
type readiness struct {
	leaving atomic.Bool // the engine is about to stop

	examined examined // nil: nothing is looked through for damage
	damaged  func(error)
	damage   atomic.Pointer[error]

	mu  sync.Mutex
	at  time.Time // when err was found
	err error
}

const (
	// readyAge is for how long an answer holds, so that who asks often does not
	// load the database.
	readyAge = time.Second
	// readyPatience is how long the database may take (REL R-12).
	readyPatience = 3 * time.Second
)

var errLeaving = errors.New("the engine is stopping")

// Ready returns why requests should not come here: the engine is stopping, or
// the database is damaged, does not answer or is another one, its schema has been moved
// to a version that this program does not work on (REL R-24), or there are no signing
// keys (REL R-30).
func (a *App) Ready(ctx context.Context) error {
	s := &a.state
	if s.leaving.Load() {
		return errLeaving
	}
	if found := s.damage.Load(); found != nil {
		return *found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := a.now().Sub(s.at); s.at.IsZero() || age < 0 || age >= readyAge { // a clock may be set back
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyPatience)
		defer cancel()
		var err error
		if a.schema != nil {
			err = a.schema.Fit(ctx)
		}
		if err == nil {
			_, err = a.Store.Setting(ctx, keySetting)
		}
		if err == nil {
			err = a.OAuth.Ready(ctx)
		}
		s.at, s.err = a.now(), err // now: whoever waited meanwhile has this answer too
	}
	return s.err
}

// A shared database is one whose schema others can move while it is open.
type shared interface {
	// Fit looks at its version, and returns why this program cannot go on with it.
	// Until the next look it then writes nothing.
	Fit(ctx context.Context) error
}

// fitEvery is how often a node looks whose readiness nobody asks for.
const fitEvery = 5 * time.Second

func watchSchema(ctx context.Context, s shared, run watched) {
	tick := time.NewTicker(fitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = run(func() error { return s.Fit(ctx) }) // which logs it; that the database is away others find too
		}
	}
}

// AwaitReady returns once requests may come here, or with the reason why not.
func (a *App) AwaitReady(ctx context.Context) error {
	if err := a.OAuth.MakeKeys(ctx); err != nil {
		return err
	}
	a.state.mu.Lock()
	a.state.at = time.Time{} // what was found before the keys were there
	a.state.mu.Unlock()
	return a.Ready(ctx)
}

// Leave says from now on that the engine is not ready, and asks clients to
// connect anew, elsewhere. It goes on to answer.
func (a *App) Leave() { a.state.leaving.Store(true) }

// leaving ends connections with their next answer while the engine is about to stop.
func (a *App) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.state.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func alive(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// tellReady answers with 200 or 503; why is for operators alone.
func (a *App) tellReady(w http.ResponseWriter, r *http.Request, why bool) {
	err := a.Ready(r.Context())
	if err == nil {
		alive(w, r)
		return
	}
	text := "not ready\n"
	if why {
		text = "not ready: " + err.Error() + "\n"
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, text[:len(text)-1], http.StatusServiceUnavailable)
}

// OperationsHandler answers /metrics, /healthz and /readyz, for operators alone.
func (a *App) OperationsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { a.tellReady(w, r, true) })
	return mux
}

// unsealedCounted is up to how many rows of the audit log that are not sealed are counted.
const unsealedCounted = 50_000

func (a *App) newMetrics() *metrics.Metrics {
	var ahead func() time.Duration
	if a.clock != nil {
		ahead = a.clock.ahead
	}
	return metrics.New(Version(), metrics.Store{
		Stats:    func() metrics.Work { return metrics.Work(a.Store.Stats()) },
		Waiting:  func() (int64, time.Time, error) { return a.outbox.Waiting() },
		Unsealed: func(ctx context.Context) (int64, error) { return a.Store.AuditUnsealed(ctx, unsealedCounted) },
		Workers:  a.watch.all, Pool: func() metrics.Pool { return metrics.Pool(a.Store.Pool()) },
		Ready: a.Ready, Now: a.now, Disk: a.disk.metric(), Ahead: ahead,
	})
}
