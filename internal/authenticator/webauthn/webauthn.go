// Package webauthn proves that someone holds a passkey or a security key (W3C Web
// Authentication, level 3).
package webauthn

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
)

// Key is the authenticator's key on the wire.
const Key = "webauthn"

const (
	method = authenticator.Method("webauthn")

	challengeSize = 32
	lifetime      = 5 * time.Minute // of a challenge (SEC S-51)
	maxAnswer     = 64 << 10        // bytes of one value, decoded (SEC S-51)
)

// Config is what an Authenticator is made of.
type Config struct {
	Keyring   *keyring.Keyring       // required; makes the challenges that are kept nowhere
	Now       func() time.Time       // required
	PublicURL string                 // required; where the engine is reached: its own pages may ask for keys
	Settings  func() policy.WebAuthn // what the organisation asks of keys; default: nothing
}

// An Authenticator enrols and checks keys. It is safe for concurrent use.
type Authenticator struct {
	keys     *keyring.Keyring
	now      func() time.Time
	origin   string // of PublicURL
	settings func() policy.WebAuthn
}

// The optional ports that it implements.
var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Discoverer    = (*Authenticator)(nil)
	_ authenticator.Attester      = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Settings == nil {
		c.Settings = func() policy.WebAuthn { return policy.WebAuthn{} }
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case c.Keyring == nil || c.Now == nil:
		return nil, errors.New("webauthn: keyring and clock are required")
	case err != nil:
		return nil, fmt.Errorf("webauthn: public URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, fmt.Errorf("webauthn: public URL %q is not of the form https://host", c.PublicURL)
	}
	return &Authenticator{keys: c.Keyring, now: c.Now, origin: originOf(u), settings: c.Settings}, nil
}

// Info names it as the wire does. What a proof shows is possession of a key, which
// need not be hardware: passkeys are kept by programs too, so it is "pop" and not
// "hwk" (RFC 8176, SEC S-57).
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "security_key", ID: "aut1webauthn00000000", Name: "Security Key or Biometric",
		Methods: []authenticator.Method{method}, EnrollmentPrefix: "fwf", AMR: "pop", Class: policy.Possession,
		PhishingResistant: true, Several: true, VerifiesUser: true, Unguessable: true, Wrong: notAsserted,
		Hardware: a.settings().Attested(),
	}
}

// credential is what an enrollment keeps of a key.
type credential struct {
	ID             []byte `json:"id"`
	PublicKey      []byte `json:"publicKey"` // COSE_Key
	RPID           string `json:"rpId"`      // that it was made for, and is good for alone
	Handle         string `json:"handle"`    // of its user, as the key keeps it
	Counter        uint32 `json:"counter"`
	AAGUID         string `json:"aaguid"`
	Format         string `json:"format"` // of the attestation
	BackupEligible bool   `json:"backupEligible"`
	BackedUp       bool   `json:"backedUp"`
}

// challenge is what a prompt keeps sealed.
type challenge struct {
	Bound   [32]byte  `json:"bound"`
	Value   []byte    `json:"value"` // none: it says itself when it was made
	Ends    time.Time `json:"ends"`
	Verify  bool      `json:"verify"`  // the device must know its owner
	Nowhere bool      `json:"nowhere"` // it was put to whoever is there
}

// BeginEnroll asks for a new key. Browsers leave out rp.id and take the page's host
// where the organisation has not chosen one.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	ch := a.challenge(s)
	settings := a.settings()
	rp := map[string]any{"name": s.App}
	if settings.RPID != "" {
		rp["id"] = settings.RPID
	}
	params := []any{}
	for _, alg := range algorithms {
		params = append(params, map[string]any{"type": "public-key", "alg": int(alg)})
	}
	return a.prompt(ch, map[string]any{"activationData": map[string]any{
		"rp":               rp,
		"user":             map[string]any{"id": encode([]byte(s.UserID)), "name": s.Login, "displayName": displayName(s)},
		"pubKeyCredParams": params,
		"challenge":        encode(ch.Value),
		"attestation":      settings.Conveyance(),
		"timeout":          lifetime.Milliseconds(),
		"authenticatorSelection": map[string]any{
			"residentKey": "preferred", "requireResidentKey": false, "userVerification": verification(ch),
		},
	}}, "clientData", "attestation", "transports?", "clientExtensions?")
}

// BeginVerify asks for an assertion of any of the subject's keys. Which they are the
// engine lists, to whom it may (SEC S-43).
func (a *Authenticator) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	ch := a.challenge(s)
	return a.prompt(ch, map[string]any{"challengeData": a.challengeData(ch, ch.Value)},
		"authenticatorData", "clientData", "signatureData", "userHandle?")
}

func (a *Authenticator) challengeData(ch challenge, value []byte) map[string]any {
	data := map[string]any{
		"challenge": encode(value), "userVerification": verification(ch), "timeout": lifetime.Milliseconds(),
	}
	if id := a.settings().RPID; id != "" {
		data["rpId"] = id
	}
	return data
}

func (a *Authenticator) challenge(s authenticator.Subject) challenge {
	value := make([]byte, challengeSize)
	rand.Read(value)
	return challenge{Bound: a.bind(s), Value: value, Ends: a.now().Add(lifetime), Verify: s.VerifyUser}
}

// labels are those of the recorded forms (AUTH §4.1, §4.2).
var labels = map[string]string{
	"clientData": "Client Data", "attestation": "Attestation", "transports": "Transports", "clientExtensions": "clientExtensions",
	"authenticatorData": "Authenticator Data", "signatureData": "Signature Data", "userHandle": "User Handle",
}

// prompt has fields of those names; a question mark makes one optional.
func (a *Authenticator) prompt(ch challenge, public map[string]any, names ...string) (authenticator.Prompt, error) {
	sealed, err := json.Marshal(ch)
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("webauthn: encode challenge: %w", err)
	}
	p := authenticator.Prompt{Method: method, Sealed: sealed, Public: public, ExpiresAt: ch.Ends, Once: true}
	for _, name := range names {
		f := authenticator.Field{Name: name, Required: true, Hidden: true}
		if n := len(name) - 1; name[n] == '?' {
			f.Name, f.Required = name[:n], false
		}
		f.Label = labels[f.Name]
		p.Fields = append(p.Fields, f)
	}
	return p, nil
}

// bind says what a challenge is good for: this transaction, this question, this
// purpose and nothing else (SEC S-07, S-51).
func (a *Authenticator) bind(s authenticator.Subject) [32]byte {
	return a.keys.MAC("webauthn/challenge", s.Transaction, s.Challenge, string(s.Purpose))
}

// origins are those of pages whose answers count (decision D12).
func (a *Authenticator) origins(s authenticator.Subject) []string {
	return append(slices.Clone(s.Origins), a.origin)
}

// relyingParty is the domain that a key belongs to which a page of origin uses.
func (a *Authenticator) relyingParty(origin string) string {
	if id := a.settings().RPID; id != "" {
		return id
	}
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func verification(ch challenge) string {
	if ch.Verify {
		return "required"
	}
	return "preferred"
}

func displayName(s authenticator.Subject) string {
	switch {
	case s.FirstName != "" && s.LastName != "":
		return s.FirstName + " " + s.LastName
	case s.FirstName+s.LastName != "":
		return s.FirstName + s.LastName
	}
	return s.Login
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// originOf is an address's origin as browsers write it (RFC 6454 §6.1).
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		host = host[:strings.LastIndex(host, ":")]
	}
	return u.Scheme + "://" + host
}
