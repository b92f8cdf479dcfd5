package flow

import (
	"slices"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/session"
)

// first lists what the person must show still before anything is enrolled on an account
// that was there before: what the app's policy would take, whatever its client asks for,
// and a second class of evidence, as far as they have it. Otherwise a client that asks
// for what only a new key can give would spare a thief the second factor (SEC S-56).
func (t *Turn) first() []string {
	if t.untouched() {
		return nil
	}
	fresh := t.fresh()
	for _, rule := range t.standards() {
		if out := t.nearer(rule, fresh); len(out) > 0 {
			return out
		}
	}
	return t.ownLeft(fresh)
}

// untouched reports whether this transaction lets its person in for the first time, and
// they had nothing but the mailbox before that they could show. One who was invited may
// have been given a token, or has what they had before they were shut out (SEC S-56).
func (t *Turn) untouched() bool {
	if !t.tx.Subject.Created || t.account == nil {
		return t.tx.Subject.Created
	}
	usable := t.enrollment().Keys("")
	return !slices.ContainsFunc(t.account.Enrollments, func(en directory.Enrollment) bool {
		return en.Authenticator != emailKey && slices.Contains(usable, en.Authenticator) &&
			!slices.ContainsFunc(t.tx.Enrolled, func(one session.Addition) bool { return one.Enrollment == en.ID }) &&
			!slices.ContainsFunc(t.spent(en.Authenticator), func(one directory.Enrollment) bool { return one.ID == en.ID })
	})
}

// standards are the rules that first goes by, in their order.
func (t *Turn) standards() []policy.AccessRule {
	return []policy.AccessRule{t.own().With(policy.ACRTwoFactorsIfPossible), policy.AccessRule{}.With(policy.ACRTwoFactors)}
}

// before is the one of them that key is asked for by.
func (t *Turn) before(key string) policy.AccessRule {
	all, fresh := t.standards(), t.fresh()
	for _, rule := range all {
		if t.helps(key, rule, fresh) {
			return rule
		}
	}
	return all[0]
}

// fresh are the proofs that count where something is enrolled: not those of a session
// that were old when the transaction began (SEC S-56).
func (t *Turn) fresh() []Proof {
	oldest := t.tx.CreatedAt.Add(-addAge)
	return slices.DeleteFunc(slices.Clone(t.tx.Proofs), func(p Proof) bool { return !p.At.After(oldest) })
}

// enrolling: a way to sign in would be set up next, on an account that was there before.
func (t *Turn) enrolling() bool {
	return len(t.missing(policy.Required)) > 0 || t.adding() || t.tx.proven() && !t.rule().Satisfied(t.shown(), false)
}

// ownLeft lists what the person has beside the mailbox, until they have shown one of
// it, of whatever class: whoever reads the mail of somebody with an app must not add
// a password to the account, or remove the app (SEC S-56, S-59).
func (t *Turn) ownLeft(proofs []Proof) []string {
	if t.untouched() || slices.ContainsFunc(proofs, func(p Proof) bool { return p.Authenticator != emailKey }) {
		return nil
	}
	var out []string
	for _, key := range t.enrollment().Keys("") {
		if key != emailKey && t.enrolled(key) {
			out = append(out, key)
		}
	}
	return out
}

// recoveryFactors lists what somebody who recovers must show still: the mailbox,
// then one of what they have beside it and the password that they have forgotten.
func (t *Turn) recoveryFactors() []string {
	if !t.shows(emailKey) {
		return []string{emailKey}
	}
	var out []string
	for _, key := range t.enrollment().Keys("") {
		if t.enrolled(key) && key != passwordKey && !t.shows(key) {
			out = append(out, key)
		}
	}
	if len(out) > 0 && slices.ContainsFunc(t.tx.Proofs, func(p Proof) bool { return p.Authenticator != emailKey }) {
		return nil // one is enough
	}
	return out
}

// adding: the person came to add a certain authenticator, and may.
func (t *Turn) adding() bool {
	key := t.tx.Request.Enroll
	if key == "" || t.tx.Added || !t.tx.proven() || !t.enrollment().Allows(key) || t.e.authenticators[key] == nil {
		return false
	}
	info := t.e.authenticators[key].Info()
	return !info.Assigned && (!t.enrolled(key) || info.Several)
}

func (t *Turn) shows(key string) bool { return among(t.tx.Proofs, key) }

func among(proofs []Proof, key string) bool {
	return slices.ContainsFunc(proofs, func(p Proof) bool { return p.Authenticator == key })
}

