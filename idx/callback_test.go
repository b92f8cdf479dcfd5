package idx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

func TestForeignHrefIsRefused(t *testing.T) {
	for name, to := range map[string]string{
		"host":      "https://evil.example",
		"scheme":    "https://127.0.0.1",
		"user info": "",
		"relative":  "-",
		"no URL":    "http://[::1",
	} {
		t.Run(name, func(t *testing.T) {
			var e *engine
			e = serve(t, script{"/idp/idx/introspect": {reply{handler: func(w http.ResponseWriter, _ *http.Request) {
				from, into := e.URL+"/idp/idx/identify", to+"/idp/idx/identify"
				switch to {
				case "":
					into = strings.Replace(from, "http://", "http://user@", 1)
				case "-":
					into = "/idp/idx/identify"
				}
				io.WriteString(w, strings.ReplaceAll(e.document("introspect"), from, into))
			}}}})
			c := e.client(t)
			tx, err := c.Start(t.Context(), idx.StartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			before := len(e.calls)
			if _, err := c.Proceed(t.Context(), tx, idx.Input{Username: "john"}); err == nil || len(e.calls) != before {
				t.Errorf("err = %v, requests %v", err, e.calls[before:])
			}
		})
	}
}

func TestCallback(t *testing.T) {
	begin := func(t *testing.T, s script) (*engine, *idx.Client, *idx.Transaction) {
		e := serve(t, s)
		c := e.client(t)
		tx, err := c.Start(t.Context(), idx.StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return e, c, tx
	}
	t.Run("IDX_C60 link in the same browser", func(t *testing.T) {
		e, c, tx := begin(t, script{"/idp/idx/introspect": {ok("enroll-email"), ok("enroll-email")}, "/idp/idx/challenge/answer": {ok("select-enroll")}})
		got, err := c.HandleCallback(t.Context(), tx, url.Values{"otp": {"726009"}, "state": {tx.State()}})
		if err != nil || got.NextStep.Name != "select-authenticator-enroll" {
			t.Fatalf("%v, %v", got, err)
		}
		if d := cmp.Diff(map[string]any{"passcode": "726009"}, e.lastBody()["credentials"]); d != "" {
			t.Error(d)
		}
	})
	t.Run("link after the code was typed", func(t *testing.T) {
		_, c, tx := begin(t, script{"/idp/idx/introspect": {ok("enroll-email"), ok("select-enroll")}})
		got, err := c.HandleCallback(t.Context(), tx, url.Values{"otp": {"726009"}, "state": {tx.State()}})
		if err != nil || got.NextStep.Name != "select-authenticator-enroll" {
			t.Fatalf("%v, %v", got, err)
		}
	})
	t.Run("IDX_C61 link in another browser", func(t *testing.T) {
		e, c, tx := begin(t, script{"/idp/idx/introspect": {ok("enroll-email")}})
		before := len(e.calls)
		for _, have := range []*idx.Transaction{nil, tx} {
			_, err := c.HandleCallback(t.Context(), have, url.Values{"otp": {"726009"}, "state": {"another"}})
			var ce *idx.CallbackError
			if !errors.As(err, &ce) || ce.Code != "726009" || ce.State != "another" {
				t.Errorf("err = %v", err)
			}
			if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, "726009") {
				t.Errorf("the code is in %q", s)
			}
		}
		if len(e.calls) != before {
			t.Errorf("requests were made: %v", e.calls[before:])
		}
	})
	t.Run("interaction code", func(t *testing.T) {
		_, c, tx := begin(t, script{"/idp/idx/introspect": {ok("introspect")}})
		got, err := c.HandleCallback(t.Context(), tx, url.Values{"interaction_code": {"Zk9cX1r7T2m"}, "state": {tx.State()}})
		if err != nil || got.Status != idx.StatusSuccess || got.Tokens.AccessToken == nil || got.State() != tx.State() {
			t.Fatalf("%v, %v", got, err)
		}
	})
	t.Run("interaction code of another transaction is not redeemed", func(t *testing.T) {
		e, c, tx := begin(t, script{"/idp/idx/introspect": {ok("introspect")}})
		_, err := c.HandleCallback(t.Context(), tx, url.Values{"interaction_code": {"Zk9cX1r7T2m"}, "state": {"x"}})
		var ce *idx.CallbackError
		if !errors.As(err, &ce) || e.redeemed != 0 {
			t.Errorf("err = %v, redeemed %d", err, e.redeemed)
		}
	})
	t.Run("error", func(t *testing.T) {
		_, c, tx := begin(t, script{"/idp/idx/introspect": {ok("introspect")}})
		_, err := c.HandleCallback(t.Context(), tx, url.Values{"error": {"access_denied"}, "error_description": {"no"}})
		var re *idx.ResponseError
		if !errors.As(err, &re) || re.Code != "access_denied" {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("no callback", func(t *testing.T) {
		_, c, tx := begin(t, script{"/idp/idx/introspect": {ok("introspect")}})
		for _, q := range []url.Values{{}, {"state": {tx.State()}}, {"otp": {"1"}}} {
			if _, err := c.HandleCallback(t.Context(), tx, q); err == nil {
				t.Errorf("%v was taken", q)
			}
		}
	})
}

func TestContextIsHonoured(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	e := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	defer e.Close()
	defer close(release)
	c, err := idx.New(idx.Config{Issuer: e.URL + "/oauth2/default", ClientID: "a", RedirectURI: redirect})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := c.Start(ctx, idx.StartOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
