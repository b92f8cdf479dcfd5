package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestSEC_S120_Public(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "::ffff:8.8.8.8": true, "2606:4700::1111": true, "64:ff9b::808:808": true, "2002:808:808::1": true,

		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false, "0.0.0.0": false, "::": false,
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false, "fd00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fec0::1": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "198.18.0.1": false, "2001:db8::1": false, "3fff::1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::808:808": false, "2002:7f00:1::1": false, "2002:c0a8:101::1": false,
		"2001:0:808:808::1": false, "::ffff:169.254.169.254": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is a public one")
	}
}

// A name that leads inside is refused when it is dialled, in whatever form the
// address is written.
func TestSEC_S120_NothingInsideIsDialled(t *testing.T) {
	reached := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer s.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient()
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "10.0.0.1", "[fe80::1]"} {
		res, err := c.Get("https://" + host + ":" + port)
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, ErrNotPublic) {
			t.Errorf("%s: %v", host, err)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil || len(addresses) == 0 {
		t.Fatalf("%v, %v", addresses, err)
	}
	for _, a := range addresses {
		if p := netip.MustParsePrefix(a.String()); !among(addresses, p.Addr()) {
			t.Errorf("%s is not this machine's", p.Addr())
		}
	}
	if reached {
		t.Error("the server inside was asked")
	}
}

// One's own public address is refused; where a machine does not tell its addresses,
// nothing is dialled, and nothing is said of the address.
func TestSEC_S120_OwnAddresses(t *testing.T) {
	denied := errors.New("netlinkrib: address family not supported by protocol")
	for name, c := range map[string]struct {
		addresses []net.Addr
		fails     error
		want      error
	}{
		"its own": {addresses: []net.Addr{&net.IPNet{IP: net.IPv4(8, 8, 8, 8), Mask: net.CIDRMask(24, 32)}}, want: ErrNotPublic},
		"unknown": {fails: denied, want: ErrOwnUnknown},
	} {
		res, err := newClient(func() ([]net.Addr, error) { return c.addresses, c.fails }).Get("https://8.8.8.8")
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, c.want) || c.fails != nil && (!errors.Is(err, denied) || errors.Is(err, ErrNotPublic)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSEC_S120_NoRedirectNoProxy(t *testing.T) {
	c := NewClient()
	if err := c.CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("redirects: %v", err)
	}
	if tr := c.Transport.(*http.Transport); tr.Proxy != nil || c.Jar != nil || c.Timeout == 0 || tr.MaxResponseHeaderBytes == 0 {
		t.Errorf("%+v", c)
	}
}
