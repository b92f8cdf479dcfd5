package myaccount

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/account"
)

// Every page that a link can lead to has its words, all of them are in use, and
// no parameter is left open.
func TestWordsOfLinkPages(t *testing.T) {
	states := map[string][]account.Link{
		"undo":  {{State: account.LinkGood}, {State: account.LinkDone}, {State: account.LinkUsed}, {State: account.LinkExpired}, {State: account.LinkTaken}, {State: account.LinkInvalid}},
		"keep":  {{State: account.LinkGood}, {State: account.LinkDone}, {State: account.LinkUsed}, {State: account.LinkExpired}, {State: account.LinkInvalid}},
		"email": {{State: account.LinkGood, Code: "123456"}, {State: account.LinkUsed}, {State: account.LinkExpired}, {State: account.LinkInvalid}},
	}
	used := map[string]bool{"moment": true, "months": true}
	note := func(v view, key string) {
		t.Helper()
		if v.Title == "" || v.Text[0] == "" || v.status == 0 {
			t.Errorf("%s: %+v", v.Page, v)
		}
		if all := strings.Join(append(v.Text, v.Title, v.Button), " "); strings.ContainsAny(all, "{}") {
			t.Errorf("%s: %s", v.Page, all)
		}
		for _, part := range []string{"title", "text", "more", "button"} {
			used[key+"."+part] = true
		}
	}
	for name, links := range states {
		for _, l := range links {
			l.Address, l.At = "v***a@example.com", time.Date(2026, 5, 3, 9, 4, 0, 0, time.UTC)
			v := linkView(name, l)
			key := v.Page
			if l.State == account.LinkInvalid {
				key = "invalid"
			}
			note(v, key)
			if does := v.Button != ""; does != (l.State == account.LinkGood && l.Code == "") {
				t.Errorf("%s: button %q", v.Page, v.Button)
			}
		}
	}
	note(newView("error", "error", 500), "error")
	note(newView("foreign", "foreign", 403), "foreign")
	for key := range catalogue {
		if !used[key] {
			t.Errorf("%s is on no page", key)
		}
	}
	if d := cmp.Diff("3 May 2026 at 09:04 UTC", moment(time.Date(2026, 5, 3, 9, 4, 0, 0, time.UTC))); d != "" {
		t.Error(d)
	}
}
