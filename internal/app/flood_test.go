package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
)

// startBounded is start as stile serve runs it, under policies of its own.
func startBounded(t *testing.T, org string) *engine {
	t.Helper()
	file, err := orgfile.Parse([]byte(org))
	if err != nil {
		t.Fatal(err)
	}
	e := startNode(t, app.Config{
		Dir: t.TempDir(), Limits: flow.DevelopmentLimits(), Bounded: true, Overlay: func(o *policy.Org) { *o = file.Org },
	})
	e.register(t)
	return e
}

// metric reads one of the engine's metrics.
func (e *engine) metric(t *testing.T, name string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	e.OperationsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(w.Body.String())
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (e *engine) admitted(t *testing.T, class string) int {
	t.Helper()
	return int(e.metric(t, fmt.Sprintf(`stile_admission_wait_seconds_count{class=%q}`, class)))
}

// The steps of one sign-up are of the classes that keep them under overload.
func TestREL_R18_ClassesOfASignUp(t *testing.T) {
	e := startBounded(t, "")
	before := map[string]int{}
	want := map[string]int{
		"start":  1, // interact
		"step":   2, // enroll, enroll/new
		"answer": 2, // introspect, challenge/answer
		"finish": 2, // skip, token
		"memory": 0, "list": 0,
	}
	for class := range want {
		before[class] = e.admitted(t, class)
	}
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	for class, n := range want {
		if got := e.admitted(t, class) - before[class]; got != n {
			t.Errorf("%d requests of class %s, want %d", got, class, n)
		}
	}
	keysMade(t, e)
	if got := e.admitted(t, "memory"); got-before["memory"] != 2 {
		t.Errorf("%d requests of class memory after two for keys", got)
	}
}

// post sends to an action and returns the status, and Retry-After in seconds.
func (e *engine) post(action, body string) (status, retryAfter int, doc []byte) {
	r := httptest.NewRequest("POST", "/idp/idx/"+action, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return e.serve(r)
}

// serve answers without a network, which would cost more than what is measured.
func (e *engine) serve(r *http.Request) (status, retryAfter int, doc []byte) {
	r.Host = "localhost"
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	retryAfter, _ = strconv.Atoi(w.Header().Get("Retry-After"))
	return w.Code, retryAfter, w.Body.Bytes()
}

// handle begins a flow.
func (e *engine) handle() (string, error) {
	started, err := e.form("/oauth2/default/v1/interact", e.interact())
	if err != nil {
		return "", err
	}
	doc, err := e.idx("introspect", fmt.Sprintf(`{"interactionHandle":%q}`, started["interaction_handle"]))
	if err != nil {
		return "", err
	}
	return string(stateHandle.FindSubmatch(doc)[1]), nil
}

func (e *engine) interact() url.Values {
	return url.Values{
		"client_id": {e.client}, "scope": {"openid"}, "redirect_uri": {"http://localhost:8080/cb"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"},
	}
}

// A waiting person has got as far as the code.
type waiting struct{ handle, code string }

func (e *engine) waiting(ctx context.Context, address string) (waiting, error) {
	h, err := e.enrolled(address)
	if err != nil {
		return waiting{}, err
	}
	code, err := e.code(ctx, address)
	return waiting{h, code}, err
}

// finish answers with the code and goes on to the tokens. refused says that the
// engine had no time at some step.
func (e *engine) finish(w waiting) (refused bool, err error) {
	var doc []byte
	for _, step := range [][2]string{
		{"challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, w.handle, w.code)},
		{"skip", fmt.Sprintf(`{"stateHandle":%q}`, w.handle)},
	} {
		status, after, body := e.post(step[0], step[1])
		if status != http.StatusOK {
			return status == http.StatusServiceUnavailable && after > 0, fmt.Errorf("%s: %d %s", step[0], status, body)
		}
		doc = body
	}
	found := interactionCode.FindSubmatch(doc)
	if found == nil {
		return false, fmt.Errorf("no code in %s", doc)
	}
	r := httptest.NewRequest("POST", "/oauth2/default/v1/token", strings.NewReader(url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {string(found[1])}, "client_id": {e.client}, "code_verifier": {verifier},
	}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, after, body := e.serve(r)
	if status != http.StatusOK {
		return status == http.StatusServiceUnavailable && after > 0, fmt.Errorf("token: %d %s", status, body)
	}
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &tokens); err != nil || tokens.Access == "" {
		return false, fmt.Errorf("tokens: %v %s", err, body)
	}
	return false, nil
}

const passwordFirst = "session: [{name: default, primary: password}]\n"

// Five hundred guesses at passwords at once: each is looked at, or told when to
// come again; and whoever signs in by a code gets in meanwhile.
func TestREL_R19_SEC_S47_PasswordFlood(t *testing.T) {
	e := startBounded(t, passwordFirst)
	const guesses, people = 500, 20
	var flows [guesses]string
	for i := range flows {
		h, err := e.handle()
		if err != nil {
			t.Fatal(err)
		}
		flows[i] = h
	}
	var all [people]waiting
	for i := range all {
		w, err := e.waiting(t.Context(), fmt.Sprintf("ada%d@example.com", i))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = w
	}
	var judged, refused atomic.Int64
	var flood sync.WaitGroup
	for i, h := range flows {
		flood.Go(func() {
			status, after, doc := e.post("identify", fmt.Sprintf(
				`{"stateHandle":%q,"identifier":"nobody%d@example.com","credentials":{"passcode":"lettuce trumpet"}}`, h, i))
			switch {
			case status == http.StatusServiceUnavailable && after > 0:
				refused.Add(1)
			case bytes.Contains(doc, []byte("errors.E0000004")): // authentication failed
				judged.Add(1)
			default:
				t.Errorf("a guess: %d %s", status, doc)
			}
		})
	}
	again := 0
	for _, w := range all {
		// While there is less and less room somebody may have to come again.
		busy, err := e.finish(w)
		for tries := 0; busy && tries < 20; tries++ {
			again++
			busy, err = e.finish(w)
		}
		if err != nil {
			t.Errorf("somebody with a code: %v", err)
		}
	}
	flood.Wait()
	t.Logf("%d guesses were judged, %d refused; %d times somebody with a code had to come again", judged.Load(), refused.Load(), again)
	if places := int64(e.metric(t, `stile_pool_places{pool="hash"}`)); judged.Load() < places || refused.Load() == 0 {
		t.Errorf("%d guesses were judged and %d refused, want at least %d, and some", judged.Load(), refused.Load(), places)
	}
	if busy := e.metric(t, `stile_pool_busy{pool="hash"}`); busy != 0 {
		t.Errorf("%v places are taken at the end", busy)
	}
}
