package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// How old a proof may be: for what somebody could take an account over by (SEC
// S-56), and for everything else that is to be written (AUTH §12.2).
const (
	Fresh  = 5 * time.Minute
	Recent = 15 * time.Minute
)

// StepUp asks for proof anew: no older than MaxAge, and of two classes where the
// person has two.
type StepUp struct{ MaxAge time.Duration }

func (s *StepUp) Error() string {
	return fmt.Sprintf("account: a proof of the last %v is needed", s.MaxAge)
}

// Proven refuses like a change that needs a proof no older than age, and changes
// nothing: a page asks for the proof before somebody fills its form in.
func (a *Accounts) Proven(ctx context.Context, by Actor, age time.Duration) error {
	c, err := a.open(ctx, by)
	if err != nil {
		return err
	}
	return c.need(ctx, age)
}

// need refuses what the actor's proofs are too old or too weak for. It asks for
// what a sign-in with acr_values of "two factors if possible" and this max_age
// asks for, so that whoever does that is through. more are proofs given here.
func (c *change) need(ctx context.Context, age time.Duration, more ...string) error {
	var proofs []policy.Proof
	used, err := c.used(ctx)
	if err == nil && !used {
		proofs, err = c.proofs(ctx, age)
	}
	if err != nil {
		return err
	}
	return c.enough(proofs, age, more...)
}

// enough refuses proofs, and more of what is shown here, that are too few.
func (c *change) enough(proofs []policy.Proof, age time.Duration, more ...string) error {
	for _, key := range more {
		proofs = append(proofs, c.asProof(key))
	}
	rule := policy.AccessRule{Factors: 1}.With(policy.ACRTwoFactorsIfPossible)
	enrollment := c.org.EnrollmentFor(c.account.Groups)
	// The mailbox alone is not enough of who has anything else, of whatever kind: as
	// the flow has it.
	mailbox := !slices.ContainsFunc(proofs, func(p policy.Proof) bool { return p.Authenticator != emailKey })
	havingMore := false
	for _, en := range c.account.Enrollments {
		if c.a.authenticators[en.Authenticator] == nil || !enrollment.Allows(en.Authenticator) {
			continue
		}
		shown := slices.ContainsFunc(proofs, func(p policy.Proof) bool { return p.Authenticator == en.Authenticator })
		more := c.asProof(en.Authenticator)
		if credential, err := c.a.Secrets.OpenCredential(en); err != nil {
			return err
		} else if credential.VerifiesUser { // as a sign-in that steps up counts it
			more.UserVerified = true
		}
		havingMore = havingMore || !shown && !c.spent(en) && (rule.Helps(more, proofs) || mailbox && len(proofs) > 0)
	}
	if !rule.Satisfied(proofs, havingMore) {
		return &StepUp{MaxAge: age}
	}
	return nil
}

// proofs are what the actor has shown within age. The token tells the time of
// the newest proof alone; the browser's session, or the grant, knows each one's, so
// that an old password does not pass for a new one beside a new code.
func (c *change) proofs(ctx context.Context, age time.Duration) ([]policy.Proof, error) {
	shown, known, err := c.shown(ctx)
	if err != nil {
		return nil, err
	}
	newest := map[string]session.Proof{}
	for _, p := range shown {
		if p.At.After(newest[p.Authenticator].At) {
			newest[p.Authenticator] = p
		}
	}
	var out []policy.Proof
	for _, key := range slices.Sorted(maps.Keys(c.a.authenticators)) {
		if !c.named(key, known) {
			continue
		}
		if _, has := c.account.Enrolled(key); !has && key != emailKey { // theirs no more
			continue
		}
		at, p := c.by.AuthTime, newest[key]
		if known && p.At.IsZero() { // another authenticator of the same reference was shown
			continue
		}
		if known && p.At.Before(at) {
			at = p.At
		}
		if c.now.Sub(at) > age {
			continue
		}
		proof := c.asProof(key)
		proof.At, proof.UserVerified = at, p.UserVerified
		out = append(out, proof)
	}
	return out, nil
}

// shown are the proofs of the actor's sign-in, as far as they are known one by one.
func (c *change) shown(ctx context.Context) (out []session.Proof, known bool, err error) {
	of, err := c.session(ctx)
	if err != nil {
		return nil, false, err
	}
	if of != "" {
		s, err := c.a.Store.Session(ctx, of)
		switch {
		case problem.KindOf(err) == problem.NotFound:
		case err != nil:
			return nil, false, fmt.Errorf("account: session: %w", err)
		case s.UserID == c.by.UserID:
			return s.Proofs, true, nil
		}
	}
	if c.by.Grant == "" {
		return nil, false, nil
	}
	if out, err = c.a.Store.Proofs(ctx, c.by.Grant); err != nil {
		return nil, false, fmt.Errorf("account: proofs: %w", err)
	}
	return out, len(out) > 0, nil
}

