package oauth

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/text/language"
)

func FuzzRefreshToken(f *testing.F) {
	e := newEnv(f)
	good := e.server.refreshToken("rf0123456789ABCDEFGHIJKL", 10)
	f.Add(good)
	f.Add(strings.ToUpper(good))
	f.Add(good[:len(good)-1])
	f.Add("rt.rf0123456789ABCDEFGHIJKL.+000000a." + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, ok := e.server.parseRefreshToken(token); ok != (token == good) {
			t.Fatalf("%q: %v", token, ok)
		}
	})
}

func FuzzBasic(f *testing.F) {
	f.Add("Basic " + b64("id:secret"))
	f.Add("basic " + b64("id"))
	f.Add("Basic  " + b64(":"))
	f.Add("Basic =")
	f.Fuzz(func(t *testing.T, header string) {
		if id, _, ok := parseBasic(header); ok && id == "" {
			t.Fatalf("%q names no client", header)
		}
	})
}

// SEC S-138: whatever is asked for, what is passed on is a language tag or nothing.
func FuzzLocale(f *testing.F) {
	for _, s := range []string{"", "*", "de", "en-GB,en;q=0.5", "de;q=x", "x-klingon", strings.Repeat("a-", 100), "und", "zh_Hant_TW"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := locale(header)
		if got == "" {
			return
		}
		if _, err := language.Parse(got); err != nil || len(header) > maxLocale {
			t.Fatalf("%q gives %q: %v", header, got, err)
		}
	})
}

func FuzzForm(f *testing.F) {
	e := newEnv(f)
	f.Add(redemption("ic.x").Encode(), "")
	f.Add("a=1&a=2", "b=%zz")
	f.Add("grant_type=refresh_token&client_id=0oaSpa&refresh_token=%00", "client_id=x;y")
	f.Fuzz(func(t *testing.T, body, query string) {
		r := request(http.MethodPost, tokenPath, body)
		r.URL.RawQuery = query
		here := *e
		here.t = t
		if got := here.do(r); got.Status < 400 || got.Status >= 500 || got.text("error") == "" || got.text("error_description") == "" {
			t.Fatalf("%d %s", got.Status, got.Raw)
		}
	})
}
