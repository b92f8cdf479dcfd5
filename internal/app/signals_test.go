//go:build unix

package app_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A patient is an engine to which something happens, as an operator sees it.
type patient struct {
	*engine
	log   *told
	doors string // of the operations' listener
}

// admitted starts an engine; before is called with it before its workers begin.
func admitted(t *testing.T, config app.Config, before func(*app.App)) *patient {
	t.Helper()
	p := &patient{log: &told{}}
	config.Dir, config.Limits, config.Logger, config.Policy, config.Inbox = t.TempDir(), limits(), p.log.logger(), policy.PasswordOptional(), true
	config.PublicURL, config.SealEvery = "http://localhost:9000", time.Second
	a, err := app.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	before(a)
	a.Start()
	public, operations := httptest.NewServer(a.Handler()), httptest.NewServer(a.OperationsHandler())
	t.Cleanup(func() {
		public.Close()
		operations.Close()
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p.engine = &engine{App: a, url: public.URL, http: public.Client()}
	p.doors = operations.URL
	if err := a.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.register(t)
	return p
}

func (p *patient) ask(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.doors+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// A sign is what an operator sees: readiness, and lines of the metrics and of the log.
// That the process lives, /healthz says in each case.
type sign struct {
	ready   int
	metrics []string
	log     string
}

// shows waits until all of a sign is there.
func (p *patient) shows(t *testing.T, s sign) {
	t.Helper()
	awaited(t, "ready", func() bool { status, _ := p.ask(t, "/readyz"); return status == s.ready })
	for _, want := range s.metrics {
		line := regexp.MustCompile(`(?m)^` + want + `$`)
		awaited(t, want, func() bool { _, body := p.ask(t, "/metrics"); return line.MatchString(body) })
	}
	line := regexp.MustCompile(s.log)
	awaited(t, s.log, func() bool { return line.MatchString(p.log.String()) })
	if status, _ := p.ask(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
}

const number = ` [0-9.e+]*[1-9][0-9.e+]*` // that is not 0

// REL R-30: what tells an operator of each fault, and that it is over.
func TestREL_R30_EachFaultHasItsSign(t *testing.T) {
	const ready, unready = http.StatusOK, http.StatusServiceUnavailable
	for _, tt := range []struct {
		fault string
		// happens starts an engine to which the fault happens; over ends that, nil where it does not end.
		happens func(t *testing.T) (p *patient, over func())
		seen    sign
		well    sign
	}{
		{
			fault: "the database is away",
			happens: func(t *testing.T) (*patient, func()) {
				c := pgtest.NewCluster(t)
				c.Database("stile")
				p := admitted(t, app.Config{Database: c.URL("stile")}, func(*app.App) {})
				_, body := p.ask(t, "/metrics")
				for _, want := range []string{
					"stile_store_connections_open" + number, "stile_store_connections_max" + number, "stile_store_connections_in_use [0-9]+",
					"stile_store_waiting 0", "stile_store_away 0", `stile_store_refused_total{reason="busy"} 0`,
					`stile_store_transaction_duration_seconds_count{durability="durable"}` + number, "stile_audit_unsealed [0-9]+",
				} {
					if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(body) {
						t.Errorf("no %s", want)
					}
				}
				c.Stop("immediate")
				return p, c.Start
			},
			seen: sign{unready, []string{"stile_ready 0", "stile_store_away 1", `stile_store_refused_total{reason="away"}` + number}, `"level":"WARN","msg":"the database does not answer`},
			well: sign{ready, []string{"stile_ready 1", "stile_store_away 0"}, `"msg":"the database answers again"`},
		},
		{
			fault: "the relay is away",
			happens: func(t *testing.T) (*patient, func()) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				l.Close() // nobody listens there
				var m machine
				p := admitted(t, app.Config{SMTP: []string{"smtp://" + l.Addr().String() + "?starttls=off"}, Machine: m.now}, func(*app.App) {})
				if _, err := p.enrolled("ada@example.com"); err != nil {
					t.Fatal(err)
				}
				awaited(t, "it is tried", func() bool {
					_, body := p.ask(t, "/metrics")
					return strings.Contains(body, `stile_outbox_tries_total{kind="mail",outcome="delayed"}`)
				})
				m.off.Add(int64(125 * time.Second)) // the alert's
				return p, nil
			},
			seen: sign{ready, []string{
				`stile_outbox_tries_total{kind="mail",outcome="delayed"}` + number, "stile_outbox_waiting 1", "stile_outbox_oldest_seconds 1[2-9][0-9].*",
				`stile_worker_stuck{worker="mail"} 0`,
			}, `"level":"WARN","msg":"outbox: not delivered"`},
		},
		{
			fault: "the disk is full",
			happens: func(t *testing.T) (*patient, func()) {
				return admitted(t, app.Config{}, func(a *app.App) {
					if !a.SetDisk(func() (free, size uint64, err error) { return 1, 1000, nil }) {
						t.Skip("the system does not tell how full a disk is") // Linux, macOS and FreeBSD do
					}
				}), nil
			},
			seen: sign{ready, []string{"stile_disk_free_bytes 1", "stile_disk_size_bytes 1000"}, `"level":"ERROR","msg":"the disk is almost full`},
		},
		{
			fault: "the clock is off", // which nothing goes by (decision D31)
			happens: func(t *testing.T) (*patient, func()) {
				var m machine
				m.off.Store(int64(time.Hour))
				return admitted(t, app.Config{Database: pgtest.Database(t), Machine: m.now}, func(*app.App) {}), nil
			},
			seen: sign{ready, []string{`stile_clock_ahead_seconds 3(599|600)\..*`}, `"level":"WARN","msg":"this machine's clock differs from the database's`},
		},
		{
			fault: "a worker hangs",
			happens: func(t *testing.T) (*patient, func()) {
				var later atomic.Int64
				p := admitted(t, app.Config{}, func(a *app.App) {
					a.SetWatchClock(func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
				})
				awaited(t, "it is well", func() bool {
					_, body := p.ask(t, "/metrics")
					return strings.Contains(body, `stile_worker_last_success_timestamp_seconds{worker="policies"}`)
				})
				release := sync.OnceFunc(p.HoldPolicies())
				t.Cleanup(release)
				awaited(t, "it has begun again", func() bool { return p.Busy("policies") })
				if _, body := p.ask(t, "/metrics"); !strings.Contains(body, `stile_worker_stuck{worker="policies"} 0`) {
					t.Error("stuck at once")
				}
				later.Store(int64(50 * time.Second))
				return p, release
			},
			seen: sign{ready, []string{
				`stile_worker_stuck{worker="policies"} 1`, `stile_worker_stuck{worker="revocations"} 0`, `stile_worker_stuck{worker="seal"} 0`,
			}, `"level":"ERROR","msg":"a worker hangs[^\n]*"worker":"policies"`},
			well: sign{ready, []string{`stile_worker_stuck{worker="policies"} 0`}, `"msg":"the worker goes on","worker":"policies"`},
		},
		{
			fault: "too many requests",
			happens: func(t *testing.T) (*patient, func()) {
				p := admitted(t, app.Config{Bounded: true}, func(*app.App) {})
				over := p.Fill()
				t.Cleanup(over)
				if _, err := p.form("/oauth2/default/v1/interact", url.Values{"client_id": {p.client}}); err == nil || !strings.Contains(err.Error(), "503") {
					t.Errorf("interact: %v, want 503", err)
				}
				return p, over
			},
			seen: sign{ready, []string{
				`stile_admission_refused_total{class="start"} 1`, `stile_admission_inside{class="start"}` + number,
			}, `"level":"WARN","msg":"request"[^\n]*/v1/interact","status":503`},
			well: sign{ready, []string{`stile_admission_inside{class="start"} 0`}, ``},
		},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel() // each waits for its engine most of the time
			p, over := tt.happens(t)
			p.shows(t, tt.seen)
			if over != nil {
				over()
				p.shows(t, tt.well)
			}
		})
	}
}
