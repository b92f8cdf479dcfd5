package idxapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/stiletest"
)

const john = "john.doe@example.org"

func TestGoldenDocuments(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.golden("identify", w.post("introspect", map[string]any{"stateToken": w.state}))
	w.golden("enroll-profile", w.answer("enroll", nil))
	w.golden("error-profile-blank", w.answer("enroll/new", map[string]any{}))
	w.golden("error-profile-email", w.answer("enroll/new", profile("nobody")))
	w.golden("enroll-email", w.answer("enroll/new", profile(john)))
	w.golden("error-code", w.answer("challenge/answer", passcode("000000")))
	w.golden("select-authenticator-enroll", w.answer("challenge/answer", passcode(e.Code(t, john))))
	w.golden("enroll-password", w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}}))
	w.golden("error-password-weak", w.answer("challenge/answer", passcode("short")))
	w.golden("success", w.answer("skip", nil))
	w.golden("error-not-offered", begin(t, e).answer("skip", nil))
	w.golden("terminal-transferred", w.answer("challenge/poll", nil))

	in := begin(t, e)
	in.golden("challenge-email", in.answer("identify", map[string]any{"identifier": john}))
	in.golden("error-expired", in.post("introspect", map[string]any{"stateToken": "02.id.gone"}))
}

// envelope holds what is true of every document (IDX §6, Envelope).
func (w *wire) envelope(a answer) {
	w.Helper()
	if a.doc["version"] != "1.0.0" {
		w.Errorf("IDX_C14: no version: %s", a.body)
	}
	if _, ok := a.doc["error"]; ok {
		w.Error("IDX_C15: a member named error")
	}
	if a.header.Get("WWW-Authenticate") != "" {
		w.Error("IDX_C15: WWW-Authenticate")
	}
	want := ionType
	if a.status >= 400 {
		want = "application/json; okta-version=1.0.0"
	}
	if got := a.header.Get("Content-Type"); got != want {
		w.Errorf("IDX_C13: %d is %q", a.status, got)
	}
	if a.header.Get("X-Okta-Request-Id") == "" || !strings.Contains(a.header.Get("Cache-Control"), "no-store") {
		w.Errorf("IDX_C16: headers %v", a.header)
	}
	if h, ok := a.doc["stateHandle"]; ok && h != w.state {
		w.Error("IDX_C29: another state handle")
	}
	list, _ := a.at("remediation", "value").([]any)
	if len(list) > 0 && a.doc["cancel"] == nil || len(list) == 0 && a.code() == "" && a.doc["messages"] == nil {
		w.Errorf("IDX_C23: neither a way back nor a message: %s", a.body)
	}
	if a.status == 200 && len(list) > 0 && a.doc["messages"] != nil {
		w.Errorf("IDX_C33: messages at 200: %s", a.body)
	}
	for _, f := range list {
		w.checkForm(a, f.(map[string]any))
	}
	for _, id := range regexp.MustCompile(`"(?:id|stateHandle)":"([^"]*)"`).FindAllSubmatch(a.body, -1) {
		if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).Match(id[1]) {
			w.Errorf("IDX_C31: id %q", id[1])
		}
	}
	for _, href := range regexp.MustCompile(`"href":"([^"]*)"`).FindAllSubmatch(a.body, -1) {
		if !strings.HasPrefix(string(href[1]), w.e.URL+"/") {
			w.Errorf("IDX_C20: href %s", href[1])
		}
	}
}

