package flow

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/directory"
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
	org := emailAndPassword()
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
	if flip("groups") { // those of whom who is known; new people are in some
		org.Groups = []policy.Group{{ID: "staff"}}
		if flip("new people are staff") {
			org.Profile[0].Groups = []string{"staff"}
		}
		if flip("access by group") {
			staff := policy.AccessRule{Name: "staff", Groups: []string{"staff"}, Factors: rapid.IntRange(1, 2).Draw(t, "staff factors")}
			if flip("staff by password") {
				staff.Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{Types: []string{"password"}}}}
			}
			staff.Deny = rapid.IntRange(0, 5).Draw(t, "deny staff") == 0
			org.Access[0].Rules = append([]policy.AccessRule{staff}, org.Access[0].Rules...)
			rule = &org.Access[0].Rules[1]
		}
		if flip("enrollment by group") {
			staff := policy.Enrollment{Name: "staff", Groups: []string{"staff"}, Authenticators: []policy.Authenticator{list[0]}}
			for _, a := range list[1:] {
				if flip("staff have it") {
					staff.Authenticators = append(staff.Authenticators, policy.Authenticator{Key: a.Key, Need: need.Draw(t, "staff need")})
				}
			}
			org.Enrollment = append([]policy.Enrollment{staff}, org.Enrollment...)
		}
	}
	rule.Reauthenticate = rapid.SampledFrom([]policy.Duration{0, policy.Minutes(20), policy.Hours(2)}).Draw(t, "reauthenticate")
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
	address := rapid.SampledFrom([]string{ada, ada, "carol@example.com", "not an address"}).Draw(t, "address")
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

// anyBegin starts a transaction in one of the ways there are: plainly, with the
// session of an earlier one, with a ticket. It is nil where the ticket is of no use.
func anyBegin(t *rapid.T, r *rig, cookies []string) *visit {
	s := Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s"}}
	s.Browser.Keeps = rapid.Bool().Draw(t, "in a browser")
	if len(cookies) > 0 && rapid.Bool().Draw(t, "session") {
		s.Browser = Browser{Keeps: true, Cookie: rapid.SampledFrom(cookies).Draw(t, "cookie")}
	}
	s.Request.ACR = rapid.SampledFrom([]string{"", "", policy.ACRTwoFactors, policy.ACRPassword, policy.ACRPhishingResistant}).Draw(t, "acr")
	switch rapid.IntRange(0, 7).Draw(t, "ticket") {
	case 0:
		for _, id := range r.store.ids(directory.Active) {
			s.RecoveryToken = r.ticket(directory.Recovery, id)
		}
	case 1:
		for _, id := range r.store.ids(directory.Provisioned) {
			s.ActivationToken = r.ticket(directory.Activation, id)
		}
	}
	ih, err := r.Begin(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Introspect(t.Context(), Handle{Interaction: ih}, s.Browser)
	if err != nil {
		t.Fatal(err)
	}
	return &visit{rig: r, handle: Handle{State: v.StateHandle}, last: v, browser: s.Browser}
}

// ids lists the people of a status, in order.
func (m *memory) ids(status directory.Status) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(m.users)) {
		if m.users[id].Status == status {
			out = append(out, id)
		}
	}
	return out
}

// TestSEC_S22_S55_AnyPolicyAnyAnswers walks random policies with random answers.
func TestSEC_S22_S55_AnyPolicyAnyAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, anyOrg(rt))
		carol := directory.User{
			ID: "00ucarol", Version: 1, Status: directory.Provisioned, Email: "carol@example.com", Canonical: "carol@example.com",
			FirstName: "Carol", Groups: r.policies().Profile[0].Groups,
		}
		r.store.users[carol.ID] = directory.Account{User: carol}
		var cookies []string
		visits := []*visit{anyBegin(rt, r, nil), anyBegin(rt, r, nil)}
		for range rapid.IntRange(1, 30).Draw(rt, "answers") {
			if rapid.IntRange(0, 4).Draw(rt, "another") == 0 {
				r.pass(rapid.SampledFrom([]time.Duration{0, time.Minute, 25 * time.Minute}).Draw(rt, "wait"))
				visits[rapid.IntRange(0, len(visits)-1).Draw(rt, "in place of")] = anyBegin(rt, r, cookies)
			}
			i := rapid.IntRange(0, len(visits)-1).Draw(rt, "visit")
			v := visits[i]
			if v.step(rt) {
				v.check(rt)
				if v.last.Cookie != "" {
					cookies = append(cookies, v.last.Cookie)
				}
			} else { // signed out everywhere meanwhile, its ticket spent, or its time over
				visits[i] = anyBegin(rt, r, cookies)
			}
		}
	})
}

