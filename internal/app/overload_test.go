package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// fill takes all the room that a class has, until the test ends.
func fill(t *testing.T, a *edge.Admission, class edge.Class) {
	t.Helper()
	t.Cleanup(occupy(a, class))
}

// occupy takes all the room that a class has, until release, which may be called again.
func occupy(a *edge.Admission, class edge.Class) (release func()) {
	room, _ := a.Limits(class)
	var inside, gone sync.WaitGroup
	inside.Add(room)
	ends := make(chan struct{})
	h := a.Handler(edge.Always(class), nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside.Done()
		<-ends
	}))
	for range room {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "" // of no source, which has a share only
		gone.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
	}
	inside.Wait()
	return sync.OnceFunc(func() { close(ends); gone.Wait() })
}

const (
	oauthForm = "application/x-www-form-urlencoded"
	jsonBody  = "application/json"
)

// doors are requests of every class at every door, with how each door says that
// it has no time.
var doors = []struct {
	class                     edge.Class
	method, path, media, body string
	accept                    string
	admin                     bool

	media503 string
	says     []string
}{
	{class: edge.Start, method: "POST", path: "/oauth2/default/v1/interact", media: oauthForm, body: "client_id=x",
		media503: "application/json", says: []string{`"error":"temporarily_unavailable"`, `"error_description":"`}},
	{class: edge.Finish, method: "POST", path: "/oauth2/default/v1/token", media: oauthForm, body: "grant_type=refresh_token",
		media503: "application/json", says: []string{`"error":"temporarily_unavailable"`}},
	{class: edge.Finish, method: "GET", path: "/oauth2/v1/userinfo",
		media503: "application/json", says: []string{`"error":"temporarily_unavailable"`}},
	{class: edge.Finish, method: "POST", path: "/oauth2/default/v1/introspect", media: oauthForm, body: "token=x",
		media503: "application/json", says: []string{`"error":"temporarily_unavailable"`}},
	{class: edge.Finish, method: "POST", path: "/oauth2/default/v1/revoke", media: oauthForm, body: "token=x",
		media503: "application/json", says: []string{`"error":"temporarily_unavailable"`}},
	{class: edge.Finish, method: "GET", path: "/oauth2/default/v1/logout",
		media503: "text/html; charset=utf-8", says: []string{`data-page="sign-out-failed"`}},

	{class: edge.Answer, method: "POST", path: "/idp/idx/introspect", media: jsonBody, body: `{"interactionHandle":"x"}`,
		media503: "application/json", says: []string{`"version":"1.0.0"`, `"key":"E0000010"`}},
	{class: edge.Answer, method: "POST", path: "/idp/idx/introspect", media: jsonBody, body: `{"stateToken":"x"}`,
		media503: "application/json", says: []string{`"key":"E0000010"`}},
	{class: edge.Step, method: "POST", path: "/idp/idx/identify", media: jsonBody, body: `{"stateHandle":"x","identifier":"a@example.com"}`,
		media503: "application/json", says: []string{`"key":"E0000010"`}},
	{class: edge.Step, method: "POST", path: "/idp/idx/enroll/new", media: jsonBody, body: `{"stateHandle":"x"}`,
		media503: "application/json", says: []string{`"key":"E0000010"`}},
	{class: edge.Answer, method: "POST", path: "/idp/idx/challenge/answer", media: jsonBody, body: `{"stateHandle":"x"}`,
		media503: "application/json", says: []string{`"key":"E0000010"`}},
	{class: edge.Finish, method: "POST", path: "/idp/idx/skip", media: jsonBody, body: `{"stateHandle":"x"}`,
		media503: "application/json", says: []string{`"key":"E0000010"`}},

	{class: edge.Answer, method: "GET", path: "/email/verify/x", accept: "text/html",
		media503: "text/html; charset=utf-8", says: []string{`data-page="busy"`}},
	{class: edge.Answer, method: "GET", path: "/email/verify/x", accept: "application/ion+json",
		media503: "application/json", says: []string{`"key":"E0000010"`}},
	{class: edge.Answer, method: "GET", path: "/t/x", accept: "text/html",
		media503: "text/html; charset=utf-8", says: []string{`data-page="busy"`}},
	{class: edge.Answer, method: "GET", path: "/account/undo/x",
		media503: "text/html; charset=utf-8", says: []string{`data-page="error"`}},
	{class: edge.Answer, method: "GET", path: "/idp/myaccount/profile",
		media503: "application/json", says: []string{`"errorCode":"E0000010"`}},

	{class: edge.List, method: "GET", path: "/api/v1/users", admin: true,
		media503: "application/json", says: []string{`"errorCode":"E0000010"`}},
	{class: edge.List, method: "GET", path: "/api/v1/apps", admin: true,
		media503: "application/json", says: []string{`"errorCode":"E0000010"`}},

	{class: edge.Memory, method: "GET", path: "/oauth2/default/v1/keys"},
	{class: edge.Memory, method: "GET", path: "/oauth2/default/.well-known/openid-configuration"},
	{class: edge.Memory, method: "GET", path: "/.well-known/openid-configuration"},
	{class: edge.Memory, method: "GET", path: "/readyz"},
	{class: edge.Memory, method: "GET", path: "/api/v1/users/nobody", admin: true}, // in an incident somebody must be stopped
}

