package webauthntest

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
)

// A Maker certifies its keys.
type Maker struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  string
}

// NewMaker makes one, and the certificate of its that others trust.
func NewMaker(t testing.TB) *Maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &Maker{key: key, root: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme Keys"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, m.root, m.root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	m.PEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return m
}

// Attest is a packed attestation with a certificate (WebAuthn L3 §8.2.1).
func (m *Maker) Attest(data, hash []byte, _ crypto.Signer) (string, map[string]any) {
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
	return "packed", map[string]any{"alg": -7, "sig": Sign(key, slices.Concat(data, hash)), "x5c": []any{der}}
}
