package app_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

const questionID = "aut1question0000000"

// adding begins a sign-in that adds a question, as far as the question's form.
func (e *engine) adding(t *testing.T, address string) string {
	t.Helper()
	started, err := e.form("/oauth2/default/v1/interact", url.Values{
		"client_id": {e.client}, "scope": {"openid profile email"}, "redirect_uri": {"http://localhost:8080/cb"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"}, "enroll_authenticator": {"security_question"},
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := e.idx("introspect", fmt.Sprintf(`{"interactionHandle":%q}`, started["interaction_handle"]))
	if err != nil {
		t.Fatal(err)
	}
	h := string(stateHandle.FindSubmatch(doc)[1])
	had := e.mailedCodes(t, address)
	if _, err = e.idx("identify", fmt.Sprintf(`{"stateHandle":%q,"identifier":%q}`, h, address)); err != nil {
		t.Fatal(err)
	}
	code := ""
	for c := range e.mailedCodes(t, address) {
		if !had[c] {
			code = c
		}
	}
	if _, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code)); err != nil {
		t.Fatal(err)
	}
	doc, err = e.idx("credential/enroll", fmt.Sprintf(`{"stateHandle":%q,"authenticator":{"id":%q}}`, h, questionID))
	if err != nil || !strings.Contains(string(doc), "questionKey") {
		t.Fatalf("%.300s %.300s", doc, fmt.Sprint(err))
	}
	return h
}

// Of what a person has one of, one stays, whichever nodes the answers come to.
func TestREL_R10_OneOfAKindFromTwoNodes(t *testing.T) {
	file, err := orgfile.Parse([]byte(`enrollment: [{name: default, authenticators: [
		{key: okta_email, need: required}, {key: security_question, need: optional}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	database := pgtest.Database(t)
	config := app.Config{Dir: t.TempDir(), Database: database, Limits: flow.DevelopmentLimits(), Overlay: func(o *policy.Org) { *o = file.Org }}
	one := startNode(t, config)
	one.register(t)
	config.PublicURL = one.url
	two := startNode(t, config)
	two.client = one.client
	both := &engine{App: one.App, url: one.url, client: one.client, http: one.http, nodes: []*engine{one, two}}

	for round := range 4 {
		address := fmt.Sprintf("ada%d@example.com", round)
		both.atList(t, address)
		var handles []string
		for range 6 {
			handles = append(handles, both.adding(t, address))
		}
		var all sync.WaitGroup
		var through atomic.Int64
		begin := make(chan struct{})
		for i, h := range handles {
			all.Go(func() {
				<-begin
				doc, err := both.idx("challenge/answer", fmt.Sprintf(
					`{"stateHandle":%q,"credentials":{"questionKey":"first_award","answer":"answer %d"}}`, h, i))
				switch {
				case err == nil && interactionCode.Find(doc) != nil:
					through.Add(1)
				case err == nil || !strings.Contains(string(doc), `"name":"select-authenticator-authenticate"`):
					// Who comes late is asked for the one that is there now.
					t.Errorf("answer %d has no way on: %.300s %.300s", i, doc, fmt.Sprint(err))
				}
			})
		}
		close(begin)
		all.Wait()
		a, err := two.Store.AccountByAddress(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, en := range a.Enrollments {
			if en.Authenticator == "security_question" {
				n++
			}
		}
		if n != 1 || through.Load() != 1 {
			t.Errorf("%d questions, %d answers went through", n, through.Load())
		}
	}
}
