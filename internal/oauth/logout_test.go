package oauth

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/session"
)

const logoutPath = "/oauth2/default/v1/logout"

// signIn gives a browser a session and returns the id and what the browser sends.
func (e *env) signIn(user string) (id string, cookie []string) {
	id = "ses" + user
	now := e.clock.Now()
	e.store.edit(func(r *memoryRows) {
		r.sessions[id] = session.Session{
			ID: id, UserID: user, Version: 1, CreatedAt: now, SeenAt: now, IdleUntil: now.Add(24 * time.Hour), ExpiresAt: now.Add(24 * time.Hour),
		}
	})
	return id, []string{"Cookie", "stile=sid." + id}
}

func inSession(id string) func(*Interaction) { return func(i *Interaction) { i.Session = id } }

func (e *env) live(session string) bool {
	s, err := e.store.Session(e.t.Context(), session)
	return err == nil && s.Live(e.clock.Now())
}

func (e *env) logout(query url.Values, headers ...string) *reply {
	e.t.Helper()
	return e.get(logoutPath+"?"+query.Encode(), headers...)
}

// confirmOf returns the token in the form of a page.
func confirmOf(t testing.TB, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="confirm" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form in %s", page)
	}
	return html.UnescapeString(m[1])
}

func clears(r *reply) bool {
	return slices.ContainsFunc(r.Header.Values("Set-Cookie"), func(c string) bool {
		return strings.HasPrefix(c, "stile=;") && strings.Contains(c, "Max-Age=0") && strings.Contains(c, "HttpOnly")
	})
}

func TestSEC_S94_LogoutByHint(t *testing.T) {
	for _, c := range []struct {
		name     string
		edit     func(*Interaction)
		query    []string
		after    time.Duration
		location string // empty: the page
	}{
		{name: "redirect and state", query: []string{"post_logout_redirect_uri", spaSignedOut, "state", "a b&c"}, location: spaSignedOut + "?state=a+b%26c"},
		{name: "no state", query: []string{"post_logout_redirect_uri", spaSignedOut}, location: spaSignedOut},
		{name: "registered query", query: []string{"post_logout_redirect_uri", spaSignedOutQuery, "state", "s"}, location: spaSignedOutQuery + "&state=s"},
		{name: "client id as well", query: []string{"post_logout_redirect_uri", spaSignedOut, "client_id", spaID}, location: spaSignedOut},
		{name: "expired hint", query: []string{"post_logout_redirect_uri", spaSignedOut}, after: 20 * time.Hour, location: spaSignedOut},
		{name: "no redirect", query: []string{"state", "s"}},
		{name: "hint of another browser", edit: inSession("sesElsewhere"), query: []string{"post_logout_redirect_uri", spaSignedOut}, location: spaSignedOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			id, cookie := e.signIn(userID)
			edit := c.edit
			if edit == nil {
				edit = inSession(id)
			}
			tokens := e.redeem(edit)
			e.clock.Move(c.after)
			r := e.logout(form(append(c.query, "id_token_hint", tokens.text("id_token"))...), cookie...)
			status := http.StatusSeeOther
			if c.location == "" {
				status = http.StatusOK
			}
			if r.Status != status || r.Header.Get("Location") != c.location || !clears(r) {
				t.Errorf("%d %v", r.Status, r.Header)
			}
			if c.location == "" && !strings.Contains(r.Raw, `data-page="signed-out"`) {
				t.Error(r.Raw)
			}
			if e.live(id) {
				t.Error("the session lives")
			}
			if e.userinfo(tokens.text("access_token")).Status != http.StatusUnauthorized {
				t.Error("the access token works")
			}
			if events := e.store.events(); events[len(events)-1] != "user.session.end" {
				t.Errorf("events %v", events)
			}
		})
	}
}