func (w *wire) checkForm(a answer, f map[string]any) {
	w.Helper()
	for _, member := range []string{"rel", "name", "href", "method", "produces", "accepts", "value"} {
		if f[member] == nil {
			w.Errorf("IDX_C21: %v has no %s", f["name"], member)
		}
	}
	hasHandle := false
	for _, v := range f["value"].([]any) {
		field := v.(map[string]any)
		switch field["type"] {
		case nil, "string", "boolean", "object":
		default:
			w.Errorf("IDX_C28: type %v", field["type"])
		}
		if field["name"] == "stateHandle" {
			hasHandle = field["required"] == true && field["visible"] == false && field["mutable"] == false
		}
		options, _ := field["options"].([]any)
		for _, o := range options {
			option := o.(map[string]any)
			path, ok := option["relatesTo"].(string)
			target, _ := w.resolve(a, path).(map[string]any)
			if !ok || target["key"] == nil {
				w.Errorf("IDX_C24 IDX_C25: %v of %v", option["relatesTo"], f["name"])
				continue
			}
			if option["label"] != target["displayName"] {
				w.Errorf("IDX_C25: label %v of %v", option["label"], target["displayName"])
			}
			first := option["value"].(map[string]any)["form"].(map[string]any)["value"].([]any)[0].(map[string]any)
			if first["name"] != "id" || !strings.HasPrefix(first["value"].(string), "aut") {
				w.Errorf("IDX_C26: %v", first)
			}
		}
		if nested, ok := field["form"].(map[string]any); ok && strings.Contains(mustJSON(nested), "relatesTo") {
			w.Errorf("IDX_C27: %v", nested)
		}
	}
	if !hasHandle {
		w.Errorf("IDX_C22: %v", f["name"])
	}
	if rel, ok := f["relatesTo"]; ok {
		list, ok := rel.([]any)
		if !ok || len(list) != 1 || w.resolve(a, list[0].(string)) == nil {
			w.Errorf("IDX_C24: form relates to %v", rel)
		}
	}
}

// resolve follows a path such as $.authenticators.value[0].
func (w *wire) resolve(a answer, path string) any {
	var v any = a.doc
	for _, step := range strings.Split(strings.TrimPrefix(path, "$."), ".") {
		name, index, has := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		m, _ := v.(map[string]any)
		v = m[name]
		if has {
			l, _ := v.([]any)
			if n := int(index[0] - '0'); n < len(l) {
				v = l[n]
			} else {
				return nil
			}
		}
	}
	return v
}

func TestSignUpOverTheWire(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	step := func(what string, a answer, status int, forms ...string) answer {
		t.Helper()
		w.want(what, a, status, forms...)
		w.envelope(a)
		return a
	}
	first := step("IDX_C34", w.post("introspect", map[string]any{"interactionHandle": w.interaction}), 200, "identify", "select-enroll-profile")
	again := w.post("introspect", map[string]any{"stateToken": w.state})
	if diff := cmp.Diff(first.doc, again.doc); diff != "" {
		t.Errorf("IDX_C10 IDX_C11:\n%s", diff)
	}
	step("IDX_C38", w.answer("enroll", nil), 200, "enroll-profile", "select-identify")
	step("IDX_C45", w.answer("enroll/new", nil), 400, "enroll-profile", "select-identify")
	enrolled := step("IDX_C36", w.answer("enroll/new", profile(john)), 200, "enroll-authenticator", "select-authenticator-enroll")
	if got := enrolled.at("currentAuthenticator", "value", "poll", "refresh"); got != float64(2000) {
		t.Errorf("IDX_C65: refresh %v", got)
	}
	w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1email0000000000"}})
	if n := len(e.Mails(t, john)); n != 1 {
		t.Errorf("IDX_C37: %d mails", n)
	}
	e.MailTried(t) // what becomes of the mail is a change, and is told
	poll, more := w.answer("challenge/poll", nil), w.answer("challenge/poll", nil)
	if diff := cmp.Diff(string(poll.body), string(more.body)); diff != "" || poll.status != 200 {
		t.Errorf("IDX_C30 IDX_C65: %d\n%s", poll.status, diff)
	}
	wrong := step("IDX_C80", w.answer("challenge/answer", passcode("000000")), 401, "enroll-authenticator", "select-authenticator-enroll")
	w.wantKeys("IDX_C80", wrong, 401, "api.authn.error.PASSCODE_INVALID")
	list := step("IDX_C39", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll", "skip")
	if got := list.at("authenticatorEnrollments", "value", 0, "profile", "email"); got != "j***e@example.org" {
		t.Errorf("masked address %v", got)
	}
	done := step("IDX_C40", w.answer("skip", nil), 200)
	w.wantKeys("IDX_C62", w.answer("challenge/poll", nil), 200, "idx.transferred.to.new.tab")

	token := w.form("/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {done.code()}, "client_id": {e.PublicClientID}, "code_verifier": {verifier},
	})
	if token.status != 200 || token.doc["token_type"] != "Bearer" || token.doc["id_token"] == nil || token.doc["state"] != nil || token.doc["refresh_token"] != nil {
		t.Errorf("IDX_C75: %d %s", token.status, token.body)
	}
	reuse := w.form("/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {done.code()}, "client_id": {e.PublicClientID}, "code_verifier": {verifier},
	})
	if reuse.status != 400 || reuse.doc["error"] != "invalid_grant" {
		t.Errorf("IDX_C74: %d %s", reuse.status, reuse.body)
	}
	bearer := http.Header{"Authorization": {"Bearer " + token.doc["access_token"].(string)}}
	if info := w.do("GET", e.Issuer+"/v1/userinfo", "", nil, bearer); info.status != 401 {
		t.Errorf("SEC_S27: after reuse of the code the access token still works: %d", info.status)
	}
}

