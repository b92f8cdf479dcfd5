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
	// Restored says that the database is a copy in which everybody was signed out.
	Restored bool
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

	endings  []ending
	issued   map[string][]Call // by user: answers with tokens
	families map[string][]Call // by refresh family: the same
	byID     map[string]Call   // by ID token: the same
	entered  map[string][]Call // by user: answers that let them in
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
		issued: map[string][]Call{}, families: map[string][]Call{}, byID: map[string]Call{}, entered: map[string][]Call{},
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
		if e, ok := c.ends(); ok {
			v.endings = append(v.endings, e)
		}
		if user := subject(c.Access); c.Access != "" {
			v.issued[user], v.entered[user] = append(v.issued[user], c), append(v.entered[user], c)
		}
		if id := family(c.Refresh); id != "" {
			v.families[id] = append(v.families[id], c)
		}
		if c.ID != "" {
			v.byID[c.ID] = c
		}
		if c.User != "" && c.Acknowledged() && c.Stage >= Proven {
			v.entered[c.User] = append(v.entered[c.User], c)
		}
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
	return look(calls, &State{}, Conditions{}).acknowledged()
}

func (v *view) acknowledged() (out []string) {
	for address := range v.signUps {
		out = append(out, address)
	}
	slices.Sort(out)
	return out
}
