package signin_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stile-id/stile/signin"
)

const ada = "ada@example.com"

// The six steps of the guide, by a browser without script.
func TestUX_G1_SignUpWithoutScript(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	presses := 0
	page := b.get("/").is("sign-in").follow("Sign up").is("sign-up")
	page = page.press("create", "firstName", "Ada", "lastName", "Lovelace", "email", ada).is("email-code")
	presses++
	page = page.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	presses++
	page = page.press("skip")
	presses++
	if want := "app /: 00u1ada ada@example.com Ada Lovelace"; page.html != want {
		t.Errorf("landed at %s: %q, want %q", page.url, page.html, want)
	}
	t.Run("UX_P5_3", func(t *testing.T) {
		if presses != 3 {
			t.Errorf("%d presses, want two forms and one Skip", presses)
		}
	})
	t.Run("UX_P6_1", func(t *testing.T) {
		if len(b.hops) != 2 || !strings.HasPrefix(b.hops[0], "303 ") || b.hops[1] != "200 /" {
			t.Errorf("success goes by %v", b.hops)
		}
	})
	t.Run("UX_P6_3 UX_G54", func(t *testing.T) {
		b.get("/login/").is("already-signed-in").says("You are signed in to Acme as ada@example.com.")
		b.get("/login/sign-up").is("already-signed-in")
		again := b.get("/login/?return_to=/app").is("already-signed-in")
		if to := again.link("Continue"); to != "/app" {
			t.Errorf("Continue leads to %q", to)
		}
		again.press("switch").is("sign-in")
		b.get("/").is("sign-in")
	})
}

func TestUX_G3_Weight(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	size := func(text string) int {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		fmt.Fprint(w, text)
		w.Close()
		return out.Len()
	}
	page := b.get("/login/sign-up")
	if n := size(page.html); n > 15<<10 {
		t.Errorf("HTML has %d bytes", n)
	}
	for _, name := range []string{"style.css", "page.js"} {
		link := regexp.MustCompile(`"(/login/` + regexp.QuoteMeta(name) + `\?v=[^"]*)"`).FindStringSubmatch(page.html)
		if link == nil {
			t.Fatalf("no %s: %s", name, page.html)
		}
		file := b.get(link[1])
		if n := size(file.html); file.status != 200 || n > 15<<10 {
			t.Errorf("%s: %d, %d bytes", name, file.status, n)
		}
		if got := file.header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
	}
	if n := strings.Count(page.html, `rel="stylesheet"`); n != 1 {
		t.Errorf("%d style sheets", n)
	}
	if got := b.get("/login/icon.svg").header.Get("Content-Type"); got != "image/svg+xml" {
		t.Errorf("icon: %q", got)
	}
}

func TestUX_G44_G46_Brand(t *testing.T) {
	s := newSite(t, func(o *signin.Options) {
		o.Logo, o.LogoDark, o.AccentColor = "/logo.svg", "/logo-dark.svg", "#fc0"
		o.HelpURL, o.TermsURL, o.PrivacyURL = "https://help.example/", "/terms", "/privacy"
	})
	v := s.browser().get("/login/").says("Help", "Terms", "Privacy")
	if !strings.Contains(v.html, `<img src="/logo.svg" alt="Acme" height="32">`) || !strings.Contains(v.html, `srcset="/logo-dark.svg"`) {
		t.Errorf("no logo: %s", v.html)
	}
	if css := v.b.get("/login/style.css").html; !strings.HasPrefix(css, ":root{--accent:#ffcc00;--on-accent:#000000;") {
		t.Errorf("style: %.100s", css)
	}
	if v := newSite(t).browser().get("/login/"); !strings.Contains(v.html, `<bdi>Acme</bdi>`) {
		t.Error("no name without a logo")
	}
	t.Run("a logo from elsewhere", func(t *testing.T) {
		s := newSite(t, func(o *signin.Options) { o.Logo = "https://cdn.example/logo.svg" })
		w := httptest.NewRecorder()
		s.pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login/", nil))
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "img-src 'self' https://cdn.example;") {
			t.Errorf("policy %s", got)
		}
	})
}

