package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/store"
)

// operate asks the management API as the data folder's socket would.
func (e *engine) operate(tb testing.TB, method, path, body string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.AdminHandler().ServeHTTP(w, r)
	return w
}

// must is operate where the answer is good, decoded.
func (e *engine) must(tb testing.TB, method, path, body string) map[string]any {
	tb.Helper()
	w := e.operate(tb, method, path, body)
	out := map[string]any{}
	if w.Code >= 300 {
		tb.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			tb.Fatalf("%s %s: %v\n%s", method, path, err, w.Body)
		}
	}
	return out
}

// app registers an app with a page for every ticket.
func (e *engine) app(tb testing.TB) {
	tb.Helper()
	e.must(tb, "POST", "/apps", `{"label":"Acme Pages","credentials":{"oauthClient":{"client_id":"pages","token_endpoint_auth_method":"none"}},
		"settings":{"oauthClient":{"redirect_uris":["http://localhost:8080/cb"],"grant_types":["implicit","authorization_code","interaction_code","refresh_token"]},
		"stile":{"activationUri":"https://app.example/register","recoveryUri":"https://app.example/recover?x=1"}}}`)
}

// What an app was given before it was switched off does not come back with it.
func TestSEC_S104_SwitchedOffAndOn(t *testing.T) {
	e := start(t)
	tokens, err := e.signUp(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	good := func() bool {
		_, err := e.OAuth.CheckAccessToken(t.Context(), fmt.Sprint(tokens["access_token"]), "openid")
		return err == nil
	}
	if !good() {
		t.Error("not good to begin with")
	}
	for _, verb := range []string{"deactivate", "activate"} {
		if e.must(t, "POST", "/apps/"+e.client+"/lifecycle/"+verb, ""); good() {
			t.Errorf("good after %s", verb)
		}
	}
}

// Nothing of the management API is on the public listener, nor may a page in a
// browser reach it where it is.
func TestSEC_S129_NotOnThePublicListener(t *testing.T) {
	e := start(t)
	for _, path := range []string{"/api/v1/users", "/api/v1/users/x", "/api/v1/apps", "/api/v1/groups", "/api/v1/stile/org", "/api/v1/users/x/factors"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			data, err := e.do(method, path, "application/json", "")
			if err == nil || !strings.Contains(err.Error(), ": 404 ") || !strings.Contains(err.Error(), "E0000007") {
				t.Errorf("%s %s: %s %v", method, path, data, err)
			}
		}
		for _, header := range [][]string{{"Origin", e.url}, {"Origin", "null"}, {"Sec-Fetch-Site", "same-origin"}} {
			if w := e.operate(t, "GET", path, "", header...); w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s with %v: %d %v", path, header, w.Code, w.Header())
			}
		}
	}
}

