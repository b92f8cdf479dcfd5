package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
)

// Every event of a sign-up says who, to whom, by which client, from where and in
// which request (docs/audit.md).
func TestSEC_S144_EventsOfASignUp(t *testing.T) {
	e := start(t)
	h, err := e.enrolled("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":"999999"}}`, h)); err == nil {
		t.Fatal("a wrong code was taken")
	}
	written(t, e)
	e.Inbox.DeleteAll("") // or the first code is the newest until the second mail is there
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	rows, err := e.Store.AuditRows(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	var user string
	for _, row := range rows {
		for _, ev := range row.Events {
			if ev.Actor == audit.System {
				continue
			}
			types = append(types, strings.TrimSpace(ev.Type+" "+ev.Reason))
			if ev.Client != e.client || ev.Transaction == "" || ev.IP != "127.0.0.1" || ev.UserAgent != "Go-http-client/1.1" ||
				!strings.HasPrefix(ev.RequestID, "req") || ev.At.IsZero() {
				t.Errorf("%+v", ev)
			}
			if ev.Outcome == audit.Failure {
				if ev.Actor != "" { // nothing was proven
					t.Errorf("%+v", ev)
				}
				continue
			}
			if user == "" {
				user = ev.Actor
			}
			if ev.Actor != user || ev.Target == "" {
				t.Errorf("%+v", ev)
			}
			if about := ev.Authenticator; (about == "okta_email") != strings.Contains(ev.Type, "mfa") {
				t.Errorf("%+v", ev)
			}
		}
	}
	want := []string{
		"user.authentication.auth_via_mfa INVALID_CREDENTIALS",
		"user.lifecycle.create", "user.mfa.factor.activate", "user.authentication.auth_via_mfa",
		"app.oauth2.token.grant.access_token", "app.oauth2.token.grant.id_token",
	}
	if d := cmp.Diff(want, types); d != "" {
		t.Error(d)
	}
}

func TestClientEvents(t *testing.T) {
	e := start(t)
	for _, disabled := range []bool{false, true, true, false} {
		clients, err := e.Store.Clients(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := clients[0]
		c.Disabled = disabled
		if err := e.OAuth.UpdateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := e.Store.AuditRows(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, row := range rows {
		for _, ev := range row.Events {
			if kind, ok := strings.CutPrefix(ev.Type, "application.lifecycle."); ok {
				types = append(types, kind)
			}
		}
	}
	if want := strings.Fields("create update update deactivate update update activate"); !slices.Equal(types, want) {
		t.Errorf("%v, want %v", types, want)
	}
}

// What is stopped is sealed, and the log holds.
func TestREL_I9_SealedAtClose(t *testing.T) { onBoth(t, sealedAtClose) }

func sealedAtClose(t *testing.T, database string) {
	e := startOn(t, database, limits())
	for i := range 3 {
		if _, err := e.signUp(t.Context(), fmt.Sprintf("p%d@example.com", i)); err != nil {
			t.Fatal(err)
		}
	}
	e.stop()
	data := config.Data{Data: e.dir, Database: database}
	var out strings.Builder
	if err := app.AuditVerify(t.Context(), config.AuditVerify{Data: data}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n0 rows not sealed yet.\n") {
		t.Error(out.String())
	}
	out.Reset()
	if err := app.AuditTail(t.Context(), config.AuditTail{Data: data, Lines: 100, Type: "user.lifecycle.create"}, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d users were made:\n%s", n, &out)
	}
}
