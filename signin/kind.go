package signin

import (
	"slices"

	"github.com/stile-id/stile/idx"
)

// What kind of page a step is.
const (
	codeStep     = "email-code"
	listStep     = "select-authenticator" // to set one up
	chooseStep   = "choose-authenticator" // to prove one
	passwordStep = "password"             // to prove it
	setStep      = "set-password"
	resetStep    = "reset-password"
	expiredStep  = "password-expired"
	expiringStep = "password-expiring"
	profileStep  = "profile-update"
	passkeyStep  = "passkey"     // to prove one
	setKeyStep   = "set-passkey" // to set one up
	// The phone: which number, how a code is sent to it, and the code.
	phoneNumberStep = "phone-number"
	phoneMethodStep = "phone-method"
	phoneCodeStep   = "phone-code"

	verifySetUpStep  = "verify-set-up" // to add a phone
	verifySendStep   = "verify-send"
	verifyMethodStep = "verify-method" // to prove it
	verifyPushStep   = "verify-push"
	verifyCodeStep   = "verify-code"

	anyStep = "form"
)

// The names of the two lists.
const (
	chooseFactor = "select-authenticator-authenticate"
	chooseEnroll = "select-authenticator-enroll"
)

func asksFor(s *idx.NextStep, name string) bool {
	return slices.ContainsFunc(s.Inputs, func(in idx.InputField) bool { return in.Name == name })
}

// passwordSteps are the kinds of the steps that ask for a password.
var passwordSteps = map[string]string{
	"challenge-authenticator": passwordStep, "enroll-authenticator": setStep, "reset-authenticator": resetStep,
	"reenroll-authenticator": expiredStep, "reenroll-authenticator-warning": expiringStep,
}

func kindOf(s *idx.NextStep) string {
	switch {
	case s.Authenticator != nil && s.Authenticator.Key == verifyKey && verifySteps[s.Name] != "":
		return verifySteps[s.Name]
	case s.Type == "email" && asksFor(s, "verificationCode"):
		return codeStep
	case s.Type == "phone" && asksFor(s, "phoneNumber"):
		return phoneNumberStep
	case s.Type == "phone" && asksFor(s, "methodType"):
		return phoneMethodStep
	case s.Type == "phone" && asksFor(s, "verificationCode"):
		return phoneCodeStep
	case s.Name == chooseEnroll:
		return listStep
	case s.Name == chooseFactor:
		return chooseStep
	case s.Authenticator != nil && s.Authenticator.Context["challengeData"] != nil:
		return passkeyStep
	case s.Authenticator != nil && s.Authenticator.Context["activationData"] != nil:
		return setKeyStep
	case s.Name == "profile-update":
		return profileStep
	case s.Type == "password" && (asksFor(s, "password") || asksFor(s, "newPassword")) && passwordSteps[s.Name] != "":
		return passwordSteps[s.Name]
	case s.Authenticator != nil && methodSteps[s.Authenticator.Key][s.Name] != "":
		return methodSteps[s.Authenticator.Key][s.Name]
	}
	return anyStep
}

// placeOf names a step, so that a message is not shown on the one after it.
func placeOf(s *idx.NextStep) string {
	if s == nil {
		return ""
	}
	return s.Name + " " + s.Type
}
