package flow

// A Stage is where a transaction stands. It is never stored and never on the wire.
type Stage string

// The stages.
const (
	Terminal      Stage = "terminal"
	Profile       Stage = "profile"
	UnlockAccount Stage = "unlock-account"
	Recover       Stage = "recover"
	Identify      Stage = "identify"
	Enroll        Stage = "enroll"
	Challenge     Stage = "challenge"
	ChooseFactor  Stage = "choose-factor"
	Reset         Stage = "reset"
	Reenroll      Stage = "reenroll"
	ReenrollSoon  Stage = "reenroll-soon"
	ChooseEnroll  Stage = "choose-enroll"
	EnrollData    Stage = "enroll-data"
	ChallengeData Stage = "challenge-data"
	ProfileUpdate Stage = "profile-update"
	Success       Stage = "success"
)

// A Rule names the stage of every transaction that its guard holds for.
type Rule struct {
	If   Guard
	Then Stage
}

// Route decides where a transaction stands: the first rule that holds names the
// stage. Handlers change facts; nothing but Route moves a transaction.
//
// The order is security. Nothing of an account is offered, let alone changed,
// while Unproven holds; what the person has is asked for before anything new may
// be enrolled, or whoever holds one factor would add the second; and a forgotten
// password is replaced only after every other factor that could be asked for.
var Route = []Rule{
	{Finished, Terminal},
	{ProfileOpen, Profile},
	{UnlockOpen, UnlockAccount},
	{RecoveryOfNobody, Recover},
	{NoSubject, Identify},
	{EnrollmentWanting, EnrollData},
	{EnrollmentOpen, Enroll},
	{ChallengeWanting, ChallengeData},
	{ChallengeOpen, Challenge},
	{Unproven, ChooseFactor}, // must stay above every rule that enrols or changes
	{Denied, Terminal},
	{RecoveryFactorLeft, ChooseFactor},
	{ResetDue, Reset},
	{FactorLeft, ChooseFactor}, // this and the next must stay above every enrollment rule
	{OwnLeft, ChooseFactor},
	{PasswordExpired, Reenroll},
	{PasswordExpiring, ReenrollSoon},
	{RequiredMissing, ChooseEnroll},
	{AssuranceEnrollable, ChooseEnroll},
	{AssuranceShort, Terminal},
	{Adding, ChooseEnroll},
	{OptionalLeft, ChooseEnroll},
	{ProfileIncomplete, ProfileUpdate},
	{Always, Success},
}

// An Offer is a remediation or an action that a client may use at a stage.
type Offer struct {
	Name   string
	If     Guard
	Form   Form // the fields beside the state handle
	Handle Handler
}