// What is wrong with the request is named on the page, nobody is sent anywhere,
// and GET has changed nothing.
func TestSEC_S94_LogoutRefusals(t *testing.T) {
	e := newEnv(t)
	e.addClient(Client{ID: "0oaGone", RedirectURIs: []string{spaCallback}}, false)
	id, cookie := e.signIn(userID)
	tokens := e.redeem(inSession(id))
	hint := tokens.text("id_token")
	other := e.post("/oauth2/v1/token", redemption(e.finish(func(i *Interaction) { i.Server = OrgServer }))).text("id_token")
	gone := e.post(tokenPath, with(redemption(e.finish(func(i *Interaction) { i.ClientID = "0oaGone" })), "client_id", "0oaGone")).text("id_token")
	c, _ := e.server.Client(t.Context(), "0oaGone")
	c.Disabled = true
	if err := e.server.UpdateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(hint, ".")
	stranger := strings.Split(e.redeem(func(i *Interaction) { i.AMR = []string{"pwd"} }).text("id_token"), ".")
	for name, query := range map[string]url.Values{
		"modified hint":                  form("id_token_hint", parts[0]+"."+stranger[1]+"."+parts[2]),
		"unsigned hint":                  form("id_token_hint", b64(`{"alg":"none"}`)+"."+parts[1]+"."),
		"cut hint":                       form("id_token_hint", hint[:len(hint)-4]),
		"access token as hint":           form("id_token_hint", tokens.text("access_token")),
		"hint of another server":         form("id_token_hint", other),
		"hint of a disabled client":      form("id_token_hint", gone),
		"another client":                 form("id_token_hint", hint, "client_id", otherID),
		"unknown client":                 form("client_id", "0oaNobody"),
		"hint given twice":               form("id_token_hint", hint, "id_token_hint", hint),
		"long state":                     form("id_token_hint", hint, "state", strings.Repeat("x", maxOpaque+1)),
		"redirect of nobody":             form("post_logout_redirect_uri", spaSignedOut),
		"redirect of another client":     form("id_token_hint", hint, "post_logout_redirect_uri", webSignedOut),
		"login redirect":                 form("id_token_hint", hint, "post_logout_redirect_uri", spaCallback),
		"query added":                    form("id_token_hint", hint, "post_logout_redirect_uri", spaSignedOut+"?x=1"),
		"query removed":                  form("id_token_hint", hint, "post_logout_redirect_uri", strings.TrimSuffix(spaSignedOutQuery, "?from=idp")+"?"),
		"another port":                   form("id_token_hint", hint, "post_logout_redirect_uri", "http://localhost:8082/bye"),
		"case":                           form("id_token_hint", hint, "post_logout_redirect_uri", "http://LOCALHOST:8081/bye"),
		"slash":                          form("id_token_hint", hint, "post_logout_redirect_uri", spaSignedOut+"/"),
		"elsewhere":                      form("id_token_hint", hint, "post_logout_redirect_uri", "https://evil.example/"),
		"script":                         form("id_token_hint", hint, "post_logout_redirect_uri", "javascript:alert(1)"),
		"bad hint, good client and URI":  form("id_token_hint", "x", "client_id", spaID, "post_logout_redirect_uri", spaSignedOut),
		"control characters in the name": form("client_id", "a\x00b"),
	} {
		for browser, headers := range map[string][]string{"signed in": cookie, "not signed in": nil} {
			t.Run(name+", "+browser, func(t *testing.T) {
				writes := e.store.writes
				r := e.logout(query, headers...)
				page := `data-page="sign-out"`
				if headers == nil {
					page = `data-page="signed-out"`
				}
				if r.Status != http.StatusBadRequest || r.Header.Get("Location") != "" || !strings.Contains(r.Raw, page) {
					t.Errorf("%d %v %s", r.Status, r.Header, r.Raw)
				}
				if !strings.Contains(r.Raw, "<title>Error: ") || !strings.Contains(r.Raw, r.Header.Get("X-Request-Id")) || strings.Contains(r.Raw, "post_logout_redirect_uri\" value") {
					t.Error(r.Raw)
				}
				if e.store.writes != writes || !e.live(id) || len(r.Header.Values("Set-Cookie")) != 0 {
					t.Error("something was changed")
				}
			})
		}
	}
}

