package idx

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDocument: no answer of an engine, however odd, makes the client panic, and
// nothing is posted but what the form asked for.
func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no documents")
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{
		`null`, `[]`, `{"version":"1.0.0"}`,
		`{"version":"1.0.0","remediation":{"value":[null,1,{"name":"a","rel":[],"href":"x","value":[{"name":"b","options":[{"value":{"form":{"value":[{"name":"id"}]}}},null]}]}]}}`,
		`{"version":"1.0.0","remediation":{"value":[{"name":"identify","relatesTo":["$."],"value":[{"name":"credentials","form":{"value":[{"name":"passcode","form":{"value":[{}]}}]}}]}]}}`,
		`{"version":"1.0.0","remediation":{"value":[{"name":"x","relatesTo":"$.a[99999999999999999999]"}]},"a":[1]}`,
		`{"version":"1.0.0","messages":{"value":[{"i18n":null,"params":[1]}]},"user":{"value":[]},"expiresAt":5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseDocument(body)
		if err != nil {
			return
		}
		tx := d.transaction(&state{state: "s"})
		if _, err := json.Marshal(tx); err != nil {
			t.Fatalf("marshal: %v", err)
		}
		_ = tx.String()
		p := Profile{FirstName: "a", Email: "b"}
		a := Input{
			VerificationCode: "1", Password: "p", Username: "u", Authenticator: "okta_email", Skip: true, Profile: &p,
			Values: map[string]any{"questionKey": "custom", "a.b": true},
		}.answer()
		for _, form := range append(d.forms, d.actions...) {
			fits := d.fits(form, a)
			body, used := form.body(a.to(form))
			if _, err := json.Marshal(body); err != nil {
				t.Fatalf("body: %v", err)
			}
			names := map[string]bool{}
			for _, fd := range form.fields {
				names[fd.name] = true
			}
			for name := range body {
				if !names[name] {
					t.Errorf("%q was not asked for", name)
				}
			}
			if fits && len(used) == 0 && form.name != "skip" && form.name != "select-enroll-profile" && !form.asksProfile() {
				t.Errorf("%s fits and takes nothing", form.name)
			}
			_ = tx.Step(form.name)
		}
	})
}

// FuzzResume: no text makes UnmarshalText panic, and what it takes comes back.
func FuzzResume(f *testing.F) {
	good, err := Transaction{state: &state{handle: "ih.1", verifier: "v", state: "s", nonce: "n", client: "c"}}.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(string(good[:len(good)-3]))
	f.Add("idx1.")
	f.Add("idx2." + string(good[5:]))
	f.Add("idx1.bnVsbA")
	f.Fuzz(func(t *testing.T, text string) {
		var tx Transaction
		if tx.UnmarshalText([]byte(text)) != nil {
			return
		}
		again, err := tx.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var second Transaction
		if err := second.UnmarshalText(again); err != nil {
			t.Fatal(err)
		}
		if tx.State() != second.State() || tx.state.handle != second.state.handle || tx.state.verifier != second.state.verifier {
			t.Error("the second reading differs")
		}
	})
}

// FuzzJWT: no token makes the parser panic, and none has two spellings.
func FuzzJWT(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.c2ln")
	f.Add("e30.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseJWT(raw)
		if err != nil {
			return
		}
		if strings.ContainsAny(raw, "\r\n=") || !utf8.ValidString(raw) || p.kid == "" {
			t.Errorf("%q was taken", raw)
		}
	})
}
