package oauth

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	corsMethods = "GET, POST, OPTIONS"
	corsHeaders = "content-type, accept, accept-language, authorization, x-okta-user-agent-extended, " +
		"x-device-token, x-device-fingerprint, dpop, x-requested-with"
	corsExposed = "x-okta-request-id, x-rate-limit-limit, x-rate-limit-remaining, x-rate-limit-reset, " +
		"retry-after, www-authenticate, dpop-nonce"
	corsMaxAge = "600"
)

// CORS lets the pages of trusted origins call next with credentials (IDX §1.4):
// the trusted origins and the origins of the redirect URIs of all clients,
// compared byte by byte (SEC S-70). Other origins get no CORS header.
func (s *Server) CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origins := r.Header["Origin"]
		if len(origins) != 1 || !s.clients.trusts(r.Context(), origins[0]) {
			if preflight(r) {
				writeJSON(w, http.StatusForbidden, errorBody{"access_denied", "The origin is not a trusted origin of any client."})
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Allow-Credentials", "true")
		allow(next, w, r)
	})
}

// anyOrigin lets every page read next, without credentials.
func anyOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		allow(next, w, r)
	})
}

func allow(next http.Handler, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if preflight(r) {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
	next.ServeHTTP(w, r)
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// originOf returns the origin of an http URL as browsers write it in the Origin
// header, "" for anything else.
func originOf(raw string) string {
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
