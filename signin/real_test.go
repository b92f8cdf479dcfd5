package signin_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

const (
	right = "correct horse battery staple"
	fresh = "another sentence to know"
)

// A real is an app with the pages in front of a whole engine.
type real struct {
	*site
	eng    *stiletest.Engine
	client *idx.Client
	agents []string // device tokens that interact was called with
	busy   bool     // the engine asks to wait, whatever it is asked
}

// live starts one with an organisation's policies, in YAML; "" is the default's.
func live(t testing.TB, yaml string, options ...stiletest.Option) *real {
	return liveWith(t, yaml, nil, options...)
}

func liveWith(t testing.TB, yaml string, asks []signin.Ask, options ...stiletest.Option) *real {
	t.Helper()
	s := &site{t: t, log: &logBuffer{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.handler
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	redirect := s.url + "/login/callback"
	options = append(options, stiletest.RedirectURI(redirect))
	if yaml != "" {
		options = append(options, stiletest.Org(yaml))
	}
	l := &real{site: s, eng: stiletest.Start(t, options...)}
	cfg := l.eng.Client.Config()
	cfg.HTTPClient = &http.Client{Transport: l}
	var err error
	if l.client, err = idx.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.pages, err = signin.New(l.client, signin.Options{
		RedirectURI: redirect, AppName: "Acme", Now: l.eng.Clock.Now, Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	home := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := signin.User(r.Context())
		fmt.Fprintf(w, "app %s: %s %v", r.URL, id.Email, id.Claims.AMR)
	})
	mux := http.NewServeMux()
	mux.Handle("/login/", s.pages)
	mux.Handle("/", s.pages.Require(home))
	mux.Handle("/careful", s.pages.Require(home, asks...))
	s.handler = mux
	return l
}

// RoundTrip notes which device a transaction was begun for.
func (l *real) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.isBusy(nil) {
		return &http.Response{
			StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"240"}, "Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests."}`)),
		}, nil
	}
	if strings.HasSuffix(r.URL.Path, "/interact") {
		l.mu.Lock()
		l.agents = append(l.agents, r.Header.Get("X-Device-Token"))
		l.mu.Unlock()
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && res.StatusCode >= 500 {
		text, _ := io.ReadAll(res.Body)
		l.t.Errorf("%s: %s %s", r.URL, res.Status, text)
	}
	return res, err
}

func (l *real) isBusy(set *bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if set != nil {
		l.busy = *set
	}
	return l.busy
}

// account makes one through the SDK, with a password unless that is "".
func (l *real) account(address, password string) {
	l.t.Helper()
	ctx, c := l.t.Context(), l.eng.Client
	tx, err := c.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: address})
	if err == nil {
		tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: l.eng.Code(l.t, address)})
	}
	switch {
	case err != nil || tx.Status == idx.StatusSuccess:
	case password == "" && tx.Step("skip") != nil:
		tx, err = c.Proceed(ctx, tx, idx.Input{Skip: true})
	default:
		tx, err = c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_password", Password: password})
	}
	if err != nil {
		l.t.Fatalf("account %s: %v", address, err)
	}
	l.eng.Clock.Advance(time.Hour)
}

// code gives the newest, after one that was mailed before.
func (l *real) code(address string) string {
	l.t.Helper()
	return l.eng.Code(l.t, address)
}

// isApp checks that the view is the app's, with what it says of the person.
func (v *view) isApp(words ...string) *view {
	v.b.t.Helper()
	if !strings.HasPrefix(v.html, "app ") {
		v.b.t.Fatalf("landed at %s on %q: %.600s", v.url, v.page(), v.text())
	}
	for _, w := range words {
		if !strings.Contains(v.html, w) {
			v.b.t.Errorf("the app does not say %q: %s", w, v.html)
		}
	}
	return v
}

// begin sends the first form of a sign-in.
func (b *browser) begin(address string) *view {
	b.t.Helper()
	return b.get("/login/").is("sign-in").press("next", "identifier", address)
}
