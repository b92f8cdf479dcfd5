package account_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/problem"
)

const old, next = "vera@example.com", "new@example.com"

func TestAUTH_14_ChangeOfAddress(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	before := w.person(old)
	here := w.signIn(old)
	w.family(before.ID, "grant")
	w.family(before.ID, "other")
	by := w.fresh(before)
	by.Session = here.ID

	e := must[account.Email](t)(w.Account.ChangeEmail(ctx, by, " New@Example.com ", true))
	if e.Address != "New@Example.com" || e.Verified || e.Challenge == "" {
		t.Errorf("%+v", e)
	}
	m := w.mail(next)
	if m.Code == "" || !strings.Contains(m.Text, "v***@") || !strings.HasPrefix(m.Link, "http://id.example.com/account/email/") || strings.Contains(m.Text, "Vera") {
		t.Errorf("M7: %q %q\n%s", m.Code, m.Link, m.Text)
	}
	list := must[[]account.Email](t)(w.Account.Emails(ctx, by))
	if len(list) != 2 || list[0].Address != old || !list[0].Verified || list[1] != e {
		t.Errorf("while it waits: %+v", list)
	}
	refused(t, w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, "000000"), problem.Unauthenticated)
	if c := must[account.Email](t)(w.Account.Challenge(ctx, by, e.ID, e.Challenge)); c.Verified {
		t.Errorf("%+v", c)
	}
	if err := w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, m.Code); err != nil {
		t.Fatal(err)
	}
	if c := must[account.Email](t)(w.Account.Challenge(ctx, by, e.ID, e.Challenge)); !c.Verified {
		t.Errorf("%+v", c)
	}

	after := w.account(next)
	en, _ := after.Enrolled("okta_email")
	c, err := w.Engine.OpenCredential(en)
	if after.ID != before.ID || after.Email != "New@Example.com" || err != nil || c.Profile["email"] != "N***w@Example.com" || len(after.Enrollments) != 1 {
		t.Errorf("%+v, %+v, %v", after, c, err)
	}
	if _, err := w.Store.AccountByAddress(ctx, old); problem.KindOf(err) != problem.NotFound {
		t.Errorf("the old address: %v", err)
	}
	if s, f := w.live(after.ID); s != 1 || f != 1 {
		t.Errorf("SEC S-32: %d sessions, %d families are left", s, f)
	}
	notice := w.mail(old)
	if !strings.HasPrefix(notice.Link, "http://id.example.com/account/undo/") || !strings.Contains(notice.Text, "N***@") || strings.Contains(notice.Text, "New@") {
		t.Errorf("M8: %s", notice.Text)
	}
	if !slices.Contains(w.events(), "user.account.update_primary_email") {
		t.Errorf("events: %v", w.events())
	}
	w.signIn(next)
	if list := must[[]account.Email](t)(w.Account.Emails(ctx, by)); len(list) != 1 || list[0].Address != "New@Example.com" {
		t.Errorf("afterwards: %+v", list)
	}
}

// The attacker begins a change to an address of their own and waits for the owner
// to recover the account.
func TestSEC_S34_T05_UnexpiredAddressChange(t *testing.T) {
	for name, recover := range map[string]func(*world, directory.Account){
		"recovery": func(w *world, _ directory.Account) {
			v := w.visit()
			v.answer("recover", nil)
			v.answer("identify-recovery", flow.Input{"identifier": old})
			v.answer("select-authenticator-authenticate", flow.Input{"authenticator.id": "aut1email0000000000"})
			v.answer("challenge-authenticator", flow.Input{"credentials.passcode": w.mail(old).Code})
			v.answer("reset-authenticator", flow.Input{"credentials.passcode": "correct horse battery"})
		},
		"sign-out everywhere": func(w *world, a directory.Account) {
			if err := w.Account.SignOutEverywhere(w.t.Context(), w.fresh(a)); err != nil {
				w.t.Fatal(err)
			}
		},
		"another change": func(w *world, a directory.Account) {
			must[account.Email](w.t)(w.Account.ChangeEmail(w.t.Context(), w.fresh(a), "third@example.com", true))
		},
		"cancel": func(w *world, a directory.Account) {
			e := must[[]account.Email](w.t)(w.Account.Emails(w.t.Context(), w.fresh(a)))[1]
			if err := w.Account.CancelEmail(w.t.Context(), w.fresh(a), e.ID); err != nil {
				w.t.Fatal(err)
			}
		},
		"ten minutes": func(w *world, _ directory.Account) { w.advance(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			a := w.person(old)
			attacker := w.fresh(a)
			e := must[account.Email](t)(w.Account.ChangeEmail(t.Context(), attacker, "evil@example.com", true))
			code := w.mail("evil@example.com").Code
			recover(w, a)
			refused(t, w.Account.VerifyEmail(t.Context(), attacker, e.ID, e.Challenge, code), problem.Unauthenticated)
			if got := w.account(old); got.ID != a.ID {
				t.Errorf("the account is %+v", got)
			}
		})
	}
}

