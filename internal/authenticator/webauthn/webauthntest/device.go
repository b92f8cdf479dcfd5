// Package webauthntest is a software authenticator with the browser around it, for tests.
package webauthntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// A Device makes keys and answers with them. The zero value of everything but
// Origin is that of a security key without a PIN, on a well-behaved browser.
type Device struct {
	Origin string // of the page that asks
	RPID   string // default: as the options have it, else Origin's host

	Verifies       bool // it knows its user
	Absent         bool // nobody touches it
	Counts         bool // it has a signature counter
	BackupEligible bool
	BackedUp       bool
	Transports     []string
	AAGUID         [16]byte
	Ed25519        bool

	// Client changes the client data, and Data the authenticator data, before they are signed.
	Client func(map[string]any)
	Data   func([]byte) []byte
	// Attest makes the attestation statement; nil: none.
	Attest func(authData, clientHash []byte, key crypto.Signer) (format string, statement map[string]any)

	Keys []*Key
}

// A Key is one credential.
type Key struct {
	ID, Handle []byte
	RPID       string
	Counter    uint32
	Signer     crypto.Signer
}

// Create answers activationData: the values of the form by name.
func (d *Device) Create(public map[string]any) map[string]string {
	options := plain(public["activationData"])
	user, _ := options["user"].(map[string]any)
	rp, _ := options["rp"].(map[string]any)
	k := &Key{ID: make([]byte, 20), Handle: decode(user["id"]), RPID: d.rpID(rp["id"]), Signer: d.newSigner()}
	rand.Read(k.ID)
	if d.Counts {
		k.Counter = 1
	}
	d.Keys = append(d.Keys, k)
	data := d.data(k, 0x40)
	data = append(data, d.AAGUID[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.ID)))
	data = append(data, k.ID...)
	data = append(data, cose(k.Signer.Public())...)
	if d.Data != nil {
		data = d.Data(data)
	}
	client, hash := d.client("webauthn.create", options)
	format, statement := "none", map[string]any{}
	if d.Attest != nil {
		format, statement = d.Attest(data, hash, k.Signer)
	}
	object := encodeCBOR(map[string]any{"fmt": format, "attStmt": statement, "authData": data})
	in := map[string]string{"clientData": encode(client), "attestation": encode(object)}
	if d.Transports != nil {
		list, _ := json.Marshal(d.Transports)
		in["transports"] = string(list)
	}
	return in
}

// Get answers challengeData with k: the values of the form by name.
func (d *Device) Get(public map[string]any, k *Key) map[string]string {
	options := plain(public["challengeData"])
	if d.Counts {
		k.Counter++
	}
	data := d.data(k, 0)
	if d.RPID != "" || options["rpId"] != nil {
		hash := sha256.Sum256([]byte(d.rpID(options["rpId"])))
		copy(data, hash[:])
	}
	if d.Data != nil {
		data = d.Data(data)
	}
	client, hash := d.client("webauthn.get", options)
	return map[string]string{
		"clientData": encode(client), "authenticatorData": encode(data),
		"signatureData": encode(Sign(k.Signer, slices.Concat(data, hash))), "userHandle": encode(k.Handle),
	}
}

// Sign signs as keys do.
func Sign(s crypto.Signer, message []byte) []byte {
	hash, opts := sha256.Sum256(message), crypto.SignerOpts(crypto.SHA256)
	digest := hash[:]
	if _, ok := s.(ed25519.PrivateKey); ok {
		digest, opts = message, crypto.Hash(0)
	}
	out, err := s.Sign(rand.Reader, digest, opts)
	if err != nil {
		panic(err)
	}
	return out
}

func (d *Device) newSigner() crypto.Signer {
	if d.Ed25519 {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func (d *Device) rpID(asked any) string {
	if d.RPID != "" {
		return d.RPID
	}
	if id, _ := asked.(string); id != "" {
		return id
	}
	u, err := url.Parse(d.Origin)
	if err != nil {
		panic(err)
	}
	return u.Hostname()
}

func (d *Device) data(k *Key, flags byte) []byte {
	for flag, on := range map[byte]bool{0x01: !d.Absent, 0x04: d.Verifies, 0x08: d.BackupEligible, 0x10: d.BackedUp} {
		if on {
			flags |= flag
		}
	}
	hash := sha256.Sum256([]byte(k.RPID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), k.Counter)
}

func (d *Device) client(ceremony string, options map[string]any) (raw, hash []byte) {
	data := map[string]any{"type": ceremony, "challenge": options["challenge"], "origin": d.Origin, "crossOrigin": false}
	if d.Client != nil {
		d.Client(data)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return raw, sum[:]
}

func cose(public crypto.PublicKey) []byte {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return encodeCBOR(map[int]any{1: 1, 3: -8, -1: 6, -2: []byte(k)})
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		return encodeCBOR(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	}
	panic("webauthntest: unknown key")
}

func plain(v any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

func encodeCBOR(v any) []byte {
	out, err := webauthncbor.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(v any) []byte {
	s, _ := v.(string)
	out, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return out
}
