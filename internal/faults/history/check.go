package history

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Finding is a place where a server did not keep an invariant.
type Finding struct {
	Invariant string
	What      string
}

func (f Finding) String() string { return f.Invariant + ": " + f.What }

// Conditions are what the checks must know of the run.
type Conditions struct {
	// Deadline is what a server gives a request.
	Deadline time.Duration
	// Crashed says that the database itself was broken off: steps before a proof
	// may be lost then, and the mails of them (decision D13).
	Crashed bool
}

// Check compares what clients have seen with how things stand. Nothing found is
// no proof; it looks at I1 to I10 of REL R §1.
func Check(calls []Call, s *State, c Conditions) []Finding {
	v := look(calls, s, c)
	var all []Finding
	for i, check := range []func(*view) []string{
		(*view).i1, (*view).i2, (*view).i3, (*view).i4, (*view).i5, (*view).i6, (*view).i7, (*view).i8, (*view).i9, (*view).i10,
	} {
		for _, what := range check(v) {
			all = append(all, Finding{fmt.Sprintf("I%d", i+1), what})
		}
	}
	return all
}

// A view is a history from the sides that the checks look at it from.
type view struct {
	Conditions
	calls []Call
	state *State

	flows   map[string]*flow    // by transaction id
	users   map[string]User     // by id
	created map[string][]string // audit rows that made a user
	signUps map[string][]string // by address: users that an acknowledged proof named
	mails   map[string][]Mail   // by address
}

// A flow is a transaction as clients saw it.
type flow struct {
	id      string
	address string
	signUp  bool
	calls   []Call
}

func look(calls []Call, s *State, c Conditions) *view {
	v := &view{
		Conditions: c, calls: calls, state: s, flows: map[string]*flow{}, users: map[string]User{},
		created: map[string][]string{}, signUps: map[string][]string{}, mails: map[string][]Mail{},
	}
	for _, u := range s.Users {
		v.users[u.ID] = u
	}
	for _, e := range s.Events {
		if e.Type == "user.lifecycle.create" && e.Outcome == "SUCCESS" {
			v.created[e.Target] = append(v.created[e.Target], e.Row)
		}
	}
	for _, m := range s.Mails {
		v.mails[m.To] = append(v.mails[m.To], m)
	}
	for _, c := range calls {
		handle := c.Request.Handle
		if handle == "" {
			handle = c.Answer.Handle
		}
		id := transaction(handle)
		if id == "" {
			continue
		}
		f := v.flows[id]
		if f == nil {
			f = &flow{id: id}
			v.flows[id] = f
		}
		f.calls = append(f.calls, c)
		if c.Address != "" {
			f.address, f.signUp = c.Address, strings.HasSuffix(c.Path, "/enroll/new")
		}
	}
	for _, f := range v.flows {
		for _, c := range f.calls {
			if f.signUp && c.proves() && !slices.Contains(v.signUps[f.address], c.User) {
				v.signUps[f.address] = append(v.signUps[f.address], c.User)
			}
		}
	}
	return v
}

// proves reports whether the call is an answer to a question that was acknowledged as right.
func (c Call) proves() bool {
	return strings.HasSuffix(c.Path, "/challenge/answer") && c.Acknowledged() && c.Stage >= Proven
}

// transaction is what a handle names: "02.id." or "ih.", the id, a dot and a MAC.
func transaction(handle string) string {
	parts := strings.Split(handle, ".")
	if len(parts) < 3 {
		return ""
	}
	return parts[len(parts)-2]
}

// Acknowledged returns the addresses whose sign-up was acknowledged.
func Acknowledged(calls []Call) []string {
	v := look(calls, &State{}, Conditions{})
	var out []string
	for address := range v.signUps {
		out = append(out, address)
	}
	slices.Sort(out)
	return out
}

// i1: every acknowledged sign-up has exactly one user, one proven address and one
// audit row, and can sign in.
func (v *view) i1() (found []string) {
	for address, users := range v.signUps {
		for _, id := range users {
			u, ok := v.users[id]
			switch {
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
		users := v.signUps[in.Address]
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
		if len(users) > 1 {
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
