package edge

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	corsHeaders = "content-type, accept, accept-language, authorization, x-okta-user-agent-extended, " +
		"x-device-token, x-device-fingerprint, dpop, x-requested-with"
	corsMaxAge = "600"
)

// What a CORS allows that does not say it itself.
var (
	corsMethods = []string{http.MethodGet, http.MethodPost}
	corsExposed = []string{
		"x-okta-request-id", "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset",
		"retry-after", "www-authenticate", "dpop-nonce",
	}
)

// CORS is who may call a door from a page of another origin, and how (IDX §1.4).
type CORS struct {
	// Trusts reports whether an origin is trusted; it compares byte by byte (SEC S-70).
	Trusts func(ctx context.Context, origin string) bool
	// Methods are those that a preflight allows, besides OPTIONS; default GET and POST.
	Methods []string
	// Exposed are the response headers that a script may read; default those of
	// the IDX protocol, among them WWW-Authenticate.
	Exposed []string
	// Refuse answers the preflight of an origin that is not trusted; default Forbidden.
	Refuse http.HandlerFunc
}

// Handler lets the pages of trusted origins call next with credentials. Other
// origins get no CORS header.
func (c CORS) Handler(next http.Handler) http.Handler {
	refuse := c.Refuse
	if refuse == nil {
		refuse = Forbidden.Write
	}
	allow := c.allow(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origins := r.Header["Origin"]
		if len(origins) != 1 || !c.Trusts(r.Context(), origins[0]) {
			if preflight(r) {
				refuse(w, r)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Allow-Credentials", "true")
		allow(w, r)
	})
}

// AnyOrigin lets every page read next, without credentials.
func AnyOrigin(next http.Handler) http.Handler {
	allow := CORS{}.allow(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		allow(w, r)
	})
}

// allow answers preflights, and all else by next.
func (c CORS) allow(next http.Handler) http.HandlerFunc {
	methods, exposed := c.Methods, c.Exposed
	if methods == nil {
		methods = corsMethods
	}
	if exposed == nil {
		exposed = corsExposed
	}
	methodList := strings.Join(append(slices.Clone(methods), http.MethodOptions), ", ")
	exposedList := strings.Join(exposed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if preflight(r) {
			h.Set("Access-Control-Allow-Methods", methodList)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Expose-Headers", exposedList)
		next.ServeHTTP(w, r)
	}
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// OriginOf returns the origin of an http URL as browsers write it in the Origin
// header, "" for anything else.
func OriginOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}
