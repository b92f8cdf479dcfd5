package idxapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/pool"
)

// A fault that the deadline caused is told as such, by a document or by a page;
// who has gone is told nothing.
func TestREL_I10_Late(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler), brand: func() edge.Brand { return edge.Brand{} }}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	fault := errors.New("store: the words of a driver")
	full := pool.New(0, 0).Do(t.Context(), nil)
	for name, c := range map[string]struct {
		ctx    context.Context
		fail   func(http.ResponseWriter, *http.Request, error)
		err    error
		status int
		says   string
	}{
		"a fault":                 {t.Context(), s.fail, fault, http.StatusInternalServerError, "E0000009"},
		"late":                    {late, s.fail, fault, http.StatusServiceUnavailable, "E0000010"},
		"late, a page":            {late, s.failPage, fault, http.StatusServiceUnavailable, `data-page="busy"`},
		"a full pool":             {t.Context(), s.fail, full, http.StatusServiceUnavailable, "E0000010"},
		"nobody is there":         {gone, s.fail, fault, http.StatusOK, ""},
		"nobody is there, a page": {gone, s.failPage, fault, http.StatusOK, ""},
	} {
		w := httptest.NewRecorder()
		c.fail(w, httptest.NewRequestWithContext(c.ctx, "GET", "/", nil), c.err)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || c.says == "" && w.Body.Len() > 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "driver") {
			t.Errorf("%s: internal text: %s", name, w.Body)
		}
		if got, err := time.ParseDuration(w.Header().Get("Retry-After") + "s"); c.status == http.StatusServiceUnavailable && (err != nil || got < time.Second) {
			t.Errorf("%s: Retry-After %q", name, w.Header().Get("Retry-After"))
		}
	}
}
