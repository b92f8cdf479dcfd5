package attacks

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// T-03: somebody begins with the victim's address, the victim opens the link.
func TestSEC_T03_LinkDonation(t *testing.T) {
	s := openSite(t)
	first := s.browser(t)
	first.signUp("victim@example.com")
	first.press("continue", map[string]string{"verificationCode": s.Code(t, "victim@example.com")})
	first.press("skip", nil)
	if !first.signedIn() {
		t.Fatalf("the victim cannot sign up: %s %s", first.page.kind, first.page.body)
	}
	for name, begin := range map[string]func(*browser) page{
		"sign-in":                      func(b *browser) page { return b.signIn("victim@example.com") },
		"sign-up with a known address": func(b *browser) page { return b.signUp("victim@example.com") },
		"sign-up":                      func(b *browser) page { return b.signUp("stranger@example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			address := "victim@example.com"
			if name == "sign-up" {
				address = "stranger@example.com"
			}
			attacker, victim := s.browser(t), s.browser(t)
			begin(attacker)
			link := s.Link(t, address)
			for range 3 {
				victim.open(link)
			}
			if victim.page.kind != "link-elsewhere" || len(victim.page.forms) > 0 || !strings.Contains(victim.page.body, s.Code(t, address)) {
				t.Errorf("the victim sees %s: %s", victim.page.kind, victim.page.body)
			}
			if victim.signedIn() {
				t.Error("opening the link signed the victim in to what somebody else began")
			}
			attacker.press("check", nil)
			if attacker.page.kind != "email-code" || attacker.signedIn() {
				t.Errorf("the attacker's flow moved: %s %s", attacker.page.kind, attacker.page.body)
			}
			// Nor with a POST made by hand in the victim's browser.
			victim.submit(form{action: s.callback, fields: url.Values{"state": {stateOf(t, link)}}}, "continue", nil)
			if victim.signedIn() {
				t.Error("a posted continue signed the victim in")
			}
			attacker.press("check", nil)
			if attacker.page.kind != "email-code" || attacker.signedIn() {
				t.Errorf("the attacker's flow moved: %s %s", attacker.page.kind, attacker.page.body)
			}
		})
	}
}

// stateOf asks the engine where the link leads, for the app's state.
func stateOf(t *testing.T, link string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", link, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}

// T-09: what a mail scanner does with a link uses nothing up.
func TestSEC_T09_Scanner(t *testing.T) {
	for _, by := range []string{"code", "link"} {
		t.Run(by, func(t *testing.T) {
			s := openSite(t)
			owner := s.browser(t)
			owner.signUp("scanned@example.com")
			link, code := s.Link(t, "scanned@example.com"), s.Code(t, "scanned@example.com")

			lands := map[string]bool{}
			for range 20 {
				scanner := s.browser(t)
				lands[scanner.open(link).kind] = true
				for _, f := range scanner.page.forms { // without the flow's cookie, as one that runs scripts would
					for _, button := range append(f.buttons, "", "continue", "resend", "cancel", "restart", "change", "skip") {
						scanner.submit(f, button, map[string]string{"verificationCode": code, "otp": code})
					}
				}
				for _, action := range []string{"/login/callback", "/login/step", "/login/poll", "/login/step?flow=aaaaaaaaaaaaaaaa"} {
					for _, button := range []string{"continue", "resend", "cancel", "change", "restart", "skip", "submit", "check"} {
						scanner.submit(form{action: s.base + action}, button, map[string]string{"state": stateOf(t, link), "verificationCode": code})
					}
				}
				if scanner.signedIn() {
					t.Fatal("a scanner signed itself in")
				}
			}
			if len(lands) != 1 || !lands["link-elsewhere"] {
				t.Errorf("scanners see %v", lands)
			}
			for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"} {
				for range 20 {
					for _, accept := range []string{"", "text/html", "application/json", "application/ion+json; okta-version=1.0.0", "*/*"} {
						r, err := http.NewRequestWithContext(t.Context(), method, link, nil)
						if err != nil {
							t.Fatal(err)
						}
						r.Header.Set("Accept", accept)
						res, err := plain.Do(r)
						if err != nil {
							t.Fatal(err)
						}
						res.Body.Close()
						if res.StatusCode >= 500 || len(res.Cookies()) > 0 {
							t.Fatalf("%s: %d %v", method, res.StatusCode, res.Cookies())
						}
					}
				}
			}
			if n := len(s.Mails(t, "scanned@example.com")); n != 1 {
				t.Errorf("a scanner made %d mails out of one", n)
			}
			if by == "code" {
				owner.press("continue", map[string]string{"verificationCode": code})
			} else {
				owner.open(link)
				if owner.page.kind != "link-continue" {
					t.Fatalf("the owner sees %s: %s", owner.page.kind, owner.page.body)
				}
				owner.press("continue", nil)
			}
			if owner.page.kind != "select-authenticator" {
				t.Fatalf("the owner's %s after the scanner: %s %s", by, owner.page.kind, owner.page.body)
			}
			owner.press("skip", nil)
			if !owner.signedIn() {
				t.Errorf("the owner is not signed in: %s", owner.page.body)
			}
		})
	}
}

