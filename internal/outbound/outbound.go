// Package outbound is the HTTP client for addresses that somebody else has chosen: it
// reaches what is public, and nothing of the networks that the engine stands in.
package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// What one request may cost (SEC S-120).
const (
	connect    = 3 * time.Second
	total      = 10 * time.Second
	maxHeaders = 64 << 10
)

var (
	// ErrNotPublic refuses an address that is not for everybody.
	ErrNotPublic = errors.New("outbound: the address is not a public one")
	// ErrOwnUnknown says nothing of the address: this machine did not tell its own, as a
	// sandbox without AF_NETLINK keeps it from doing, and nothing is dialled meanwhile.
	ErrOwnUnknown = errors.New("outbound: the addresses of this machine cannot be read")
)

// NewClient returns a client that follows no redirect, asks no proxy and keeps no
// cookie. It looks at the address that is dialled, whatever a name resolved to before:
// one that answers differently the second time leads nowhere else (SEC S-120).
func NewClient() *http.Client { return newClient(net.InterfaceAddrs) }

func newClient(addresses func() ([]net.Addr, error)) *http.Client {
	dialer := &net.Dialer{Timeout: connect, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !Public(to.Addr()) {
			return ErrNotPublic
		}
		all, err := addresses()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrOwnUnknown, err)
		}
		if among(all, to.Addr()) {
			return ErrNotPublic
		}
		return nil
	}}
	return &http.Client{
		Timeout:       total,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: connect,
			MaxResponseHeaderBytes: maxHeaders, MaxConnsPerHost: 8, MaxIdleConns: 16, IdleConnTimeout: time.Minute,
		},
	}
}

// reserved are the networks of IPv4 that are not for everybody (RFC 6890).
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
)

// IPv6 has one block for everybody, of which some is not, and two that embed IPv4.
var (
	global    = netip.MustParsePrefix("2000::/3")
	reserved6 = prefixes("2001::/23", "2001:db8::/32", "3fff::/20")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// Public reports whether an address is one of the internet at large, also where it
// stands for one of IPv4.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	if a.Is4() {
		return !within(reserved, a)
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return Public(netip.AddrFrom4([4]byte(b[12:16])))
	case sixToFour.Contains(a):
		return Public(netip.AddrFrom4([4]byte(b[2:6])))
	}
	return global.Contains(a) && !within(reserved6, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// among reports whether an address is one of a machine's.
func among(all []net.Addr, a netip.Addr) bool {
	for _, n := range all {
		if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr().Unmap() == a.Unmap().WithZone("") {
			return true
		}
	}
	return false
}