func TestSEC_S94_LogoutAsks(t *testing.T) {
	for _, c := range []struct {
		name     string
		query    func(hint string) url.Values
		heading  string
		location string // after the button
	}{
		{"nothing", func(string) url.Values { return nil }, "Sign out?", logoutPath},
		{"only state", func(string) url.Values { return form("state", "s") }, "Sign out?", logoutPath},
		{"client", func(string) url.Values { return form("client_id", spaID) }, "Sign out of Acme?", logoutPath + "?client_id=" + spaID},
		{"client and redirect", func(string) url.Values {
			return form("client_id", spaID, "post_logout_redirect_uri", spaSignedOut, "state", "<s>")
		}, "Sign out of Acme?", spaSignedOut + "?state=%3Cs%3E"},
		{"hint of another person", func(hint string) url.Values {
			return form("id_token_hint", hint, "post_logout_redirect_uri", spaSignedOut)
		}, "Sign out of Acme?", spaSignedOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			e.store.edit(func(r *memoryRows) {
				a := r.accounts[userID]
				a.ID, a.Email = "00uOther", "other@example.org"
				r.accounts[a.ID] = a
			})
			hint := e.redeem().text("id_token") // of userID
			id, cookie := e.signIn("00uOther")
			writes := e.store.writes
			ask := e.logout(c.query(hint), cookie...)
			if ask.Status != http.StatusOK || !strings.Contains(ask.Raw, "<h1>"+c.heading+"</h1>") || !strings.Contains(ask.Raw, "other@example.org") {
				t.Errorf("%d %s", ask.Status, ask.Raw)
			}
			if e.store.writes != writes || !e.live(id) || len(ask.Header.Values("Set-Cookie")) != 0 {
				t.Fatal("asking changed something")
			}
			fields := url.Values{}
			for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(ask.Raw, -1) {
				fields.Set(m[1], html.UnescapeString(m[2]))
			}
			done := e.post(logoutPath, fields, append(cookie, "Sec-Fetch-Site", "same-origin", "Origin", "null")...)
			if done.Status != http.StatusSeeOther || done.Header.Get("Location") != c.location || !clears(done) || e.live(id) {
				t.Errorf("%d %v, session lives: %v", done.Status, done.Header, e.live(id))
			}
			if strings.HasPrefix(c.location, logoutPath) {
				if end := e.get(c.location); end.Status != http.StatusOK || !strings.Contains(end.Raw, "<h1>You are signed out</h1>") {
					t.Errorf("%d %s", end.Status, end.Raw)
				}
			}
		})
	}
}

