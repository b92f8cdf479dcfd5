package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A machine is one whose clock is set wrong, and may be set again.
type machine struct{ off atomic.Int64 }

func (m *machine) now() time.Time { return time.Now().Add(time.Duration(m.off.Load())) }

// REL R-15: nodes whose clocks are hours apart act as one, and no token is of the future.
func TestREL_R15_ClocksThatDiffer(t *testing.T) {
	for _, tt := range []struct {
		name     string
		one, two time.Duration
	}{
		{"a few seconds", -5 * time.Second, 5 * time.Second},
		{"an hour behind and right", -time.Hour, 0},
		{"an hour behind and an hour ahead", -time.Hour, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			database := pgtest.Database(t)
			var clocks [2]machine
			clocks[0].off.Store(int64(tt.one))
			clocks[1].off.Store(int64(tt.two))
			one := startNode(t, app.Config{Dir: t.TempDir(), Database: database, Limits: limits(), Machine: clocks[0].now})
			two := startNode(t, app.Config{Dir: one.dir, Database: database, Limits: limits(), PublicURL: one.url, Machine: clocks[1].now})
			c, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{"http://localhost:8080/cb"}}, false, one.Time())
			if err == nil {
				err = one.OAuth.AddClient(t.Context(), c)
			}
			if err != nil {
				t.Fatal(err)
			}
			both := &engine{App: one.App, url: one.url, client: c.ID, http: one.http, nodes: []*engine{one, two}}
			for _, address := range []string{"ada@example.com", "bob@example.com"} { // the second begins at the other node
				tokens, err := both.signUp(t.Context(), address)
				if err != nil {
					t.Fatal(err)
				}
				token := tokens["access_token"].(string)
				if off := time.Since(issued(t, token)); off.Abs() > time.Minute {
					t.Errorf("a token is %v old", off)
				}
				for _, node := range both.nodes {
					if !node.accepted(t, token) {
						t.Error("a node does not accept it")
					}
				}
				both.turn.Add(1)
			}
			// One is set right, the other wrong: nothing begun ends by it.
			tokens, err := both.signUp(t.Context(), "eve@example.com")
			if err != nil {
				t.Fatal(err)
			}
			for i, node := range both.nodes {
				clocks[i].off.Add(int64(2 * time.Hour))
				if err := node.CompareClocks(t.Context()); err != nil {
					t.Fatal(err)
				}
				if off := time.Since(node.Time()); off.Abs() > 5*time.Second {
					t.Errorf("its time is %v off", off)
				}
				if !node.accepted(t, tokens["access_token"].(string)) {
					t.Error("not accepted after a step of the clock")
				}
			}
		})
	}
}

// issued is when a token says that it was made.
func issued(t *testing.T, token string) time.Time {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct {
		IssuedAt int64 `json:"iat"`
	}
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.IssuedAt, 0)
}

// REL R-15: a code that has ended by the database's time is no good at a node whose own
// clock is an hour behind, nor at one whose clock is ahead.
func TestREL_R15_ExpiredStaysDead(t *testing.T) {
	database := pgtest.Database(t)
	ago := func() time.Time { return time.Now().Add(-20 * time.Minute) }
	past := startNode(t, app.Config{Dir: t.TempDir(), Database: database, Limits: limits(), Now: ago})
	past.register(t)
	h, err := past.enrolled("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	code, err := past.code(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	written(t, past)
	answer := fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code)
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		var m machine
		m.off.Store(int64(off))
		node := startNode(t, app.Config{Dir: past.dir, Database: database, Limits: limits(), PublicURL: past.url, Machine: m.now})
		if doc, err := node.idx("challenge/answer", answer); err == nil {
			t.Errorf("%v off: a code of 20 minutes ago is taken: %s", off, doc)
		}
	}
	if _, err := past.idx("challenge/answer", answer); err != nil { // it was time alone
		t.Errorf("within its life: %v", err)
	}
}

// On SQLite the machine's clock is the only one, and a step of it shows
// (docs/divergences.md). It gives nothing back that was revoked, people sign up at once,
// and once it is set right all is as before.
func TestREL_R15_StepOfTheOnlyClock(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			var m machine
			e := startNode(t, app.Config{Dir: t.TempDir(), Limits: limits(), Machine: m.now})
			e.register(t)
			var tokens [2]string // revoked, and not
			for i, address := range []string{"ada@example.com", "bob@example.com"} {
				got, err := e.signUp(t.Context(), address)
				if err != nil {
					t.Fatal(err)
				}
				tokens[i] = got["access_token"].(string)
			}
			revoke := url.Values{"token": {tokens[0]}, "token_type_hint": {"access_token"}, "client_id": {e.client}}
			if _, err := e.do("POST", "/oauth2/default/v1/revoke", "application/x-www-form-urlencoded", revoke.Encode()); err != nil {
				t.Fatal(err)
			}
			m.off.Add(int64(10 * time.Minute)) // and the revocation is that old
			h, err := e.enrolled("eve@example.com")
			if err != nil {
				t.Fatal(err)
			}
			code, err := e.code(t.Context(), "eve@example.com")
			if err != nil {
				t.Fatal(err)
			}

			m.off.Add(int64(step))
			if e.accepted(t, tokens[0]) {
				t.Error("a revoked token is accepted after the step")
			}
			if _, err := e.signUp(t.Context(), "joe@example.com"); err != nil {
				t.Errorf("nobody signs up after the step: %v", err)
			}
			if _, err := e.Store.Purge(t.Context(), e.Time(), 1000); err != nil {
				t.Fatal(err)
			}

			m.off.Add(-int64(step))
			if e.accepted(t, tokens[0]) || !e.accepted(t, tokens[1]) {
				t.Error("set right, it does not accept what it did, and that alone")
			}
			_, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
			if ended := step > 0; (err != nil) != ended { // what has ended is removed
				t.Errorf("set right, the flow that was open: %v", err)
			}
		})
	}
}
