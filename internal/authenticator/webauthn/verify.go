package webauthn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// counterReason is why an answer was refused whose key may have a copy, for the audit log.
const counterReason = "COUNTER_WENT_BACK"

// FinishVerify accepts an assertion of one of the subject's keys (WebAuthn L3 §7.2).
// Answers do not say which one they are of, so each is tried.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if blank(in, "clientData", "authenticatorData", "signatureData") {
		if blank(in, "clientData") && blank(in, "authenticatorData") && blank(in, "signatureData") {
			return authenticator.Proof{}, authenticator.ErrEmpty
		}
		return authenticator.Proof{}, notVerified("")
	}
	proof, reason, err := a.asserted(s, p, in)
	if errors.Is(err, authenticator.ErrWrong) {
		if errors.Is(err, errTooOld) { // it may have been right: that is no guess
			return authenticator.Proof{}, &authenticator.Rejected{Messages: []problem.Message{notAsserted}}
		}
		err = fmt.Errorf("%w: %w", notVerified(reason), err)
	}
	return proof, err
}

func (a *Authenticator) asserted(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (_ authenticator.Proof, reason string, _ error) {
	var none authenticator.Proof
	from, ch, err := a.checkClient(s, p, in, protocol.AssertCeremony)
	if err != nil {
		return none, "", err
	}
	raw, err := decode(in["authenticatorData"])
	if err != nil {
		return none, "", refused("authenticator data", err)
	}
	signature, err := decode(in["signatureData"])
	if err != nil {
		return none, "", refused("signature", err)
	}
	var device protocol.AuthenticatorData
	if err := device.Unmarshal(raw); err != nil {
		return none, "", refused("authenticator data", err)
	}
	if err := checkDevice(&device, from.rpID, ch); err != nil {
		return none, "", err
	}
	signed := slices.Concat(raw, from.hash[:])
	for _, have := range s.Enrolled {
		var c credential
		if err := json.Unmarshal(have.Data, &c); err != nil {
			return none, "", fmt.Errorf("webauthn: decode credential: %w", err)
		}
		if c.RPID != from.rpID || !given(c, in) || !signedBy(c, signed, signature) {
			continue
		}
		if s.Hardware && !a.hardware(have, c) {
			return none, "", refused("model", errors.New("no hardware is known to keep the key"))
		}
		proof, reason, err := c.used(have, &device)
		proof.Hardware = err == nil && a.hardware(have, c)
		return proof, reason, err
	}
	return none, "", refused("signature", fmt.Errorf("of none of %d keys", len(s.Enrolled)))
}

// hardware reports whether hardware is known to keep a key: its maker said so when it
// was enrolled, and its model is still one of those that the organisation trusts.
func (a *Authenticator) hardware(have authenticator.Credential, c credential) bool {
	settings := a.settings()
	return have.Hardware && settings.Attested() && slices.Contains(settings.AAGUIDs, c.AAGUID)
}

// Attested implements authenticator.Attester.
func (a *Authenticator) Attested(have authenticator.Credential) bool {
	var c credential
	return json.Unmarshal(have.Data, &c) == nil && a.hardware(have, c)
}

// given reports whether the answer is of that key's user, if it says whose it is.
func given(c credential, in authenticator.Input) bool {
	handle, err := decode(in["userHandle"])
	return blank(in, "userHandle") || err == nil && string(handle) == c.Handle
}

func signedBy(c credential, signed, signature []byte) bool {
	key, err := webauthncose.ParsePublicKey(c.PublicKey)
	if err != nil {
		return false
	}
	ok, err := webauthncose.VerifySignature(key, signed, signature)
	return ok && err == nil
}

// used brings a key up to date whose signature was right. A counter that has not
// grown tells of a copy (WebAuthn L3 §6.1.1); keys without one always say 0.
func (c credential) used(have authenticator.Credential, device *protocol.AuthenticatorData) (authenticator.Proof, string, error) {
	var none authenticator.Proof
	if c.Counter > 0 && device.Counter > 0 && device.Counter <= c.Counter {
		return none, counterReason, refused("counter", fmt.Errorf("%d after %d", device.Counter, c.Counter))
	}
	if device.Flags.HasBackupEligible() != c.BackupEligible {
		return none, "", refused("authenticator data", fmt.Errorf("backup eligibility has changed"))
	}
	c.Counter, c.BackedUp = max(c.Counter, device.Counter), device.Flags.HasBackupState()
	verified := device.Flags.HasUserVerified()
	have.VerifiesUser = have.VerifiesUser || verified
	var err error
	if have.Data, err = json.Marshal(c); err != nil {
		return none, "", fmt.Errorf("webauthn: encode credential: %w", err)
	}
	return authenticator.Proof{Credential: have, UserVerified: verified}, "", nil
}
