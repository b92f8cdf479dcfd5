package account_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/problem"
)

func TestSEC_S39_DeletedAndMadeAnew(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	by := w.fresh(a)
	w.moved(by, next) // leaves a link that must die with the account
	undo := token(w.mail(old))
	at := must[time.Time](t)(w.Account.RequestDeletion(ctx, by))
	if d := at.Sub(w.now()); d > 7*24*time.Hour || d < 7*24*time.Hour-time.Minute {
		t.Errorf("in %v", d)
	}
	m := w.mail(next)
	if !strings.Contains(m.Subject, "will be deleted on") || !strings.HasPrefix(m.Link, "http://id.example.com/account/keep/") {
		t.Errorf("M12: %q %q", m.Subject, m.Link)
	}
	w.advance(time.Hour)
	by = w.fresh(a)
	if again := must[time.Time](t)(w.Account.RequestDeletion(ctx, by)); !again.Equal(at) {
		t.Errorf("asked again: %v, was %v", again, at)
	}
	w.advance(6*24*time.Hour + 22*time.Hour)
	if n := must[int](t)(w.Account.Erase(ctx)); n != 0 {
		t.Fatalf("%d accounts were erased early", n)
	}
	w.signIn(next) // until then as ever, and it keeps showing
	if shown := must[time.Time](t)(w.Account.Deletion(ctx, by)); !shown.Equal(at) {
		t.Errorf("shown: %v", shown)
	}
	w.advance(2 * time.Hour)
	must[int](t)(w.Account.Erase(ctx)) // or the engine's own run has been here
	if _, err := w.Store.Account(ctx, a.ID); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("the account: %v", err)
	}
	if m := w.mail(next); m.Subject != "Your Acme account was deleted" {
		t.Errorf("%q", m.Subject)
	}
	for name, link := range map[string]string{"undo": undo, "keep": token(m)} {
		l := must[account.Link](t)(w.Account.UndoEmail(ctx, link))
		k := must[account.Link](t)(w.Account.KeepByLink(ctx, link))
		if l.State != account.LinkInvalid || k.State != account.LinkInvalid {
			t.Errorf("the %s link: %+v, %+v", name, l, k)
		}
	}
	_, err := w.Account.Profile(ctx, by)
	refused(t, err, problem.Unauthenticated)
	anew := w.person(next)
	if anew.ID == a.ID {
		t.Error("the id was given again")
	}
	if s, f := w.live(a.ID); s != 0 || f != 0 {
		t.Errorf("%d sessions, %d families are left", s, f)
	}
	if e := w.events(); !slices.Contains(e, "user.lifecycle.delete.initiated") || !slices.Contains(e, "user.lifecycle.delete.completed") {
		t.Errorf("events: %v", e)
	}
}

func TestUX_P7_5_Keep(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	must[time.Time](t)(w.Account.RequestDeletion(ctx, w.fresh(a)))
	keep := token(w.mail(old))
	for range 3 {
		if l := must[account.Link](t)(w.Account.KeepLink(ctx, keep)); l.State != account.LinkGood || l.At.IsZero() || l.App.Name != "Acme" {
			t.Fatalf("%+v", l)
		}
	}
	if w.account(old).DeleteAt.IsZero() {
		t.Fatal("looking at the link has kept the account")
	}
	if l := must[account.Link](t)(w.Account.KeepByLink(ctx, keep)); l.State != account.LinkDone {
		t.Errorf("%+v", l)
	}
	if l := must[account.Link](t)(w.Account.KeepByLink(ctx, keep)); l.State != account.LinkUsed {
		t.Errorf("again: %+v", l)
	}
	must[time.Time](t)(w.Account.RequestDeletion(ctx, w.fresh(a)))
	if l := must[account.Link](t)(w.Account.KeepByLink(ctx, keep)); l.State != account.LinkUsed {
		t.Errorf("the link of an earlier request: %+v", l)
	}
	if err := w.Account.KeepAccount(ctx, w.fresh(a)); err != nil {
		t.Fatal(err)
	}
	w.advance(8 * 24 * time.Hour)
	must[int](t)(w.Account.Erase(ctx))
	if w.account(old).ID != a.ID {
		t.Error("a kept account is gone")
	}
}

func TestUX_P7_5_Data(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	w.person("bob@example.com")
	by := w.fresh(a)
	must[account.Password](t)(w.Account.SetPassword(ctx, by, pass))
	by.AMR = []string{"otp", "pwd"}
	must[account.Email](t)(w.Account.ChangeEmail(ctx, by, next, true))
	w.signIn(old)
	w.family(a.ID, "grant")
	d := must[account.Data](t)(w.Account.Data(ctx, by))
	if d.User.ID != a.ID || len(d.Methods) != 2 || len(d.Sessions) != 1 || len(d.Grants) != 1 || len(d.Addresses) != 1 || !d.Addresses[0].Pending || !d.EventsSince.IsZero() {
		t.Errorf("%+v", d)
	}
	types := map[string]int{}
	for _, ev := range d.Events {
		if ev.Actor != a.ID && ev.Target != a.ID || ev.Actor != a.ID && ev.IP+ev.UserAgent != "" {
			t.Errorf("somebody else's: %+v", ev)
		}
		types[ev.Type]++
	}
	if types["user.lifecycle.create"] != 1 || types["user.mfa.factor.activate"] != 2 {
		t.Errorf("%v", types)
	}
	text, err := json.Marshal(d)
	if err != nil || strings.Contains(string(text), "argon2") || strings.Contains(string(text), w.mail(next).Code) || strings.Contains(string(text), "bob@") {
		t.Errorf("%v: %s", err, text)
	}
	by.AuthTime = w.now().Add(-16 * time.Minute)
	_, err = w.Account.Data(ctx, by)
	stepUp(t, err, account.Recent)
}
