package push

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oath"
)

// The paths under the public URL that statements of a device are for.
const (
	PathEnroll   = "/device/v1/enroll"
	PathRequests = "/device/v1/requests"
	PathAnswer   = "/device/v1/answer"
	PathRename   = "/device/v1/rename"
	PathLeave    = "/device/v1/leave"
	PathWake     = "/device/v1/wake"
)

// window is how many steps to either side a one-time code may be off (SEC S-52).
const window = 1

// MaxName is the most characters of a device's name.
const MaxName = 50

// device is what an enrollment keeps.
type device struct {
	Key    json.RawMessage `json:"key"` // public, a JWK
	Secret oath.Secret     `json:"secret"`
	Step   int64           `json:"step,omitempty"` // of the last code that was taken; no earlier one is any more
	Wake   json.RawMessage `json:"wake,omitempty"` // the subscription by which it is woken
}

func open(c authenticator.Credential) (d device, key *ecdsa.PublicKey, err error) {
	var jwk jose.JSONWebKey
	if err = json.Unmarshal(c.Data, &d); err == nil {
		err = jwk.UnmarshalJSON(d.Key)
	}
	key, ok := jwk.Key.(*ecdsa.PublicKey)
	if err == nil && !ok {
		err = fmt.Errorf("key of type %T", jwk.Key)
	}
	if err != nil {
		return d, nil, fmt.Errorf("push: credential: %w", err)
	}
	return d, key, nil
}

// FinishEnroll takes the statement "proof" of a new device, which holds the key
// that it is signed with, and the token of the question's link.
func (a *Authenticator) FinishEnroll(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	said, c, err := a.enrolling(in["proof"])
	l, ok := a.ReadLink(said.Token)
	if err != nil || !ok || l.Transaction != s.Transaction || l.Challenge != s.Challenge || !a.now().Before(l.ExpiresAt) {
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return c, nil
}

// Enrolling reads the statement by which a device enrols. The error is
// ErrStatement or ErrClock.
func (a *Authenticator) Enrolling(proof string) (Statement, error) {
	said, c, err := a.enrolling(proof)
	said.Unique = c.Unique
	return said, err
}

func (a *Authenticator) enrolling(proof string) (Statement, authenticator.Credential, error) {
	key, jwk, err := newKey(proof)
	if err != nil {
		return Statement{}, authenticator.Credential{}, err
	}
	said, err := a.verify(proof, key, PathEnroll)
	if err != nil {
		return said, authenticator.Credential{}, err
	}
	name, err := directory.ParseName(said.Name, MaxName)
	if err != nil {
		return said, authenticator.Credential{}, ErrStatement
	}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return said, authenticator.Credential{}, ErrStatement
	}
	d := device{Secret: oath.NewSecret()}
	if d.Key, err = jwk.MarshalJSON(); err != nil {
		return said, authenticator.Credential{}, ErrStatement
	}
	return said, named(authenticator.Credential{Data: encode(d), Unique: print}, name), nil
}

func encode(d device) []byte {
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // bytes and numbers always encode
	}
	return data
}

func named(c authenticator.Credential, name string) authenticator.Credential {
	c.Name, c.Profile = name, map[string]string{"deviceName": name}
	return c
}

// Named calls a device something else, in its profile too.
func (a *Authenticator) Named(c authenticator.Credential, name string) authenticator.Credential {
	return named(c, name)
}

// Rename gives a device another name; ok is false for one that cannot be.
func Rename(c authenticator.Credential, name string) (_ authenticator.Credential, ok bool) {
	name, err := directory.ParseName(name, MaxName)
	return named(c, name), err == nil
}

// Wake makes a credential whose device is woken by a subscription; nil: it is not.
func Wake(c authenticator.Credential, subscription []byte) (authenticator.Credential, error) {
	d, _, err := open(c)
	if err != nil {
		return c, err
	}
	d.Wake = subscription
	c.Data = encode(d)
	return c, nil
}

// WokenBy is the subscription by which a device is woken; nil: it is not.
func WokenBy(c authenticator.Credential) []byte {
	var d device
	if json.Unmarshal(c.Data, &d) != nil {
		return nil
	}
	return d.Wake
}

// Said reads a statement of a device that is enrolled, made for a path. The error
// is ErrStatement, ErrClock or a credential that cannot be read.
func (a *Authenticator) Said(c authenticator.Credential, text, path string) (Statement, error) {
	_, key, err := open(c)
	if err != nil {
		return Statement{}, err
	}
	return a.verify(text, key, path)
}

// Secret is what a device makes its codes of, in the base32 that apps read.
func Secret(c authenticator.Credential) (string, error) {
	d, _, err := open(c)
	return d.Secret.String(), err
}
