package history

import (
	"fmt"
	"slices"
	"strings"
)

// i1: every acknowledged sign-up has exactly one user, one proven address and one
// audit row, and can sign in.
func (v *view) i1() (found []string) {
	for address, users := range v.signUps {
		for _, id := range users {
			u, ok := v.users[id]
			switch {
			case !ok && v.gone(id):
				continue
			case !ok:
				found = append(found, fmt.Sprintf("%s was acknowledged as %s, who is not there", address, id))
				continue
			case u.Email != address:
				found = append(found, fmt.Sprintf("%s was acknowledged as %s, who has %s", address, id, u.Email))
			case !u.Verified || !slices.Contains(v.state.Methods[id], "okta_email"):
				found = append(found, fmt.Sprintf("%s of %s is not proven", address, id))
			}
			if n := len(v.created[id]); n != 1 {
				found = append(found, fmt.Sprintf("%s was made in %d audit rows", id, n))
			}
		}
	}
	for _, in := range v.state.SignIns {
		users := slices.DeleteFunc(slices.Clone(v.signUps[in.Address]), v.closed)
		if len(users) > 0 && (in.Failed != "" || !slices.Contains(users, in.User)) {
			found = append(found, fmt.Sprintf("%s was acknowledged as %v and signs in as %q: %s", in.Address, users, in.User, in.Failed))
		}
	}
	return found
}

// i2: every canonical address belongs to at most one user.
func (v *view) i2() (found []string) {
	owner := map[string]string{}
	for _, u := range v.state.Users {
		for _, name := range []string{u.Canonical, strings.ToLower(u.Email)} {
			if other, ok := owner[name]; ok && other != u.ID {
				found = append(found, fmt.Sprintf("%s belongs to %s and to %s", name, other, u.ID))
			}
			owner[name] = u.ID
		}
	}
	for address, users := range v.signUps {
		if users = slices.DeleteFunc(slices.Clone(users), v.gone); len(users) > 1 {
			found = append(found, fmt.Sprintf("%s was acknowledged as %v", address, users))
		}
	}
	return found
}

// i3: no user is there without a consumed proof for the address.
func (v *view) i3() (found []string) {
	typed := map[string]bool{} // address and code
	for _, f := range v.flows {
		for _, c := range f.calls {
			if c.Passcode != "" {
				typed[f.address+" "+c.Passcode] = true
			}
		}
	}
	activated := map[string]bool{} // audit row and user
	for _, e := range v.state.Events {
		if e.Type == "user.mfa.factor.activate" && e.Outcome == "SUCCESS" {
			activated[e.Row+" "+e.Target] = true
		}
	}
	for _, u := range v.state.Users {
		if !slices.ContainsFunc(v.mails[u.Email], func(m Mail) bool { return m.Code != "" && typed[u.Email+" "+m.Code] }) {
			found = append(found, fmt.Sprintf("%s has %s, and nobody ever sent a code that was mailed there", u.ID, u.Email))
		}
		if !u.Verified {
			found = append(found, fmt.Sprintf("%s has %s unproven", u.ID, u.Email))
		}
		for _, row := range v.created[u.ID] {
			if !activated[row+" "+u.ID] {
				found = append(found, fmt.Sprintf("%s was made in a change that has no proof", u.ID))
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
	granted, revoked, ended := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range v.state.Events {
		switch e.Type {
		case "user.session.clear", "user.lifecycle.suspend", "user.lifecycle.deactivate", "user.lifecycle.delete.completed":
			ended[e.Type+" "+e.Target], ended[e.Target] = true, true
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
		if f.Revoked && !revoked[f.Grant] && !ended[f.User] && !v.Restored { // a restore tells of itself in one row
			found = append(found, fmt.Sprintf("refresh family %s was revoked without an audit row", id))
		}
	}
	for _, c := range v.calls {
		if !strings.HasSuffix(c.Path, "/v1/revoke") || !c.Acknowledged() {
			continue
		}
		target := jti(c.Secret)
		if id := family(c.Secret); id != "" {
			f, ok := v.state.Families[id]
			if !ok && v.gone(v.owner(id)) {
				continue
			}
			target = f.Grant
		}
		if !revoked[target] && !revoked[grant(c.Secret)] { // with its whole sign-in, as by a code that came twice, it was void before
			found = append(found, fmt.Sprintf("request %d revoked %s without an audit row", c.N, target))
		}
	}
	for _, e := range v.endings {
		written := ended[e.event+" "+e.user]
		if e.user == "" { // it changes something, if it does so for some token
			written = len(v.void(e)) == 0 || revoked[grant(v.byID[e.Secret].Access)]
		}
		if e.Acknowledged() && !written {
			found = append(found, fmt.Sprintf("request %d, %s, has no audit row", e.N, e.event))
		}
	}
	return found
}