// An operator's ticket begins at its step, in the SDK's word for it; the mailed
// link leads over the engine to the app's registered page.
func TestIDX_S3_8_TicketsOfOperators(t *testing.T) {
	e := start(t)
	e.app(t)
	interact := func(parameter, token string) error {
		_, err := e.form("/oauth2/default/v1/interact", url.Values{
			"client_id": {"pages"}, "scope": {"openid"}, "redirect_uri": {"http://localhost:8080/cb"}, "state": {"s"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"}, parameter: {token},
		})
		return err
	}
	visit := func(link string) (status int, location string) {
		c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := c.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode, res.Header.Get("Location")
	}

	u := e.must(t, "POST", "/users?activate=true&returnToken=true", `{"profile":{"firstName":"Bob","login":"bob@example.com","email":"bob@example.com"}}`)
	first := u["_embedded"].(map[string]any)["activation"].(map[string]any)
	m, err := e.Inbox.Wait(t.Context(), "bob@example.com", "")
	if err != nil || m.Link != first["activationUrl"] || len(m.Link) > 200 || !strings.HasPrefix(m.Link, e.url+"/t/") || !strings.Contains(m.Subject, "Acme Pages") {
		t.Errorf("%v %q %q", err, m.Subject, m.Link)
	}
	for range 2 { // opening it changes nothing (SEC S-14)
		status, to := visit(m.Link)
		if want := "https://app.example/register?activationToken=" + first["activationToken"].(string); status != http.StatusFound || to != want {
			t.Errorf("%d %s, want %s", status, to, want)
		}
	}
	if err := interact("activation_token", first["activationToken"].(string)); err != nil {
		t.Error(err)
	}
	if err := interact("recovery_token", first["activationToken"].(string)); err == nil {
		t.Error("an activation token recovers")
	}
	again := e.must(t, "POST", "/users/bob@example.com/lifecycle/reactivate?sendEmail=false", "")
	if err := interact("activation_token", first["activationToken"].(string)); err == nil {
		t.Error("the ticket before is still good")
	}
	if status, to := visit(m.Link); status != http.StatusBadRequest || to != "" {
		t.Errorf("a dead ticket leads on: %d %s", status, to)
	}
	if err := interact("activation_token", again["activationToken"].(string)); err != nil {
		t.Error(err)
	}
	if status, _ := visit(e.url + "/t/tknone.x"); status != http.StatusBadRequest {
		t.Errorf("no ticket: %d", status)
	}

	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	reset := e.must(t, "POST", "/users/ada@example.com/lifecycle/reset_password?sendEmail=true&returnToken=true", "")
	if err := interact("recovery_token", reset["recoveryToken"].(string)); err != nil {
		t.Error(err)
	}
	if status, to := visit(reset["resetPasswordUrl"].(string)); status != http.StatusFound || !strings.HasPrefix(to, "https://app.example/recover?x=1&recoveryToken=tk") {
		t.Errorf("%d %s", status, to)
	}
	if answer := e.must(t, "POST", "/users/ada@example.com/lifecycle/reset_password", ""); len(answer) != 0 {
		t.Errorf("a mailed token is in the answer as well: %v", answer)
	}
	e.must(t, "POST", "/users/ada@example.com/lifecycle/suspend", "")
	if err := interact("recovery_token", reset["recoveryToken"].(string)); err == nil {
		t.Error("a disabled person recovers")
	}
}

// Whoever is disabled is out at once: tokens, refresh tokens, transactions.
func TestSEC_S104_DisabledIsOut(t *testing.T) {
	for name, verb := range map[string]string{"suspend": "POST /lifecycle/suspend", "deactivate": "POST /lifecycle/deactivate", "delete": "DELETE ", "end sessions": "DELETE /sessions?oauthTokens=true"} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			tokens, err := e.signUp(t.Context(), "ada@example.com")
			if err != nil {
				t.Fatal(err)
			}
			userinfo := func() int {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", e.url+"/oauth2/default/v1/userinfo", nil)
				r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
				res, err := e.http.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				return res.StatusCode
			}
			if got := userinfo(); got != http.StatusOK {
				t.Fatalf("userinfo: %d", got)
			}
			method, path, _ := strings.Cut(verb, " ")
			if w := e.operate(t, method, "/users/ada@example.com"+path, ""); w.Code >= 300 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got := userinfo(); got != http.StatusUnauthorized {
				t.Fatalf("the access token still counts: %d", got)
			}
		})
	}
}

