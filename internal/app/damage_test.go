//go:build unix

package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/sqlite/slowtest"
)

// An engine whose file is looked through beside its work is ready, until damage is found.
func TestREL_R05_NotReadyOnceDamageIsFound(t *testing.T) {
	e := startNode(t, app.Config{Dir: t.TempDir(), Limits: limits()})
	e.stop()
	check := slowtest.Plant(t, filepath.Join(e.dir, "stile.db"), 0)
	var log bytes.Buffer
	damaged := make(chan error, 1)
	a, err := app.New(t.Context(), app.Config{
		Dir: e.dir, PublicURL: e.url, Policy: policy.PasswordOptional(), Limits: limits(), QuickCheck: true,
		Damaged: func(err error) { damaged <- err }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	if err := a.AwaitReady(t.Context()); err != nil {
		t.Errorf("while it is looked through: %v", err)
	}
	check.End(false)
	if err := <-damaged; !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("found: %v", err)
	}
	w := httptest.NewRecorder()
	a.OperationsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if why := w.Body.String(); w.Code != 503 || !strings.Contains(why, "the file is damaged") {
		t.Errorf("/readyz: %d %s", w.Code, why)
	}
	if err := a.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if told := "the database is damaged, the engine ends"; !strings.Contains(log.String(), told) {
		t.Errorf("the log has no %q: %s", told, log.String())
	}
}
