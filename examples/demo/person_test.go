package demo_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A person is a browser without script.
type person struct {
	t    *testing.T
	http *http.Client
	at   *url.URL
	body string
}

func newPerson(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, http: &http.Client{Jar: jar}}
}

func (p *person) do(r *http.Request, err error) *http.Response {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.at, p.body = res.Request.URL, string(b)
	return res
}

func (p *person) open(address string) *http.Response {
	p.t.Helper()
	return p.do(http.NewRequest(http.MethodGet, address, nil))
}

// press sends the first form of the page.
func (p *person) press(action string, fields ...string) {
	p.t.Helper()
	form := url.Values{"action": {action}}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(p.body, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	m := regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindStringSubmatch(p.body)
	if m == nil {
		p.t.Fatalf("no form on %s:\n%s", p.at, p.body)
	}
	to, err := p.at.Parse(html.UnescapeString(m[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.at.Scheme+"://"+p.at.Host)
	}
	p.do(r, err)
}

func (p *person) sees(page string) {
	p.t.Helper()
	if !strings.Contains(p.body, `data-page="`+page+`"`) {
		p.t.Fatalf("%s is not %s:\n%s", p.at, page, p.body)
	}
}

var (
	anyStep = regexp.MustCompile(`(?s)<details data-step="(\w+)">.*?class="title">([^<]*)<.*?</details>`)
	anyCall = regexp.MustCompile(`<article data-call="([^"]*)">`)
)

type told struct {
	Step, Title string
	Calls       []string
}

func (p *person) story() []told {
	var all []told
	for _, m := range anyStep.FindAllStringSubmatch(p.body, -1) {
		s := told{Step: m[1], Title: html.UnescapeString(m[2])}
		for _, c := range anyCall.FindAllStringSubmatch(m[0], -1) {
			s.Calls = append(s.Calls, c[1])
		}
		all = append(all, s)
	}
	return all
}

func (p *person) signUp(origin, address string) {
	p.t.Helper()
	p.open(origin + "/login/sign-up")
	p.press("create", "firstName", "Ada", "lastName", "Lovelace", "email", address)
	p.sees("email-code")
}