// recovering: the person has shown who they are, and has not dealt with the
// password that they have forgotten. Whom no policy lets have one has nothing to
// deal with: they sign in by what they have shown.
func (t *Turn) recovering() bool {
	return t.tx.Recovering && t.tx.proven() && !t.tx.Reset && t.enrollment().Allows(passwordKey)
}

// emailFirst reports whether a sign-in sends its code at once: where everybody
// has the email and need not have more (decision D29).
func (t *Turn) emailFirst(factors []string) bool {
	if !slices.Contains(factors, emailKey) {
		return false
	}
	return len(factors) == 1 || !slices.ContainsFunc(t.enrollment().Keys(policy.Required), func(key string) bool {
		return key != emailKey && slices.Contains(factors, key)
	}) && t.enumeration() != policy.Disclose
}

// missing lists the policy's authenticators of a need that the subject has not enrolled, in policy order.
func (t *Turn) missing(need policy.Need) []string {
	var out []string
	for _, key := range t.enrollment().Keys(need) {
		if !t.enrolled(key) && !t.e.authenticators[key].Info().Assigned {
			out = append(out, key)
		}
	}
	return out
}

func (t *Turn) enrolled(key string) bool {
	if t.account == nil {
		return false
	}
	if t.tx.Activating && key == emailKey { // the invitation has proven it
		return true
	}
	n := 0
	for _, en := range t.account.Enrollments {
		if en.Authenticator == key {
			n++
		}
	}
	return n > len(t.spent(key))
}

// spent are the enrollments of an authenticator that are used up.
func (t *Turn) spent(key string) []directory.Enrollment {
	s, ok := t.e.authenticators[key].(authenticator.Spender)
	if !ok {
		return nil
	}
	var out []directory.Enrollment
	for _, en := range t.account.Enrollments {
		if en.Authenticator != key {
			continue
		}
		if c, err := t.e.OpenCredential(en); err == nil && s.Spent(c) {
			out = append(out, en)
		}
	}
	return out
}

// choices lists the authenticators that may be enrolled now: the required ones
// while any is missing, then those that the app's policy cannot do without, else
// the optional ones. Before proof that is the one in hand and no other.
func (t *Turn) choices() []string {
	open := t.tx.Open
	if !t.tx.proven() {
		if open != nil && open.Enrolling {
			return []string{open.Authenticator}
		}
		return t.missing(policy.Required)
	}
	list := t.missing(policy.Required)
	if len(list) == 0 && t.adding() && !t.short() {
		return []string{t.tx.Request.Enroll}
	}
	if len(list) == 0 && t.short() {
		return t.enrollable()
	}
	if len(list) == 0 {
		list = t.missing(policy.Optional)
	}
	if open != nil && open.Enrolling && !slices.Contains(list, open.Authenticator) {
		list = append(list, open.Authenticator)
	}
	return list
}

// enrollable lists what would bring the person nearer to what the app asks for if they
// had it: what they have not, and one more of what they have where that one shows less
// than another could, as a key does that does not know its owner.
func (t *Turn) enrollable() []string {
	var out []string
	for _, key := range t.enrollment().Keys("") {
		info := t.e.authenticators[key].Info()
		if !info.Assigned && (!t.enrolled(key) || info.Several && info.VerifiesUser) && t.rule().Helps(t.asNew(key), t.shown()) {
			out = append(out, key)
		}
	}
	return out
}

// joining reports whether one more of an authenticator that the person has may be
// enrolled, since none of theirs shows what is asked for.
func (t *Turn) joining(key string) bool {
	return t.short() && len(t.helpful()) == 0 && slices.Contains(t.enrollable(), key)
}

// age tells how the password that was shown stands by its policy. One that was
// not shown here is nobody's business yet, nor is one that an old session brought along:
// whoever sits at it must not choose another without the one before (SEC S-56).
func (t *Turn) age() (expired, warn bool) {
	if t.tx.Changed || t.account == nil || !among(t.fresh(), passwordKey) {
		return false, false
	}
	return t.e.passwordAge(*t.account, t.now)
}

// passwordAge tells how somebody's password stands by its policy.
func (e *Engine) passwordAge(a directory.Account, now time.Time) (expired, warn bool) {
	changer, ok := e.authenticators[passwordKey].(authenticator.Changer)
	en, has := a.Enrolled(passwordKey)
	if !ok || !has {
		return false, false
	}
	c, err := e.OpenCredential(en)
	if err != nil {
		return false, false // no proof could be given with it
	}
	expired, _, warn = policy.Expires(e.policies().PasswordFor(a.Groups), changer.ChangedAt(c), now)
	return expired, warn
}
