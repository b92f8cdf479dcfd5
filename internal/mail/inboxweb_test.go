package mail

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask sends a request as from this machine.
func ask(t testing.TB, h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost:9000"+target, nil)
	r.RemoteAddr = "127.0.0.1:50000"
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func form(values url.Values) func(*http.Request) {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

func TestInboxAPI(t *testing.T) {
	b := newInbox(t)
	put(t, b, "one", "ada@example.com")
	put(t, b, "two", "bob@example.com")
	h := b.Handler()

	w := ask(t, h, "GET", "/dev/inbox/api/messages?to=ADA@example.com")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	var got map[string][]map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	m := got["messages"][0]
	want := map[string]any{
		"id": "one", "kind": "mail", "to": "ada@example.com", "from": `"Acme" <login@id.example.com>`, "subject": "123456 is your Acme sign-in code",
		"text": m["text"], "html": m["html"], "code": "123456", "link": message(SignIn).Link, "createdAt": "2026-11-22T14:02:00Z",
	}
	if diff := cmp.Diff(want, m); diff != "" || len(got["messages"]) != 1 {
		t.Error(diff)
	}
	if !strings.Contains(m["text"].(string), "123456") || !strings.Contains(m["html"].(string), "<html") {
		t.Error("text or html is missing")
	}

	for target, want := range map[string][]string{
		"/dev/inbox/api/messages":                                 {"two", "one"},
		"/dev/inbox/api/messages?limit=1":                         {"two"},
		"/dev/inbox/api/messages?after=one":                       {"two"},
		"/dev/inbox/api/messages?after=two":                       {},
		"/dev/inbox/api/messages?after=2026-11-22T14:01:00Z":      {"two", "one"},
		"/dev/inbox/api/messages?after=2026-11-22T15:01:00+01:00": {"two", "one"},
		"/dev/inbox/api/messages?after=2026-11-22T14:02:00Z":      {},
		"/dev/inbox/api/messages?to=nobody@example.com":           {},
		"/dev/inbox/api/messages?wait=10s":                        {"two", "one"},
	} {
		w := ask(t, h, "GET", target)
		var got struct{ Messages []InboxMessage }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ids(got.Messages)); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	if body := ask(t, h, "GET", "/dev/inbox/api/messages?after=two").Body.String(); body != `{"messages":[]}`+"\n" {
		t.Errorf("no message is %q", body)
	}
	for _, target := range []string{"?wait=soon", "?wait=-1s", "?after=what", "?limit=0", "?limit=x"} {
		w := ask(t, h, "GET", "/dev/inbox/api/messages"+target)
		if w.Code != 400 || !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := ask(t, h, "GET", "/dev/inbox/api/messages/one"); w.Code != 200 || !strings.Contains(w.Body.String(), `"id":"one"`) {
		t.Errorf("one message: %d %s", w.Code, w.Body)
	}
	for _, step := range []struct {
		method, target string
		status         int
		left           []string
	}{
		{"DELETE", "/dev/inbox/api/messages/one", 204, []string{"two"}},
		{"DELETE", "/dev/inbox/api/messages/one", 404, []string{"two"}},
		{"GET", "/dev/inbox/api/messages/one", 404, []string{"two"}},
		{"DELETE", "/dev/inbox/api/messages?to=ada@example.com", 204, []string{"two"}},
		{"DELETE", "/dev/inbox/api/messages", 204, []string{}},
	} {
		if w := ask(t, h, step.method, step.target); w.Code != step.status {
			t.Errorf("%s %s: %d", step.method, step.target, w.Code)
		}
		if diff := cmp.Diff(step.left, ids(b.Messages(""))); diff != "" {
			t.Errorf("%s %s: %s", step.method, step.target, diff)
		}
	}
}

func TestUX_P8_3_APIWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox(t)
		h := b.Handler()
		begin := time.Now()
		time.AfterFunc(4*time.Second, func() { put(t, b, "new", "ada@example.com") })
		w := ask(t, h, "GET", "/dev/inbox/api/messages?to=ada@example.com&wait=10s")
		if !strings.Contains(w.Body.String(), `"id":"new"`) || time.Since(begin) != 4*time.Second {
			t.Errorf("after %v: %s", time.Since(begin), w.Body)
		}

		begin = time.Now()
		w = ask(t, h, "GET", "/dev/inbox/api/messages?after=new&wait=2")
		if w.Code != 200 || w.Body.String() != `{"messages":[]}`+"\n" || time.Since(begin) != 2*time.Second {
			t.Errorf("after %v: %d %s", time.Since(begin), w.Code, w.Body)
		}

		begin = time.Now()
		ask(t, h, "GET", "/dev/inbox/api/messages?after=new&wait=24h")
		if time.Since(begin) != maxWait {
			t.Errorf("waited %v", time.Since(begin))
		}

		begin = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		ask(t, h, "GET", "/dev/inbox/api/messages?after=new&wait=50s", func(r *http.Request) { *r = *r.WithContext(ctx) })
		if time.Since(begin) != time.Second {
			t.Errorf("waited %v for someone who was gone", time.Since(begin))
		}
	})
}

