package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// appOf is a client as a file has it.
func appOf(c oauth.Client) orgfile.App {
	a := orgfile.App{
		ID: c.ID, Name: c.Name, Type: orgfile.Confidential,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, EmailCallbackURI: c.EmailCallbackURI,
		SignUpURI: c.SignUpURI, ActivationURI: c.ActivationURI, RecoveryURI: c.RecoveryURI,
		TrustedOrigins: c.TrustedOrigins, GrantTypes: c.GrantTypes, IDTokenAlg: c.IDTokenAlg,
		Access: c.AccessPolicy, Profile: c.ProfilePolicy, SignUp: policy.SignUp(c.SignUp), Enumeration: policy.Enumeration(c.Enumeration),
		Logo: c.LogoURI, Disabled: c.Disabled,
	}
	if c.Public() {
		a.Type = orgfile.Public
	}
	return a
}

// clientOf is what a file says of a client.
func clientOf(a orgfile.App) oauth.Client {
	return oauth.Client{
		ID: a.ID, Name: a.Name,
		RedirectURIs: a.RedirectURIs, PostLogoutRedirectURIs: a.PostLogoutRedirectURIs, EmailCallbackURI: a.EmailCallbackURI,
		SignUpURI: a.SignUpURI, ActivationURI: a.ActivationURI, RecoveryURI: a.RecoveryURI,
		TrustedOrigins: a.TrustedOrigins, GrantTypes: a.GrantTypes, IDTokenAlg: a.IDTokenAlg,
		AccessPolicy: a.Access, ProfilePolicy: a.Profile, SignUp: string(a.SignUp), Enumeration: string(a.Enumeration),
		LogoURI: a.Logo, Disabled: a.Disabled,
	}
}

// clientEvents records the change of a registration.
func clientEvents(old, c oauth.Client) []audit.Event {
	types := []string{"application.lifecycle.update"}
	switch {
	case c.Disabled && !old.Disabled:
		types = append(types, "application.lifecycle.deactivate")
	case !c.Disabled && old.Disabled:
		types = append(types, "application.lifecycle.activate")
	}
	var out []audit.Event
	for _, t := range types {
		out = append(out, audit.Event{Type: t, Target: c.ID, Client: c.ID})
	}
	return out
}

// Apps returns all apps, in the order of their ids.
func (s *Service) Apps(ctx context.Context) ([]oauth.Client, error) { return s.Store.Clients(ctx) }

// App returns an app, switched off or not.
func (s *Service) App(ctx context.Context, id string) (oauth.Client, error) {
	all, err := s.Store.Clients(ctx)
	if err != nil {
		return oauth.Client{}, err
	}
	i := slices.IndexFunc(all, func(c oauth.Client) bool { return c.ID == id })
	if i < 0 {
		return oauth.Client{}, notFound(id, "AppInstance")
	}
	return all[i], nil
}

// AddApp registers an app, and returns the secret of a confidential one, which is
// told here and never again (SEC S-87).
func (s *Service) AddApp(ctx context.Context, a orgfile.App) (oauth.Client, string, error) {
	c, secret, err := oauth.NewClient(clientOf(a), a.Type == orgfile.Confidential, s.Now())
	if err != nil {
		return c, "", causes(fieldsAt("app", err))
	}
	if err := s.policiesOf(ctx, c); err != nil {
		return c, "", err
	}
	events := []audit.Event{{Type: "application.lifecycle.create", Target: c.ID, Client: c.ID}}
	err = s.change(ctx, nil, events, func(tx Tx) error { return tx.InsertClient(c) })
	if is(err, problem.Conflict) {
		return c, "", invalid("app.id", "An object with this field already exists in the current organization")
	}
	if err != nil {
		return c, "", err
	}
	return c, secret, s.Changed(ctx)
}

