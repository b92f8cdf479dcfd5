package history

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// everywhere is within what time a revocation holds at every node (decision D36),
// with a second for the way there.
const everywhere = 2 * time.Second

// i5: what was revoked with an acknowledgement is void, and stays so. What may
// have been revoked is void at all nodes or at none.
func (v *view) i5() (found []string) {
	revoked := map[string]time.Time{} // token: when that was known
	for _, c := range v.calls {
		if !strings.HasSuffix(c.Path, "/v1/revoke") || !c.Acknowledged() {
			continue
		}
		for _, token := range v.endsWith(c.Secret) {
			if _, ok := revoked[token]; !ok {
				revoked[token] = c.Ended()
			}
		}
		if id := family(c.Secret); id != "" && !v.state.Families[id].Revoked {
			found = append(found, fmt.Sprintf("request %d revoked refresh family %s, which lives", c.N, id))
		}
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
		for _, c := range v.calls {
			if c.Refresh != "" && family(c.Refresh) == id {
				all = append(all, c.Refresh, c.Access)
			}
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

// i6: promised mail arrives or is given up with a reason, and a repetition is one.
func (v *view) i6() (found []string) {
	byID := map[string]Mail{}
	for _, m := range v.state.Mails {
		if was, ok := byID[m.MessageID]; ok && (was.To != m.To || was.Code != m.Code) {
			found = append(found, fmt.Sprintf("two mails are called %s", m.MessageID))
		}
		byID[m.MessageID] = m
	}
	arrived := map[string]bool{} // by the id of the outbox
	for name := range byID {     // the id, a dash and the time, at a host
		id, _, _ := strings.Cut(strings.Trim(name, "<>"), "@")
		id, _, _ = strings.Cut(id, "-")
		arrived[id] = true
	}
	for id, m := range v.state.Outbox {
		switch {
		case m.Status == "queued" || m.Status == "delayed":
			found = append(found, fmt.Sprintf("mail %s is still %s (%s)", id, m.Status, m.LastError))
		case m.Status == "sent" && !arrived[id]:
			found = append(found, fmt.Sprintf("mail %s is written down as sent, and did not arrive", id))
		case m.Status == "refused" && m.LastError == "":
			found = append(found, fmt.Sprintf("mail %s was refused for no reason", id))
		}
	}
	askedFor, promised := map[string]int{}, map[string]bool{}
	for _, f := range v.flows {
		asks := false
		for _, c := range f.calls {
			if strings.HasSuffix(c.Path, "/resend") {
				askedFor[f.address]++
			}
			asks = asks || c.Address != ""
			promised[f.address] = promised[f.address] || c.Acknowledged() && c.Stage == Asked
		}
		if asks {
			askedFor[f.address]++
		}
	}
	for address, yes := range promised {
		if yes && len(v.mails[address]) == 0 && !v.Crashed && !v.refused() {
			found = append(found, fmt.Sprintf("%s was promised a mail, and none came", address))
		}
	}
	for address, mails := range v.mails {
		distinct := map[string]bool{}
		for _, m := range mails {
			if m.Code != "" {
				distinct[m.MessageID] = true
			}
		}
		if n := askedFor[address]; len(distinct) > n {
			found = append(found, fmt.Sprintf("%s got %d codes, and asked for %d", address, len(distinct), n))
		}
	}
	return found
}

func (v *view) refused() bool {
	for _, m := range v.state.Outbox {
		if m.Status == "refused" || m.Status == "expired" {
			return true
		}
	}
	return false
}

// i7: a transaction's visible state never moves backwards.
func (v *view) i7() (found []string) {
	for _, f := range v.flows {
		calls := slices.Clone(f.calls)
		slices.SortFunc(calls, func(a, b Call) int { return a.Ended().Compare(b.Ended()) })
		for i, b := range calls {
			if b.Stage == None && b.Error != "idx.session.expired" {
				continue
			}
			for _, a := range calls[:i] {
				back := a.Stage > b.Stage && !a.Ended().After(b.At)
				if back && !(v.Crashed && a.Stage < Proven) && a.Stage != Finished {
					found = append(found, fmt.Sprintf("transaction %s was at %d and then, in request %d, at %d (%s)", f.id, a.Stage, b.N, b.Stage, b.Error))
					break
				}
			}
		}
	}
	return found
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

// i9: the audit chain verifies, and there is a row for each change and a change for each row.
func (v *view) i9() (found []string) {
	if v.state.Verified != nil {
		found = append(found, v.state.Verified.Error())
	}
	for _, u := range v.state.Users {
		if n := len(v.created[u.ID]); n != 1 {
			found = append(found, fmt.Sprintf("user %s is there, and was made in %d audit rows", u.ID, n))
		}
	}
	for id := range v.created {
		if _, ok := v.users[id]; !ok && !v.state.Deleted[id] {
			found = append(found, fmt.Sprintf("user %s was made by the audit log, and is not there", id))
		}
	}
	granted, revoked := map[string]bool{}, map[string]bool{}
	for _, e := range v.state.Events {
		switch e.Type {
		case "app.oauth2.token.grant.refresh_token":
			granted[e.Target] = true
		case "app.oauth2.token.revoke", "app.oauth2.token.detect_reuse":
			revoked[e.Target] = true
		}
	}
	for id, f := range v.state.Families {
		if !granted[f.Grant] {
			found = append(found, fmt.Sprintf("refresh family %s has no audit row", id))
		}
		if f.Revoked && !revoked[f.Grant] {
			found = append(found, fmt.Sprintf("refresh family %s was revoked without an audit row", id))
		}
	}
	for _, c := range v.calls {
		if !strings.HasSuffix(c.Path, "/v1/revoke") || !c.Acknowledged() {
			continue
		}
		target := jti(c.Secret)
		if id := family(c.Secret); id != "" {
			target = v.state.Families[id].Grant
		}
		if !revoked[target] {
			found = append(found, fmt.Sprintf("request %d revoked %s without an audit row", c.N, target))
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

// internal is what nobody outside should read.
var internal = regexp.MustCompile(`(?i)sqlstate|postgres|sqlite|\bpgx?:|database is|dial (tcp|unix)|connection refused|broken pipe|context deadline|goroutine|runtime error|panic|\.go:\d|/tmp/|no such (table|file)`)

// i10: no 5xx has internal text, and no request hangs past its deadline.
func (v *view) i10() (found []string) {
	for _, c := range v.calls {
		if c.Status >= 500 && internal.MatchString(c.Body) {
			found = append(found, fmt.Sprintf("request %d, %s: %d says %.200q", c.N, c.Path, c.Status, c.Body))
		}
		if v.Deadline > 0 && c.Took > v.Deadline+time.Second {
			found = append(found, fmt.Sprintf("request %d, %s: %v", c.N, c.Path, c.Took.Round(time.Millisecond)))
		}
	}
	return found
}
