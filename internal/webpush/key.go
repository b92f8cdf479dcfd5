package webpush

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/mail"
	"net/url"
	"strings"
)

// A Key is what the engine proves itself with to push services (RFC 8292).
type Key struct{ private, public string }

var errKey = errors.New("webpush: not a key as stile web-push-key makes it")

// NewKey makes one.
func NewKey() (Key, error) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	return keyOf(k), nil
}

// ParseKey reads the form in which keys are written down: 32 bytes in base64url, as
// other tools for Web Push write it. The error tells nothing of the text.
func ParseKey(text string) (Key, error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return Key{}, errKey
	}
	k, err := ecdh.P256().NewPrivateKey(data)
	if err != nil {
		return Key{}, errKey
	}
	return keyOf(k), nil
}

func keyOf(k *ecdh.PrivateKey) Key {
	return Key{base64.RawURLEncoding.EncodeToString(k.Bytes()), base64.RawURLEncoding.EncodeToString(k.PublicKey().Bytes())}
}

// Private is the form that ParseKey reads.
func (k Key) Private() string { return k.private }

// Public is what browsers subscribe with.
func (k Key) Public() string { return k.public }

// String keeps the key out of logs.
func (k Key) String() string { return "web push key" }

// CheckSubject admits what push services may reach the operator by: mailto: with an
// address, or an address of https.
func CheckSubject(s string) error {
	if address, ok := strings.CutPrefix(s, "mailto:"); ok {
		if a, err := mail.ParseAddress(address); err == nil && a.Address == address {
			return nil
		}
	} else if u, err := url.Parse(s); err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil {
		return nil
	}
	return errors.New("webpush: not of the form mailto:ops@example.com or https://example.com/contact")
}
