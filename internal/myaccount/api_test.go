package myaccount_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

const old, next = "vera@example.com", "new@example.com"

var manage = []string{
	"openid", "profile", "email", "offline_access", "okta.myAccount.profile.manage", "okta.myAccount.email.manage",
	"okta.myAccount.password.manage", "okta.myAccount.sessions.manage",
}

// A person is signed in at an app, and has its access token.
type person struct {
	t     *testing.T
	e     *stiletest.Engine
	c     *idx.Client
	token string
}

func signUp(t *testing.T, e *stiletest.Engine, address string, scopes []string) *person {
	t.Helper()
	c, err := idx.New(idx.Config{Issuer: e.Issuer, ClientID: e.PublicClientID, RedirectURI: e.RedirectURI, Scopes: scopes, Now: e.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, e: e, c: c}
	tx, err := c.Register(t.Context(), idx.Profile{FirstName: "Vera", LastName: "Victim", Email: address})
	if err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: e.Code(t, address)})
	}
	if err == nil {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{Skip: true})
	}
	if err != nil || tx.Tokens == nil {
		t.Fatalf("sign-up: %v, %v", tx, err)
	}
	p.token = tx.Tokens.AccessToken.Value
	return p
}

// An answer is a response with its body decoded.
type answer struct {
	*http.Response
	text string
	doc  map[string]any
	list []map[string]any
}

func (p *person) do(method, path, body string, header ...string) answer {
	p.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = p.e.URL + path
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "*/*;okta-version=1.0.0")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a := answer{Response: res, text: string(data)}
	_ = json.Unmarshal(data, &a.doc)
	_ = json.Unmarshal(data, &a.list)
	return a
}

func (p *person) wants(a answer, status int) answer {
	p.t.Helper()
	if a.StatusCode != status {
		p.t.Fatalf("%s %s: %d, want %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.text)
	}
	return a
}

// at follows a path of names.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a answer) cause() any {
	causes, _ := a.doc["errorCauses"].([]any)
	if len(causes) == 0 {
		return nil
	}
	return at(causes[0], "errorSummary")
}

// ends checks that the person's token is of no use any more.
func (p *person) ends() {
	p.t.Helper()
	if got := p.do("GET", "/idp/myaccount/profile", "").StatusCode; got != http.StatusUnauthorized {
		p.t.Fatalf("the token is good still: %d", got)
	}
}

// again signs the person in anew by email.
func (p *person) again(address string) {
	p.t.Helper()
	p.e.Mails(p.t, address) // or a notice that is on its way would be newer than the code
	tx, err := p.c.Authenticate(p.t.Context(), idx.Credentials{Username: address})
	if err == nil {
		tx, err = p.c.Proceed(p.t.Context(), tx, idx.Input{VerificationCode: p.e.Code(p.t, address)})
	}
	if err != nil || tx.Tokens == nil {
		p.t.Fatalf("sign-in: %v, %v", tx, err)
	}
	p.token = tx.Tokens.AccessToken.Value
}

