package demo_test

import (
	"go/parser"
	"go/token"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/examples/demo"
	"github.com/stile-id/stile/stiletest"
)

// serve runs an engine and the demo app against it.
func serve(t *testing.T, options ...stiletest.Option) (*stiletest.Engine, string) {
	t.Helper()
	app := httptest.NewUnstartedServer(nil)
	t.Cleanup(app.Close)
	origin := "http://" + app.Listener.Addr().String()
	engine := stiletest.Start(t, append(options, stiletest.RedirectURI(origin+"/login/callback"))...)
	h, err := demo.New(demo.Config{
		Issuer: engine.Issuer, ClientID: engine.ClientID, ClientSecret: engine.ClientSecret,
		RedirectURI: engine.RedirectURI, Inbox: engine.URL + "/dev/inbox", Now: engine.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	app.Config.Handler = h
	app.Start()
	return engine, origin
}

func TestSignUpIsToldInSixSteps(t *testing.T) {
	engine, origin := serve(t)
	ada := newPerson(t)
	ada.open(origin + "/")
	ada.sees("landing")

	ada.signUp(origin, "ada@example.com")
	wrong := "271828"
	if wrong == engine.Code(t, "ada@example.com") {
		wrong = "314159"
	}
	ada.press("continue", "verificationCode", wrong)
	ada.sees("email-code")
	code := engine.Code(t, "ada@example.com")
	ada.press("continue", "verificationCode", code)
	ada.sees("select-authenticator")
	ada.press("skip")
	ada.sees("home")

	want := []told{
		{"1", "Your app displays sign-up link on sign-in page", []string{"interact", "introspect"}},
		{"2", "Your app displays sign-up page", []string{"enroll"}},
		{"3", "The user submits their new account details", []string{"enroll/new"}},
		{"4", "The user verifies their identity using the email authenticator", []string{"introspect", "challenge/answer"}},
		{"5", "Your app displays the remaining optional authenticators", []string{"challenge/answer", "introspect"}},
		{"6", "The user skips the remaining optional authenticators", []string{"skip", "discovery", "keys", "token"}},
	}
	if diff := cmp.Diff(want, ada.story()); diff != "" {
		t.Errorf("the story (-want +got):\n%s", diff)
	}
	for _, part := range []string{
		"Signed in as <bdi>Ada Lovelace</bdi>", `<bdi id="email">ada@example.com</bdi>`, `id="subject">00u`,
		`data-claim="amr"`, `data-claim="scp"`, "in 59 minutes", "CanSkip is true",
	} {
		if !strings.Contains(ada.body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}

	t.Run("SEC_no_secret_in_the_calls", func(t *testing.T) {
		_, calls, _ := strings.Cut(ada.body, `<ol class="steps">`)
		calls = html.UnescapeString(calls)
		for _, r := range []string{engine.ClientSecret, code, wrong, "eyJhbGciOiJSUzI1NiIs", "Basic "} {
			if strings.Contains(calls, r) {
				t.Errorf("the calls hold %q", r)
			}
		}
		for _, m := range regexp.MustCompile(`(?:stateHandle|_handle|_code|Handle)"?: "([^"]+)"|(?:_code|_verifier|state|nonce)=([^\s<]+)`).FindAllStringSubmatch(calls, -1) {
			if v := m[1] + m[2]; !strings.HasSuffix(v, "…") {
				t.Errorf("%q is not shortened", m[0])
			}
		}
	})
	t.Run("a stranger sees nothing of it", func(t *testing.T) {
		eve := newPerson(t)
		eve.open(origin + "/")
		eve.sees("landing")
	})
	t.Run("sign-out forgets the calls", func(t *testing.T) {
		ada.press("sign-out")
		ada.sees("signed-out")
		ada.open(origin + "/")
		ada.sees("landing")
	})
}

func TestSignInIsToldInFourSteps(t *testing.T) {
	engine, origin := serve(t)
	ada := newPerson(t)
	ada.signUp(origin, "ada@example.com")
	ada.press("continue", "verificationCode", engine.Code(t, "ada@example.com"))
	ada.press("skip")
	ada.press("sign-out")

	ada.open(origin + "/login/")
	ada.press("next", "identifier", "ada@example.com")
	ada.sees("email-code")
	ada.press("continue", "verificationCode", engine.Code(t, "ada@example.com"))
	if strings.Contains(ada.body, `data-page="select-authenticator"`) {
		ada.press("skip")
	}
	ada.sees("home")
	var steps []string
	for _, s := range ada.story() {
		if steps = append(steps, s.Step); len(s.Calls) == 0 {
			t.Errorf("step %s has no calls", s.Step)
		}
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// Sign-up with an address that has an account is a sign-in (decision D8).
func TestSignUpWithKnownAddress(t *testing.T) {
	engine, origin := serve(t)
	for range 2 {
		ada := newPerson(t)
		ada.signUp(origin, "ada@example.com")
		ada.press("continue", "verificationCode", engine.Code(t, "ada@example.com"))
		if strings.Contains(ada.body, `data-page="select-authenticator"`) {
			ada.press("skip")
		}
		ada.sees("home")
		if n := len(ada.story()); n != 6 {
			t.Errorf("told in %d steps", n)
		}
	}
}

func TestSignUpByLink(t *testing.T) {
	engine, origin := serve(t)
	ada := newPerson(t)
	ada.signUp(origin, "ada@example.com")
	ada.open(engine.Link(t, "ada@example.com"))
	for ada.at.Host != strings.TrimPrefix(origin, "http://") || strings.Contains(ada.body, `data-page="link-continue"`) {
		ada.press("continue")
	}
	ada.sees("select-authenticator")
	ada.press("skip")
	ada.sees("home")
	story := ada.story()
	if len(story) != 6 || !slices.Contains(story[4].Calls, "challenge/answer") {
		t.Errorf("the story: %v", story)
	}
}

// A sign-up in another tab does not change what the first tab's led to.
func TestTabsDoNotMix(t *testing.T) {
	engine, origin := serve(t)
	ada := newPerson(t)
	ada.signUp(origin, "ada@example.com")
	first := *ada
	for _, other := range []string{"bea@example.com", "cyd@example.com"} {
		ada.signUp(origin, other)
	}
	first.press("continue", "verificationCode", engine.Code(t, "ada@example.com"))
	first.press("skip")
	first.sees("home")
	if calls := html.UnescapeString(first.body); strings.Contains(calls, "bea@example.com") || !strings.Contains(calls, `"ada@example.com"`) {
		t.Error("the calls are those of another tab")
	}
	if n := len(first.story()); n != 6 {
		t.Errorf("told in %d steps", n)
	}
}

func TestUX_G4_Headers(t *testing.T) {
	_, origin := serve(t)
	for path, status := range map[string]int{"/": 200, "/nothing": 404} {
		p := newPerson(t)
		res := p.open(origin + path)
		if res.StatusCode != status {
			t.Errorf("GET %s: %d", path, res.StatusCode)
		}
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy: %s", path, csp)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		if regexp.MustCompile(`style=|<style|onclick=|<script>`).MatchString(p.body) {
			t.Errorf("%s: inline style or script:\n%s", path, p.body)
		}
		for _, m := range regexp.MustCompile(`<link rel="\w+" href="([^"]+)"`).FindAllStringSubmatch(p.body, -1) {
			if res := newPerson(t).open(origin + m[1]); res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") == "" {
				t.Errorf("%s: %d, %q", m[1], res.StatusCode, res.Header.Get("Content-Type"))
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := demo.Config{Issuer: "http://localhost:9000/oauth2/default", ClientID: "c", RedirectURI: "http://localhost:8080/login/callback"}
	for name, change := range map[string]func(*demo.Config){
		"no issuer":                func(c *demo.Config) { c.Issuer = "" },
		"no client":                func(c *demo.Config) { c.ClientID = "" },
		"callback without folder":  func(c *demo.Config) { c.RedirectURI = "http://localhost:8080/callback" },
		"callback that is no URL":  func(c *demo.Config) { c.RedirectURI = "http://[" },
		"inbox that is a script":   func(c *demo.Config) { c.Inbox = "javascript:alert(1)" },
		"key that is too short":    func(c *demo.Config) { c.Key = []byte("short") },
		"plain http off this host": func(c *demo.Config) { c.RedirectURI = "http://app.example/login/callback" },
	} {
		c := good
		change(&c)
		if _, err := demo.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := demo.New(good); err != nil {
		t.Error(err)
	}
}

// A customer's app has nothing else either.
func TestImports(t *testing.T) {
	all, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			public := path == "github.com/stile-id/stile/idx" || path == "github.com/stile-id/stile/signin"
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") && !public {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
