package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Statement is what a device says: a JWS signed by its key with ES256, in the
// manner of DPoP (RFC 9449): it is for one address, and for a minute.
type Statement struct {
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	ID       string `json:"jti"`

	Token string `json:"token,omitempty"` // of the link, to enrol
	Name  string `json:"name,omitempty"`  // of the device

	Request string `json:"request,omitempty"` // that is answered: the question's id
	Approve bool   `json:"approve,omitempty"`
	Number  string `json:"number,omitempty"` // that the person chose

	Subscription json.RawMessage `json:"subscription,omitempty"` // by which it is woken; null: it is not any more

	Unique []byte `json:"-"` // of a device that enrols: Credential.Unique
}

// StatementType is the typ of a statement's header: nothing else that is signed
// with the key is one.
const StatementType = "stile-device+jwt"

// Leeway is how far the time of a statement may be from ours.
const Leeway = time.Minute

// The refusals of a statement. ErrClock is one that is right but for its time.
var (
	ErrStatement = errors.New("push: not a statement of this device")
	ErrClock     = errors.New("push: the statement's time is not now")
)

const maxStatement = 4 << 10

// A signed statement has a header and a payload that nothing is known of yet.
func parse(text string) (*jose.JSONWebSignature, error) {
	if len(text) > maxStatement || strings.Count(text, ".") != 2 {
		return nil, ErrStatement
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, ErrStatement
	}
	if typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); typ != StatementType {
		return nil, ErrStatement
	}
	return jws, nil
}

// Device tells which device a statement says it is from. Nothing is verified by that.
func Device(text string) (id string, ok bool) {
	jws, err := parse(text)
	if err != nil {
		return "", false
	}
	id = jws.Signatures[0].Protected.KeyID
	return id, id != ""
}

// verify checks a statement: signed by key, for the address, now.
func (a *Authenticator) verify(text string, key *ecdsa.PublicKey, path string) (Statement, error) {
	var s Statement
	jws, err := parse(text)
	if err != nil {
		return s, err
	}
	payload, err := jws.Verify(key)
	if err != nil || json.Unmarshal(payload, &s) != nil {
		return s, ErrStatement
	}
	if s.Method != "POST" || s.URL != a.base+path || len(s.ID) < 16 || len(s.ID) > 64 {
		return s, ErrStatement
	}
	if d := a.now().Sub(time.Unix(s.IssuedAt, 0)); d > Leeway || d < -Leeway {
		return s, ErrClock
	}
	return s, nil
}

// newKey reads the key that a device shows in the header of the statement by which
// it enrols, and which that is signed with.
func newKey(text string) (*ecdsa.PublicKey, *jose.JSONWebKey, error) {
	jws, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	jwk := jws.Signatures[0].Protected.JSONWebKey
	if jwk == nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, nil, ErrStatement
	}
	key, ok := jwk.Key.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, ErrStatement
	}
	return key, &jose.JSONWebKey{Key: key}, nil
}