func TestAUTH_A68_ChangeOfAddress(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	list := p.wants(p.do("GET", "/idp/myaccount/emails", ""), 200).list
	if len(list) != 1 || list[0]["status"] != "VERIFIED" || at(list[0], "profile", "email") != old || at(list[0], "_links", "self", "href") == nil {
		t.Errorf("%v", list)
	}
	without := p.wants(p.do("POST", "/idp/myaccount/emails", `{"profile":{"email":"new@example.com"},"sendEmail":false,"role":"PRIMARY"}`), 201)
	if at(without.doc, "_links", "verify") != nil || at(without.doc, "_links", "challenge") == nil || len(e.Mails(t, next)) != 0 {
		t.Errorf("without a mail: %s", without.text)
	}
	a := p.wants(p.do("POST", "/idp/myaccount/emails", `{"profile":{"email":"new@example.com"},"sendEmail":true,"role":"PRIMARY","state":"s"}`), 201)
	verify, _ := at(a.doc, "_links", "verify", "href").(string)
	poll, _ := at(a.doc, "_links", "poll", "href").(string)
	if a.doc["status"] != "UNVERIFIED" || !strings.HasPrefix(verify, e.URL+"/idp/myaccount/emails/") || poll+"/verify" != verify {
		t.Fatalf("%s", a.text)
	}
	for _, method := range []string{"GET", "POST"} { // okta-auth-js's getEmailChallenge posts
		if got := p.wants(p.do(method, poll, ""), 200); got.doc["status"] != "UNVERIFIED" || got.doc["expiresAt"] == "" {
			t.Errorf("%s", got.text)
		}
	}
	wrong := p.wants(p.do("POST", verify, `{"verificationCode":"000000"}`), 401)
	if wrong.cause() != "User is not authorized." || wrong.Header.Get("WWW-Authenticate") != "" || wrong.doc["errorCode"] != "E0000004" {
		t.Errorf("AUTH §14.4: %s %v", wrong.text, wrong.Header)
	}
	challenge, _ := at(a.doc, "_links", "challenge", "href").(string)
	if again := p.wants(p.do("POST", challenge, ""), 201); again.doc["status"] != "UNVERIFIED" || at(again.doc, "_links", "verify", "href") != verify {
		t.Errorf("%s", again.text)
	}
	if got := p.wants(p.do("POST", verify, `{"verificationCode":"`+e.Code(t, next)+`"}`), 200); got.text != "" {
		t.Errorf("%q", got.text)
	}
	if got := p.wants(p.do("POST", poll, ""), 200); got.doc["status"] != "VERIFIED" {
		t.Errorf("%s", got.text)
	}
	// The token that acted is good still.
	list = p.wants(p.do("GET", "/idp/myaccount/emails", ""), 200).list
	if len(list) != 1 || at(list[0], "profile", "email") != next || list[0]["status"] != "VERIFIED" {
		t.Errorf("%v", list)
	}
	own := p.wants(p.do("POST", "/idp/myaccount/emails", `{"profile":{"email":"NEW@example.com"},"sendEmail":true,"role":"PRIMARY"}`), 200)
	if own.doc["status"] != "VERIFIED" {
		t.Errorf("%s", own.text)
	}
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"profile":{"email":"nothing"},"sendEmail":true,"role":"PRIMARY"}`:                                         {400, "E0000001"},
		`{"profile":{"email":"a@example.com"},"sendEmail":true,"role":"SECONDARY"}`:                                 {403, "E0000038"},
		`{"profile":{"email":"a@example.com"},"sendEmail":true,"role":"OTHER"}`:                                     {400, "E0000001"},
		`{"profile":{"email":"a@example.com","Email":"b@example.com"},"sendEmail":true,"role":"PRIMARY"}`:           {400, "E0000003"},
		`{"profile":{"email":"a@example.com"},"sendEmail":true,"role":"PRIMARY"`:                                    {400, "E0000003"},
		`{"profile":{"email":"` + strings.Repeat("a", 70_000) + `@example.com"},"sendEmail":true,"role":"PRIMARY"}`: {413, "E0000003"},
	} {
		if a := p.do("POST", "/idp/myaccount/emails", body); a.StatusCode != want.status || a.doc["errorCode"] != want.code {
			t.Errorf("%.90s: %d %s", body, a.StatusCode, a.text)
		}
	}
}

// The header as okta-auth-js takes it apart.
var challenge = regexp.MustCompile(`(?:,|, )?([a-zA-Z0-9!#$%&'*+\-.^_\x60|~]+)=(?:"([a-zA-Z0-9!#$%&'*+\-.,^_\x60|~ /:]+)"|([a-zA-Z0-9!#$%&'*+\-.^_\x60|~/:]+))`)

func TestAUTH_A65_A66_A67_StepUp(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.wants(p.do("POST", "/idp/myaccount/password", `{"profile":{"password":"correct horse battery"}}`), 201)
	for _, c := range []struct{ method, path, body, age string }{
		{"PUT", "/idp/myaccount/profile", `{"profile":{}}`, "900"},
		{"GET", "/idp/myaccount/data", "", "900"},
		{"POST", "/idp/myaccount/emails", `{"profile":{"email":"new@example.com"},"role":"PRIMARY"}`, "300"},
		{"PUT", "/idp/myaccount/password", `{"profile":{"password":"staple of the meadow"}}`, "300"},
		{"DELETE", "/idp/myaccount/password", "", "300"},
		{"POST", "/idp/myaccount/deletion", "", "300"},
	} {
		a := p.wants(p.do(c.method, c.path, c.body, "Origin", strings.TrimSuffix(e.RedirectURI, "/login/callback")), 403)
		got := map[string]string{}
		for _, m := range challenge.FindAllStringSubmatch(strings.TrimPrefix(a.Header.Get("WWW-Authenticate"), "Bearer "), -1) {
			got[m[1]] = m[2] + m[3]
		}
		if len(got) != 5 || got["error"] != "insufficient_authentication_context" || got["max_age"] != c.age || got["realm"] != "IdpMyAccountAPI" ||
			got["acr_values"] != "urn:okta:loa:2fa:any:ifpossible" || got["error_description"] != "The access token requires additional assurance to access the resource" {
			t.Errorf("%s %s: AUTH A-66: %v", c.method, c.path, got)
		}
		if !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "www-authenticate") {
			t.Errorf("AUTH A-67: %v", a.Header)
		}
	}
	exact := p.do("PUT", "/idp/myaccount/profile", `{"profile":{}}`).Header.Get("WWW-Authenticate")
	if exact != `Bearer realm="IdpMyAccountAPI", error="insufficient_authentication_context", error_description="The access token requires additional assurance to access the resource", max_age=900, acr_values="urn:okta:loa:2fa:any:ifpossible"` {
		t.Errorf("%s", exact)
	}
	// The current password is a proof of its own.
	wrong := p.wants(p.do("PUT", "/idp/myaccount/password", `{"profile":{"password":"staple of the meadow","currentPassword":"x"}}`), 403)
	if wrong.doc["errorCode"] != "E0000014" || wrong.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%s", wrong.text)
	}
	p.wants(p.do("PUT", "/idp/myaccount/password", `{"profile":{"password":"staple of the meadow","currentPassword":"correct horse battery"}}`), 200)
}

func TestAUTH_A67_Preflight(t *testing.T) {
	e := stiletest.Start(t)
	p := &person{t: t, e: e}
	for origin, status := range map[string]int{"http://localhost:8080": 204, "https://evil.example": 403} {
		for _, method := range []string{"PUT", "DELETE", "POST", "GET"} {
			a := p.wants(p.do("OPTIONS", "/idp/myaccount/profile", "", "Origin", origin, "Access-Control-Request-Method", method), status)
			if ok := strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), method); ok != (status == 204) {
				t.Errorf("%s %s: %v", origin, method, a.Header)
			}
		}
	}
}

