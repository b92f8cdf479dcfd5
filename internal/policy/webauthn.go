package policy

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
)

const webauthnKey = "webauthn"

// WebAuthn says which passkeys and security keys may be made, and where they are good.
type WebAuthn struct {
	// RPID is the domain that keys belong to: those made on one of its hosts are good
	// on all of them. Empty: each page's host has its own.
	RPID string `json:"rpId,omitempty"`
	// Attestation is "direct" to ask keys what they are, "none" (the default) not to.
	Attestation string `json:"attestation,omitempty"`
	// AAGUIDs are the models that may be enrolled; none: every one. Roots are the
	// certificates of their makers (PEM), without which anything could say that it is one.
	AAGUIDs []string `json:"aaguids,omitempty"`
	Roots   []string `json:"roots,omitempty"`
}

// Conveyance is Attestation as browsers are told.
func (w WebAuthn) Conveyance() string {
	if w.Attestation == "" {
		return "none"
	}
	return w.Attestation
}

// Attested says that keys are enrolled only if their maker vouches for their model,
// and that is one of AAGUIDs.
func (w WebAuthn) Attested() bool { return w.Conveyance() == "direct" && len(w.AAGUIDs) > 0 }

var (
	domain = regexp.MustCompile(`^([0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?\.)*[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?$`)
	aaguid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

func (v *validation) webauthn() {
	w := v.org.WebAuthn
	if w.RPID != "" && (len(w.RPID) > 253 || !domain.MatchString(w.RPID)) {
		v.fail("webauthn.rpId", "%q is not a domain such as example.com, in lower case and without scheme or port", w.RPID)
	}
	if a := w.Conveyance(); a != "none" && a != "direct" {
		v.fail("webauthn.attestation", `%q is neither "none" nor "direct"`, a)
	}
	for i, id := range w.AAGUIDs {
		if !aaguid.MatchString(id) {
			v.fail(fmt.Sprintf("webauthn.aaguids[%d]", i), "%q is not of the form 01234567-89ab-cdef-0123-456789abcdef", id)
		}
	}
	if len(w.AAGUIDs) > 0 && w.Conveyance() == "none" {
		v.fail("webauthn.aaguids", `need attestation "direct": keys do not tell their model otherwise`)
	}
	if (len(w.AAGUIDs) > 0) != (len(w.Roots) > 0) {
		v.fail("webauthn.roots", "go with aaguids, and they with roots: a model counts only where its maker's certificate is known")
	}
	for i, root := range w.Roots {
		block, rest := pem.Decode([]byte(root))
		if block == nil || len(rest) > 0 {
			v.fail(fmt.Sprintf("webauthn.roots[%d]", i), "is not one certificate in PEM")
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			v.fail(fmt.Sprintf("webauthn.roots[%d]", i), "%w", err)
		}
	}
}
