package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A script answers requests by path, with $ for the interaction's name.
type script map[string]string

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, ok := s[r.URL.Path]
	if !ok {
		return nil, errors.New("no route")
	}
	body = strings.ReplaceAll(body, "$", r.Header.Get("Name"))
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
	}, nil
}

var engine = script{
	"/v1/interact":         `{"interaction_handle":"ih-$"}`,
	"/idp/idx/introspect":  `{"stateHandle":"sh-$","remediation":{"value":[{"name":"identify"}]}}`,
	"/idp/idx/enroll/new":  `{"stateHandle":"sh-$","remediation":{"value":[{"name":"enroll-authenticator"}]}}`,
	"/idp/idx/skip":        `{"stateHandle":"sh-$","successWithInteractionCode":{"value":[{"name":"interaction_code","value":"ic-$"}]}}`,
	"/v1/token":            `{"access_token":"at-$","refresh_token":"rt-$"}`,
	"/v1/revoke":           ``,
	"/v1/keys":             `{"keys":[]}`,
	"/idp/idx/other":       `{"stateHandle":"sh-$"}`,
	"/idp/idx/challenge/x": `not JSON`,
	"/v1/userinfo":         `{"sub":"` + strings.Repeat("x", maxBody) + `"}`,
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newTestRecorder(next http.RoundTripper) (*recorder, *clock) {
	c := &clock{t: time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)}
	return newRecorder(next, c.now, "the-client-secret"), c
}

