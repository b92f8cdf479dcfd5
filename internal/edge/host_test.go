package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSEC_S136_UnknownHost(t *testing.T) {
	h := KnownHosts([]string{"ID.example.com", "stile.internal:9000"}, []string{"/healthz"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		host, path string
		want       int
	}{
		{"id.example.com", "/", 200},
		{"id.example.com:443", "/", 200},
		{"Id.Example.COM.", "/", 200},
		{"stile.internal", "/", 200},
		{"localhost:9000", "/", 200},
		{"app.localhost", "/", 200},
		{"127.0.0.1:9000", "/", 200},
		{"[::1]:9000", "/", 200},
		{"evil.example", "/", 421},
		{"id.example.com.evil.example", "/", 421},
		{"evil.example:9000", "/oauth2/default/v1/token", 421},
		{"10.0.0.7:9000", "/", 421},
		{"", "/", 421},
		{"10.0.0.7:9000", "/healthz", 200},
		{"localhost.evil.example", "/", 421},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%q %s: %d, want %d", c.host, c.path, w.Code, c.want)
		}
	}
}
