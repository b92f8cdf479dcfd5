package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

func TestE26_APIError(t *testing.T) {
	for name, c := range map[string]struct {
		edge.APIError
		body string
	}{
		"without causes": {edge.NotFound,
			`{"errorCauses":[],"errorCode":"E0000007","errorId":"oaereq1","errorLink":"E0000007","errorSummary":"Not found: Resource not found"}`},
		"with causes": {edge.APIError{Status: 400, Code: "E0000001", Summary: "Api validation failed: <login>", Causes: []string{"login: taken", "b"}},
			`{"errorCauses":[{"errorSummary":"login: taken"},{"errorSummary":"b"}],"errorCode":"E0000001","errorId":"oaereq1","errorLink":"E0000001","errorSummary":"Api validation failed: \u003clogin\u003e"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(edge.WithRequestID(counted(), http.HandlerFunc(c.Write)), http.MethodGet)
			if w.Code != c.Status || w.Header().Get("Content-Type") != "application/json" || w.Body.String() != c.body+"\n" {
				t.Errorf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Second: "1", 1001 * time.Millisecond: "2", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		w := httptest.NewRecorder()
		edge.SetRetryAfter(w, d)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
