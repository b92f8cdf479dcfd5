package attacks

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// A site is an app with the pages, behind which everything needs a session.
type site struct {
	*stiletest.Engine
	base, callback string
}

func openSite(t *testing.T, options ...stiletest.Option) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &site{base: "http://" + server.Listener.Addr().String()}
	s.callback = s.base + "/login/callback"
	s.Engine = stiletest.Start(t, append(options, stiletest.RedirectURI(s.callback))...)
	pages, err := signin.New(s.Client, signin.Options{
		RedirectURI: s.callback, AppName: "Acme", Home: "/home", Now: s.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/login/", pages)
	mux.Handle("/", pages.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := signin.User(r.Context())
		_, _ = io.WriteString(w, "signed in: "+id.Email)
	})))
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// A browser keeps cookies and follows redirects; it runs no script.
type browser struct {
	t    *testing.T
	s    *site
	http *http.Client
	page page
}

// A page is what a browser shows.
type page struct {
	at     *url.URL
	status int
	kind   string // data-page
	body   string
	forms  []form
}

type form struct {
	action, method string
	fields         url.Values
	buttons        []string // values of action
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, s: s, http: &http.Client{Jar: jar}}
}

func (b *browser) open(address string) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", b.resolve(address), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(r)
}

func (b *browser) resolve(address string) string {
	if strings.HasPrefix(address, "/") {
		return b.s.base + address
	}
	return address
}

// press sends the form that has the button, with the values typed in.
func (b *browser) press(button string, typed map[string]string) page {
	b.t.Helper()
	for _, f := range b.page.forms {
		if slices.Contains(f.buttons, button) {
			return b.submit(f, button, typed)
		}
	}
	b.t.Fatalf("no button %q on %s: %s", button, b.page.kind, b.page.body)
	return page{}
}

func (b *browser) submit(f form, button string, typed map[string]string) page {
	b.t.Helper()
	v := url.Values{}
	for name := range f.fields {
		v.Set(name, f.fields.Get(name))
	}
	for name, value := range typed {
		v.Set(name, value)
	}
	if button != "" {
		v.Set("action", button)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", f.action, strings.NewReader(v.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.s.base)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

func (b *browser) send(r *http.Request) page {
	b.t.Helper()
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page = page{at: res.Request.URL, status: res.StatusCode, body: string(body)}
	b.page.read(b.t)
	return b.page
}

func (p *page) read(t *testing.T) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	var walk func(n *html.Node, in int)
	walk = func(n *html.Node, in int) {
		if n.Type == html.ElementNode {
			switch n.Data {
			case "main":
				p.kind = attr(n, "data-page")
			case "form":
				to, err := p.at.Parse(attr(n, "action"))
				if err != nil {
					t.Fatal(err)
				}
				p.forms = append(p.forms, form{action: to.String(), method: attr(n, "method"), fields: url.Values{}})
				in = len(p.forms) - 1
			case "input":
				if in >= 0 && attr(n, "name") != "" {
					p.forms[in].fields.Set(attr(n, "name"), attr(n, "value"))
				}
			case "button":
				if in >= 0 {
					p.forms[in].buttons = append(p.forms[in].buttons, attr(n, "value"))
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, in)
		}
	}
	walk(root, -1)
}

// signedIn tells whether the browser has a session.
func (b *browser) signedIn() bool {
	b.t.Helper()
	kept := b.page
	defer func() { b.page = kept }()
	return strings.HasPrefix(b.open("/home").body, "signed in: ")
}

// cookies lists what the browser has of the app, by name.
func (b *browser) cookies() []*http.Cookie {
	u, _ := url.Parse(b.s.base + "/")
	return b.http.Jar.Cookies(u)
}

func (b *browser) signUp(address string) page {
	b.t.Helper()
	b.open("/login/sign-up")
	return b.press("create", map[string]string{"firstName": "Vera", "lastName": "Victim", "email": address})
}

func (b *browser) signIn(address string) page {
	b.t.Helper()
	b.open("/login/")
	return b.press("next", map[string]string{"identifier": address})
}
