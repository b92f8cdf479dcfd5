package webauthn

import (
	"fmt"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// refusal is an answer that proves nothing. Why is for tests and debuggers: who
// sends such an answer is told only that it was wrong.
type refusal struct {
	of  string
	why error
}

func refused(of string, why error) error { return &refusal{of, why} }

func (r *refusal) Error() string { return fmt.Sprintf("webauthn: %s: %v", r.of, r.why) }

func (r *refusal) Unwrap() error { return authenticator.ErrWrong }

// errTooOld is a wrong answer that was right once.
var errTooOld = refused("challenge", fmt.Errorf("past its time"))

// notVerified is what a wrong assertion is answered with, notEnrolled a wrong attestation (AUTH §4.2).
func notVerified(reason string) error {
	return &authenticator.Wrong{Reason: reason, Message: notAsserted}
}

var notAsserted = problem.Message{
	Key: "authfactor.webauthn.error.assertion_validation_failure", Class: problem.ClassError,
	Text: "None of the WebAuthn authenticators the user has enrolled for was able to validate the assertion",
}

func notEnrolled() error {
	return &authenticator.Rejected{Messages: []problem.Message{{
		Key: "oie.authenticator.enroll.error.fail", Class: problem.ClassError, Text: "Unable to enroll authenticator. Try again.",
	}}}
}
