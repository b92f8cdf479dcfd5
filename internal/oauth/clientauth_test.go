package oauth

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/problem"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestSEC_S87_ClientAuthentication(t *testing.T) {
	e := newEnv(t)
	e.addClient(Client{ID: "0oaOdd", Secrets: [][]byte{HashSecret("p%20+:/ä"), HashSecret("next")}, RedirectURIs: []string{webCallback}}, true)
	e.addClient(Client{ID: "0oaOff", RedirectURIs: []string{webCallback}, Disabled: true}, false)
	const (
		ok       = ""
		unknown  = "Invalid value for 'client_id' parameter."
		wrong    = "The client secret supplied for a confidential client is invalid."
		missing  = "A confidential client must authenticate with its client secret."
		noClient = "A client_id must be provided in the request."
		twoWays  = "Only one way of client authentication may be used in a request."
		differs  = "The client_id differs from the one in the Authorization header."
		badBasic = "The Authorization header is not of the form 'Basic base64(client_id:client_secret)'."
	)
	for _, c := range []struct {
		name   string
		form   []string
		header []string
		want   string
	}{
		{"post", []string{"client_id", webID, "client_secret", webSecret}, nil, ok},
		{"post wrong", []string{"client_id", webID, "client_secret", webSecret + "x"}, nil, wrong},
		{"post cut", []string{"client_id", webID, "client_secret", webSecret[:5]}, nil, wrong},
		{"post without secret", []string{"client_id", webID}, nil, missing},
		{"post with empty secret", []string{"client_id", webID, "client_secret", ""}, nil, missing},
		{"post secret alone", []string{"client_secret", webSecret}, nil, noClient},
		{"basic", nil, []string{"Basic " + b64(webID+":"+webSecret)}, ok},
		{"basic lower case", nil, []string{"basic " + b64(webID+":"+webSecret)}, ok},
		{"basic unpadded", nil, []string{"Basic " + strings.TrimRight(b64(webID+":"+webSecret), "=")}, ok},
		{"basic and the same id", []string{"client_id", webID}, []string{"Basic " + b64(webID+":"+webSecret)}, ok},
		{"basic and another id", []string{"client_id", spaID}, []string{"Basic " + b64(webID+":"+webSecret)}, differs},
		{"basic and post", []string{"client_id", webID, "client_secret", webSecret}, []string{"Basic " + b64(webID+":"+webSecret)}, twoWays},
		{"basic twice", nil, []string{"Basic " + b64(webID+":"+webSecret), "Basic " + b64(webID+":"+webSecret)}, twoWays},
		{"basic wrong", nil, []string{"Basic " + b64(webID+":no")}, wrong},
		{"basic without colon", nil, []string{"Basic " + b64(webID)}, missing},
		{"basic not base64", nil, []string{"Basic ***"}, badBasic},
		{"basic empty", nil, []string{"Basic "}, badBasic},
		{"bearer", []string{"client_id", webID}, []string{"Bearer x"}, badBasic},
		{"public", []string{"client_id", spaID}, nil, ok},
		{"public, basic without colon", nil, []string{"Basic " + b64(spaID)}, ok},
		{"public, basic with colon", nil, []string{"Basic " + b64(spaID+":")}, ok},
		{"public with a secret", []string{"client_id", spaID, "client_secret", "x"}, nil, wrong},
		{"public with an empty secret", []string{"client_id", spaID, "client_secret", ""}, nil, ok},
		{"none", nil, nil, noClient},
		{"unknown", []string{"client_id", "0oaNobody"}, nil, unknown},
		{"disabled", []string{"client_id", "0oaOff"}, nil, unknown},
		{"odd secret, post", []string{"client_id", "0oaOdd", "client_secret", "p%20+:/ä"}, nil, ok},
		{"odd secret, basic as it is", nil, []string{"Basic " + b64("0oaOdd:p%20+:/ä")}, ok},
		{"odd secret, basic form-encoded", nil, []string{"Basic " + b64("0oaOdd:"+url.QueryEscape("p%20+:/ä"))}, ok},
		{"second secret", []string{"client_id", "0oaOdd", "client_secret", "next"}, nil, ok},
		{"assertion", []string{"client_id", webID, "client_assertion", "x"}, nil, "Client assertions are not supported."},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			for _, h := range c.header {
				headers = append(headers, "Authorization", h)
			}
			r := e.post("/oauth2/default/v1/introspect", with(form(c.form...), "token", "unknown"), headers...)
			if c.want == ok {
				if r.Status != http.StatusOK || r.Body["active"] != false {
					t.Errorf("%d %s", r.Status, r.Raw)
				}
				return
			}
			status, code := 401, "invalid_client"
			if c.want == twoWays || c.want == differs {
				status, code = 400, "invalid_request"
			}
			wantRefusal(t, r, status, code, c.want)
			// SEC S-99: a challenge only for who tried that way
			tried := len(c.header) > 0 && strings.HasPrefix(strings.ToLower(c.header[0]), "basic")
			if got := r.Header.Get("WWW-Authenticate"); (got != "") != (tried && status == 401) {
				t.Errorf("WWW-Authenticate %q", got)
			}
		})
	}
	if strings.Contains(e.logs.String(), webSecret) || strings.Contains(e.logs.String(), b64(webID+":"+webSecret)) {
		t.Error("a secret is in the log")
	}
}

func TestSEC_S87_SecretRotation(t *testing.T) {
	e := newEnv(t)
	ctx := context.Background()
	try := func(secret string) int {
		return e.post("/oauth2/default/v1/introspect", form("client_id", webID, "client_secret", secret, "token", "x")).Status
	}
	c, err := e.server.Client(ctx, webID)
	if err != nil {
		t.Fatal(err)
	}
	next, hash := NewSecret()
	if len(next) != 43 {
		t.Errorf("secret of %d characters", len(next))
	}
	c.Secrets = append(c.Secrets, hash)
	if err := e.server.UpdateClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	if try(webSecret) != 200 || try(next) != 200 {
		t.Error("two secrets must be live at once")
	}
	if err := e.server.UpdateClient(ctx, c); problem.KindOf(err) != problem.Stale {
		t.Errorf("a second update of the same version: %v", err)
	}
	c, _ = e.server.Client(ctx, webID)
	c.Secrets = c.Secrets[1:]
	if err := e.server.UpdateClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	if try(webSecret) != 401 || try(next) != 200 {
		t.Error("the old secret must be dead")
	}
}

// What another node wrote is seen after a second.
func TestRegistryAge(t *testing.T) {
	a := newEnv(t)
	b := a.second()
	status := func(e *env, id string) int {
		return e.post("/oauth2/default/v1/introspect", form("client_id", id, "token", "x")).Status
	}
	if status(b, spaID) != 200 || status(b, "0oaNew") != 401 {
		t.Fatal("before")
	}
	a.addClient(Client{ID: "0oaNew", RedirectURIs: []string{webCallback}}, false)
	c, _ := a.server.Client(context.Background(), spaID)
	c.Disabled = true
	if err := a.server.UpdateClient(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if status(a, "0oaNew") != 200 || status(a, spaID) != 401 {
		t.Error("the node that wrote must see it at once")
	}
	reads := a.store.readRows
	status(b, "0oaNew")
	status(b, "0oaNew")
	if a.store.readRows != reads {
		t.Error("nothing within a second must read")
	}
	a.clock.Move(registryAge)
	if status(b, "0oaNew") != 200 {
		t.Error("a new client is still unknown")
	}
	if status(b, spaID) != 401 {
		t.Error("a disabled client still works")
	}
}
