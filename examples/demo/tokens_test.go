package demo

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAway(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "now"}, {500 * time.Millisecond, "now"}, {time.Second, "in 1 second"}, {-2 * time.Second, "2 seconds ago"},
		{75 * time.Second, "in 75 seconds"}, {90 * time.Second, "in 1 minute"}, {58*time.Minute + 59*time.Second, "in 58 minutes"},
		{time.Hour, "in 60 minutes"}, {89 * time.Minute, "in 89 minutes"}, {90 * time.Minute, "in 1 hour"},
		{-25 * time.Hour, "25 hours ago"}, {-72 * time.Hour, "3 days ago"},
	} {
		if got := away(c.d); got != c.want {
			t.Errorf("away(%s) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestTokenInWords(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	now := time.Unix(1795386034, 0)
	raw := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(
		`{"scp":["openid","other"],"iss":"http://engine","exp":1795389634,"aud":["a","b"],"amr":["otp"],"x":1}`)) + ".sig"
	got := accessToken(raw, now)
	want := []row{
		{Label: "Issued by", Name: "iss", Items: []item{{"http://engine", ""}}},
		{Label: "For the API", Name: "aud", Items: []item{{"a", ""}, {"b", ""}}},
		{Label: "Proven by", Name: "amr", Items: []item{{"otp", "a one-time code or link"}}},
		{Label: "Allows", Name: "scp", Items: []item{{"openid", "to know who signed in"}, {"other", ""}}},
		{Label: "Good until", Name: "exp", At: &moment{"2026-11-22T23:20:34Z", "22 Nov 2026, 23:20:34 UTC", "in 60 minutes"}},
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got.Header != `{"alg": "RS256"}` {
		t.Errorf("header %s", got.Header)
	}
	for _, opaque := range []string{"", "abc", "a.b.c", "e30.W10.x", "e30.e30.e30.e30", "!.!.!"} {
		if got := accessToken(opaque, now); got.Claims != "" || got.Rows != nil || got.Raw != opaque {
			t.Errorf("%q: %+v", opaque, got)
		}
	}
}

func TestStory(t *testing.T) {
	ok := func(call string, offers ...string) exchange {
		return exchange{Call: call, Status: 200, Offers: offers, Times: 1}
	}
	wrong := func(call string, offers ...string) exchange {
		return exchange{Call: call, Status: 401, Offers: offers, Times: 1}
	}
	start := []exchange{
		ok("interact"), ok("introspect", "identify", "select-enroll-profile"), ok("enroll", "enroll-profile"),
	}
	proof := "enroll-authenticator"
	for name, c := range map[string]struct {
		run  []exchange
		want [][]string // calls by step
		last string     // title of the sixth step
	}{
		"refused form, wrong code, link opened elsewhere": {
			append(start, wrong("enroll/new", "enroll-profile"), ok("enroll/new", proof), wrong("challenge/answer", proof),
				ok("challenge/resend", proof), ok("challenge/poll", proof), ok("challenge/poll", "select-authenticator-enroll", "skip"),
				ok("introspect", "select-authenticator-enroll", "skip"), ok("skip", "success"), ok("token"), ok("refresh")),
			[][]string{
				{"interact", "introspect"}, {"enroll"}, {"enroll/new", "enroll/new"},
				{"challenge/answer", "challenge/resend", "challenge/poll"}, {"challenge/poll", "introspect"}, {"skip", "token"}, {"refresh"},
			}, "The user skips the remaining optional authenticators",
		},
		"password instead of skip": {
			append(start, ok("enroll/new", proof), ok("challenge/answer", "select-authenticator-enroll", "skip"),
				ok("credential/enroll", proof), wrong("challenge/answer", proof), ok("challenge/answer", "success"), ok("token")),
			[][]string{
				{"interact", "introspect"}, {"enroll"}, {"enroll/new"}, nil, {"challenge/answer"},
				{"credential/enroll", "challenge/answer", "challenge/answer", "token"},
			}, "The user sets up another authenticator",
		},
		"nothing to choose": {
			append(start, ok("enroll/new", proof), ok("challenge/answer", "success"), ok("keys"), ok("token")),
			[][]string{{"interact", "introspect"}, {"enroll"}, {"enroll/new"}, nil, {"challenge/answer"}, {"keys", "token"}},
			"Your app gets the tokens",
		},
		"cancelled and begun again": {
			append(start, ok("enroll/new", proof), ok("cancel", "identify"), ok("enroll", "enroll-profile"), ok("enroll/new", proof),
				ok("challenge/answer", "select-authenticator-enroll", "skip"), ok("skip", "success"), ok("token")),
			[][]string{
				{"interact", "introspect"}, {"enroll", "enroll"}, {"enroll/new", "enroll/new"}, {"cancel"}, {"challenge/answer"}, {"skip", "token"},
			}, "The user skips the remaining optional authenticators",
		},
	} {
		s := storyOf(c.run)
		var got [][]string
		for _, step := range s.steps {
			var calls []string
			for _, call := range step.Calls {
				calls = append(calls, call.Call)
			}
			got = append(got, calls)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || s.kind != "sign-up" || s.steps[5].Title != c.last {
			t.Errorf("%s: %s, %q (-want +got):\n%s", name, s.kind, s.steps[5].Title, diff)
		}
	}
	if s := storyOf([]exchange{ok("refresh")}); s.kind != "" || len(s.steps) != 1 || s.steps[0].Number != 0 {
		t.Errorf("what came later: %+v", s)
	}
	if s := storyOf(nil); s.steps != nil {
		t.Errorf("nothing: %+v", s)
	}
}