func TestAUTH_A71_Scopes(t *testing.T) {
	e := stiletest.Start(t)
	reader := signUp(t, e, "reader@example.com", []string{"openid", "okta.myAccount.profile.read", "okta.myAccount.email.read"})
	for _, path := range []string{"/idp/myaccount/profile", "/idp/myaccount/profile/schema", "/idp/myaccount/emails", "/idp/myaccount/methods", "/idp/myaccount/deletion"} {
		reader.wants(reader.do("GET", path, ""), 200)
	}
	for _, c := range []string{
		"PUT /profile", "POST /emails", "GET /password", "PUT /password", "DELETE /sessions", "GET /devices", "DELETE /methods/x", "GET /data", "POST /deletion",
	} {
		method, path, _ := strings.Cut(c, " ")
		a := reader.wants(reader.do(method, "/idp/myaccount"+path, ""), 403)
		if a.doc["errorCode"] != "E0000006" || a.Header.Get("WWW-Authenticate") != `Bearer error="insufficient_scope"` {
			t.Errorf("%s: %s %v", c, a.text, a.Header)
		}
	}
	manager := signUp(t, e, "manager@example.com", manage)
	manager.wants(manager.do("GET", "/idp/myaccount/profile", ""), 200)
	for name, token := range map[string]string{"none": "", "not one": "x.y.z", "changed": manager.token[:len(manager.token)-2] + "AA"} {
		manager.token = token
		a := manager.wants(manager.do("GET", "/idp/myaccount/profile", ""), 401)
		if a.doc["errorCode"] != "E0000011" || a.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
			t.Errorf("%s: %s %v", name, a.text, a.Header)
		}
	}
	for path, status := range map[string]int{"/idp/myaccount/authenticators": 404, "/idp/myaccount/organization": 404, "/idp/myaccount": 404, "/idp/myaccount/sessions": 405} {
		manager.wants(manager.do("GET", path, ""), status)
	}
}

