package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// moved changes the address of a person, as somebody does who is in the account.
func (w *world) moved(by account.Actor, to string) {
	w.t.Helper()
	w.mails(to) // or a notice that is on its way would be newer than the code
	e := must[account.Email](w.t)(w.Account.ChangeEmail(w.t.Context(), by, to, true))
	if err := w.Account.VerifyEmail(w.t.Context(), by, e.ID, e.Challenge, w.mail(to).Code); err != nil {
		w.t.Fatal(err)
	}
}

func TestSEC_S34_Undo(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	attacker := w.fresh(a)
	w.moved(attacker, "evil@example.com")
	undo := token(w.mail(old))
	// What somebody does who wants to stay.
	must[account.Password](t)(w.Account.SetPassword(ctx, attacker, "correct horse battery"))
	attacker.AMR, attacker.AuthTime = []string{"otp", "pwd"}, w.now()
	must[time.Time](t)(w.Account.RequestDeletion(ctx, attacker))
	w.moved(attacker, "worse@example.com")
	later := token(w.mail("evil@example.com"))
	pending := must[account.Email](t)(w.Account.ChangeEmail(ctx, attacker, "worst@example.com", true))
	w.signIn("worse@example.com")
	w.family(a.ID, "evil")
	w.tx(func(tx store.Tx) error {
		return tx.SaveDevice(session.Device{UserID: a.ID, ID: "evil", ExpiresAt: w.now().Add(time.Hour)})
	})
	notices := len(w.mails(old)) // of the password, the deletion and the second change
	if notices < 5 {
		t.Errorf("%d mails to the address that can be given back", notices)
	}

	for range 3 { // a scanner
		if l := must[account.Link](t)(w.Account.UndoLink(ctx, undo)); l.State != account.LinkGood || l.Address != "v***a@example.com" || l.App.Name != "Acme" {
			t.Fatalf("%+v", l)
		}
	}
	if w.account("worse@example.com").ID != a.ID {
		t.Fatal("looking at the link has changed something")
	}
	if l := must[account.Link](t)(w.Account.UndoEmail(ctx, undo)); l.State != account.LinkDone {
		t.Fatalf("%+v", l)
	}
	got := w.account(old)
	en, ok := got.Enrolled("okta_email")
	c, err := w.Engine.OpenCredential(en)
	if got.ID != a.ID || !ok || err != nil || c.Profile["email"] != "v***a@example.com" || len(got.Enrollments) != 1 || !got.DeleteAt.IsZero() || got.EmailVerifiedAt.IsZero() {
		t.Errorf("%+v, %+v, %v", got, c, err)
	}
	if s, f := w.live(a.ID); s != 0 || f != 0 || got.SignedOutAt.IsZero() {
		t.Errorf("%d sessions, %d families are left", s, f)
	}
	if _, err := w.Store.Device(ctx, a.ID, "evil"); problem.KindOf(err) != problem.NotFound {
		t.Errorf("the known device: %v", err)
	}
	refused(t, w.Account.VerifyEmail(ctx, attacker, pending.ID, pending.Challenge, w.mail("worst@example.com").Code), problem.Unauthenticated)
	for name, link := range map[string]string{"again": undo, "of the later change": later} {
		if l := must[account.Link](t)(w.Account.UndoEmail(ctx, link)); l.State != account.LinkUsed {
			t.Errorf("the link %s: %+v", name, l)
		}
	}
	if w.account(old).ID != a.ID || len(w.mails("worse@example.com")) != 2 { // its code, and a sign-in
		t.Errorf("%d mails to the address that went", len(w.mails("worse@example.com")))
	}
	if m := w.mail(old); m.Subject != "Your Acme email was changed back" {
		t.Errorf("%q", m.Subject)
	}
}

// A password that was set before the address was moved goes as well, and so does a
// recovery link that an operator sent to the other mailbox.
func TestSEC_S34_UndoTakesWhatCameBefore(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	attacker := w.fresh(a)
	must[account.Password](t)(w.Account.SetPassword(ctx, attacker, "correct horse battery"))
	attacker.AMR, attacker.AuthTime = []string{"otp", "pwd"}, w.now()
	w.moved(attacker, "evil@example.com")
	undo := token(w.mail(old))
	ticket := directory.Ticket{
		ID: "tkrecovery", Kind: directory.Recovery, UserID: a.ID, Version: 1, CreatedAt: w.now(), ExpiresAt: w.now().Add(time.Hour),
	}
	w.tx(func(tx store.Tx) error { return tx.InsertTicket(ticket) })
	if l := must[account.Link](t)(w.Account.UndoEmail(ctx, undo)); l.State != account.LinkDone {
		t.Fatalf("%+v", l)
	}
	if got := w.account(old); len(got.Enrollments) != 1 {
		t.Errorf("%d ways to sign in are left", len(got.Enrollments))
	}
	if got := must[directory.Ticket](t)(w.Store.Ticket(ctx, ticket.ID)); got.SpentAt.IsZero() {
		t.Error("the recovery link is good still")
	}
}