func TestSEC_S67_LogoutForm(t *testing.T) {
	e := newEnv(t)
	id, cookie := e.signIn(userID)
	_, another := e.signIn("00uOther")
	confirm := confirmOf(t, e.logout(nil, cookie...).Raw)
	foreign := confirmOf(t, e.logout(nil, another...).Raw)
	for name, c := range map[string]struct {
		confirm string
		headers []string
	}{
		"no token":                 {"", []string{"Sec-Fetch-Site", "same-origin"}},
		"wrong token":              {confirm[1:] + "A", []string{"Sec-Fetch-Site", "same-origin"}},
		"token of another browser": {foreign, []string{"Sec-Fetch-Site", "same-origin"}},
		"another site":             {confirm, []string{"Sec-Fetch-Site", "cross-site"}},
		"the same site":            {confirm, []string{"Sec-Fetch-Site", "same-site"}},
		"another site, our origin": {confirm, []string{"Sec-Fetch-Site", "cross-site", "Origin", publicURL}},
		"another origin":           {confirm, []string{"Origin", "https://evil.example"}},
		"no origin to see":         {confirm, []string{"Origin", "null"}},
		"neither":                  {confirm, nil},
	} {
		t.Run(name, func(t *testing.T) {
			writes := e.store.writes
			r := e.post(logoutPath, form("confirm", c.confirm), append(c.headers, cookie...)...)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[c.confirm == ""]; r.Status != want || !strings.Contains(r.Raw, `data-page="sign-out"`) {
				t.Errorf("%d %s", r.Status, r.Raw)
			}
			if e.store.writes != writes || !e.live(id) || len(r.Header.Values("Set-Cookie")) != 0 {
				t.Error("something was changed")
			}
		})
	}
	t.Run("by GET", func(t *testing.T) {
		if r := e.logout(form("confirm", confirm), append(cookie, "Sec-Fetch-Site", "same-origin")...); r.Status != http.StatusOK || !e.live(id) {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("a browser without Sec-Fetch-Site", func(t *testing.T) {
		r := e.post(logoutPath, form("confirm", confirm), append(cookie, "Origin", publicURL)...)
		if r.Status != http.StatusSeeOther || e.live(id) {
			t.Errorf("%d", r.Status)
		}
		if again := e.post(logoutPath, form("confirm", confirm), append(cookie, "Origin", publicURL)...); again.Status != http.StatusSeeOther { // UX G7
			t.Errorf("pressed twice: %d", again.Status)
		}
	})
}

// A form of another site comes without the cookie: the GET it is turned into has it.
func TestLogoutByForeignForm(t *testing.T) {
	e := newEnv(t)
	id, cookie := e.signIn(userID)
	query := form("id_token_hint", e.redeem(inSession(id)).text("id_token"), "post_logout_redirect_uri", spaSignedOut, "state", "s")
	r := e.post(logoutPath, query, "Origin", "http://localhost:8081", "Sec-Fetch-Site", "cross-site")
	if r.Status != http.StatusSeeOther || r.Header.Get("Location") != logoutPath+"?"+query.Encode() || !e.live(id) {
		t.Fatalf("%d %v", r.Status, r.Header)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Error(name)
		}
	}
	if r = e.get(r.Header.Get("Location"), cookie...); r.Header.Get("Location") != spaSignedOut+"?state=s" || e.live(id) {
		t.Errorf("%d %v", r.Status, r.Header)
	}
	// One of the same site has it at once.
	id, cookie = e.signIn(userID)
	r = e.post(logoutPath, query, append(cookie, "Sec-Fetch-Site", "same-site")...)
	if r.Header.Get("Location") != spaSignedOut+"?state=s" || e.live(id) {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

func TestLogoutWithoutSession(t *testing.T) {
	e := newEnv(t)
	ended, cookie := e.signIn(userID)
	e.store.edit(func(r *memoryRows) { delete(r.sessions, ended) })
	for name, headers := range map[string][]string{"no cookie": nil, "cookie of nothing": cookie, "nonsense": {"Cookie", "stile=x"}} {
		writes := e.store.writes
		if r := e.logout(nil, headers...); r.Status != http.StatusOK || !strings.Contains(r.Raw, "<h1>You are signed out</h1>") || strings.Contains(r.Raw, "href=\"http") || clears(r) != (headers != nil) {
			t.Errorf("%s: %d %s", name, r.Status, r.Raw)
		}
		if r := e.logout(form("client_id", spaID), headers...); !strings.Contains(r.Raw, `<a class="button" href="http://localhost:8081/">Sign in again</a>`) { // UX P7.7
			t.Errorf("%s: %s", name, r.Raw)
		}
		if r := e.logout(form("client_id", spaID, "post_logout_redirect_uri", spaSignedOut, "state", "s"), headers...); r.Header.Get("Location") != spaSignedOut+"?state=s" {
			t.Errorf("%s: %d %v", name, r.Status, r.Header)
		}
		if e.store.writes != writes {
			t.Errorf("%s: something was written", name)
		}
	}
	t.Run("hint", func(t *testing.T) { // of an embedded app, which has no session here
		tokens := e.redeem()
		for range 2 {
			if r := e.logout(form("id_token_hint", tokens.text("id_token"), "post_logout_redirect_uri", spaSignedOut)); r.Header.Get("Location") != spaSignedOut {
				t.Errorf("%d %v", r.Status, r.Header)
			}
		}
		if e.userinfo(tokens.text("access_token")).Status != http.StatusUnauthorized {
			t.Error("the access token works")
		}
		events := e.store.events()
		if n := len(slices.DeleteFunc(events, func(s string) bool { return s != "app.oauth2.token.revoke" })); n != 1 {
			t.Errorf("revoked %d times", n)
		}
	})
}

func TestLogoutHeadersAndPages(t *testing.T) {
	e := newEnv(t)
	e.addClient(Client{ID: "0oaHTML", Name: `<b>"Ä & Co</b>`, RedirectURIs: []string{"com.example.app:/cb"}, PostLogoutRedirectURIs: []string{"com.example.app:/bye", "http://[::1]:9/bye"}}, false)
	id, cookie := e.signIn(userID)
	ask := func(query url.Values) *reply {
		return e.logout(query, append(cookie, "Origin", "http://localhost:8081")...)
	}
	page := ask(form("client_id", "0oaHTML", "post_logout_redirect_uri", "com.example.app:/bye"))
	for _, want := range []string{
		`<html lang="en" dir="ltr">`, "<title>Sign out of &lt;b&gt;&#34;Ä &amp; Co&lt;/b&gt;? · &lt;b&gt;&#34;Ä &amp; Co&lt;/b&gt;</title>",
		`<main data-page="sign-out">`, "<footer>", `<form method="post" action="/oauth2/default/v1/logout">`, `<button type="submit">Sign out</button>`, "Jane.Doe@example.org",
	} {
		if !strings.Contains(page.Raw, want) {
			t.Errorf("%s is not in %s", want, page.Raw)
		}
	}
	if strings.Count(page.Raw, "<h1>") != 1 || strings.Contains(page.Raw, "<script") || strings.Contains(page.Raw, "<b>") || strings.Contains(page.Raw, "style=") {
		t.Error(page.Raw)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache, no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Access-Control-Allow-Origin": "",
	} {
		if page.Header.Get(name) != want {
			t.Errorf("%s: %q", name, page.Header.Get(name))
		}
	}
	for _, c := range []struct {
		query url.Values
		forms string
	}{
		{nil, "form-action 'self';"},
		{form("client_id", spaID, "post_logout_redirect_uri", spaSignedOut), "form-action 'self' http://localhost:8081;"},
		{form("client_id", "0oaHTML", "post_logout_redirect_uri", "com.example.app:/bye"), "form-action 'self' com.example.app:;"},
		{form("client_id", "0oaHTML", "post_logout_redirect_uri", "http://[::1]:9/bye"), "form-action 'self' http:;"},
	} {
		csp := ask(c.query).Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, c.forms) || !strings.HasPrefix(csp, "default-src 'none';") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Error(csp)
		}
	}
	if csp := e.logout(nil).Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'none'") {
		t.Error(csp)
	}
	t.Run("UX_G5 HEAD", func(t *testing.T) {
		hint := e.redeem(inSession(id)).text("id_token")
		writes := e.store.writes
		r := e.do(request(http.MethodHead, logoutPath+"?"+form("id_token_hint", hint).Encode(), "", cookie...))
		if r.Status != http.StatusOK || e.store.writes != writes || !e.live(id) {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("SEC_S89 store fault", func(t *testing.T) {
		hint := e.redeem(inSession(id)).text("id_token")
		e.store.setFail(errors.New("disk on fire"))
		defer e.store.setFail(nil)
		r := e.logout(form("id_token_hint", hint), cookie...)
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || len(r.Header.Values("Set-Cookie")) != 0 ||
			!strings.Contains(r.Raw, `data-page="sign-out-failed"`) || !strings.Contains(r.Raw, r.Header.Get("X-Request-Id")) || strings.Contains(r.Raw, "fire") {
			t.Errorf("%d %s", r.Status, r.Raw)
		}
		if !strings.Contains(e.logs.String(), "disk on fire") {
			t.Error("the fault is not in the log")
		}
	})
	if log := e.logs.String(); strings.Contains(log, "sid.") || strings.Contains(log, "eyJ") {
		t.Error("a secret is in the log")
	}
}
