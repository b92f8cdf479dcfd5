package account_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

const pass, pass2 = "correct horse battery", "staple of the meadow"

func method(t *testing.T, all []account.Method, key string) account.Method {
	t.Helper()
	i := slices.IndexFunc(all, func(m account.Method) bool { return m.Info.Key == key })
	if i < 0 {
		t.Fatalf("no %s in %+v", key, all)
	}
	return all[i]
}

func TestUX_P7_3_TheLastWayStays(t *testing.T) {
	org := policy.PasswordOptional()
	for name, c := range map[string]struct {
		policy []policy.Authenticator
		email  account.Kept
		word   account.Kept
	}{
		"optional": {org.Enrollment[0].Authenticators, account.KeptEmail, ""},
		"required": {[]policy.Authenticator{{Key: "okta_email", Need: policy.Required}, {Key: "okta_password", Need: policy.Required}}, account.KeptEmail, account.KeptRequired},
		// Where nobody signs in by email, the email is no way to sign in that is left.
		"no email": {[]policy.Authenticator{{Key: "okta_password", Need: policy.Optional}}, account.KeptEmail, account.KeptLast},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			a := w.person(old)
			must[account.Password](t)(w.Account.SetPassword(t.Context(), w.fresh(a), pass))
			enforce(w, c.policy)
			by := w.fresh(a)
			by.AMR = []string{"otp", "pwd"}
			all := must[[]account.Method](t)(w.Account.Methods(t.Context(), by))
			email, word := method(t, all, "okta_email"), method(t, all, "okta_password")
			if email.Kept != c.email || word.Kept != c.word || email.Profile["email"] != "v***a@example.com" || word.CreatedAt.IsZero() {
				t.Errorf("email kept: %q, password kept: %q", email.Kept, word.Kept)
			}
			err := w.Account.RemoveMethod(t.Context(), by, email.ID)
			refused(t, err, problem.Forbidden)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != "email" || !strings.Contains(p.Detail, "another address") {
				t.Errorf("%v", err)
			}
			if err := w.Account.RemoveMethod(t.Context(), by, word.ID); (err == nil) != (c.word == "") || err != nil && problem.KindOf(err) != problem.Forbidden {
				t.Errorf("password: %v", err)
			}
			refused(t, w.Account.RemoveMethod(t.Context(), by, "lae0000"), problem.NotFound)
		})
	}
}

// enforce puts an enrollment policy in force.
func enforce(w *world, list []policy.Authenticator) {
	org := policy.PasswordOptional()
	org.Enrollment = []policy.Enrollment{{Name: policy.DefaultName, Authenticators: list}}
	w.Account.Policies = func() *policy.Org { return &org }
}

func TestAUTH_14_Password(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	by := w.fresh(a)
	if p := must[account.Password](t)(w.Account.Password(ctx, by)); p.ID != "" || !p.Allowed {
		t.Errorf("%+v", p)
	}
	_, err := w.Account.ChangePassword(ctx, by, pass, pass2)
	refused(t, err, problem.NotFound)
	var rejected *authenticator.Rejected
	if _, err := w.Account.SetPassword(ctx, by, "short"); !errors.As(err, &rejected) {
		t.Errorf("a short one: %v", err)
	}
	w.signIn(old)
	w.family(a.ID, "other")
	p := must[account.Password](t)(w.Account.SetPassword(ctx, by, pass))
	if s, f := w.live(a.ID); s != 0 || f != 0 {
		t.Errorf("SEC S-32: %d sessions, %d families are left", s, f)
	}
	if m := w.mail(old); m.Subject != "A password was added to your Acme account" {
		t.Errorf("%q", m.Subject)
	}
	_, err = w.Account.SetPassword(ctx, by, pass2)
	refused(t, err, problem.Conflict)

	// The current one is as good as a proof of it.
	_, err = w.Account.ChangePassword(ctx, by, "", pass2)
	stepUp(t, err, account.Fresh)
	_, err = w.Account.ChangePassword(ctx, by, "wrong", pass2)
	refused(t, err, problem.Unauthenticated)
	changed := must[account.Password](t)(w.Account.ChangePassword(ctx, by, pass, pass2))
	if changed.ID != p.ID || changed.ChangedAt.Before(p.ChangedAt) {
		t.Errorf("%+v, was %+v", changed, p)
	}
	if m := w.mail(old); !strings.Contains(m.Subject, "password was changed") {
		t.Errorf("%q", m.Subject)
	}
	stepUp(t, w.Account.RemovePassword(ctx, by), account.Fresh)
	by.AMR = []string{"otp", "pwd"}
	if err := w.Account.RemovePassword(ctx, by); err != nil {
		t.Fatal(err)
	}
	if m := w.mail(old); m.Subject != "A password was removed from your Acme account" {
		t.Errorf("%q", m.Subject)
	}
	refused(t, w.Account.RemovePassword(ctx, by), problem.NotFound)
	for _, want := range []string{"user.mfa.factor.activate", "user.account.update_password", "user.mfa.factor.deactivate"} {
		if !slices.Contains(w.events(), want) {
			t.Errorf("no event %s", want)
		}
	}
}

