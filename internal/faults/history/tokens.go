package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// i4: what is good once was consumed at most once.
func (v *view) i4() (found []string) {
	redeemed, next, proven := map[string]int{}, map[string]string{}, map[string]string{}
	for _, c := range v.calls {
		if !c.Acknowledged() {
			continue
		}
		switch c.Grant {
		case "interaction_code", "authorization_code":
			if redeemed[c.Secret]++; redeemed[c.Secret] == 2 {
				found = append(found, fmt.Sprintf("request %d: the code was exchanged before", c.N))
			}
		case "refresh_token":
			if was, ok := next[c.Secret]; ok && was != c.Refresh {
				found = append(found, fmt.Sprintf("request %d: a refresh token has two successors", c.N))
			}
			next[c.Secret] = c.Refresh
		}
	}
	for _, f := range v.flows {
		for _, c := range f.calls {
			if !c.proves() {
				continue
			}
			key := f.address + " " + c.Passcode
			if was, ok := proven[key]; ok && was != f.id {
				found = append(found, fmt.Sprintf("one code to %s proved two transactions", f.address))
			}
			proven[key] = f.id
		}
	}
	issued, rotated := map[string]int{}, map[string]int64{}
	for _, e := range v.state.Events {
		switch {
		case e.Type == "app.oauth2.token.grant.access_token" && e.Transaction != "":
			if issued[e.Transaction]++; issued[e.Transaction] == 2 {
				found = append(found, fmt.Sprintf("transaction %s was exchanged twice", e.Transaction))
			}
		case e.Type == "app.oauth2.token.grant.refresh_token":
			rotated[e.Target]++
		}
	}
	for id, f := range v.state.Families {
		if n := rotated[f.Grant]; n != f.Generation {
			found = append(found, fmt.Sprintf("refresh family %s is at generation %d, and %d were issued", id, f.Generation, n))
		}
	}
	return found
}

// everywhere is within what time a revocation holds at every node (decision D36),
// with a second for the way there.
const everywhere = 2 * time.Second

// i5: what was revoked, or ended with a sign-out, a disabling or a deletion, with
// an acknowledgement is void, and stays so; who was shut out does not come in. What
// may have been revoked is void at all nodes or at none.
func (v *view) i5() (found []string) {
	revoked := map[string]time.Time{} // token: when that was known
	for _, c := range v.calls {
		if !strings.HasSuffix(c.Path, "/v1/revoke") || !c.Acknowledged() {
			continue
		}
		for _, token := range v.endsWith(c.Secret) {
			earliest(revoked, token, c.Ended())
		}
		if id := family(c.Secret); id != "" && !v.over(id) {
			found = append(found, fmt.Sprintf("request %d revoked refresh family %s, which lives", c.N, id))
		}
	}
	for _, e := range v.endings {
		if !e.Acknowledged() {
			continue
		}
		for _, token := range v.void(e) {
			earliest(revoked, token, e.Ended())
		}
		found = append(found, v.outlived(e)...)
	}
	for _, c := range v.calls {
		at, ok := revoked[c.Secret]
		if ok && c.Acknowledged() && !strings.HasSuffix(c.Path, "/v1/revoke") && c.At.After(at.Add(everywhere)) {
			found = append(found, fmt.Sprintf("request %d used a token %v after it was revoked", c.N, c.At.Sub(at)))
		}
	}
	said := map[string]bool{}
	for _, p := range v.state.Tokens {
		if _, ok := revoked[p.Token]; ok && p.Accepted {
			found = append(found, fmt.Sprintf("%s accepts a token that was revoked", p.Node))
		}
		if was, ok := said[p.Token]; ok && was != p.Accepted {
			found = append(found, fmt.Sprintf("%s does not say of a token what another node says", p.Node))
		}
		said[p.Token] = p.Accepted
	}
	return found
}

// endsWith returns a token and what is void with it: with a refresh token its
// family's other tokens.
func (v *view) endsWith(token string) []string {
	all := []string{token}
	if id := family(token); id != "" {
		for _, c := range v.families[id] {
			all = append(all, c.Refresh, c.Access)
		}
	}
	return all
}

// family is the one that a refresh token names: "rt.id.generation.secret".
func family(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 4 || parts[0] != "rt" {
		return ""
	}
	return parts[1]
}

// tolerance is what a verifier forgives a clock (REL R-15).
const tolerance = time.Minute

// i8: tokens verify against the keys that any node publishes from then on.
func (v *view) i8() (found []string) {
	published := map[string]jose.JSONWebKey{}
	for _, c := range v.calls {
		var set jose.JSONWebKeySet
		if c.JWKS == "" || json.Unmarshal([]byte(c.JWKS), &set) != nil {
			continue
		}
		for _, k := range set.Keys {
			published[k.KeyID] = k
		}
	}
	newest := map[string]time.Time{} // kid: when a token of it was first in somebody's hands
	for _, c := range v.calls {
		for _, raw := range []string{c.Access, c.ID} {
			if raw == "" {
				continue
			}
			token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
			if err != nil {
				found = append(found, fmt.Sprintf("request %d: a token is none: %v", c.N, err))
				continue
			}
			kid := token.Headers[0].KeyID
			var claims jwt.Claims
			switch key, ok := published[kid]; {
			case !ok:
				found = append(found, fmt.Sprintf("request %d: key %s was never published", c.N, kid))
				continue
			default:
				err = token.Claims(key, &claims)
			}
			switch {
			case err != nil:
				found = append(found, fmt.Sprintf("request %d: a token does not verify: %v", c.N, err))
			case claims.IssuedAt.Time().After(c.Ended().Add(tolerance)):
				found = append(found, fmt.Sprintf("request %d: a token of the future, by %v", c.N, claims.IssuedAt.Time().Sub(c.Ended())))
			}
			if at, ok := newest[kid]; !ok || c.Ended().Before(at) {
				newest[kid] = c.Ended()
			}
		}
	}
	for _, c := range v.calls {
		for kid, at := range newest {
			if len(c.Keys) > 0 && c.At.After(at) && !slices.Contains(c.Keys, kid) {
				found = append(found, fmt.Sprintf("request %d: a node does not publish key %s, of which there are tokens", c.N, kid))
			}
		}
	}
	return found
}

// jti is the id of an access token.
func jti(raw string) string {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	var claims jwt.Claims
	if err != nil || token.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.ID
}
