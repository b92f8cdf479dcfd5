package flow

import (
	"slices"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
)

const (
	emailKey    = "okta_email"
	passwordKey = "okta_password"
)

// groups are those by which policies are looked up. Before proof they tell
// nothing of an account: whoever types an address meets everybody's policies (SEC S-43).
func (t *Turn) groups() []string {
	switch s := t.tx.Subject; {
	case s == nil:
		return nil
	case t.account != nil && t.tx.proven():
		return t.account.Groups
	case s.SignUp:
		return t.profile().Groups
	}
	return nil
}

// profile is the app's profile enrollment policy.
func (t *Turn) profile() policy.Profile { return t.org.ProfileFor(t.client.Profile) }

func (t *Turn) signUpOpen() bool {
	switch t.client.SignUp {
	case policy.Open, policy.Closed:
		return t.client.SignUp == policy.Open
	}
	return t.profile().SignUp != policy.Closed
}

func (t *Turn) enumeration() policy.Enumeration {
	if t.client.Enumeration != "" {
		return t.client.Enumeration
	}
	return t.org.Enumeration
}

func (t *Turn) enrollment() policy.Enrollment { return t.org.EnrollmentFor(t.groups()) }

// own is what the app asks of this person by its policy, whatever its client asks for.
func (t *Turn) own() policy.AccessRule { return t.org.AccessFor(t.client.Access, t.groups()) }

// rule is what the app asks of this person, raised to what the client asks for.
func (t *Turn) rule() policy.AccessRule {
	r := t.own().With(t.tx.Request.ACR)
	if t.tx.Request.Enroll != "" && !t.tx.Added { // whoever has one factor must not add the second
		r = r.With(policy.ACRTwoFactorsIfPossible)
	}
	return r
}

// passwords reports whether anybody may have a password.
func (t *Turn) passwords() bool {
	return slices.ContainsFunc(t.org.Enrollment, func(e policy.Enrollment) bool { return e.Allows(passwordKey) })
}

// asNew is what proving an authenticator would show at best, by one that is yet to be
// enrolled or that nobody has asked for.
func (t *Turn) asNew(key string) policy.Proof {
	info := t.e.authenticators[key].Info()
	return Proof{Authenticator: key, At: t.now, UserVerified: info.VerifiesUser, Hardware: info.Hardware}.seen(info)
}

// asProofs is what proving each one that the person has of an authenticator would
// show, by what it has shown before.
func (t *Turn) asProofs(key string) []policy.Proof {
	info := t.e.authenticators[key].Info()
	if !info.VerifiesUser {
		return []policy.Proof{t.asNew(key)}
	}
	have, err := t.credentials(key)
	if err != nil {
		have = []authenticator.Credential{{}} // it is asked for, and not by more than it is
	}
	var out []policy.Proof
	for _, c := range have {
		p := Proof{Authenticator: key, At: t.now, UserVerified: c.VerifiesUser, Hardware: c.Hardware && info.Hardware}
		if a, ok := t.e.authenticators[key].(authenticator.Attester); ok {
			p.Hardware = p.Hardware && a.Attested(c)
		}
		out = append(out, p.seen(info))
	}
	return out
}

// helps reports whether one of an authenticator that the person has, and has not shown
// among proofs, comes nearer to what rule asks for. What is a device alone, which did
// not know its owner and could, is shown once more.
func (t *Turn) helps(key string, rule policy.AccessRule, proofs []Proof) bool {
	if among(proofs, key) && !t.e.authenticators[key].Info().VerifiesUser {
		return false
	}
	shown := t.seen(proofs)
	return slices.ContainsFunc(t.asProofs(key), func(p policy.Proof) bool { return rule.Helps(p, shown) })
}

