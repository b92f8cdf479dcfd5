package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && children[os.Args[1]] != nil { // as the children are started
		main()
		return
	}
	os.Exit(m.Run())
}

func short(t *testing.T, args ...string) flags {
	t.Helper()
	f, err := parse(append([]string{"-journeys", "5", "-span", "10ms", "-rest", "0", "-alg", "ES256"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What is measured works; how fast is no matter of tests.
func TestRun(t *testing.T) {
	for what, args := range map[string][]string{
		"limits":  {"-postgres", pgtest.Database(t)},
		"signup":  {"-clients", "2", "-postgres", pgtest.Database(t), "-nodes", "1,2", "-users", "0,20"},
		"signin":  {"-clients", "2"},
		"refresh": {"-clients", "2"},
		"check":   {"-clients", "2", "-alg", "RS256"},
	} {
		t.Run(what, func(t *testing.T) {
			if err := run(t.Context(), short(t, append(args, "-what", what)...)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func newBox(t *testing.T) *mailbox {
	t.Helper()
	box, err := newMailbox()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

// A measurement has each of its figures, and a sign-up the writes that it is known for.
func TestMeasure(t *testing.T) {
	f := short(t)
	r, err := f.measure(t.Context(), newBox(t), setting{what: "signup", server: "engine", database: "sqlite", alg: "ES256", clients: 2, nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.counts; c.rows < 5 || c.durable <= 0 || c.commits+c.durable > c.rows || c.allocated < 10_000 {
		t.Errorf("a sign-up is counted as %+v", c)
	}
	if r.first <= 0 || r.rest <= 0 || r.memory <= 0 || r.perSecond <= 0 || r.p50 <= 0 || r.p99 < r.p50 {
		t.Errorf("got %+v", r)
	}
}

// What is measured is what `stile serve` runs: it lets in by classes, writes a line for
// each request, and counts people by addresses of their own.
func TestREL_R17_BenchIsBounded(t *testing.T) {
	box := newBox(t)
	ctx := context.WithoutCancel(t.Context()) // they are stopped after its end, and not killed
	all, err := short(t).open(ctx, setting{server: "engine", database: "sqlite", alg: "ES256", nodes: 1}, box.url)
	t.Cleanup(func() {
		if err := all.stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(all, box)
	t.Cleanup(v.http.CloseIdleConnections)
	for range 2 {
		if _, err := v.someone().signUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	res, err := v.http.Get(all[0].metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for class, n := range map[string]int{"start": 2, "finish": 2, "answer": 2} {
		m := regexp.MustCompile(`stile_admission_wait_seconds_count\{class="` + class + `"\} (\d+)`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("class %s is not counted", class)
		}
		if in, err := strconv.Atoi(string(m[1])); err != nil || in < n {
			t.Errorf("of class %s %d were let in, want %d at least (%v)", class, in, n, err)
		}
	}
	log, err := os.ReadFile(filepath.Join(all[0].dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		if n := len(regexp.MustCompile(`(?m)^\{.*"/oauth2/default/v1/token".*"`+ip+`"|^\{.*"`+ip+`".*"/oauth2/default/v1/token"`).FindAll(log, -1)); n != 1 {
			t.Errorf("%d lines tell of a token for %s:\n%s", n, ip, log)
		}
	}
}

// A client that is told to come again does, and what it was told is counted.
func TestREL_R17_BenchComesAgain(t *testing.T) {
	answers := []struct {
		status int
		after  string
	}{{503, "0"}, {503, "0"}, {200, ""}, {503, ""}, {429, "0"}}
	var bodies []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("X-Forwarded-For")+" "+string(body))
		a := answers[0]
		answers = answers[1:]
		if a.after != "" {
			w.Header().Set("Retry-After", a.after)
		}
		w.WriteHeader(a.status)
	}))
	defer s.Close()
	p := newVisitor(servers{{url: s.URL}}, nil).someone()
	if _, err := p.post(t.Context(), "/", "text/plain", "a"); err != nil || p.refused.Load() != 2 {
		t.Errorf("got %v after %d refusals, want the third answer", err, p.refused.Load())
	}
	for range 2 { // neither is a refusal for want of time
		if _, err := p.post(t.Context(), "/", "text/plain", "b"); err == nil || p.refused.Load() != 2 {
			t.Errorf("got %v after %d refusals", err, p.refused.Load())
		}
	}
	if d := cmp.Diff([]string{"10.0.0.1 a", "10.0.0.1 a", "10.0.0.1 a", "10.0.0.1 b", "10.0.0.1 b"}, bodies); d != "" {
		t.Error(d)
	}
}

// Who is there before has what somebody has who signed up, and the audit log is sealed
// before anything is measured.
func TestREL_R21_BenchPeople(t *testing.T) {
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Config{Dir: dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	if err := people(t.Context(), a, 1001); err != nil { // the last by themselves
		t.Error(err)
	}
	for _, address := range []string{"seed0@example.com", "seed1000@example.com"} {
		who, err := a.Store.AccountByAddress(t.Context(), address)
		if err != nil || who.EmailVerifiedAt.IsZero() || len(who.Enrollments) != 1 {
			t.Fatalf("%s: %+v, %v", address, who, err)
		}
		if _, err := a.Engine.OpenCredential(who.Enrollments[0]); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := a.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := app.Verify(t.Context(), config.Verify{Data: config.Data{Data: dir}}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := app.AuditVerify(t.Context(), config.AuditVerify{Data: config.Data{Data: dir}}, &out); err != nil || !strings.Contains(out.String(), "\n0 rows not sealed yet.") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestParse(t *testing.T) {
	f, err := parse([]string{"-users", "1000,100000", "-nodes", "1,2", "-postgres", "postgres://x"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range f.engines(setting{}) {
		got = append(got, fmt.Sprint(s.database, s.users, " ", s.nodes))
	}
	if d := cmp.Diff([]string{
		"sqlite1000 1", "postgres1000 1", "postgres1000 2", "sqlite100000 1", "postgres100000 1", "postgres100000 2",
	}, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"-what,sign", "-clients,0", "-clients,1;2", "-users,-1", "-nodes,2", "-alg,none", "-journeys,0", "-span,0s"} {
		if _, err := parse(strings.SplitN(bad, ",", 2)); err == nil || !strings.Contains(err.Error(), strings.Split(bad, ",")[0]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A limit is measured at least once for each who asks, however short the time.
func TestRepeat(t *testing.T) {
	took, err := repeat(t.Context(), time.Nanosecond, 3, func(context.Context) error { return nil })
	if err != nil || len(took) < 3 {
		t.Errorf("%d times, %v", len(took), err)
	}
	want := fmt.Errorf("broken")
	if _, err := repeat(t.Context(), time.Hour, 2, func(context.Context) error { return want }); err == nil {
		t.Error("a failure is not told")
	}
}