// A class that is full refuses its own, in the words of each door and with
// Retry-After, and no higher one's; of those below, each has its least, but for
// the lists of operators.
func TestREL_R17_R18_Refusals(t *testing.T) {
	for class, name := range edge.Classes {
		t.Run(name, func(t *testing.T) {
			a, _ := boundedApp(t)
			if edge.Class(class) != edge.Memory {
				fill(t, a.bounds.admission, edge.Class(class))
			}
			for _, d := range doors {
				r := httptest.NewRequest(d.method, d.path, strings.NewReader(d.body))
				r.Host = "localhost"
				r.Header.Set("Content-Type", d.media)
				r.Header.Set("Accept", d.accept)
				h := a.AdminHandler()
				if !d.admin {
					h = a.Handler()
					r.Header.Set("Origin", "http://localhost:8080")
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				refused := w.Code == http.StatusServiceUnavailable
				if want := class != int(edge.Memory) && (d.class == edge.Class(class) || d.class == edge.List); refused != want {
					t.Errorf("%s %s: %d while %s is full", d.method, d.path, w.Code, name)
					continue
				}
				if d.class == edge.Memory && !d.admin && w.Code != http.StatusOK {
					t.Errorf("%s %s: %d, want 200 from memory", d.method, d.path, w.Code)
				}
				if !refused {
					continue
				}
				if after, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || after < 1 {
					t.Errorf("%s %s: Retry-After is %q", d.method, d.path, w.Header().Get("Retry-After"))
				}
				if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, d.media503) {
					t.Errorf("%s %s: Content-Type %q, want %q", d.method, d.path, got, d.media503)
				}
				if d.media503 == "application/json" && !json.Valid(w.Body.Bytes()) {
					t.Errorf("%s %s: not JSON: %s", d.method, d.path, w.Body)
				}
				for _, s := range d.says {
					if !strings.Contains(w.Body.String(), s) {
						t.Errorf("%s %s: no %s in %s", d.method, d.path, s, w.Body)
					}
				}
				// A page of a trusted origin can read why, and when to come again.
				if crossed := strings.HasPrefix(d.path, "/oauth2/") && !strings.HasSuffix(d.path, "logout") || strings.HasPrefix(d.path, "/idp/"); crossed &&
					w.Header().Get("Access-Control-Allow-Origin") != "http://localhost:8080" {
					t.Errorf("%s %s: a script cannot read the answer", d.method, d.path)
				}
				if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Cache-Control") == "" {
					t.Errorf("%s %s: not the headers of every answer: %v", d.method, d.path, w.Header())
				}
			}
		})
	}
}

// All who hash at a time leave room in their class for those who do not.
func TestREL_R19_HashingLeavesRoom(t *testing.T) {
	a := edge.NewAdmission(nil, nil)
	for _, class := range []edge.Class{edge.Answer, edge.Step, edge.Start} {
		floor := a.Floor(class)
		if hashing := password.NewPool().Places(); floor < hashing+runtime.GOMAXPROCS(0) {
			t.Errorf("%v is never below %d, and %d of them may hash", class, floor, hashing)
		}
	}
}

// The write timeout leaves time for the answer after every deadline.
func TestREL_I10_TimeToAnswer(t *testing.T) {
	if left := serveLimits.write - edge.Longest; left < serveLimits.write/4 {
		t.Errorf("%v are left for an answer", left)
	}
	if serveLimits.read > edge.Longest {
		t.Errorf("a body may take %v, all of a request %v", serveLimits.read, edge.Longest)
	}
}

// A slowStore takes as long as is waited for it, and then does not answer.
type slowStore struct {
	store.Store
	wait  func()
	asked int
}

func (s *slowStore) Setting(context.Context, string) ([]byte, error) {
	s.asked++
	s.wait()
	return nil, errors.New("no answer")
}

// What the database did not answer to one probe it is not asked by those that
// waited meanwhile: they would wait one after the other.
func TestREL_R12_I10_ProbesDoNotQueue(t *testing.T) {
	now := time.Now()
	s := &slowStore{wait: func() { now = now.Add(readyPatience) }}
	a := &App{Store: s, now: func() time.Time { return now }}
	for range 20 {
		if a.Ready(t.Context()) == nil {
			t.Error("ready without a database")
		}
	}
	if s.asked != 1 {
		t.Errorf("the database was asked %d times, want once", s.asked)
	}
}

// An engine that refuses nobody has people wait for a connection of PostgreSQL too;
// under stile serve a second is the end of that.
func TestREL_R12_WhoRefusesNobodyWaitsForAConnection(t *testing.T) {
	for name, bounded := range map[string]bool{"stile dev": false, "stile serve": true} {
		t.Run(name, func(t *testing.T) {
			a, err := New(t.Context(), Config{
				Dir: t.TempDir(), Database: pgtest.Database(t), DatabaseConnections: 2, PublicURL: "http://localhost:9000",
				Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(), Bounded: bounded,
			})
			if err != nil {
				t.Fatal(err)
			}
			var inside, gone sync.WaitGroup
			release := make(chan struct{})
			inside.Add(2)
			for range 2 {
				gone.Go(func() {
					if err := a.Store.InTx(t.Context(), store.Relaxed, func(store.Tx) error { inside.Done(); <-release; return nil }); err != nil {
						t.Error(err)
					}
				})
			}
			inside.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err = a.Store.Setting(ctx, keySetting)
			if waited := errors.Is(err, context.DeadlineExceeded); err == nil || waited == bounded {
				t.Errorf("with all connections taken: %v", err)
			}
			close(release)
			gone.Wait()
			if err := a.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