func TestUX_P8_1_Pages(t *testing.T) {
	b := newInbox(t)
	h := b.Handler()
	if w := ask(t, h, "GET", "/dev/inbox"); w.Code != 200 || !strings.Contains(w.Body.String(), "No mail") {
		t.Errorf("empty: %d", w.Code)
	}
	put(t, b, "one", "ada@example.com")
	put(t, b, "two", "bob@example.com")

	page := ask(t, h, "GET", "/dev/inbox").Body.String()
	for _, want := range []string{
		"Development only", "2 mails", "ada@example.com", "bob@example.com", "123456 is your Acme sign-in code", `data-copy="123456"`,
		`href="` + message(SignIn).Link + `"`, "/dev/inbox/messages/one?view=html", "view=text", "view=source",
		`datetime="2026-11-22T14:02:00Z"`, "14:02:00", `data-newest="two"`, `<html lang="en" dir="ltr">`, "<title>", "<footer>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the list has no %q", want)
		}
	}
	if strings.Index(page, `id="m-two"`) > strings.Index(page, `id="m-one"`) {
		t.Error("the newest is not first")
	}
	if n := strings.Count(page, "<h1"); n != 1 {
		t.Errorf("%d h1", n)
	}
	filtered := ask(t, h, "GET", "/dev/inbox?to=ada@example.com").Body.String()
	if strings.Contains(filtered, "bob@example.com") || !strings.Contains(filtered, `value="ada@example.com"`) {
		t.Error("UX_P8_2: the list is not filtered")
	}

	for view, want := range map[string]string{
		"":       `<iframe class="view" title="The mail as HTML" sandbox="allow-popups allow-popups-to-escape-sandbox" src="/dev/inbox/messages/one/body">`,
		"html":   `aria-current="page">HTML`,
		"text":   "Your code:\n\n123456",
		"source": "Content-Type: multipart/alternative;",
	} {
		w := ask(t, h, "GET", "/dev/inbox/messages/one?view="+view)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "Development only") {
			t.Errorf("view %q: %d", view, w.Code)
		}
	}
	w := ask(t, h, "GET", "/dev/inbox/messages/gone")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "not here") {
		t.Errorf("unknown: %d", w.Code)
	}
	if w := ask(t, h, "GET", "/dev/inbox/messages/one/source"); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Error("source is not text")
	}
	if w := ask(t, h, "GET", "/dev/inbox/"); w.Code != 303 {
		t.Errorf("with a slash: %d", w.Code)
	}
	for target, kind := range map[string]string{"/dev/inbox/inbox.css": "text/css", "/dev/inbox/inbox.js": "text/javascript"} {
		if w := ask(t, h, "GET", target); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() > 15<<10 {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
}

// TestInboxShowsEveryMail wants the code and the link of each mail, where it has
// them, in the list, on its own page and in the JSON.
func TestInboxShowsEveryMail(t *testing.T) {
	for _, template := range templates {
		b := newInbox(t)
		m := message(template)
		l := compose(t, newComposer(t), m)
		b.Add(l)
		h := b.Handler()
		wantLink := m.Link + m.SignUpURL // no mail has both
		var got InboxMessage
		if err := json.Unmarshal(ask(t, h, "GET", "/dev/inbox/api/messages/"+l.ID).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Code != m.Code || got.Link != wantLink || got.Subject != l.Subject || got.To != m.To {
			t.Errorf("%s: %q to %q, code %q, link %q", template, got.Subject, got.To, got.Code, got.Link)
		}
		for _, target := range []string{"/dev/inbox", "/dev/inbox/messages/" + l.ID, "/dev/inbox/messages/" + l.ID + "?view=text"} {
			page := ask(t, h, "GET", target).Body.String()
			if strings.Contains(page, `data-copy="`) != (m.Code != "") {
				t.Errorf("%s: %s shows a code where there is none, or none", template, target)
			}
			if strings.Contains(page, `<a class="open" href="`+wantLink+`"`) != (wantLink != "") || strings.Contains(page, "Open link") != (wantLink != "") {
				t.Errorf("%s: %s does not show the link as it is", template, target)
			}
		}
	}
}

func TestUX_P8_4_NothingIsLoadedOrUsed(t *testing.T) {
	b := newInbox(t)
	l := letter(t, func(m *Message) { m.App.LogoURL = "https://cdn.example.com/logo.png" })
	b.Add(l)
	h := b.Handler()
	before := b.Messages("")
	targets := []string{"/dev/inbox", "/dev/inbox/messages/" + l.ID, "/dev/inbox/messages/" + l.ID + "/body", "/dev/inbox/messages/" + l.ID + "/source", "/dev/inbox/api/messages"}
	for _, target := range targets {
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(t, h, method, target)
			csp := w.Header().Get("Content-Security-Policy")
			if w.Code != 200 || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "http") ||
				w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s %s: %d %v", method, target, w.Code, w.Header())
			}
			if w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s sets a cookie", target)
			}
		}
	}
	body := ask(t, h, "GET", targets[2])
	if csp := body.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox ") || strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "allow-same-origin") {
		t.Errorf("the mail is not sandboxed: %s", csp)
	}
	if remote := regexp.MustCompile(`(src|href)="(https?:)?//`).FindString(ask(t, h, "GET", targets[1]).Body.String()); strings.HasPrefix(remote, "src") {
		t.Errorf("the page loads %s", remote)
	}
	if diff := cmp.Diff(before, b.Messages("")); diff != "" {
		t.Error(diff)
	}
}