// T-04: what somebody plants in the victim's browser leads nowhere; what is in
// the attacker's own does not carry over.
func TestSEC_T04_Fixation(t *testing.T) {
	s := openSite(t)
	attacker := s.browser(t)
	attacker.signUp("mallory@example.com")
	flow := attacker.page.at.Query().Get("flow")
	link, code := s.Link(t, "mallory@example.com"), s.Code(t, "mallory@example.com")
	state := stateOf(t, link)

	// A transaction that the attacker began by hand, with a verifier of their own.
	hand := begin(t, s.Engine)
	handCode := hand.signedUp("hand@example.com").code()

	victim := s.browser(t)
	for _, address := range []string{
		"/login/step?flow=" + flow, "/login/step?flow=" + flow + "&view=list", "/login/?flow=" + flow, "/login/sign-up?flow=" + flow,
		"/login/?stateHandle=" + url.QueryEscape(hand.state), "/login/step?stateHandle=" + url.QueryEscape(hand.state),
		"/login/?interaction_handle=" + url.QueryEscape(hand.interaction), "/login/step?stateToken=" + url.QueryEscape(hand.state),
		"/login/callback?state=" + url.QueryEscape(state) + "&otp=" + code,
		"/login/callback?state=" + url.QueryEscape(state) + "&interaction_code=" + url.QueryEscape(handCode),
		"/login/callback?state=state-of-the-app&interaction_code=" + url.QueryEscape(handCode),
		"/login/callback?interaction_code=" + url.QueryEscape(handCode),
	} {
		victim.open(address)
		for _, f := range victim.page.forms {
			if f.action == s.base+"/login/" || f.action == s.base+"/login/sign-up" {
				continue // these begin something new
			}
			for _, button := range append(f.buttons, "continue", "skip", "submit") {
				victim.submit(f, button, map[string]string{"verificationCode": code, "state": state})
			}
		}
		for _, to := range []string{s.callback, s.base + "/login/step?flow=" + flow, s.base + "/login/poll"} {
			victim.submit(form{action: to}, "continue", map[string]string{
				"state": state, "flow": flow, "verificationCode": code, "stateHandle": hand.state, "step": "enroll-authenticator email",
			})
		}
		if victim.signedIn() {
			t.Fatalf("%s signed the victim in", address)
		}
	}

	// Cookies under another name do not open: neither another flow's nor the session's.
	for _, have := range attacker.cookies() {
		if !strings.Contains(have.Name, "-f-") {
			continue
		}
		prefix, _, _ := strings.Cut(have.Name, "f-")
		moved := s.browser(t)
		u, _ := url.Parse(s.base + "/")
		moved.http.Jar.SetCookies(u, []*http.Cookie{
			{Name: prefix + "s", Value: have.Value}, {Name: prefix + "l", Value: have.Value},
			{Name: prefix + "f-aaaaaaaaaaaaaaaa", Value: have.Value},
		})
		if moved.signedIn() {
			t.Error("a flow's cookie passes for a session")
		}
		if p := moved.open("/login/step?flow=aaaaaaaaaaaaaaaa"); p.kind != "too-old" {
			t.Errorf("a flow's cookie opens under another name: %s", p.kind)
		}
		for i := 2; i < len(have.Value); i += 11 {
			c := byte('A')
			if have.Value[i] == c {
				c = 'B'
			}
			changed := s.browser(t)
			changed.http.Jar.SetCookies(u, []*http.Cookie{{Name: have.Name, Value: have.Value[:i] + string(c) + have.Value[i+1:]}})
			if p := changed.open("/login/step?flow=" + flow); p.kind != "too-old" {
				t.Fatalf("a cookie changed at %d opens: %s", i, p.kind)
			}
		}
	}

	// Without the verifier the code is of no use, not even to the confidential client of the same app.
	if a := hand.redeem(handCode, func(v url.Values) { v.Set("code_verifier", strings.Repeat("v", 43)) }); a.status != 400 {
		t.Errorf("a code without its verifier: %d %s", a.status, a.body)
	}
	// The attacker's own flow is where it was, and finishes for the attacker alone.
	attacker.press("continue", map[string]string{"verificationCode": code})
	attacker.press("skip", nil)
	if !attacker.signedIn() || victim.signedIn() {
		t.Errorf("attacker %t, victim %t: %s", attacker.signedIn(), victim.signedIn(), attacker.page.body)
	}
}

