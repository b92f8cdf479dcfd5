package flow

import (
	"encoding/json"
	"fmt"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
)

const credentialPurpose = "enrollments/credential"

// SealCredential makes what an enrollment keeps of a credential.
func (e *Engine) SealCredential(enrollmentID string, c authenticator.Credential) []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // bytes and strings always encode
	}
	return e.keys.Seal(credentialPurpose, enrollmentID, data)
}

// OpenCredential reverses it; what was changed in the database is an error.
func (e *Engine) OpenCredential(en directory.Enrollment) (authenticator.Credential, error) {
	var c authenticator.Credential
	data, err := e.keys.Open(credentialPurpose, en.ID, en.Credential)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("flow: enrollment %s: %w", en.ID, err)
	}
	c.ID = en.ID
	return c, nil
}
