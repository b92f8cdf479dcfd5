package signin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/signin"
)

// in signs a browser up to the end.
func (s *site) in() *browser {
	s.t.Helper()
	b := s.browser()
	v := b.signUp("Ada", "Lovelace", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
	if v.has("skip") {
		v = v.press("skip")
	}
	if !strings.HasPrefix(v.html, "app /") {
		s.t.Fatalf("not signed in: %s at %s", v.page(), v.url)
	}
	return b
}

func TestRequire(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/a/b?c=d&e=f").is("sign-in")
	if got := v.url.Query().Get("return_to"); got != "/a/b?c=d&e=f" {
		t.Errorf("return_to %q", got)
	}
	if got := b.get("/@ada").url.Query().Get("return_to"); got != "/%40ada" {
		t.Errorf("return_to %q", got)
	}
	if got := b.get("/").url.RawQuery; got != "" {
		t.Errorf("home leads to ?%s", got)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		v := b.send(method, "/a", url.Values{})
		if v.status != http.StatusUnauthorized {
			t.Errorf("%s answers %d", method, v.status)
		}
	}
	t.Run("SEC_S72 return_to", func(t *testing.T) {
		for _, to := range []string{"//evil.example", `/\evil.example`, "https://evil.example/", "javascript:alert(1)", "/\t/evil.example"} {
			b := s.browser()
			v := b.get("/login/?return_to="+url.QueryEscape(to)).forge("next", "identifier", ada, "return_to", to).is("email-code")
			s.engine.set(func() { s.engine.users[ada] = true })
			v = b.signIn(ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
			if v.url.Host != strings.TrimPrefix(s.url, "http://") || v.url.Path != "/" {
				t.Errorf("%q leads to %s", to, v.url)
			}
			if got := b.get("/login/?return_to=" + url.QueryEscape(to)).is("already-signed-in").link("Continue"); got != "/" {
				t.Errorf("%q: Continue leads to %q", to, got)
			}
		}
	})
}

func TestIdentify(t *testing.T) {
	s := newSite(t)
	b := s.in()
	h := s.pages.Identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := signin.User(r.Context())
		fmt.Fprint(w, ok, id.Subject, id.Email, id.GivenName, id.FamilyName, id.Claims.EmailVerified, id.Tokens.RefreshToken != nil)
	}))
	serve := func(cookies []*http.Cookie) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Body.String()
	}
	if got := serve(b.cookies()); got != "true00u1adaada@example.comAdaLovelacetrue false" {
		t.Errorf("signed in: %s", got)
	}
	if got := serve(nil); !strings.HasPrefix(got, "false") {
		t.Errorf("signed out: %s", got)
	}
	if _, ok := signin.User(t.Context()); ok {
		t.Error("there is someone outside of the handlers")
	}
}

func TestSession_Restart(t *testing.T) {
	s := newSite(t)
	b := s.in()
	code := s.browser().signUp("Bea", "L", "bea@example.com")
	s.start()
	if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
		t.Errorf("signed out by a restart: %s", v.page())
	}
	code.press("continue", "verificationCode", s.engine.lastMail("bea@example.com").code).is("select-authenticator")
	t.Run("another key", func(t *testing.T) {
		s.start(func(o *signin.Options) { o.Key = []byte("another key, of more than 32 bytes") })
		b.get("/").is("sign-in")
		s.start()
		if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
			t.Error("the old cookie is gone")
		}
	})
}

func TestSession_Ends(t *testing.T) {
	s := newSite(t)
	b := s.in()
	s.clock.Advance(59*time.Minute + 59*time.Second)
	if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
		t.Errorf("ended early: %s", v.page())
	}
	s.clock.Advance(time.Second)
	b.get("/").is("sign-in")
}

func TestSession_Refresh(t *testing.T) {
	s := newSite(t)
	s.engine.offline = true
	b := s.in()
	s.clock.Advance(2 * time.Hour)
	t.Run("once for many requests", func(t *testing.T) {
		old := b.cookies()
		var wg sync.WaitGroup
		bodies := make([]string, 8)
		for i := range bodies {
			wg.Go(func() {
				r, err := http.NewRequest(http.MethodGet, s.url+"/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, c := range old {
					r.AddCookie(c)
				}
				res, err := b.http.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				bodies[i] = string(body)
			})
		}
		wg.Wait()
		for _, body := range bodies {
			if !strings.HasPrefix(body, "app /") {
				t.Errorf("got %.200s", body)
			}
		}
		used := 0
		for _, u := range s.engine.refresh {
			if u {
				used++
			}
		}
		if used != 1 {
			t.Errorf("%d refresh tokens used", used)
		}
	})
	t.Run("again", func(t *testing.T) {
		b.get("/")
		s.clock.Advance(2 * time.Hour)
		if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
			t.Errorf("got %s", v.page())
		}
	})
	t.Run("a little before the end", func(t *testing.T) {
		before := s.engine.count("/v1/token")
		s.clock.Advance(time.Hour - 29*time.Second)
		b.get("/")
		if n := s.engine.count("/v1/token") - before; n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
	t.Run("the engine does not answer", func(t *testing.T) {
		s.engine.set(func() { s.engine.answers["/v1/token"] = reply{status: 503, body: `{}`} })
		s.clock.Advance(time.Hour - 10*time.Second)
		if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
			t.Errorf("before the end: %s", v.page())
		}
		s.clock.Advance(time.Hour)
		if v := b.get("/").is("error"); v.status != http.StatusBadGateway {
			t.Errorf("after it: %d", v.status)
		}
		s.engine.set(func() { clear(s.engine.answers) })
		if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
			t.Errorf("back again: %s", v.page())
		}
	})
	t.Run("refused", func(t *testing.T) {
		s.engine.set(func() { clear(s.engine.refresh) })
		s.clock.Advance(2 * time.Hour)
		b.get("/").is("sign-in")
	})
}