// Two steps to delete somebody, and each of what operators do is in the audit log.
func TestMGMT_M10_M29_LifeCycle(t *testing.T) {
	e := start(t)
	u := e.must(t, "POST", "/users?activate=false", `{"profile":{"login":"bob@example.com","email":"bob@example.com"}}`)
	id := u["id"].(string)
	if u["status"] != "STAGED" {
		t.Errorf("%v", u["status"])
	}
	if w := e.operate(t, "POST", "/users", `{"profile":{"email":"x@example.com"},"credentials":{"password":{"value":"S3cret-chosen"}}}`); w.Code != 400 || !strings.Contains(w.Body.String(), "E0000001") {
		t.Errorf("SEC_S62: an operator picks a password: %d %s", w.Code, w.Body)
	}
	e.must(t, "PUT", "/users/"+id, `{"id":"other","status":"ACTIVE","profile":{"firstName":"Bob","lastName":null,"login":"bob@example.com","email":"bob@example.com"},"credentials":{"password":{},"emails":[{"value":"bob@example.com","status":"VERIFIED"}]}}`)
	if u = e.must(t, "GET", "/users/BOB@example.com", ""); u["status"] != "STAGED" || u["id"] != id || u["profile"].(map[string]any)["firstName"] != "Bob" || strings.Contains(fmt.Sprint(u), `VERIFIED]`) && !strings.Contains(fmt.Sprint(u), "UNVERIFIED") {
		t.Errorf("SEC_S40: read-only members were written: %v", u)
	}
	g := e.must(t, "POST", "/groups", `{"profile":{"name":"Staff"}}`)
	gid := g["id"].(string)
	e.must(t, "PUT", "/groups/"+gid+"/users/"+id, "")
	e.must(t, "PUT", "/groups/"+gid+"/users/"+id, "")
	if w := e.operate(t, "GET", "/groups?q=every", ""); !strings.HasPrefix(w.Body.String(), `[{"id":"everyone","type":"BUILT_IN"`) {
		t.Errorf("MGMT_M11: %s", w.Body)
	}
	e.must(t, "DELETE", "/groups/"+gid, "")
	if w := e.operate(t, "POST", "/users/"+id+"/lifecycle/suspend", ""); w.Code != 403 || !strings.Contains(w.Body.String(), "E0000038") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	e.must(t, "DELETE", "/users/"+id, "")
	if u := e.must(t, "GET", "/users/"+id, ""); u["status"] != "DEPROVISIONED" {
		t.Errorf("after the first DELETE: %v", u)
	}
	if w := e.operate(t, "GET", "/users?q=bob@example.com", ""); w.Body.String() != "[]\n" {
		t.Errorf("the search still finds who is deactivated: %s", w.Body)
	}
	e.must(t, "DELETE", "/users/"+id, "")
	if w := e.operate(t, "GET", "/users/"+id, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"errorCauses":[]`) {
		t.Errorf("after the second: %d %s", w.Code, w.Body)
	}
	var got []string
	rows, err := e.Store.AuditRows(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		for _, ev := range r.Events {
			if ev.Target == id || ev.Target == gid {
				got = append(got, ev.Type)
			}
			if ev.Outcome != audit.Success || strings.Contains(fmt.Sprint(ev), "bob@") {
				t.Errorf("%+v", ev)
			}
		}
	}
	want := "user.lifecycle.create user.account.update_profile group.lifecycle.create group.user_membership.add group.user_membership.remove " +
		"group.lifecycle.delete user.lifecycle.deactivate user.lifecycle.delete.completed"
	if strings.Join(got, " ") != want {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

// A page of users ends with a link of its own line to the next (MGMT M03).
func TestMGMT_M03_Pages(t *testing.T) {
	e := start(t)
	for i := range 5 {
		e.must(t, "POST", "/users?activate=false", fmt.Sprintf(`{"profile":{"login":"u%d@example.com"}}`, i))
	}
	seen, path := 0, "/users?limit=2"
	for path != "" {
		w := e.operate(t, "GET", path, "")
		var page []any
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		seen += len(page)
		path = ""
		for _, l := range w.Header().Values("Link") {
			if strings.HasSuffix(l, `>; rel="next"`) {
				path = strings.TrimPrefix(strings.TrimSuffix(l, `>; rel="next"`), "<"+e.url+"/api/v1")
			}
		}
	}
	if seen != 5 {
		t.Errorf("%d of 5 users on the pages", seen)
	}
	for query, n := range map[string]int{
		`filter=profile.login+eq+"u1@example.com"`: 1, `search=profile.email+sw+"u"+and+status+eq+"STAGED"`: 5, `filter=status+eq+"ACTIVE"`: 0, `q=U3`: 1,
	} {
		var page []any
		w := e.operate(t, "GET", "/users?"+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page) != n {
			t.Errorf("%s: %v %d of %d: %s", query, err, len(page), n, w.Body)
		}
	}
	if w := e.operate(t, "GET", `/users?filter=nonsense`, ""); w.Code != 400 || !strings.Contains(w.Body.String(), "E0000031") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The document is written over the state that was seen, or not at all; what it
// says of origins and of the brand holds at once.
func TestOrgDocument(t *testing.T) {
	e := start(t)
	body := `{"version":1,"brand":{"name":"Acme Brand","logo":"https://acme.example/l.png","color":"#225588"},"trustedOrigins":["https://www.acme.example"],
		"apps":[{"id":"plain","type":"public","redirectUris":["http://localhost:8080/cb"]}]}`
	tag := e.operate(t, "GET", "/stile/org", "").Header().Get("ETag")
	if w := e.operate(t, "PUT", "/stile/org", body); w.Code != http.StatusPreconditionFailed {
		t.Errorf("without If-Match: %d", w.Code)
	}
	if w := e.operate(t, "PUT", "/stile/org", `{"secret":1}`, "If-Match", tag); w.Code != http.StatusBadRequest {
		t.Errorf("an unknown member: %d", w.Code)
	}
	e.must(t, "POST", "/groups", `{"profile":{"name":"In the meantime"}}`)
	if w := e.operate(t, "PUT", "/stile/org", body, "If-Match", tag); w.Code != http.StatusPreconditionFailed {
		t.Errorf("over a state that was not seen: %d", w.Code)
	}
	tag = e.operate(t, "PUT", "/stile/org?dryRun=true", body).Header().Get("ETag")
	preflight := func() int {
		r, _ := http.NewRequestWithContext(t.Context(), "OPTIONS", e.url+"/oauth2/default/v1/token", nil)
		r.Header.Set("Origin", "https://www.acme.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		res, err := e.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if got := preflight(); got != http.StatusForbidden {
		t.Errorf("an origin is trusted after a dry run: %d", got)
	}
	if w := e.operate(t, "PUT", "/stile/org", body, "If-Match", tag); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := preflight(); got != http.StatusNoContent {
		t.Errorf("SEC_S70: the organisation's origin is not trusted: %d", got)
	}
	e.client = "plain"
	if _, err := e.enrolled("ada@example.com"); err != nil {
		t.Fatal(err)
	}
	m, err := e.Inbox.Wait(t.Context(), "ada@example.com", "")
	if err != nil || !strings.Contains(m.Subject+m.From, "Acme Brand") || !strings.Contains(m.HTML, "https://acme.example/l.png") || !strings.Contains(strings.ToLower(m.HTML), "#225588") {
		t.Errorf("the brand is not in the mail: %v %q %q", err, m.From, m.Subject)
	}
	data, err := e.do("GET", "/t/none", "", "")
	if err == nil || !strings.Contains(err.Error(), "Acme Brand") {
		t.Errorf("the brand is not on the engine's page: %s %v", data, err)
	}
}

func TestOperatorsNeedADataFolder(t *testing.T) {
	dir := t.TempDir() + "/none"
	if _, err := app.OpenOperators(context.Background(), config.Data{Data: dir}); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()) && !strings.Contains(err.Error(), "there is no database") {
		t.Error(err)
	}
}

// A way to sign in is dropped with everything that it opened, and its owner is told.
func TestSEC_S104_UX_M9_MethodDropped(t *testing.T) {
	e := start(t)
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	id := e.must(t, "GET", "/users/ada@example.com", "")["id"].(string)
	en := directory.Enrollment{ID: "lae1", UserID: id, Version: 1, Authenticator: "okta_password", Credential: []byte{1}, CreatedAt: time.Now()}
	if err := e.Store.InTx(t.Context(), store.Durable, func(tx store.Tx) error { return tx.InsertEnrollment(en) }); err != nil {
		t.Fatal(err)
	}
	if w := e.operate(t, "GET", "/users/"+id+"/factors", ""); !strings.Contains(w.Body.String(), `"factorType":"password"`) || strings.Contains(w.Body.String(), "redential") {
		t.Errorf("SEC_S133: %s", w.Body)
	}
	if w := e.operate(t, "DELETE", "/users/"+id+"/factors/okta_email", ""); w.Code != http.StatusForbidden {
		t.Errorf("the address was dropped: %d", w.Code)
	}
	before := e.Inbox.Messages("ada@example.com")[0].ID
	e.must(t, "DELETE", "/users/"+id+"/factors/lae1", "")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m, err := e.Inbox.Wait(ctx, "ada@example.com", before)
	if err != nil || !strings.Contains(strings.ToLower(m.Subject+m.Text), "password") {
		t.Errorf("%v %q", err, m.Subject)
	}
	a, err := e.Store.Account(t.Context(), id)
	if err != nil || len(a.Enrollments) != 1 || a.SignedOutAt.IsZero() {
		t.Errorf("%+v %v", a, err)
	}
	if families, err := e.Store.RefreshFamilies(t.Context(), id); err != nil || len(families) != 0 {
		t.Errorf("%v %v", families, err)
	}
}

// A token that an operator hands out is a way to sign in, is told of, and is
// replaced by the next one (AUTH §6).
func TestIDX_A44_MGMT_TokenHandedOut(t *testing.T) {
	e := start(t)
	tag := e.operate(t, "PUT", "/stile/org?dryRun=true", `{"version":1}`).Header().Get("ETag")
	org := `{"version":1,"enrollment":[{"name":"default","authenticators":[{"key":"okta_email","need":"required"},{"key":"okta_password","need":"optional"},{"key":"custom_otp","need":"optional"}]}]}`
	if w := e.operate(t, "PUT", "/stile/org", org, "If-Match", tag); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil { // who is not asked to give themselves one
		t.Fatal(err)
	}
	id := e.must(t, "GET", "/users/ada@example.com", "")["id"].(string)
	for _, bad := range []string{
		`{"factorType":"token:software:totp","provider":"OKTA"}`,
		`{"factorType":"token:hotp","provider":"CUSTOM","profile":{"sharedSecret":"short"}}`,
		`{"factorType":"token:hotp","provider":"CUSTOM","profile":{"sharedSecret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ","counter":-1}}`,
	} {
		if w := e.operate(t, "POST", "/users/"+id+"/factors", bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
	secret := oath.NewSecret()
	before := e.Inbox.Messages("ada@example.com")[0].ID
	first := e.must(t, "POST", "/users/"+id+"/factors", `{"factorType":"token:hotp","provider":"CUSTOM","profile":{"sharedSecret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}`)
	given := e.must(t, "POST", "/users/ada@example.com/factors",
		`{"factorType":"token:hotp","provider":"CUSTOM","profile":{"sharedSecret":"`+secret.String()+`","counter":7}}`)
	if given["provider"] != "CUSTOM" || given["factorType"] != "token:hotp" || given["id"] == first["id"] {
		t.Errorf("%v, after %v", given, first)
	}
	if a, err := e.Store.Account(t.Context(), id); err != nil || len(a.Enrollments) != 2 || a.Enrollments[1].ID != given["id"] {
		t.Errorf("the second token is beside the first: %v %+v", err, a.Enrollments)
	}
	if m, err := e.Inbox.Wait(t.Context(), "ada@example.com", before); err != nil || !strings.Contains(m.Subject, "A token for one-time codes was added") {
		t.Errorf("the person is not told: %v %q", err, m.Subject)
	}
	if w := e.operate(t, "GET", "/users/"+id+"/factors", ""); strings.Contains(w.Body.String(), secret.String()) {
		t.Errorf("SEC_S133: %s", w.Body)
	}

	handle := e.signingIn(t, "ada@example.com")
	ask := func(code string) string {
		t.Helper()
		doc, err := e.idx("challenge/answer", `{"stateHandle":"`+handle+`","credentials":{"passcode":"`+code+`"}}`)
		if err != nil {
			return err.Error()
		}
		return string(doc)
	}
	if _, err := e.idx("challenge", `{"stateHandle":"`+handle+`","authenticator":{"id":"aut1customotp000000"}}`); err != nil {
		t.Fatal(err)
	}
	if got := ask(secret.Code(3)); !strings.Contains(got, "PASSCODE_INVALID") {
		t.Errorf("a code of before: %s", got)
	}
	if got := ask(secret.Code(9)); !strings.Contains(got, "interaction_code") {
		t.Errorf("the right one: %s", got)
	}
}

// SEL-6: whoever an operator made, with an address that is vouched for, is not asked
// to enrol it.
func TestAUTH_A78_TheAddressOfAnOperatorCounts(t *testing.T) {
	e := start(t)
	e.must(t, "POST", "/users?activate=true&emailVerified=true", `{"profile":{"firstName":"Ada","lastName":"L","email":"ada@example.com","login":"ada@example.com"}}`)
	handle := e.signingIn(t, "ada@example.com")
	code, err := e.code(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code))
	if err != nil || interactionCode.Find(doc) == nil || strings.Contains(string(doc), "select-authenticator-enroll") {
		t.Errorf("%s, %v", doc, err)
	}
}
