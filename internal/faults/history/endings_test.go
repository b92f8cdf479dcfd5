package history

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// join adds the sign-up of somebody, with offline access or without, and returns
// the call that gave the tokens.
func (s *story) join(t *testing.T, user, address string, offline bool) Call {
	t.Helper()
	h, code := "02.id.tx"+user+".mac", "9"+user
	s.add("/idp/idx/enroll/new", Request{Handle: h, Address: address}, Answer{Handle: h, Stage: Asked})
	s.add("/idp/idx/challenge/answer", Request{Handle: h, Passcode: code}, Answer{Handle: h, Stage: Proven, User: user})
	got := Answer{Access: s.signFor(t, user, "AT.g"+user+".1", begin), ID: s.signFor(t, user, "ID.g"+user+".1", begin)}
	if offline {
		got.Refresh = "rt.rf" + user + ".00000001.mac"
		s.state.Families["rf"+user] = Family{Grant: "g" + user, User: user, Generation: 1}
		s.happened("app.oauth2.token.grant.refresh_token", "g"+user)
	}
	c := *s.add("/v1/token", Request{Grant: "interaction_code", Secret: "ic." + user}, got)
	s.state.Users = append(s.state.Users, User{ID: user, Email: address, Canonical: address, Status: "ACTIVE", Verified: true})
	s.state.Methods[user] = []string{"okta_email"}
	row := s.happened("user.lifecycle.create", user)
	s.state.Events = append(s.state.Events, Event{Row: row, Type: "user.mfa.factor.activate", Outcome: "SUCCESS", Target: user})
	s.state.Outbox["m"+user] = Message{Status: "sent"}
	s.state.Mails = append(s.state.Mails, Mail{MessageID: "<m" + user + "-t0@example.com>", To: address, Code: code})
	return c
}

// happened writes a row into the audit log.
func (s *story) happened(kind, target string) (row string) {
	row = fmt.Sprintf("row%d", len(s.state.Events))
	s.state.Events = append(s.state.Events, Event{Row: row, Type: kind, Outcome: "SUCCESS", Target: target})
	return row
}

func (s *story) user(id string) *User {
	return &s.state.Users[slices.IndexFunc(s.state.Users, func(u User) bool { return u.ID == id })]
}

func (s *story) revoke(family string) {
	f := s.state.Families[family]
	f.Revoked = true
	s.state.Families[family] = f
}

// part tells of four who sign up: cleo signs out everywhere, dan by his app, eva is
// disabled, and fay is deleted and signs up anew.
func part(t *testing.T) (s *story, tokens map[string]Call) {
	t.Helper()
	s = tell(t)
	tokens = map[string]Call{
		"cleo": s.join(t, "u3", "cleo@example.com", true), "dan": s.join(t, "u4", "dan@example.com", false),
		"eva": s.join(t, "u5", "eva@example.com", true), "fay": s.join(t, "u6", "fay@example.com", true),
	}
	s.add("/idp/myaccount/sessions", Request{Secret: tokens["cleo"].Access}, Answer{Status: 204}).Method = http.MethodDelete
	s.happened("user.session.clear", "u3")
	s.revoke("rfu3")
	s.add("/v1/logout", Request{Secret: tokens["dan"].ID}, Answer{})
	s.happened("app.oauth2.token.revoke", "gu4")
	s.add("/api/v1/users/u5/lifecycle/suspend", Request{}, Answer{})
	s.happened("user.lifecycle.suspend", "u5")
	s.revoke("rfu5")
	s.user("u5").Status = "SUSPENDED"
	s.add("/api/v1/users/u6/lifecycle/deactivate", Request{}, Answer{})
	s.happened("user.lifecycle.deactivate", "u6")
	s.add("/api/v1/users/u6", Request{}, Answer{Status: 204}).Method = http.MethodDelete
	s.happened("user.lifecycle.delete.completed", "u6")
	s.state.Deleted["u6"] = true
	delete(s.state.Families, "rfu6")
	s.state.Users = slices.DeleteFunc(s.state.Users, func(u User) bool { return u.ID == "u6" })
	s.join(t, "u7", "fay@example.com", true)
	for _, token := range Void(s.calls) {
		s.state.Tokens = append(s.state.Tokens, Probe{Token: token, Node: "one"})
	}
	s.state.SignIns = append(s.state.SignIns, SignIn{Address: "fay@example.com", User: "u7"}, SignIn{Address: "eva@example.com", Failed: "no mail"})
	return s, tokens
}

