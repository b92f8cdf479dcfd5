package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
)

// the link of an unlock mail, where no app takes it over, leads to a page that
// tells its result where clients' tests look for it.
func TestAUTH_A62_UnlockLinkWithoutCallback(t *testing.T) {
	e := startNode(t, app.Config{
		Dir: t.TempDir(), Limits: flow.DevelopmentLimits(), Overlay: func(o *policy.Org) { o.Password[0].Unlock = true },
	})
	e.register(t)
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := e.MailSettled(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(e.Inbox.Messages("ada@example.com"))
	must := func(data []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	h, err := e.begun()
	if err != nil {
		t.Fatal(err)
	}
	must(e.idx("unlock-account", fmt.Sprintf(`{"stateHandle":%q}`, h)))
	must(e.idx("challenge", fmt.Sprintf(`{"stateHandle":%q,"identifier":"ada@example.com","authenticator":{"id":"aut1email0000000000"}}`, h)))
	if err := e.MailSettled(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := e.Inbox.Messages("ada@example.com")
	if len(mails) != before+1 {
		t.Fatalf("%d mails, want one more than %d", len(mails), before)
	}
	mail := mails[0]
	shows := func(text, code string) {
		t.Helper()
		link, err := url.Parse(mail.Link)
		if err != nil {
			t.Fatal(err)
		}
		res, err := e.http.Get(e.url + link.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", res.StatusCode, err)
		}
		if want := `<p id="form-messages">` + text + `</p>`; !strings.Contains(string(page), want) || strings.Contains(string(page), `id="code"`) != (code != "") || !strings.Contains(string(page), code) {
			t.Errorf("no %s with %q in %s", want, code, page)
		}
	}
	shows("Enter this code where you started.", mail.Code)
	must(e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, mail.Code)))
	shows("Go back to where you started, or sign in again.", "")
}
