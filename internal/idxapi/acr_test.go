package idxapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/stiletest"
)

// assured begins a sign-in that asks for an assurance.
func assured(t *testing.T, e *stiletest.Engine, acr string) *wire {
	t.Helper()
	w := &wire{T: t, e: e}
	w.interaction, _ = w.interact(func(v url.Values) { v.Set("acr_values", acr) }).doc["interaction_handle"].(string)
	if w.interaction == "" {
		t.Fatalf("acr %s is refused", acr)
	}
	w.state, _ = w.post("introspect", map[string]any{"interactionHandle": w.interaction}).doc["stateHandle"].(string)
	return w
}

// keyed makes an account with a key.
func keyed(t *testing.T, e *stiletest.Engine, address string, d *webauthntest.Device) {
	t.Helper()
	w := begin(t, e)
	w.enrolled(address)
	w.answer("challenge/answer", passcode(e.Code(t, address)))
	asked := w.answer("credential/enroll", chooseKey)
	if a := w.answer("challenge/answer", keyValues(d.Create(asked.contextualData()))); a.status != 200 || len(d.Keys) == 0 {
		t.Fatalf("the key: %s", a.body)
	}
	w.answer("skip", nil)
	e.Clock.Advance(3 * time.Hour)
}

// byKey signs in with one, through the SDK, and gives the ID token's acr.
func byKey(t *testing.T, e *stiletest.Engine, acr string, d *webauthntest.Device, address string) string {
	t.Helper()
	tx, err := e.Client.Start(t.Context(), idx.StartOptions{ACRValues: strings.Fields(acr)})
	if err == nil {
		tx, err = e.Client.Proceed(t.Context(), tx, idx.Input{Username: address})
	}
	if err == nil && (tx.NextStep.Authenticator == nil || tx.NextStep.Authenticator.Key != "webauthn") {
		tx, err = e.Client.Proceed(t.Context(), tx, idx.Input{Authenticator: "webauthn"})
	}
	if err != nil {
		t.Fatal(err)
	}
	in := idx.Input{Values: map[string]any{}}
	for name, value := range d.Get(tx.NextStep.Authenticator.Context, d.Keys[0]) {
		in.Values[name] = value
	}
	if tx, err = e.Client.Proceed(t.Context(), tx, in); err != nil {
		t.Fatal(err)
	}
	if tx.Tokens == nil {
		return "none: " + string(tx.Status)
	}
	got, _ := tx.Tokens.IDToken.Claims.All["acr"].(string)
	return got
}

func TestAUTH_12_1_PhishingResistant(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("webauthn"))
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true}
	keyed(t, e, john, d)
	w := assured(t, e, "phr")
	w.want("a key at once", w.answer("identify", name(john)), 200, "challenge-authenticator", "select-authenticator-authenticate")
	if got := byKey(t, e, "phr", d, john); got != "phr" {
		t.Errorf("acr %q", got)
	}
	if got := byKey(t, e, "phrh phr", d, john); got != "phr" {
		t.Errorf("of what can be met, in the client's order: acr %q", got)
	}
	if a := w.interact(func(v url.Values) { v.Set("acr_values", "phrh") }); a.status != 400 || a.doc["error"] != "unmet_authentication_requirements" {
		t.Errorf("phrh, which nothing can meet: %d %s", a.status, a.body)
	}

	// A new person sets one up on the way: that has shown it.
	const mary = "mary@example.com"
	w = assured(t, e, "phr")
	w.enrolled(mary)
	list := w.answer("challenge/answer", passcode(e.Code(t, mary)))
	w.want("a key is required", list, 200, "select-authenticator-enroll")
	asked := w.answer("credential/enroll", chooseKey)
	done := w.answer("challenge/answer", keyValues((&webauthntest.Device{Origin: "http://localhost:8080", Verifies: true}).Create(asked.contextualData())))
	if done.code() == "" && done.form("skip") == nil {
		t.Errorf("after it: %s", done.body)
	}

	// So does who was there before and has none, after what they have.
	const carol = "carol@example.com"
	begin(t, e).signedUp(carol)
	e.Clock.Advance(3 * time.Hour)
	w, list = byMail(t, e, "phr", carol)
	w.want("a key is set up", list, 200, "select-authenticator-enroll")

	none := begin(t, stiletest.Start(t))
	if a := none.interact(func(v url.Values) { v.Set("acr_values", "phr") }); a.status != 400 || a.doc["error"] != "unmet_authentication_requirements" {
		t.Errorf("phr where nobody may have a key: %d %s", a.status, a.body)
	}
}

