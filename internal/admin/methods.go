package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
)

// Assign gives somebody a way to sign in that is handed out, in the place of one of
// its kind that they had, and tells them (UX M9). Whoever came in by that one is signed
// out (SEC S-104): it may be replaced because somebody else has it. What is wrong with
// it is an *Invalid.
// What is issued has its secret, which is told here and never again.
func (s *Service) Assign(ctx context.Context, id, method string, in map[string]string) (directory.Enrollment, authenticator.Issued, error) {
	var made directory.Enrollment
	var issued authenticator.Issued
	err := again(func() error {
		a, err := s.User(ctx, id)
		if err != nil {
			return err
		}
		made, issued, err = s.Engine.Assign(a.ID, method, in)
		var rejected *authenticator.Rejected
		if errors.As(err, &rejected) {
			return invalid(rejected.Messages[0].Field, "%s", rejected.Messages[0].Text)
		}
		if err != nil {
			return err
		}
		if issued.Secret != "" {
			if err := s.usable(a, method); err != nil {
				return err
			}
		}
		old, had := a.Enrolled(method)
		var letters []outbox.Message
		if !a.EmailVerifiedAt.IsZero() {
			m, err := s.Post.Prepare(Letter{Kind: MethodAdded, To: a.User, Method: s.Engine.NameOf(method), At: s.Now()})
			if err != nil {
				return fmt.Errorf("queue mail: %w", err)
			}
			letters = append(letters, m)
		}
		events := []audit.Event{{Type: "user.mfa.factor.activate", Target: a.ID, Authenticator: method}}
		if had {
			events = append(events, audit.Event{Type: "user.mfa.factor.deactivate", Target: a.ID, Authenticator: method})
		}
		a.Version++ // of two at once the second finds the first
		now := s.Now()
		if had {
			a.UpdatedAt = now
			a.SignOut(now)
		}
		return s.change(ctx, letters, events, func(tx Tx) error {
			if err := tx.UpdateUser(a.User); err != nil {
				return err
			}
			if had {
				if err := errors.Join(tx.DeleteEnrollment(old.ID), tx.SignOut(a.ID, now)); err != nil {
					return err
				}
			}
			return tx.InsertEnrollment(made)
		})
	})
	return made, issued, err
}

// usable refuses a code that nobody could use: it would be found out by who needs it.
func (s *Service) usable(a directory.Account, method string) error {
	switch {
	case !s.Engine.Allows(a.Groups, method):
		return invalid("authenticator", "the enrollment policy of %s does not list %s, so no code would be of use", a.Email, method)
	case a.Status != directory.Active:
		return errState
	}
	return nil
}

// Methods returns the ways to sign in that somebody has, without what was handed out to
// them and is used up or too old: that is as if it were not there.
func (s *Service) Methods(ctx context.Context, id string) ([]directory.Enrollment, error) {
	a, err := s.User(ctx, id)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(a.Enrollments, s.Engine.Over), nil
}

// DropMethod takes a way to sign in from somebody: an enrollment, or all of an
// authenticator. It signs them out and tells them (SEC S-104, UX M9).
func (s *Service) DropMethod(ctx context.Context, id, method string) error {
	return again(func() error {
		a, err := s.User(ctx, id)
		if err != nil {
			return err
		}
		gone := slices.DeleteFunc(slices.Clone(a.Enrollments), func(e directory.Enrollment) bool {
			return e.ID != method && e.Authenticator != method
		})
		if len(gone) == 0 {
			return notFound(method, "UserFactor")
		}
		key, now := gone[0].Authenticator, s.Now()
		if key == emailKey { // or nobody could tell any more who they are
			return problem.New(problem.Forbidden, "E0000038", "The email address cannot be dropped: it is what tells who somebody is.")
		}
		a.Version++
		a.UpdatedAt = now
		a.SignOut(now)
		var letters []outbox.Message
		if !a.EmailVerifiedAt.IsZero() {
			l := Letter{Kind: MethodRemoved, To: a.User, Method: s.Engine.NameOf(key), At: now}
			if len(gone) == 1 {
				l.Which = s.Engine.WhichOf(gone[0])
			}
			m, err := s.Post.Prepare(l)
			if err != nil {
				return fmt.Errorf("queue mail: %w", err)
			}
			letters = append(letters, m)
		}
		events := []audit.Event{{Type: "user.mfa.factor.deactivate", Target: a.ID, Authenticator: key}}
		return s.change(ctx, letters, events, func(tx Tx) error {
			if err := tx.UpdateUser(a.User); err != nil {
				return err
			}
			for _, e := range gone {
				if err := tx.DeleteEnrollment(e.ID); err != nil {
					return err
				}
			}
			return tx.SignOut(a.ID, now)
		})
	})
}
