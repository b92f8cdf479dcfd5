package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
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

// A node whose schema is moved too far, or whose tables are taken away, says so to its
// operators and answers people with 503, and goes on by itself once all is back.
func TestREL_R24_SchemaMovedUnderANode(t *testing.T) {
	u := pgtest.Database(t)
	var clock machine
	e := startNode(t, app.Config{Dir: t.TempDir(), Database: u, Now: clock.now})
	e.register(t)
	if err := e.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	begins := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", e.url+"/oauth2/default/v1/interact", strings.NewReader(url.Values{
			"client_id": {e.client}, "scope": {"openid"}, "redirect_uri": {"http://localhost:8080/cb"}, "state": {"s"},
			"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
		}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct{ name, change, why string }{
		{"two versions on", "INSERT INTO schema_version (version_id, is_applied) SELECT max(version_id) + 2, true FROM schema_version", "this program works on"},
		{"back", "DELETE FROM schema_version WHERE version_id = (SELECT max(version_id) FROM schema_version)", ""},
		{"without a column", "ALTER TABLE transactions RENAME COLUMN data TO gone", ""},
		{"with it", "ALTER TABLE transactions RENAME COLUMN gone TO data", ""},
	} {
		pgtest.Exec(t, u, tt.change)
		clock.off.Add(int64(time.Second))
		w := httptest.NewRecorder()
		e.OperationsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if (w.Code == 200) != (tt.why == "") || !strings.Contains(w.Body.String(), tt.why) {
			t.Errorf("%s: readiness: %d %s", tt.name, w.Code, w.Body)
		}
		w = begins()
		if refused := tt.why != "" || tt.name == "without a column"; refused && (w.Code != 503 || w.Header().Get("Retry-After") == "") || !refused && w.Code != 200 {
			t.Errorf("%s: somebody who begins: %d %v %s", tt.name, w.Code, w.Header(), w.Body)
		}
	}
}
