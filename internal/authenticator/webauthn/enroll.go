package webauthn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/stile-id/stile/internal/authenticator"
)

const minRSA = 2048 / 8 // bytes of the modulus

// FinishEnroll takes a new key (WebAuthn L3 §7.1). Why one is refused is for
// the log: the browser asks again.
func (a *Authenticator) FinishEnroll(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if blank(in, "clientData", "attestation") {
		return authenticator.Credential{}, authenticator.ErrEmpty
	}
	c, err := a.attested(s, p, in)
	if errors.Is(err, authenticator.ErrWrong) {
		err = fmt.Errorf("%w: %w", notEnrolled(), err)
	}
	return c, err
}

func (a *Authenticator) attested(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	var none authenticator.Credential
	from, ch, err := a.checkClient(s, p, in, protocol.CreateCeremony)
	if err != nil {
		return none, err
	}
	raw, err := decode(in["attestation"])
	if err != nil {
		return none, refused("attestation", err)
	}
	var object protocol.AttestationObject
	if err := webauthncbor.Unmarshal(raw, &object); err != nil {
		return none, refused("attestation", err)
	}
	device := &object.AuthData
	if err := device.Unmarshal(object.RawAuthData); err != nil {
		return none, refused("authenticator data", err)
	}
	if err := checkDevice(device, from.rpID, ch); err != nil {
		return none, err
	}
	if !device.Flags.HasAttestedCredentialData() || len(device.AttData.CredentialID) == 0 {
		return none, refused("authenticator data", fmt.Errorf("no key in it"))
	}
	if err := checkKey(device.AttData.CredentialPublicKey); err != nil {
		return none, err
	}
	if err := object.VerifyAttestation(from.hash[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return none, refused("attestation", err)
	}
	model := modelOf(device.AttData.AAGUID)
	if err := a.checkModel(&object, model); err != nil {
		return none, err
	}
	// What can be copied to another device is in no hardware that keeps it.
	hardware := a.settings().Attested() && !device.Flags.HasBackupEligible()
	if s.Hardware && !hardware {
		return none, refused("model", errors.New("no hardware is known to keep the key"))
	}
	out, err := kept(s, credential{
		ID: device.AttData.CredentialID, PublicKey: device.AttData.CredentialPublicKey, RPID: from.rpID, Handle: s.UserID,
		Counter: device.Counter, AAGUID: model, Format: object.Format,
		BackupEligible: device.Flags.HasBackupEligible(), BackedUp: device.Flags.HasBackupState(),
	}, transports(in["transports"]), device.Flags.HasUserVerified())
	out.Hardware = hardware
	return out, err
}

// kept is the enrollment of a new key.
func kept(s authenticator.Subject, c credential, transports []any, verified bool) (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("webauthn: encode credential: %w", err)
	}
	return authenticator.Credential{
		Data: data, Name: nameOf(c.AAGUID, transports, s.Enrolled), Unique: c.ID, VerifiesUser: verified,
		Public: map[string]any{"credentialId": encode(c.ID), "transports": transports},
	}, nil
}

// checkKey refuses algorithms that were not asked for, and short keys.
func checkKey(cose []byte) error {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return refused("key", err)
	}
	var alg int64
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		alg = k.Algorithm
	case webauthncose.OKPPublicKeyData:
		alg = k.Algorithm
	case webauthncose.RSAPublicKeyData:
		alg = k.Algorithm
		if len(bytes.TrimLeft(k.Modulus, "\x00")) < minRSA {
			return refused("key", fmt.Errorf("%d bits", 8*len(k.Modulus)))
		}
	}
	if !slices.Contains(algorithms, webauthncose.COSEAlgorithmIdentifier(alg)) {
		return refused("key", fmt.Errorf("algorithm %d", alg))
	}
	return nil
}

// nameOf is what a key is called until its owner calls it something else; a second
// one of the name gets a number.
func nameOf(aaguid string, transports []any, have []authenticator.Credential) string {
	name, known := models[aaguid]
	switch {
	case known:
	case slices.Contains(transports, any("internal")):
		name = "This device"
	case slices.Contains(transports, any("hybrid")):
		name = "Phone or tablet"
	default:
		name = "Security key"
	}
	taken := func(n string) bool {
		return slices.ContainsFunc(have, func(c authenticator.Credential) bool { return c.Name == n })
	}
	out := name
	for i := 2; taken(out); i++ {
		out = fmt.Sprintf("%s %d", name, i)
	}
	return out
}
