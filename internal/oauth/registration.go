package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
)

// The grants that exist.
const (
	grantInteractionCode = "interaction_code"
	grantRefreshToken    = "refresh_token"
)

var knownGrants = []string{grantInteractionCode, grantRefreshToken}

const (
	maxSecrets = 2 // live at once, so that one can be rotated (SEC S-87)
	maxListed  = 100
)

var clientID = regexp.MustCompile(`^[0-9A-Za-z._-]{1,100}$`) // no colon: it would end the id in Basic

// NewSecret returns a client secret of 256 random bits and the hash to keep of
// it. The secret itself is nowhere kept, so it can be shown only once.
func NewSecret() (secret string, hash []byte) {
	b := make([]byte, 32)
	rand.Read(b)
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, HashSecret(secret)
}

// HashSecret is what Client.Secrets keeps of a secret. A plain hash is enough
// for what has 256 random bits.
func HashSecret(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// NewClient completes and checks a registration: an id, a name, all grants and
// times where they are missing. A confidential client without a secret gets
// one, which is returned here and never again.
func NewClient(c Client, confidential bool, now time.Time) (_ Client, secret string, err error) {
	if c.ID == "" {
		c.ID = directory.NewID("0oa")
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.GrantTypes == nil {
		c.GrantTypes = slices.Clone(knownGrants)
	}
	if confidential && len(c.Secrets) == 0 {
		var hash []byte
		secret, hash = NewSecret()
		c.Secrets = [][]byte{hash}
	}
	if !confidential && len(c.Secrets) != 0 {
		return Client{}, "", errors.New("oauth: a public client has no secret")
	}
	c.Version, c.CreatedAt, c.UpdatedAt = 1, now, now
	if err := c.Validate(); err != nil {
		return Client{}, "", err
	}
	return c, secret, nil
}

// A FieldError is one thing that keeps a client from being registered.
type FieldError struct {
	Client, Field string // the field in the words of the stored document
	Err           error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("oauth: client %q: %s: %v", e.Client, e.Field, e.Err)
}

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Validate reports everything that keeps c from being registered (SEC S-75), nil
// if nothing does.
func (c *Client) Validate() error {
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Client: c.ID, Field: field, Err: fmt.Errorf(format, args...)})
	}
	if !clientID.MatchString(c.ID) {
		fail("id", "must be 1 to 100 letters, digits, dots, hyphens or underscores")
	}
	if n := strings.TrimSpace(c.Name); n == "" || len(n) > 200 || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsPrint(r) }) {
		fail("name", "must be 1 to 200 printable characters")
	}
	if len(c.Secrets) > maxSecrets {
		fail("secrets", "at most %d at once", maxSecrets)
	}
	for _, hash := range c.Secrets {
		if len(hash) != sha256.Size {
			fail("secrets", "a hash has %d bytes", sha256.Size)
		}
	}
	for _, g := range c.GrantTypes {
		if !slices.Contains(knownGrants, g) {
			fail("grantTypes", "%q is none of %s", g, strings.Join(knownGrants, ", "))
		}
	}
	if slices.Contains(c.GrantTypes, grantInteractionCode) && len(c.RedirectURIs) == 0 {
		fail("redirectUris", "at least one is required")
	}
	for _, list := range []struct {
		field string
		uris  []string
	}{{"redirectUris", c.RedirectURIs}, {"postLogoutRedirectUris", c.PostLogoutRedirectURIs}} {
		if len(list.uris) > maxListed {
			fail(list.field, "at most %d", maxListed)
		}
		for _, uri := range list.uris {
			if err := ValidateRedirectURI(uri, c.Public()); err != nil {
				fail(list.field, "%q %w", uri, err)
			}
		}
	}
	if c.EmailCallbackURI != "" {
		if err := ValidateRedirectURI(c.EmailCallbackURI, c.Public()); err != nil {
			fail("emailCallbackUri", "%q %w", c.EmailCallbackURI, err)
		}
	}
	for _, page := range []struct{ field, uri string }{
		{"signUpUri", c.SignUpURI}, {"activationUri", c.ActivationURI}, {"recoveryUri", c.RecoveryURI},
	} {
		if page.uri == "" {
			continue
		}
		if err := ValidateRedirectURI(page.uri, false); err != nil {
			fail(page.field, "%q %w", page.uri, err)
		}
	}
	if len(c.TrustedOrigins) > maxListed {
		fail("trustedOrigins", "at most %d", maxListed)
	}
	for _, o := range c.TrustedOrigins {
		if err := ValidateRedirectURI(o, false); err != nil {
			fail("trustedOrigins", "%q %w", o, err)
		} else if o != edge.OriginOf(o) {
			fail("trustedOrigins", "%q must be scheme, host and port as browsers write them: %q", o, edge.OriginOf(o))
		}
	}
	if c.LogoURI != "" {
		if err := ValidateRedirectURI(c.LogoURI, false); err != nil {
			fail("logoUri", "%q %w", c.LogoURI, err)
		}
	}
	for _, v := range []struct{ field, value, one, other string }{
		{"idTokenAlg", c.IDTokenAlg, algRS256, algES256},
		{"signUp", c.SignUp, "open", "closed"},
		{"enumeration", c.Enumeration, "protect", "disclose"},
	} {
		if v.value != "" && v.value != v.one && v.value != v.other {
			fail(v.field, "%q is neither %q nor %q", v.value, v.one, v.other)
		}
	}
	return errors.Join(errs...)
}