// policiesOf refuses an app whose policies are not there.
func (s *Service) policiesOf(ctx context.Context, c oauth.Client) error {
	org, err := s.org(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	if n := c.AccessPolicy; n != "" && !slices.ContainsFunc(org.Access, func(p policy.Access) bool { return p.Name == n }) {
		wrong = append(wrong, invalid("app.access", "there is no access policy %q", n))
	}
	if n := c.ProfilePolicy; n != "" && !slices.ContainsFunc(org.Profile, func(p policy.Profile) bool { return p.Name == n }) {
		wrong = append(wrong, invalid("app.profile", "there is no profile policy %q", n))
	}
	return causes(errors.Join(wrong...))
}

// UpdateApp changes a registration; not its secrets, nor whether it has any.
func (s *Service) UpdateApp(ctx context.Context, id string, edit func(*orgfile.App)) (oauth.Client, error) {
	return s.editApp(ctx, id, func(c *oauth.Client) (bool, error) {
		a := appOf(*c)
		edit(&a)
		next := clientOf(a)
		next.ID, next.Secrets, next.Version, next.CreatedAt, next.EndedAt = c.ID, c.Secrets, c.Version, c.CreatedAt, c.EndedAt
		ends := next.Disabled && !c.Disabled
		*c = next
		if c.Name == "" {
			c.Name = c.ID
		}
		return ends, s.policiesOf(ctx, *c)
	})
}

// SwitchApp switches an app off or on. What is off signs nobody in, and all that
// was issued to it is of no use any more (SEC S-104).
func (s *Service) SwitchApp(ctx context.Context, id string, on bool) (oauth.Client, error) {
	return s.editApp(ctx, id, func(c *oauth.Client) (bool, error) {
		if c.Disabled == !on {
			return false, errNoChange
		}
		c.Disabled = !on
		return !on, nil
	})
}

// RotateSecret gives an app a new secret. The one before works until the next
// rotation, so that the app can be brought up to date in between; at once it ends
// with all that was issued under it (SEC S-87, S-104).
func (s *Service) RotateSecret(ctx context.Context, id string, atOnce bool) (oauth.Client, string, error) {
	var secret string
	c, err := s.editApp(ctx, id, func(c *oauth.Client) (bool, error) {
		if c.Public() {
			return false, invalid("app.type", "a public app has no secret")
		}
		var hash []byte
		secret, hash = oauth.NewSecret()
		c.Secrets = [][]byte{hash, c.Secrets[0]}
		if atOnce {
			c.Secrets = c.Secrets[:1]
		}
		return atOnce, nil
	})
	return c, secret, err
}

// DeleteApp removes an app that is switched off (SEC S-132).
func (s *Service) DeleteApp(ctx context.Context, id string) error {
	err := again(func() error {
		c, err := s.App(ctx, id)
		if err != nil {
			return err
		}
		if !c.Disabled {
			return problem.New(problem.Forbidden, "E0000056", "Delete application forbidden.")
		}
		events := []audit.Event{{Type: "application.lifecycle.delete", Target: c.ID, Client: c.ID}}
		return s.change(ctx, nil, events, func(tx Tx) error {
			return errors.Join(tx.RevokeClient(c.ID, s.Now()), tx.DeleteClient(c.ID, c.Version))
		})
	})
	if err != nil {
		return err
	}
	return s.Changed(ctx)
}

// editApp changes a client; edit reports whether what was issued to it ends.
func (s *Service) editApp(ctx context.Context, id string, edit func(*oauth.Client) (ends bool, err error)) (oauth.Client, error) {
	var c oauth.Client
	err := again(func() error {
		old, err := s.App(ctx, id)
		if err != nil {
			return err
		}
		c = old
		ends, err := edit(&c)
		if err != nil {
			return err
		}
		c.Version, c.UpdatedAt = old.Version+1, s.Now()
		if ends {
			c.End(c.UpdatedAt)
		}
		if err := c.Validate(); err != nil {
			return causes(fieldsAt("app", err))
		}
		return s.change(ctx, nil, clientEvents(old, c), func(tx Tx) error {
			if err := tx.UpdateClient(c); err != nil || !ends {
				return err
			}
			return tx.RevokeClient(c.ID, c.EndedAt)
		})
	})
	if errors.Is(err, errNoChange) {
		return s.App(ctx, id)
	}
	if err != nil {
		return c, err
	}
	return c, s.Changed(ctx)
}
