package account_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// from is a request of a browser, or of whatever else is at the address.
func from(ctx context.Context, ip string) context.Context {
	return audit.WithSource(ctx, audit.Source{IP: ip, UserAgent: "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"})
}

// All people of an app whose server calls for them come from one address.
func TestSEC_S11_ManyPeopleBehindOneServer(t *testing.T) {
	w := start(t, func(c *app.Config) { c.Limits.Rules.SourceMails = limit.Volume{{N: 2, Per: time.Hour}} })
	server := w.register(true)
	ctx := from(t.Context(), "198.51.100.7")
	for i := range 4 {
		by := w.fresh(w.person(fmt.Sprintf("p%d@example.com", i)))
		by.App = server
		if _, err := w.Account.ChangeEmail(ctx, by, fmt.Sprintf("n%d@example.com", i), true); err != nil {
			t.Errorf("person %d: %v", i, err)
		}
		by.App = w.client
		_, err := w.Account.ChangeEmail(ctx, by, fmt.Sprintf("m%d@example.com", i), true)
		if i < 2 && err != nil {
			t.Errorf("person %d in their browser: %v", i, err)
		}
		if i >= 2 {
			refused(t, err, problem.Throttled)
		}
	}
}

// A mail must not show a server of the app as the place where the person was. The
// log keeps what called. A mailed link is opened by the person's own browser.
func TestUX_M7_WhereAChangeCameFrom(t *testing.T) {
	w := start(t)
	server, ctx := w.register(true), from(t.Context(), "198.51.100.7")
	for i, tt := range []struct {
		app   string
		shown bool
	}{{w.client, true}, {server, false}} {
		address, to := fmt.Sprintf("p%d@example.com", i), fmt.Sprintf("n%d@example.com", i)
		by := w.fresh(w.person(address))
		by.App = tt.app
		e := must[account.Email](t)(w.Account.ChangeEmail(ctx, by, to, true))
		code := w.mail(to)
		if err := w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, code.Code); err != nil {
			t.Fatal(err)
		}
		notice := w.mail(address)
		must[account.Link](t)(w.Account.UndoEmail(from(t.Context(), "203.0.113.9"), token(notice)))
		for what, text := range map[string]string{"code": code.Text, "notice": notice.Text} {
			for _, place := range []string{"198.51.100.7", "Firefox"} {
				if got := strings.Contains(text, place); got != tt.shown {
					t.Errorf("app %d, the %s tells %s: %v", i, what, place, got)
				}
			}
		}
		if back := w.mail(address); !strings.Contains(back.Text, "203.0.113.9") {
			t.Errorf("app %d: the browser that opened the link is not told:\n%s", i, back.Text)
		}
	}
	// Both calls and both clicks are in the log with what called.
	seen := map[string]int{}
	for _, r := range must[[]audit.Row](t)(w.Store.AuditRows(t.Context(), "", 1000)) {
		for _, ev := range r.Events {
			if ev.Type == "user.account.update_primary_email" {
				seen[ev.IP]++
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"198.51.100.7": 2, "203.0.113.9": 2}, seen); diff != "" {
		t.Error(diff)
	}
}
