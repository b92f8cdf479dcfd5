package edge_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

func serve(h http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var ok = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// counted makes ids that tell how many there were.
func counted() func(string) string {
	n := 0
	return func(prefix string) string {
		n++
		return prefix + strconv.Itoa(n)
	}
}

func TestRequestID(t *testing.T) {
	newID, seen := counted(), ""
	door := edge.WithRequestID(newID, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = edge.RequestID(r.Context()) }))
	// A door keeps the id that the app around it has given.
	for _, want := range []string{"req1", "req2"} {
		w := serve(edge.WithRequestID(newID, door), http.MethodGet, "X-Request-Id", "from outside", "X-Okta-Request-Id", "from outside")
		if seen != want || w.Header().Get("X-Request-Id") != want || w.Header().Get("X-Okta-Request-Id") != want {
			t.Errorf("%q, %v, want %s", seen, w.Header(), want)
		}
	}
	if id := edge.RequestID(t.Context()); id != "" {
		t.Errorf("%q without a request", id)
	}
}

func TestSEC_S69_Headers(t *testing.T) {
	h := serve(edge.SecureHeaders(ok), http.MethodGet).Header()
	for name, want := range map[string]string{
		"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "0",
		"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q", name, h.Get(name))
		}
	}
	h = serve(edge.SecureHeaders(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		edge.Cacheable(w, "max-age=1")
	})), http.MethodGet).Header()
	if h.Get("Cache-Control") != "max-age=1" || h["Pragma"] != nil || h["Expires"] != nil || h.Get("Referrer-Policy") == "" {
		t.Errorf("cacheable: %v", h)
	}
}

func TestMethods(t *testing.T) {
	m := edge.Methods{http.MethodPut: ok, http.MethodGet: ok}
	for method, status := range map[string]int{
		http.MethodGet: 200, http.MethodHead: 200, http.MethodPut: 200, http.MethodOptions: 204, http.MethodPost: 405,
	} {
		w := serve(m, method)
		allow := ""
		if status != 200 {
			allow = "GET, PUT, OPTIONS"
		}
		if w.Code != status || w.Header().Get("Allow") != allow {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	if w := serve(edge.Methods{http.MethodPost: ok}, http.MethodHead); w.Code != 405 {
		t.Errorf("HEAD without GET: %d", w.Code)
	}
}