// byMail signs in by a code, as far as that leads.
func byMail(t *testing.T, e *stiletest.Engine, acr, address string) (*wire, answer) {
	t.Helper()
	w := assured(t, e, acr)
	a := w.answer("identify", name(address))
	w.want("a key, or something else", a, 200, "challenge-authenticator", "select-authenticator-authenticate")
	if ids := credentialIDs(a); len(ids) > 0 {
		t.Errorf("SEC_S43: before proof it tells of keys %q", ids)
	}
	w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": "aut1email0000000000"}})
	return w, w.answer("challenge/answer", passcode(e.Code(t, address)))
}

// credentialIDs are of the keys that a document lists, without which those that are not
// discoverable cannot answer.
func credentialIDs(a answer) (out []string) {
	for _, m := range regexp.MustCompile(`"credentialId":"([A-Za-z0-9_-]+)"`).FindAllSubmatch(a.body, -1) {
		if id := string(m[1]); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// A key without a PIN that is found by its id alone, as security keys of long ago are,
// meets phr: after something else, since it is not the whole sign-in.
func TestAUTH_12_1_KeysThatDoNotVerifyAndAreNotDiscoverable(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("webauthn"))
	d := &webauthntest.Device{Origin: "http://localhost:8080"}
	w := assured(t, e, "phr")
	w.enrolled(john)
	w.want("a key is required", w.answer("challenge/answer", passcode(e.Code(t, john))), 200, "select-authenticator-enroll")
	asked := w.answer("credential/enroll", chooseKey)
	if a := w.answer("challenge/answer", keyValues(d.Create(asked.contextualData()))); a.code() == "" && a.form("skip") == nil {
		t.Fatalf("the key is not taken: %s", a.body)
	}
	w.answer("skip", nil)
	e.Clock.Advance(3 * time.Hour)
	for range 2 {
		w, a := byMail(t, e, "phr", john)
		if a.contextualData()["challengeData"] == nil {
			a = w.answer("challenge", chooseKey)
		}
		if ids, want := credentialIDs(a), base64.RawURLEncoding.EncodeToString(d.Keys[0].ID); !slices.Equal(ids, []string{want}) {
			t.Fatalf("it lists %q of %q", ids, want)
		}
		if a = w.answer("challenge/answer", keyValues(d.Get(a.contextualData(), d.Keys[0]))); a.code() == "" {
			t.Fatalf("the key leads to %s", a.body)
		}
		e.Clock.Advance(3 * time.Hour)
	}
}

// attested is an organisation of so many factors that takes one model of a maker's keys.
func attested(t *testing.T, maker *webauthntest.Maker, factors int) string {
	t.Helper()
	org, err := json.Marshal(map[string]any{
		"enrollment": []any{map[string]any{"name": "default", "authenticators": []any{
			map[string]any{"key": "okta_email", "need": "required"}, map[string]any{"key": "webauthn", "need": "optional"},
		}}},
		"access": []any{map[string]any{"name": "default", "rules": []any{map[string]any{"name": "everybody", "factors": factors, "reauthenticate": "2h"}}}},
		"webauthn": map[string]any{
			"attestation": "direct", "aaguids": []string{"ace00000-0000-0000-0000-000000000000"}, "roots": []string{maker.PEM},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(org)
}

func TestAUTH_12_1_Hardware(t *testing.T) {
	maker, model := webauthntest.NewMaker(t), [16]byte{0xac, 0xe0}
	e := stiletest.Start(t, stiletest.Org(attested(t, maker, 1)))
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, AAGUID: model, Attest: maker.Attest}
	keyed(t, e, john, d)
	if got := byKey(t, e, "phrh", d, john); got != "phrh" {
		t.Errorf("acr %q", got)
	}

	// One of a maker's that can be copied is no hardware: it signs in, and meets no phrh.
	const mary = "mary@example.com"
	synced := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, AAGUID: model, Attest: maker.Attest, BackupEligible: true}
	keyed(t, e, mary, synced)
	if got := byKey(t, e, "phr", synced, mary); got != "phr" {
		t.Errorf("acr %q", got)
	}
	if got := byKey(t, e, "phrh", synced, mary); got == "phrh" || !strings.HasPrefix(got, "none") {
		t.Errorf("acr %q", got)
	}

	// Nor does it where it was shown for something else: in a session of the browser.
	in := func(address string, d *webauthntest.Device) answer {
		w := &wire{T: t, e: e}
		h := browserOf("same-site", nil)
		w.beginIn(h, nil)
		w.in(h, "identify", name(address))
		asked := w.in(h, "challenge", chooseKey)
		done := w.in(h, "challenge/answer", keyValues(d.Get(asked.contextualData(), d.Keys[0])))
		if len(cookies(done)) != 1 {
			t.Fatalf("no session: %s", done.body)
		}
		e.Clock.Advance(time.Minute)
		return w.beginIn(browserOf("same-site", cookies(done)), url.Values{"acr_values": {"phrh"}})
	}
	w := &wire{T: t, e: e}
	w.want("a synced one in a session", in(mary, synced), 200, "select-authenticator-enroll")
	w.want("one of hardware in a session", in(john, d), 200, "select-authenticator-authenticate")
}

// What is shown as one of two factors meets no phrh for that.
func TestAUTH_12_1_HardwareBesideAnotherFactor(t *testing.T) {
	maker, model := webauthntest.NewMaker(t), [16]byte{0xac, 0xe0}
	e := stiletest.Start(t, stiletest.Org(attested(t, maker, 2)))
	synced := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, AAGUID: model, Attest: maker.Attest, BackupEligible: true}
	keyed(t, e, john, synced)
	w, a := byMail(t, e, "phrh", john)
	if a.contextualData()["challengeData"] == nil {
		a = w.answer("challenge", chooseKey)
	}
	list := w.answer("challenge/answer", keyValues(synced.Get(a.contextualData(), synced.Keys[0])))
	w.want("one that can be copied", list, 200, "select-authenticator-enroll")
	asked := w.answer("credential/enroll", chooseKey)
	if a := w.answer("challenge/answer", keyValues(synced.Create(asked.contextualData()))); a.code() != "" {
		t.Error("another that can be copied is enough")
	}
	asked = w.answer("credential/enroll", chooseKey)
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, AAGUID: model, Attest: maker.Attest}
	if a := w.answer("challenge/answer", keyValues(d.Create(asked.contextualData()))); a.code() == "" {
		t.Errorf("one of hardware: %s", a.body)
	}
}

// What discovery says can be asked for, can.
func TestAUTH_12_1_DiscoveryOfACRs(t *testing.T) {
	for want, e := range map[string]*stiletest.Engine{
		"":    stiletest.Start(t),
		"phr": stiletest.Start(t, stiletest.Offer("webauthn")),
	} {
		var doc struct {
			ACRs []string `json:"acr_values_supported"`
		}
		w := &wire{T: t, e: e}
		if err := json.Unmarshal(w.do("GET", e.Issuer+"/.well-known/openid-configuration", "", nil, nil).body, &doc); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(doc.ACRs, "phr") != (want == "phr") || len(doc.ACRs) < 4 {
			t.Errorf("%q: %q", want, doc.ACRs)
		}
		for _, acr := range doc.ACRs {
			assured(t, e, acr)
		}
	}
}
