package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	publicURL = "https://id.example.com"
	issuerURL = publicURL + "/oauth2/default"
	tokenPath = "/oauth2/default/v1/token"

	webID     = "0oaWeb"
	webSecret = "web-secret-of-the-tests"
	spaID     = "0oaSpa"
	otherID   = "0oaOther"

	webCallback = "https://app.example.com/login/callback"
	spaCallback = "http://localhost:8081/login/callback"

	webSignedOut      = "https://app.example.com/bye"
	spaSignedOut      = "http://localhost:8081/bye"
	spaSignedOutQuery = "http://localhost:8081/bye?from=idp"

	userID   = "00uAbCdEfGhIjKlMnOpQrStU"
	verifier = "dBjftJeZ4CVP-mBgK6MyTQ0lXPxUjU0nCeEiYKqWdOU"
)

var start = time.Date(2026, time.November, 22, 20, 0, 0, 0, time.UTC)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) Move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// env is a Server on a memory store with one user, three clients and the keys
// of all tests, since making RSA keys is slow.
type env struct {
	t       testing.TB
	clock   *clock
	store   *memory
	flow    *journeys
	keyring *keyring.Keyring
	config  Config
	server  *Server
	handler http.Handler
	logs    *bytes.Buffer
}

var testKeys = sync.OnceValue(func() map[string]Key {
	m, k := newMemory(), testKeyring()
	ks := &keys{turn: newTurn(), store: m, inTx: m.inTx, keyring: k, now: func() time.Time { return start }}
	for _, server := range []string{DefaultServer, OrgServer} {
		for _, alg := range []string{algRS256, algES256} {
			if _, err := ks.signer(context.Background(), server, alg); err != nil {
				panic(err)
			}
		}
	}
	return m.keys
})

func testKeyring() *keyring.Keyring {
	k, err := keyring.New(bytes.Repeat([]byte{7}, keyring.MasterSize))
	if err != nil {
		panic(err)
	}
	return k
}

func newEnv(t testing.TB, edit ...func(*Config)) *env {
	t.Helper()
	e := &env{t: t, clock: &clock{t: start}, store: newMemory(), keyring: testKeyring(), logs: new(bytes.Buffer)}
	for id, k := range testKeys() {
		if k.Alg == algRS256 {
			e.store.keys[id] = k
		}
	}
	e.store.accounts[userID] = directory.Account{User: directory.User{
		ID: userID, Version: 1, Status: directory.Active, Email: "Jane.Doe@example.org", Canonical: "jane.doe@example.org",
		FirstName: "Jane", LastName: "Doe", Locale: "en-GB", Attributes: map[string]string{"timezone": "Europe/London"},
		EmailVerifiedAt: start.Add(-time.Hour), CreatedAt: start.Add(-time.Hour), UpdatedAt: start.Add(-time.Minute),
	}}
	e.flow = &journeys{store: e.store, now: e.clock.Now, finished: map[string]journey{}}
	e.config = Config{
		PublicURL: publicURL, Store: e.store, InTx: e.store.inTx, Keyring: e.keyring, Interactions: e.flow, Sessions: e.store, Now: e.clock.Now,
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: e.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range edit {
		f(&e.config)
	}
	var err error
	if e.server, err = New(e.config); err != nil {
		t.Fatal(err)
	}
	e.handler = e.server.Handler()
	e.addClient(Client{ID: webID, Secrets: [][]byte{HashSecret(webSecret)}, RedirectURIs: []string{webCallback}, PostLogoutRedirectURIs: []string{webSignedOut}, TrustedOrigins: []string{"https://admin.example.com"}}, true)
	e.addClient(Client{ID: spaID, Name: "Acme", RedirectURIs: []string{spaCallback, "http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{spaSignedOut, spaSignedOutQuery}}, false)
	e.addClient(Client{ID: otherID, RedirectURIs: []string{"https://other.example.net/cb"}}, false)
	return e
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (e *env) addClient(c Client, confidential bool) {
	e.t.Helper()
	c, _, err := NewClient(c, confidential, e.clock.Now())
	if err == nil {
		err = e.server.AddClient(context.Background(), c)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// second is another node on the same store.
func (e *env) second() *env {
	e.t.Helper()
	other := *e
	var err error
	if other.server, err = New(e.config); err != nil {
		e.t.Fatal(err)
	}
	other.handler = other.server.Handler()
	return &other
}

// A reply is a response with its JSON body.
type reply struct {
	Status int
	Header http.Header
	Raw    string
	Body   map[string]any
}

func (r *reply) text(name string) string { s, _ := r.Body[name].(string); return s }

func (e *env) do(r *http.Request) *reply {
	e.t.Helper()
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	out := &reply{Status: w.Code, Header: w.Header(), Raw: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out.Body); err != nil {
			e.t.Fatalf("%s %s: %v in %q", r.Method, r.URL.Path, err, out.Raw)
		}
	}
	return out
}

func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (e *env) post(path string, form url.Values, headers ...string) *reply {
	e.t.Helper()
	return e.do(request(http.MethodPost, path, form.Encode(), headers...))
}

func (e *env) get(path string, headers ...string) *reply {
	e.t.Helper()
	return e.do(request(http.MethodGet, path, "", headers...))
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func with(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			delete(out, pairs[i])
		} else {
			out[pairs[i]] = []string{pairs[i+1]}
		}
	}
	return out
}

func challengeOf(verifier string) string {
	h := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

var journeyCount struct {
	sync.Mutex
	n int
}

// finish returns the code of a journey of the client spaID that succeeded.
func (e *env) finish(edit ...func(*Interaction)) string {
	journeyCount.Lock()
	journeyCount.n++
	code := "ic." + directory.NewID("tx")
	journeyCount.Unlock()
	i := Interaction{
		ID: "tx" + code, ClientID: spaID, Server: DefaultServer, UserID: userID,
		Scopes: []string{"openid", "profile", "email"}, RedirectURI: spaCallback, CodeChallenge: challengeOf(verifier),
		AuthTime: e.clock.Now().Add(-10 * time.Second), AMR: []string{"otp"},
	}
	for _, f := range edit {
		f(&i)
	}
	e.flow.finish(code, i)
	return code
}

func scopes(s ...string) func(*Interaction) { return func(i *Interaction) { i.Scopes = s } }

func redemption(code string) url.Values {
	return form("grant_type", "interaction_code", "interaction_code", code, "client_id", spaID, "code_verifier", verifier)
}

// redeem returns the tokens of a new journey.
func (e *env) redeem(edit ...func(*Interaction)) *reply {
	e.t.Helper()
	r := e.post(tokenPath, redemption(e.finish(edit...)))
	if r.Status != http.StatusOK {
		e.t.Fatalf("redeem: %d %s", r.Status, r.Raw)
	}
	return r
}

func refreshing(token string) url.Values {
	return form("grant_type", "refresh_token", "refresh_token", token, "client_id", spaID)
}

func (e *env) userinfo(token string) *reply {
	e.t.Helper()
	return e.get("/oauth2/default/v1/userinfo", "Authorization", "Bearer "+token)
}

// payload decodes the middle of a token without verifying it.
func payload(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a token", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// wantRefusal checks an OAuth error answer.
func wantRefusal(t testing.TB, r *reply, status int, code, description string) {
	t.Helper()
	if r.Status != status || r.text("error") != code || description != "" && r.text("error_description") != description {
		t.Errorf("got %d %s\nwant %d %s: %s", r.Status, r.Raw, status, code, description)
	}
	if r.text("error") == "" || r.text("error_description") == "" { // IDX C-07
		t.Errorf("an error needs both members: %s", r.Raw)
	}
}
