package idx_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

// signUp is the script of the guide: six steps, password optional.

func signUp() script {
	return script{
		"/idp/idx/introspect":       {ok("introspect")},
		"/idp/idx/enroll":           {ok("enroll-profile")},
		"/idp/idx/enroll/new":       {ok("enroll-email")},
		"/idp/idx/challenge/answer": {ok("select-enroll")},
		"/idp/idx/skip":             {ok("success")},
	}
}

var john = idx.Profile{FirstName: "John", LastName: "Doe", Email: "john.doe@example.org"}

// asJSON gives a transaction as an app's script sees it.

func asJSON(t *testing.T, tx *idx.Transaction) map[string]any {
	t.Helper()
	b, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// lacks reports where have lacks something that want has.

func lacks(have, want any) string {
	w, isMap := want.(map[string]any)
	if !isMap {
		return cmp.Diff(want, have)
	}
	h, _ := have.(map[string]any)
	for name, v := range w {
		if d := lacks(h[name], v); d != "" {
			return name + ": " + d
		}
	}
	return ""
}

func parse(t *testing.T, s string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIDX_C35_SixStepsOfTheGuide(t *testing.T) {
	for name, change := range map[string]func(*idx.Config){
		"confidential": func(*idx.Config) {},
		"public":       public,
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, signUp())
			c := e.client(t, change)
			ctx := t.Context()

			tx, err := c.Register(ctx, john)
			if err != nil {
				t.Fatal(err)
			}
			if d := lacks(asJSON(t, tx), parse(t, `{"status":"PENDING","nextStep":{"name":"enroll-authenticator","type":"email",
				"authenticator":{"type":"email","key":"okta_email","displayName":"Email"},"canResend":true,
				"inputs":[{"name":"verificationCode","label":"Enter code","type":"string","required":true}]}}`)); d != "" {
				t.Errorf("step 4: %s", d)
			}
			if d := cmp.Diff(map[string]any{
				"userProfile": map[string]any{"firstName": "John", "lastName": "Doe", "email": "john.doe@example.org"},
				"stateHandle": "02.id.k3Jq7Zr1uVd0",
			}, e.lastBody()); d != "" {
				t.Errorf("enroll/new: %s", d)
			}

			tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: "726009"})
			if err != nil {
				t.Fatal(err)
			}
			if d := lacks(asJSON(t, tx), parse(t, `{"status":"PENDING","nextStep":{"name":"select-authenticator-enroll","canSkip":true,
				"options":[{"label":"Okta Verify","value":"okta_verify"},{"label":"Password","value":"okta_password"}],
				"inputs":[{"name":"authenticator","type":"string",
					"options":[{"label":"Okta Verify","value":"okta_verify"},{"label":"Password","value":"okta_password"}]}]}}`)); d != "" {
				t.Errorf("IDX_C39 step 5: %s", d)
			}
			if d := cmp.Diff(map[string]any{"passcode": "726009"}, e.lastBody()["credentials"]); d != "" {
				t.Errorf("challenge/answer: %s", d)
			}

			tx, err = c.Proceed(ctx, tx, idx.Input{Skip: true})
			if err != nil {
				t.Fatal(err)
			}
			got := asJSON(t, tx)
			if d := lacks(got, parse(t, `{"status":"SUCCESS","tokens":{
				"accessToken":{"accessToken":"an-access-token","expiresAt":1795381200,"tokenType":"Bearer","scopes":["openid","profile","email"]},
				"idToken":{"expiresAt":1795381200,"claims":{"sub":"00u1johndoe0000000","email_verified":true}}}}`)); d != "" {
				t.Errorf("IDX_C40 step 6: %s", d)
			}
			if got["nextStep"] != nil {
				t.Errorf("a finished transaction has a next step: %v", got["nextStep"])
			}
			if tx.Tokens.IDToken.Claims.Email != "john.doe@example.org" || !tx.Tokens.IDToken.Claims.EmailVerified {
				t.Errorf("claims: %+v", tx.Tokens.IDToken.Claims.All)
			}

			want := []string{
				"POST /oauth2/default/v1/interact",
				"POST /idp/idx/introspect",
				"POST /idp/idx/enroll",
				"POST /idp/idx/enroll/new",
				"POST /idp/idx/challenge/answer",
				"POST /idp/idx/skip",
				"GET /oauth2/default/.well-known/openid-configuration",
				"GET /oauth2/default/v1/keys",
				"POST /oauth2/default/v1/token",
			}
			if d := cmp.Diff(want, e.calls); d != "" {
				t.Errorf("requests: %s", d)
			}
		})
	}
}
