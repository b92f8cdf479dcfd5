package flow

import (
	"context"
	"errors"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// Knows reports whether an authenticator is installed.
func (e *Engine) Knows(key string) bool { return e.authenticators[key] != nil }

// WhichOf tells an enrollment from others of its kind; empty: there is nothing to tell it by.
func (e *Engine) WhichOf(en directory.Enrollment) string {
	c, err := e.OpenCredential(en)
	if err != nil {
		return ""
	}
	return c.Which()
}

// NameOf is what people know an authenticator as, its key if it is not installed.
func (e *Engine) NameOf(key string) string {
	if a := e.authenticators[key]; a != nil {
		return a.Info().Name
	}
	return key
}

// Allows reports whether those of some groups may use an authenticator.
func (e *Engine) Allows(groups []string, key string) bool {
	return e.policies().EnrollmentFor(groups).Allows(key)
}

// Over reports whether an enrollment was given by an operator and is used up, or too old.
func (e *Engine) Over(en directory.Enrollment) bool {
	a := e.authenticators[en.Authenticator]
	s, ok := a.(authenticator.Spender)
	if !ok || !a.Info().Assigned {
		return false
	}
	c, err := e.OpenCredential(en)
	return err == nil && s.Spent(c)
}

// Vouch makes the enrollment of a user's address, which an operator says is
// theirs (SEC S-40). Nothing is written.
func (e *Engine) Vouch(u directory.User) (directory.Enrollment, error) {
	a := e.authenticators[emailKey]
	v, ok := a.(authenticator.Voucher)
	if !ok {
		return directory.Enrollment{}, errors.New("flow: the address cannot be enrolled")
	}
	c, err := v.Vouch(authenticator.Subject{UserID: u.ID, Login: u.Email, Address: u.Email})
	if err != nil {
		return directory.Enrollment{}, err
	}
	now := e.now()
	en := directory.Enrollment{
		ID: directory.NewID(a.Info().EnrollmentPrefix), UserID: u.ID, Version: 1, Authenticator: emailKey, CreatedAt: now,
	}
	en.Credential = e.SealCredential(en.ID, c)
	return en, nil
}

// Assign makes an enrollment that an operator gives to a user, and what they are to be
// told of it, if it is issued here. The error is a *authenticator.Rejected, or a refusal
// of kind Invalid for an authenticator that is not given to people or not installed.
// Nothing is written.
func (e *Engine) Assign(userID, key string, in authenticator.Input) (directory.Enrollment, authenticator.Issued, error) {
	var made authenticator.Issued
	var err error
	switch a := e.authenticators[key].(type) {
	case authenticator.Issuer:
		made, err = a.Issue(in)
	case authenticator.Assigner:
		made.Credential, err = a.Assign(in)
	default:
		err = problem.New(problem.Invalid, "E0000001", "%s is not given to people", key)
	}
	if err != nil {
		return directory.Enrollment{}, made, err
	}
	en := directory.Enrollment{ID: e.enrollmentID(key, made.Credential), UserID: userID, Version: 1, Authenticator: key, CreatedAt: e.now()}
	en.Credential = e.SealCredential(en.ID, made.Credential)
	return en, made, nil
}

// PasswordPaused reports whether a user's password is not looked at in browsers
// that are not known, after too many wrong ones. The wire of operators calls that
// LOCKED_OUT (decision D32).
func (e *Engine) PasswordPaused(ctx context.Context, u directory.User) (bool, error) {
	c, err := e.counter(ctx, limit.GuessKey(u.ID, passwordKey, limit.Unknown))
	if err != nil {
		return false, err
	}
	_, open := passwordGuesses(e.limits.Rules, e.policies(), u.Groups).Open(c, e.now())
	return !open, nil
}

// PasswordCounters are the keys of the counters that a pause of a user's password
// ends with.
func (e *Engine) PasswordCounters(userID string) []string { return laneKeys(userID, passwordKey) }
