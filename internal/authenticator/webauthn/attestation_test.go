package webauthn

import (
	"crypto"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/internal/policy"
)

func TestModels(t *testing.T) {
	maker, stranger := webauthntest.NewMaker(t), webauthntest.NewMaker(t)
	list := policy.WebAuthn{Attestation: "direct", AAGUIDs: []string{modelOf(acme[:])}, Roots: []string{maker.PEM}}
	for name, c := range map[string]struct {
		device webauthntest.Device
		ok     bool
	}{
		"of the list":            {webauthntest.Device{AAGUID: acme, Attest: maker.Attest}, true},
		"of another maker":       {webauthntest.Device{AAGUID: acme, Attest: stranger.Attest}, false},
		"another model":          {webauthntest.Device{AAGUID: [16]byte{1}, Attest: maker.Attest}, false},
		"says so itself":         {webauthntest.Device{AAGUID: acme, Attest: selfAttested}, false},
		"says nothing":           {webauthntest.Device{AAGUID: acme}, false},
		"nothing, and no number": {webauthntest.Device{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := newWorld(t), mary()
			w.settings, c.device.Origin = list, page
			if err := w.enroll(&s, &c.device); c.ok != (err == nil) || !c.ok && !rejected(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

var acme = [16]byte{0xac, 0xe0, 0, 1}

func selfAttested(data, hash []byte, k crypto.Signer) (string, map[string]any) {
	return "packed", map[string]any{"alg": -7, "sig": webauthntest.Sign(k, slices.Concat(data, hash))}
}

// phrh: hardware is known to keep a key whose maker has said so, of a model that is still trusted.
func TestAUTH_12_1_Hardware(t *testing.T) {
	maker := webauthntest.NewMaker(t)
	list := policy.WebAuthn{Attestation: "direct", AAGUIDs: []string{modelOf(acme[:])}, Roots: []string{maker.PEM}}
	attested := func() *webauthntest.Device {
		return &webauthntest.Device{Origin: page, AAGUID: acme, Attest: maker.Attest, Verifies: true}
	}
	t.Run("attested", func(t *testing.T) {
		w, s, d := newWorld(t), mary(), attested()
		w.settings, s.Hardware = list, true
		w.mustEnroll(&s, d)
		proof, err := w.verify(&s, d, d.Keys[0])
		if err != nil || !proof.Hardware || !proof.Credential.Hardware || !w.Info().Hardware || !w.Attested(proof.Credential) {
			t.Fatalf("%+v, %v", proof, err)
		}
		w.settings.AAGUIDs = []string{modelOf(make([]byte, 16))}
		if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) || w.Attested(proof.Credential) {
			t.Errorf("its model is trusted no more: %v", err)
		}
		s.Hardware = false
		if proof, err := w.verify(&s, d, d.Keys[0]); err != nil || proof.Hardware {
			t.Errorf("its model is trusted no more, and nobody asks: %+v, %v", proof, err)
		}
	})
	t.Run("from before anybody asked", func(t *testing.T) {
		w, s, d := newWorld(t), mary(), attested()
		w.mustEnroll(&s, d)
		if w.settings = list; s.Enrolled[0].Hardware {
			t.Error("it passes for hardware")
		}
		s.Hardware = true
		if _, err := w.verify(&s, d, d.Keys[0]); !wrong(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("can be copied", func(t *testing.T) {
		w, s, d := newWorld(t), mary(), attested()
		d.BackupEligible, w.settings, s.Hardware = true, list, true
		if err := w.enroll(&s, d); !rejected(err) {
			t.Errorf("got %v", err)
		}
		s.Hardware = false
		if w.mustEnroll(&s, d); s.Enrolled[0].Hardware {
			t.Error("it passes for hardware")
		}
	})
}

// A maker's certificate says which model a key is only where the maker's key has
// signed the model: a key of fido-u2f could name any.
func TestModelsOfOtherAttestations(t *testing.T) {
	m, w := webauthntest.NewMaker(t), newWorld(t)
	w.settings = policy.WebAuthn{Attestation: "direct", AAGUIDs: []string{modelOf(acme[:])}, Roots: []string{m.PEM}}
	_, statement := m.Attest(slices.Concat(make([]byte, 37), acme[:]), make([]byte, 32), nil)
	for format, ok := range map[string]bool{"packed": true, "fido-u2f": false, "android-key": false, "apple": false, "tpm": false, "none": false} {
		object := &protocol.AttestationObject{Format: format, AttStatement: statement}
		if err := w.checkModel(object, modelOf(acme[:])); (err == nil) != ok {
			t.Errorf("%s: %v", format, err)
		}
	}
}
