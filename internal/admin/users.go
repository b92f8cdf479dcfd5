package admin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

const (
	emailKey = "okta_email"
	maxLimit = 200
)

// A Profile is what an operator may say of a person.
type Profile struct {
	Email, FirstName, LastName string
	Locale                     string
	Attributes                 map[string]string
}

// A Beginning is how a new user begins.
type Beginning int

// The beginnings.
const (
	Stage   Beginning = iota // no way in until they are invited
	Invite                   // by a ticket that is handed over or mailed
	Vouched                  // active at once: the operator says that the address is theirs (SEC S-40)
)

// Users returns a page of users, in the order of their ids.
func (s *Service) Users(ctx context.Context, q directory.Query) ([]directory.User, error) {
	if q.Limit <= 0 || q.Limit > maxLimit {
		q.Limit = maxLimit
	}
	return s.Store.Users(ctx, q)
}

// User returns the account of a user id or a login.
func (s *Service) User(ctx context.Context, idOrLogin string) (directory.Account, error) {
	read, key := s.Store.Account, idOrLogin
	if strings.Contains(idOrLogin, "@") {
		a, err := directory.ParseAddress(idOrLogin)
		if err != nil {
			return directory.Account{}, notFound(idOrLogin, "User")
		}
		read, key = s.Store.AccountByAddress, a.Canonical
	}
	a, err := read(ctx, key)
	if is(err, problem.NotFound) {
		return a, notFound(idOrLogin, "User")
	}
	return a, err
}

// AddUser makes a user. For one who is invited it returns the ticket; by says
// who mails it, if anybody.
func (s *Service) AddUser(ctx context.Context, p Profile, groups []string, begins Beginning, by Delivery) (directory.Account, Ticket, error) {
	org, err := s.org(ctx)
	if err != nil {
		return directory.Account{}, Ticket{}, err
	}
	now := s.Now()
	u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Staged, CreatedAt: now, UpdatedAt: now}
	if err := errors.Join(fill(&u, p, org), join(&u, groups, org)); err != nil {
		return directory.Account{}, Ticket{}, causes(err)
	}
	a := directory.Account{User: u}
	events := []audit.Event{{Type: "user.lifecycle.create", Target: u.ID}}
	var made Ticket
	switch begins {
	case Stage:
	case Invite:
		a.Status = directory.Provisioned
		if made, err = s.ticket(ctx, a.User, directory.Activation, by); err != nil {
			return a, Ticket{}, err
		}
		events = append(events, audit.Event{Type: "user.lifecycle.invite", Target: u.ID, Client: made.client})
	case Vouched:
		a.Status, a.EmailVerifiedAt = directory.Active, now
		en, err := s.Engine.Vouch(a.User)
		if err != nil {
			return a, Ticket{}, err
		}
		a.Enrollments = []directory.Enrollment{en}
		events = append(events,
			audit.Event{Type: "user.account.vouch_primary_email", Target: u.ID},
			audit.Event{Type: "user.lifecycle.activate", Target: u.ID},
			audit.Event{Type: "user.mfa.factor.activate", Target: u.ID, Authenticator: emailKey})
	}
	for _, g := range a.Groups {
		events = append(events, audit.Event{Type: "group.user_membership.add", Target: u.ID, Reason: g})
	}
	err = s.change(ctx, made.letters, events, func(tx Tx) error {
		if err := tx.InsertUser(a.User); err != nil {
			return err
		}
		for _, en := range a.Enrollments {
			if err := tx.InsertEnrollment(en); err != nil {
				return err
			}
		}
		return made.write(tx)
	})
	if is(err, problem.Conflict) {
		err = invalid("login", "An object with this field already exists in the current organization")
	}
	return a, made, err
}

