// Package edge is what every HTTP door does the same: request ids, security
// headers, cross-origin answers, client addresses, API errors, the frame of
// its pages.
package edge

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// MaxBody is the largest request body in bytes (SEC S-135).
const MaxBody = 64 << 10

type requestKey struct{}

// A request is what the log calls one by.
type request struct{ id, flow string }

// RequestID returns the id that WithRequestID gave to a request, "" without one.
func RequestID(ctx context.Context) string {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r.id
	}
	return ""
}

// SetFlow notes what the flow that a request belongs to is called in the log: on every
// node the same, and of no use for anything else. It is for whoever answers the request.
func SetFlow(ctx context.Context, flow string) {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		r.flow = flow
	}
}

// Flow returns what SetFlow noted, "" for a request that belongs to none.
func Flow(ctx context.Context) string {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r.flow
	}
	return ""
}

// WithRequestID gives each request an id, answers with it in X-Okta-Request-Id
// and X-Request-Id, and puts it into the context. One that came from outside is
// not taken over: it could not be trusted to be unique. Ids are made by newID
// from their prefix.
func WithRequestID(newID func(prefix string) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if RequestID(r.Context()) == "" {
			id := newID("req")
			w.Header().Set("X-Okta-Request-Id", id)
			w.Header().Set("X-Request-Id", id)
			r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &request{id: id}))
		}
		next.ServeHTTP(w, r)
	})
}

// secureHeaders are shared by all responses: a header's values are replaced, and
// never changed where they stand.
var secureHeaders = http.Header{
	"Cache-Control":                {"no-cache, no-store"},
	"Pragma":                       {"no-cache"},
	"Expires":                      {"0"},
	"Strict-Transport-Security":    {"max-age=63072000"},
	"X-Content-Type-Options":       {"nosniff"},
	"Referrer-Policy":              {"no-referrer"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
}

// SecureHeaders sets the headers of every response (IDX §1.3, SEC S-69). A
// handler that lets its answer be cached sets Cache-Control itself, by Cacheable.
func SecureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), secureHeaders)
		next.ServeHTTP(w, r)
	})
}

// Cacheable replaces the cache headers of SecureHeaders.
func Cacheable(w http.ResponseWriter, control string) {
	w.Header().Set("Cache-Control", control)
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
}

// Methods dispatches by method, and refuses the others in JSON, which ServeMux
// would do in plain text.
type Methods map[string]http.HandlerFunc

func (m Methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m[http.MethodGet]
	}
	if h != nil {
		h(w, r)
		return
	}
	allow := append(slices.Sorted(maps.Keys(m)), http.MethodOptions)
	w.Header().Set("Allow", strings.Join(allow, ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	MethodNotAllowed.Write(w, r)
}
