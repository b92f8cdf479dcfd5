package app

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

// A panic is a plain 500 for the caller; the log has the stack and nothing of the request's values.
func TestSEC_S139_PanicIsContained(t *testing.T) {
	var out bytes.Buffer
	a := &App{metrics: metrics.New("", metrics.Store{}), log: slog.New(slog.NewTextHandler(&out, nil)), now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("/email/verify/{token}", func(http.ResponseWriter, *http.Request) { panic("the secret that was being handled") })
	h := a.logged(a.contained(mux))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/email/verify/tokenofaperson?code=123456", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"E0000009"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, secret := range []string{"the secret", "tokenofaperson", "123456"} {
		if strings.Contains(out.String(), secret) || strings.Contains(w.Body.String(), secret) {
			t.Errorf("%q is told", secret)
		}
	}
	for _, want := range []string{"log_test.go", "status=500", "route=/email/verify/{token}", "method=GET", "ip=192.0.2.1", "request=", "ms="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, out.String())
		}
	}
}