// Whoever has a token, and not the password, cannot try passwords here for ever,
// nor learn of a right one while answers are not looked at.
func TestSEC_S05_GuessesAtTheCurrentPassword(t *testing.T) {
	w := start(t, func(c *app.Config) { c.Limits = flow.DefaultLimits() })
	by := w.fresh(w.person(old))
	must[account.Password](t)(w.Account.SetPassword(t.Context(), by, pass))
	for range 10 {
		_, err := w.Account.ChangePassword(t.Context(), by, "wrong", pass2)
		refused(t, err, problem.Unauthenticated)
	}
	for name, chosen := range map[string]string{"good": pass2, "refused by policy": "x"} {
		_, err := w.Account.ChangePassword(t.Context(), by, pass, chosen)
		if problem.KindOf(err) != problem.Unauthenticated {
			t.Errorf("paused, the new one %s: %v", name, err)
		}
	}
}

// Guesses at a password count together, where somebody signs in and where they change it.
func TestSEC_S50_GuessesHereAndAtSignIn(t *testing.T) {
	const most = 10 // of the account, by the default limits
	for _, here := range []int{0, 4, most} {
		w := start(t, func(c *app.Config) {
			c.Limits = flow.DefaultLimits()
			c.Policy.Session = []policy.Session{{Name: policy.DefaultName, Primary: policy.PasswordFirst}}
		})
		by := w.fresh(w.person(old))
		must[account.Password](t)(w.Account.SetPassword(t.Context(), by, pass))
		change := func(password string) error {
			_, err := w.Account.ChangePassword(t.Context(), by, password, pass2)
			return err
		}
		signIn := func(login, password string) *flow.View {
			v := w.visit()
			out, err := w.Engine.Answer(t.Context(), flow.Answer{
				Handle: flow.Handle{State: v.view.StateHandle}, Names: []string{"identify"}, Browser: flow.Browser{Keeps: true},
				Input: flow.Input{"identifier": login, "credentials.passcode": password},
			})
			return must[*flow.View](t)(out, err)
		}
		if v := signIn(old, pass); v.Kind != problem.None {
			t.Fatalf("the right password: %v %v", v.Kind, v.Messages)
		}
		for range here {
			refused(t, change("wrong"), problem.Unauthenticated)
		}
		for i := range most - here {
			if v := signIn([]string{old, strings.ToUpper(old)}[i%2], "wrong"); v.Kind != problem.Unauthenticated {
				t.Fatalf("a wrong password: %v %v", v.Kind, v.Messages)
			}
		}
		if v := signIn(old, pass); v.Kind != problem.Unauthenticated {
			t.Errorf("%d here, %d there: it signs in, %v", here, most-here, v.Stage)
		}
		if err := change(pass); problem.KindOf(err) != problem.Unauthenticated {
			t.Errorf("%d here, %d there: it changes the password, %v", here, most-here, err)
		}
	}
}

