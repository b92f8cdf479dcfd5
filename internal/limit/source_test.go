package limit

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestSEC_S06_S111_Source(t *testing.T) {
	for _, tc := range []struct{ address, source, network string }{
		{"192.0.2.77", "192.0.2.77/32", "192.0.2.0/24"},
		{"::ffff:192.0.2.77", "192.0.2.77/32", "192.0.2.0/24"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"2001:db8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"fe80::1%eth0", "fe80::/64", "fe80::/48"},
		{"::ffff:192.0.2.77%eth0", "192.0.2.77/32", "192.0.2.0/24"},
		{"::1", "::/64", "::/48"},
	} {
		a := netip.MustParseAddr(tc.address)
		if s, n := Source(a), Network(a); s != tc.source || n != tc.network {
			t.Errorf("%s: %s and %s, want %s and %s", tc.address, s, n, tc.source, tc.network)
		}
	}
	if Source(netip.Addr{}) != "unknown" || Network(netip.Addr{}) != "unknown" {
		t.Error("no address is not one source")
	}
}

func TestSEC_S11_FoldAddress(t *testing.T) {
	for _, tc := range []struct{ address, want string }{
		{"jane@example.org", "jane@example.org"},
		{"j.a.n.e@example.org", "jane@example.org"},
		{"jane+shop@example.org", "jane@example.org"},
		{"jane.+shop+x.y@example.org", "jane@example.org"},
		{"jane-shop@mail.example.org", "jane-shop@mail.example.org"},
		{"+a@example.org", "@example.org"},
		{"jane", "jane"},
		{"", ""},
	} {
		if got := FoldAddress(tc.address); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.address, got, tc.want)
		}
	}
}

func TestSEC_S11_FoldAddressTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := FoldAddress(rapid.StringMatching(`[a-z.+]{0,8}@?[a-z.+]{0,8}`).Draw(t, "address"))
		if twice := FoldAddress(once); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}

// Two lists of parts have two keys, whatever is in them.
func TestSEC_S50_Key(t *testing.T) {
	part := rapid.StringMatching(`[a/%2F5]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(part, 1, 4).Draw(t, "a")
		b := rapid.SliceOfN(part, 1, 4).Draw(t, "b")
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = a[i] == b[i]
		}
		if got := Key(a[0], a[1:]...) == Key(b[0], b[1:]...); got != same {
			t.Fatalf("%q and %q: %q and %q", a, b, Key(a[0], a[1:]...), Key(b[0], b[1:]...))
		}
	})
	if got := GuessKey("00uA", "okta_email", Unknown); got != "guess/00uA/okta_email/unknown" {
		t.Fatal(got)
	}
}