const withAge = `
profile:
- name: default
  signUp: open
  attributes:
  - {name: age, type: number, when: profile}
  - {name: tier, readOnly: true, when: profile}
`

func TestAUTH_A70_Profile(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withAge))
	p := signUp(t, e, old, manage)
	read := p.wants(p.do("GET", "/idp/myaccount/profile", ""), 200)
	profile, _ := read.doc["profile"].(map[string]any)
	put := func(change func(map[string]any)) answer {
		t.Helper()
		all := map[string]any{}
		for k, v := range profile {
			all[k] = v
		}
		change(all)
		body, err := json.Marshal(map[string]any{"profile": all, "id": "00uattacker", "status": "ACTIVE"})
		if err != nil {
			t.Fatal(err)
		}
		return p.do("PUT", "/idp/myaccount/profile", string(body))
	}
	bad := p.wants(put(func(v map[string]any) { v["age"] = "Thirty" }), 400)
	if bad.doc["errorCode"] != "E0000001" || bad.doc["errorSummary"] != "Api validation failed: forUpdate" || !strings.HasPrefix(bad.cause().(string), "age: ") {
		t.Errorf("%s", bad.text)
	}
	good := p.wants(put(func(v map[string]any) { v["age"] = 31; v["firstName"] = "Ada" }), 200)
	if !strings.Contains(good.text, `"age":31`) || at(good.doc, "profile", "firstName") != "Ada" || at(good.doc, "_links", "describedBy", "href") == nil {
		t.Errorf("%s", good.text)
	}
	p.wants(put(func(v map[string]any) { delete(v, "locale") }), 400)
	for name, value := range map[string]any{
		"id": "00uattacker", "status": "ACTIVE", "groups": []string{"admins"}, "emailVerified": true, "email": "evil@example.com", "login": nil,
		"tier": "gold", "lastName": map[string]any{"a": 1}, "created": "2020-01-01", "__proto__": "x",
	} {
		if a := put(func(v map[string]any) { v[name] = value }); a.StatusCode != 400 || !strings.HasPrefix(a.cause().(string), name+": ") {
			t.Errorf("SEC S-40, %s: %d %s", name, a.StatusCode, a.text)
		}
	}
	schema := p.wants(p.do("GET", "/idp/myaccount/profile/schema", ""), 200)
	if at(schema.doc, "properties", "age", "type") != "number" || at(schema.doc, "properties", "email", "permissions", "SELF") != "READ_ONLY" ||
		at(schema.doc, "properties", "firstName", "permissions", "SELF") != "READ_WRITE" || at(schema.doc, "properties", "tier", "permissions", "SELF") != "READ_ONLY" {
		t.Errorf("%s", schema.text)
	}
}

