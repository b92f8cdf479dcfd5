package account

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// A Method is a way to sign in: one that the person has, or may add.
type Method struct {
	ID         string // of the enrollment; empty: to be added
	Info       authenticator.Info
	Label      string            // what its owner calls it; empty: nothing
	Profile    map[string]string // what is shown of it, masked
	Address    string            // of its own, as a number: all of it; empty: it has none
	CreatedAt  time.Time
	LastUsedAt time.Time
	Kept       Kept // why it cannot be removed; empty: it can
}

// Kept says why a way to sign in cannot be removed (UX P7.3).
type Kept string

// The reasons.
const (
	// KeptEmail: the address is what the account is found and recovered by. It is
	// replaced by another, never removed.
	KeptEmail Kept = "email"
	// KeptRequired: the organisation asks for it.
	KeptRequired Kept = "required"
	// KeptLast: no other that the person has may be used to sign in. As everybody
	// has the email, that is so only where the organisation does not let people
	// sign in by it.
	KeptLast Kept = "last"
)

var keptWords = map[Kept]string{
	KeptEmail:    "The email cannot be removed: it is how the account is found and recovered. Change it to another address.",
	KeptRequired: "It cannot be removed: the organization requires it.",
	KeptLast:     "It cannot be removed: it is the last way to sign in. Add another one first.",
}

var errName = problem.New(problem.Invalid, "name", "name: 1 to 50 characters")

var errNoMethod = problem.New(problem.NotFound, "method", "there is no such way to sign in")

// Methods lists the ways to sign in that the person has, oldest first, and those
// that they may add, in the order of the policy.
func (a *Accounts) Methods(ctx context.Context, by Actor) ([]Method, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return nil, err
	}
	var out []Method
	for _, en := range c.account.Enrollments {
		known, ok := a.authenticators[en.Authenticator]
		if !ok {
			continue
		}
		credential, err := a.Secrets.OpenCredential(en)
		if err != nil {
			return nil, err
		}
		if known.Info().Assigned && c.spent(en) {
			continue // nothing is left of it
		}
		kept, err := c.kept(ctx, en)
		if err != nil {
			return nil, err
		}
		m := Method{
			ID: en.ID, Info: known.Info(), Label: credential.Name, Profile: credential.Profile,
			CreatedAt: en.CreatedAt, LastUsedAt: en.LastUsedAt, Kept: kept,
		}
		if addresser, ok := known.(authenticator.Addresser); ok {
			m.Address = addresser.Address(credential)
		}
		out = append(out, m)
	}
	for _, key := range c.org.EnrollmentFor(c.account.Groups).Keys("") {
		en, has := c.account.Enrolled(key)
		if has = has && !c.spent(en); c.allowed(key) && !a.authenticators[key].Info().Assigned && (!has || a.authenticators[key].Info().Several) {
			out = append(out, Method{Info: a.authenticators[key].Info()})
		}
	}
	return out, nil
}

// kept says why an enrollment must stay. What is required need not where another device
// has answered and the actor's sign-in has just set it up: the device may be a stranger's,
// and the owner would be asked for it before they set up their own. The next sign-in asks
// for one again.
func (c *change) kept(ctx context.Context, en directory.Enrollment) (Kept, error) {
	enrollment := c.org.EnrollmentFor(c.account.Groups)
	others, same := 0, 0
	for _, e := range c.account.Enrollments {
		switch {
		case e.ID == en.ID:
		case e.Authenticator == en.Authenticator:
			same++
			fallthrough
		case c.allowed(e.Authenticator):
			others++
		}
	}
	if en.Authenticator == emailKey {
		return KeptEmail, nil
	}
	if enrollment.Need(en.Authenticator) == policy.Required && same == 0 {
		if _, elsewhere := c.a.authenticators[en.Authenticator].(authenticator.Channeler); !elsewhere {
			return KeptRequired, nil
		}
		if shown, err := c.justAdded(ctx, en); err != nil || len(shown) == 0 {
			return KeptRequired, err
		}
	}
	if others == 0 {
		return KeptLast, nil
	}
	return "", nil
}