// Which proofs of which age a change takes, by what the person has.
func TestSEC_S56_FreshnessMatrix(t *testing.T) {
	const young, stale = 4 * time.Minute, 6 * time.Minute
	for _, c := range []struct {
		name    string
		has     bool // a password beside the email
		amr     []string
		age     time.Duration
		session map[string]time.Duration // authenticator to age, as the browser's session has them
		fresh   bool
		offline bool // the token outlives the session, and does not name it
	}{
		{"email only, young", false, []string{"otp"}, young, nil, true, false},
		{"email only, stale", false, []string{"otp"}, stale, nil, false, false},
		{"nothing known", false, nil, 0, nil, false, false},
		{"something unknown", false, []string{"sms"}, 0, nil, false, false},
		{"both, by email alone", true, []string{"otp"}, 0, nil, false, false},
		{"both, by password alone", true, []string{"pwd"}, 0, nil, false, false},
		{"both, by both", true, []string{"pwd", "otp"}, young, nil, true, false},
		{"both, by both, stale", true, []string{"pwd", "otp"}, stale, nil, false, false},
		{"both, an old password beside a new code", true, []string{"pwd", "otp"}, 0, map[string]time.Duration{"okta_password": stale, "okta_email": 0}, false, false},
		{"both, both new in the session", true, []string{"pwd", "otp"}, 0, map[string]time.Duration{"okta_password": young, "okta_email": 0}, true, false},
		{"both, an old password beside a new code, offline", true, []string{"pwd", "otp"}, 0, map[string]time.Duration{"okta_password": stale, "okta_email": 0}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			a := w.person(old)
			if c.has {
				must[account.Password](t)(w.Account.SetPassword(t.Context(), w.fresh(a), pass))
			}
			by := account.Actor{UserID: a.ID, App: w.client, AMR: c.amr, AuthTime: w.now().Add(-c.age)}
			if c.session != nil {
				s := session.Session{ID: "ses1", UserID: a.ID, Version: 1, CreatedAt: w.now()}
				for key, age := range c.session {
					s.Proofs = append(s.Proofs, session.Proof{Authenticator: key, At: w.now().Add(-age)})
				}
				w.tx(func(tx store.Tx) error { return tx.InsertSession(s) })
				if by.Session = s.ID; c.offline {
					by.Session, by.Grant = "", "gr of ses1"
					w.tx(func(tx store.Tx) error {
						return tx.InsertRefreshFamily(oauth.RefreshFamily{
							ID: "rf1", Grant: by.Grant, ClientID: w.client, UserID: a.ID, Session: s.ID,
							IdleUntil: w.now().Add(time.Hour), ExpiresAt: w.now().Add(time.Hour),
						})
					})
				}
			}
			_, err := w.Account.ChangeEmail(t.Context(), by, next, false)
			if c.fresh && err != nil {
				t.Errorf("%v", err)
			}
			if !c.fresh {
				stepUp(t, err, account.Fresh)
				_, err = w.Account.RequestDeletion(t.Context(), by)
				stepUp(t, err, account.Fresh)
			}
		})
	}
}

