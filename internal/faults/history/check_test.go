package history

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

// A story is a run that a checker reads: calls and the state after them.
type story struct {
	calls []Call
	state *State
	key   *ecdsa.PrivateKey
}

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (s *story) add(path string, q Request, a Answer) *Call {
	q.Client, q.Method, q.Path, q.At = "c1", "POST", path, begin.Add(time.Duration(len(s.calls))*time.Second)
	if a.Took == 0 {
		a.Took = 10 * time.Millisecond
	}
	if a.Status == 0 && a.Lost == "" {
		a.Status = 200
	}
	s.calls = append(s.calls, Call{N: int64(len(s.calls) + 1), Request: q, Answer: a})
	return &s.calls[len(s.calls)-1]
}

func (s *story) call(n int) *Call { return &s.calls[n-1] }

func (s *story) sign(t *testing.T, id string, iat time.Time) string {
	t.Helper()
	return s.signFor(t, "u1", id, iat)
}

func (s *story) signFor(t *testing.T, user, id string, iat time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(jwt.Claims{ID: id, Subject: user, IssuedAt: jwt.NewNumericDate(iat)}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *story) jwks(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "k1", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const (
	handle        = "02.id.tx1.mac"
	first, second = "rt.rf1.00000001.mac", "rt.rf1.00000002.mac"
)

// tell is a sign-up in which one answer is lost, a refresh and a revocation, as
// they should be.
func tell(t *testing.T) *story {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{key: key}
	s.add("/idp/idx/introspect", Request{Handle: "ih.tx1.mac"}, Answer{Handle: handle, Stage: Begun})                                         // 1
	s.add("/idp/idx/enroll/new", Request{Handle: handle, Address: "ada@example.com"}, Answer{Handle: handle, Stage: Asked, User: "u1"})       // 2
	s.add("/idp/idx/challenge/answer", Request{Handle: handle, Passcode: "111111"}, Answer{Lost: "EOF"})                                      // 3
	s.add("/idp/idx/challenge/answer", Request{Handle: handle, Passcode: "111111"}, Answer{Handle: handle, Stage: Proven, User: "u1"})        // 4
	s.add("/idp/idx/skip", Request{Handle: handle}, Answer{Handle: handle, Stage: Finished, User: "u1", Code: "ic.tx1.mac"})                  // 5
	s.add("/v1/token", Request{Grant: "interaction_code", Secret: "ic.tx1.mac"}, Answer{Access: s.sign(t, "at.g1.1", begin), Refresh: first}) // 6
	s.add("/v1/token", Request{Grant: "refresh_token", Secret: first}, Answer{Lost: "EOF"})                                                   // 7
	s.add("/v1/token", Request{Grant: "refresh_token", Secret: first}, Answer{Access: s.sign(t, "at.g1.2", begin), Refresh: second})          // 8
	s.add("/v1/keys", Request{}, Answer{JWKS: s.jwks(t), Keys: []string{"k1"}})                                                               // 9
	s.add("/v1/revoke", Request{Secret: second}, Answer{})                                                                                    // 10
	s.add("/v1/userinfo", Request{Secret: s.call(8).Access}, Answer{Status: 401, Error: "invalid_token", Took: time.Millisecond})             // 11
	s.add("/v1/userinfo", Request{}, Answer{Status: 503, Body: `{"errorSummary":"The engine is too busy."}`, Error: "E0000010"})              // 12
	s.add("/idp/idx/introspect", Request{Handle: "ih.tx2.mac"}, Answer{Handle: "02.id.tx2.mac", Stage: Begun})                                // 13
	s.add("/idp/idx/enroll/new", Request{Handle: "02.id.tx2.mac", Address: "bob@example.com"}, Answer{Handle: "02.id.tx2.mac", Stage: Asked}) // 14
	s.state = &State{
		Users:   []User{{ID: "u1", Email: "ada@example.com", Canonical: "ada@example.com", Verified: true}},
		Methods: map[string][]string{"u1": {"okta_email"}},
		Deleted: map[string]bool{},
		Events: []Event{
			{Row: "a1", Type: "user.lifecycle.create", Outcome: "SUCCESS", Target: "u1", Transaction: "tx1"},
			{Row: "a1", Type: "user.mfa.factor.activate", Outcome: "SUCCESS", Target: "u1", Transaction: "tx1"},
			{Row: "a2", Type: "app.oauth2.token.grant.access_token", Outcome: "SUCCESS", Target: "g1", Transaction: "tx1"},
			{Row: "a2", Type: "app.oauth2.token.grant.refresh_token", Outcome: "SUCCESS", Target: "g1", Transaction: "tx1"},
			{Row: "a3", Type: "app.oauth2.token.grant.refresh_token", Outcome: "SUCCESS", Target: "g1"},
			{Row: "a4", Type: "app.oauth2.token.revoke", Outcome: "SUCCESS", Target: "g1"},
		},
		Families: map[string]Family{"rf1": {Grant: "g1", User: "u1", Generation: 2, Revoked: true}},
		Outbox:   map[string]Message{"m1": {Status: "sent"}, "m2": {Status: "sent"}},
		Mails: []Mail{
			{MessageID: "<m1-t0@example.com>", To: "ada@example.com", Code: "111111"},
			{MessageID: "<m2-t0@example.com>", To: "bob@example.com", Code: "222222"},
			{MessageID: "<m2-t0@example.com>", To: "bob@example.com", Code: "222222"},
		},
		Read:    begin,
		SignIns: []SignIn{{Address: "ada@example.com", User: "u1"}},
		Tokens:  []Probe{{Token: second, Node: "one"}, {Token: second, Node: "two"}},
	}
	return s
}

var conditions = Conditions{Deadline: 15 * time.Second}

func TestGoodHistory(t *testing.T) {
	s := tell(t)
	if got := Check(s.calls, s.state, conditions); len(got) > 0 {
		t.Errorf("%v", got)
	}
	if got := Acknowledged(s.calls); !cmp.Equal(got, []string{"ada@example.com"}) {
		t.Errorf("acknowledged: %v", got)
	}
}

// Each doctored history is caught by the invariant that it breaks.
func TestCheckerCatches(t *testing.T) {
	for _, tt := range []struct {
		invariant, name, says string
		doctor                func(*testing.T, *story)
	}{
		{"I1", "an acknowledged user is lost", "not there", func(_ *testing.T, s *story) { s.state.Users = nil }},
		{"I1", "with another address", "who has", func(_ *testing.T, s *story) { s.state.Users[0].Email = "eve@example.com" }},
		{"I1", "the way to sign in is lost", "not proven", func(_ *testing.T, s *story) { s.state.Methods = nil }},
		{"I1", "two audit rows", "2 audit rows", func(_ *testing.T, s *story) {
			s.state.Events = append(s.state.Events, Event{Row: "a9", Type: "user.lifecycle.create", Outcome: "SUCCESS", Target: "u1"})
		}},
		{"I1", "cannot sign in", "signs in as", func(_ *testing.T, s *story) { s.state.SignIns[0] = SignIn{Address: "ada@example.com", Failed: "no"} }},
		{"I1", "signs in as another", "signs in as", func(_ *testing.T, s *story) { s.state.SignIns[0].User = "u7" }},
		{"I2", "two users of one address", "belongs to", func(_ *testing.T, s *story) {
			s.state.Users = append(s.state.Users, User{ID: "u2", Email: "Ada@Example.com", Canonical: "other", Verified: true})
		}},
		{"I2", "acknowledged as two", "was acknowledged as [", func(_ *testing.T, s *story) {
			s.add("/idp/idx/enroll/new", Request{Handle: "02.id.tx3.mac", Address: "ada@example.com"}, Answer{Stage: Asked})
			s.add("/idp/idx/challenge/answer", Request{Handle: "02.id.tx3.mac", Passcode: "3"}, Answer{Stage: Proven, User: "u2"})
		}},
		{"I3", "a user whose code nobody sent", "nobody ever sent", func(_ *testing.T, s *story) {
			s.state.Users = append(s.state.Users, User{ID: "u2", Email: "bob@example.com", Canonical: "bob@example.com", Verified: true})
		}},
		{"I3", "a user whose address is unproven", "unproven", func(_ *testing.T, s *story) { s.state.Users[0].Verified = false }},
		{"I3", "made without a proof", "no proof", func(_ *testing.T, s *story) { s.state.Events[1].Row = "a8" }},
		{"I4", "a code exchanged twice", "exchanged before", func(_ *testing.T, s *story) {
			s.add("/v1/token", Request{Grant: "interaction_code", Secret: "ic.tx1.mac"}, Answer{})
		}},
		{"I4", "a code exchanged twice, by the log", "exchanged twice", func(_ *testing.T, s *story) {
			s.state.Events = append(s.state.Events, s.state.Events[2])
		}},
		{"I4", "two successors", "two successors", func(_ *testing.T, s *story) {
			s.add("/v1/token", Request{Grant: "refresh_token", Secret: first}, Answer{Refresh: "rt.rf1.00000003.mac"})
		}},
		{"I4", "a rotation too many", "2 were issued", func(_ *testing.T, s *story) {
			s.state.Families["rf1"] = Family{Grant: "g1", Generation: 3, Revoked: true}
		}},
		{"I4", "a mailed code used twice", "proved two transactions", func(_ *testing.T, s *story) {
			s.add("/idp/idx/identify", Request{Handle: "02.id.tx3.mac", Address: "ada@example.com"}, Answer{Stage: Asked})
			s.add("/idp/idx/challenge/answer", Request{Handle: "02.id.tx3.mac", Passcode: "111111"}, Answer{Stage: Proven, User: "u1"})
		}},
		{"I5", "a family lives on", "which lives", func(_ *testing.T, s *story) { s.state.Families["rf1"] = Family{Grant: "g1", Generation: 2} }},
		{"I5", "a node takes it after all", "accepts a token", func(_ *testing.T, s *story) { s.state.Tokens[1].Accepted = true }},
		{"I5", "nodes do not agree", "another node", func(_ *testing.T, s *story) {
			s.state.Tokens = append(s.state.Tokens, Probe{Token: "t", Node: "one"}, Probe{Token: "t", Node: "two", Accepted: true})
		}},
		{"I5", "used later, with its family", "after it was revoked", func(_ *testing.T, s *story) {
			s.add("/v1/userinfo", Request{Secret: s.call(8).Access}, Answer{}).At = begin.Add(time.Minute)
		}},
		{"I6", "mail not given up", "still delayed", func(_ *testing.T, s *story) { s.state.Outbox["m3"] = Message{Status: "delayed", LastError: "connect"} }},
		{"I6", "mail lost", "did not arrive", func(_ *testing.T, s *story) { s.state.Outbox["m3"] = Message{Status: "sent"} }},
		{"I6", "refused without a reason", "no reason", func(_ *testing.T, s *story) { s.state.Outbox["m3"] = Message{Status: "refused"} }},
		{"I6", "another mail of the same name", "two mails", func(_ *testing.T, s *story) { s.state.Mails[2].Code = "333333" }},
		{"I6", "promised and never written down", "none came", func(_ *testing.T, s *story) {
			s.state.Mails = s.state.Mails[:1]
			delete(s.state.Outbox, "m2")
		}},
		{"I6", "the same, while a mail to another is refused", "bob@example.com was promised", func(_ *testing.T, s *story) {
			s.state.Mails = s.state.Mails[:1]
			s.state.Outbox["m2"] = Message{Status: "refused", LastError: "550"}
			s.state.Refused = map[string]bool{"eve@example.com": true}
		}},
		{"I6", "two promised, and one expired", "and 1 expired", func(_ *testing.T, s *story) {
			s.add("/idp/idx/enroll/new", Request{Handle: "02.id.tx3.mac", Address: "eve@example.com"}, Answer{Stage: Asked})
			s.state.Mails = s.state.Mails[:1]
			s.state.Outbox["m2"] = Message{Status: "expired", Ends: begin.Add(-time.Second)}
		}},
		{"I6", "expired before its end", "5m0s before its end", func(_ *testing.T, s *story) {
			s.state.Mails = s.state.Mails[:1]
			s.state.Outbox["m2"] = Message{Status: "expired", Ends: begin.Add(5 * time.Minute)}
		}},
		{"I6", "more mails than wishes", "asked for 1", func(_ *testing.T, s *story) { s.state.Mails[2].MessageID = "<m3-t0@example.com>" }},
		{"I7", "back to the form", "was at 4", func(_ *testing.T, s *story) {
			s.add("/idp/idx/introspect", Request{Handle: handle}, Answer{Stage: Asked})
			s.calls[4].Stage = None
		}},
		{"I7", "forgotten after the proof", "idx.session.expired", func(_ *testing.T, s *story) {
			s.add("/idp/idx/introspect", Request{Handle: handle}, Answer{Status: 401, Error: "idx.session.expired"})
		}},
		{"I8", "no key for a token", "never published", func(_ *testing.T, s *story) { s.call(9).JWKS = "" }},
		{"I8", "another key of the same name", "does not verify", func(t *testing.T, s *story) { s.call(9).JWKS = tell(t).jwks(t) }},
		{"I8", "a node without the key", "does not publish", func(_ *testing.T, s *story) { s.add("/v1/keys", Request{}, Answer{Keys: []string{"k2"}}) }},
		{"I8", "a token of the future", "of the future", func(t *testing.T, s *story) { s.call(8).Access = s.sign(t, "at.g1.2", begin.Add(time.Hour)) }},
		{"I9", "the chain is broken", "a row was removed", func(_ *testing.T, s *story) { s.state.Verified = errors.New("a row was removed") }},
		{"I9", "a user without a row", "0 audit rows", func(_ *testing.T, s *story) { s.state.Events = s.state.Events[1:] }},
		{"I9", "a row without a user", "made by the audit log", func(_ *testing.T, s *story) { s.state.Users = nil }},
		{"I9", "a family without a row", "has no audit row", func(_ *testing.T, s *story) {
			s.state.Families["rf2"] = Family{Grant: "g2"}
		}},
		{"I9", "revoked without a row", "without an audit row", func(_ *testing.T, s *story) { s.state.Events = s.state.Events[:5] }},
		{"I10", "a 503 that tells too much", "says", func(_ *testing.T, s *story) { s.call(12).Body = "pgx: connection refused" }},
		{"I10", "a request that hangs", "17s", func(_ *testing.T, s *story) { s.call(1).Took = 17 * time.Second }},
	} {
		t.Run(tt.invariant+"/"+tt.name, func(t *testing.T) {
			s := tell(t)
			tt.doctor(t, s)
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

// Whom the mail server refuses, and whose code has ended, need get no mail.
func TestExcusedMail(t *testing.T) {
	for name, doctor := range map[string]func(*State){
		"refused": func(s *State) {
			s.Outbox["m2"] = Message{Status: "refused", LastError: "550"}
			s.Refused = map[string]bool{"bob@example.com": true}
		},
		"expired at its end": func(s *State) { s.Outbox["m2"] = Message{Status: "expired", Ends: begin} },
		"expired, as the next try is late": func(s *State) {
			s.Outbox["m2"] = Message{Status: "expired", LastError: "451", Ends: begin.Add(4 * time.Minute)}
		},
	} {
		s := tell(t)
		s.state.Mails = s.state.Mails[:1]
		doctor(s.state)
		if got := Check(s.calls, s.state, conditions); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Where the database was broken off, steps before a proof may be lost, and no others.
func TestCrashedDatabase(t *testing.T) {
	s := tell(t)
	s.add("/idp/idx/introspect", Request{Handle: "02.id.tx2.mac"}, Answer{Status: 401, Error: "idx.session.expired"})
	crashed := conditions
	crashed.Crashed = true
	if got := Check(s.calls, s.state, crashed); len(got) > 0 {
		t.Errorf("%v", got)
	}
	if got := Check(s.calls, s.state, conditions); len(got) != 1 || got[0].Invariant != "I7" {
		t.Errorf("without a crash: %v", got)
	}
	s.add("/idp/idx/introspect", Request{Handle: handle}, Answer{Status: 401, Error: "idx.session.expired"})
	s.calls[4].Stage = None // it was not finished
	if got := Check(s.calls, s.state, crashed); len(got) != 1 || got[0].Invariant != "I7" {
		t.Errorf("after the proof: %v", got)
	}
}

// A copy must have what was acknowledged before it was begun, may have what was
// under way, and has nothing of later.
func TestCopyCatches(t *testing.T) {
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	for _, tt := range []struct {
		name string
		Copying
		lost      bool // the user and all that was written of them
		invariant string
	}{
		{"lost though acknowledged before", Copying{at(3500 * time.Millisecond), at(4 * time.Second)}, true, "I1"},
		{"lost, as the answer came after the beginning", Copying{at(3005 * time.Millisecond), at(4 * time.Second)}, true, ""},
		{"there, though the answer came after the beginning", Copying{at(3005 * time.Millisecond), at(4 * time.Second)}, false, ""},
		{"there, though the proof was sent after the end", Copying{at(1500 * time.Millisecond), at(1600 * time.Millisecond)}, false, "I3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tell(t)
			s.state.SignIns, s.state.Tokens, s.state.Families = nil, nil, nil
			s.state.Events = s.state.Events[:2]
			if tt.lost {
				s.state.Users, s.state.Events = nil, nil
			}
			for i := range s.state.Mails {
				s.state.Mails[i].At = at(time.Second + 100*time.Millisecond)
			}
			delete(s.state.Outbox, "m2")
			s.state.Mails[1].At, s.state.Mails[2].At = at(time.Hour), at(time.Hour) // bob's, whose form was sent after the end
			c := tt.Copying
			s.state.Mails = c.Mails(s.state.Mails, s.state.Outbox)
			got := Check(c.Cut(s.calls), s.state, Conditions{Restored: true})
			if tt.invariant == "" && len(got) > 0 || tt.invariant != "" && (len(got) == 0 || got[0].Invariant != tt.invariant) {
				t.Errorf("got %v, want %s", got, tt.invariant)
			}
		})
	}
}

func TestJournal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	j, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for i, address := range []string{"a@example.com", "b@example.com"} {
		n, err := j.Sent(Request{Client: "c", At: begin, Path: "/p", Address: address})
		if err != nil || n != int64(i+1) {
			t.Fatal(n, err)
		}
	}
	if err := j.Got(2, Answer{Status: 200, Stage: Asked}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"n":1,"got":{"sta`); err != nil { // the client ended here
		t.Fatal(err)
	}
	f.Close()
	got, err := Read(name)
	want := []Call{
		{N: 1, Request: Request{Client: "c", At: begin, Path: "/p", Address: "a@example.com"}, Answer: Answer{Lost: "nothing came"}},
		{N: 2, Request: Request{Client: "c", At: begin, Path: "/p", Address: "b@example.com"}, Answer: Answer{Status: 200, Stage: Asked}},
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	if _, err := Create(name); err == nil {
		t.Error("a journal is begun twice")
	}
}
