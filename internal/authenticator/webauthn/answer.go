package webauthn

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
)

// algorithms are those of keys that may be enrolled, the most wanted first; any
// other, "none" among them, is refused (SEC S-51).
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgRS256, webauthncose.AlgEdDSA}

// client is what a browser says of an answer, and has been checked.
type client struct {
	hash   [32]byte // of the client data as it came
	rpID   string   // that an answer from its page must be for
	origin string
}

// checkClient reads the client data of an answer to p: it must be of the ceremony,
// the challenge, and a page that may ask.
func (a *Authenticator) checkClient(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input, ceremony protocol.CeremonyType) (client, challenge, error) {
	var ch challenge
	if err := json.Unmarshal(p.Sealed, &ch); err != nil {
		return client{}, ch, fmt.Errorf("webauthn: decode challenge: %w", err)
	}
	raw, err := decode(in["clientData"])
	if err != nil {
		return client{}, ch, refused("client data", err)
	}
	var data protocol.CollectedClientData
	if err := json.Unmarshal(raw, &data); err != nil {
		return client{}, ch, refused("client data", err)
	}
	bound := a.bind(s)
	if subtle.ConstantTimeCompare(bound[:], ch.Bound[:]) == 0 {
		return client{}, ch, refused("challenge", fmt.Errorf("of another question"))
	}
	value, ends := ch.Value, ch.Ends
	if ch.Nowhere {
		if value, ends, err = a.made(s, data.Challenge); err != nil {
			return client{}, ch, refused("challenge", err)
		}
	}
	if !a.now().Before(ends) {
		return client{}, ch, errTooOld
	}
	// The library compares origins as URLs; browsers write them in one way only.
	if !slices.Contains(a.origins(s), data.Origin) {
		return client{}, ch, refused("origin", fmt.Errorf("%q is none of %q", data.Origin, a.origins(s)))
	}
	if err := data.Verify(encode(value), ceremony, []string{data.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false); err != nil {
		return client{}, ch, refused("client data", err)
	}
	return client{hash: sha256.Sum256(raw), rpID: a.relyingParty(data.Origin), origin: data.Origin}, ch, nil
}

// checkDevice checks what the key says of itself: that it is for this relying party,
// that somebody was there and, where it must, that it knew them.
func checkDevice(d *protocol.AuthenticatorData, rpID string, ch challenge) error {
	want := sha256.Sum256([]byte(rpID))
	if err := d.Verify(want[:], nil, ch.Verify, true); err != nil {
		return refused("authenticator data", err)
	}
	if d.Flags.HasBackupState() && !d.Flags.HasBackupEligible() {
		return refused("authenticator data", fmt.Errorf("backed up, and cannot be"))
	}
	return nil
}

// toURL is what base64url has in place of two characters of base64.
var toURL = strings.NewReplacer("+", "-", "/", "_")

// decode reads base64url and base64, with padding or without: the protocol's
// JavaScript client sends the latter.
func decode(value string) ([]byte, error) {
	value = toURL.Replace(strings.TrimRight(strings.TrimSpace(value), "="))
	if base64.RawURLEncoding.DecodedLen(len(value)) > maxAnswer {
		return nil, fmt.Errorf("over %d bytes", maxAnswer)
	}
	out, err := base64.RawURLEncoding.DecodeString(value)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("empty")
	}
	return out, err
}

func blank(in authenticator.Input, names ...string) bool {
	for _, name := range names {
		if directory.Blank(in[name]) {
			return true
		}
	}
	return false
}

// transports reads the JSON list that browsers send of them; garbage is none.
func transports(value string) []any {
	var list []string
	if len(value) > 512 || json.Unmarshal([]byte(value), &list) != nil {
		return []any{}
	}
	out := []any{}
	for _, t := range list {
		if transport.MatchString(t) && !slices.Contains(out, any(t)) && len(out) < 8 {
			out = append(out, t)
		}
	}
	return out
}

// made checks a challenge that is kept nowhere: it begins with the time at which it
// was made, and ends with what only this keyring makes of it.
func (a *Authenticator) made(s authenticator.Subject, challenge string) ([]byte, time.Time, error) {
	got, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil || len(got) != challengeSize {
		return nil, time.Time{}, fmt.Errorf("not one of ours")
	}
	at := time.UnixMilli(int64(milliseconds(got)))
	want := a.make(s, at)
	if subtle.ConstantTimeCompare(got, want) == 0 || at.After(a.now().Add(time.Minute)) {
		return nil, time.Time{}, fmt.Errorf("not one of ours")
	}
	return want, at.Add(lifetime), nil
}
