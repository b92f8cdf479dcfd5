package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A told is a log that a test reads.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *told) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *told) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// requests are the log's lines of requests, as route and flow.
func (l *told) requests(t *testing.T) (all []struct{ Msg, Route, Flow string }) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var r struct{ Msg, Route, Flow string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Msg == "request" {
			all = append(all, r)
		}
	}
	return all
}

// REL R-30: one flow has one name in the logs of all nodes, from its first request to
// its tokens, and it is no part of what a flow is used by.
func TestREL_R30_OneFlowOverAllNodes(t *testing.T) {
	database := pgtest.Database(t)
	var logs [2]told
	one := startNode(t, app.Config{Dir: t.TempDir(), Database: database, Limits: limits(), Logger: logs[0].logger()})
	one.register(t)
	two := startNode(t, app.Config{Dir: one.dir, Database: database, PublicURL: one.url, Limits: limits(), Logger: logs[1].logger()})
	both := &engine{App: one.App, url: one.url, client: one.client, http: one.http, nodes: []*engine{one, two}}

	seen := map[string]map[string]int{} // flow -> route -> requests
	nodes := map[string]map[int]bool{}
	for i := range 2 {
		address := fmt.Sprintf("ada%d@example.com", i)
		h, err := both.enrolled(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := both.code(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		for _, n := range both.nodes { // the mailed link
			for _, m := range n.Inbox.Messages(address) {
				res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(m.Link)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
			}
		}
		if _, err := both.redeemed(t.Context(), h, address); err != nil {
			t.Fatal(err)
		}
		id := strings.Split(h, ".")[2]
		for n := range logs {
			if strings.Contains(logs[n].String(), id) {
				t.Error("the log has the transaction's id")
			}
		}
		both.turn.Add(1) // the second begins at the other node
	}
	if _, err := both.idx("introspect", `{"stateHandle":"02.id.`+strings.Repeat("t", 24)+"."+strings.Repeat("m", 43)+`"}`); err == nil {
		t.Error("a handle that was made up is good")
	}
	for n := range logs {
		for _, r := range logs[n].requests(t) {
			if seen[r.Flow] == nil {
				seen[r.Flow], nodes[r.Flow] = map[string]int{}, map[int]bool{}
			}
			seen[r.Flow][r.Route]++
			nodes[r.Flow][n] = true
		}
	}
	if n := seen[""]["/idp/idx/{action...}"]; n != 1 {
		t.Errorf("%d requests of no flow, not the made-up one alone: %v", n, seen[""])
	}
	delete(seen, "")
	if len(seen) != 2 {
		t.Errorf("%d flows, not two: %v", len(seen), seen)
	}
	for flow, routes := range seen {
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(flow) || len(nodes[flow]) != 2 {
			t.Errorf("flow %q at %d nodes", flow, len(nodes[flow]))
		}
		for route, want := range map[string]int{
			"/oauth2/default/v1/interact": 1, "/idp/idx/{action...}": 5, "GET /email/verify/{token}": 1, "/oauth2/default/v1/token": 1,
		} {
			if routes[route] != want {
				t.Errorf("flow %s has %d requests at %s, not %d: %v", flow, routes[route], route, want, routes)
			}
		}
	}
}
