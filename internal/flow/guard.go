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

	ProfileOpen    = Guard{"profile open", func(t *Turn) bool { return t.tx.ProfileOpen }}
	NoSubject      = Guard{"no subject", func(t *Turn) bool { return t.tx.Subject == nil }}
	EnrollmentOpen = Guard{"enrollment open", func(t *Turn) bool { return t.tx.Open != nil && t.tx.Open.Enrolling }}
	ChallengeOpen  = Guard{"challenge open", func(t *Turn) bool { return t.tx.Open != nil && !t.tx.Open.Enrolling }}

	// Unproven: the subject is not someone whom this transaction is making, and
	// nothing has been proven. Above every enrollment rule it keeps whoever types
	// a known address from enrolling their own authenticator on that account.
	Unproven = Guard{"unproven", func(t *Turn) bool { return t.tx.Subject.Kind != KindNew && !t.tx.proven() }}

	RequiredMissing = Guard{"required missing", func(t *Turn) bool { return len(t.missing(policy.Required)) > 0 }}
	AssuranceShort  = Guard{"assurance short", func(t *Turn) bool { return !t.tx.proven() }}

	// OptionalLeft holds only in the transaction that made the user (decision D26).
	OptionalLeft = Guard{"optional left", func(t *Turn) bool {
		return t.tx.Subject.Created && !t.tx.Skipped && len(t.missing(policy.Optional)) > 0
	}}

	// NothingRequired: what is in hand, or left to choose, may be declined.
	NothingRequired = Guard{"nothing required", func(t *Turn) bool {
		return t.tx.proven() && len(t.missing(policy.Required)) == 0
	}}

	SignUpOpen = Guard{"sign-up open", func(t *Turn) bool { return t.client.SignUp }}
	Unredeemed = Guard{"unredeemed", func(t *Turn) bool { return !t.tx.Code.Redeemed }}

	CanResend = Guard{"can resend", func(t *Turn) bool {
		_, ok := t.openAuthenticator().(authenticator.Resender)
		return ok
	}}
	CanPoll = Guard{"can poll", func(t *Turn) bool {
		_, ok := t.openAuthenticator().(authenticator.Linker)
		return ok
	}}
)

// missing lists the policy's authenticators of a need that the subject has not enrolled, in policy order.
func (t *Turn) missing(need policy.Need) []string {
	var out []string
	for _, a := range t.e.policy.Authenticators {
		if a.Need == need && !t.enrolled(a.Key) {
			out = append(out, a.Key)
		}
	}
	return out
}

func (t *Turn) enrolled(key string) bool {
	if t.account == nil {
		return false
	}
	_, ok := t.account.Enrolled(key)
	return ok
}

// choices lists the authenticators that may be enrolled now: the required ones
// while any is missing, else the optional ones. Before proof that is the one in
// hand and no other.
func (t *Turn) choices() []string {
	open := t.tx.Open
	if !t.tx.proven() {
		if open != nil && open.Enrolling {
			return []string{open.Authenticator}
		}
		return t.missing(policy.Required)
	}
	list := t.missing(policy.Required)
	if len(list) == 0 {
		list = t.missing(policy.Optional)
	}
	if open != nil && open.Enrolling && !slices.Contains(list, open.Authenticator) {
		list = append(list, open.Authenticator)
	}
	return list
}
