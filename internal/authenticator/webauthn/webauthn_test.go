package webauthn

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
)

const (
	page   = "http://localhost:8080" // of an app
	engine = "https://id.example.com"
)

type world struct {
	*testing.T
	*Authenticator
	now      time.Time
	settings policy.WebAuthn
}

func newWorld(t *testing.T) *world {
	t.Helper()
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, now: time.Date(2030, 1, 1, 9, 0, 0, 0, time.UTC)}
	w.Authenticator, err = New(Config{
		Keyring: keys, Now: func() time.Time { return w.now }, PublicURL: engine, Settings: func() policy.WebAuthn { return w.settings },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mary() authenticator.Subject {
	return authenticator.Subject{
		Transaction: "tx1", Challenge: "ch1", UserID: "00uMary", Login: "mary@example.com", FirstName: "Mary", LastName: "Doe",
		Purpose: authenticator.SignIn, App: "Acme", Origins: []string{page},
	}
}

// enroll begins and ends an enrollment, and stores it as the engine does.
func (w *world) enroll(s *authenticator.Subject, d *webauthntest.Device, change ...func(in map[string]string)) error {
	w.Helper()
	p, err := w.BeginEnroll(context.Background(), *s)
	if err != nil {
		w.Fatal(err)
	}
	in := d.Create(p.Public)
	for _, f := range change {
		f(in)
	}
	c, err := w.FinishEnroll(context.Background(), *s, p, in)
	if err != nil {
		return err
	}
	s.Enrolled = append(s.Enrolled, stored(w.T, c, len(s.Enrolled)))
	return nil
}

func stored(t *testing.T, c authenticator.Credential, n int) authenticator.Credential {
	t.Helper()
	data, err := json.Marshal(c)
	if err == nil {
		c = authenticator.Credential{}
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.ID = "fwf" + string(rune('1'+n))
	return c
}

func (w *world) mustEnroll(s *authenticator.Subject, d *webauthntest.Device) {
	w.Helper()
	if err := w.enroll(s, d); err != nil {
		w.Fatal(err)
	}
}

// verify begins and ends a challenge, and stores what it changes.
func (w *world) verify(s *authenticator.Subject, d *webauthntest.Device, k *webauthntest.Key, change ...func(in map[string]string)) (authenticator.Proof, error) {
	w.Helper()
	p, err := w.BeginVerify(context.Background(), *s)
	if err != nil {
		w.Fatal(err)
	}
	in := d.Get(p.Public, k)
	for _, f := range change {
		f(in)
	}
	proof, err := w.FinishVerify(context.Background(), *s, p, in)
	for i := range s.Enrolled {
		if err == nil && s.Enrolled[i].ID == proof.Credential.ID {
			s.Enrolled[i] = proof.Credential
		}
	}
	return proof, err
}

func rejected(err error) bool {
	var r *authenticator.Rejected
	return errors.As(err, &r) && r.Messages[0].Key == "oie.authenticator.enroll.error.fail"
}

func wrong(err error) bool {
	var w *authenticator.Wrong
	return errors.As(err, &w) && errors.Is(err, authenticator.ErrWrong) &&
		w.Message.Key == "authfactor.webauthn.error.assertion_validation_failure"
}

func TestAUTH_A30_EnrolAndVerify(t *testing.T) {
	for name, d := range map[string]*webauthntest.Device{
		"platform":        {Origin: page, Verifies: true, Transports: []string{"internal", "hybrid"}},
		"security key":    {Origin: page, Counts: true, Transports: []string{"usb"}},
		"Ed25519":         {Origin: page, Ed25519: true},
		"synced":          {Origin: page, BackupEligible: true, BackedUp: true},
		"engine's page":   {Origin: engine, Verifies: true},
		"self-attested":   {Origin: page, Attest: selfAttested},
		"with its maker":  {Origin: page, AAGUID: acme, Attest: webauthntest.NewMaker(t).Attest},
		"without waiting": {Origin: page, Verifies: true, Transports: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := newWorld(t), mary()
			w.mustEnroll(&s, d)
			if got := s.Enrolled[0]; got.VerifiesUser != d.Verifies || got.Public["credentialId"] != encode(d.Keys[0].ID) {
				t.Fatalf("enrolled %+v", got)
			}
			for range 2 {
				proof, err := w.verify(&s, d, d.Keys[0])
				if err != nil || proof.UserVerified != d.Verifies || proof.Credential.ID != s.Enrolled[0].ID {
					t.Fatalf("%+v, %v", proof, err)
				}
			}
			var c credential
			if err := json.Unmarshal(s.Enrolled[0].Data, &c); err != nil || c.BackedUp != d.BackedUp || c.Counter != d.Keys[0].Counter {
				t.Fatalf("%+v, %v", c, err)
			}
		})
	}
}

// TestAUTH_A31 and its like change one thing of an answer that is right otherwise.
func TestAUTH_A31_A32_A33_SEC_S51_RefusedEnrollments(t *testing.T) {
	claim := func(key string, value any) func(map[string]any) { return func(m map[string]any) { m[key] = value } }
	for name, d := range map[string]*webauthntest.Device{
		"foreign origin":         {Origin: "https://evil.example"},
		"origin with a path":     {Origin: page, Client: claim("origin", page+"/")},
		"origin in capitals":     {Origin: page, Client: claim("origin", "HTTP://localhost:8080")},
		"another port":           {Origin: "http://localhost:8081"},
		"embedded elsewhere":     {Origin: page, Client: claim("crossOrigin", true)},
		"top origin":             {Origin: page, Client: claim("topOrigin", page)},
		"rpId of another site":   {Origin: page, RPID: "evil.example"},
		"another challenge":      {Origin: page, Client: claim("challenge", encode(make([]byte, 32)))},
		"no challenge":           {Origin: page, Client: claim("challenge", "")},
		"an assertion's type":    {Origin: page, Client: claim("type", "webauthn.get")},
		"nobody there":           {Origin: page, Absent: true},
		"backed up, and can not": {Origin: page, BackedUp: true},
		"unknown format": {Origin: page, Attest: func(_, _ []byte, _ crypto.Signer) (string, map[string]any) {
			return "acme", map[string]any{}
		}},
		"none, with a statement": {Origin: page, Attest: func(_, _ []byte, _ crypto.Signer) (string, map[string]any) {
			return "none", map[string]any{"alg": -7}
		}},
		"forged statement": {Origin: page, Attest: func(_, _ []byte, k crypto.Signer) (string, map[string]any) {
			return "packed", map[string]any{"alg": -7, "sig": webauthntest.Sign(k, []byte("something else"))}
		}},
		"another algorithm": {Origin: page, Data: func(b []byte) []byte { // ES384's number on a P-256 key
			return []byte(strings.Replace(string(b), "\xa5\x01\x02\x03\x26", "\xa5\x01\x02\x03\x38\x22", 1))
		}},
		"algorithm none": {Origin: page, Data: func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "\xa5\x01\x02\x03\x26", "\xa5\x01\x02\x03\x00", 1))
		}},
		"cut":            {Origin: page, Data: func(b []byte) []byte { return b[:len(b)-1] }},
		"bytes after it": {Origin: page, Data: func(b []byte) []byte { return append(b, 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := mary()
			if err := newWorld(t).enroll(&s, d); !rejected(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
	for name, change := range map[string]func(map[string]string){
		"not base64":      func(in map[string]string) { in["attestation"] = "%%%" },
		"not CBOR":        func(in map[string]string) { in["attestation"] = encode([]byte("hello")) },
		"oversize":        func(in map[string]string) { in["attestation"] += strings.Repeat("A", 88<<10) },
		"client not JSON": func(in map[string]string) { in["clientData"] = encode([]byte("{")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := mary()
			if err := newWorld(t).enroll(&s, &webauthntest.Device{Origin: page}, change); !rejected(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestAUTH_A31_A32_SEC_S51_RefusedAssertions(t *testing.T) {
	claim := func(key string, value any) func(map[string]any) { return func(m map[string]any) { m[key] = value } }
	for name, change := range map[string]func(*webauthntest.Device){
		"foreign origin":      func(d *webauthntest.Device) { d.Origin = "https://evil.example"; d.RPID = "localhost" },
		"rpId of the origin":  func(d *webauthntest.Device) { d.RPID = "evil.example" },
		"another challenge":   func(d *webauthntest.Device) { d.Client = claim("challenge", encode(make([]byte, 32))) },
		"a creation's type":   func(d *webauthntest.Device) { d.Client = claim("type", "webauthn.create") },
		"embedded elsewhere":  func(d *webauthntest.Device) { d.Client = claim("crossOrigin", true) },
		"nobody there":        func(d *webauthntest.Device) { d.Absent = true },
		"eligibility changed": func(d *webauthntest.Device) { d.BackupEligible = true },
		"not for this host":   func(d *webauthntest.Device) { d.Origin = engine; d.RPID = "id.example.com" },
		"of another user":     func(d *webauthntest.Device) { d.Keys[0].Handle = []byte("00uEve") },
	} {
		t.Run(name, func(t *testing.T) {
			w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Verifies: true}
			w.mustEnroll(&s, d)
			change(d)
			if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
	for name, change := range map[string]func(map[string]string){
		"signature changed": func(in map[string]string) { in["signatureData"] = encode([]byte("nothing")) },
		"data changed":      func(in map[string]string) { in["authenticatorData"] = "A" + in["authenticatorData"][1:] },
		"one part missing":  func(in map[string]string) { in["signatureData"] = "" },
		"data cut":          func(in map[string]string) { in["authenticatorData"] = "AAAA" },
	} {
		t.Run(name, func(t *testing.T) {
			w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page}
			w.mustEnroll(&s, d)
			if _, err := w.verify(&s, d, d.Keys[0], change); !wrong(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestSEC_S51_ChallengesAreBound(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Verifies: true}
	w.mustEnroll(&s, d)
	p, err := w.BeginVerify(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	in := d.Get(p.Public, d.Keys[0])
	for name, change := range map[string]func(*authenticator.Subject){
		"transaction": func(s *authenticator.Subject) { s.Transaction = "tx2" },
		"challenge":   func(s *authenticator.Subject) { s.Challenge = "ch2" },
		"purpose":     func(s *authenticator.Subject) { s.Purpose = authenticator.Recovery },
	} {
		other := s
		change(&other)
		if _, err := w.FinishVerify(context.Background(), other, p, in); !wrong(err) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	w.now = w.now.Add(lifetime)
	if _, err := w.FinishVerify(context.Background(), s, p, in); !errors.As(err, new(*authenticator.Rejected)) {
		t.Errorf("at its end: %v, want a refusal that is no guess", err)
	}
	w.now = w.now.Add(-time.Second)
	if _, err := w.FinishVerify(context.Background(), s, p, in); err != nil {
		t.Errorf("before its end: %v", err)
	}
	next, err := w.BeginVerify(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishVerify(context.Background(), s, next, in); !wrong(err) {
		t.Errorf("in answer to the next question: %v", err)
	}
}

func TestSEC_S51_Counter(t *testing.T) {
	for name, c := range map[string]struct {
		kept, given uint32
		ok          bool
	}{
		"grows": {5, 6, true}, "leaps": {5, 5000, true}, "stands still": {5, 5, false}, "goes back": {5, 4, false},
		"has none": {0, 0, true}, "begins": {0, 1, true}, "falls silent": {5, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page}
			d.Data = func(b []byte) []byte { binary.BigEndian.PutUint32(b[33:], c.kept); return b }
			w.mustEnroll(&s, d)
			d.Data = func(b []byte) []byte { binary.BigEndian.PutUint32(b[33:], c.given); return b }
			_, err := w.verify(&s, d, d.Keys[0])
			if c.ok != (err == nil) {
				t.Fatalf("got %v", err)
			}
			var told *authenticator.Wrong
			if !c.ok && (!errors.As(err, &told) || told.Reason != counterReason) {
				t.Fatalf("got %v, want a reason for the audit log", err)
			}
		})
	}
}

func TestAUTH_A34_OptionalValues(t *testing.T) {
	for given, want := range map[string][]any{
		"":                          {},
		`["usb","nfc"]`:             {"usb", "nfc"},
		`["usb","usb","U S B",""]`:  {"usb"},
		`usb,nfc`:                   {},
		`{"a":1}`:                   {},
		`["<b>","\u0000","hybrid"]`: {"hybrid"},
		"[" + strings.Repeat(`"usb",`, 1000) + `"usb"]`: {},
	} {
		w, s := newWorld(t), mary()
		err := w.enroll(&s, &webauthntest.Device{Origin: page}, func(in map[string]string) {
			in["transports"], in["clientExtensions"] = given, `{"credProps":`
		})
		if err != nil {
			t.Fatalf("%.40s: %v", given, err)
		}
		got, _ := s.Enrolled[0].Public["transports"].([]any)
		if !slices.Equal(got, want) {
			t.Errorf("%.40s: got %v", given, got)
		}
	}
}

// okta-auth-js sends plain base64, whatever its helper is called.
func TestAUTH_A34_Base64(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page}
	d.AAGUID = [16]byte{0xfb, 0xff, 0xfe, 0xfb, 0xff, 0xfe, 0xfb, 0xff, 0xfe} // of which both alphabets make something else
	plain := func(in map[string]string) {
		for name, value := range in {
			if b, err := base64.RawURLEncoding.DecodeString(value); err == nil {
				in[name] = base64.StdEncoding.EncodeToString(b)
			}
		}
		if !strings.ContainsAny(in["clientData"]+in["attestation"]+in["signatureData"], "+/=") {
			t.Fatal("it is base64url too")
		}
	}
	if err := w.enroll(&s, d, plain); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verify(&s, d, d.Keys[0], plain); err != nil {
		t.Fatal(err)
	}
}

func TestAUTH_A35_WhatIsAsked(t *testing.T) {
	w, s := newWorld(t), mary()
	enroll, err := w.BeginEnroll(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	verify, err := w.BeginVerify(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if enroll.Public["challengeData"] != nil || verify.Public["activationData"] != nil {
		t.Fatal("a question of both kinds")
	}
	data := enroll.Public["activationData"].(map[string]any)
	if _, has := data["rp"].(map[string]any)["id"]; has {
		t.Error("rp.id was sent, and nobody has chosen one")
	}
	if id := data["user"].(map[string]any)["id"]; id != encode([]byte("00uMary")) {
		t.Errorf("user.id %v", id)
	}
	first, second := data["challenge"].(string), verify.Public["challengeData"].(map[string]any)["challenge"].(string)
	if first == second || len(first) != 43 {
		t.Errorf("challenges %q and %q", first, second)
	}
	w.settings.RPID, s.VerifyUser = "example.com", true
	if enroll, err = w.BeginEnroll(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if verify, err = w.BeginVerify(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	rp := enroll.Public["activationData"].(map[string]any)["rp"].(map[string]any)
	asked := verify.Public["challengeData"].(map[string]any)
	if rp["id"] != "example.com" || asked["rpId"] != "example.com" || asked["userVerification"] != "required" {
		t.Errorf("rp %v, challengeData %v", rp, asked)
	}
}

func TestSEC_S51_RPIDOfTheOrganisation(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: "https://app.example.com"}
	s.Origins = []string{"https://app.example.com", "https://www.example.com"}
	w.settings.RPID = "example.com"
	w.mustEnroll(&s, d)
	d.Origin = "https://www.example.com"
	if _, err := w.verify(&s, d, d.Keys[0]); err != nil {
		t.Fatalf("on another host of the domain: %v", err)
	}
	w.settings.RPID = ""
	if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) {
		t.Fatalf("after the domain was changed: %v", err)
	}
}

func TestAUTH_A36_AnyOfSeveralKeys(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Transports: []string{"usb"}}
	for range 3 {
		w.mustEnroll(&s, d)
	}
	d.Transports = []string{"internal"}
	w.mustEnroll(&s, d)
	var names []string
	for i, c := range s.Enrolled {
		names = append(names, c.Name)
		proof, err := w.verify(&s, d, d.Keys[i])
		if err != nil || proof.Credential.ID != c.ID {
			t.Errorf("key %d: %v, %v", i, proof.Credential.ID, err)
		}
	}
	if want := []string{"Security key", "Security key 2", "Security key 3", "This device"}; !slices.Equal(names, want) {
		t.Errorf("names %q", names)
	}
}

func TestAUTH_A38_UserVerification(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page}
	w.mustEnroll(&s, d)
	s.VerifyUser = true
	if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) {
		t.Errorf("of nobody in particular: %v", err)
	}
	if err := w.enroll(&s, d); !rejected(err) {
		t.Errorf("enrolled for nobody in particular: %v", err)
	}
	d.Verifies = true
	proof, err := w.verify(&s, d, d.Keys[0])
	if err != nil || !proof.UserVerified || !proof.Credential.VerifiesUser {
		t.Errorf("%+v, %v", proof, err)
	}
}

func TestAUTH_A37_Discovery(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Verifies: true}
	w.mustEnroll(&s, d)
	whoever := authenticator.Subject{Transaction: "tx2", Challenge: "discovery0", Purpose: authenticator.SignIn, App: "Acme", Origins: []string{page}}
	ask := func(s authenticator.Subject) authenticator.Prompt {
		p, err := w.BeginDiscover(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	in := d.Get(ask(whoever).Public, d.Keys[0])
	id, ok := w.Discover(in)
	if !ok || id != s.UserID {
		t.Fatalf("it is %q's", id)
	}
	found := whoever
	found.UserID, found.Enrolled = s.UserID, s.Enrolled
	w.now = w.now.Add(4 * time.Minute)
	if proof, err := w.FinishVerify(context.Background(), found, ask(found), in); err != nil || !proof.UserVerified {
		t.Fatalf("%+v, %v", proof, err)
	}
	next := found
	next.Challenge = "discovery1"
	if _, err := w.FinishVerify(context.Background(), next, ask(next), in); !wrong(err) {
		t.Errorf("SEC S-51: in answer to the next question: %v", err)
	}
	other := found
	other.Transaction = "tx3"
	if _, err := w.FinishVerify(context.Background(), other, ask(other), in); !wrong(err) {
		t.Errorf("SEC S-51: in another transaction: %v", err)
	}
	d.Verifies = false
	bare := d.Get(ask(whoever).Public, d.Keys[0])
	if _, err := w.FinishVerify(context.Background(), found, ask(found), bare); !wrong(err) {
		t.Errorf("SEC S-51: without user verification: %v", err)
	}
	later := ask(found)
	w.now = w.now.Add(lifetime)
	if _, err := w.FinishVerify(context.Background(), found, later, in); !errors.As(err, new(*authenticator.Rejected)) {
		t.Errorf("past its time: %v", err)
	}
	for _, handle := range []string{"", "%", encode([]byte("../x")), encode([]byte(strings.Repeat("a", 65)))} {
		if id, ok := w.Discover(authenticator.Input{"userHandle": handle}); ok {
			t.Errorf("handle %q names %q", handle, id)
		}
	}
}

func TestSEC_S51_FutureChallenge(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Verifies: true}
	w.mustEnroll(&s, d)
	made := encode(w.make(s, w.now.Add(time.Hour)))
	d.Client = func(m map[string]any) { m["challenge"] = made }
	p, err := w.BeginDiscover(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishVerify(context.Background(), s, p, d.Get(p.Public, d.Keys[0])); !wrong(err) {
		t.Fatalf("a challenge of tomorrow: %v", err)
	}
}

func TestNobodysQuestionHasNoRightAnswer(t *testing.T) {
	w, s, d := newWorld(t), mary(), &webauthntest.Device{Origin: page, Verifies: true}
	w.mustEnroll(&s, d)
	s.Enrolled, s.Purpose = nil, authenticator.SignInUnknown
	if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) {
		t.Fatalf("got %v", err)
	}
	p, err := w.BeginVerify(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishVerify(context.Background(), s, p, authenticator.Input{}); !errors.Is(err, authenticator.ErrEmpty) {
		t.Fatalf("an empty answer: %v", err)
	}
}
