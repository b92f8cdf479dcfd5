package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/internal/app"
)

// spans takes traces as a collector does.
type spans struct {
	t   *testing.T
	mu  sync.Mutex
	raw string
	all []span
}

type span struct {
	TraceID, SpanID, ParentSpanID string
	Name                          string
	Kind                          int
	StartTimeUnixNano             string
	Attributes                    []attribute
}

type attribute struct {
	Key   string
	Value map[string]any
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in struct {
		ResourceSpans []struct {
			ScopeSpans []struct{ Spans []span }
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "a b" {
		s.t.Errorf("%s: %v, %v", r.URL.Path, r.Header, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw += string(body)
	for _, resource := range in.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
}

func (s *spans) named(name string) span {
	for _, x := range s.all {
		if x.Name == name {
			return x
		}
	}
	s.t.Errorf("no span %q", name)
	return span{}
}

func TestREL_R30_Traces(t *testing.T) {
	got := &spans{t: t}
	box := httptest.NewServer(got)
	defer box.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
	e := startNode(t, app.Config{
		Dir: t.TempDir(), Limits: limits(), Traces: box.URL, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
	})
	e.register(t)
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	const proxied, strange = "4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000bad"
	for from, id := range map[string]string{"127.0.0.2:1": proxied, "127.0.0.3:1": strange} {
		r := httptest.NewRequest("GET", e.url+"/oauth2/default/v1/keys", nil)
		r.RemoteAddr = from
		r.Header.Set("Traceparent", "00-"+id+"-00f067aa0ba902b7-01")
		e.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	e.stop()
	got.mu.Lock()
	defer got.mu.Unlock()
	token := got.named("/oauth2/default/v1/token")
	if token.Kind != 2 || !slices.ContainsFunc(token.Attributes, func(a attribute) bool { return a.Key == "stile.flow" }) {
		t.Errorf("%+v", token)
	}
	ids, wrote := map[string]bool{}, false
	for _, x := range got.all {
		ids[x.TraceID] = true
		if x.Name == "store.write" && x.ParentSpanID == token.SpanID && x.TraceID == token.TraceID {
			wrote = true
		}
	}
	if !wrote {
		t.Error("the redemption has no transaction in its trace")
	}
	got.named("deliver")
	if !ids[proxied] || ids[strange] {
		t.Errorf("a proxy's trace goes on: %v; a stranger's: %v", ids[proxied], ids[strange])
	}
	for _, secret := range []string{"ada@example.com", "Lovelace", e.client + "&"} {
		if strings.Contains(got.raw, secret) {
			t.Errorf("spans have %q", secret)
		}
	}
}