// A change needs a recent factor too, whatever the code.
func TestSEC_S34_NeedsAFreshProof(t *testing.T) {
	w := start(t)
	by := w.fresh(w.person(old))
	w.advance(5*time.Minute + time.Second)
	_, err := w.Account.ChangeEmail(t.Context(), by, next, true)
	stepUp(t, err, account.Fresh)
	by.AuthTime, by.AMR = w.now(), nil
	_, err = w.Account.ChangeEmail(t.Context(), by, next, true)
	stepUp(t, err, account.Fresh)
	if got := w.mails(next); len(got) != 0 {
		t.Errorf("%d mails", len(got))
	}
}

func TestUX_P7_4_TakenAddressLooksTheSame(t *testing.T) {
	w := start(t, func(c *app.Config) { c.SealEvery = time.Hour }) // seals would count among the rows
	w.person("bob@example.com")
	by := w.fresh(w.person(old))
	mails := len(w.mails("bob@example.com"))
	free := must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, next, true))
	refused(t, w.Account.VerifyEmail(t.Context(), by, free.ID, free.Challenge, "000000"), problem.Unauthenticated)

	if err := w.OAuth.MakeKeys(t.Context()); err != nil { // a row and its event each
		t.Fatal(err)
	}
	rows := func(address string) int64 {
		t.Helper()
		if err := w.MailWritten(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := w.Store.Stats().RowWrites
		must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, address, true))
		if err := w.MailWritten(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.Store.Stats().RowWrites - before
	}
	taken := must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, "BOB@example.com", true))
	if len(taken.ID) != len(free.ID) || len(taken.Challenge) != len(free.Challenge) || taken.Verified {
		t.Errorf("%+v, a free one %+v", taken, free)
	}
	if got := len(w.mails("bob@example.com")); got != mails {
		t.Errorf("%d mails to somebody else's address", got-mails)
	}
	if free, taken := rows("third@example.com"), rows("bob@example.com"); free != taken {
		t.Errorf("%d rows for a free address, %d for a taken one", free, taken)
	}
	taken = must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, "bob@example.com", true))
	for range 6 {
		refused(t, w.Account.VerifyEmail(t.Context(), by, taken.ID, taken.Challenge, "123456"), problem.Unauthenticated)
	}
	must[account.Email](t)(w.Account.SendCode(t.Context(), by, taken.ID))
	if got := len(w.mails("bob@example.com")); got != mails {
		t.Errorf("%d mails to somebody else's address", got-mails)
	}
}

// The address is taken between the mail and the code.
func TestSEC_S38_TakenMeanwhile(t *testing.T) {
	w := start(t)
	by := w.fresh(w.person(old))
	e := must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, next, true))
	code := w.mail(next).Code
	other := w.person(next)
	refused(t, w.Account.VerifyEmail(t.Context(), by, e.ID, e.Challenge, code), problem.Unauthenticated)
	if w.account(next).ID != other.ID || w.account(old).ID != by.UserID {
		t.Error("an address has moved")
	}
}

func TestSEC_S34_TwoChangesAtOnce(t *testing.T) {
	w := start(t)
	a, b := w.fresh(w.person(old)), w.fresh(w.person("bob@example.com"))
	both := func(fs ...func() error) (errs []error) {
		errs = make([]error, len(fs))
		var all sync.WaitGroup
		for i, f := range fs {
			all.Go(func() { errs[i] = f() })
		}
		all.Wait()
		return errs
	}
	ctx := t.Context()
	// One person, ten addresses: one waits.
	var begins []func() error
	for _, n := range strings.Split("0123456789", "") {
		begins = append(begins, func() error {
			_, err := w.Account.ChangeEmail(ctx, a, "n"+n+"@example.com", false)
			return err
		})
	}
	for _, err := range both(begins...) {
		if err != nil {
			t.Error(err)
		}
	}
	if list := must[[]account.Email](t)(w.Account.Emails(ctx, a)); len(list) != 2 {
		t.Errorf("%d addresses", len(list))
	}
	// Two people, one address: one gets it, and the other is told what a wrong code is told.
	ea := must[account.Email](t)(w.Account.ChangeEmail(ctx, a, next, true))
	codeA := w.mail(next).Code
	eb := must[account.Email](t)(w.Account.ChangeEmail(ctx, b, next, true))
	codeB := w.mail(next).Code
	errs := both(
		func() error { return w.Account.VerifyEmail(ctx, a, ea.ID, ea.Challenge, codeA) },
		func() error { return w.Account.VerifyEmail(ctx, b, eb.ID, eb.Challenge, codeB) },
	)
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	if errs[0] != nil || problem.KindOf(errs[1]) != problem.Unauthenticated {
		t.Errorf("%v", errs)
	}
	// One code given twice at once changes the address once.
	e := must[account.Email](t)(w.Account.ChangeEmail(ctx, a, "last@example.com", true))
	code := w.mail("last@example.com").Code
	won := 0
	verify := func() error { return w.Account.VerifyEmail(ctx, a, e.ID, e.Challenge, code) }
	for _, err := range both(verify, verify, verify, verify) {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of four were right", won)
	}
}