// The widget compares the text of two polls; a wrong answer or a mail that has
// gone out in between must not show in it.
func TestIDX_C30_PollsOfTheWidgetAreStable(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled(john)
	poll := func() string {
		header := http.Header{"X-Okta-User-Agent-Extended": {"okta-auth-js/7.14.5 okta-signin-widget-7.49.0"}}
		return string(w.do("POST", e.URL+"/idp/idx/challenge/poll", ionType, strings.NewReader(`{"stateHandle":"`+w.state+`"}`), header).body)
	}
	before := poll()
	w.answer("challenge/answer", passcode("000000"))
	e.MailTried(t)
	w.answer("challenge/resend", nil)
	if diff := cmp.Diff(before, poll()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(before, `"stile"`) {
		t.Errorf("the widget is told what changes: %s", before)
	}
}

func TestSignInOverTheWire(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp(john)
	w := begin(t, e)
	a := w.answer("identify", map[string]any{"identifier": john})
	w.want("IDX_C51 IDX_C57", a, 200, "challenge-authenticator", "select-authenticator-authenticate")
	w.envelope(a)
	if got := a.at("currentAuthenticatorEnrollment", "value", "profile", "email"); got != "j***e@example.org" {
		t.Errorf("IDX_C51: %v", got)
	}
	if got := a.at("user", "value", "profile"); got != nil {
		t.Errorf("D25: %v is shown before proof", got)
	}
	w.want("D24", w.answer("challenge/answer", passcode("")), 200, "challenge-authenticator", "select-authenticator-authenticate")
	if done := w.answer("challenge/answer", passcode(e.Code(t, john))); done.code() == "" {
		t.Errorf("no code: %s", done.body)
	}
}

func TestIDX_C58_C64_AUTH_A61_Links(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled(john)
	link := e.Link(t, john)
	open := func() answer { return w.do("GET", link, "", nil, nil) }
	var target *url.URL
	for range 20 {
		a := open()
		var err error
		if target, err = url.Parse(a.header.Get("Location")); err != nil || a.status != 302 {
			t.Fatalf("IDX_C58: %d %s", a.status, a.body)
		}
		if h := w.do("HEAD", link, "", nil, nil); h.status != 302 {
			t.Fatalf("HEAD: %d", h.status)
		}
	}
	q := target.Query()
	if !q.Has("browser") || !q.Has("os") || q.Get("started") == "" {
		t.Errorf("UX_P4_3: %s", target)
	}
	if q.Get("otp") != e.Code(t, john) || q.Get("state") != "state-of-the-app" || !strings.HasPrefix(target.String(), e.RedirectURI+"?") {
		t.Errorf("IDX_C58: %s", target)
	}
	if a := w.do("GET", link, "", nil, http.Header{"Accept": {"application/ion+json"}}); a.status != 200 || a.keys()[0] != "idx.enter.otp.in.original.tab" {
		t.Errorf("document: %d %s", a.status, a.body)
	}
	for what, cut := range map[string]string{"cut": link[:len(link)-1], "padded": link + "A", "changed": link[:len(link)-3] + "AAA"} {
		a := w.do("GET", cut, "", nil, http.Header{"Accept": {"text/html"}})
		if a.header.Get("Location") != "" && strings.Contains(a.header.Get("Location"), "otp=") {
			t.Errorf("SEC_S13: a %s link gives the code", what)
		}
	}
	e.Clock.Advance(10*time.Minute + time.Second)
	if a := w.do("GET", link, "", nil, http.Header{"Accept": {"application/ion+json"}}); a.status != 400 || a.keys()[0] != "idx.return.link.expired" {
		t.Errorf("IDX_C64: %d %s", a.status, a.body)
	}
	if a := open(); !strings.Contains(a.header.Get("Location"), "error=link_expired") {
		t.Errorf("expired link leads to %s", a.header.Get("Location"))
	}
	w.answer("challenge/resend", nil)
	w.want("P4_1", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll", "skip")
	if a := w.do("GET", e.Link(t, john), "", nil, nil); !strings.Contains(a.header.Get("Location"), "error=link_used") {
		t.Errorf("P4_5: %s", a.header.Get("Location"))
	}
}

func TestBadRequests(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	target := e.URL + "/idp/idx/identify"
	state := `"stateHandle":"` + w.state + `"`
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"malformed", "application/json", `{"stateHandle":`, 400},
		{"not an object", "application/json", `["stateHandle"]`, 400},
		{"trailing", "application/json", `{` + state + `}{}`, 400},
		{"no handle", "application/json", `{}`, 400},
		{"field of an unknown type", "application/json", `{` + state + `,"identifier":["a"]}`, 400},
		{"unknown version", "application/ion+json; okta-version=2.0.0", `{` + state + `}`, 400},
		{"form", "application/x-www-form-urlencoded", "stateHandle=x", 415},
		{"text", "text/plain", `{` + state + `}`, 415},
		{"nothing said", "", `{` + state + `}`, 415},
		{"oversized", "application/json", `{` + state + `,"identifier":"` + strings.Repeat("a", 65<<10) + `"}`, 413},
	} {
		t.Run("E24 "+c.name, func(t *testing.T) {
			a := w.do("POST", target, c.contentType, strings.NewReader(c.body), nil)
			if a.status != c.status || len(a.keys()) != 1 || a.keys()[0] != "E0000020" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	for _, ct := range []string{"application/json", ionType, "application/vnd.okta.v1+json"} {
		if a := w.do("POST", target, ct, strings.NewReader(`{`+state+`}`), nil); a.status != 400 || len(a.forms()) == 0 {
			t.Errorf("IDX_C12: %s: %d %s", ct, a.status, a.body)
		}
	}
	if a := w.do("GET", target, "", nil, nil); a.status != 405 || a.doc["errorCode"] != "E0000022" {
		t.Errorf("E26: %d %s", a.status, a.body)
	}
	if a := w.post("nothing/here", nil); a.status != 404 || a.doc["errorCode"] != "E0000007" {
		t.Errorf("E26: %d %s", a.status, a.body)
	}
	for _, action := range []string{"identify", "enroll", "enroll/new", "challenge/answer", "challenge/poll", "skip", "cancel"} {
		a := w.post(action, map[string]any{"stateHandle": "02.id.unknown"})
		if a.status != 401 || a.doc["stateHandle"] != nil || a.doc["cancel"] != nil || a.keys()[0] != "idx.session.expired" {
			t.Errorf("IDX_C79 %s: %d %s", action, a.status, a.body)
		}
	}
	for _, action := range []string{"challenge/answer", "skip", "enroll/new", "challenge/resend", "credential/enroll"} {
		a := w.answer(action, passcode("123456"))
		if a.status != 400 || a.keys()[0] != "errors.E0000079" || a.forms()[0] != "identify" {
			t.Errorf("IDX_C81 %s: %d %s", action, a.status, a.body)
		}
	}
}

func TestCORS(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	const trusted = "http://localhost:8080"
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{trusted, true}, {"http://localhost:8081", false}, {"https://localhost:8080", false},
		{"http://localhost:8080.evil.example", false}, {"http://LOCALHOST:8080", false}, {"null", false},
	} {
		for what, a := range map[string]answer{
			"2xx": w.do("POST", e.URL+"/idp/idx/introspect", ionType, strings.NewReader(`{"stateToken":"`+w.state+`"}`), http.Header{"Origin": {c.origin}}),
			"4xx": w.do("POST", e.URL+"/idp/idx/introspect", ionType, strings.NewReader(`{}`), http.Header{"Origin": {c.origin}}),
			"preflight": w.do("OPTIONS", e.URL+"/idp/idx/introspect", "", nil, http.Header{
				"Origin": {c.origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"x-okta-user-agent-extended,content-type"}}),
		} {
			got := a.header.Get("Access-Control-Allow-Origin")
			if c.ok && (got != c.origin || a.header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin")) {
				t.Errorf("IDX_C17 %s from %s: %v", what, c.origin, a.header)
			}
			if !c.ok && got != "" {
				t.Errorf("IDX_C17 SEC_S70 %s from %s: allowed as %q", what, c.origin, got)
			}
			if c.ok && what == "preflight" {
				for _, h := range []string{"x-okta-user-agent-extended", "content-type", "authorization"} {
					if !strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), h) {
						t.Errorf("IDX_C18: %s is not allowed", h)
					}
				}
			}
		}
	}
}

