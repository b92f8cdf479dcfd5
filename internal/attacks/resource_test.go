package attacks

import (
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/ion"
	"github.com/stile-id/stile/stiletest"
)

// S-135, T-25: what a body makes the engine keep is in proportion to its size.
func TestSEC_S135_BodiesDoNotGrow(t *testing.T) {
	long := strings.Repeat("k", 50<<10)
	var wide strings.Builder
	for i := range 900 {
		fmt.Fprintf(&wide, `"%x":1,`, i)
	}
	members := strings.TrimSuffix(wide.String(), ",")
	deep := strings.Repeat(`{"`+strings.Repeat("k", 3000)+`":`, 15)
	for name, body := range map[string]string{
		"a long name around many": `{"` + long + `":{` + members + `}}`,
		"long names in names":     deep + `{` + members + `}` + strings.Repeat("}", 15),
		"arrays":                  `{"` + long + `":{"a":[` + strings.Repeat("[],", 400) + `[]]}}`,
	} {
		if len(body) > 64<<10 {
			t.Fatalf("%s: %d bytes are refused anyway", name, len(body))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b, err := ion.Decode([]byte(body))
		runtime.ReadMemStats(&after)
		kept := 0
		for path := range b.Values {
			kept += len(path)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 || kept > 1<<20 {
			t.Errorf("%s: %d bytes of body make %d MiB, of which %d KiB stay (%v)", name, len(body), grown>>20, kept>>10, err)
		}
	}
}

// S-135: whatever is posted, the answer is a refusal and never a fault.
func TestSEC_S135_HostileBodies(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	for _, body := range []string{
		"", "null", "[]", "0", `""`, "{", "{}", `{"stateHandle":null}`, `{"stateHandle":1}`, `{"stateHandle":{}}`, `{"stateHandle":[]}`, `{"stateHandle":""}`,
		`{"stateHandle":"x","stateHandle":"y"}`, `{} {}`, `{}x`, strings.Repeat("[", 70_000), `{"a":` + strings.Repeat("[", 30_000), `{"a":` + strings.Repeat(`{"a":`, 10_000),
		"\xff\xfe", `{"a":"` + "\xff" + `"}`, `{"a":1e999999}`, `{"a":` + strings.Repeat("9", 60_000) + `}`, `{"\u0000":"\u0000"}`, `{"a":"\ud800"}`,
		strings.Repeat(" ", 70_000), `{"a":"` + strings.Repeat("x", 70_000) + `"}`,
	} {
		for _, action := range []string{"introspect", "identify", "enroll/new", "challenge/answer", "challenge/poll", "cancel"} {
			a := w.do("POST", e.URL+"/idp/idx/"+action, ionType, body)
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s with %.40q: %d %s", action, body, a.status, a.body)
			}
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "application/json;okta-version=2.0.0", "x"} {
		a := w.do("POST", e.URL+"/idp/idx/identify", kind, fmt.Sprintf(`{"stateHandle":%q,"identifier":"x@example.com"}`, w.state))
		if a.status < 400 || a.status >= 500 {
			t.Errorf("content type %q: %d", kind, a.status)
		}
	}
	for _, v := range []url.Values{
		{"state": {strings.Repeat("s", 5000)}}, {"nonce": {strings.Repeat("n", 5000)}}, {"scope": {strings.Repeat("x ", 2000)}}, {"scope": {"openid openid admin"}}, {"scope": {"\x00"}},
		{"code_challenge": {"short"}}, {"code_challenge_method": {"plain"}}, {"login_hint": {strings.Repeat("h", 5000)}}, {"max_age": {"-1"}}, {"max_age": {"99999999999999999999"}},
		{"client_id": {"0oaunknown"}}, {"client_id": {"' OR 1=1 --"}}, {"acr_values": {"urn:evil"}}, {"activation_token": {"x"}}, {"recovery_token": {"x"}},
	} {
		a := w.interact(func(all url.Values) {
			for k, one := range v {
				all[k] = one
			}
		})
		if a.status < 400 || a.status >= 500 || a.str("interaction_handle") != "" {
			t.Errorf("interact with %.60v: %d %s", v, a.status, a.body)
		}
	}
	if a := w.introspect(); a.status != 200 || !a.has("identify") {
		t.Errorf("after all that: %d %s", a.status, a.body)
	}
}
