package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// A visitor is somebody at a browser without script, for scripts to lead.
type visitor struct {
	http *http.Client
	at   *url.URL
	page string
}

type visitorKey struct{}

func newVisitor() (*visitor, error) {
	jar, err := cookiejar.New(nil)
	return &visitor{http: &http.Client{Jar: jar}}, err
}

// visit goes to an address and prints where it leads, and what is there.
func visit(ts *testscript.TestScript, _ bool, args []string) {
	v := ts.Value(visitorKey{}).(*visitor)
	v.show(ts, http.MethodGet, args[0], nil)
}

// leave forgets all cookies.
func leave(ts *testscript.TestScript, _ bool, _ []string) {
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	ts.Value(visitorKey{}).(*visitor).http.Jar = jar
}

var (
	aForm  = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)
	aField = regexp.MustCompile(`<input([^>]*)>`)
)

// press presses a button of the page by its value; fields and values follow.
func press(ts *testscript.TestScript, _ bool, args []string) {
	v := ts.Value(visitorKey{}).(*visitor)
	for _, form := range aForm.FindAllStringSubmatch(v.page, -1) {
		if !strings.Contains(form[2], ` name="action" value="`+args[0]+`"`) {
			continue
		}
		values := url.Values{"action": {args[0]}}
		for _, in := range aField.FindAllStringSubmatch(form[2], -1) {
			if !strings.Contains(in[1], `type="radio"`) || strings.Contains(in[1], " checked") {
				values.Set(attribute(in[1], "name"), attribute(in[1], "value"))
			}
		}
		for i := 1; i+1 < len(args); i += 2 {
			values.Set(args[i], args[i+1])
		}
		v.show(ts, http.MethodPost, html.UnescapeString(form[1]), values)
		return
	}
	ts.Fatalf("%s has no button %q:\n%s", v.at, args[0], v.page)
}

func attribute(tag, name string) string {
	_, rest, _ := strings.Cut(tag, " "+name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

func (v *visitor) show(ts *testscript.TestScript, method, address string, form url.Values) {
	to, err := url.Parse(address)
	ts.Check(err)
	if v.at != nil {
		to = v.at.ResolveReference(to)
	}
	r, err := http.NewRequest(method, to.String(), strings.NewReader(form.Encode()))
	ts.Check(err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := v.http.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	v.at, v.page = res.Request.URL, string(body)
	fmt.Fprintf(ts.Stdout(), "%s %s\n%s\n", res.Status, v.at, body)
}

// mailed waits for the newest mail to an address and prints its link.
func mailed(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Get("http://" + ts.Getenv("LISTEN") + "/dev/inbox/api/messages?wait=60s&to=" + url.QueryEscape(args[0]))
	ts.Check(err)
	defer res.Body.Close()
	var inbox struct{ Messages []struct{ Link string } }
	ts.Check(json.NewDecoder(res.Body).Decode(&inbox))
	if len(inbox.Messages) == 0 {
		ts.Fatalf("no mail to %s", args[0])
	}
	fmt.Fprintf(ts.Stdout(), "link: %s\n", inbox.Messages[0].Link)
}