// fill puts a profile into a user; the errors are joined.
func fill(u *directory.User, p Profile, org *policy.Org) error {
	var errs []error
	fail := func(path, format string, args ...any) { errs = append(errs, invalid(path, format, args...)) }
	if a, err := directory.ParseAddress(p.Email); err != nil {
		fail("email", "%v", err)
	} else {
		u.Email, u.Canonical = a.Display, a.Canonical
	}
	for _, n := range []struct {
		path, value string
		into        *string
	}{{"firstName", p.FirstName, &u.FirstName}, {"lastName", p.LastName, &u.LastName}} {
		*n.into = ""
		if directory.Blank(n.value) {
			continue
		}
		name, err := directory.ParseName(n.value, directory.MaxName)
		if err != nil {
			fail(n.path, "%v", err)
		}
		*n.into = name
	}
	u.Locale = ""
	if !directory.Blank(p.Locale) {
		locale, err := directory.ParseLocale(p.Locale)
		if err != nil {
			fail("locale", "is not a language such as en or pt-BR")
		}
		u.Locale = locale
	}
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		value := p.Attributes[name]
		a, ok := Attribute(org, name)
		switch {
		case !ok:
			fail(name, "no profile policy has such an attribute")
		case !a.Accepts(value):
			fail(name, "is not a value of the attribute")
		}
	}
	u.Attributes = nil
	if len(p.Attributes) > 0 {
		u.Attributes = maps.Clone(p.Attributes)
	}
	return errors.Join(errs...)
}

// Attribute returns the attribute of a name that some profile policy has.
func Attribute(org *policy.Org, name string) (policy.Attribute, bool) {
	for _, p := range org.Profile {
		for _, a := range p.Attributes {
			if a.Name == name {
				return a, true
			}
		}
	}
	return policy.Attribute{}, false
}

func join(u *directory.User, groups []string, org *policy.Org) error {
	for _, g := range groups {
		if !slices.ContainsFunc(org.Groups, func(x policy.Group) bool { return x.ID == g }) {
			return invalid("groupIds", "there is no group %q", g)
		}
	}
	u.Groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	return nil
}

// UpdateUser changes what a person is called and what is known of them. The
// address of somebody who has proven it is theirs alone to change (SEC S-40).
func (s *Service) UpdateUser(ctx context.Context, id string, edit func(*Profile)) (directory.Account, error) {
	org, err := s.org(ctx)
	if err != nil {
		return directory.Account{}, err
	}
	return s.edit(ctx, id, "user.account.update_profile", func(a *directory.Account) (func(Tx) error, error) {
		p := Profile{a.Email, a.FirstName, a.LastName, a.Locale, maps.Clone(a.Attributes)}
		edit(&p)
		before := a.Canonical
		if err := fill(&a.User, p, org); err != nil {
			return nil, causes(err)
		}
		if a.Canonical != before && a.Status != directory.Staged && a.Status != directory.Provisioned {
			return nil, invalid("email", "a proven address is changed by who it belongs to")
		}
		if a.Canonical != before { // what was sent to the old address proves nothing of the new one
			return func(tx Tx) error { return tx.SpendTickets(a.ID, directory.Activation, s.Now()) }, nil
		}
		return nil, nil
	})
}

// edit changes a user by fn, whose result is written beside; errNoChange ends it without a change.
func (s *Service) edit(ctx context.Context, id, event string, fn func(*directory.Account) (func(Tx) error, error)) (directory.Account, error) {
	var a directory.Account
	err := again(func() (err error) {
		if a, err = s.User(ctx, id); err != nil {
			return err
		}
		a.Version++
		a.UpdatedAt = s.Now()
		more, err := fn(&a)
		if err != nil {
			return err
		}
		err = s.change(ctx, nil, []audit.Event{{Type: event, Target: a.ID}}, func(tx Tx) error {
			if err := tx.UpdateUser(a.User); err != nil || more == nil {
				return err
			}
			return more(tx)
		})
		if is(err, problem.Conflict) {
			return invalid("login", "An object with this field already exists in the current organization")
		}
		return err
	})
	if errors.Is(err, errNoChange) {
		return s.User(ctx, id)
	}
	return a, err
}