func TestIDX_C83_KeysAreTheSameInEveryLanguage(t *testing.T) {
	w := begin(t, stiletest.Start(t))
	w.answer("enroll", nil)
	post := func(language string) []string {
		a := w.do("POST", w.e.URL+"/idp/idx/enroll/new", ionType, strings.NewReader(`{"stateHandle":"`+w.state+`"}`),
			http.Header{"Accept-Language": {language}})
		return a.keys()
	}
	want := post("en")
	for _, language := range []string{"de-AT,de;q=0.9", "ar", "*", strings.Repeat("x,", 500)} {
		if diff := cmp.Diff(want, post(language)); diff != "" || len(want) != 3 {
			t.Errorf("%.20s: %s", language, diff)
		}
	}
}

func TestSignUpClosedOverTheWire(t *testing.T) {
	w := begin(t, stiletest.Start(t, stiletest.SignUpClosed()))
	w.want("IDX_C34", w.post("introspect", map[string]any{"stateToken": w.state}), 200, "identify")
	a := w.answer("enroll", nil)
	w.wantKeys("IDX_C48", a, 403, "oie.registration.is.not.enabled")
	if a.doc["cancel"] == nil {
		t.Error("E19: no cancel")
	}
}

func TestDiscloseOverTheWire(t *testing.T) {
	e := stiletest.Start(t, stiletest.Disclose())
	w := begin(t, e)
	w.wantKeys("E15", w.answer("identify", map[string]any{"identifier": john}), 200, "idx.unknown.user")
	w.signedUp(john)
	x := begin(t, e)
	x.wantKeys("IDX_C46 E01", x.enrolled(john), 400, "registration.error.notUniqueWithinOrg")
	y := begin(t, e)
	y.enrolled("never@example.org")
	z := begin(t, e)
	z.want("IDX_C46", z.enrolled("never@example.org"), 200, "enroll-authenticator", "select-authenticator-enroll")
}

func TestRequiredPasswordOverTheWire(t *testing.T) {
	e := stiletest.Start(t, stiletest.Require("okta_password"))
	w := begin(t, e)
	w.enrolled(john)
	w.want("IDX_C41", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll")
	w.wantKeys("IDX_C41", w.answer("skip", nil), 400, "errors.E0000079")
	a := w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}})
	w.want("IDX_C49", a, 200, "enroll-authenticator", "select-authenticator-enroll")
	if got := a.at("currentAuthenticator", "value", "settings", "complexity", "minLength"); got != float64(8) {
		t.Errorf("IDX_C49: minLength %v", got)
	}
	w.wantKeys("IDX_C50", w.answer("challenge/answer", passcode("short")), 400, "password.passwordRequirementsNotMet")
	w.wantKeys("E30", w.answer("challenge/answer", passcode("password")), 400, "password.common")
	w.wantKeys("E03", w.answer("challenge/answer", passcode("")), 400, "model.validation.field.blank")
	w.want("IDX_C42", w.answer("challenge/answer", passcode("a stile is a set of steps")), 200, "select-authenticator-enroll", "skip")
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("IDX_C42: %s", done.body)
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