// Removable refuses like RemoveMethod, and changes nothing.
func (a *Accounts) Removable(ctx context.Context, by Actor, id string) error {
	c, err := a.open(ctx, by)
	if err != nil {
		return err
	}
	en, err := c.method(id)
	if err == nil {
		_, err = c.removable(ctx, en)
	}
	return err
}

func (c *change) method(id string) (directory.Enrollment, error) {
	for _, en := range c.account.Enrollments {
		if en.ID == id && c.a.authenticators[en.Authenticator] != nil {
			return en, nil
		}
	}
	return directory.Enrollment{}, errNoMethod
}

// RemoveMethod removes one way to sign in. Everything else that the person is
// signed in with ends, since it may have begun by what goes (SEC S-32).
func (a *Accounts) RemoveMethod(ctx context.Context, by Actor, id string) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		en, err := c.method(id)
		if err != nil {
			return err
		}
		return c.removeMethod(ctx, en)
	})
}

// removable refuses what may not be removed, and reports whether it may only because the
// actor's sign-in has just set it up.
func (c *change) removable(ctx context.Context, en directory.Enrollment) (bool, error) {
	kept, err := c.kept(ctx, en)
	if err != nil {
		return false, err
	}
	if kept != "" {
		return false, problem.New(problem.Forbidden, string(kept), "%s", keptWords[kept])
	}
	refusal := c.need(ctx, Fresh)
	if !errors.As(refusal, new(*StepUp)) {
		return false, refusal
	}
	shown, err := c.justAdded(ctx, en)
	if err != nil || len(shown) == 0 {
		return false, cmp.Or(err, refusal)
	}
	proofs, err := c.proofs(ctx, Fresh)
	if err != nil {
		return false, err
	}
	return true, c.enough(proofs, Fresh, shown...)
}

func (c *change) removeMethod(ctx context.Context, en directory.Enrollment) error {
	added, err := c.removable(ctx, en)
	if err != nil {
		return err
	}
	if added {
		if err := c.use(ctx, en); err != nil {
			return err
		}
	}
	c.remove(en)
	if err := c.signOutOthers(ctx); err != nil {
		return err
	}
	return c.notify(ctx, authenticator.Mail{Template: "method-removed", Method: c.a.authenticators[en.Authenticator].Info().Name, Which: c.which(en)})
}

// RenameMethod gives one of several another name.
func (a *Accounts) RenameMethod(ctx context.Context, by Actor, id, name string) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		for _, en := range c.account.Enrollments {
			one := a.authenticators[en.Authenticator]
			if en.ID != id || one == nil || !one.Info().Several {
				continue
			}
			if err := c.need(ctx, Fresh); err != nil {
				return err
			}
			parsed, err := directory.ParseName(name, directory.MaxName)
			if err != nil {
				return errName
			}
			credential, err := a.Secrets.OpenCredential(en)
			if err != nil {
				return err
			}
			credential.Name = parsed
			if n, ok := one.(authenticator.Namer); ok {
				credential = n.Named(credential, parsed)
			}
			en.Version++
			en.Credential = a.Secrets.SealCredential(en.ID, credential)
			c.write(func(tx Tx) error { return tx.UpdateEnrollment(en) })
			c.record(audit.Event{Type: "user.mfa.factor.update", Authenticator: en.Authenticator})
			return nil
		}
		return errNoMethod
	})
}

// which tells an enrollment from others of its kind.
func (c *change) which(en directory.Enrollment) string {
	credential, err := c.a.Secrets.OpenCredential(en)
	if err != nil { // it goes all the same
		return ""
	}
	return credential.Which()
}

func (c *change) remove(en directory.Enrollment) {
	c.write(func(tx Tx) error { return tx.DeleteEnrollment(en.ID) })
	c.record(audit.Event{Type: "user.mfa.factor.deactivate", Authenticator: en.Authenticator})
}
