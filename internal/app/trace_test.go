package app_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/oauth"
)

// spans takes traces as a collector does.
type spans struct {
	t   *testing.T
	mu  sync.Mutex
	raw string
	all []*trace.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		s.t.Errorf("%s: %v", r.URL.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw += string(body)
	for _, resource := range in.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *spans) named(name string) *trace.Span {
	for _, x := range s.all {
		if x.Name == name {
			return x
		}
	}
	s.t.Errorf("no span %q", name)
	return &trace.Span{}
}

func TestREL_R30_Traces(t *testing.T) {
	got := &spans{t: t}
	box := httptest.NewServer(got)
	defer box.Close()
	e := startNode(t, app.Config{
		Dir: t.TempDir(), Limits: limits(), Traces: box.URL, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
	})
	c, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{"http://localhost:8080/cb"}}, false, time.Now())
	if err == nil {
		err = e.OAuth.AddClient(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.client = c.ID
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
	if token.Kind != trace.Span_SPAN_KIND_SERVER {
		t.Errorf("%v", token)
	}
	ids, wrote := map[string]bool{}, false
	for _, x := range got.all {
		ids[hex.EncodeToString(x.TraceId)] = true
		if x.Name == "store.write" && string(x.ParentSpanId) == string(token.SpanId) && string(x.TraceId) == string(token.TraceId) {
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
