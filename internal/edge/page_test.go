package edge_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

func TestUX_G4_G20_Page(t *testing.T) {
	type value struct {
		edge.PageHead
		Text string
	}
	page := edge.NewPage(`<p>{{.Text}}</p>`)
	w := httptest.NewRecorder()
	err := page.Write(w, http.StatusTeapot, value{edge.PageHead{Page: "p", Title: "<b>", App: `A"&`}, "<script>"}, "'self'", "https://app.example")
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if err != nil || w.Code != http.StatusTeapot || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%v %d %v", err, w.Code, w.Header())
	}
	for _, want := range []string{`<html lang="en" dir="ltr">`, "<title>&lt;b&gt; · A&#34;&amp;</title>", `<main data-page="p"><h1>&lt;b&gt;</h1>`, "<p>&lt;script&gt;</p>", "<footer>"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'; ") ||
		!strings.HasSuffix(policy, "form-action 'self' https://app.example; frame-ancestors 'none'") {
		t.Error(policy)
	}

	w = httptest.NewRecorder()
	if err := page.Write(w, http.StatusOK, value{}); err != nil || !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'none'") || !strings.Contains(w.Body.String(), "· Stile</title>") {
		t.Errorf("%v %v %s", err, w.Header(), w.Body)
	}
	// The colour of a brand comes along in a style of its own, which the policy names.
	w = httptest.NewRecorder()
	if err := page.Write(w, http.StatusOK, value{PageHead: edge.PageHead{Color: "#ffe100"}}); err != nil {
		t.Fatal(err)
	}
	styles := strings.Split(w.Body.String(), "<style>")
	css, _, _ := strings.Cut(styles[len(styles)-1], "</style>")
	sum := sha256.Sum256([]byte(css))
	if len(styles) != 3 || !strings.HasPrefix(css, ":root{--accent:#ffe100;--on-accent:#000000;--accent-ink:#") || strings.Contains(css, "--accent-ink:#ffe100}@") ||
		!strings.Contains(w.Header().Get("Content-Security-Policy"), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri") {
		t.Errorf("%q %v", css, w.Header())
	}
	w = httptest.NewRecorder()
	if err := page.Write(w, http.StatusOK, struct{}{}); err == nil || w.Body.Len() != 0 || w.Code != http.StatusInternalServerError {
		t.Errorf("half a page was written: %v %s", err, w.Body)
	}
}
