package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// engine is an app on a real port with one public client.
type engine struct {
	*app.App
	url    string
	dir    string
	client string
	http   *http.Client
	nodes  []*engine // whose turn it is in do, one after the other; none: this one's
	turn   atomic.Int64
	stop   func() // ends when every message is written down; the store still counts then
}

func start(tb testing.TB, servers ...oauth.AuthorizationServer) *engine {
	tb.Helper()
	return startOn(tb, database(tb), limits(), servers...)
}

// database is where a test runs that names none: SQLite, or as stiletest.PostgreSQL has it.
func database(tb testing.TB) string {
	tb.Helper()
	if os.Getenv("STILETEST_DATABASE") == "postgres" {
		return pgtest.Database(tb)
	}
	return ""
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

// startOn is start on a database that app.Config names.
func startOn(tb testing.TB, database string, limits flow.Limits, servers ...oauth.AuthorizationServer) *engine {
	tb.Helper()
	e := startNode(tb, app.Config{Dir: tb.TempDir(), Database: database, Limits: limits, Servers: servers})
	e.register(tb)
	return e
}

// register makes the app that e's requests are from.
func (e *engine) register(tb testing.TB) {
	tb.Helper()
	c, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{"http://localhost:8080/cb"}}, false, time.Now())
	if err == nil {
		err = e.OAuth.AddClient(tb.Context(), c)
	}
	if err != nil {
		tb.Fatal(err)
	}
	e.client = c.ID
}

// startNode starts an engine, with what no test wants otherwise filled in.
func startNode(tb testing.TB, config app.Config) *engine {
	tb.Helper()
	s := httptest.NewUnstartedServer(nil)
	e := &engine{url: "http://" + s.Listener.Addr().String(), dir: config.Dir}
	if config.PublicURL == "" {
		config.PublicURL = e.url
	}
	config.Policy, config.Inbox = policy.PasswordOptional(), true
	config.SealEvery = time.Hour // at Close: what is counted is the journeys
	a, err := app.New(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	e.App = a
	s.Config.Handler = a.Handler()
	a.Start()
	s.Start()
	var once sync.Once
	e.stop = func() {
		once.Do(func() {
			s.Close()
			if err := a.Close(context.Background()); err != nil {
				tb.Error(err)
			}
		})
	}
	tb.Cleanup(e.stop)
	if err := a.AwaitReady(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	e.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return e
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

func (e *engine) do(method, path, contentType, body string) ([]byte, error) {
	base := e.url
	if len(e.nodes) > 0 {
		base = e.nodes[int(e.turn.Add(1))%len(e.nodes)].url
	}
	r, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	res, err := e.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, res.StatusCode, data)
	}
	return data, err
}

func (e *engine) form(path string, v url.Values) (map[string]any, error) {
	data, err := e.do("POST", path, "application/x-www-form-urlencoded", v.Encode())
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}

var (
	stateHandle     = regexp.MustCompile(`"stateHandle":"([^"]+)"`)
	interactionCode = regexp.MustCompile(`"name":"interaction_code","required":true,"value":"([^"]+)"`)
)

func (e *engine) idx(action, body string) ([]byte, error) {
	return e.do("POST", "/idp/idx/"+action, "application/json", body)
}

// begun begins a transaction and returns its state handle.
func (e *engine) begun() (string, error) {
	started, err := e.form("/oauth2/default/v1/interact", url.Values{
		"client_id": {e.client}, "scope": {"openid profile email"}, "redirect_uri": {"http://localhost:8080/cb"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"}, "nonce": {"n"},
	})
	if err != nil {
		return "", err
	}
	doc, err := e.idx("introspect", fmt.Sprintf(`{"interactionHandle":%q}`, started["interaction_handle"]))
	if err != nil {
		return "", err
	}
	return string(stateHandle.FindSubmatch(doc)[1]), nil
}

// enrolled runs a sign-up up to the code and returns its state handle.
func (e *engine) enrolled(address string) (string, error) {
	h, err := e.begun()
	if err != nil {
		return "", err
	}
	if _, err = e.idx("enroll", fmt.Sprintf(`{"stateHandle":%q}`, h)); err != nil {
		return "", err
	}
	_, err = e.idx("enroll/new", fmt.Sprintf(
		`{"stateHandle":%q,"userProfile":{"firstName":"Ada","lastName":"Lovelace","email":%q}}`, h, address))
	return h, err
}

func (e *engine) code(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if len(e.nodes) == 0 {
		m, err := e.Inbox.Wait(ctx, address, "")
		return m.Code, err
	}
	type mailed struct {
		code string
		err  error
	}
	first := make(chan mailed, len(e.nodes))
	for _, n := range e.nodes { // it is in the inbox of the node that delivered it
		go func() {
			code, err := n.code(ctx, address)
			first <- mailed{code, err}
		}()
	}
	m := <-first
	return m.code, m.err
}

// limits are those of production but for what one source may do, as all of a
// test's people come from one.
func limits() flow.Limits {
	l := flow.DefaultLimits()
	l.Rules.SourceMails, l.Rules.SourceAddresses, l.Rules.SignUps, l.Rules.OpenFlows = nil, limit.Distinct{}, nil, nil
	return l
}

// signUp runs a whole journey and returns the token response.
func (e *engine) signUp(ctx context.Context, address string) (map[string]any, error) {
	h, err := e.enrolled(address)
	if err != nil {
		return nil, err
	}
	return e.redeemed(ctx, h, address)
}

// redeemed is what follows enrolled, up to the tokens.
func (e *engine) redeemed(ctx context.Context, h, address string) (map[string]any, error) {
	code, err := e.code(ctx, address)
	if err != nil {
		return nil, err
	}
	if _, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code)); err != nil {
		return nil, err
	}
	doc, err := e.idx("skip", fmt.Sprintf(`{"stateHandle":%q}`, h))
	if err != nil {
		return nil, err
	}
	return e.redeem(doc)
}

