package limit

import (
	"net/netip"
	"strings"
)

// unknownSource is one source: an address that cannot be told must not be a way
// around the limits.
const unknownSource = "unknown"

// Source is the name under which a client's address counts: an IPv4 address by
// itself, an IPv6 address as its /64, which one customer has all of (SEC S-06). An
// IPv4 address in IPv6 form is the IPv4 address (S-111). Which address is the
// client's is for the caller to find out.
func Source(a netip.Addr) string { return prefix(a, 32, 64) }

// Network is the larger lane that a source lies in: /24 and /48 (SEC S-108).
func Network(a netip.Addr) string { return prefix(a, 24, 48) }

func prefix(a netip.Addr, v4, v6 int) string {
	a = a.WithZone("").Unmap()
	bits := v6
	if a.Is4() {
		bits = v4
	}
	p, err := a.Prefix(bits)
	if err != nil || !p.IsValid() {
		return unknownSource
	}
	return p.String()
}

// FoldAddress is the name under which a canonical address counts: without its
// plus-tag and the dots before the @, which at many providers lead to one mailbox
// (SEC S-11). It never identifies anybody, for at others they lead to two.
func FoldAddress(canonical string) string {
	local, domain := canonical, ""
	if at := strings.LastIndexByte(canonical, '@'); at >= 0 {
		local, domain = canonical[:at], canonical[at:]
	}
	local, _, _ = strings.Cut(local, "+")
	return strings.ReplaceAll(local, ".", "") + domain
}
