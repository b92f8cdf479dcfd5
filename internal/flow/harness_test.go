package flow

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
)

// rig is an engine with everything around it in memory, and a clock to move.
type rig struct {
	*Engine
	tb     testing.TB
	store  *memory
	post   *post
	client Client
	mu     sync.Mutex
	at     time.Time
}

func (r *rig) FlowClient(context.Context, string) (Client, bool, error) { return r.client, true, nil }

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func newRig(tb testing.TB, org policy.Org) *rig {
	r := &rig{
		tb: tb, store: newMemory(), post: &post{rows: map[string]authenticator.Mail{}},
		client: Client{ID: "0oa1", Name: "Acme"},
		at:     time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC),
	}
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		tb.Fatal(err)
	}
	var list []authenticator.Authenticator
	for _, key := range org.EnrollmentFor(nil).Keys("") {
		switch key {
		case passwordKey:
			list = append(list, secret{now: r.clock})
			continue
		case phoneKey, gadgetKey, passkeyKey:
			list = append(list, map[string]authenticator.Authenticator{
				phoneKey: phone{now: r.clock}, gadgetKey: gadget{now: r.clock}, passkeyKey: passkey{},
			}[key])
			continue
		}
		list = append(list, newCoder(key, key, key == emailKey, r.clock))
	}
	limits := DefaultLimits()
	limits.Rules.HandleRequests, limits.Rules.UserRequests = nil, nil // the clock stands still
	r.Engine, err = New(Config{
		Store: r.store, Keys: keys, Clients: r, Outbox: r.post, Policies: func() *policy.Org { return &org },
		Authenticators: list, Limits: limits, Now: r.clock,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// visit is one transaction as a client holds it.
type visit struct {
	*rig
	handle  Handle
	last    *View
	browser Browser
}

func (r *rig) begin() *visit {
	return r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s"}})
}

func (r *rig) beginWith(s Start) *visit {
	r.tb.Helper()
	ih, err := r.Begin(context.Background(), s)
	if err != nil {
		r.tb.Fatal(err)
	}
	v, err := r.Introspect(context.Background(), Handle{Interaction: ih}, s.Browser)
	if err != nil {
		r.tb.Fatal(err)
	}
	return &visit{rig: r, handle: Handle{State: v.StateHandle}, last: v, browser: s.Browser}
}

// answer posts pairs of path and value to an offer.
func (v *visit) answer(name string, pairs ...string) *View {
	v.tb.Helper()
	view, err := v.try(name, pairs...)
	if err != nil {
		v.tb.Fatalf("%s: %v", name, err)
	}
	v.last = view
	return view
}

func (v *visit) try(name string, pairs ...string) (*View, error) {
	in := Input{}
	for i := 0; i < len(pairs); i += 2 {
		in[pairs[i]] = pairs[i+1]
	}
	return v.Answer(context.Background(), Answer{Handle: v.handle, Names: []string{name}, Input: in, Browser: v.browser})
}

func (v *visit) signUp(email string) *View {
	v.tb.Helper()
	v.answer("select-enroll-profile")
	return v.answer("enroll-profile", "userProfile.firstName", "Ada", "userProfile.lastName", "Lovelace", "userProfile.email", email)
}

// code is the newest one mailed to an address.
func (r *rig) code(to string) string {
	r.tb.Helper()
	all := r.post.sent(to)
	if len(all) == 0 {
		r.tb.Fatalf("no mail to %s", to)
	}
	return all[len(all)-1].Code
}

func names(v *View) string {
	var out []string
	for _, o := range v.Offers {
		out = append(out, o.Name)
	}
	return strings.Join(out, " ")
}

func key(v *View) string {
	if len(v.Messages) == 0 {
		return ""
	}
	return v.Messages[0].Key
}

// emailAndPassword is the default organisation without the authenticators that most
// of these tests are not about.
func emailAndPassword() policy.Org {
	org := policy.PasswordOptional()
	e := &org.Enrollment[0]
	e.Authenticators = slices.DeleteFunc(e.Authenticators, func(a policy.Authenticator) bool { return a.Key != emailKey && a.Key != passwordKey })
	return org
}