func TestUX_G5_GetChangesNothing(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	code := b.signUp("Ada", "Lovelace", ada)
	m := s.engine.lastMail(ada)
	addresses := []string{
		"/", "/login/", "/login/sign-up", "/login/step", code.url.RequestURI(), code.url.RequestURI() + "&view=list",
		"/login/sign-out", "/login/signed-out", "/login/callback", "/login/callback?otp=" + m.code + "&state=" + m.state,
		"/login/callback?error=link_expired&state=" + m.state, "/login/poll", "/login/nothing",
		"/login/welcome?activationToken=t", "/login/new-password?recoveryToken=t", "/login/style.css",
	}
	state := func() string {
		s.engine.mu.Lock()
		defer s.engine.mu.Unlock()
		out := fmt.Sprint(len(s.engine.mails), s.engine.users, len(s.engine.codes), len(s.engine.flows))
		for _, h := range slices.Sorted(maps.Keys(s.engine.flows)) {
			f := s.engine.flows[h]
			out += fmt.Sprint(";", f.step, f.identifier, f.tries, len(f.codes))
		}
		return out
	}
	before := state()
	for range 2 {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, a := range addresses {
				v := b.send(method, a, nil)
				if method == http.MethodHead && v.html != "" {
					t.Errorf("HEAD %s has a body", a)
				}
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
	code.press("continue", "verificationCode", m.code).is("select-authenticator")
}

func TestUX_G6_PostRedirectGet(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	check := func(v *view) *view {
		t.Helper()
		if !strings.HasPrefix(b.hops[0], "303 ") {
			t.Errorf("went by %v", b.hops)
		}
		before := len(s.engine.mails)
		if again := b.get(v.url.RequestURI()); again.page() != v.page() || len(s.engine.mails) != before {
			t.Errorf("a reload of %s gives %s and %d mails", v.page(), again.page(), len(s.engine.mails)-before)
		}
		return v
	}
	v := check(b.get("/login/sign-up").press("create"))
	v = check(v.press("create", "firstName", "Ada", "lastName", "L", "email", ada))
	v = check(v.press("continue", "verificationCode", "000000"))
	v = check(v.press("continue", "verificationCode", ""))
	v = check(v.press("check"))
	v = check(v.press("resend"))
	s.clock.Advance(30 * time.Second)
	v = check(v.press("resend"))
	v = check(v.press("change"))
	v = check(v.press("create"))
	v = check(v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator"))
	check(v.press("submit", "authenticator", "okta_password").is("set-password"))
}

func TestUX_G7_DoublePress(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	twice := func(v *view, action string, typed ...string) *view {
		t.Helper()
		hold := make(chan struct{})
		s.engine.set(func() { s.engine.hold = hold })
		to, values := v.form(action, typed...)
		second := &browser{site: s, http: b.http}
		var first, other *view
		var wg sync.WaitGroup
		wg.Go(func() { first = b.send(http.MethodPost, to, values) })
		wg.Go(func() { other = second.send(http.MethodPost, to, values) })
		close(hold)
		s.engine.set(func() { s.engine.hold = nil })
		wg.Wait()
		if first.page() != other.page() || first.status != other.status {
			t.Errorf("%s: %s and %s", action, first.page(), other.page())
		}
		return first
	}
	v := twice(b.get("/login/sign-up"), "create", "firstName", "Ada", "lastName", "L", "email", ada).is("email-code")
	if n := len(s.engine.mails); n != 1 {
		t.Errorf("%d mails", n)
	}
	v = twice(v, "continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	v = twice(v, "skip")
	if !strings.HasPrefix(v.html, "app /") {
		t.Errorf("landed at %s: %s", v.url, v.html)
	}
	for code, n := range s.engine.redeemed {
		if n != 1 {
			t.Errorf("%s redeemed %d times", code, n)
		}
	}
}

func TestUX_G23_Errors(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	t.Run("one", func(t *testing.T) {
		v := b.get("/login/").press("next", "identifier", "ada.example.com").is("sign-in")
		v.says("The @ is missing. Enter an address like name@example.com")
		tag := v.tag("identifier")
		if attr(tag, "aria-invalid") != "true" || attr(tag, "aria-describedby") != "identifier-error" || !strings.Contains(tag, "autofocus") ||
			attr(tag, "value") != "ada.example.com" {
			t.Errorf("field %s", tag)
		}
		if strings.Contains(v.html, `role="alert" tabindex`) {
			t.Error("a summary of one mistake")
		}
		if strings.Index(v.html, `id="identifier-error"`) > strings.Index(v.html, `<input id="identifier"`) {
			t.Error("the error comes after the input")
		}
	})
	t.Run("several", func(t *testing.T) {
		v := b.get("/login/sign-up").press("create", "firstName", "", "lastName", "Lovelace", "email", "ada@").is("sign-up")
		v.says("Please check these:", "Enter your first name", "Something is missing after the @.")
		if v.link("Enter your first name") != "#firstName" || !strings.Contains(v.html, `role="alert" tabindex="-1" autofocus`) {
			t.Errorf("summary: %s", v.html)
		}
		if v.value("lastName") != "Lovelace" || v.value("email") != "ada@" || v.title() != "Error: Create your account · Acme" {
			t.Errorf("keeps %q %q, title %q", v.value("lastName"), v.value("email"), v.title())
		}
		if strings.Count(v.html, "autofocus") != 1 {
			t.Error("UX G24: the focus has more than one place")
		}
	})
	if n := len(s.engine.mails); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestUX_G25_Focus(t *testing.T) {
	b := newSite(t).browser()
	if v := b.get("/login/"); !strings.Contains(v.tag("identifier"), "autofocus") {
		t.Error("the only field has no focus")
	}
	if v := b.get("/login/?login_hint=" + ada); strings.Contains(v.html, "autofocus") {
		t.Error("a field that is filled in has the focus")
	}
	if v := b.get("/login/sign-up"); strings.Contains(v.html, "autofocus") {
		t.Error("a page of several fields does not begin at its heading")
	}
}

func TestUX_G40_Language(t *testing.T) {
	catalog := fstest.MapFS{
		"de.json": {Data: []byte(`{"sign_in.next": "Weiter"}`)},
		"fr.json": {Data: []byte(`{"sign_in.next": "Suivant"}`)},
	}
	s := newSite(t, func(o *signin.Options) { o.Catalog = catalog })
	for _, at := range []struct{ name, address, header, lang, next string }{
		{"nothing said", "/login/", "", "en", "Next"},
		{"the browser's", "/login/", "de-CH, en;q=0.5", "de", "Weiter"},
		{"a browser's that is not there", "/login/", "sv, nb", "en", "Next"},
		{"the request's", "/login/?ui_locales=sv+fr", "de", "fr", "Suivant"},
		{"the person's", "/login/?ui_locales=fr&lang=de", "en", "de", "Weiter"},
	} {
		t.Run(at.name, func(t *testing.T) {
			b := s.browser()
			b.lang = at.header
			v := b.get(at.address).is("sign-in").says(at.next)
			if !strings.Contains(v.html, `<html lang="`+at.lang+`" dir="ltr">`) {
				t.Errorf("html tag: %.60s", v.html)
			}
		})
	}
	t.Run("holds for the flow and its mail", func(t *testing.T) {
		b := s.browser()
		b.lang = "en"
		v := b.get("/login/?ui_locales=fr").press("next", "identifier", ada).is("email-code")
		if !strings.Contains(v.html, `<html lang="fr"`) {
			t.Errorf("the next page: %.60s", v.html)
		}
		s.engine.mu.Lock()
		got := s.engine.headers[len(s.engine.headers)-2].Get("Accept-Language")
		s.engine.mu.Unlock()
		if got != "fr, en" {
			t.Errorf("the engine is told %q", got)
		}
	})
	t.Run("chosen", func(t *testing.T) {
		b := s.browser()
		b.get("/login/").follow("de").says("Weiter")
		b.get("/login/").says("Weiter")
	})
}

// Every key that templates and code use is in the catalogue, and every key there is used.
func TestUX_G41_KeysUsed(t *testing.T) {
	used := map[string]bool{}
	quoted := regexp.MustCompile(`"([a-z_-]+(?:\.[A-Za-z_-]+)+)"`)
	for _, dir := range []string{".", "templates"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".html") {
				continue
			}
			text, err := os.ReadFile(dir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
				used[m[1]] = true
			}
		}
	}
	for _, name := range []string{
		"sign-in", "sign-up", "recover", "unlock", "email-code", "select-authenticator", "choose-authenticator", "password",
		"set-password", "reset-password", "password-expired", "password-expiring", "profile-update", "form", "link-continue", "link-elsewhere",
		"passkey", "set-passkey",
		"profile", "profile-name", "profile-email", "profile-code", "profile-password", "profile-method",
		"verify-set-up", "verify-send", "verify-method", "verify-push", "verify-code",
	} {
		used["title."+name] = true
	}
	for _, name := range []string{"set-password", "reset-password", "password-expired", "password-expiring", "passkey", "set-passkey"} {
		used[name+".lead"], used[name+".submit"] = true, true
	}
	for _, kinds := range signin.MethodKinds {
		for _, kind := range kinds {
			used["title."+kind], used[kind+".lead"] = true, true
		}
	}
	for _, kind := range []string{"set-app", "set-recovery-codes", "recovery-code", "token-code", "access-code"} {
		used[kind+".wrong"] = true
	}
	for _, name := range []string{"sign-up", "recover", "unlock"} {
		used["closed."+name+".heading"], used["closed."+name+".text"] = true, true
	}
	for _, name := range []string{"denied", "not-enough", "recovery-completed"} {
		used[name+".heading"], used[name+".text"], used[name+".again"] = true, true, true
	}
	for page, over := range map[string]string{"welcome": "invitation-over", "new-password": "recovery-over"} {
		used["title."+page], used[page+".text"], used[over+".heading"], used[over+".text"] = true, true, true, true
	}
	used["recovery-over.again"] = true
	for _, key := range []string{
		"recover.lead", "unlock.lead", "reset-password.skip", "password-expiring.skip", "password-expiring.heading",
		"instead.okta_email", "instead.okta_password",
	} {
		used[key] = true
	}
	for _, channel := range []string{"qrcode", "email", "sms"} {
		used["verify.channel."+channel] = true
	}
	for _, what := range signin.DoneWords {
		used["account.done."+what] = true
	}
	for _, kept := range []string{"email", "required", "last"} {
		used["account.kept."+kept] = true
	}
	for month := range 12 {
		used[fmt.Sprintf("date.month.%d", month+1)] = true
	}
	used["account.true"], used["account.false"] = true, true
	for _, rule := range []string{"minLength", "minLowerCase", "minUpperCase", "minNumber", "minSymbol"} {
		used["password."+rule] = true
	}
	for _, fault := range []string{"blank", "long", "unprintable"} {
		used["error.first_name."+fault], used["error.last_name."+fault], used["error.field."+fault] = true, true, true
	}
	for _, d := range []string{"sent", "delayed", "refused", "expired"} {
		used["delivery."+d], used["phone."+d] = true, true
	}
	for _, page := range []string{"number", "method", "code"} {
		used["title.phone-"+page] = true
	}
	for _, how := range []string{"sms", "voice"} {
		used["phone.method."+how], used["phone.sent."+how], used["phone.instead."+how] = true, true, true
	}
	known := signin.English(t)
	plain := map[string]bool{}
	for key := range known {
		plain[strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")] = true
	}
	notKeys := regexp.MustCompile(`\.(css|js|svg|html|json)$|^(idx|errors|api|main|oie|security|authfactor)\.|^password\.passwordRequirementsNotMet$|^registration\.error\.|^(error\.first_name|error\.last_name|error\.field)\.$`)
	for key := range used {
		if !plain[key] && known[key] == "" && !notKeys.MatchString(key) {
			t.Errorf("%q is used and not in en.json", key)
		}
	}
	for key := range plain {
		if !used[key] && !strings.HasPrefix(key, "engine.") && !strings.HasPrefix(key, "authenticator.") {
			t.Errorf("%q is in en.json and not used", key)
		}
	}
	for key := range known {
		if one, ok := strings.CutSuffix(key, ".one"); ok && known[one+".other"] == "" {
			t.Errorf("%q has no other form", one)
		}
	}
}
