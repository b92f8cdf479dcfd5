package demo

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	aHandle = "02.id.k3Jq7Zr1uVd0aa9sQwErTy"
	aJWT    = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiIwMHUxIiwiaXNzIjoiaHR0cCJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"
)

func TestCensor(t *testing.T) {
	for name, c := range map[string]struct{ kind, body, want string }{
		"handle":            {"application/json", `{"stateHandle":"` + aHandle + `"}`, `{"stateHandle": "02.id.k3Jq…"}`},
		"field of a form":   {"application/ion+json; okta-version=1.0.0", `{"value":"` + aHandle + `","name":"stateHandle"}`, `{"value": "02.id.k3Jq…", "name": "stateHandle"}`},
		"code":              {"application/json", `{"credentials":{"passcode":"726009"}}`, `{"credentials": {"passcode": "…"}}`},
		"code as a number":  {"application/json", `{"credentials":{"passcode":726009}}`, `{"credentials": {"passcode": "…"}}`},
		"password":          {"application/json", `{"credentials":{"passcode":"correct horse battery staple"}}`, `{"credentials": {"passcode": "…"}}`},
		"secret field":      {"application/json", `{"name":"petName","secret":true,"value":"Rex the Dog"}`, `{"name": "petName", "secret": true, "value": "…"}`},
		"token":             {"application/json", `{"access_token":"` + aJWT + `","expires_in":3600}`, `{"access_token": "eyJhbGciOi…", "expires_in": 3600}`},
		"repeated in words": {"application/json", `{"otp":"726009","message":"726009 is wrong, id726009 stays"}`, `{"otp": "…", "message": "… is wrong, id726009 stays"}`},
		"token in an href":  {"application/json", `{"href":"https://id.example.com/x?q=k3Jq7Zr1uVd0aa9sQwErTyUiOp"}`, `{"href": "https://id.example.com/x?q=k3Jq7Zr1uV…"}`},
		"JWT anywhere":      {"application/json", `{"note":"` + aJWT + `"}`, `{"note": "eyJhbGciOi….eyJzdWIiOi….c2lnbmF0dX…"}`},
		"ids stay":          {"application/json", `{"client_id":"0oaPeb6nmVRR5O0PIwWv39s0w","kid":"FRGeaTKVZIKtPALPYCuY2RIILejGJ6eI"}`, `{"client_id": "0oaPeb6nmVRR5O0PIwWv39s0w", "kid": "FRGeaTKVZIKtPALPYCuY2RIILejGJ6eI"}`},
		"names stay":        {"application/json", `{"name":"select-authenticator-authenticate","null":null,"yes":true}`, `{"name": "select-authenticator-authenticate", "null": null, "yes": true}`},
		"form":              {"application/x-www-form-urlencoded", `grant_type=interaction_code&client_secret=s%2Bcret-1&code_verifier=abcdef`, "grant_type=interaction_code\nclient_secret=…\ncode_verifier=…"},
		"bad form":          {"application/x-www-form-urlencoded", `a=%zz`, "(not JSON, not kept)"},
		"client's secret":   {"application/json", `{"echo":"is it the-client-secret?"}`, `{"echo": "is it …?"}`},
		"HTML":              {"text/html", `<p>` + aJWT, "(not JSON, not kept)"},
		"two values":        {"application/json", `{} {}`, "(not JSON, not kept)"},
		"too deep":          {"application/json", strings.Repeat("[", 100) + strings.Repeat("]", 100), "(not JSON, not kept)"},
		"nothing":           {"application/json", ``, ""},
	} {
		seen := newCensor("the-client-secret")
		if diff := cmp.Diff(c.want, seen.text(seen.read(message{[]byte(c.body), c.kind}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What the request holds is hidden in the answer too.
func TestCensorAcrossBodies(t *testing.T) {
	seen := newCensor("")
	request := seen.read(message{[]byte(`{"credentials":{"passcode":"hunter2-hunter2"}}`), "application/json"})
	answer := seen.read(message{[]byte(`{"message":"hunter2-hunter2 is too simple","hunter2-hunter2":1}`), "application/json"})
	seen.text(request)
	if got, want := seen.text(answer), `{"message": "… is too simple", "…": 1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCensorHidesEverySecret(t *testing.T) {
	names := []string{"passcode", "client_secret", "stateHandle", "interaction_code", "access_token", "id_token",
		"refresh_token", "otp", "code_verifier", "token", "password", "interactionHandle", "newPassword"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		secret := rapid.StringMatching(`[A-Za-z0-9._~!@ -]{12,200}`).Draw(t, "secret")
		words := rapid.StringMatching(`[a-z ]{0,20}`).Draw(t, "words")
		field := map[string]any{"name": name, "value": secret}
		body, err := json.Marshal(rapid.SampledFrom([]any{
			map[string]any{name: secret}, map[string]any{"a": []any{map[string]any{name: secret}}}, field,
			map[string]any{name: secret, "message": words + secret + words}, map[string]any{name: []any{secret}},
			map[string]any{"value": []any{field}},
		}).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		seen := newCensor("")
		if got := seen.text(seen.read(message{body, "application/json"})); strings.Contains(got, secret) {
			t.Fatalf("%q is in %s", secret, got)
		}
		seen = newCensor("")
		form := url.Values{name: {secret}, "x": {words + secret}}.Encode()
		if got := seen.text(seen.read(message{[]byte(form), "application/x-www-form-urlencoded"})); strings.Contains(got, secret) {
			t.Fatalf("%q is in %s", secret, got)
		}
	})
}

func FuzzCensor(f *testing.F) {
	f.Add([]byte(`{"stateHandle":"02.id.k3Jq7Zr1uVd0"}`), true)
	f.Add([]byte(`a=b&client_secret=x`), false)
	f.Add([]byte(`[[[{"name":"otp","value":[1,2,{"value":true}]}]]]`), true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		kind := map[bool]string{true: "application/json", false: "application/x-www-form-urlencoded"}[isJSON]
		seen := newCensor("the-client-secret")
		d := seen.read(message{body, kind})
		got := seen.text(d)
		if strings.Contains(got, "the-client-secret") {
			t.Errorf("the client's secret is in %q", got)
		}
		if len(got) > maxBody+len("\n"+hidden) {
			t.Errorf("%d bytes are kept", len(got))
		}
		if isJSON && d.note == "" && len(got) < maxBody && got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q is shown as %q", body, got)
		}
		d.offers()
	})
}
