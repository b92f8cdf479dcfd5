package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An ending is a call that ends what holds for longer than a token: a sign-in, all
// of them, or whether somebody may come in at all.
type ending struct {
	Call
	user    string // whose sign-ins all end; empty: the one of the ID token that is the secret
	closes  bool   // the user comes in no more
	deletes bool   // nor is there any more
	event   string // what the audit log calls it
}

const usersPath = "/api/v1/users/"

// ends says what a call is to end, if it is such a one.
func (c Call) ends() (ending, bool) {
	e := ending{Call: c}
	switch {
	case strings.HasSuffix(c.Path, "/v1/logout"):
		e.event = "app.oauth2.token.revoke"
		return e, true
	case c.Method == "DELETE" && c.Path == "/idp/myaccount/sessions":
		e.user, e.event = subject(c.Secret), "user.session.clear"
		return e, true
	case !strings.HasPrefix(c.Path, usersPath):
		return e, false
	}
	id, what, _ := strings.Cut(strings.TrimPrefix(c.Path, usersPath), "/")
	e.user, e.closes = id, true
	switch {
	case c.Method == "DELETE" && what == "":
		e.deletes, e.event = true, "user.lifecycle.delete.completed"
	case c.Method == "POST" && what == "lifecycle/suspend":
		e.event = "user.lifecycle.suspend"
	case c.Method == "POST" && what == "lifecycle/deactivate":
		e.event = "user.lifecycle.deactivate"
	default:
		return e, false
	}
	return e, true
}

// void is the refresh and access tokens that an ending ends: what was in
// somebody's hands before it was sent. Of what was issued meanwhile it says nothing.
func (v *view) void(e ending) (tokens []string) {
	issued := v.issued[e.user]
	if e.user == "" {
		issued = nil
		if c, ok := v.byID[e.Secret]; ok && c.Refresh == "" { // offline access outlives it (OIDC Core §11)
			issued = []Call{c}
		}
	}
	for _, c := range issued {
		if c.Ended().Before(e.At) {
			tokens = append(tokens, c.Access)
			if c.Refresh != "" {
				tokens = append(tokens, c.Refresh)
			}
		}
	}
	return tokens
}

// outlived is what an acknowledged ending of somebody did not end.
func (v *view) outlived(e ending) (found []string) {
	lives := map[string]bool{}
	for _, token := range v.void(e) {
		if id := family(token); id != "" && !v.over(id) && !lives[id] {
			lives[id] = true
			found = append(found, fmt.Sprintf("request %d, %s, ended refresh family %s, which lives", e.N, e.event, id))
		}
	}
	if !e.closes {
		return found
	}
	u, there := v.users[e.user]
	switch {
	case e.deletes && there:
		found = append(found, fmt.Sprintf("request %d deleted %s, who is there", e.N, e.user))
	case e.deletes && !v.state.Deleted[e.user]:
		found = append(found, fmt.Sprintf("request %d deleted %s, whom a restored copy would have again", e.N, e.user))
	case !e.deletes && there && u.Status == "ACTIVE":
		found = append(found, fmt.Sprintf("request %d shut %s out, who is active", e.N, e.user))
	}
	for _, c := range v.entered[e.user] {
		if c.At.After(e.Ended().Add(everywhere)) {
			found = append(found, fmt.Sprintf("request %d let %s in, %v after %s", c.N, e.user, c.At.Sub(e.Ended()), e.event))
		}
	}
	for _, in := range v.state.SignIns {
		if in.User == e.user {
			found = append(found, fmt.Sprintf("%s signs in as %s after %s", in.Address, e.user, e.event))
		}
	}
	return found
}

// over reports whether a refresh family is of no use any more: revoked, or gone
// with its user.
func (v *view) over(id string) bool {
	f, ok := v.state.Families[id]
	return f.Revoked || !ok && v.gone(v.owner(id))
}

// owner is the user of a refresh family, by the tokens that came with it.
func (v *view) owner(family string) string {
	for _, c := range v.families[family] {
		return subject(c.Access)
	}
	return ""
}

// gone reports whether a user may have been deleted.
func (v *view) gone(user string) bool {
	return slices.ContainsFunc(v.endings, func(e ending) bool { return e.deletes && e.user == user })
}

// closed reports whether a user may have been shut out or deleted.
func (v *view) closed(user string) bool {
	return slices.ContainsFunc(v.endings, func(e ending) bool { return e.closes && e.user == user })
}

// grant is the sign-in that a token is of: "AT.grant.number".
func grant(raw string) string {
	if parts := strings.Split(jti(raw), "."); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// subject is whom an access token is about.
func subject(raw string) string {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	var claims jwt.Claims
	if err != nil || token.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.Subject
}

// Open returns the addresses whose sign-up was acknowledged, and who may come in:
// not those of whom all that the address was are shut out or deleted.
func Open(calls []Call) []string {
	v := look(calls, &State{}, Conditions{})
	return slices.DeleteFunc(v.acknowledged(), func(address string) bool {
		return !slices.ContainsFunc(v.signUps[address], func(id string) bool { return !v.closed(id) })
	})
}

// Closed returns the addresses of those who were shut out with an acknowledgement,
// and are there.
func Closed(calls []Call) []string {
	v := look(calls, &State{}, Conditions{})
	return slices.DeleteFunc(v.acknowledged(), func(address string) bool {
		return !slices.ContainsFunc(v.signUps[address], func(id string) bool {
			return !v.gone(id) && slices.ContainsFunc(v.endings, func(e ending) bool {
				return e.closes && e.user == id && e.Acknowledged()
			})
		})
	})
}

// Void returns tokens that were to end, those of the newest kind for each ending,
// whether that was acknowledged or not.
func Void(calls []Call) []string {
	v := look(calls, &State{}, Conditions{})
	var out []string
	seen := map[string]bool{}
	add := func(tokens ...string) {
		for _, token := range tokens {
			if token != "" && !seen[token] {
				seen[token] = true
				out = append(out, token)
			}
		}
	}
	for _, c := range calls {
		if strings.HasSuffix(c.Path, "/v1/revoke") {
			add(c.Secret)
		}
	}
	for _, e := range v.endings {
		tokens := v.void(e)
		add(tokens[max(0, len(tokens)-2):]...)
	}
	return out
}

// Endings counts those that were acknowledged, by what the audit log calls them;
// a sign-out at the end of session endpoint is "logout".
func Endings(calls []Call) map[string]int {
	n := map[string]int{}
	for _, c := range calls {
		e, ok := c.ends()
		switch {
		case !ok || !c.Acknowledged():
		case e.user == "":
			n["logout"]++
		default:
			n[e.event]++
		}
	}
	return n
}

// earliest keeps in m when a token was first known to be void.
func earliest(m map[string]time.Time, token string, at time.Time) {
	if was, ok := m[token]; !ok || at.Before(was) {
		m[token] = at
	}
}