func TestGoodEndings(t *testing.T) {
	s, tokens := part(t)
	if got := Check(s.calls, s.state, conditions); len(got) > 0 {
		t.Errorf("%v", got)
	}
	if got := Closed(s.calls); !cmp.Equal(got, []string{"eva@example.com"}) {
		t.Errorf("shut out: %v", got)
	}
	if got := Open(s.calls); !cmp.Equal(got, []string{"ada@example.com", "cleo@example.com", "dan@example.com", "fay@example.com"}) {
		t.Errorf("may come in: %v", got)
	}
	void := Void(s.calls)
	for name, c := range tokens {
		if !slices.Contains(void, c.Access) || c.Refresh != "" && !slices.Contains(void, c.Refresh) {
			t.Errorf("nobody asks about the tokens of %s", name)
		}
	}
	want := map[string]int{
		"logout": 1, "user.session.clear": 1, "user.lifecycle.suspend": 1, "user.lifecycle.deactivate": 1, "user.lifecycle.delete.completed": 1,
	}
	if got := Endings(s.calls); !cmp.Equal(got, want) {
		t.Errorf("%v", got)
	}
	// What was not answered may have been done or not.
	for i := range s.calls {
		if _, ok := s.calls[i].ends(); ok {
			s.calls[i].Answer = Answer{Lost: "EOF"}
		}
	}
	if got := Check(s.calls, s.state, conditions); len(got) > 0 {
		t.Errorf("not acknowledged: %v", got)
	}
}