func post(t *testing.T, rec *recorder, browser, name, path, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(withBrowser(context.Background(), browser), http.MethodPost, "http://engine"+path,
		strings.NewReader(strings.ReplaceAll(body, "$", name)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Name", name)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	r.SetBasicAuth("client", "the-client-secret")
	res, err := rec.RoundTrip(r)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// signUp makes the calls of a sign-up whose tokens end in name.
func signUp(t *testing.T, rec *recorder, browser, name string) {
	t.Helper()
	post(t, rec, browser, name, "/v1/interact", "client_id=c")
	post(t, rec, browser, name, "/idp/idx/introspect", `{"interactionHandle":"ih-$"}`)
	post(t, rec, browser, name, "/idp/idx/enroll/new", `{"stateHandle":"sh-$"}`)
	post(t, rec, browser, name, "/idp/idx/skip", `{"stateHandle":"sh-$"}`)
	post(t, rec, browser, name, "/v1/token", "grant_type=interaction_code&interaction_code=ic-$")
}

func seen(rec *recorder, browser, token string) []string {
	var all []string
	for _, e := range rec.of(withBrowser(context.Background(), browser), token) {
		all = append(all, e.Call)
	}
	return all
}

var whole = []string{"interact", "introspect", "enroll/new", "skip", "token"}

func TestRunsAreToldApartByTheirHandles(t *testing.T) {
	rec, _ := newTestRecorder(engine)
	post(t, rec, "b1", "1", "/v1/interact", "client_id=c")
	signUp(t, rec, "b1", "2")
	post(t, rec, "b1", "1", "/idp/idx/introspect", `{"interactionHandle":"ih-$"}`)
	signUp(t, rec, "b2", "3")
	post(t, rec, "b1", "1", "/idp/idx/enroll/new", `{"stateHandle":"sh-$"}`)
	post(t, rec, "b1", "1", "/idp/idx/skip", `{"stateHandle":"sh-$"}`)
	post(t, rec, "b1", "1", "/v1/token", "interaction_code=ic-$")
	for _, c := range []struct {
		browser, token string
		want           []string
	}{
		{"b1", "at-1", whole}, {"b1", "at-2", whole}, {"b2", "at-3", whole},
		{"b2", "at-1", nil}, {"b3", "at-1", nil}, {"b1", "at-9", nil}, {"b1", "", nil}, {"", "at-1", nil},
	} {
		if diff := cmp.Diff(c.want, seen(rec, c.browser, c.token)); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", c.token, c.browser, diff)
		}
	}
}

func TestRefreshAndRevoke(t *testing.T) {
	rec, _ := newTestRecorder(engine)
	signUp(t, rec, "b", "1")
	post(t, rec, "b", "2", "/v1/token", "grant_type=refresh_token&refresh_token=rt-1")
	if diff := cmp.Diff(append(whole, "refresh"), seen(rec, "b", "at-2")); diff != "" {
		t.Errorf("after a refresh (-want +got):\n%s", diff)
	}
	post(t, rec, "b", "", "/v1/revoke", "token=rt-2")
	if got := seen(rec, "b", "at-2"); got != nil {
		t.Errorf("after sign-out: %v", got)
	}
	if rec.bytes != 0 || len(rec.browsers) != 0 {
		t.Errorf("%d bytes of %d browsers are left", rec.bytes, len(rec.browsers))
	}
}

func TestPollsAreCollapsed(t *testing.T) {
	rec, _ := newTestRecorder(script{
		"/v1/interact":            engine["/v1/interact"],
		"/idp/idx/challenge/poll": `{"stateHandle":"sh-$","remediation":{"value":[{"name":"enroll-authenticator"}]}}`,
		"/v1/token":               engine["/v1/token"],
	})
	post(t, rec, "b", "1", "/v1/interact", "")
	for range 500 {
		post(t, rec, "b", "1", "/idp/idx/challenge/poll", `{"interactionHandle":"ih-$"}`)
	}
	post(t, rec, "b", "1", "/v1/token", "token=sh-1")
	run := rec.of(withBrowser(context.Background(), "b"), "at-1")
	if len(run) != 3 || run[1].Times != 500 {
		t.Errorf("%d exchanges, the second %d times", len(run), run[1].Times)
	}
}

func TestAnswersPassUnchanged(t *testing.T) {
	rec, _ := newTestRecorder(engine)
	for path, want := range engine {
		if got := post(t, rec, "b", "1", path, `{"a":1}`); got != strings.ReplaceAll(want, "$", "1") {
			t.Errorf("%s: %.60q", path, got)
		}
	}
	post(t, rec, "b", "7", "/v1/interact", "")
	post(t, rec, "b", "7", "/v1/userinfo", `{"interactionHandle":"ih-$"}`)
	post(t, rec, "b", "7", "/idp/idx/challenge/x", `{"interactionHandle":"ih-$"}`)
	post(t, rec, "b", "7", "/gone", `{"interactionHandle":"ih-$"}`)
	post(t, rec, "b", "7", "/v1/token", `interaction_handle=ih-$`)
	run := rec.of(withBrowser(context.Background(), "b"), "at-7")
	want := []string{`{"interaction_handle": "…"}`, "(too long to be kept)", "(not JSON, not kept)", "", `{"access_token": "…", "refresh_token": "…"}`}
	var got []string
	for _, e := range run {
		got = append(got, e.Answer)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if run[3].Status != 0 || run[0].Status != http.StatusOK {
		t.Errorf("statuses %d, %d", run[3].Status, run[0].Status)
	}

	r, err := http.NewRequest(http.MethodGet, "http://engine/v1/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := rec.bytes
	res, err := rec.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if rec.bytes != before {
		t.Error("a call for nobody was kept")
	}
}

// check counts again what the recorder has counted.
func (rec *recorder) check(t *testing.T) {
	t.Helper()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	total := 0
	for id, b := range rec.browsers {
		if len(b.runs) > rec.limits.runs || len(b.runs) == 0 {
			t.Errorf("%s has %d runs", id, len(b.runs))
		}
		for _, r := range b.runs {
			n := 0
			for _, e := range r.exchanges {
				n += e.size()
			}
			if n != r.bytes || len(r.exchanges) > rec.limits.exchanges || len(r.marks) > maxMarks {
				t.Errorf("%s: %d bytes counted as %d, %d exchanges, %d marks", id, n, r.bytes, len(r.exchanges), len(r.marks))
			}
			if n > rec.limits.runBytes && len(r.exchanges) > 1 {
				t.Errorf("%s: a run of %d bytes", id, n)
			}
			total += n
		}
	}
	if total != rec.bytes || len(rec.browsers) > rec.limits.browsers || total > rec.limits.bytes && len(rec.browsers) > 1 {
		t.Errorf("%d bytes counted as %d, of %d browsers", total, rec.bytes, len(rec.browsers))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	rec, clock := newTestRecorder(engine)
	rec.limits = limits{browsers: 5, runs: 2, exchanges: 8, runBytes: 16 << 10, bytes: 40 << 10, life: 30 * time.Minute}
	big := `{"stateHandle":"sh-$","note":"` + strings.Repeat("many words ", 300) + `"}`
	for i := range 60 {
		clock.advance(time.Second)
		browser := fmt.Sprint("b", i%9)
		name := fmt.Sprint(i)
		signUp(t, rec, browser, name)
		for range i % 12 {
			post(t, rec, browser, name, "/idp/idx/other", big)
		}
		rec.check(t)
		if seen(rec, browser, "at-"+name) == nil && i%12 < 4 {
			t.Errorf("the newest run, %s, is not kept", name)
		}
	}
	clock.advance(30 * time.Minute)
	if seen(rec, "b0", "at-54") != nil || rec.bytes != 0 || len(rec.browsers) != 0 {
		t.Errorf("%d bytes of %d browsers are kept for ever", rec.bytes, len(rec.browsers))
	}
}

func TestRecorderForManyAtOnce(t *testing.T) {
	rec, _ := newTestRecorder(engine)
	rec.limits.browsers = 20
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			browser, name := fmt.Sprint("b", i%25), fmt.Sprint(i)
			signUp(t, rec, browser, name)
			seen(rec, browser, "at-"+name)
			post(t, rec, browser, name, "/v1/revoke", "token=rt-$")
			signUp(t, rec, browser, name)
		})
	}
	all.Wait()
	rec.check(t)
}