// demands tells what an answer to o must show beside possession to be of any use: that
// the device knows its owner, where it is all that a sign-in shows (SEC S-51) and where
// the policy asks for more than the device itself (AUTH A-38); and that hardware keeps
// its key, where the client asks for that.
func (t *Turn) demands(o *Open) (verifyUser, hardware bool) {
	var answers []policy.Proof
	if best := t.asNew(o.Authenticator); o.Enrolling || !t.tx.proven() {
		answers = []policy.Proof{best}
	} else {
		answers = t.asProofs(o.Authenticator)
	}
	rule, shown := t.rule(), t.shown()
	first := o.Enrolling || !t.tx.proven() || t.helps(o.Authenticator, rule, t.tx.Proofs)
	if !first {
		rule, shown = t.before(o.Authenticator), t.seen(t.fresh())
	}
	verifyUser, hardware = true, true
	some := false
	for _, best := range answers {
		for _, known := range []bool{false, best.UserVerified} {
			for _, hard := range []bool{false, best.Hardware} {
				p := best
				if p.UserVerified, p.Hardware = known, hard; rule.Helps(p, shown) {
					some, verifyUser, hardware = true, verifyUser && known, hardware && hard
				}
			}
		}
	}
	switch {
	case !t.tx.proven():
		return !o.Enrolling && t.e.authenticators[o.Authenticator].Info().VerifiesUser, !o.Enrolling && some && hardware
	case !some || t.recovering() || first && !t.short():
		return false, false
	}
	return verifyUser, hardware
}

// shown are the proofs of this transaction as policies see them.
func (t *Turn) shown() []policy.Proof { return t.seen(t.tx.Proofs) }

// seen are proofs as policies see them.
func (t *Turn) seen(proofs []Proof) []policy.Proof {
	out := make([]policy.Proof, 0, len(proofs))
	for _, p := range proofs {
		if t.e.authenticators[p.Authenticator] == nil {
			continue
		}
		out = append(out, p.seen(t.e.authenticators[p.Authenticator].Info()))
	}
	return out
}

// seen is a proof as policies see it.
func (p Proof) seen(info authenticator.Info) policy.Proof {
	return policy.Proof{
		Authenticator: p.Authenticator, Type: info.Type, Class: info.Class,
		PhishingResistant: info.PhishingResistant, UserVerified: p.UserVerified, Hardware: p.Hardware, At: p.At,
	}
}

// short reports whether the person is known, and what they have shown is not enough.
func (t *Turn) short() bool {
	return t.tx.proven() && !t.rule().Satisfied(t.shown(), len(t.helpful()) > 0)
}

// factors lists the authenticators that the subject may prove now. Before proof
// the list must not tell whether there is an account: it is the policy's, the
// same for every address, unless the app discloses.
func (t *Turn) factors() []string {
	switch {
	case t.recovering():
		return t.recoveryFactors()
	case t.tx.proven():
		return t.helpful()
	case t.tx.Recovering || t.tx.Unlocking:
		return []string{emailKey}
	case t.tx.Subject.SignUp:
		return []string{emailKey}
	}
	var out []string
	for _, key := range t.enrollment().Keys("") {
		if t.e.authenticators[key].Info().AfterProof || t.enumeration() == policy.Disclose && t.account != nil && !t.enrolled(key) {
			continue
		}
		// Who has not what the client asks for comes in by something else, and sets it up.
		if best := t.asNew(key); t.rule().Helps(best, nil) || t.own().Helps(best, nil) {
			out = append(out, key)
		}
	}
	return out
}

// direct is the one of factors that gives what the client asks for beyond the policy;
// "" if none does, or several.
func (t *Turn) direct(factors []string) string {
	var out []string
	for _, key := range factors {
		if t.rule().Helps(t.asNew(key), nil) {
			out = append(out, key)
		}
	}
	if len(out) != 1 || len(out) == len(factors) {
		return ""
	}
	return out[0]
}

// helpful lists what the person has, may use, and would bring them nearer to what
// the app asks for; then what they must show still before anything is enrolled.
func (t *Turn) helpful() []string {
	out := t.nearer(t.rule(), t.tx.Proofs)
	switch {
	case len(out) > 0:
		return out
	case t.enrolling():
		return t.first()
	case t.rule().IfPossible():
		return t.ownLeft(t.tx.Proofs)
	}
	return nil
}

// nearer lists what the person has and may use that comes nearer than proofs to what rule asks for.
func (t *Turn) nearer(rule policy.AccessRule, proofs []Proof) []string {
	var out []string
	for _, key := range t.enrollment().Keys("") {
		if t.enrolled(key) && t.helps(key, rule, proofs) {
			out = append(out, key)
		}
	}
	return out
}
