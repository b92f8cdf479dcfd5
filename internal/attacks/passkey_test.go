package attacks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/stiletest"
)

const (
	passkeyID = "aut1webauthn00000000"
	appOrigin = "http://localhost:8080" // of stiletest's redirect URI

	notAsserted = "authfactor.webauthn.error.assertion_validation_failure"
	notAttested = "oie.authenticator.enroll.error.fail"
)

// posted has the values of a form as they are posted.
func posted(in map[string]string) map[string]any {
	values := map[string]any{}
	for k, v := range in {
		values[k] = v
	}
	return map[string]any{"credentials": values}
}

func (a answer) context() map[string]any {
	m, _ := a.at("currentAuthenticator", "value", "contextualData").(map[string]any)
	return m
}

func (a answer) discovery() map[string]any {
	m, _ := a.at("webauthnAutofillUIChallenge", "value").(map[string]any)
	return m
}

// toKey walks a sign-up as far as the question for a new key.
func (w *wire) toKey(email string) answer {
	w.t.Helper()
	w.enrolled(email)
	w.answer("challenge/answer", passcode(w.e.Code(w.t, email)))
	a := w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passkeyID}})
	if a.context()["activationData"] == nil {
		w.t.Fatalf("no question for a key: %d %s", a.status, a.body)
	}
	return a
}

// withKey makes an account with a key of the device.
func (w *wire) withKey(email string, d *webauthntest.Device) (userID string) {
	w.t.Helper()
	a := w.answer("challenge/answer", posted(d.Create(w.toKey(email).context())))
	a = w.answer("skip", nil)
	if a.code() == "" {
		w.t.Fatalf("sign-up with a key: %d %s", a.status, a.body)
	}
	return a.str("user", "value", "id")
}

// asksKey walks a sign-in as far as the question for a key.
func (w *wire) asksKey(email string) answer {
	w.t.Helper()
	w.identify(email)
	a := w.choose(passkeyID)
	if a.context()["challengeData"] == nil {
		w.t.Fatalf("no question for a key: %d %s", a.status, a.body)
	}
	return a
}

func newDevice() *webauthntest.Device {
	return &webauthntest.Device{Origin: appOrigin, Verifies: true, Transports: []string{"internal"}}
}

// signsInBy is a sign-in by a key, which shows that nothing else was wrong.
func signsInBy(t *testing.T, e *stiletest.Engine, email string, d *webauthntest.Device) bool {
	t.Helper()
	w := begin(t, e)
	return w.answer("challenge/answer", posted(d.Get(w.asksKey(email).context(), d.Keys[0]))).code() != ""
}

