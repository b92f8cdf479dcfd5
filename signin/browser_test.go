package signin_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
)

// A site is an app with the pages, and the engine behind it.
type site struct {
	t      testing.TB
	clock  *clock
	engine *engine
	pages  *signin.Pages
	url    string
	log    *logBuffer

	mu      sync.Mutex
	handler http.Handler
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newSite(t testing.TB, change ...func(*signin.Options)) *site {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)}
	s := &site{t: t, clock: c, engine: newEngine(t, c), log: &logBuffer{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.handler
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	s.start(change...)
	return s
}

// start makes the pages anew, as a restart of the app does.
func (s *site) start(change ...func(*signin.Options)) {
	s.t.Helper()
	redirect := s.url + "/login/callback"
	client, err := idx.New(idx.Config{
		Issuer: s.engine.issuer(), ClientID: clientID, ClientSecret: secret, RedirectURI: redirect, Now: s.clock.Now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	o := signin.Options{
		RedirectURI: redirect, AppName: "Acme", Sender: "Acme <login@acme.example>", Now: s.clock.Now,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	if s.pages, err = signin.New(client, o); err != nil {
		s.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/login/", s.pages)
	mux.Handle("/", s.pages.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := signin.User(r.Context())
		if !ok || id.Tokens.AccessToken == nil || id.Tokens.IDToken == nil {
			http.Error(w, "no identity", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "app %s: %s %s %s", r.URL, id.Subject, id.Email, id.Name)
	})))
	s.mu.Lock()
	s.handler = mux
	s.mu.Unlock()
}

// A browser has cookies and no script.
type browser struct {
	*site
	http *http.Client
	lang string
	hops []string // of the last load: each response's status and address
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &browser{site: s, http: &http.Client{Jar: jar}}
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// A view is a page as loaded.
type view struct {
	b      *browser
	status int
	url    *url.URL
	header http.Header
	html   string
}

func (b *browser) send(method, address string, form url.Values) *view {
	b.t.Helper()
	base, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	at, err := base.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.hops = nil
	for range 10 {
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(form.Encode())
		}
		req, err := http.NewRequest(method, at.String(), body)
		if err != nil {
			b.t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		if b.lang != "" {
			req.Header.Set("Accept-Language", b.lang)
		}
		req.Header.Set("User-Agent", "test browser")
		res, err := b.http.Do(req)
		if err != nil {
			b.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			b.t.Fatal(err)
		}
		b.hops = append(b.hops, fmt.Sprintf("%d %s", res.StatusCode, at.RequestURI()))
		if to := res.Header.Get("Location"); to != "" {
			if res.StatusCode != http.StatusSeeOther && at.Host == base.Host {
				b.t.Errorf("%s answers %d, want 303", at, res.StatusCode)
			}
			if at, err = at.Parse(to); err != nil {
				b.t.Fatal(err)
			}
			if method == http.MethodPost {
				method = http.MethodGet
			}
			continue
		}
		v := &view{b: b, status: res.StatusCode, url: at, header: res.Header, html: string(text)}
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && method != http.MethodHead {
			v.lint()
		}
		return v
	}
	b.t.Fatalf("redirects without end: %v", b.hops)
	return nil
}

func (b *browser) get(address string) *view {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

func (v *view) page() string {
	if m := mainTag.FindStringSubmatch(v.html); m != nil {
		return m[1]
	}
	return ""
}

func (v *view) title() string {
	if m := titleTag.FindStringSubmatch(v.html); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// text is what can be read on the page, one space between words.
func (v *view) text() string {
	_, body, _ := strings.Cut(v.html, "<body>")
	return strings.Join(strings.Fields(html.UnescapeString(anyTag.ReplaceAllString(body, " "))), " ")
}

// sentence is text with marked-up words closed up to what follows them.
func (v *view) sentence() string {
	return regexp.MustCompile(` ([.,!?])`).ReplaceAllString(v.text(), "$1")
}

func (v *view) is(page string) *view {
	v.b.t.Helper()
	if v.page() != page {
		v.b.t.Fatalf("page %q at %s (%d), want %q: %.600s", v.page(), v.url, v.status, page, v.text())
	}
	return v
}

func (v *view) says(words ...string) *view {
	v.b.t.Helper()
	for _, w := range words {
		if !strings.Contains(v.sentence(), w) {
			v.b.t.Errorf("%s does not say %q: %s", v.page(), w, v.sentence())
		}
	}
	return v
}

func (v *view) saysNot(words ...string) *view {
	v.b.t.Helper()
	for _, w := range words {
		if strings.Contains(v.sentence(), w) {
			v.b.t.Errorf("%s says %q: %s", v.page(), w, v.sentence())
		}
	}
	return v
}

// tag gives the attributes of the first tag with name="…".
func (v *view) tag(name string) string {
	for _, m := range inputTag.FindAllStringSubmatch(v.html, -1) {
		if attr(m[2], "name") == name && attr(m[2], "type") != "hidden" {
			return m[2]
		}
	}
	return ""
}

func (v *view) value(name string) string { return attr(v.tag(name), "value") }

func (v *view) has(action string) bool {
	return strings.Contains(v.html, `name="action" value="`+action+`"`)
}

// link gives the address of the link with these words.
func (v *view) link(words string) string {
	for _, m := range linkTag.FindAllStringSubmatch(v.html, -1) {
		if strings.TrimSpace(anyTag.ReplaceAllString(m[2], "")) == words {
			return attr(m[1], "href")
		}
	}
	return ""
}

func (v *view) follow(words string) *view {
	v.b.t.Helper()
	to := v.link(words)
	if to == "" {
		v.b.t.Fatalf("%s has no link %q: %s", v.page(), words, v.html)
	}
	return v.b.get(to)
}

// form gives where and what a press of the button sends, typed values included. One
// that the page does not offer fails the test.
func (v *view) form(action string, typed ...string) (string, url.Values) {
	v.b.t.Helper()
	button := `name="action" value="` + action + `"`
	for _, m := range formTag.FindAllStringSubmatch(v.html, -1) {
		id := attr(m[1], "id")
		apart := id != "" && strings.Contains(v.html, `form="`+id+`" `+button)
		if !strings.Contains(m[2], button) && !apart {
			continue
		}
		if attr(m[1], "method") != "post" {
			v.b.t.Errorf("UX G5: the form of %q is no POST", action)
		}
		values := url.Values{"action": {action}}
		for _, in := range inputTag.FindAllStringSubmatch(m[2], -1) {
			name, kind := attr(in[2], "name"), attr(in[2], "type")
			if in[1] == "button" || name == "" || (kind == "radio" || kind == "checkbox") && !strings.Contains(in[2], " checked") {
				continue
			}
			values.Set(name, attr(in[2], "value"))
		}
		for i := 0; i+1 < len(typed); i += 2 {
			if !takes(m[2], typed[i], typed[i+1]) {
				v.b.t.Errorf("%s at %s takes no %s %q: %s", v.page(), v.url, typed[i], typed[i+1], m[2])
			}
		}
		return attr(m[1], "action"), fill(values, typed)
	}
	v.b.t.Fatalf("%s at %s has no button %q: %s", v.page(), v.url, action, v.html)
	return "", nil
}

// forge sends what the page does not offer, as an old page or an attacker would.
func (v *view) forge(action string, typed ...string) *view {
	v.b.t.Helper()
	to, values := v.form(action)
	return v.b.send(http.MethodPost, to, fill(values, typed))
}

func fill(values url.Values, typed []string) url.Values {
	for i := 0; i+1 < len(typed); i += 2 {
		values.Set(typed[i], typed[i+1])
	}
	return values
}

// takes reports whether a person could give value in a form: one that it lists, where
// it lists some.
func takes(form, name, value string) bool {
	for _, in := range inputTag.FindAllStringSubmatch(form, -1) {
		if attr(in[2], "name") != name {
			continue
		}
		switch kind := attr(in[2], "type"); {
		case in[1] == "select":
			if listed(form, name, value) {
				return true
			}
		case in[1] == "button" || kind == "radio" || kind == "checkbox" || kind == "hidden":
			if attr(in[2], "value") == value || value == "" && kind != "hidden" {
				return true
			}
		default:
			return true
		}
	}
	return false
}

func listed(form, name, value string) bool {
	_, rest, _ := strings.Cut(form, `<select id="`+name+`"`)
	options, _, _ := strings.Cut(rest, "</select>")
	return strings.Contains(options, `<option value="`+html.EscapeString(value)+`"`)
}

func (v *view) press(action string, typed ...string) *view {
	v.b.t.Helper()
	to, values := v.form(action, typed...)
	return v.b.send(http.MethodPost, to, values)
}

// signUp goes as far as the code page.
func (b *browser) signUp(first, last, email string) *view {
	b.t.Helper()
	return b.get("/login/sign-up").is("sign-up").press("create", "firstName", first, "lastName", last, "email", email).is("email-code")
}

func (b *browser) signIn(email string) *view {
	b.t.Helper()
	return b.get("/login/").is("sign-in").press("next", "identifier", email).is("email-code")
}

func (b *browser) cookies() []*http.Cookie {
	u, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.http.Jar.Cookies(u)
}