func TestSEC_S03_GuessesAtACode(t *testing.T) {
	w := start(t, func(c *app.Config) { c.Limits = flow.DefaultLimits() })
	by := w.fresh(w.person(old))
	ctx := t.Context()
	e := must[account.Email](t)(w.Account.ChangeEmail(ctx, by, next, true))
	wrong := func() {
		t.Helper()
		refused(t, w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, "000000"), problem.Unauthenticated)
	}
	for range 5 {
		wrong()
	}
	refused(t, w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, w.mail(next).Code), problem.Unauthenticated)
	_, err := w.Account.SendCode(ctx, by, e.ID)
	refused(t, err, problem.Throttled) // 30 seconds have not passed
	w.advance(31 * time.Second)
	renewed := must[account.Email](t)(w.Account.SendCode(ctx, by, e.ID))
	if renewed.Challenge == e.Challenge {
		t.Error("a challenge that wrong codes have used up goes on")
	}
	e = renewed
	for range 5 {
		wrong()
	}
	// Ten wrong answers pause the account's changes: also the right code is not looked at, and looks wrong.
	w.advance(61 * time.Second)
	e = must[account.Email](t)(w.Account.SendCode(ctx, by, e.ID))
	refused(t, w.Account.VerifyEmail(ctx, by, e.ID, e.Challenge, w.mail(next).Code), problem.Unauthenticated)
	if w.account(old).ID != by.UserID {
		t.Error("the address has moved")
	}
}

func TestSEC_S14_LinkOfANewAddress(t *testing.T) {
	w := start(t)
	by := w.fresh(w.person(old))
	e := must[account.Email](t)(w.Account.ChangeEmail(t.Context(), by, next, true))
	m := w.mail(next)
	for range 20 {
		l := must[account.Link](t)(w.Account.EmailLink(t.Context(), token(m), e.ID))
		if l.State != account.LinkGood || l.Code != m.Code {
			t.Fatalf("%+v", l)
		}
	}
	if err := w.Account.VerifyEmail(t.Context(), by, e.ID, e.Challenge, m.Code); err != nil {
		t.Fatal(err)
	}
	if l := must[account.Link](t)(w.Account.EmailLink(t.Context(), token(m), e.ID)); l.State != account.LinkUsed || l.Code != "" {
		t.Errorf("%+v", l)
	}
}

func TestEmailsOfOthers(t *testing.T) {
	w := start(t)
	by, other := w.fresh(w.person(old)), w.fresh(w.person("bob@example.com"))
	ctx := t.Context()
	e := must[account.Email](t)(w.Account.ChangeEmail(ctx, by, next, true))
	_, err := w.Account.Email(ctx, other, e.ID)
	refused(t, err, problem.NotFound)
	_, err = w.Account.SendCode(ctx, other, e.ID)
	refused(t, err, problem.NotFound)
	refused(t, w.Account.CancelEmail(ctx, other, e.ID), problem.NotFound)
	refused(t, w.Account.VerifyEmail(ctx, other, e.ID, e.Challenge, w.mail(next).Code), problem.Unauthenticated)
	own := must[[]account.Email](t)(w.Account.Emails(ctx, by))[0]
	refused(t, w.Account.CancelEmail(ctx, by, own.ID), problem.Forbidden)
	if same := must[account.Email](t)(w.Account.ChangeEmail(ctx, by, "VERA@example.com", true)); same != own {
		t.Errorf("the address in use: %+v", same)
	}
	for _, bad := range []string{"", "vera", "a@b@example.com", "a@example.com,b@example.com"} {
		_, err := w.Account.ChangeEmail(ctx, by, bad, true)
		refused(t, err, problem.Invalid)
	}
}