// S-51, A-31, A-32: an answer that was given on another site is none.
func TestSEC_S51_A31_A32_AnswersOfOtherSites(t *testing.T) {
	e := stiletest.Start(t, stiletest.Offer("webauthn"))
	for name, d := range map[string]*webauthntest.Device{
		"origin":                   {Origin: "https://evil.example", RPID: "localhost", Verifies: true},
		"origin of a sub-domain":   {Origin: "http://evil.localhost:8080", RPID: "localhost", Verifies: true},
		"origin and rpId":          {Origin: "https://evil.example", Verifies: true},
		"rpId":                     {Origin: appOrigin, RPID: "evil.example", Verifies: true},
		"another port of the host": {Origin: "http://localhost:6666", Verifies: true},
	} {
		w := begin(t, e)
		a := w.answer("challenge/answer", posted(d.Create(w.toKey("set-"+hash(name)+"@example.com").context())))
		if a.status != 400 || !slices.Equal(a.keys(), []string{notAttested}) {
			t.Errorf("%s, enrolled: %d %s", name, a.status, a.body)
		}
		own, email := newDevice(), "use-"+hash(name)+"@example.com"
		begin(t, e).withKey(email, own)
		d.Keys = own.Keys
		w = begin(t, e)
		a = w.answer("challenge/answer", posted(d.Get(w.asksKey(email).context(), own.Keys[0])))
		if a.status != 401 || !slices.Equal(a.keys(), []string{notAsserted}) {
			t.Errorf("%s, asserted: %d %s", name, a.status, a.body)
		}
		if !signsInBy(t, e, email, own) {
			t.Errorf("%s: the person's own page is refused too", name)
		}
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// S-51, A-33: each challenge takes one answer, of one transaction, for five minutes.
func TestSEC_S51_A33_ChallengesAreUsedOnce(t *testing.T) {
	const mary = "mary@example.com"
	e, d := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice()
	begin(t, e).withKey(mary, d)

	first, second := begin(t, e), begin(t, e)
	question := first.asksKey(mary)
	second.asksKey(mary)
	in := posted(d.Get(question.context(), d.Keys[0]))
	if a := second.answer("challenge/answer", in); a.status != 401 || a.code() != "" {
		t.Errorf("in another transaction: %d %s", a.status, a.body)
	}
	forged := d.Get(question.context(), d.Keys[0])
	forged["signatureData"] = base64.RawURLEncoding.EncodeToString([]byte("forged"))
	next := first.answer("challenge/answer", posted(forged))
	if next.status != 401 || cmp.Equal(question.context(), next.context()) {
		t.Errorf("after a wrong answer the question is the same: %d %s", next.status, next.body)
	}
	if a := first.answer("challenge/answer", in); a.status != 401 || a.code() != "" {
		t.Errorf("a right answer to the question before: %d %s", a.status, a.body)
	}
	again := first.introspect()
	late := posted(d.Get(again.context(), d.Keys[0]))
	e.Clock.Advance(5 * time.Minute)
	a := first.answer("challenge/answer", late)
	if a.status != 400 || a.code() != "" {
		t.Errorf("after five minutes: %d %s", a.status, a.body)
	}
	if a = first.answer("challenge/answer", posted(d.Get(a.context(), d.Keys[0]))); a.code() == "" {
		t.Errorf("to the question after that: %d %s", a.status, a.body)
	}

	// Chosen once more after its time, it is another question; before, the same.
	third := begin(t, e)
	question = third.asksKey(mary)
	if now := third.choose(passkeyID); !cmp.Equal(question.context(), now.context()) {
		t.Errorf("chosen twice: %s", now.body)
	}
	e.Clock.Advance(5 * time.Minute)
	if now := third.choose(passkeyID); cmp.Equal(question.context(), now.context()) {
		t.Errorf("chosen again after its time: %s", now.body)
	}

	// An enrollment's are no different.
	w := begin(t, e)
	made := newDevice()
	asked := w.toKey("eve@example.com")
	bad := made.Create(asked.context())
	bad["attestation"] = "AAAA"
	if a := w.answer("challenge/answer", posted(bad)); a.status != 400 {
		t.Fatalf("a bad key: %d %s", a.status, a.body)
	}
	if a := w.answer("challenge/answer", posted(made.Create(asked.context()))); a.status != 400 {
		t.Errorf("a good one to the question before: %d %s", a.status, a.body)
	}
	if a := w.answer("challenge/answer", posted(made.Create(w.introspect().context()))); !a.has("select-authenticator-enroll") {
		t.Errorf("a good one: %d %s", a.status, a.body)
	}
}

// S-51: somebody else's key opens nothing, and cannot be made one's own.
func TestSEC_S51_KeysOfOthers(t *testing.T) {
	const mary, eve = "mary@example.com", "eve@example.com"
	e, marys, eves := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice(), newDevice()
	begin(t, e).withKey(mary, marys)
	begin(t, e).withKey(eve, eves)

	w := begin(t, e)
	question := w.asksKey(mary)
	for name, handle := range map[string][]byte{"her own handle": eves.Keys[0].Handle, "Mary's handle": marys.Keys[0].Handle, "none": nil} {
		k := *eves.Keys[0]
		k.Handle = handle
		a := w.answer("challenge/answer", posted(eves.Get(question.context(), &k)))
		if a.status != 401 || a.code() != "" {
			t.Errorf("Eve's key, %s: %d %s", name, a.status, a.body)
		}
		question = a
	}
	// Where nobody has said who they are, the handle says it, and the signature must agree.
	w = begin(t, e)
	k := *eves.Keys[0]
	k.Handle = marys.Keys[0].Handle
	a := w.answer("challenge/answer/webauthn-autofillui", posted(eves.Get(w.introspect().discovery(), &k)))
	if a.status != 401 || a.code() != "" || !slices.Equal(a.keys(), []string{notAsserted}) || !a.has("identify") || a.at("user") != nil {
		t.Errorf("Eve's key under Mary's name: %d %s", a.status, a.body)
	}

	// The id of a key is told to whoever signs in with it: a key of that id is not Eve's to enrol.
	taken := newDevice()
	taken.Data = func(data []byte) []byte {
		copy(data[55:], marys.Keys[0].ID)
		return data
	}
	w = begin(t, e)
	w.toKey("third@example.com")
	a = w.answer("challenge/answer", posted(taken.Create(w.introspect().context())))
	if a.status != 400 || !slices.Equal(a.keys(), []string{notAttested}) {
		t.Errorf("a key with the id of Mary's: %d %s", a.status, a.body)
	}
	if now := w.introspect(); now.code() != "" {
		t.Errorf("and on: %s", now.body)
	}
	if !signsInBy(t, e, mary, marys) || !signsInBy(t, e, eve, eves) {
		t.Error("their own keys do not sign them in")
	}
}

// S-51: a counter that goes back tells of a copy of the key.
func TestSEC_S51_ClonedKey(t *testing.T) {
	const mary = "mary@example.com"
	e, d := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice()
	d.Counts = true
	begin(t, e).withKey(mary, d)
	copied := *d.Keys[0]
	if !signsInBy(t, e, mary, d) || !signsInBy(t, e, mary, d) {
		t.Fatal("the key does not sign in")
	}
	w := begin(t, e)
	if a := w.answer("challenge/answer", posted(d.Get(w.asksKey(mary).context(), &copied))); a.status != 401 || a.code() != "" {
		t.Errorf("a copy: %d %s", a.status, a.body)
	}
	if !signsInBy(t, e, mary, d) {
		t.Error("after that the key itself is refused")
	}
}

// S-43, S-41: before proof nothing tells whether there is an account, or a key.
func TestSEC_S43_KeysAreNotTold(t *testing.T) {
	const mary, plain, nobody = "mary@example.com", "mandy@example.com", "milly@example.com" // masked alike
	e, d := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice()
	id := begin(t, e).withKey(mary, d)
	begin(t, e).signedUp(plain)
	strip := func(a answer) any { // what differs by transaction, and what was typed
		b, _ := json.Marshal(a.doc)
		var doc map[string]any
		_ = json.Unmarshal(b, &doc)
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for _, name := range []string{"stateHandle", "expiresAt", "challenge", "value", "id", "identifier", "codeExpiresAt", "delivery"} {
					if _, text := v[name].(string); text {
						delete(v, name)
					}
				}
				for _, inner := range v {
					walk(inner)
				}
			case []any:
				for _, inner := range v {
					walk(inner)
				}
			}
		}
		walk(doc)
		return doc
	}
	var first []any
	for _, email := range []string{mary, plain, nobody} {
		w := begin(t, e)
		identified := w.identify(email)
		asked := w.choose(passkeyID)
		wrong := w.answer("challenge/answer", posted(newDevice().Get(asked.context(), &webauthntest.Key{RPID: "localhost", Signer: d.Keys[0].Signer, Handle: []byte("00uSomebody")})))
		got := []any{strip(identified), strip(asked), strip(wrong), wrong.status}
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s differs from %s:\n%s", email, mary, diff)
		}
		for _, a := range []answer{identified, asked, wrong} {
			if containsAny(a.body, base64.RawURLEncoding.EncodeToString(d.Keys[0].ID), id) {
				t.Errorf("%s is told of Mary's account or key: %s", email, a.body)
			}
		}
	}

	// Answers of whoever is there: of a stranger, of an account that is not there, of nobody.
	var said []any
	for _, handle := range []string{string(d.Keys[0].Handle), "00uNobodyNobodyNobody", "", "../../x"} {
		w := begin(t, e)
		k := &webauthntest.Key{RPID: "localhost", Signer: newSigner(t), Handle: []byte(handle)}
		a := w.answer("challenge/answer/webauthn-autofillui", posted(d.Get(w.introspect().discovery(), k)))
		said = append(said, []any{a.status, strip(a)})
		if diff := cmp.Diff(said[0], said[len(said)-1]); diff != "" {
			t.Errorf("handle %q is answered otherwise:\n%s", handle, diff)
		}
	}
}

