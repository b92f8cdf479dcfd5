package flow

import (
	"testing"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

func TestUX_P7_6_AUTH_A74_ProgressiveProfiling(t *testing.T) {
	org := emailAndPassword()
	org.Profile[0].Attributes = []policy.Attribute{
		{Name: "team", Label: "Team", When: policy.AtSignUp, Required: true, Pattern: "[a-z]+"},
		{Name: "a", When: policy.AfterSignIn}, {Name: "b", When: policy.AfterSignIn, Required: true},
		{Name: "c", When: policy.AfterSignIn}, {Name: "d", When: policy.AfterSignIn},
	}
	r := newRig(t, org)
	v := r.begin()
	if got := v.signUp(ada); got.Stage != Profile || got.Messages[0].Field != "userProfile.team" {
		t.Fatalf("without what is required: %s %v", got.Stage, got.Messages)
	}
	v.answer("enroll-profile", "userProfile.firstName", "Ada", "userProfile.lastName", "L", "userProfile.email", ada, "userProfile.team", "engines")
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	got := v.answer("skip")
	if names(got) != "profile-update cancel" || len(got.Offers[0].Fields[0].Fields) != 3 {
		t.Fatalf("after sign-in: %s", names(got))
	}
	if got := v.answer("profile-update", "userProfile.a", "1"); got.Kind != problem.Invalid {
		t.Fatal("what is required was not given, and is accepted")
	}
	got = v.answer("profile-update", "userProfile.a", "1", "userProfile.b", "2", "userProfile.c", "3")
	if names(got) != "profile-update skip-profile cancel" {
		t.Fatalf("the rest: %s", names(got))
	}
	if got := v.answer("skip-profile"); got.Stage != Success {
		t.Fatalf("declined: %s", got.Stage)
	}
	if a := r.account(ada); a.Attributes["team"] != "engines" || a.Attributes["b"] != "2" || a.Attributes["d"] != "" {
		t.Fatalf("kept %v", a.Attributes)
	}
}

// Declining one thing and then the next is no repetition of the same answer.
func TestDecliningTwice(t *testing.T) {
	org := emailAndPassword()
	org.Profile[0].Attributes = []policy.Attribute{{Name: "a", When: policy.AfterSignIn}}
	r := newRig(t, org)
	v := r.proven(ada)
	if got := v.answer("skip"); got.Stage != ProfileUpdate {
		t.Fatalf("the list, declined: %s", got.Stage)
	}
	if got := v.answer("skip-profile"); got.Stage != Success {
		t.Fatalf("the profile, declined: %s", got.Stage)
	}
}
