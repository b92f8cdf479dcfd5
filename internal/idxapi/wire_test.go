package idxapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/ion/iontest"
	"github.com/stile-id/stile/stiletest"
)

var update = flag.Bool("update", false, "rewrite the golden documents")

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	ionType  = "application/ion+json; okta-version=1.0.0"
)

// wire talks to an engine as a client would that knows nothing but HTTP.
type wire struct {
	*testing.T
	e           *stiletest.Engine
	interaction string
	state       string
}

// An answer is a response with its body decoded.
type answer struct {
	status int
	header http.Header
	body   []byte
	doc    map[string]any
}

func begin(t *testing.T, e *stiletest.Engine) *wire {
	t.Helper()
	w := &wire{T: t, e: e}
	w.interaction = w.interact(nil).doc["interaction_handle"].(string)
	first := w.post("introspect", map[string]any{"interactionHandle": w.interaction})
	w.state, _ = first.doc["stateHandle"].(string)
	return w
}

func (w *wire) form(path string, v url.Values) answer {
	w.Helper()
	return w.do("POST", w.e.Issuer+path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()), nil)
}

// interact posts valid parameters, with what change does to them.
func (w *wire) interact(change func(url.Values)) answer {
	w.Helper()
	v := w.parameters()
	if change != nil {
		change(v)
	}
	return w.form("/v1/interact", v)
}

func (w *wire) parameters() url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return url.Values{
		"client_id": {w.e.PublicClientID}, "scope": {"openid profile email"}, "redirect_uri": {w.e.RedirectURI},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"state": {"state-of-the-app"}, "nonce": {"n-0S6_WzA2Mj"},
	}
}

func (w *wire) post(action string, body map[string]any) answer {
	w.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	return w.do("POST", w.e.URL+"/idp/idx/"+action, ionType, bytes.NewReader(data), nil)
}

// answer posts with the state handle.
func (w *wire) answer(action string, body map[string]any) answer {
	w.Helper()
	if body == nil {
		body = map[string]any{}
	}
	body["stateHandle"] = w.state
	return w.post(action, body)
}

func (w *wire) do(method, target, contentType string, body io.Reader, header http.Header) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, target, body)
	if err != nil {
		w.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		w.Fatal(err)
	}
	_ = json.Unmarshal(a.body, &a.doc) // pages and empty answers are no JSON
	for _, rule := range iontest.Broken(a.body) {
		w.Errorf("AUTH %s: %s: %s", rule, target, a.body)
	}
	return a
}

func profile(email string) map[string]any {
	return map[string]any{"userProfile": map[string]any{"firstName": "John", "lastName": "Doe", "email": email}}
}

func passcode(code string) map[string]any {
	return map[string]any{"credentials": map[string]any{"passcode": code}}
}

// enrolled walks a sign-up up to the code.
func (w *wire) enrolled(email string) answer {
	w.Helper()
	w.answer("enroll", nil)
	return w.answer("enroll/new", profile(email))
}

// signedUp walks a sign-up to its interaction code.
func (w *wire) signedUp(email string) answer {
	w.Helper()
	w.enrolled(email)
	w.answer("challenge/answer", passcode(w.e.Code(w.T, email)))
	return w.answer("skip", nil)
}

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
		out = append(out, f.(map[string]any)["name"].(string))
	}
	return out
}

func (a answer) form(name string) map[string]any {
	list, _ := a.at("remediation", "value").([]any)
	for _, f := range list {
		if m := f.(map[string]any); m["name"] == name {
			return m
		}
	}
	return nil
}

// keys lists the i18n keys of the document, at the top and at fields, in order.
func (a answer) keys() []string {
	var out []string
	for _, m := range regexp.MustCompile(`"i18n":\{"key":"([^"]+)"`).FindAllSubmatch(a.body, -1) {
		out = append(out, string(m[1]))
	}
	return out
}

func (a answer) code() string {
	fields, _ := a.at("successWithInteractionCode", "value").([]any)
	for _, f := range fields {
		if m := f.(map[string]any); m["name"] == "interaction_code" {
			return m["value"].(string)
		}
	}
	return ""
}

func (w *wire) want(what string, a answer, status int, forms ...string) {
	w.Helper()
	if a.status != status {
		w.Errorf("%s: status %d, want %d: %s", what, a.status, status, a.body)
	}
	if diff := cmp.Diff(forms, a.forms()); diff != "" && (len(forms) > 0 || len(a.forms()) > 0) {
		w.Errorf("%s: forms\n%s", what, diff)
	}
}

func (w *wire) wantKeys(what string, a answer, status int, keys ...string) {
	w.Helper()
	if diff := cmp.Diff(keys, a.keys()); a.status != status || diff != "" && (len(keys) > 0 || len(a.keys()) > 0) {
		w.Errorf("%s: status %d, want %d; keys\n%s", what, a.status, status, diff)
	}
}

// volatile values of a document, and what stands for them in the golden files.
var volatile = []struct{ re, with string }{
	{`02\.id\.t[A-L][0-9A-Za-z]{22}\.[A-Za-z0-9_-]{43}`, "02.id.STATE"},
	{`ic\.t[A-L][0-9A-Za-z]{22}\.[A-Za-z0-9_-]{43}`, "ic.CODE"},
	{`00u[0-9A-Za-z]{22}`, "00uUSER"},
	{`0oa[0-9A-Za-z]{22}`, "0oaCLIENT"},
	{`(eae|lae|pfd|fwf|sms|uft|qae|rcv|chf)[0-9A-Za-z]{22}`, "${1}ENROLLMENT"},
	{`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`, "2026-11-22T21:00:00.000Z"},
	{`http://127\.0\.0\.1:[0-9]+`, "https://id.example.com"},
	{`"delivery":"(queued|sent)"`, `"delivery":"sent"`},
	{`"challenge":"[A-Za-z0-9_-]{43}"`, `"challenge":"CHALLENGE"`},
	{`data:image/png;base64,[A-Za-z0-9+/=]+`, "data:image/png;base64,PICTURE"},
	{`"sharedSecret":"[A-Z2-7]+"`, `"sharedSecret":"SECRET"`},
	{`"codes":\[[^]]+\]`, `"codes":["CODE"]`},
	{`/auth/push/link\?t=[^"]+`, "/auth/push/link?t=TOKEN"},
	{`"correctAnswer":"[0-9]+"`, `"correctAnswer":"42"`},
	{`"credentialId":"[A-Za-z0-9_-]+"`, `"credentialId":"KEY"`},
	{`"user":\{"displayName":"([^"]*)","id":"[A-Za-z0-9_-]+"`, `"user":{"displayName":"$1","id":"HANDLE"`},
}

func (w *wire) golden(name string, a answer) {
	w.Helper()
	text := string(a.body)
	for _, v := range volatile {
		text = regexp.MustCompile(v.re).ReplaceAllString(text, v.with)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		w.Fatalf("%s: %v: %s", name, err, a.body)
	}
	b.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			w.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		w.Errorf("%s differs; run make generate if that is meant:\n%s", file, diff)
	}
}