// redeem exchanges the code of a document that has one for tokens.
func (e *engine) redeem(doc []byte) (map[string]any, error) {
	found := interactionCode.FindSubmatch(doc)
	if found == nil {
		return nil, fmt.Errorf("no code in %s", doc)
	}
	return e.form("/oauth2/default/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {string(found[1])},
		"client_id": {e.client}, "code_verifier": {verifier},
	})
}

// keysMade returns once the keys that are made in the background are there.
func keysMade(t *testing.T, e *engine) {
	t.Helper()
	for _, server := range []string{"/oauth2", "/oauth2/default"} {
		if _, err := e.do("GET", server+"/v1/keys", "", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// written returns once the outbox has nothing more to write by itself.
func written(tb testing.TB, e *engine) {
	tb.Helper()
	if err := e.MailWritten(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// What was never proven is gone with its transaction, and the address is free:
// nothing of it was ever anywhere else.
func TestUX_P2_9_UnprovenSignUpsVanish(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) { unprovenSignUpsVanish(t, startOn(t, database, limits())) })
}

func unprovenSignUpsVanish(t *testing.T, e *engine) {
	h, err := e.enrolled("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	written(t, e)
	if _, err := e.Store.AccountByAddress(t.Context(), "ada@example.com"); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("an account before the proof: %v", err)
	}
	if n, err := e.Store.Purge(t.Context(), time.Now().Add(flow.Life+time.Minute), 100); err != nil || n != 2 {
		t.Fatalf("purged %d rows (a transaction, a mail): %v", n, err)
	}
	if _, err := e.idx("introspect", fmt.Sprintf(`{"stateToken":%q}`, h)); err == nil {
		t.Error("the transaction is still there")
	}
	e.Inbox.DeleteAll("") // or the first code is the newest until the second mail is there
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
}

// TestSEC_S38_ParallelSignUpsOverHTTP: a hundred people, or one with a hundred
// tabs, sign up with one address at once; there is one user, and all get in.
func TestSEC_S38_ParallelSignUpsOverHTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		parallelSignUps(t, startOn(t, database, flow.DevelopmentLimits()))
	})
}

func parallelSignUps(t *testing.T, e *engine) {
	const n = 100
	var handles, codes [n]string
	seen := map[string]bool{}
	for i := range n {
		h, err := e.enrolled("ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.MailSettled(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range e.Inbox.Messages("ada@example.com") {
			if !seen[m.ID] {
				handles[i], codes[i], seen[m.ID] = h, m.Code, true
			}
		}
	}
	var wg sync.WaitGroup
	var users sync.Map
	for i := range n {
		wg.Go(func() {
			doc, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handles[i], codes[i]))
			if err != nil {
				t.Error(err)
				return
			}
			users.Store(string(userID.FindSubmatch(doc)[1]), true)
		})
	}
	wg.Wait()
	count := 0
	users.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d users", count)
	}
}

var userID = regexp.MustCompile(`"user":\{"type":"object","value":\{"id":"([^"]+)"`)

// BenchmarkJourney is a whole sign-up through HTTP: seven requests and a mail.
// PostgreSQL is the tests' own, which forces nothing to disk.
func BenchmarkJourney(b *testing.B) {
	databases := map[string]func(testing.TB) string{
		"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.Database,
	}
	for _, name := range []string{"sqlite", "postgres"} {
		for _, alg := range []string{"RS256", "ES256"} {
			for _, clients := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("%s/%s/clients=%d", name, alg, clients), func(b *testing.B) {
					journeys(b, databases[name](b), alg, clients)
				})
			}
		}
	}
}

func journeys(b *testing.B, database, alg string, clients int) {
	e := startOn(b, database, limits(), oauth.AuthorizationServer{ID: oauth.DefaultServer, AccessTokenAlg: alg})
	if _, err := e.signUp(b.Context(), "warm@example.com"); err != nil {
		b.Fatal(err)
	}
	written(b, e)
	before := e.Store.Stats()
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var pool sync.WaitGroup
	for range clients {
		pool.Go(func() {
			for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
				if _, err := e.signUp(b.Context(), fmt.Sprintf("p%d@example.com", i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	pool.Wait()
	b.StopTimer()
	e.stop()
	after := e.Store.Stats()
	per := func(total int64, unit string) { b.ReportMetric(float64(total)/float64(b.N), unit) }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "journeys/s")
	per(after.Commits-before.Commits, "commits/op")
	per(after.DurableCommits-before.DurableCommits, "durable/op")
	per(after.RowWrites-before.RowWrites, "rows/op")
	per(after.Reads-before.Reads+after.TxReads-before.TxReads, "reads/op")
}

// BenchmarkPoll is one look of a waiting page.
func BenchmarkPoll(b *testing.B) {
	l := limits()
	l.Rules.HandleRequests = nil
	e := startOn(b, "", l)
	h, err := e.enrolled("ada@example.com")
	if err != nil {
		b.Fatal(err)
	}
	body := fmt.Appendf(nil, `{"stateHandle":%q}`, h)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		r := httptest.NewRequest("POST", "/idp/idx/challenge/poll", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