// The extension (docs/account.md).
func TestUX_P7_2_Extension(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	other := *p
	other.again(old)
	password := p.wants(p.do("GET", "/idp/myaccount/password", ""), 200)
	if password.doc["status"] != "NOT_ENROLLED" || at(password.doc, "_links", "enroll", "href") != e.URL+"/idp/myaccount/password" {
		t.Errorf("%s", password.text)
	}
	weak := p.wants(p.do("POST", "/idp/myaccount/password", `{"profile":{"password":"short"}}`), 400)
	if weak.doc["errorCode"] != "E0000001" || weak.cause() == nil {
		t.Errorf("%s", weak.text)
	}
	devices := p.wants(p.do("GET", "/idp/myaccount/devices", ""), 200).list
	if len(devices) != 2 || devices[0]["current"] != true || devices[1]["current"] != false {
		t.Fatalf("%v", devices)
	}
	p.wants(p.do("DELETE", "/idp/myaccount/devices/"+devices[1]["id"].(string), ""), 204)
	other.ends() // SEC S-104
	p.wants(p.do("DELETE", "/idp/myaccount/devices/nothing", ""), 404)

	p.wants(p.do("POST", "/idp/myaccount/password", `{"profile":{"password":"correct horse battery"}}`), 201)
	if again := p.do("POST", "/idp/myaccount/password", `{"profile":{"password":"correct horse battery"}}`); again.StatusCode != 409 || again.doc["errorCode"] != "E0000157" {
		t.Errorf("%d %s", again.StatusCode, again.text)
	}
	methods := p.wants(p.do("GET", "/idp/myaccount/methods", ""), 200).list
	if len(methods) != 3 || methods[2]["key"] != "okta_verify" || methods[0]["kept"] != "email" || methods[0]["removable"] != false || methods[1]["removable"] != true {
		t.Fatalf("%v", methods)
	}
	kept := p.wants(p.do("DELETE", "/idp/myaccount/methods/"+methods[0]["id"].(string), ""), 403)
	if kept.doc["errorCode"] != "E0000038" || !strings.Contains(kept.cause().(string), "cannot be removed") {
		t.Errorf("%s", kept.text)
	}
	fresh := signUp(t, e, "second@example.com", manage)
	when := fresh.wants(fresh.do("POST", "/idp/myaccount/deletion", ""), 200)
	if when.doc["status"] != "SCHEDULED" || when.doc["deleteAt"] == "" {
		t.Errorf("%s", when.text)
	}
	fresh.wants(fresh.do("DELETE", "/idp/myaccount/deletion", ""), 204)
	if got := fresh.wants(fresh.do("GET", "/idp/myaccount/deletion", ""), 200); got.doc["status"] != "NONE" || got.doc["waitSeconds"] != 604800.0 {
		t.Errorf("%s", got.text)
	}
	data := fresh.wants(fresh.do("GET", "/idp/myaccount/data", ""), 200)
	if at(data.doc, "user", "email") != "second@example.com" || !strings.Contains(data.Header.Get("Content-Disposition"), "attachment") || strings.Contains(data.text, old) {
		t.Errorf("%s", data.text)
	}
	fresh.wants(fresh.do("DELETE", "/idp/myaccount/sessions", ""), 204)
	fresh.wants(fresh.do("GET", "/idp/myaccount/profile", ""), 401)
}

// A page asks whether the proof is new enough before it shows a form.
func TestUX_P7_3_Proof(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.wants(p.do("GET", "/idp/myaccount/proof?max_age=300", ""), 204)
	e.Clock.Advance(6 * time.Minute)
	stale := p.wants(p.do("GET", "/idp/myaccount/proof?max_age=300", ""), 403)
	if got := stale.Header.Get("WWW-Authenticate"); !strings.Contains(got, "max_age=300") {
		t.Errorf("challenge %q", got)
	}
	p.wants(p.do("GET", "/idp/myaccount/proof?max_age=900", ""), 204)
	for _, age := range []string{"", "0", "-1", "x", "86401"} {
		p.wants(p.do("GET", "/idp/myaccount/proof?max_age="+age, ""), 400)
	}
	// A password that was added just now was not shown yet.
	p.again(old)
	p.wants(p.do("POST", "/idp/myaccount/password", `{"profile":{"password":"correct horse battery"}}`), 201)
	p.wants(p.do("GET", "/idp/myaccount/proof?max_age=300", ""), 403)
}

// Until the day it shows, and the person signs in as ever.
func TestUX_P7_5_SignInBeforeTheDay(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, manage)
	p.wants(p.do("POST", "/idp/myaccount/deletion", ""), 200)
	e.Clock.Advance(7*24*time.Hour - 30*time.Minute)
	p.again(old)
	if got := p.wants(p.do("GET", "/idp/myaccount/deletion", ""), 200); got.doc["status"] != "SCHEDULED" {
		t.Errorf("%s", got.text)
	}
}
