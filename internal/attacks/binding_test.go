package attacks

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stile-id/stile/stiletest"
)

// SEC_S07: a code is good for its own challenge and nothing else: not for another
// transaction, purpose or address, nor for an earlier one of the same transaction.
func TestSEC_S07_CrossUseOfCodes(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp("known@example.com")
	begin(t, e).signedUp("upknown@example.com")

	type challenge struct {
		name, address, code string
		w                   *wire
	}
	open := []*challenge{
		{name: "sign-up", address: "one@example.com"},
		{name: "sign-up of the same address elsewhere", address: "one@example.com"},
		{name: "sign-up of another address", address: "two@example.com"},
		{name: "sign-in", address: "known@example.com"},
		{name: "sign-up with a known address", address: "upknown@example.com"},
	}
	for _, c := range open {
		c.w = begin(t, e)
		if c.name == "sign-in" {
			c.w.answer("identify", map[string]any{"identifier": c.address})
		} else {
			c.w.enrolled(c.address)
		}
		c.code = e.Code(t, c.address)
	}
	for _, c := range open {
		for n, foreign := range open {
			if foreign == c || foreign.code == c.code {
				continue
			}
			before := c.w.introspect().triesLeft()
			a := c.w.answer("challenge/answer", passcode(foreign.code))
			if !a.wrong() || a.triesLeft() != before-1 {
				t.Errorf("code %d of a %s at a %s: %d, %d tries left of %d", n, foreign.name, c.name, a.status, a.triesLeft(), before)
			}
		}
	}
	for _, c := range open { // four foreign codes leave one try, for the own one
		if a := c.w.answer("challenge/answer", passcode(c.code)); a.status != 200 {
			t.Errorf("the own code of a %s: %d %s", c.name, a.status, a.body)
		}
	}
}

func TestSEC_S07_CodeOfAnEarlierAddress(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled("mine@example.com")
	mine, link := e.Code(t, "mine@example.com"), e.Link(t, "mine@example.com")
	w.answer("cancel", nil)
	w.enrolled("victim@example.com")
	for mine == e.Code(t, "victim@example.com") { // by chance, once in a million: it is right then
		w.answer("cancel", nil)
		w.enrolled("victim@example.com")
	}
	if a := w.answer("challenge/answer", passcode(mine)); !a.wrong() {
		t.Errorf("the code sent to the earlier address proves the later one: %d %s", a.status, a.body)
	}
	if a := w.do("GET", link, "", ""); strings.Contains(a.header.Get("Location"), "otp=") {
		t.Errorf("the link sent to the earlier address gives a code: %s", a.header.Get("Location"))
	}
	// The same address again is a new challenge too.
	w.answer("cancel", nil)
	w.enrolled("mine@example.com")
	if now := e.Code(t, "mine@example.com"); now != mine {
		if a := w.answer("challenge/answer", passcode(mine)); !a.wrong() {
			t.Errorf("the code of a closed challenge works in the next: %d %s", a.status, a.body)
		}
	}
}

// SEC_S13, S20: nothing but the text that was mailed is a link, and a wrong one
// tells nothing of the transaction that it names.
func TestSEC_S13_ForgedLinks(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled("link@example.com")
	link := e.Link(t, "link@example.com")
	base, token, _ := strings.Cut(link, "/email/verify/")
	if a := w.do("GET", link, "", ""); !strings.Contains(a.header.Get("Location"), "otp=") {
		t.Fatalf("the genuine link: %d %s", a.status, a.header)
	}
	var forged []string
	for i := range len(token) {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		forged = append(forged, token[:i]+string(c)+token[i+1:], token[:i])
	}
	parts := strings.Split(token, ".")
	forged = append(forged, token+"A", token+".", parts[0]+".01."+parts[2], parts[0]+".2."+parts[2],
		parts[0]+".1."+strings.Repeat("A", 43), strings.ToUpper(token), token+"%00", token+"%20")
	for _, f := range forged {
		a := w.do("GET", base+"/email/verify/"+f, "", "")
		if all := a.body + a.header.Get("Location"); strings.Contains(all, "otp") || a.status >= 500 || strings.Contains(all, e.Code(t, "link@example.com")) {
			t.Errorf("forged %s: %d %s %s", f, a.status, a.header.Get("Location"), a.body)
		}
	}
}

func TestSEC_S13_ForgedLinkTellsNothing(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled("quiet@example.com")
	id := regexp.MustCompile(`t[A-L][0-9A-Za-z]{22}`).FindString(w.state)
	a := w.do("GET", e.URL+"/email/verify/"+id+".1."+strings.Repeat("A", 43), "", "")
	if to := a.header.Get("Location"); strings.Contains(to, "state-of-the-app") {
		t.Errorf("whoever knows the id of a transaction, from a log, gets the app's state of it: %s", to)
	}
}