// T-04, S-67: a form of another site does nothing, whatever cookies come with it.
func TestSEC_T04_CrossSiteForms(t *testing.T) {
	s := openSite(t)
	b := s.browser(t)
	b.signUp("cross@example.com")
	for _, path := range b.posts() {
		for _, h := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"null"}}, {"Origin": {"https://evil.example"}},
			{"Origin": {"http://127.0.0.1:1"}}, {"Origin": {s.base + ".evil.example"}}, {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		} {
			if status := b.bare(path, h, url.Values{"action": {"continue"}, "identifier": {"cross@example.com"}, "email": {"cross@example.com"}}); status != 403 {
				t.Errorf("POST %s with %v: %d", path, h, status)
			}
		}
	}
	if n := len(s.Mails(t, "cross@example.com")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// posts lists the addresses that take forms, for the flow in hand.
func (b *browser) posts() []string {
	return []string{
		"/login/", "/login/sign-up", "/login/step?flow=" + b.page.at.Query().Get("flow"), "/login/callback", "/login/poll", "/login/sign-out",
	}
}

// bare posts with the browser's cookies and no header but those given.
func (b *browser) bare(path string, header http.Header, v url.Values) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.s.base+path, strings.NewReader(v.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range b.cookies() {
		r.AddCookie(c)
	}
	res, err := plain.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// T-13: return_to leads within the app or nowhere.
func TestSEC_T13_ReturnTo(t *testing.T) {
	s := openSite(t)
	targets := []string{
		"https://evil.example", "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\t/evil.example", "/\n/evil.example",
		"/\r/evil.example", "\t//evil.example", " //evil.example", "/ /evil.example", "https:evil.example", "https:/evil.example", "http:evil.example", "javascript:alert(1)",
		"JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "@evil.example", "/@evil.example", "/x@evil.example", "//user@evil.example", "/.//evil.example", "/..//evil.example",
		"/x//evil.example", "/\u200b/evil.example", "/\u00a0/evil.example", "/\x00/evil.example", "/\x7f/evil.example", "%2f%2fevil.example", "evil.example", "?x", "#x", "",
		"/" + strings.Repeat("a", 2000), "/\u2028/evil.example", "/\ufeff/evil.example", "/\u3000/evil.example", "mailto:x@evil.example", "/x\r\nSet-Cookie: a=b", "/%0d%0aSet-Cookie:a=b",
		"/%2f%2fevil.example", "/%5cevil.example", "/\uff0f/evil.example", "file:///etc/passwd", "http://127.0.0.1:1/", s.base + "/home", "///\\evil.example", "/\\/evil.example", "/;//evil.example",
	}
	first := s.browser(t)
	first.signUp("back@example.com")
	first.press("continue", map[string]string{"verificationCode": s.Code(t, "back@example.com")})
	first.press("skip", nil)
	inside := func(what string, at *url.URL) {
		t.Helper()
		if at.Scheme+"://"+at.Host != s.base {
			t.Errorf("%s leads to %s", what, at)
		}
	}
	for _, to := range targets {
		b := s.browser(t)
		b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			inside("redirect of return_to "+to, r.URL)
			if r.URL.Host == "evil.example" {
				return http.ErrUseLastResponse
			}
			return nil
		}
		b.open("/login/?return_to=" + url.QueryEscape(to))
		for _, f := range b.page.forms {
			u, _ := url.Parse(f.action)
			inside("form of return_to "+to, u)
		}
		b.submit(form{action: s.base + "/login/", fields: url.Values{"return_to": {to}}}, "next", map[string]string{"identifier": "back@example.com"})
		b.press("continue", map[string]string{"verificationCode": s.Code(t, "back@example.com")})
		inside("sign-in of return_to "+to, b.page.at)
		if !b.signedIn() {
			t.Fatalf("return_to %q: not signed in: %d %s", to, b.page.status, b.page.body)
		}
		b.open("/login/?return_to=" + url.QueryEscape(to)) // already signed in
		if strings.Contains(b.page.body, `href="https://evil`) || strings.Contains(b.page.body, `href="//evil`) || strings.Contains(b.page.body, `href="javascript`) {
			t.Errorf("return_to %q is a link of the page", to)
		}
		b.submit(form{action: s.base + "/login/sign-out", fields: url.Values{"return_to": {to}}}, "sign-out", nil)
		inside("sign-out of return_to "+to, b.page.at)
	}
}
