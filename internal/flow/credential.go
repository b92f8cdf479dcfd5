package flow

import (
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
)

// SealCredential makes what an enrollment keeps of a credential.
func (e *Engine) SealCredential(enrollmentID string, c authenticator.Credential) []byte {
	return e.sealCredential(enrollmentID, c)
}

// OpenCredential reverses it.
func (e *Engine) OpenCredential(en directory.Enrollment) (authenticator.Credential, error) {
	return e.openCredential(en)
}
