package webauthn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/internal/policy"
)

func TestModels(t *testing.T) {
	maker, stranger := newMaker(t), newMaker(t)
	list := policy.WebAuthn{Attestation: "direct", AAGUIDs: []string{modelOf(acme[:])}, Roots: []string{maker.pem}}
	for name, c := range map[string]struct {
		device webauthntest.Device
		ok     bool
	}{
		"of the list":            {webauthntest.Device{AAGUID: acme, Attest: maker.attest}, true},
		"of another maker":       {webauthntest.Device{AAGUID: acme, Attest: stranger.attest}, false},
		"another model":          {webauthntest.Device{AAGUID: [16]byte{1}, Attest: maker.attest}, false},
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

// A maker certifies its keys.
type maker struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{key: key, root: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme Keys"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, m.root, m.root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	m.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return m
}

// attest is a packed attestation with a certificate (WebAuthn L3 §8.2.1).
func (m *maker) attest(data, hash []byte, _ crypto.Signer) (string, map[string]any) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	model, err := asn1.Marshal(data[37:53])
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), BasicConstraintsValid: true,
		Subject:   pkix.Name{Country: []string{"US"}, Organization: []string{"Acme"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Acme Key"},
		NotBefore: m.root.NotBefore, NotAfter: m.root.NotAfter,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: model}},
	}, m.root, key.Public(), m.key)
	if err != nil {
		panic(err)
	}
	return "packed", map[string]any{"alg": -7, "sig": webauthntest.Sign(key, slices.Concat(data, hash)), "x5c": []any{der}}
}

// A maker's certificate says which model a key is only where the maker's key has
// signed the model: a key of fido-u2f could name any.
func TestModelsOfOtherAttestations(t *testing.T) {
	m, w := newMaker(t), newWorld(t)
	w.settings = policy.WebAuthn{Attestation: "direct", AAGUIDs: []string{modelOf(acme[:])}, Roots: []string{m.pem}}
	_, statement := m.attest(slices.Concat(make([]byte, 37), acme[:]), make([]byte, 32), nil)
	for format, ok := range map[string]bool{"packed": true, "fido-u2f": false, "android-key": false, "apple": false, "tpm": false, "none": false} {
		object := &protocol.AttestationObject{Format: format, AttStatement: statement}
		if err := w.checkModel(object, modelOf(acme[:])); (err == nil) != ok {
			t.Errorf("%s: %v", format, err)
		}
	}
}