// S-51, A-37, A-38: whoever is there signs in by a key that knows them, and by no other.
func TestSEC_S51_A37_A38_Discovery(t *testing.T) {
	const mary = "mary@example.com"
	e, d := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice()
	id := begin(t, e).withKey(mary, d)
	w := begin(t, e)
	d.Verifies = false
	a := w.answer("challenge/answer/webauthn-autofillui", posted(d.Get(w.introspect().discovery(), d.Keys[0])))
	if a.status != 401 || a.code() != "" {
		t.Fatalf("a key that does not know its owner: %d %s", a.status, a.body)
	}
	d.Verifies = true
	used := posted(d.Get(a.discovery(), d.Keys[0]))
	other := begin(t, e)
	if a := other.answer("challenge/answer/webauthn-autofillui", used); a.status != 401 {
		t.Errorf("in another transaction: %d %s", a.status, a.body)
	}
	a = w.answer("challenge/answer/webauthn-autofillui", used)
	if a.code() == "" || a.str("user", "value", "id") != id {
		t.Fatalf("a key that knows her: %d %s", a.status, a.body)
	}
	if tokens := w.redeem(a.code(), nil); tokens.status != 200 {
		t.Errorf("tokens: %d %s", tokens.status, tokens.body)
	}
	for range 2 { // the code was redeemed; nothing brings another
		if a := w.answer("challenge/answer/webauthn-autofillui", used); a.code() != "" {
			t.Errorf("again: %d %s", a.status, a.body)
		}
		e.Clock.Advance(61 * time.Second)
	}
}

// S-51, S-04: wrong answers end the transaction, whoever they are about.
func TestSEC_S04_KeysAreTriedSoOften(t *testing.T) {
	const mary = "mary@example.com"
	e, d := stiletest.Start(t, stiletest.Offer("webauthn")), newDevice()
	begin(t, e).withKey(mary, d)
	w := begin(t, e)
	k := &webauthntest.Key{RPID: "localhost", Signer: newSigner(t), Handle: d.Keys[0].Handle}
	at := w.introspect()
	for i := 1; at.has("identify"); i++ {
		if i > 15 {
			t.Fatal("sixteen tries")
		}
		at = w.answer("challenge/answer/webauthn-autofillui", posted(d.Get(at.discovery(), k)))
	}
	if now := w.introspect(); len(now.forms()) != 0 {
		t.Errorf("after the last: %s", now.body)
	}
	if !signsInBy(t, e, mary, d) {
		t.Error("Mary is locked out")
	}
}

func newSigner(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