// SEC_S20: handles are what they are to the byte, and none passes for another kind.
func TestSEC_S20_MutatedHandles(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	code := w.signedUp("bytes@example.com").code()
	mutations := func(s string) []string {
		out := []string{s + "A", "A" + s, s[:len(s)-1], strings.ToUpper(s), s + " ", " " + s, s + "\u0000", s + "="}
		for i := range s {
			c := s[i] ^ 1
			out = append(out, s[:i]+string(rune(c))+s[i+1:])
		}
		return out
	}
	for _, s := range append(mutations(w.state), w.interaction, code, "") {
		if a := w.post("introspect", map[string]any{"stateToken": s}); a.status == 200 || a.code() != "" {
			t.Errorf("state handle %q: %d", s, a.status)
		}
		if a := w.post("cancel", map[string]any{"stateHandle": s}); a.status == 200 {
			t.Errorf("state handle %q at cancel: %d", s, a.status)
		}
	}
	for _, s := range append(mutations(w.interaction), w.state, code) {
		if a := w.post("introspect", map[string]any{"interactionHandle": s}); a.status == 200 {
			t.Errorf("interaction handle %q: %d", s, a.status)
		}
	}
	for _, s := range append(mutations(code), w.state, w.interaction) {
		if a := w.redeem(s, nil); a.status != 400 {
			t.Errorf("code %q: %d %s", s, a.status, a.body)
		}
	}
	if a := w.redeem(code, nil); a.status != 200 { // none of it used the code up
		t.Errorf("the code itself: %d %s", a.status, a.body)
	}
}