func TestUX_P7_2_Devices(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := w.person(old)
	other := w.person("bob@example.com")
	here := w.signIn(old)
	w.signIn("bob@example.com")
	w.family(a.ID, "phone")
	by := w.fresh(a)
	by.Session = here.ID
	list := must[[]account.Device](t)(w.Account.Devices(ctx, by))
	if len(list) != 3 || !list[0].Current || list[0].ID != here.ID { // the sign-up left a session too
		t.Fatalf("%+v", list)
	}
	i := slices.IndexFunc(list, func(d account.Device) bool { return d.Browser == "Firefox" })
	if i < 0 || list[i].System != "Windows" || !slices.Equal(list[i].Apps, []string{"Acme"}) || list[i].Current || list[i].SeenAt.IsZero() {
		t.Fatalf("%+v", list)
	}
	refused(t, w.Account.EndDevice(ctx, w.fresh(other), list[i].ID), problem.NotFound)
	if err := w.Account.EndDevice(ctx, by, list[i].ID); err != nil {
		t.Fatal(err)
	}
	if s, f := w.live(a.ID); s != 2 || f != 0 {
		t.Errorf("%d sessions, %d families", s, f)
	}
	sessions := slices.IndexFunc(list, func(d account.Device) bool { return !d.Current && d.ID != list[i].ID })
	if err := w.Account.EndDevice(ctx, by, list[sessions].ID); err != nil {
		t.Fatal(err)
	}
	w.signIn(old)
	if err := w.Account.EndOtherDevices(ctx, by); err != nil {
		t.Fatal(err)
	}
	if s, _ := w.live(a.ID); s != 1 {
		t.Errorf("%d sessions", s)
	}
	if err := w.Account.SignOutEverywhere(ctx, by); err != nil {
		t.Fatal(err)
	}
	if s, _ := w.live(a.ID); s != 0 || w.account(old).SignedOutAt.IsZero() {
		t.Errorf("%d sessions", s)
	}
	if s, _ := w.live(other.ID); s == 0 {
		t.Error("somebody else was signed out")
	}
	var ended []string
	for _, r := range must[[]audit.Row](t)(w.Store.AuditRows(ctx, "", 1000)) {
		for _, ev := range r.Events {
			if ev.Type == "user.session.end" {
				ended = append(ended, ev.Target)
			}
		}
	}
	if want := []string{"phone", list[sessions].ID, a.ID}; !slices.Equal(ended, want) { // one, one, all others
		t.Errorf("the audit log has the ends of %v, want %v", ended, want)
	}
	revoked, err := w.Store.RevocationsSince(ctx, time.Time{})
	if err != nil || !slices.ContainsFunc(revoked, func(r oauthRevocation) bool { return r.ID == "phone" }) {
		t.Errorf("SEC S-104: what was issued to the phone is not void: %+v, %v", revoked, err)
	}
}

// What has neither a session nor a family of its own ends with the others too: a
// token of an app that may not renew, a finished sign-in that waits in a tab.
func TestSEC_S104_AllButThisOne(t *testing.T) {
	w := start(t)
	a := w.person(old)
	enter := func() (flow.Handle, session.Session) {
		v := w.visit()
		v.answer("identify", flow.Input{"identifier": old})
		v.answer("challenge-authenticator", flow.Input{"credentials.passcode": w.mail(old).Code})
		return flow.Handle{State: v.view.StateHandle}, must[[]session.Session](t)(w.Store.Sessions(t.Context(), a.ID))[0]
	}
	elsewhere, _ := enter()
	parked, here := enter()
	by := w.fresh(a)
	by.Session = here.ID
	if err := w.Account.EndOtherDevices(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Engine.Introspect(t.Context(), elsewhere, flow.Browser{}); problem.KindOf(err) != problem.Expired {
		t.Errorf("the sign-in that waits elsewhere goes on: %v", err)
	}
	if v, err := w.Engine.Introspect(t.Context(), parked, flow.Browser{}); err != nil || v.Stage != flow.Success {
		t.Errorf("the one that acts does not go on: %v", err)
	}
	kept := []string{here.ID, by.Grant}
	if u := w.account(old); u.SignedOutAt.IsZero() || !slices.Equal(u.Kept, kept) {
		t.Errorf("signed out %v, kept %v", u.SignedOutAt, u.Kept)
	}
	revoked := must[[]oauthRevocation](t)(w.Store.RevocationsSince(t.Context(), time.Time{}))
	if !slices.ContainsFunc(revoked, func(r oauthRevocation) bool { return r.ID == a.ID && slices.Equal(r.Kept, kept) }) {
		t.Errorf("tokens are not void: %+v", revoked)
	}
}
