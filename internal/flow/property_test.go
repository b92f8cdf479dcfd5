package flow

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// allNames is every offer of the tables.
func allNames() []string {
	var out []string
	for _, s := range stages() {
		for _, o := range Offers[s] {
			if !slices.Contains(out, o.Name) {
				out = append(out, o.Name)
			}
		}
	}
	return out
}

func anyOrg(t *rapid.T) policy.Org {
	flip := func(label string) bool { return rapid.Bool().Draw(t, label) }
	org := policy.PasswordOptional()
	if !flip("sign-up open") {
		org.CloseSignUp()
	}
	if flip("disclose") {
		org.Enumeration = policy.Disclose
	}
	list := org.Enrollment[0].Authenticators[:1]
	need := rapid.SampledFrom([]policy.Need{policy.Optional, policy.Required})
	if flip("passwords") {
		list = append(list, policy.Authenticator{Key: passwordKey, Need: need.Draw(t, "password")})
		if flip("password first") {
			org.Session[0].Primary = policy.PasswordFirst
		}
		org.Password[0].Unlock, org.Password[0].NoRecovery = flip("unlock"), flip("no recovery")
		org.Password[0].NoSignIn = flip("no sign-in")
		if flip("ages") {
			org.Password[0].MaxAge, org.Password[0].Warn = policy.Minutes(30), policy.Minutes(20)
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "others") {
		list = append(list, policy.Authenticator{Key: fmt.Sprintf("other%d", i), Need: need.Draw(t, "need")})
	}
	org.Enrollment[0].Authenticators = list
	rule := &org.Access[0].Rules[0]
	rule.Factors = rapid.IntRange(1, 2).Draw(t, "factors")
	switch rapid.IntRange(0, 5).Draw(t, "constraint") {
	case 0:
		rule.Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{Types: []string{"password"}}}}
	case 1:
		rule.Constraints = []policy.Constraint{{Possession: &policy.Evidence{}}, {Knowledge: &policy.Evidence{}}}
	case 2:
		rule.Deny = rapid.IntRange(0, 3).Draw(t, "deny") == 0
	}
	if flip("attributes") {
		org.Profile[0].Attributes = []policy.Attribute{
			{Name: "team", When: policy.AtSignUp, Pattern: "[a-z]+"},
			{Name: "floor", When: policy.AfterSignIn, Required: flip("required attribute")},
		}
	}
	return org
}

// anyInput answers an offer, rightly or wrongly.
func anyInput(t *rapid.T, v *visit) []string {
	address := rapid.SampledFrom([]string{ada, "bob@example.com", "not an address"}).Draw(t, "address")
	passcode := rapid.SampledFrom([]string{"000000", right, fresh, "weak", ""}).Draw(t, "passcode")
	if mails := v.post.sent(address); len(mails) > 0 && rapid.Bool().Draw(t, "right code") {
		passcode = mails[rapid.IntRange(0, len(mails)-1).Draw(t, "which code")].Code
	}
	return []string{
		"identifier", address, "credentials.passcode", passcode,
		"userProfile.firstName", "A", "userProfile.lastName", "B", "userProfile.email", address,
		"userProfile.team", "x", "userProfile.floor", rapid.SampledFrom([]string{"", "2"}).Draw(t, "floor"),
		"authenticator.id", "aut" + rapid.SampledFrom([]string{emailKey, passwordKey, "other0", "other1", "other2"}).Draw(t, "authenticator"),
	}
}

// state is everything of a transaction and its surroundings that an answer could change.
func (v *visit) state() []any {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	return []any{fmt.Sprint(v.store.transactions), len(v.store.users), len(v.store.messages), v.store.commits}
}