// T-08: links and hrefs come from the configuration, whatever a request says of
// where it was sent.
func TestSEC_T08_HostHeadersAreNotBelieved(t *testing.T) {
	e := stiletest.Start(t)
	absolute := regexp.MustCompile(`https?://[^"'<>\s\\]+`)
	for i, h := range []http.Header{
		{"Host": {"evil.localhost"}}, // any other is refused, SEC S-136
		{"Host": {"evil.localhost:80"}},
		{"X-Forwarded-Host": {"evil.example"}},
		{"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"8443"}},
		{"X-Forwarded-Proto": {"javascript"}},
		{"Forwarded": {`host="evil.example";proto=https`}},
		{"X-Original-Url": {"//evil.example/x"}, "X-Rewrite-Url": {"//evil.example/x"}},
		{"X-Host": {"evil.example"}, "X-Forwarded-Server": {"evil.example"}, "X-Http-Host-Override": {"evil.example"}},
		{"X-Forwarded-Prefix": {"/evil"}, "X-Original-Host": {"evil.example"}},
		{"Origin": {"https://evil.example"}, "Referer": {"https://evil.example/"}},
	} {
		address := fmt.Sprintf("host%d@example.com", i)
		w := beginWith(t, e, h)
		answers := []answer{w.enrolled(address)}
		mail := e.Mail(t, address)
		answers = append(answers,
			w.do("GET", mail.Link, "", ""), w.answer("challenge/resend", nil),
			w.answer("challenge/answer", passcode(mail.Code)), w.answer("skip", nil), w.introspect(),
			w.do("GET", e.Issuer+"/.well-known/openid-configuration", "", ""),
			w.do("GET", e.URL+"/.well-known/openid-configuration", "", ""),
			w.do("GET", e.URL+"//email/verify/x", "", ""))
		for _, a := range answers {
			all := a.body
			for name, values := range a.header {
				if name != "Vary" {
					all += " " + strings.Join(values, " ")
				}
			}
			if strings.Contains(all, "evil") || strings.Contains(all, "8443") {
				t.Errorf("%v reaches the answer: %s", h, all)
			}
			for _, u := range absolute.FindAllString(a.body, -1) {
				if !strings.HasPrefix(u, e.URL+"/") && u != e.URL && !strings.HasPrefix(u, e.RedirectURI) {
					t.Errorf("%v: %s does not begin with the public URL", h, u)
				}
			}
		}
		for _, m := range e.Mails(t, address) {
			if !strings.HasPrefix(m.Link, e.URL+"/") {
				t.Errorf("%v: mailed link %s", h, m.Link)
			}
			for _, u := range absolute.FindAllString(m.Text+m.HTML, -1) {
				if strings.Contains(u, "evil") || !strings.HasPrefix(u, e.URL+"/") && !strings.HasPrefix(u, "http://www.w3.org/") {
					t.Errorf("%v: URL in a mail: %s", h, u)
				}
			}
		}
	}
}

// T-13: what is not registered to the byte gets no transaction, and is not
// redirected to.
func TestSEC_T13_RedirectCorpus(t *testing.T) {
	const registered = "https://app.example.com/login/callback"
	e := stiletest.Start(t, stiletest.RedirectURI(registered))
	corpus := []string{
		"", "https://app.example.com", "https://app.example.com/", "https://app.example.com/login/callback/",
		"https://app.example.com/login", "HTTPS://app.example.com/login/callback", "https://APP.example.com/login/callback",
		"http://app.example.com/login/callback", "https://app.example.com:443/login/callback", "https://app.example.com:8443/login/callback",
		"https://app.example.com./login/callback", "https://app.example.com/login//callback", "https://app.example.com//login/callback",
		"https://app.example.com/login/../login/callback", "https://app.example.com/login/callback/../../evil",
		"https://app.example.com/login/%63allback", "https://app.example.com/login%2Fcallback", "https://app.example.com/login/callback%00",
		"https://app.example.com/login/callback?x=1", "https://app.example.com/login/callback?", "https://app.example.com/login/callback#",
		"https://app.example.com/login/callback#x", "https://app.example.com/login/callback;x", "https://app.example.com/login/callback%20",
		"https://app.example.com/login/callback ", " https://app.example.com/login/callback", "https://app.example.com/login/callback\t",
		"https://app.example.com/login/callback\r\nLocation: https://evil.example", "https://app.example.com/login\\callback",
		"https://app.example.com\\@evil.example/login/callback", "https://app.example.com@evil.example/login/callback",
		"https://user@app.example.com/login/callback", "https://user:pass@app.example.com/login/callback",
		"https://evil.example/https://app.example.com/login/callback", "https://evil.example?https://app.example.com/login/callback",
		"https://evil.example#https://app.example.com/login/callback", "https://app.example.com.evil.example/login/callback",
		"https://evilapp.example.com/login/callback", "https://app.example.com%2eevil.example/login/callback",
		"https://app.example.com%00.evil.example/login/callback", "https://app.example.com%0d%0a.evil.example/login/callback",
		"https://аpp.example.com/login/callback", "https://app。example.com/login/callback", "https://ａpp.example.com/login/callback",
		"//app.example.com/login/callback", "/login/callback", "login/callback", "app.example.com/login/callback",
		"javascript:alert(1)//https://app.example.com/login/callback", "data:text/html,https://app.example.com/login/callback",
		"vbscript:x", "file:///login/callback", "blob:https://app.example.com/login/callback", "about:blank",
		"https:app.example.com/login/callback", "https:/app.example.com/login/callback", "https:///app.example.com/login/callback",
		"https:\\\\app.example.com/login/callback", "http://127.0.0.1/login/callback", "http://[::1]/login/callback",
		"http://localhost/login/callback", "https://[app.example.com]/login/callback", "*", "https://*.example.com/login/callback",
		registered + "," + "https://evil.example/", registered + " https://evil.example/", registered + "\n" + "https://evil.example/",
	}
	for _, prefix := range []string{"\ufeff", "\u200b", "\u00a0", "\x00", "\x1f", "%09", "%20"} {
		corpus = append(corpus, prefix+registered, registered+prefix, "https://app.example.com"+prefix+"/login/callback", "https://"+prefix+"app.example.com/login/callback")
	}
	for i := range registered { // every cut, and every letter changed
		corpus = append(corpus, registered[:i], registered[:i]+"~"+registered[i+1:])
	}
	t.Logf("%d redirect URIs", len(corpus))
	w := begin(t, e)
	for _, uri := range corpus {
		a := w.interact(func(v url.Values) { v.Set("redirect_uri", uri) })
		if a.status != 400 || a.str("interaction_handle") != "" || a.header.Get("Location") != "" || strings.Contains(a.body, "evil") {
			t.Errorf("redirect_uri %q: %d %v %s", uri, a.status, a.header.Get("Location"), a.body)
		}
	}
	twice := w.interact(func(v url.Values) { v.Add("redirect_uri", "https://evil.example/") })
	if twice.status != 400 {
		t.Errorf("two redirect URIs: %d %s", twice.status, twice.body)
	}
	code := w.signedUp("redirect@example.com").code()
	for _, uri := range corpus {
		if uri == "" {
			continue // it may be left out
		}
		if a := w.redeem(code, func(v url.Values) { v.Set("redirect_uri", uri) }); a.status != 400 {
			t.Errorf("redeem with redirect_uri %q: %d %s", uri, a.status, a.body)
		}
	}
	if a := w.redeem(code, nil); a.status != 200 {
		t.Errorf("redeem as registered: %d %s", a.status, a.body)
	}
}