func TestInboxEscapes(t *testing.T) {
	b := newInbox(t)
	l := letter(t)
	l.ID, l.To, l.Subject, l.Text, l.Link = "x", `"><script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, "</pre><script>", "javascript:alert(1)"
	b.Add(l)
	for _, target := range []string{"/dev/inbox", "/dev/inbox?to=%22%3E%3Cscript%3E", "/dev/inbox/messages/x", "/dev/inbox/messages/x?view=text"} {
		page := ask(t, b.Handler(), "GET", target).Body.String()
		if strings.Contains(page, "<script>") || strings.Contains(page, "<img") || strings.Contains(page, `href="javascript`) {
			t.Errorf("%s:\n%s", target, page)
		}
	}
}

func TestUX_P8_5_DeleteByPost(t *testing.T) {
	b := newInbox(t)
	for _, id := range []string{"one", "two", "three"} {
		put(t, b, id, "ada@example.com")
	}
	put(t, b, "four", "bob@example.com")
	h := b.Handler()
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	sameOrigin := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }

	for _, target := range []string{"/dev/inbox/delete", "/dev/inbox/messages/one/delete"} {
		if w := ask(t, h, "GET", target); w.Code != 405 {
			t.Errorf("UX_G5: GET %s: %d", target, w.Code)
		}
		if w := ask(t, h, "POST", target, crossSite); w.Code != 403 {
			t.Errorf("UX_G5: cross-site POST %s: %d", target, w.Code)
		}
	}
	if w := ask(t, h, "DELETE", "/dev/inbox/api/messages", crossSite); w.Code != 403 {
		t.Errorf("cross-site DELETE: %d", w.Code)
	}
	if len(b.Messages("")) != 4 {
		t.Fatal("something was deleted")
	}
	w := ask(t, h, "POST", "/dev/inbox/messages/one/delete", sameOrigin, form(url.Values{"to": {"ada@example.com"}}))
	if w.Code != 303 || w.Header().Get("Location") != "/dev/inbox?to=ada%40example.com" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := ask(t, h, "POST", "/dev/inbox/messages/one/delete"); w.Code != 303 {
		t.Errorf("deleting again: %d", w.Code)
	}
	ask(t, h, "POST", "/dev/inbox/delete", form(url.Values{"to": {"ada@example.com"}}))
	if diff := cmp.Diff([]string{"four"}, ids(b.Messages(""))); diff != "" {
		t.Error(diff)
	}
	ask(t, h, "POST", "/dev/inbox/delete", form(nil))
	if got := b.Messages(""); len(got) != 0 {
		t.Errorf("%v", ids(got))
	}
}

func TestUX_P8_6_LoopbackOnly(t *testing.T) {
	host := func(host, remote string) func(*http.Request) {
		return func(r *http.Request) { r.Host, r.RemoteAddr = host, remote }
	}
	for _, tc := range []struct {
		host, remote string
		any          bool
		status       int
	}{
		{"localhost:9000", "127.0.0.1:1", false, 200},
		{"127.0.0.1:9000", "127.0.0.1:1", false, 200},
		{"[::1]:9000", "[::1]:1", false, 200},
		{"localhost", "[::ffff:127.0.0.1]:1", false, 200},
		{"app.localhost:9000", "127.0.0.1:1", false, 200},
		{"stile.test:9000", "127.0.0.1:1", false, 200},
		{"evil.example:9000", "127.0.0.1:1", false, 403}, // DNS rebinding
		{"127.0.0.1.evil.example", "127.0.0.1:1", false, 403},
		{"localhost:9000", "192.0.2.7:1", false, 403},
		{"localhost:9000", "", false, 403},
		{"192.0.2.1:9000", "192.0.2.7:1", true, 200},
	} {
		b := newInbox(t, func(c *InboxConfig) { c.AnyHost, c.Hosts = tc.any, []string{"stile.test"} })
		for _, target := range []string{"/dev/inbox", "/dev/inbox/api/messages", "/dev/inbox/inbox.js"} {
			if w := ask(t, b.Handler(), "GET", target, host(tc.host, tc.remote)); w.Code != tc.status {
				t.Errorf("%s from %s at %s: %d, want %d", target, tc.remote, tc.host, w.Code, tc.status)
			}
		}
	}
}