// TestSEC_S22_AnyPolicyAnyAnswers walks random policies with random answers.
func TestSEC_S22_AnyPolicyAnyAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, anyOrg(rt))
		visits := []*visit{r.begin(), r.begin()}
		for range rapid.IntRange(1, 25).Draw(rt, "answers") {
			v := rapid.SampledFrom(visits).Draw(rt, "visit")
			offered := strings.Fields(names(v.last))
			var name string
			if len(offered) > 0 && rapid.IntRange(0, 3).Draw(rt, "stray") > 0 {
				name = rapid.SampledFrom(offered).Draw(rt, "offered")
			} else {
				name = rapid.SampledFrom(allNames()).Draw(rt, "any")
			}
			input := anyInput(rt, v)
			before := v.state()
			got, err := v.try(name, input...)
			if err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if !slices.Contains(offered, name) {
				if !reflect.DeepEqual(before, v.state()) {
					rt.Fatalf("%s was not offered and changed something", name)
				}
			} else if key(got) == "errors.E0000079" {
				rt.Fatalf("%s was offered and is refused as not offered", name)
			}
			if got.Kind == problem.Throttled { // the document has no way on; the transaction lives
				r.pass(time.Minute)
				got = v.look(rt)
			}
			if got.Kind == problem.Forbidden {
				got = v.look(rt)
			}
			v.last = got
			v.check(rt)
		}
	})
}

func (v *visit) look(t *rapid.T) *View {
	got, err := v.Introspect(t.Context(), v.handle, Browser{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// check holds what must be true of a transaction however it came about.
func (v *visit) check(t *rapid.T) {
	turn, err := v.load(t.Context(), v.handle)
	if err != nil {
		t.Fatal(err)
	}
	tx := turn.tx
	if turn.StageOf() == Success {
		if !tx.proven() {
			t.Fatal("success without a proof")
		}
		if missing := turn.missing(policy.Required); len(missing) > 0 {
			t.Fatalf("success without %v", missing)
		}
		if !turn.rule().Satisfied(turn.shown(), len(turn.helpful()) > 0) {
			t.Fatalf("success below the required assurance: %v", tx.Proofs)
		}
		if tx.Recovering && !tx.Reset {
			t.Fatal("success of a recovery that was not dealt with")
		}
		if turn.account == nil || tx.Subject.UserID != turn.account.ID {
			t.Fatal("success of nobody")
		}
	}
	if tx.Subject != nil && tx.Subject.Kind == KindKnown && !tx.proven() {
		for _, o := range v.last.Offers {
			for _, f := range o.Fields {
				for _, option := range f.Options {
					if o.Name == "select-authenticator-enroll" && option.Info.Key != emailKey {
						t.Fatalf("an unproven existing user is offered to enrol %s", option.Info.Key)
					}
				}
			}
		}
	}
	switch skip := strings.Contains(names(v.last), "skip"); turn.StageOf() {
	case Enroll, ChooseEnroll:
		if skip && len(turn.missing(policy.Required)) > 0 {
			t.Fatal("SEC_S55: skip is offered while something is required")
		}
		if tx.proven() && len(turn.helpful()) > 0 && turn.short() && tx.Open == nil {
			t.Fatal("T-27: something may be enrolled before what the person has was asked for")
		}
	case Reset:
		if skip && turn.enrollment().Need(passwordKey) == policy.Required {
			t.Fatal("SEC_S55: a required password may be gone without")
		}
		if !tx.proven() || len(turn.recoveryFactors()) > 0 {
			t.Fatal("T-28: a password may be replaced too early")
		}
	}
	for id := range v.store.sessions {
		if s := v.store.sessions[id]; len(s.Proofs) == 0 {
			t.Fatal("SEC_S58: a session without a proof")
		}
	}
	for _, a := range v.store.users {
		if _, ok := a.Enrolled(emailKey); !ok {
			t.Fatalf("SEC_S30: user %s has no proven address", a.ID)
		}
	}
	if v.last.StateHandle != v.handle.State {
		t.Fatal("IDX_C29: the state handle changed")
	}
}

func TestEveryRouteRuleNamesAStageWithOffers(t *testing.T) {
	for _, r := range Route {
		if _, ok := Offers[r.Then]; !ok {
			t.Errorf("stage %s has no row in Offers", r.Then)
		}
	}
	for s, offers := range Offers {
		if !slices.Contains(stages(), s) {
			t.Errorf("no rule leads to stage %s", s)
		}
		for i, o := range offers {
			if PlaceOf(o.Name) == InRemediation && i > 0 && PlaceOf(offers[i-1].Name) != InRemediation {
				t.Errorf("IDX_C32: %s of %s stands behind an action", o.Name, s)
			}
		}
	}
}