func TestUX_P7_7_SignOut(t *testing.T) {
	s := newSite(t)
	s.engine.offline = true
	b := s.in()
	v := b.get("/login/sign-out").is("sign-out").says("You are signed in to Acme as ada@example.com.")
	b.get("/")
	v.press("sign-out").is("signed-out").follow("Sign in again").is("sign-in")
	b.get("/").is("sign-in")
	if len(s.engine.revoked) != 1 || !strings.HasPrefix(s.engine.revoked[0], "refresh-") {
		t.Errorf("revoked %v", s.engine.revoked)
	}
	for _, c := range b.cookies() {
		if strings.HasSuffix(c.Name, "-s") {
			t.Errorf("cookie %s is left", c.Name)
		}
	}
	b.get("/login/sign-out").is("signed-out")

	t.Run("to a page of the app", func(t *testing.T) {
		b := s.in()
		v := b.send(http.MethodPost, "/login/sign-out", url.Values{"return_to": {"/login/sign-up"}})
		v.is("sign-up")
		b = s.browser()
		b.send(http.MethodPost, "/login/sign-out", url.Values{"return_to": {"//evil.example"}}).is("signed-out")
	})
	t.Run("the engine does not answer", func(t *testing.T) {
		s.engine.set(func() { s.engine.answers["/v1/revoke"] = reply{status: 503, body: `{}`} })
		b := s.browser()
		v := b.signIn(ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
		if !strings.HasPrefix(v.html, "app /") {
			t.Fatalf("at %s", v.url)
		}
		b.get("/login/sign-out").press("sign-out").is("signed-out")
		b.get("/").is("sign-in")
		if !strings.Contains(s.log.text(), "tokens not revoked") {
			t.Error("not in the log")
		}
	})
}

func TestSEC_S67_CrossOrigin(t *testing.T) {
	s := newSite(t)
	b := s.in()
	for _, path := range []string{"/login/", "/login/sign-up", "/login/step", "/login/callback", "/login/sign-out", "/login/poll"} {
		for name, header := range map[string]http.Header{
			"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}},
			"origin": {"Origin": {"https://evil.example"}}, "null": {"Origin": {"null"}},
		} {
			r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader("action=sign-out"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			res, err := b.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden || len(res.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s %s: %d", path, name, res.StatusCode)
			}
		}
	}
	if v := b.get("/"); !strings.HasPrefix(v.html, "app /") {
		t.Error("signed out from elsewhere")
	}
}

func TestSEC_S64_NewSessionEachTime(t *testing.T) {
	s := newSite(t)
	b := s.in()
	session := func() string {
		for _, c := range b.cookies() {
			if strings.HasSuffix(c.Name, "-s") {
				return c.Value
			}
		}
		return ""
	}
	one := session()
	b.get("/login/").press("switch")
	v := b.signIn(ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
	if two := session(); !strings.HasPrefix(v.html, "app /") || two == one || two == "" {
		t.Errorf("the session is %.20s after %.20s", two, one)
	}
}

// A flow's cookie from one browser does not fit under another name, and a flow's id
// alone opens nothing (SEC S-26).
func TestSEC_S26_ForeignFlow(t *testing.T) {
	s := newSite(t)
	v := s.browser().signUp("Ada", "L", ada)
	s.clock.Advance(2 * time.Minute)
	other := s.browser()
	other.get(v.url.RequestURI()).is("too-old")
	to, values := v.form("continue", "verificationCode", s.engine.lastMail(ada).code)
	other.send(http.MethodPost, to, values).is("too-old")
	other.get("/").is("sign-in")
	v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
}

func TestRequestsThatPagesNeverMake(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	if v := b.get("/login/nothing").is("error"); v.status != http.StatusNotFound {
		t.Errorf("unknown page: %d", v.status)
	}
	if v := b.send(http.MethodPut, "/login/", nil).is("error"); v.status != http.StatusMethodNotAllowed || v.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: %d, %q", v.status, v.header.Get("Allow"))
	}
	if v := b.get("/login/poll").is("error"); v.header.Get("Allow") != "POST" {
		t.Errorf("GET poll: %q", v.header.Get("Allow"))
	}
	if v := b.send(http.MethodPost, "/login/signed-out", url.Values{}).is("error"); v.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST signed-out: %q", v.header.Get("Allow"))
	}
	if v := b.send(http.MethodPost, "/login/", url.Values{"identifier": {strings.Repeat("a", 100_000)}}).is("error"); v.status != http.StatusBadRequest {
		t.Errorf("a large form: %d", v.status)
	}
	v := b.signIn(ada)
	to, values := v.form("continue")
	values.Set("action", "nonsense")
	b.send(http.MethodPost, to, values).is("email-code").says("Enter the code")
}
