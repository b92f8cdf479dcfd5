package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
)

// An engine is ready once it has keys, until it is about to stop or has no database.
func TestREL_R30_Readiness(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		a, err := app.New(t.Context(), app.Config{
			Dir: t.TempDir(), Database: database, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(h http.Handler) (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			return w.Code, w.Body.String()
		}
		if status, why := ask(a.OperationsHandler()); status != 503 || !strings.Contains(why, "no active") {
			t.Errorf("without keys: %d %s", status, why)
		}
		a.Start()
		if err := a.AwaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, why := ask(a.Handler()); status != 200 {
			t.Errorf("with keys: %d %s", status, why)
		}
		a.Leave()
		if status, why := ask(a.Handler()); status != 503 || why != "not ready\n" {
			t.Errorf("stopping, to the public: %d %q", status, why)
		}
		if status, why := ask(a.OperationsHandler()); status != 503 || why != "not ready: the engine is stopping\n" {
			t.Errorf("stopping: %d %q", status, why)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("no database", func(t *testing.T) {
		now := time.Now()
		a, err := app.New(t.Context(), app.Config{
			Dir: t.TempDir(), PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(),
			Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.AwaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := a.Ready(t.Context()); err != nil {
			t.Errorf("an answer holds for a second: %v", err)
		}
		now = now.Add(time.Second)
		if a.Ready(t.Context()) == nil {
			t.Error("ready without a database")
		}
	})
}
