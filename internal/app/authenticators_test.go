package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
)

// startWith is an engine whose organisation offers authenticators, beside the email.
func startWith(t *testing.T, database string, keys ...string) *engine {
	t.Helper()
	org := "enrollment: [{name: default, authenticators: [{key: okta_email, need: required}"
	for _, key := range keys {
		org += ", {key: " + key + ", need: optional}"
	}
	file, err := orgfile.Parse([]byte(org + "]}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := startNode(t, app.Config{
		Dir: t.TempDir(), Database: database, Limits: flow.DevelopmentLimits(), Overlay: func(o *policy.Org) { *o = file.Org },
	})
	e.register(t)
	return e
}

// choosing signs somebody up as far as the list, and chooses from it.
func (e *engine) choosing(t *testing.T, address, id string) (handle string, doc []byte) {
	t.Helper()
	h, err := e.enrolled(address)
	if err == nil {
		var code string
		if code, err = e.code(t.Context(), address); err == nil {
			_, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
		}
	}
	if err == nil {
		doc, err = e.idx("credential/enroll", fmt.Sprintf(`{"stateHandle":%q,"authenticator":{"id":%q}}`, h, id))
	}
	if err != nil {
		t.Fatal(err)
	}
	return h, doc
}

// answers gives the same answer in all of the transactions at once, and counts the
// ones that went through.
func (e *engine) answers(t *testing.T, handles []string, passcode string) (through int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := make(chan struct{})
	for _, h := range handles {
		all.Go(func() {
			<-begin
			doc, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, passcode))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && strings.Contains(string(doc), "interaction_code"):
				through++
			case err == nil || !strings.Contains(err.Error(), " 401 "):
				t.Errorf("neither through nor wrong: %s %v", doc, err)
			}
		})
	}
	close(begin)
	all.Wait()
	return through
}

// asked begins sign-ins that are at the question of an authenticator.
func (e *engine) asked(t *testing.T, address, id string, n int) []string {
	t.Helper()
	var handles []string
	for range n {
		h := e.signingIn(t, address)
		if _, err := e.idx("challenge", fmt.Sprintf(`{"stateHandle":%q,"authenticator":{"id":%q}}`, h, id)); err != nil {
			t.Fatal(err)
		}
		handles = append(handles, h)
	}
	return handles
}

// Of one code given in many transactions at the same time, one is accepted.
func TestSEC_S52_ACodeOfAnAppOnceInParallel(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		const id, address = "aut1googleotp000000", "ada@example.com"
		e := startWith(t, database, "google_otp")
		h, doc := e.choosing(t, address, id)
		var shown struct {
			CurrentAuthenticator struct {
				Value struct {
					ContextualData struct {
						SharedSecret string `json:"sharedSecret"`
					} `json:"contextualData"`
				} `json:"value"`
			} `json:"currentAuthenticator"`
		}
		if err := json.Unmarshal(doc, &shown); err != nil {
			t.Fatal(err)
		}
		secret, err := oath.ParseSecret(shown.CurrentAuthenticator.Value.ContextualData.SharedSecret)
		if err != nil {
			t.Fatal(err)
		}
		step := oath.StepOf(time.Now())
		if n := e.answers(t, []string{h}, secret.Code(step-1)); n != 1 {
			t.Fatal("the app is not enrolled")
		}
		if n := e.answers(t, e.asked(t, address, id, 50), secret.Code(oath.StepOf(time.Now())+1)); n != 1 {
			t.Errorf("the code went through %d times", n)
		}
	})
}

