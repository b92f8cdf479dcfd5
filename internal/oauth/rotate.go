package oauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-id/stile/internal/edge"
)

// Rotate gives a server a next key for each algorithm that it signs with. The
// next key is published at once and signs after the given time, PublishBefore
// for a planned change; 0 is an emergency, and still takes the minute that all
// nodes need to publish it. The old key is published until the last token that
// it signed has ended (SEC S-101).
func (s *Server) Rotate(ctx context.Context, server string, after time.Duration) error {
	if s.Issuer(server) == "" {
		return fmt.Errorf("oauth: unknown authorization server %q", server)
	}
	if _, err := s.keys.signer(ctx, server, algRS256); err != nil {
		return err
	}
	set, err := s.keys.load(ctx, 0)
	if err != nil {
		return err
	}
	now := s.now()
	from := now.Add(max(after, publishAtLeast))
	for _, alg := range []string{algRS256, algES256} {
		current := set.signer(server, alg, now)
		if current == nil {
			continue
		}
		err := s.keys.create(ctx, server, alg, from, func(tx Tx) error {
			for _, k := range set.sorted {
				old := k.Key
				switch {
				case old.Server != server || old.Alg != alg || !k.published(now):
					continue
				case old.ActiveFrom.After(now): // a next key that now never signs
					old.ActiveFrom, old.ExpiresAt = old.CreatedAt, now
				case k == current || old.ExpiresAt.IsZero():
					old.ExpiresAt = from.Add(s.keys.tokenLife + publishAfter)
				default:
					continue
				}
				if err := tx.UpdateKey(old); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err = s.keys.load(ctx, 0)
	return err
}

// jwks publishes the keys of a server (RFC 7517), next and old ones included.
func (c *call) jwks() error {
	ctx := c.r.Context()
	for _, alg := range c.issuer.algorithms() {
		if _, err := c.keys.signer(ctx, c.issuer.ID, alg); err != nil {
			return err
		}
	}
	set, err := c.keys.fresh(ctx)
	if err != nil {
		return err
	}
	document := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range set.sorted {
		if k.Server == c.issuer.ID && k.published(c.now()) {
			document.Keys = append(document.Keys, k.public)
		}
	}
	edge.Cacheable(c.w, "public, max-age=3600")
	edge.WriteJSON(c.w, http.StatusOK, document)
	return nil
}
