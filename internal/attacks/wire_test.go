package attacks

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/ion/iontest"
	"github.com/stile-id/stile/stiletest"
)

const ionType = "application/ion+json; okta-version=1.0.0"

// A wire is one transaction of somebody who knows nothing but HTTP.
type wire struct {
	t           testing.TB
	e           *stiletest.Engine
	verifier    string
	interaction string
	state       string
	header      http.Header // sent with every request
	app         url.Values  // of the client, beside what interact and redeem post; nil: the public one's
}

// An answer is a response with its body decoded.
type answer struct {
	status int
	header http.Header
	body   string
	doc    map[string]any
}

var plain = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func begin(t testing.TB, e *stiletest.Engine) *wire {
	t.Helper()
	return beginWith(t, e, nil)
}

// beginWith sends the headers with every request.
func beginWith(t testing.TB, e *stiletest.Engine, header http.Header) *wire {
	t.Helper()
	w := &wire{t: t, e: e, verifier: rand.Text() + rand.Text(), header: header}
	return w.begun(w.interact(nil))
}

// begun goes on with what interact answered.
func (w *wire) begun(a answer) *wire {
	w.t.Helper()
	w.interaction, _ = a.doc["interaction_handle"].(string)
	first := w.post("introspect", map[string]any{"interactionHandle": w.interaction})
	w.state, _ = first.doc["stateHandle"].(string)
	if w.state == "" {
		w.t.Fatalf("no transaction: %d %s; %d %s", a.status, a.body, first.status, first.body)
	}
	return w
}

// interact posts valid parameters, with what change does to them.
func (w *wire) interact(change func(url.Values)) answer {
	w.t.Helper()
	sum := sha256.Sum256([]byte(w.verifier))
	v := url.Values{
		"client_id": {w.e.PublicClientID}, "scope": {"openid profile email offline_access"}, "redirect_uri": {w.e.RedirectURI},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"state": {"state-of-the-app"}, "nonce": {"n-0S6_WzA2Mj"},
	}
	maps.Copy(v, w.app)
	if change != nil {
		change(v)
	}
	return w.form(w.e.Issuer+"/v1/interact", v)
}

func (w *wire) form(target string, v url.Values) answer {
	w.t.Helper()
	return w.do("POST", target, "application/x-www-form-urlencoded", v.Encode())
}

// redeem posts the code as its rightful client does, with what change does to it.
func (w *wire) redeem(code string, change func(url.Values)) answer {
	w.t.Helper()
	v := url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {code}, "code_verifier": {w.verifier},
		"client_id": {w.e.PublicClientID}, "redirect_uri": {w.e.RedirectURI},
	}
	maps.Copy(v, w.app)
	if change != nil {
		change(v)
	}
	return w.form(w.e.Issuer+"/v1/token", v)
}

func (w *wire) userinfo(token string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.e.Issuer+"/v1/userinfo", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

func (w *wire) post(action string, body map[string]any) answer {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do("POST", w.e.URL+"/idp/idx/"+action, ionType, string(data))
}

// answer posts with the state handle.
func (w *wire) answer(action string, body map[string]any) answer {
	w.t.Helper()
	all := map[string]any{"stateHandle": w.state}
	for k, v := range body {
		all[k] = v
	}
	return w.post(action, all)
}

func (w *wire) introspect() answer {
	w.t.Helper()
	return w.post("introspect", map[string]any{"interactionHandle": w.interaction})
}

func (w *wire) do(method, target, contentType, body string) answer {
	w.t.Helper()
	r, err := w.request(w.t.Context(), method, target, contentType, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.send(r)
}

func (w *wire) request(ctx context.Context, method, target, contentType, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range w.header {
		r.Header[k] = v
	}
	if host := w.header.Get("Host"); host != "" {
		r.Host = host
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r, nil
}

func (w *wire) send(r *http.Request) answer {
	w.t.Helper()
	res, err := plain.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, res.Body); err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: b.String()}
	_ = json.Unmarshal(b.Bytes(), &a.doc) // pages and empty answers are no JSON
	for _, rule := range iontest.Broken(b.Bytes()) {
		w.t.Errorf("AUTH %s: %s: %s", rule, r.URL.Path, a.body)
	}
	return a
}

func profile(email string) map[string]any {
	return map[string]any{"userProfile": map[string]any{"firstName": "Vera", "lastName": "Victim", "email": email}}
}

func passcode(code string) map[string]any {
	return map[string]any{"credentials": map[string]any{"passcode": code}}
}

// enrolled walks a sign-up up to the code.
func (w *wire) enrolled(email string) answer {
	w.t.Helper()
	w.answer("enroll", nil)
	return w.answer("enroll/new", profile(email))
}

// signedUp walks a sign-up to its interaction code.
func (w *wire) signedUp(email string) answer {
	w.t.Helper()
	w.enrolled(email)
	w.answer("challenge/answer", passcode(w.e.Code(w.t, email)))
	a := w.answer("skip", nil)
	if a.code() == "" {
		w.t.Fatalf("sign-up of %s: %d %s", email, a.status, a.body)
	}
	return a
}

// tokens walks a sign-up to its tokens.
func (w *wire) tokens(email string) answer {
	w.t.Helper()
	a := w.redeem(w.signedUp(email).code(), nil)
	if a.status != 200 {
		w.t.Fatalf("tokens of %s: %d %s", email, a.status, a.body)
	}
	return a
}

func (a answer) str(path ...any) string { s, _ := a.at(path...).(string); return s }

// at follows a path of member names and list positions.
func (a answer) at(path ...any) any {
	var v any = a.doc
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (a answer) forms() []string {
	list, _ := a.at("remediation", "value").([]any)
	var out []string
	for _, f := range list {
		name, _ := f.(map[string]any)["name"].(string)
		out = append(out, name)
	}
	return out
}

func (a answer) has(form string) bool {
	for _, f := range a.forms() {
		if f == form {
			return true
		}
	}
	return false
}

// keys lists the i18n keys of the document in order.
func (a answer) keys() []string {
	var out []string
	for _, m := range i18nKey.FindAllStringSubmatch(a.body, -1) {
		out = append(out, m[1])
	}
	return out
}

var i18nKey = regexp.MustCompile(`"i18n":\{"key":"([^"]+)"`)

func (a answer) code() string {
	fields, _ := a.at("successWithInteractionCode", "value").([]any)
	for _, f := range fields {
		if m := f.(map[string]any); m["name"] == "interaction_code" {
			return m["value"].(string)
		}
	}
	return ""
}

// triesLeft is what the document says of the open challenge, -1 if nothing.
func (a answer) triesLeft() int {
	for _, o := range []string{"currentAuthenticator", "currentAuthenticatorEnrollment"} {
		if n, ok := a.at(o, "value", "contextualData", "stile", "triesLeft").(float64); ok {
			return int(n)
		}
	}
	return -1
}

func (a answer) wrong() bool { return a.status == 401 && strings.Contains(a.body, "PASSCODE_INVALID") }

// other returns a code that differs from all given ones, the nth of them.
func other(n int, codes ...string) string {
	for i := n * 7; ; i++ {
		c := strings.Repeat("0", 6) + itoa(i%1_000_000)
		c = c[len(c)-6:]
		free := true
		for _, taken := range codes {
			free = free && c != taken
		}
		if free {
			return c
		}
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }
