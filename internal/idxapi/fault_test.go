package idxapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/email"
	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/authenticator/push"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/idxapi"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// broken is a database that takes a transaction and cannot read it.
type broken struct {
	flow.Store
	err error
}

func (broken) InTx(context.Context, bool, func(flow.Tx) error) error { return nil }

func (b broken) Transaction(context.Context, string) (flow.Row, error) { return flow.Row{}, b.err }

type oneClient struct{}

func (oneClient) FlowClient(_ context.Context, id string) (flow.Client, bool, error) {
	return flow.Client{ID: id, Name: "Acme"}, true, nil
}

// A fault is told in the protocol's form, and nothing of its cause with it.
func TestIDX_C82_Faults(t *testing.T) {
	for name, c := range map[string]struct {
		cause      error
		status     int
		key, text  string
		retryAfter string
	}{
		"a fault":     {errors.New("sql: row of ada@example.com in stile.db"), 500, "E0000009", "Internal Server Error", ""},
		"unavailable": {problem.New(problem.Unavailable, "", "dial stile.db"), 503, "E0000010", "Server is unable to respond at the moment.", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, handle := faulty(t, c.cause)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/idp/idx/introspect",
				strings.NewReader(`{"interactionHandle":"`+handle+`"}`))
			r.Header.Set("Content-Type", ionType)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			want := `{"version":"1.0.0","messages":{"type":"array","value":[{"message":"` + c.text +
				`","i18n":{"key":"` + c.key + `"},"class":"ERROR"}]}}`
			if diff := cmp.Diff(want, strings.TrimSpace(w.Body.String())); w.Code != c.status || diff != "" {
				t.Errorf("%d\n%s", w.Code, diff)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json; okta-version=1.0.0" {
				t.Errorf("content type %q", got)
			}
			if got := w.Header().Get("Retry-After"); got != c.retryAfter {
				t.Errorf("again after %q, want %q", got, c.retryAfter)
			}
		})
	}
}

// faulty is an edge over a database that fails, and a handle of a transaction in it.
func faulty(t *testing.T, cause error) (http.Handler, string) {
	t.Helper()
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	codes, err := email.New(email.Config{Keyring: keys, Now: time.Now, PublicURL: "https://id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	words, err := password.New(password.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	phones, err := push.New(push.Config{Keyring: keys, Now: time.Now, PublicURL: "https://id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	org := policy.PasswordOptional()
	engine, err := flow.New(flow.Config{
		Store: broken{err: cause}, Keys: keys, Clients: oneClient{}, Policies: func() *policy.Org { return &org },
		Authenticators: []authenticator.Authenticator{codes, words, phones}, Limits: flow.DevelopmentLimits(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	handle, err := engine.Begin(t.Context(), flow.Start{Request: flow.Request{ClientID: "0oa1"}})
	if err != nil {
		t.Fatal(err)
	}
	return idxapi.New(idxapi.Config{Engine: engine, PublicURL: "https://id.example.com", Logger: slog.New(slog.DiscardHandler)}), handle
}
