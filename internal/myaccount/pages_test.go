package myaccount_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

func (p *person) change(address string) {
	p.t.Helper()
	a := p.wants(p.do("POST", "/idp/myaccount/emails", `{"profile":{"email":"`+address+`"},"sendEmail":true,"role":"PRIMARY"}`), 201)
	verify, _ := at(a.doc, "_links", "verify", "href").(string)
	p.wants(p.do("POST", verify, `{"verificationCode":"`+p.e.Code(p.t, address)+`"}`), 200)
}

func TestSEC_S14_UndoPage(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.change(next)
	link := e.Link(t, old)
	reader := &person{t: t, e: e}
	page := func(a answer) string {
		_, rest, _ := strings.Cut(a.text, `data-page="`)
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	for range 3 { // a mail scanner
		reader.wants(reader.do("HEAD", link, ""), 200)
		a := reader.wants(reader.do("GET", link, ""), 200)
		if page(a) != "undo-good" || !strings.Contains(a.text, "v***a@example.com") || !strings.Contains(a.text, `<form method="post">`) ||
			a.Header.Get("Referrer-Policy") != "same-origin" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Fatalf("%s %v", a.text, a.Header)
		}
	}
	for name, header := range map[string][]string{
		"no header": nil, "another site": {"Sec-Fetch-Site", "cross-site"}, "a neighbour": {"Sec-Fetch-Site", "same-site"},
		"typed":          {"Sec-Fetch-Site", "none"},
		"another origin": {"Origin", "https://evil.example"}, "no origin": {"Origin", "null"},
		"both": {"Origin", e.URL, "Sec-Fetch-Site", "cross-site"},
	} {
		if a := reader.do("POST", link, "", header...); a.StatusCode != 403 || page(a) != "foreign" {
			t.Errorf("posted by %s: %d %s", name, a.StatusCode, page(a))
		}
	}
	p.wants(p.do("GET", "/idp/myaccount/profile", ""), 200)
	a := reader.wants(reader.do("POST", link, "", "Sec-Fetch-Site", "same-origin"), 200)
	if page(a) != "undo-done" || strings.Contains(a.text, "<form") {
		t.Errorf("%s", a.text)
	}
	p.wants(p.do("GET", "/idp/myaccount/profile", ""), 401) // signed out everywhere
	for _, method := range []string{"GET", "POST"} {
		if a := reader.wants(reader.do(method, link, "", "Origin", e.URL), 200); page(a) != "undo-used" {
			t.Errorf("%s: %s", method, page(a))
		}
	}
	p.again(old)
	for path, want := range map[string]string{
		strings.TrimPrefix(link, e.URL)[:40]: "undo-invalid", "/account/keep/" + link[strings.LastIndex(link, "/")+1:]: "keep-invalid", "/account/email/x": "email-invalid",
	} {
		if a := reader.wants(reader.do("GET", path, ""), 404); page(a) != want {
			t.Errorf("%s: %s", path, page(a))
		}
	}
	reader.wants(reader.do("PUT", link, ""), 405)
	reader.wants(reader.do("GET", "/account/other", ""), 404)
}

func TestUX_P7_5_KeepPage(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.wants(p.do("POST", "/idp/myaccount/deletion", ""), 200)
	link := e.Link(t, old)
	a := p.wants(p.do("GET", link, ""), 200)
	if !strings.Contains(a.text, "will be deleted on") || !strings.Contains(a.text, "Acme SPA") {
		t.Errorf("%s", a.text)
	}
	if got := p.wants(p.do("GET", "/idp/myaccount/deletion", ""), 200); got.doc["status"] != "SCHEDULED" {
		t.Errorf("%s", got.text)
	}
	if a := p.wants(p.do("POST", link, "", "Origin", e.URL), 200); !strings.Contains(a.text, "Your account stays") {
		t.Errorf("%s", a.text)
	}
	if got := p.wants(p.do("GET", "/idp/myaccount/deletion", ""), 200); got.doc["status"] != "NONE" {
		t.Errorf("%s", got.text)
	}
}

func TestUX_M7_LinkPage(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.wants(p.do("POST", "/idp/myaccount/emails", `{"profile":{"email":"new@example.com"},"sendEmail":true,"role":"PRIMARY"}`), 201)
	m := e.Mail(t, next)
	if a := p.wants(p.do("GET", m.Link, ""), 200); !strings.Contains(a.text, `id="code" dir="ltr">`+m.Code) {
		t.Errorf("%s", a.text)
	}
	e.Clock.Advance(11 * time.Minute)
	if a := p.wants(p.do("GET", m.Link, ""), 400); strings.Contains(a.text, m.Code) {
		t.Errorf("%s", a.text)
	}
}
