package flow

import (
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// The messages of the catalogue in IDX §4.2, by their keys.

func mistake(key, text string, params ...string) problem.Message {
	return problem.Message{Key: key, Text: text, Params: params, Class: problem.ClassError}
}

func notice(key, text string, params ...string) problem.Message {
	return problem.Message{Key: key, Text: text, Params: params, Class: problem.ClassInfo}
}

func blank(field string) problem.Message { // E03
	return mistake("model.validation.field.blank", "This field cannot be left blank").On(field)
}

func badPattern(label, field string) problem.Message { // E02, E04
	return mistake("registration.error.doesNotMatchPattern",
		"Provided value for property '"+label+"' does not match required pattern", label).On(field)
}

func badEmail(field string) []problem.Message { // E02
	return []problem.Message{
		mistake("registration.error.invalidLoginEmail", "'Email' must be in the form of an email address", "Email").On(field),
		badPattern("Email", field),
	}
}

func notUnique() problem.Message { // E01
	return mistake("registration.error.notUniqueWithinOrg", "A user with this Email already exists", "Email").On("userProfile.email")
}

func unknownUser(login string) problem.Message { // E15
	return notice("idx.unknown.user", "There is no account with the Username "+login+".")
}

func wrongCode() problem.Message { // E07, E08
	m := mistake("api.authn.error.PASSCODE_INVALID", "Invalid code. Try again.").On("credentials.passcode")
	m.Params = []string{}
	return m
}

func wrongPassword() problem.Message { return mistake("incorrectPassword", "Password is incorrect") } // E13

func authenticationFailed() problem.Message { // E14
	return mistake("errors.E0000004", "Authentication failed")
}

func unsatisfiable(app string) problem.Message { // E22
	return mistake("oie.assurance.unsatisfiable",
		`Unable to login to "`+app+`" at this time. For assistance, please contact your administrator.`, app)
}

func passwordExpiring(app string) problem.Message { // AUTH §9
	return notice("idx.password.expiring.message",
		"When your password expires, you will have to change your password before you can login to your "+app+" account.", app)
}

func recoveryCompleted() problem.Message { // IDX §3.6
	return notice("idx.recovery.completed", "You can now sign in with your existing username and new password.")
}

func accountUnlocked() problem.Message { // AUTH §8
	return notice("oie.selfservice.unlock_user.landing.to.app.success.message",
		"Account successfully unlocked! Verify your account with a security method to continue.")
}

func recoveryNotAllowed() problem.Message { // E31
	return mistake("oie.selfservice.reset.password.not.allowed",
		"Reset password is not allowed at this time. Please contact support for assistance.")
}

func unlockNotAllowed() problem.Message { // AUTH §8
	return mistake("oie.selfservice.user.unlock.not.allowed",
		"Self Service Unlock is not allowed at this time. Please contact support for assistance.")
}

func suspended() problem.Message { // E09
	return mistake("authfactor.challenge.suspended_factor",
		"This factor is suspended for your account due to too many failed attempts")
}

func unknownKey() problem.Message { // AUTH §4.2
	return mistake("authfactor.webauthn.error.assertion_validation_failure",
		"None of the WebAuthn authenticators the user has enrolled for was able to validate the assertion")
}

func notEnrolled() problem.Message { // AUTH §4.2
	return mistake("oie.authenticator.enroll.error.fail", "Unable to enroll authenticator. Try again.")
}

func pushDenied() problem.Message { // AUTH §3.4
	return mistake("api.authn.poll.error.push_rejected", "You have chosen to reject this login.")
}

func pushExpired() problem.Message { // AUTH §3.4
	return mistake("core.system.transaction_resource_not_found", "Verification timed out. Please try again")
}

func textLimit(by authenticator.Method) problem.Message { // AUTH §1.4
	if by == "voice" {
		return mistake("errors.E0000151", "You have reached the limit of call requests, please try again later.")
	}
	return mistake("errors.E0000150", "You have reached the limit of sms requests, please try again later.")
}

func tooMany() problem.Message { return mistake("tooManyRequests", "Too many requests") } // E10

func notOffered() problem.Message { // E25
	return mistake("errors.E0000079", "The operation is not allowed. Please refresh the page to proceed.")
}

func accessDenied() problem.Message { // E23
	return mistake("security.access_denied", "You do not have permission to perform the requested action.")
}

func signUpClosed() problem.Message { // E19
	return mistake("oie.registration.is.not.enabled", "Sign up is not enabled for this organization.")
}

func transferred() problem.Message { // §3.4
	return notice("idx.transferred.to.new.tab", "Flow continued in a new tab.")
}

// errExpired is E12: nothing is said about what the handle named.
func errExpired() error {
	return problem.New(problem.Expired, "idx.session.expired",
		"You have been logged out due to inactivity. Refresh or return to the sign in screen.")
}
