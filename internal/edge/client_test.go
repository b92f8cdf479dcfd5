package edge_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

func TestRemoteIP(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[2001:db8::1]:443": "2001:db8::1", "@": "", "": "",
		"[::ffff:192.0.2.1]:1": "192.0.2.1", "[fe80::1%eth0]:1": "fe80::1",
	} {
		if got := edge.RemoteIP(&http.Request{RemoteAddr: addr}); got != want {
			t.Errorf("%q: %q", addr, got)
		}
	}
}

func TestSEC_S111_ClientAddress(t *testing.T) {
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/48")}
	type header = []string
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		peer    string
		header  header
		client  string
		left    string // of the header
	}{
		"no proxy is trusted":      {nil, "10.0.0.1:1", header{"203.0.113.5"}, "10.0.0.1", "203.0.113.5"},
		"a stranger's header":      {ours, "198.51.100.1:1", header{"203.0.113.5"}, "198.51.100.1", "203.0.113.5"},
		"one proxy":                {ours, "10.0.0.1:1", header{"203.0.113.5"}, "203.0.113.5", ""},
		"one proxy, no header":     {ours, "10.0.0.1:1", nil, "10.0.0.1", ""},
		"empty header":             {ours, "10.0.0.1:1", header{""}, "10.0.0.1", ""},
		"the client lies":          {ours, "10.0.0.1:1", header{"127.0.0.1, 203.0.113.5"}, "203.0.113.5", "127.0.0.1"},
		"it names a proxy of ours": {ours, "10.0.0.1:1", header{"10.0.0.9, 203.0.113.5"}, "203.0.113.5", "10.0.0.9"},
		"two proxies":              {ours, "10.0.0.1:1", header{"1.1.1.1, 203.0.113.5, 192.0.2.7"}, "203.0.113.5", "1.1.1.1"},
		"in two lines":             {ours, "10.0.0.1:1", header{"1.1.1.1, 203.0.113.5", "192.0.2.7"}, "203.0.113.5", "1.1.1.1"},
		"a client within":          {ours, "10.0.0.1:1", header{"10.0.0.5"}, "10.0.0.5", ""},
		"nonsense":                 {ours, "10.0.0.1:1", header{"203.0.113.5, unknown"}, "10.0.0.1", "203.0.113.5, unknown"},
		"nonsense behind a proxy":  {ours, "10.0.0.1:1", header{"203.0.113.5, <x>, 192.0.2.7"}, "192.0.2.7", "203.0.113.5, <x>"},
		"IPv4 in IPv6 form":        {ours, "[::ffff:10.0.0.1]:1", header{"::ffff:203.0.113.5"}, "203.0.113.5", ""},
		"IPv6":                     {ours, "[2001:db8:1::1]:1", header{"2001:DB8:2::5"}, "2001:db8:2::5", ""},
		"with ports":               {ours, "10.0.0.1:1", header{"203.0.113.5:4711, 192.0.2.7:80"}, "203.0.113.5", ""},
		"IPv6 with a port":         {ours, "10.0.0.1:1", header{"[2001:db8:2::5]:4711"}, "2001:db8:2::5", ""},
		"other headers":            {ours, "10.0.0.1:1", header{}, "10.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, h := range c.header {
				r.Header.Add("X-Forwarded-For", h)
			}
			for _, h := range []string{"X-Real-Ip", "True-Client-Ip", "Forwarded", "X-Client-Ip"} {
				r.Header.Set(h, "203.0.113.99")
			}
			client, left := "", ""
			edge.BehindProxies(c.trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				client, left = edge.RemoteIP(r), strings.Join(r.Header.Values("X-Forwarded-For"), "|")
			})).ServeHTTP(httptest.NewRecorder(), r)
			if client != c.client || left != c.left {
				t.Errorf("client %q, left %q", client, left)
			}
		})
	}
}
