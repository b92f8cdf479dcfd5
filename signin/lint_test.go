package signin_test

import (
	"html"
	"regexp"
	"strings"
)

var (
	mainTag  = regexp.MustCompile(`<main class="card" data-page="([a-z-]+)">`)
	titleTag = regexp.MustCompile(`<title>([^<]*)</title>`)
	formTag  = regexp.MustCompile(`(?s)<form([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`<(input|select|button)([^>]*)>`)
	linkTag  = regexp.MustCompile(`(?s)<a([^>]*)>(.*?)</a>`)
	anyTag   = regexp.MustCompile(`(?s)<[^>]*>`)
	fetches  = regexp.MustCompile(`(?:src|srcset|<link[^>]*href|action)="([^"]*)"`)
)

func attr(tag, name string) string {
	m := regexp.MustCompile(`(?:^|\s)` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// lint asserts what holds for every page.
func (v *view) lint() {
	t := v.b.t
	t.Helper()
	fail := func(row, format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s: "+format, append([]any{row, v.url.Path}, args...)...)
	}
	if strings.Count(v.html, "<h1") != 1 || !strings.Contains(v.html, "<footer") || !strings.Contains(v.html, `dir="`) {
		fail("UX_G20", "wants one h1, a footer and a direction")
	}
	if v.page() == "" {
		fail("UX_G59", "has no data-page")
	}
	title := v.title()
	if !strings.HasSuffix(title, " · Acme") || strings.HasPrefix(title, " ") {
		fail("UX_G20", "title %q", title)
	}
	wrong := strings.Contains(v.html, `class="error"`) || strings.Contains(v.html, `role="alert"`)
	if wrong != strings.HasPrefix(title, "Error: ") && v.page() != "error" {
		fail("UX_G20", "title %q of a page with mistakes: %v", title, wrong)
	}
	for _, m := range fetches.FindAllStringSubmatch(v.html, -1) {
		if strings.HasPrefix(m[1], "data:image/png;base64,") { // a picture inside the page
			continue
		}
		if !strings.HasPrefix(m[1], "/") || strings.HasPrefix(m[1], "//") {
			fail("UX_G2", "asks for %q", m[1])
		}
	}
	if strings.Contains(v.html, "style=") || strings.Contains(v.html, " onclick") || strings.Contains(v.html, "<script>") {
		fail("UX_G4", "has inline style or script")
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if got := v.header.Get(name); got != want {
			fail("UX_G4", "%s: %q", name, got)
		}
	}
	csp := v.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self' " + v.b.url, "script-src 'nonce-"} {
		if !strings.Contains(csp, want) {
			fail("UX_G4", "policy without %s: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		fail("UX_G4", "policy %s", csp)
	}
	for _, m := range inputTag.FindAllStringSubmatch(v.html, -1) {
		id, kind := attr(m[2], "id"), attr(m[2], "type")
		if m[1] == "button" || kind == "hidden" || strings.Contains(m[2], " hidden") {
			continue
		}
		if !strings.Contains(v.html, `for="`+id+`"`) && kind != "checkbox" {
			fail("UX_G22", "field %q has no label", id)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(v.html, -1) {
		if ids[m[1]] {
			fail("UX_G21", "id %q twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`aria-(?:describedby|controls)="([^"]*)"`).FindAllStringSubmatch(v.html, -1) {
		for id := range strings.FieldsSeq(m[1]) {
			if !ids[id] {
				fail("UX_G21", "points at %q, which is not there", id)
			}
		}
	}
	if strings.Contains(v.html, "ZgotmplZ") || strings.Contains(v.html, "<no value>") || regexp.MustCompile(`>[^<]*\{[a-z_0-9]+\}`).MatchString(v.html) {
		fail("UX_G41", "has an unfilled place: %s", v.html)
	}
}
