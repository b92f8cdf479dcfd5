package flow

import (
	"slices"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
)

// A Guard is a named fact about a turn, computed each time and stored nowhere.
type Guard struct {
	Name string
	Test func(*Turn) bool
}

// The facts that Route and Offers read.
var (
	Always = Guard{"always", func(*Turn) bool { return true }}

	// Finished: ended without success, or the code was redeemed and the
	// transaction belongs to another tab now.
	Finished = Guard{"finished", func(t *Turn) bool { return t.tx.Ended != nil || t.tx.Code.Redeemed }}

	ProfileOpen       = Guard{"profile open", func(t *Turn) bool { return t.tx.ProfileOpen }}
	NoSubject         = Guard{"no subject", func(t *Turn) bool { return t.tx.Subject == nil }}
	EnrollmentWanting = Guard{"enrollment wanting", func(t *Turn) bool { return EnrollmentOpen.Test(t) && t.tx.Open.Wanted != nil }}
	ChallengeWanting  = Guard{"challenge wanting", func(t *Turn) bool { return ChallengeOpen.Test(t) && t.tx.Open.Wanted != nil }}
	EnrollmentOpen    = Guard{"enrollment open", func(t *Turn) bool { return t.tx.Open != nil && t.tx.Open.Enrolling }}
	ChallengeOpen     = Guard{"challenge open", func(t *Turn) bool { return t.tx.Open != nil && !t.tx.Open.Enrolling }}

	// Unproven: the subject is not someone whom this transaction is making, and
	// nothing has been proven. Above every enrollment rule it keeps whoever types
	// a known address from enrolling their own authenticator on that account.
	Unproven = Guard{"unproven", func(t *Turn) bool { return t.tx.Subject.Kind != KindNew && !t.tx.proven() }}

	// Denied: the app's policy lets this person not in, whatever they show.
	Denied = Guard{"denied", func(t *Turn) bool { return t.tx.proven() && t.rule().Deny }}

	// FactorLeft: more proof is asked for, and the person has what can give it.
	FactorLeft = Guard{"factor left", func(t *Turn) bool { return t.short() && len(t.factors()) > 0 }}

	// OwnLeft: something would be enrolled, and the person has not shown what they have.
	OwnLeft = Guard{"own left", func(t *Turn) bool { return t.tx.proven() && t.enrolling() && len(t.first()) > 0 }}

	RequiredMissing = Guard{"required missing", func(t *Turn) bool { return len(t.missing(policy.Required)) > 0 }}

	// AssuranceEnrollable: more proof is asked for than the person has ways to give.
	AssuranceEnrollable = Guard{"assurance enrollable", func(t *Turn) bool { return t.short() && len(t.choices()) > 0 }}
	AssuranceShort      = Guard{"assurance short", (*Turn).short}

	// Adding: somebody who is signed in came to add a certain authenticator.
	Adding = Guard{"adding", func(t *Turn) bool { return t.adding() && !t.short() }}

	// OptionalLeft holds only in the transaction that made the user (decision D26), and
	// not where they would have to show first what they had before.
	OptionalLeft = Guard{"optional left", func(t *Turn) bool {
		return t.untouched() && !t.tx.Skipped && len(t.missing(policy.Optional)) > 0
	}}

	// NothingRequired: what is in hand, or left to choose, may be declined.
	NothingRequired = Guard{"nothing required", func(t *Turn) bool {
		return t.tx.proven() && !t.short() && len(t.missing(policy.Required)) == 0
	}}

	// ProfileIncomplete: attributes that are asked for after sign-in are empty.
	ProfileIncomplete   = Guard{"profile incomplete", func(t *Turn) bool { return !t.tx.ProfileSkipped && len(t.asked()) > 0 }}
	NoAttributeRequired = Guard{"no attribute required", func(t *Turn) bool {
		return !slices.ContainsFunc(t.asked(), func(a policy.Attribute) bool { return a.Required })
	}}

	// UnlockOpen: somebody wants a pause of their password ended.
	UnlockOpen    = Guard{"unlock open", func(t *Turn) bool { return t.tx.Unlocking && t.tx.Subject == nil }}
	UnlockAllowed = Guard{"unlock allowed", func(t *Turn) bool { return t.passwords() && t.org.Unlock() }}

	// RecoveryOfNobody: a password is forgotten, and whose it is not said yet.
	RecoveryOfNobody = Guard{"recovery of nobody", func(t *Turn) bool { return t.tx.Recovering && t.tx.Subject == nil }}
	RecoveryAllowed  = Guard{"recovery allowed", func(t *Turn) bool { return t.passwords() && t.org.Recovery() }}
	// RecoveryBegun: the way to recover may be chosen, and recover said once more,
	// which changes nothing: clients do that (IDX §3.6).
	RecoveryBegun = Guard{"recovery begun", func(t *Turn) bool { return t.tx.Recovering && !t.tx.proven() }}
	// RecoveryFactorLeft: the mailbox alone replaces no password of someone who has
	// another factor (SEC S-59).
	RecoveryFactorLeft = Guard{"recovery factor left", func(t *Turn) bool {
		return t.recovering() && len(t.recoveryFactors()) > 0
	}}
	ResetDue = Guard{"reset due", (*Turn).recovering}

	// PasswordAsked: it is the password that is asked for, and may be recovered.
	PasswordAsked = Guard{"password asked", func(t *Turn) bool {
		return t.tx.Open.Authenticator == passwordKey && t.org.Recovery()
	}}
	PasswordNotRequired = Guard{"password not required", func(t *Turn) bool {
		return t.enrollment().Need(passwordKey) != policy.Required
	}}
	PasswordExpired  = Guard{"password expired", func(t *Turn) bool { expired, _ := t.age(); return expired }}
	PasswordExpiring = Guard{"password expiring", func(t *Turn) bool { _, warn := t.age(); return warn && !t.tx.Warned }}

	SignUpOpen = Guard{"sign-up open", func(t *Turn) bool { return t.signUpOpen() }}
	Unredeemed = Guard{"unredeemed", func(t *Turn) bool { return !t.tx.Code.Redeemed }}

	CanResend = Guard{"can resend", func(t *Turn) bool {
		_, ok := t.openAuthenticator().(authenticator.Resender)
		return ok && (!t.tx.Open.Prompt.Elsewhere || t.tx.Open.Enrolling && t.tx.Open.Sent) && !t.refusedElsewhere()
	}}
	// Asked: there is something to fill in.
	Asked = Guard{"asked", func(t *Turn) bool {
		p := t.tx.Open.Prompt
		return len(p.Fields)+len(p.Either) > 0
	}}
	// Elsewhere: a device is to answer, and may still. AgainElsewhere: it has not, or has denied.
	Elsewhere      = Guard{"elsewhere", func(t *Turn) bool { return t.tx.Open.Prompt.Elsewhere && !t.refusedElsewhere() }}
	AgainElsewhere = Guard{"again elsewhere", func(t *Turn) bool { return t.tx.Open.Prompt.Elsewhere && t.refusedElsewhere() }}

	// WantsChannel: what is wanted belongs to a way to enrol that was chosen among several.
	WantsChannel = Guard{"wants channel", func(t *Turn) bool { return t.tx.Open.Wanted.Channel }}
	WantsDetails = Guard{"wants details", func(t *Turn) bool { return !t.tx.Open.Wanted.Channel }}
	HasChannels  = Guard{"has channels", func(t *Turn) bool {
		c, ok := t.openAuthenticator().(authenticator.Channeler)
		if !ok {
			return false
		}
		about, err := t.about(t.tx.Open)
		return err == nil && len(c.Channels(about)) > 1
	}}

	// Discovering: whoever is there may be asked for a credential that says who they are.
	Discovering = Guard{"discovering", func(t *Turn) bool { _, ok := t.discoverer(); return ok }}
	CanPoll     = Guard{"can poll", func(t *Turn) bool {
		_, ok := t.openAuthenticator().(authenticator.Linker)
		return ok
	}}
)