// justAdded lists the authenticators of what the actor's own sign-in has set up a moment
// ago, if en is among it: that counts as shown, to take en away again. The device that
// has answered may be a stranger's, and nothing else could be shown then. Another sign-in
// of the same person, by the mailbox alone perhaps, has set up nothing (SEC S-56).
func (c *change) justAdded(ctx context.Context, en directory.Enrollment) (out []string, err error) {
	all, err := c.additions(ctx)
	if err != nil {
		return nil, err
	}
	ours := false
	for _, e := range c.account.Enrollments {
		for _, one := range all {
			// The same key may have been removed, and set up anew by another sign-in.
			if one.Enrollment == e.ID && one.At.Truncate(time.Microsecond).Equal(e.CreatedAt) {
				out, ours = append(out, e.Authenticator), ours || e.ID == en.ID
			}
		}
	}
	if !ours {
		return nil, nil
	}
	return out, nil
}

// additions are what the actor's sign-in has set up within Fresh, and what it has removed
// of that while its proofs could count still.
func (c *change) additions(ctx context.Context) ([]session.Addition, error) {
	if c.by.Grant == "" {
		return nil, nil
	}
	all, err := c.a.Store.Additions(ctx, c.by.Grant)
	if err != nil {
		return nil, fmt.Errorf("account: additions: %w", err)
	}
	return slices.DeleteFunc(all, func(one session.Addition) bool {
		return c.now.Sub(one.At) > Fresh && (one.Removed.IsZero() || c.now.Sub(one.Removed) > Recent)
	}), nil
}

// used reports whether the actor's sign-in has removed something by having set it up. From
// then on its proofs count for nothing else: the mailbox would be all that is left to show,
// and a stolen token tells of that (SEC S-56).
func (c *change) used(ctx context.Context) (bool, error) {
	all, err := c.additions(ctx)
	return slices.ContainsFunc(all, func(one session.Addition) bool { return !one.Removed.IsZero() }), err
}

// use notes that en goes because the actor's sign-in has set it up.
func (c *change) use(ctx context.Context, en directory.Enrollment) error {
	all, err := c.additions(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Enrollment == en.ID {
			all[i].Removed = c.now
		}
	}
	c.write(func(tx Tx) error { return tx.KeepAdditions(c.by.Grant, all) })
	return nil
}

// added notes that the actor's sign-in has set en up.
func (c *change) added(ctx context.Context, en directory.Enrollment) error {
	if c.by.Grant == "" {
		return nil
	}
	all, err := c.additions(ctx)
	if err != nil {
		return err
	}
	all = append(all, session.Addition{Enrollment: en.ID, At: en.CreatedAt})
	c.write(func(tx Tx) error { return tx.KeepAdditions(c.by.Grant, all) })
	return nil
}

// named reports whether the actor's token may speak of an authenticator. Where nobody
// knows more than the token, a reference of several stands for the least of them, the
// mailbox: whoever reads the mail would pass for who has the app otherwise.
func (c *change) named(key string, known bool) bool {
	for _, ref := range c.a.authenticators[key].Info().References() {
		if slices.Contains(c.by.AMR, ref) && (known || key == emailKey || c.alone(key, ref)) {
			return true
		}
	}
	return false
}

// alone reports whether a reference is of no other authenticator.
func (c *change) alone(key, ref string) bool {
	for other, a := range c.a.authenticators {
		if other != key && slices.Contains(a.Info().References(), ref) {
			return false
		}
	}
	return true
}

// spent reports whether an enrollment is used up.
func (c *change) spent(en directory.Enrollment) bool {
	s, ok := c.a.authenticators[en.Authenticator].(authenticator.Spender)
	if !ok {
		return false
	}
	credential, err := c.a.Secrets.OpenCredential(en)
	return err == nil && s.Spent(credential)
}

// session is the browser's at the engine. A token that outlives its session does
// not name it, but its grant does.
func (c *change) session(ctx context.Context) (string, error) {
	if c.by.Session != "" || c.by.Grant == "" {
		return c.by.Session, nil
	}
	grants, err := c.a.Store.Grants(ctx, c.by.UserID)
	if err != nil {
		return "", fmt.Errorf("account: grants: %w", err)
	}
	for _, g := range grants {
		if g.Grant == c.by.Grant {
			return g.Session, nil
		}
	}
	return "", nil
}

func (c *change) asProof(key string) policy.Proof {
	info := c.a.authenticators[key].Info()
	return policy.Proof{
		Authenticator: key, Type: info.Type, Class: info.Class, PhishingResistant: info.PhishingResistant, At: c.now,
	}
}

// allowed reports whether people of the account's groups may have an authenticator.
func (c *change) allowed(key string) bool {
	return c.a.authenticators[key] != nil && c.org.EnrollmentFor(c.account.Groups).Allows(key)
}

func enrollmentID(a *directory.Account, key string) string {
	en, _ := a.Enrolled(key)
	return en.ID
}