// Suspend keeps somebody out, until Unsuspend.
func (s *Service) Suspend(ctx context.Context, id string) (directory.Account, error) {
	return s.switchOff(ctx, id, directory.Disabled, "user.lifecycle.suspend", func(a *directory.Account) error {
		if a.Status != directory.Active {
			return errState
		}
		return nil
	})
}

// Deactivate keeps somebody out for good: what is left is to delete them, or to invite them anew.
func (s *Service) Deactivate(ctx context.Context, id string) (directory.Account, error) {
	return s.switchOff(ctx, id, directory.Deactivated, "user.lifecycle.deactivate", func(a *directory.Account) error {
		if a.Status == directory.Deactivated {
			return errNoChange
		}
		return nil
	})
}

// switchOff ends everything that is open for a user (SEC S-104).
func (s *Service) switchOff(ctx context.Context, id string, to directory.Status, event string, may func(*directory.Account) error) (directory.Account, error) {
	return s.edit(ctx, id, event, func(a *directory.Account) (func(Tx) error, error) {
		if err := may(a); err != nil {
			return nil, err
		}
		now := s.Now()
		a.Status = to
		a.SignOut(now)
		return func(tx Tx) error {
			return errors.Join(tx.SignOut(a.ID, now), tx.SpendTickets(a.ID, directory.Activation, now))
		}, nil
	})
}

// Unsuspend lets somebody back in.
func (s *Service) Unsuspend(ctx context.Context, id string) (directory.Account, error) {
	return s.edit(ctx, id, "user.lifecycle.unsuspend", func(a *directory.Account) (func(Tx) error, error) {
		if a.Status != directory.Disabled {
			return nil, errState
		}
		a.Status = directory.Active
		return nil, nil
	})
}

// Paused reports whether somebody who may sign in has a password that is not looked
// at in browsers that are not known (SEC S-109).
func (s *Service) Paused(ctx context.Context, a directory.Account) (bool, error) {
	if a.Status != directory.Active {
		return false, nil
	}
	return s.Engine.PasswordPaused(ctx, a.User)
}

// Unlock ends such a pause.
func (s *Service) Unlock(ctx context.Context, id string) (directory.Account, error) {
	a, err := s.User(ctx, id)
	if err != nil {
		return a, err
	}
	paused, err := s.Paused(ctx, a)
	if err != nil {
		return a, err
	}
	if !paused {
		return a, errOpen
	}
	return a, s.change(ctx, nil, []audit.Event{{Type: "user.account.unlock_by_admin", Target: a.ID}}, func(tx Tx) error {
		for _, key := range s.Engine.PasswordCounters(a.ID) {
			if err := tx.DeleteCounter(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete removes somebody for good, who must be deactivated before (SEC S-132).
func (s *Service) Delete(ctx context.Context, id string) error {
	return again(func() error {
		a, err := s.User(ctx, id)
		if err != nil {
			return err
		}
		if a.Status != directory.Deactivated {
			return errState
		}
		now := s.Now()
		return s.change(ctx, nil, []audit.Event{{Type: "user.lifecycle.delete.completed", Target: a.ID}}, func(tx Tx) error {
			a.Version++ // or somebody may have been let in again since
			if err := tx.UpdateUser(a.User); err != nil {
				return err
			}
			return errors.Join(tx.SignOut(a.ID, now), tx.DeleteUser(a.ID, now))
		})
	})
}

// EndSessions signs somebody out of every browser, and with tokens of every app too.
func (s *Service) EndSessions(ctx context.Context, id string, tokens bool) error {
	_, err := s.edit(ctx, id, "user.session.clear", func(a *directory.Account) (func(Tx) error, error) {
		now := s.Now()
		if !tokens {
			return func(tx Tx) error { return tx.EndSessions(a.ID, now) }, nil
		}
		a.SignOut(now)
		return func(tx Tx) error { return tx.SignOut(a.ID, now) }, nil
	})
	return err
}
