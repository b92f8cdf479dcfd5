package account

import (
	"context"
	"errors"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
)

// A Password is what may be told of one.
type Password struct {
	ID        string // of the enrollment; empty: there is none
	CreatedAt time.Time
	ChangedAt time.Time
	Allowed   bool // people may have one
}

var (
	errNoPassword  = problem.New(problem.NotFound, "password", "there is no password")
	errHasPassword = problem.New(problem.Conflict, "password", "There is a password already.")
	errNoPasswords = problem.New(problem.Forbidden, "password", "Passwords are not in use here.")
	errWrongOld    = problem.New(problem.Unauthenticated, "currentPassword", "The current password is not right.")
)

// Password tells whether the person has one.
func (a *Accounts) Password(ctx context.Context, by Actor) (Password, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return Password{}, err
	}
	return c.password()
}

func (c *change) password() (Password, error) {
	en, ok := c.account.Enrolled(passwordKey)
	if !ok || c.a.authenticators[passwordKey] == nil {
		return Password{Allowed: c.allowed(passwordKey)}, nil
	}
	p := Password{ID: en.ID, CreatedAt: en.CreatedAt, ChangedAt: en.CreatedAt, Allowed: true}
	credential, err := c.a.Secrets.OpenCredential(en)
	if err != nil {
		return Password{}, err
	}
	if changer, ok := c.a.authenticators[passwordKey].(authenticator.Changer); ok {
		if at := changer.ChangedAt(credential); !at.IsZero() {
			p.ChangedAt = at
		}
	}
	return p, nil
}

// SetPassword gives a password to somebody who has none. What may not be one is
// an *authenticator.Rejected.
func (a *Accounts) SetPassword(ctx context.Context, by Actor, password string) (Password, error) {
	var out Password
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		if !c.allowed(passwordKey) {
			return errNoPasswords
		}
		if _, has := c.account.Enrolled(passwordKey); has {
			return errHasPassword
		}
		if err := c.need(ctx, Fresh); err != nil {
			return err
		}
		credential, err := c.choose(ctx, authenticator.Credential{}, password)
		if err != nil {
			return err
		}
		en := c.enroll(passwordKey, credential)
		out = Password{ID: en.ID, CreatedAt: c.now, ChangedAt: c.now, Allowed: true}
		c.record(audit.Event{Type: "user.mfa.factor.activate", Authenticator: passwordKey})
		if err := c.signOutOthers(ctx); err != nil {
			return err
		}
		return c.notify(ctx, authenticator.Mail{Template: "method-added", Method: c.a.authenticators[passwordKey].Info().Name})
	})
	return out, err
}

// ChangePassword puts another password in the place of the current one. Whoever
// tells the current one has shown it just now, and needs no other fresh proof of it.
func (a *Accounts) ChangePassword(ctx context.Context, by Actor, current, password string) (Password, error) {
	var out Password
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		en, has := c.account.Enrolled(passwordKey)
		if !has || a.authenticators[passwordKey] == nil {
			return errNoPassword
		}
		old, err := a.Secrets.OpenCredential(en)
		if err != nil {
			return err
		}
		// What the current one cannot make up for is asked first: nobody may try
		// passwords here who could not change one.
		var shown []string
		if current != "" {
			shown = []string{passwordKey}
		}
		if err := c.need(ctx, Fresh, shown...); err != nil {
			return err
		}
		if current != "" {
			if err := c.verify(ctx, old, current); err != nil {
				return err
			}
		}
		credential, err := c.choose(ctx, old, password)
		if err != nil {
			return err
		}
		en.Version++
		en.Credential = a.Secrets.SealCredential(en.ID, credential)
		c.write(func(tx Tx) error { return tx.UpdateEnrollment(en) })
		out = Password{ID: en.ID, CreatedAt: en.CreatedAt, ChangedAt: c.now, Allowed: true}
		c.record(audit.Event{Type: "user.account.update_password", Authenticator: passwordKey})
		if err := c.signOutOthers(ctx); err != nil {
			return err
		}
		return c.notify(ctx, authenticator.Mail{Template: "password-changed", Method: a.authenticators[passwordKey].Info().Name})
	})
	return out, err
}

// verify looks at the current password, and counts a wrong one as a sign-in does.
func (c *change) verify(ctx context.Context, old authenticator.Credential, current string) error {
	password := c.a.authenticators[passwordKey]
	subject := c.passwordSubject(old)
	prompt, err := password.BeginVerify(ctx, subject)
	if err != nil {
		return err
	}
	_, err = password.FinishVerify(ctx, subject, prompt, authenticator.Input{"passcode": current})
	if err != nil && !errors.Is(err, authenticator.ErrWrong) && !errors.Is(err, authenticator.ErrEmpty) {
		return err
	}
	right := err == nil && !c.paused
	rule, key := c.passwordGuesses()
	c.countGuess(rule, right, key)
	if right {
		return nil
	}
	c.moved = true
	c.record(audit.Event{
		Type: "user.authentication.auth_via_mfa", Outcome: audit.Failure, Reason: audit.InvalidCredentials, Authenticator: passwordKey,
	})
	return errWrongOld
}

// RemovePassword leaves the person with the other ways to sign in.
func (a *Accounts) RemovePassword(ctx context.Context, by Actor) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		en, has := c.account.Enrolled(passwordKey)
		if !has || a.authenticators[passwordKey] == nil {
			return errNoPassword
		}
		return c.removeMethod(ctx, en)
	})
}

func (c *change) passwordSubject(old authenticator.Credential) authenticator.Subject {
	return authenticator.Subject{
		UserID: c.account.ID, Address: c.account.Email, Login: c.account.Email, FirstName: c.account.FirstName,
		LastName: c.account.LastName, Locale: c.account.Locale, Purpose: authenticator.SignIn, Enrolling: true,
		Password: c.org.PasswordFor(c.account.Groups), Enrolled: []authenticator.Credential{old},
	}
}

// choose makes the credential of a new password by the rules of the person's policy.
func (c *change) choose(ctx context.Context, old authenticator.Credential, password string) (authenticator.Credential, error) {
	changer, ok := c.a.authenticators[passwordKey].(authenticator.Changer)
	if !ok {
		return authenticator.Credential{}, errors.New("account: the password authenticator cannot change one")
	}
	subject := c.passwordSubject(old)
	prompt, err := changer.BeginChange(ctx, subject)
	if err != nil {
		return authenticator.Credential{}, err
	}
	return changer.FinishChange(ctx, subject, prompt, authenticator.Input{"passcode": password})
}