func TestSEC_S34_UndoRefused(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	w.moved(w.fresh(a), next)
	undo := token(w.mail(old))
	other := w.person(old)
	if l := must[account.Link](t)(w.Account.UndoEmail(ctx, undo)); l.State != account.LinkTaken {
		t.Errorf("taken: %+v", l)
	}
	if w.account(old).ID != other.ID || w.account(next).ID != a.ID {
		t.Error("an address has moved")
	}
	for name, link := range map[string]string{
		"cut": undo[:len(undo)-1], "changed": undo[:len(undo)-1] + "!", "empty": "",
	} {
		if l := must[account.Link](t)(w.Account.UndoEmail(ctx, link)); l.State != account.LinkInvalid {
			t.Errorf("%s: %+v", name, l)
		}
		if l := must[account.Link](t)(w.Account.KeepByLink(ctx, link)); l.State != account.LinkInvalid {
			t.Errorf("%s: %+v", name, l)
		}
	}
	w.moved(w.fresh(other), "elsewhere@example.com")
	second := token(w.mail(old))
	w.advance(7*24*time.Hour + time.Second)
	if l := must[account.Link](t)(w.Account.UndoEmail(ctx, second)); l.State != account.LinkExpired {
		t.Errorf("expired: %+v", l)
	}
}

// An address that comes back by another change, while it could be given back, ends
// what came in between as its link does: whoever reads the mail of the address in
// between, who may have put it there, does not take the account by its link.
func TestSEC_S34_BackByHand(t *testing.T) {
	const evil, worse = "evil@example.com", "worse@example.com"
	for name, tt := range map[string]struct {
		path  []string      // the addresses, after the first
		wait  time.Duration // before the last change
		links map[string]account.LinkState
		told  []string // of the last change, with a link
	}{
		"at once": {
			path: []string{evil, old}, links: map[string]account.LinkState{old: account.LinkGood},
		},
		"from two on": {
			path: []string{evil, worse, old}, links: map[string]account.LinkState{old: account.LinkGood, evil: account.LinkUsed},
		},
		"to the one in between": {
			path:  []string{evil, worse, evil},
			links: map[string]account.LinkState{old: account.LinkGood, evil: account.LinkGood}, told: []string{old},
		},
		"when it could not be given back any more": {
			path: []string{evil, old}, wait: 7*24*time.Hour + time.Second,
			links: map[string]account.LinkState{evil: account.LinkGood}, told: []string{evil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			a := w.person(old)
			for i, to := range tt.path {
				if i == len(tt.path)-1 {
					w.advance(tt.wait)
				}
				w.moved(w.fresh(a), to)
			}
			last := tt.path[len(tt.path)-1]
			hidden := last[:1] + "***@" // as the mail shows it
			var told []string
			for _, address := range []string{old, evil, worse} {
				all := w.mails(address)
				if address != last && len(all) > 0 && strings.Contains(all[0].Link, "/account/undo/") && strings.Contains(all[0].Text, hidden) {
					told = append(told, address)
				}
			}
			if !slices.Equal(told, tt.told) {
				t.Errorf("told of the last change: %v, want %v", told, tt.told)
			}
			for address, want := range tt.links {
				all := w.mails(address)
				i := slices.IndexFunc(all, func(m mail.InboxMessage) bool { return strings.Contains(m.Link, "/account/undo/") })
				if i < 0 {
					t.Fatalf("%s has no link", address)
				}
				if l := must[account.Link](t)(w.Account.UndoLink(t.Context(), token(all[i]))); l.State != want {
					t.Errorf("the link of %s is %s, want %s", address, l.State, want)
				}
			}
		})
	}
}

// An address that came and went twice is told once, and has its seven days anew.
func TestSEC_S34_OneMailToAnAddress(t *testing.T) {
	w := start(t)
	a := w.person(old)
	for _, to := range []string{next, old, next} {
		w.moved(w.fresh(a), to)
	}
	before := len(w.mails(old))
	must[account.Password](t)(w.Account.SetPassword(t.Context(), w.fresh(a), pass))
	if got := len(w.mails(old)) - before; got != 1 {
		t.Errorf("%d mails of one change", got)
	}
	w.advance(7*24*time.Hour - time.Minute)
	i := slices.IndexFunc(w.mails(old), func(m mail.InboxMessage) bool { return strings.Contains(m.Link, "/account/undo/") })
	if l := must[account.Link](t)(w.Account.UndoEmail(t.Context(), token(w.mails(old)[i]))); l.State != account.LinkDone {
		t.Errorf("%+v", l)
	}
}
