package account

import (
	"context"
	"fmt"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// A Signer is a device that speaks for itself, by what it signs with the key of an
// enrollment.
type Signer struct {
	UserID     string
	ID         string // of the enrollment
	Email      string // of the account
	Credential authenticator.Credential
}

var errNoSigner = problem.New(problem.NotFound, "device", "there is no such device")

// Signer finds a device by its enrollment. The error is of kind NotFound where
// there is none, or its account is not in use.
func (a *Accounts) Signer(ctx context.Context, userID, id, key string) (Signer, error) {
	account, err := a.Store.Account(ctx, userID)
	if problem.KindOf(err) == problem.NotFound || err == nil && account.Status != directory.Active {
		return Signer{}, errNoSigner
	}
	if err != nil {
		return Signer{}, fmt.Errorf("account: of a device: %w", err)
	}
	en, ok := enrollment(&account, id, key)
	if !ok {
		return Signer{}, errNoSigner
	}
	c, err := a.Secrets.OpenCredential(en)
	return Signer{UserID: userID, ID: id, Email: account.Email, Credential: c}, err
}

// Signers lists the devices of a person, in the order in which they were added; none of
// an account that is not there, or not in use.
func (a *Accounts) Signers(ctx context.Context, userID, key string) ([]Signer, error) {
	account, err := a.Store.Account(ctx, userID)
	if problem.KindOf(err) == problem.NotFound || err == nil && account.Status != directory.Active {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("account: of devices: %w", err)
	}
	var out []Signer
	for _, en := range account.Enrollments {
		if en.Authenticator != key {
			continue
		}
		c, err := a.Secrets.OpenCredential(en)
		if err != nil {
			return nil, err
		}
		out = append(out, Signer{UserID: userID, ID: en.ID, Email: account.Email, Credential: c})
	}
	return out, nil
}

func enrollment(account *directory.Account, id, key string) (directory.Enrollment, bool) {
	for _, en := range account.Enrollments {
		if en.ID == id && en.Authenticator == key {
			return en, true
		}
	}
	return directory.Enrollment{}, false
}

// ChangeSigner writes what with makes of the credential of a device that has
// asked for it.
func (a *Accounts) ChangeSigner(ctx context.Context, s Signer, key string, with func(authenticator.Credential) authenticator.Credential) error {
	return a.signing(ctx, s, key, func(_ context.Context, c *change, en directory.Enrollment) error {
		credential, err := a.Secrets.OpenCredential(en)
		if err != nil {
			return err
		}
		en.Version++
		en.Credential = a.Secrets.SealCredential(en.ID, with(credential))
		c.write(func(tx Tx) error { return tx.UpdateEnrollment(en) })
		c.record(audit.Event{Type: "user.mfa.factor.update", Authenticator: key})
		return nil
	})
}

// RemoveSigner removes a device that has asked for it. Nothing else ends: the
// device has no more rights than it gives up. The person is told, since it may be
// somebody else who holds it.
func (a *Accounts) RemoveSigner(ctx context.Context, s Signer, key string) error {
	return a.signing(ctx, s, key, func(ctx context.Context, c *change, en directory.Enrollment) error {
		kept, err := c.kept(ctx, en)
		if err != nil {
			return err
		}
		if kept != "" {
			return problem.New(problem.Forbidden, string(kept), "%s", keptWords[kept])
		}
		c.remove(en)
		return c.notify(ctx, authenticator.Mail{Template: "method-removed", Method: c.a.authenticators[key].Info().Name, Which: c.which(en)})
	})
}

func (a *Accounts) signing(ctx context.Context, s Signer, key string, act func(context.Context, *change, directory.Enrollment) error) error {
	err := a.do(ctx, Actor{UserID: s.UserID, Linked: true}, func(ctx context.Context, c *change) error {
		en, ok := enrollment(&c.account, s.ID, key)
		if !ok || c.account.Status != directory.Active {
			return errNoSigner
		}
		return act(ctx, c, en)
	})
	if problem.KindOf(err) == problem.Unauthenticated { // the account is gone
		return errNoSigner
	}
	return err
}