// Each acknowledged sign-out, disabling and deletion that does not hold is caught.
func TestCheckerCatchesEndings(t *testing.T) {
	later := func(s *story, path string, q Request, a Answer) {
		s.add("/healthz", Request{}, Answer{})
		s.add("/healthz", Request{}, Answer{})
		s.add(path, q, a)
	}
	for _, tt := range []struct {
		invariant, name, says string
		doctor                func(t *testing.T, s *story, tokens map[string]Call)
	}{
		{"I5", "signed out everywhere, and a family lives", "session.clear, ended refresh family rfu3, which lives", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.Families["rfu3"] = Family{Grant: "gu3", User: "u3", Generation: 1}
		}},
		{"I5", "signed out everywhere, and the token is used", "after it was revoked", func(_ *testing.T, s *story, tokens map[string]Call) {
			later(s, "/v1/userinfo", Request{Secret: tokens["cleo"].Access}, Answer{})
		}},
		{"I5", "signed out everywhere, and the family renews", "after it was revoked", func(t *testing.T, s *story, tokens map[string]Call) {
			later(s, "/v1/token", Request{Grant: "refresh_token", Secret: tokens["cleo"].Refresh}, Answer{})
		}},
		{"I5", "signed out by the app, and a node takes the token", "accepts a token", func(_ *testing.T, s *story, tokens map[string]Call) {
			s.state.Tokens = append(s.state.Tokens, Probe{Token: tokens["dan"].Access, Node: "two", Accepted: true})
		}},
		{"I5", "disabled, and active", "u5 out, who is active", func(_ *testing.T, s *story, _ map[string]Call) { s.user("u5").Status = "ACTIVE" }},
		{"I5", "disabled, and signs in afterwards", "signs in as u5", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.SignIns[2] = SignIn{Address: "eva@example.com", User: "u5"}
		}},
		{"I5", "disabled, and let in by a flow", "let u5 in", func(_ *testing.T, s *story, _ map[string]Call) {
			later(s, "/idp/idx/challenge/answer", Request{Handle: "02.id.tx9.mac"}, Answer{Handle: "02.id.tx9.mac", Stage: Finished, User: "u5"})
		}},
		{"I5", "disabled, and given tokens", "let u5 in", func(t *testing.T, s *story, _ map[string]Call) {
			later(s, "/v1/token", Request{Grant: "interaction_code", Secret: "ic.tx9.mac"}, Answer{Access: s.signFor(t, "u5", "AT.g9.1", begin)})
		}},
		{"I5", "deleted, and there again", "deleted u6, who is there", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.Users = append(s.state.Users, User{ID: "u6", Email: "old@example.com", Canonical: "old@example.com", Verified: true})
		}},
		{"I5", "deleted, and not buried", "would have again", func(_ *testing.T, s *story, _ map[string]Call) { delete(s.state.Deleted, "u6") }},
		{"I5", "deleted, and a family lives", "ended refresh family rfu6, which lives", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.Families["rfu6"] = Family{Grant: "gu6", User: "u6", Generation: 1}
		}},
		{"I1", "disabled, and lost", "eva@example.com was acknowledged as u5, who is not there", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.Users = slices.DeleteFunc(s.state.Users, func(u User) bool { return u.ID == "u5" })
		}},
		{"I1", "deleted, and cannot sign in anew", "signs in as", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.SignIns[1] = SignIn{Address: "fay@example.com", Failed: "no"}
		}},
		{"I2", "signed up anew, and nobody was deleted", "fay@example.com was acknowledged as [", func(_ *testing.T, s *story, _ map[string]Call) {
			s.calls = slices.DeleteFunc(s.calls, func(c Call) bool { e, _ := c.ends(); return e.deletes })
		}},
		{"I9", "signed out everywhere without a row", "session.clear, has no audit row", func(_ *testing.T, s *story, _ map[string]Call) { s.forget("user.session.clear") }},
		{"I9", "signed out by the app without a row", "token.revoke, has no audit row", func(_ *testing.T, s *story, _ map[string]Call) {
			s.state.Events = slices.DeleteFunc(s.state.Events, func(e Event) bool { return e.Target == "gu4" })
		}},
		{"I9", "disabled without a row", "suspend, has no audit row", func(_ *testing.T, s *story, _ map[string]Call) { s.forget("user.lifecycle.suspend") }},
		{"I9", "deleted without a row", "completed, has no audit row", func(_ *testing.T, s *story, _ map[string]Call) { s.forget("user.lifecycle.delete.completed") }},
	} {
		t.Run(tt.invariant+"/"+tt.name, func(t *testing.T) {
			s, tokens := part(t)
			tt.doctor(t, s, tokens)
			caught := false
			got := Check(s.calls, s.state, conditions)
			for _, f := range got {
				caught = caught || f.Invariant == tt.invariant && strings.Contains(f.What, tt.says)
			}
			if !caught {
				t.Errorf("%s does not say %q: %v", tt.invariant, tt.says, got)
			}
		})
	}
}

// forget takes all rows of a kind out of the audit log.
func (s *story) forget(kind string) {
	s.state.Events = slices.DeleteFunc(s.state.Events, func(e Event) bool { return e.Type == kind })
}

// A token that was void before, as its code came twice, is revoked without a row of its own.
func TestRevokedWithItsGrant(t *testing.T) {
	s := tell(t)
	c := s.join(t, "u3", "cleo@example.com", true)
	s.happened("app.oauth2.token.detect_reuse", "gu3")
	s.revoke("rfu3")
	s.add("/v1/revoke", Request{Secret: c.Access}, Answer{})
	if got := Check(s.calls, s.state, conditions); len(got) > 0 {
		t.Errorf("%v", got)
	}
	s.forget("app.oauth2.token.detect_reuse")
	if got := Check(s.calls, s.state, conditions); len(got) == 0 {
		t.Error("nothing revoked it, and nothing is found")
	}
}
