package idxapi_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/stiletest"
)

var chooseKey = map[string]any{"authenticator": map[string]any{"id": "aut1webauthn00000000"}}

func keyValues(in map[string]string) map[string]any {
	values := map[string]any{}
	for name, value := range in {
		values[name] = value
	}
	return map[string]any{"credentials": values}
}

func (a answer) contextualData() map[string]any {
	m, _ := a.at("currentAuthenticator", "value", "contextualData").(map[string]any)
	return m
}

func TestGoldenDocumentsOfPasskeys(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("webauthn"))
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, Transports: []string{"internal"}}
	w := begin(t, e)
	first := w.post("introspect", map[string]any{"stateToken": w.state})
	w.golden("identify-passkey", first)
	w.envelope(first) // AUTH_A02, A37: relatesTo
	w.enrolled(john)
	list := w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.golden("select-authenticator-enroll-passkey", list)
	asked := w.answer("credential/enroll", chooseKey)
	w.golden("enroll-passkey", asked)
	w.envelope(asked)
	if m := asked.contextualData(); m["activationData"] == nil || m["challengeData"] != nil {
		t.Errorf("AUTH_A35: %v", m)
	}
	bad := w.answer("challenge/answer", keyValues(map[string]string{"clientData": "AAAA", "attestation": "AAAA"}))
	w.golden("error-enroll-passkey", bad)
	w.envelope(bad)
	blank := w.answer("challenge/answer", nil)
	w.golden("error-passkey-blank", blank)
	added := w.answer("challenge/answer", keyValues(d.Create(bad.contextualData())))
	w.golden("select-authenticator-enroll-passkey-added", added)
	w.envelope(added)
	w.answer("skip", nil)
	e.Clock.Advance(time.Hour)

	in := begin(t, e)
	in.answer("identify", name(john))
	asked = in.answer("challenge", chooseKey)
	in.golden("challenge-passkey", asked)
	in.envelope(asked)
	if m := asked.contextualData(); m["activationData"] != nil || m["challengeData"] == nil {
		t.Errorf("AUTH_A35: %v", m)
	}
	wrong := in.answer("challenge/answer", keyValues(map[string]string{"clientData": "AAAA", "authenticatorData": "AAAA", "signatureData": "AAAA"}))
	in.golden("error-passkey", wrong)
	in.envelope(wrong)
	if done := in.answer("challenge/answer", keyValues(d.Get(wrong.contextualData(), d.Keys[0]))); done.code() == "" {
		t.Errorf("the right answer: %s", done.body)
	}

	again := begin(t, e)
	first = again.post("introspect", map[string]any{"stateToken": again.state})
	second := again.post("introspect", map[string]any{"stateToken": again.state})
	if diff := cmp.Diff(first.doc, second.doc); diff != "" {
		t.Errorf("IDX_C10 IDX_C11:\n%s", diff)
	}
	discovery, _ := first.at("webauthnAutofillUIChallenge", "value").(map[string]any)
	body := keyValues(d.Get(discovery, d.Keys[0]))
	body["rememberMe"] = true
	if done := again.answer("challenge/answer/webauthn-autofillui", body); done.code() == "" {
		t.Errorf("AUTH_A37: %s", done.body)
	}
}

// Where the key is the second factor, all that the person has are listed, and each will do.
func TestAUTH_A36_SecondFactor(t *testing.T) {
	const org = `access: [{name: default, rules: [{name: default, factors: 2}]}]
enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: webauthn, need: required}]}]`
	e := stiletest.Start(t, stiletest.Org(org))
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true}
	w := begin(t, e)
	w.enrolled(john)
	w.answer("challenge/answer", passcode(e.Code(t, john)))
	asked := w.answer("credential/enroll", chooseKey)
	if done := w.answer("challenge/answer", keyValues(d.Create(asked.contextualData()))); done.code() == "" {
		t.Fatalf("the sign-up: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
	// toKey shows the address, and goes on to the question for a key.
	toKey := func() answer {
		t.Helper()
		list := w.answer("identify", name(john))
		w.envelope(list)
		if list.form("select-authenticator-authenticate") == nil {
			t.Fatalf("no list: %s", list.body)
		}
		w.answer("challenge", choice("okta_email"))
		a := w.answer("challenge/answer", passcode(e.Code(t, john)))
		if a.form("challenge-authenticator") == nil {
			a = w.answer("challenge", chooseKey)
		}
		return a
	}
	w = begin(t, e)
	asked = toKey()
	w.golden("challenge-passkey-second", asked)
	w.envelope(asked)
	if done := w.answer("challenge/answer", keyValues(d.Get(asked.contextualData(), d.Keys[0]))); done.code() == "" {
		t.Errorf("the right answer: %s", done.body)
	}
	if !slices.Contains(asked.members(), "authenticatorEnrollments") {
		t.Error("nothing is listed")
	}

	// A second one, and each of them will do.
	e.Clock.Advance(time.Hour)
	more := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true}
	w = &wire{T: t, e: e}
	w.interaction = w.interact(func(v url.Values) { v.Set("enroll_authenticator", "webauthn") }).doc["interaction_handle"].(string)
	w.state, _ = w.post("introspect", map[string]any{"interactionHandle": w.interaction}).doc["stateHandle"].(string)
	asked = toKey()
	w.answer("challenge/answer", keyValues(d.Get(asked.contextualData(), d.Keys[0])))
	asked = w.answer("credential/enroll", chooseKey)
	if done := w.answer("challenge/answer", keyValues(more.Create(asked.contextualData()))); done.code() == "" {
		t.Fatalf("a second key: %s", done.body)
	}
	for _, one := range []*webauthntest.Device{d, more} {
		e.Clock.Advance(time.Hour)
		w = begin(t, e)
		asked = toKey()
		listed := map[any]bool{}
		all, _ := asked.at("authenticatorEnrollments", "value").([]any)
		for _, en := range all {
			listed[en.(map[string]any)["credentialId"]] = true
		}
		for _, k := range []*webauthntest.Key{d.Keys[0], more.Keys[0]} {
			if !listed[base64.RawURLEncoding.EncodeToString(k.ID)] {
				t.Errorf("a key is not listed: %s", asked.body)
			}
		}
		if done := w.answer("challenge/answer", keyValues(one.Get(asked.contextualData(), one.Keys[0]))); done.code() == "" {
			t.Errorf("by one of two: %s", done.body)
		}
	}
}
