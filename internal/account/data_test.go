package account_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/myaccount"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
)

// An operator who is asked for it exports what is over too, and what waits, without
// a proof of the person, and without secrets.
func TestSEC_S146_Export(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	w.person("bob@example.com")
	by := w.fresh(a)
	must[account.Password](t)(w.Account.SetPassword(ctx, by, pass))
	by.AMR = []string{"otp", "pwd"}
	must[account.Email](t)(w.Account.ChangeEmail(ctx, by, next, true))
	gone := w.signIn(old)
	w.signIn(old)
	w.family(a.ID, "over")
	w.family(a.ID, "grant")
	token := "the-sealed-secret"
	w.tx(func(tx store.Tx) error {
		if err := tx.EndSession(gone.ID, w.now()); err != nil {
			return err
		}
		if err := tx.RevokeGrant("over", w.now()); err != nil {
			return err
		}
		err := tx.InsertEnrollment(directory.Enrollment{ID: "xx1", UserID: a.ID, Version: 1, Authenticator: "of_old", Credential: []byte(token), CreatedAt: w.now()})
		if err != nil {
			return err
		}
		return tx.InsertTicket(directory.Ticket{
			ID: "tkspent", Kind: directory.Recovery, UserID: a.ID, Version: 1, Data: []byte(token), CreatedAt: w.now(), ExpiresAt: w.now().Add(time.Hour), SpentAt: w.now(),
		})
	})
	for _, to := range []string{old, next, "bob@example.com"} {
		one := must[directory.Address](t)(directory.ParseAddress(to))
		m, err := w.Account.Post.Prepare(account.Letter{Mail: authenticator.Mail{Template: "method-removed", To: one.Mailbox(), Method: "Password"}, At: w.now()})
		if err != nil {
			t.Fatal(err)
		}
		w.tx(func(tx store.Tx) error { return tx.Enqueue(m) })
	}

	d := must[account.Data](t)(w.Account.Export(ctx, a.ID))
	text, err := json.Marshal(myaccount.Document(d))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		User struct {
			Email string `json:"email"`
		} `json:"user"`
		Methods   []struct{ Key string }
		Addresses []struct{ Email, State string }
		Sessions  []struct {
			ID      string `json:"id"`
			EndedAt string `json:"endedAt"`
		}
		Apps []struct {
			RevokedAt string `json:"revokedAt"`
		}
		Tickets []struct{ Kind, SpentAt string }
		Mails   []struct{ To, Template, Status string }
		Events  []struct{ Type string }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	ended, revoked, spent := 0, 0, 0
	for _, s := range doc.Sessions {
		if s.EndedAt != "" {
			ended++
		}
	}
	for _, g := range doc.Apps {
		if g.RevokedAt != "" {
			revoked++
		}
	}
	for _, k := range doc.Tickets {
		if k.SpentAt != "" {
			spent++
		}
	}
	if doc.User.Email != old || len(doc.Methods) != 3 || len(doc.Addresses) != 1 || len(doc.Sessions) != 3 || ended != 2 ||
		len(doc.Apps) != 2 || revoked != 1 || spent != 1 || len(doc.Events) < 3 {
		t.Errorf("%s", text)
	}
	var to []string
	for _, m := range doc.Mails {
		to = append(to, m.To)
		if m.Template != "method-removed" || m.Status != "queued" {
			t.Errorf("%+v", m)
		}
	}
	slices.Sort(to)
	if want := []string{old, next}; !slices.Equal(to, slices.Sorted(slices.Values(want))) {
		t.Errorf("mails to %v", to)
	}
	for _, secret := range []string{"argon2", w.mail(next).Code, "bob@", token, "redential", w.Account.Secrets.MintTicket(d.Tickets[0])} {
		if secret == "" || strings.Contains(string(text), secret) {
			t.Errorf("it has %q: %s", secret, text)
		}
	}
	if _, err := w.Account.Export(ctx, "00unobody"); problem.KindOf(err) != problem.NotFound {
		t.Errorf("nobody: %v", err)
	}
	w.tx(func(tx store.Tx) error { return tx.DeleteUser(a.ID, w.now()) })
	if _, err := w.Account.Export(ctx, a.ID); problem.KindOf(err) != problem.NotFound {
		t.Errorf("somebody who is gone: %v", err)
	}
}

// Whoever adds a table of what belongs to people is to have it in the export.
func TestSEC_S146_EveryTable(t *testing.T) {
	files, err := filepath.Glob("../store/sqlite/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var got []string
	for _, f := range files {
		got = append(got, tablesOfUsers(t, f)...)
	}
	slices.Sort(got)
	want := []string{"devices", "enrollments", "memberships", "refresh_families", "sessions", "tickets"}
	if !slices.Equal(got, want) {
		t.Errorf("tables with rows of people: %v, of which the export has %v", got, want)
	}
}

func tablesOfUsers(t *testing.T, file string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for statement := range strings.SplitSeq(string(text), ";") {
		m := table.FindStringSubmatch(statement)
		if m != nil && strings.Contains(statement, "user_id ") {
			names = append(names, m[1])
		}
	}
	return names
}

var table = regexp.MustCompile(`CREATE TABLE (\w+)`)
