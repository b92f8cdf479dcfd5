package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// KnownHosts answers 421 to requests that are for none of hosts, nor for this
// machine by a loopback name: a page whose name was made to lead here must not be
// answered (DNS rebinding), and nothing that is made from a Host may be cached
// under a wrong one (SEC S-136). Ports do not matter. What asks for one of the
// open paths, as balancers do by address, is answered always.
func KnownHosts(hosts, open []string, next http.Handler) http.Handler {
	var known []string
	for _, h := range hosts {
		known = append(known, hostName(h))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := hostName(r.Host)
		if !slices.Contains(known, h) && !loopbackName(h) && !slices.Contains(open, r.URL.Path) {
			w.Header().Set("Connection", "close") // what else comes on it is misdirected too
			http.Error(w, "Misdirected Request: no such host here", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host without its port, in the one form that compares.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func loopbackName(h string) bool {
	a, err := netip.ParseAddr(h)
	return h == "localhost" || strings.HasSuffix(h, ".localhost") || err == nil && a.Unmap().IsLoopback()
}
