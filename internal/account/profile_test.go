package account_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
)

type oauthRevocation = oauth.Revocation

func withAttributes(c *app.Config) {
	c.Policy.Profile[0].Attributes = []policy.Attribute{
		{Name: "age", Type: "number", When: policy.OnProfile},
		{Name: "nickName", When: policy.OnProfile, MinLength: 2},
		{Name: "member", Type: "boolean", When: policy.OnProfile},
		{Name: "tier", ReadOnly: true, When: policy.OnProfile},
	}
}

// values are those that a client has read and sends back.
func values(p account.Profile) map[string]account.Value {
	out := map[string]account.Value{}
	for _, v := range p.Properties {
		out[v.Name] = v.Value
	}
	return out
}

func text(s string) account.Value { return account.Value{Type: "string", Text: s} }

func TestAUTH_14_Profile(t *testing.T) {
	w := start(t, withAttributes)
	ctx := t.Context()
	by := w.fresh(w.person(old))
	v := values(must[account.Profile](t)(w.Account.Profile(ctx, by)))
	names := slices.Sorted(maps.Keys(v))
	if diff := cmp.Diff([]string{"age", "email", "firstName", "lastName", "locale", "login", "member", "nickName", "tier"}, names); diff != "" {
		t.Error(diff)
	}
	v["firstName"], v["age"], v["nickName"], v["locale"], v["member"] = text(" Ada "), account.Value{Type: "number", Text: "31"}, text("AL"), text("pt-BR"), account.Value{Type: "boolean", Text: "true"}
	p := must[account.Profile](t)(w.Account.UpdateProfile(ctx, by, v))
	u := w.account(old)
	if u.FirstName != "Ada" || u.Locale != "pt-BR" || !maps.Equal(u.Attributes, map[string]string{"age": "31", "nickName": "AL", "member": "true"}) || !p.UpdatedAt.Equal(u.UpdatedAt) {
		t.Errorf("%+v", u.User)
	}
	if got := values(p)["age"]; got != (account.Value{Type: "number", Text: "31"}) {
		t.Errorf("%+v", got)
	}
	v = values(p)
	v["age"], v["member"], v["locale"] = account.Value{}, account.Value{}, text(" ")
	must[account.Profile](t)(w.Account.UpdateProfile(ctx, by, v))
	if u := w.account(old); u.Locale != "" || !maps.Equal(u.Attributes, map[string]string{"nickName": "AL"}) {
		t.Errorf("emptied: %+v", u.User)
	}
	by.AuthTime = w.now().Add(-16 * time.Minute)
	_, err := w.Account.UpdateProfile(ctx, by, v)
	stepUp(t, err, account.Recent)
}

// What is not the person's to set is refused, and then nothing is taken.
func TestSEC_S40_MassAssignment(t *testing.T) {
	w := start(t, withAttributes)
	by := w.fresh(w.person(old))
	before := w.account(old)
	clean := values(must[account.Profile](t)(w.Account.Profile(t.Context(), by)))
	clean["firstName"] = text("Mallory")
	for name, change := range map[string]func(map[string]account.Value){
		"id":            func(v map[string]account.Value) { v["id"] = text("00uattacker") },
		"status":        func(v map[string]account.Value) { v["status"] = text("ACTIVE") },
		"groups":        func(v map[string]account.Value) { v["groups"] = text("admins") },
		"emailVerified": func(v map[string]account.Value) { v["emailVerified"] = account.Value{Type: "boolean", Text: "true"} },
		"deleteAt":      func(v map[string]account.Value) { v["deleteAt"] = text("2020-01-01") },
		"email":         func(v map[string]account.Value) { v["email"] = text("evil@example.com") },
		"login":         func(v map[string]account.Value) { v["login"] = account.Value{} },
		"tier":          func(v map[string]account.Value) { v["tier"] = text("gold") },
		"firstName":     func(v map[string]account.Value) { v["firstName"] = text(" ") },
		"lastName":      func(v map[string]account.Value) { delete(v, "lastName") },
		"locale":        func(v map[string]account.Value) { v["locale"] = text("not a language") },
		"nickName":      func(v map[string]account.Value) { v["nickName"] = text("x") },
		"age":           func(v map[string]account.Value) { v["age"] = text("Thirty") },
		"member":        func(v map[string]account.Value) { v["member"] = account.Value{Type: "number", Text: "1"} },
	} {
		v := maps.Clone(clean)
		change(v)
		_, err := w.Account.UpdateProfile(t.Context(), by, v)
		var invalid *account.Invalid
		if !errors.As(err, &invalid) || len(invalid.Faults) != 1 || invalid.Faults[0].Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, w.account(old)); diff != "" {
		t.Error(diff)
	}
}