// Of one access code given in many transactions at the same time, one is accepted, and no second code of an
// operator's leaves the first one good.
func TestAUTH_A43_AnAccessCodeOnceInParallel(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		const id, address = "aut1tac0000000000000", "ada@example.com"
		e := startWith(t, database, "okta_password", "tac")
		if _, err := e.signUp(t.Context(), address); err != nil { // who is not asked to give themselves one
			t.Fatal(err)
		}
		issue := func() string {
			made := e.must(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", `{"profile":{"multiUse":false,"ttl":"30"}}`)
			profile, _ := made["profile"].(map[string]any)
			code, _ := profile["tac"].(string)
			ends, err := time.Parse(time.RFC3339, fmt.Sprint(profile["expiresAt"]))
			if left := time.Until(ends); err != nil || len(code) != 19 || left < 25*time.Minute || left > 31*time.Minute {
				t.Fatalf("%v: %v", made, err)
			}
			return code
		}
		first := issue()
		second := issue()
		if n := e.answers(t, e.asked(t, address, id, 3), first); n != 0 {
			t.Error("the first one is good beside the second")
		}
		if n := e.answers(t, e.asked(t, address, id, 50), second); n != 1 {
			t.Errorf("the code went through %d times", n)
		}
		if err := e.MailSettled(t.Context()); err != nil {
			t.Fatal(err)
		}
		mails := e.Inbox.Messages(address)
		for _, m := range mails {
			for _, code := range []string{first, second} {
				if text := m.Subject + m.Text + m.HTML; strings.Contains(text, code) || strings.Contains(text, strings.ReplaceAll(code, "-", "")) {
					t.Errorf("the code is in the mail %q", m.Subject)
				}
			}
		}
		if !slices.ContainsFunc(mails, func(m mail.InboxMessage) bool {
			return strings.Contains(m.Subject, "A temporary access code was added")
		}) {
			t.Error("the person is not told")
		}
		for _, bad := range []string{`{"profile":{"ttl":"9"}}`, `{"profile":{"ttl":"14401"}}`, `{"profile":{"ttl":"soon"}}`} {
			if w := e.operate(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", bad); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", bad, w.Code, w.Body)
			}
		}
	})
}