// step gives one answer; it reports whether the transaction lives on.
func (v *visit) step(t *rapid.T) bool {
	shown, err := v.Introspect(t.Context(), v.handle, v.browser)
	if problem.KindOf(err) == problem.Expired {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	v.last = shown
	offered := strings.Fields(names(v.last))
	var name string
	if len(offered) > 0 && rapid.IntRange(0, 3).Draw(t, "stray") > 0 {
		name = rapid.SampledFrom(offered).Draw(t, "offered")
	} else {
		name = rapid.SampledFrom(allNames()).Draw(t, "any")
	}
	input := anyInput(t, v)
	before := v.state()
	got, err := v.try(name, input...)
	if problem.KindOf(err) == problem.Expired {
		if !reflect.DeepEqual(before, v.state()) {
			t.Fatalf("%s came too late and changed something", name)
		}
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !slices.Contains(offered, name) {
		if !reflect.DeepEqual(before, v.state()) {
			t.Fatalf("%s was not offered and changed something", name)
		}
	} else if key(got) == "errors.E0000079" {
		t.Fatalf("%s was offered and is refused as not offered", name)
	}
	if got.Kind == problem.Throttled { // the document has no way on; the transaction lives
		v.pass(time.Minute)
	}
	if got.Kind == problem.Throttled || got.Kind == problem.Forbidden {
		if got, err = v.Introspect(t.Context(), v.handle, v.browser); problem.KindOf(err) == problem.Expired {
			return false
		} else if err != nil {
			t.Fatal(err)
		}
	}
	v.last = got
	return true
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
		if turn.recovering() {
			t.Fatal("success of a recovery that was not dealt with")
		}
		if turn.account == nil || tx.Subject.UserID != turn.account.ID {
			t.Fatal("success of nobody")
		}
		// What the person's own policies say, whatever the engine asked of them.
		rule := v.policies().AccessFor("", turn.account.Groups).With(tx.Request.ACR)
		if !rule.Satisfied(turn.shown(), true) {
			t.Fatalf("success below what the groups %v ask for: %v", turn.account.Groups, tx.Proofs)
		}
		for _, p := range tx.Proofs {
			if _, has := turn.account.Enrolled(p.Authenticator); !has {
				t.Fatalf("success by %s, which the person does not have", p.Authenticator)
			}
		}
		if tx.Activating || tx.Ticket != "" || turn.account.Status != directory.Active {
			t.Fatal("success with a ticket to spend")
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
		if tx.proven() && !tx.Subject.Created {
			kinds := policy.Classes(turn.shown())
			for _, en := range turn.account.Enrollments {
				more := turn.asNew(en.Authenticator).Class
				if len(kinds) < 2 && !slices.Contains(kinds, more) && turn.enrollment().Allows(en.Authenticator) {
					t.Fatalf("SEC_S56: something may be enrolled by %v, of who has %s", kinds, en.Authenticator)
				}
			}
		}
	case Reset:
		if skip && turn.enrollment().Need(passwordKey) == policy.Required {
			t.Fatal("SEC_S55: a required password may be gone without")
		}
		if !tx.proven() || len(turn.recoveryFactors()) > 0 {
			t.Fatal("T-28: a password may be replaced too early")
		}
	}
	if turn.StageOf() != Success && v.last.Cookie != "" {
		t.Fatal("SEC_S58: a session is given out before success")
	}
	for _, s := range v.store.sessions {
		var shown []policy.Proof
		for _, p := range s.Proofs {
			shown = append(shown, turn.asNew(p.Authenticator))
		}
		if rule := v.policies().AccessFor("", v.store.users[s.UserID].Groups); !rule.Satisfied(shown, true) {
			t.Fatalf("SEC_S58: a session of %v, where more is asked for", s.Proofs)
		}
	}
	for _, a := range v.store.users {
		for _, en := range a.Enrollments {
			if !v.policies().EnrollmentFor(a.Groups).Allows(en.Authenticator) {
				t.Fatalf("%s is enrolled, which the groups %v may not have", en.Authenticator, a.Groups)
			}
		}
		if a.Status == directory.Provisioned {
			continue
		}
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