// AddClient registers what NewClient returned. An id that is taken is an error
// of kind problem.Conflict.
func (s *Server) AddClient(ctx context.Context, c Client) error {
	return s.saveClient(ctx, c, Tx.InsertClient, "application.lifecycle.create")
}

// UpdateClient writes c over its stored version, which c.Version names; if that
// has changed the error is of kind problem.Stale.
func (s *Server) UpdateClient(ctx context.Context, c Client) error {
	all, err := s.store.Clients(ctx)
	if err != nil {
		return fmt.Errorf("oauth: save client %s: %w", c.ID, err)
	}
	types := []string{"application.lifecycle.update"}
	i := slices.IndexFunc(all, func(old Client) bool { return old.ID == c.ID })
	switch {
	case i < 0 || all[i].Disabled == c.Disabled:
	case c.Disabled:
		c.End(s.now())
		types = append(types, "application.lifecycle.deactivate")
	default:
		types = append(types, "application.lifecycle.activate")
	}
	c.Version++
	c.UpdatedAt = s.now()
	return s.saveClient(ctx, c, Tx.UpdateClient, types...)
}

func (s *Server) saveClient(ctx context.Context, c Client, save func(Tx, Client) error, types ...string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	err := s.inTx(ctx, func(tx Tx) error {
		if err := save(tx, c); err != nil {
			return err
		}
		var events []audit.Event
		for _, t := range types {
			events = append(events, audit.Event{Type: t, Target: c.ID, Client: c.ID})
		}
		return tx.Append(s.auditRow(ctx, events...))
	})
	if err != nil {
		return fmt.Errorf("oauth: save client %s: %w", c.ID, err)
	}
	s.clients.forget()
	return nil
}

// Client returns a registered client; one that is unknown or disabled is an
// error of kind problem.Unauthenticated.
func (s *Server) Client(ctx context.Context, id string) (Client, error) {
	c, err := s.clients.get(ctx, id)
	if err != nil {
		return Client{}, err
	}
	return *c, nil
}

// auditRow makes the row of a change: what is the same for its events is filled in.
func (s *Server) auditRow(ctx context.Context, events ...audit.Event) audit.Row {
	return auditRow(ctx, s.now(), events...)
}

func auditRow(ctx context.Context, now time.Time, events ...audit.Event) audit.Row {
	row := audit.Row{ID: directory.NewIDAt("ae", now), At: now, Events: events}
	for i := range events {
		e := &events[i]
		e.At, e.RequestID = row.At, edge.RequestID(ctx)
		if e.Outcome == "" {
			e.Outcome = audit.Success
		}
		if e.Actor == "" {
			e.Actor = audit.System
		}
	}
	return row
}

// KnownGrant reports whether a client may have a grant type.
func KnownGrant(g string) bool { return slices.Contains(knownGrants, g) }