// shownBy signs somebody in whose browser has no session, by one authenticator, and
// tells whether their own account takes that for proof: http.StatusOK, or 403.
func (e *engine) shownBy(t *testing.T, address, id string, passcode func() string) int {
	t.Helper()
	started, err := e.form("/oauth2/default/v1/interact", url.Values{
		"client_id": {e.client}, "scope": {"openid okta.myAccount.profile.manage"}, "redirect_uri": {"http://localhost:8080/cb"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := e.idx("introspect", fmt.Sprintf(`{"interactionHandle":%q}`, started["interaction_handle"]))
	if err != nil {
		t.Fatal(err)
	}
	h := string(stateHandle.FindSubmatch(doc)[1])
	for _, step := range []struct{ action, body string }{
		{"identify", fmt.Sprintf(`{"stateHandle":%q,"identifier":%q}`, h, address)},
		{"challenge", fmt.Sprintf(`{"stateHandle":%q,"authenticator":{"id":%q}}`, h, id)},
		{"challenge/answer", ""},
	} {
		if step.body == "" {
			step.body = fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, passcode())
		}
		if doc, err = e.idx(step.action, step.body); err != nil {
			t.Fatal(err)
		}
	}
	code := interactionCode.FindSubmatch(doc)
	if code == nil {
		t.Fatalf("not through: %s", doc)
	}
	tokens, err := e.form("/oauth2/default/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {string(code[1])}, "client_id": {e.client}, "code_verifier": {verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", e.url+"/idp/myaccount/data", nil)
	r.Header.Set("Authorization", fmt.Sprint("Bearer ", tokens["access_token"]))
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	if amr := claimsOf(t, fmt.Sprint(tokens["access_token"]))["amr"]; fmt.Sprint(amr) != "[otp]" {
		t.Fatalf("amr %v", amr)
	}
	return w.Code
}

// claimsOf reads a token.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var out map[string]any
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Two tokens say "otp", of somebody who has the mailbox and an access code. The one of
// who reads the mail passes for no more than that.
func TestSEC_S56_OneReferenceOfTwoAuthenticators(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		const address = "ada@example.com"
		e := startWith(t, database, "okta_password", "tac")
		if _, err := e.signUp(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		made := e.must(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", `{"profile":{"multiUse":true}}`)
		code, _ := made["profile"].(map[string]any)["tac"].(string)
		mailed := func() string {
			if err := e.MailSettled(t.Context()); err != nil {
				t.Fatal(err)
			}
			all := e.Inbox.Messages(address) // the newest first
			return all[slices.IndexFunc(all, func(m mail.InboxMessage) bool { return m.Code != "" })].Code
		}
		if got := e.shownBy(t, address, "aut1email0000000000", mailed); got != http.StatusForbidden {
			t.Errorf("by the mailbox alone: %d", got)
		}
		if got := e.shownBy(t, address, "aut1tac0000000000000", func() string { return code }); got != http.StatusOK {
			t.Errorf("by the access code: %d", got)
		}
	})
}

// Operators see the code that is good, and never what it is.
func TestSEC_S133_AccessCodesOperatorsSee(t *testing.T) {
	const id, address = "aut1tac0000000000000", "ada@example.com"
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}
	org := policy.PasswordOptional()
	org.Offer("tac")
	e := startNode(t, app.Config{Dir: t.TempDir(), Limits: flow.DevelopmentLimits(), Now: now, Overlay: func(o *policy.Org) { *o = org }})
	e.register(t)
	if _, err := e.signUp(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	for name, ends := range map[string]func(code string){
		"used": func(code string) {
			if n := e.answers(t, e.asked(t, address, id, 1), code); n != 1 {
				t.Fatal("the code is not taken")
			}
		},
		"too old": func(string) {
			mu.Lock()
			defer mu.Unlock()
			clock = clock.Add(31 * time.Minute)
		},
	} {
		made := e.must(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", `{"profile":{"ttl":"30"}}`)
		code, _ := made["profile"].(map[string]any)["tac"].(string)
		list := func() string { return e.operate(t, "GET", "/users/"+address+"/factors", "").Body.String() }
		if got := list(); strings.Contains(got, code) || !strings.Contains(got, `"tac"`) {
			t.Errorf("before it is %s: %s", name, got)
		}
		ends(code)
		if got := list(); strings.Contains(got, `"tac"`) || !strings.Contains(got, `"okta_email"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Who came in by a code that is replaced is signed out.
func TestSEC_S104_ReplacedAccessCode(t *testing.T) {
	const id, address = "aut1tac0000000000000", "ada@example.com"
	for name, body := range map[string]string{"once": `{}`, "many": `{"profile":{"multiUse":true}}`} {
		t.Run(name, func(t *testing.T) {
			e := startWith(t, "", "okta_password", "tac")
			if _, err := e.signUp(t.Context(), address); err != nil {
				t.Fatal(err)
			}
			issue := func() string {
				made := e.must(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", body)
				code, _ := made["profile"].(map[string]any)["tac"].(string)
				return code
			}
			code := issue()
			if a, err := e.Store.AccountByAddress(t.Context(), address); err != nil || !a.SignedOutAt.IsZero() {
				t.Fatalf("the first code signs out: %v", err)
			}
			h := e.asked(t, address, id, 1)[0]
			doc, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := e.form("/oauth2/default/v1/token", url.Values{
				"grant_type": {"interaction_code"}, "interaction_code": {string(interactionCode.FindSubmatch(doc)[1])},
				"client_id": {e.client}, "code_verifier": {verifier},
			})
			if err != nil {
				t.Fatal(err)
			}
			userinfo := func() int {
				r := httptest.NewRequest("GET", e.url+"/oauth2/default/v1/userinfo", nil)
				r.Header.Set("Authorization", fmt.Sprint("Bearer ", tokens["access_token"]))
				w := httptest.NewRecorder()
				e.Handler().ServeHTTP(w, r)
				return w.Code
			}
			if got := userinfo(); got != http.StatusOK {
				t.Fatalf("before: %d", got)
			}
			second := issue()
			if got := userinfo(); got != http.StatusUnauthorized {
				t.Errorf("the token of the first code: %d", got)
			}
			if n := e.answers(t, e.asked(t, address, id, 1), second); n != 1 {
				t.Error("the second code is of no use")
			}
		})
	}
}

// What a group's policy alone lists is made too: it can be a second factor.
func TestAccessCodesOfAGroup(t *testing.T) {
	e := start(t)
	tag := e.operate(t, "PUT", "/stile/org?dryRun=true", `{"version":1}`).Header().Get("ETag")
	org := `{"version":1,"groups":[{"id":"staff","name":"Staff"}],"enrollment":[
		{"name":"staff","groups":["staff"],"authenticators":[{"key":"okta_email","need":"required"},{"key":"tac","need":"optional"}]},
		{"name":"default","authenticators":[{"key":"okta_email","need":"required"}]}]}`
	if w := e.operate(t, "PUT", "/stile/org", org, "If-Match", tag); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for address, want := range map[string]int{"bob@example.com": http.StatusOK, "ada@example.com": http.StatusBadRequest} {
		groups := ""
		if want == http.StatusOK {
			groups = `,"groupIds":["staff"]`
		}
		e.must(t, "POST", "/users?activate=true&emailVerified=true", `{"profile":{"email":"`+address+`","login":"`+address+`"}`+groups+`}`)
		if w := e.operate(t, "POST", "/users/"+address+"/authenticator-enrollments/tac", `{}`); w.Code != want {
			t.Errorf("%s: %d %s", address, w.Code, w.Body)
		}
	}
}

// A code that nobody could use is not made.
func TestAccessCodesNeedAPolicyThatListsThem(t *testing.T) {
	e := start(t)
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	w := e.operate(t, "POST", "/users/ada@example.com/authenticator-enrollments/tac", `{}`)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "does not list tac") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
