package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// RemoteIP is the address of the client, "" if it has none: that of the other
// end of the connection, or what BehindProxies found it to be.
func RemoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.WithZone("").Unmap().String()
	}
	return host
}

// Source is what counts as one client: an address, or the network of IPv6 that one
// customer is given, /64 (SEC S-06). Trusted proxies speak for many and are none.
func Source(a netip.Addr, trusted []netip.Prefix) (source netip.Addr, ok bool) {
	a = a.WithZone("").Unmap()
	if !a.IsValid() || within(trusted, a) {
		return netip.Addr{}, false
	}
	if a.Is6() {
		network, _ := a.Prefix(64) // fails for other lengths only
		a = network.Addr()
	}
	return a, true
}

const forwardedFor = "X-Forwarded-For"

// BehindProxies gives next, as the other end of the connection, the client that
// the trusted proxies say they have: the right-most address of X-Forwarded-For
// that is not one of theirs. Of the header it leaves what that client sent
// itself. Whoever is no trusted proxy speaks for itself alone (SEC S-111), and
// continues no trace.
func BehindProxies(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddr(RemoteIP(r))
		if err != nil || !within(trusted, peer) {
			next.ServeHTTP(w, untraced(r))
			return
		}
		hops := strings.Split(strings.Join(r.Header.Values(forwardedFor), ","), ",")
		client := peer
		for len(hops) > 0 && within(trusted, client) {
			a, ok := hop(hops[len(hops)-1])
			if !ok { // nobody can tell who is behind it
				break
			}
			client, hops = a, hops[:len(hops)-1]
		}
		inner := *r // the headers are this request's alone
		inner.RemoteAddr = net.JoinHostPort(client.String(), "0")
		inner.Header = r.Header.Clone()
		inner.Header.Del(forwardedFor)
		if left := strings.TrimSpace(strings.Join(hops, ",")); left != "" {
			inner.Header.Set(forwardedFor, left)
		}
		next.ServeHTTP(w, &inner)
	})
}

// untraced is the request without what makes it a part of somebody's trace.
func untraced(r *http.Request) *http.Request {
	if r.Header.Get("Traceparent") == "" {
		return r
	}
	inner := *r
	inner.Header = r.Header.Clone()
	inner.Header.Del("Traceparent")
	inner.Header.Del("Tracestate")
	return &inner
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hop reads one address of the header, which some proxies write with a port.
func hop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err == nil {
			a = ap.Addr()
		}
	}
	return a.WithZone("").Unmap(), err == nil
}