// Offers lists what a client may do at each stage, in wire order. A request is
// admitted only if its offer would be rendered: one list, both directions.
var Offers = map[Stage][]Offer{
	Terminal: {},
	Identify: {
		{"identify", Always, identifyForm, identify},
		{"challenge-webauthn-autofillui-authenticator", Discovering, discoverForm, discovered},
		{"launch-passkeys-authenticator", Discovering, discoverForm, discovered}, // the same, for a button
		{"select-enroll-profile", SignUpOpen, noForm, beginSignUp},
		{"unlock-account", UnlockAllowed, noForm, beginUnlock},
		{"recover", RecoveryAllowed, noForm, recoverPassword},
		{"cancel", Always, noForm, cancel},
	},
	Profile: {
		{"enroll-profile", Always, profileForm, enrollProfile},
		{"select-identify", Always, noForm, backToSignIn},
		{"cancel", Always, noForm, cancel},
	},
	UnlockAccount: {
		{"select-authenticator-unlock-account", Always, unlockForm, unlock},
		{"select-identify", Always, noForm, backToSignIn},
		{"cancel", Always, noForm, cancel},
	},
	Recover: {
		{"identify-recovery", Always, recoveryForm, identifyRecovery},
		{"select-identify", Always, noForm, backToSignIn},
		{"cancel", Always, noForm, cancel},
	},
	EnrollData: {
		{"authenticator-enrollment-data", WantsDetails, wantedForm, chooseEnrollment},
		{"enrollment-channel-data", WantsChannel, channelForm, giveChannel},
		{"select-enrollment-channel", HasChannels, channelChoices, chooseEnrollment},
		{"select-authenticator-enroll", Always, enrollChoices, chooseEnrollment},
		{"skip", NothingRequired, noForm, skipOptional},
		{"cancel", Always, noForm, cancel},
	},
	ChallengeData: {
		{"authenticator-verification-data", Always, wantedForm, chooseFactor},
		{"select-authenticator-authenticate", Always, factorChoices, chooseFactor},
		{"cancel", Always, noForm, cancel},
	},
	Enroll: {
		{"enroll-authenticator", Asked, promptForm, answerEnrollment},
		{"enroll-poll", Elsewhere, noForm, look},
		{"select-enrollment-channel", HasChannels, channelChoices, chooseEnrollment},
		{"select-authenticator-enroll", Always, enrollChoices, chooseEnrollment},
		{"skip", NothingRequired, noForm, skipOptional},
		{"resend", CanResend, resendForm, resend},
		{"poll", CanPoll, noForm, look},
		{"cancel", Always, noForm, cancel},
	},
	Challenge: {
		{"challenge-authenticator", Asked, promptForm, answerChallenge},
		{"challenge-poll", Elsewhere, noForm, look},
		{"resend-push", AgainElsewhere, againForm, chooseFactor},
		{"select-authenticator-authenticate", Always, factorChoices, chooseFactor},
		{"recover", PasswordAsked, noForm, recoverPassword},
		{"resend", CanResend, noForm, resend},
		{"poll", CanPoll, noForm, look},
		{"cancel", Always, noForm, cancel},
	},
	ChooseFactor: {
		{"select-authenticator-authenticate", Always, factorChoices, chooseFactor},
		{"recover", RecoveryBegun, noForm, recoverPassword},
		{"cancel", Always, noForm, cancel},
	},
	Reset: {
		{"reset-authenticator", Always, changeForm, changePassword},
		{"skip-password", PasswordNotRequired, noForm, withoutPassword},
		{"cancel", Always, noForm, cancel},
	},
	Reenroll: {
		{"reenroll-authenticator", Always, changeForm, changePassword},
		{"cancel", Always, noForm, cancel},
	},
	ReenrollSoon: {
		{"reenroll-authenticator-warning", Always, changeForm, changePassword},
		{"skip-change", Always, noForm, changeLater},
		{"cancel", Always, noForm, cancel},
	},
	ChooseEnroll: {
		{"select-authenticator-enroll", Always, enrollChoices, chooseEnrollment},
		{"skip", NothingRequired, noForm, skipOptional},
		{"cancel", Always, noForm, cancel},
	},
	ProfileUpdate: {
		{"profile-update", Always, updateForm, updateProfile},
		{"skip-profile", NoAttributeRequired, noForm, skipProfile},
		{"cancel", Always, noForm, cancel},
	},
	Success: {
		{"cancel", Unredeemed, noForm, cancel},
	},
}

// repeatable answers may be given again with the same body and mean it: a
// repetition is taken for a lost answer only if both were under way at once.
var repeatable = map[string]bool{"resend": true, "cancel": true}

// Place is where an offer stands in the document.
type Place int

// The places: in the list of remediations, at the top, or inside the current authenticator.
const (
	InRemediation Place = iota
	AtTop
	OnAuthenticator
)

// PlaceOf says where the wire wants an offer (IDX §2.2).
func PlaceOf(name string) Place {
	switch name {
	case "cancel":
		return AtTop
	case "resend", "poll", "recover":
		return OnAuthenticator
	}
	return InRemediation
}

// StageOf applies Route.
func (t *Turn) StageOf() Stage {
	for _, r := range Route {
		if r.If.Test(t) {
			return r.Then
		}
	}
	return Terminal // not reached: the last rule always holds
}

// offers returns those rendered now.
func (t *Turn) offers() []Offer {
	all := Offers[t.StageOf()]
	out := make([]Offer, 0, len(all))
	for _, o := range all {
		if o.If.Test(t) {
			out = append(out, o)
		}
	}
	return out
}
