package flow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

func TestSilentSignIn(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	v := r.begin()
	v.browser.Keeps = true
	v.answer("identify", "identifier", ada)
	got := v.prove(r.code(ada))
	if got.Stage != Success || got.Cookie == "" {
		t.Fatalf("no session at %s", got.Stage)
	}
	cookie := Browser{Cookie: got.Cookie, Keeps: true}
	start := Start{Request: Request{ClientID: "0oa1"}, Browser: cookie}
	r.pass(time.Hour)
	if v := r.beginWith(start); v.last.Stage != Success || v.last.User.Identifier != ada {
		t.Fatalf("with the cookie: %s", v.last.Stage)
	}
	zero := time.Duration(0)
	for name, s := range map[string]Start{
		"a changed cookie":    {Request: start.Request, Browser: Browser{Cookie: got.Cookie + "x", Keeps: true}},
		"max_age=0 (SEC S57)": {Request: start.Request, Browser: cookie, MaxAge: &zero},
		"no cookie":           {Request: start.Request},
	} {
		if v := r.beginWith(s); v.last.Stage != Identify {
			t.Errorf("%s: %s", name, v.last.Stage)
		}
	}
	row := r.store.sessions[strings.Split(got.Cookie, ".")[1]]
	if !row.IdleUntil.Equal(r.clock().Add(2*time.Hour)) || !row.SeenAt.Equal(r.clock()) {
		t.Fatalf("SEC_S65: used now, idle until %v", row.IdleUntil)
	}
	r.pass(90 * time.Minute) // the policy asks anew after two hours
	if v := r.beginWith(start); v.last.Stage != Identify {
		t.Fatalf("an old proof: %s", v.last.Stage)
	}
}

// SEC S-26, T-04: whoever planted a handle in a browser that then signed in gets
// no session by it, neither by looking nor by the last answer once more.
func TestSEC_S26_T04_SessionOnlyForTheLastAnswer(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.browser.Keeps = true
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got := v.answer("skip"); got.Cookie == "" {
		t.Fatal("whoever signed in has no session")
	}
	planter := &visit{rig: r, handle: v.handle, browser: Browser{Keeps: true}}
	if got := planter.answer("skip"); got.Stage != Success || got.Cookie != "" {
		t.Fatalf("the same answer again: %s, cookie %q", got.Stage, got.Cookie)
	}
	if got, err := r.Introspect(context.Background(), v.handle, planter.browser); err != nil || got.Cookie != "" {
		t.Fatalf("looking: %v, cookie %q", err, got.Cookie)
	}
}

// SEC S-64: whoever proves themselves anew gets a new session, and the old one ends.
func TestSEC_S64_NewSessionAtEachProof(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	var first string
	for i := range 2 {
		v := r.begin()
		v.browser = Browser{Keeps: true, Cookie: first}
		v.answer("identify", "identifier", ada)
		got := v.prove(r.code(ada))
		if i == 1 && got.Cookie == first {
			t.Fatal("the session is the same")
		}
		first = got.Cookie
		r.pass(time.Hour)
	}
	live := 0
	for _, s := range r.store.sessions {
		if s.Live(r.clock()) {
			live++
		}
	}
	if len(r.store.sessions) != 2 || live != 1 {
		t.Fatalf("%d sessions, %d live", len(r.store.sessions), live)
	}
}

func TestSEC_S65_AtMostTwentySessions(t *testing.T) {
	org := emailAndPassword()
	org.Session[0].Max = 3
	r := newRig(t, org)
	r.signUpOnly(ada)
	for range 5 {
		v := r.begin()
		v.browser.Keeps = true
		v.answer("identify", "identifier", ada)
		v.prove(r.code(ada))
		r.pass(20 * time.Minute)
	}
	live, err := r.store.Sessions(context.Background(), r.account(ada).ID)
	if err != nil || len(live) != 3 {
		t.Fatalf("%d sessions, want 3 (%v)", len(live), err)
	}
}

func TestSEC_S57_AMR(t *testing.T) {
	r := newRig(t, twoFactors())
	r.withPassword(ada)
	v := r.begin()
	v.answer("identify", "identifier", ada)
	v.prove(r.code(ada))
	v.choose(passwordKey)
	if got := amr(r, v.prove(right)); got != "otp pwd mfa" {
		t.Fatalf("amr %q", got)
	}
}

func TestSEC_S58_NoSessionBeforeTheLastFactor(t *testing.T) {
	r := newRig(t, twoFactors())
	r.withPassword(ada)
	v := r.begin()
	v.browser.Keeps = true
	v.answer("identify", "identifier", ada)
	if got := v.prove(r.code(ada)); got.Cookie != "" || len(r.store.sessions) != 0 {
		t.Fatalf("a session after the first of two factors, at %s", got.Stage)
	}
	v.choose(passwordKey)
	if got := v.prove(right); got.Cookie == "" || len(r.store.sessions) != 1 {
		t.Fatal("no session after both")
	}
}

// SEC S-32: who parked a transaction that is proven does not come back with it once
// the person was signed out, as every change of the password does, or has another
// address. The browser that did the former goes on.
func TestSEC_S32_ParkedTransaction(t *testing.T) {
	for name, c := range map[string]struct {
		change func(u *directory.User, at time.Time, session string)
		want   problem.Kind
	}{
		"signed out":            {func(u *directory.User, at time.Time, _ string) { u.SignOut(at) }, problem.Expired},
		"all others signed out": {func(u *directory.User, at time.Time, s string) { u.SignOut(at, s) }, problem.None},
		"another address":       {func(u *directory.User, _ time.Time, _ string) { u.Canonical = "eve@example.com" }, problem.Expired},
		"nothing":               {func(*directory.User, time.Time, string) {}, problem.None},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, emailAndPassword())
			r.withPassword(ada)
			v := r.begin()
			v.browser.Keeps = true
			v.answer("identify", "identifier", ada)
			v.choose(passwordKey)
			v.prove(right)
			a := r.account(ada)
			live, err := r.store.Sessions(context.Background(), a.ID)
			if err != nil || len(live) != 1 {
				t.Fatalf("%d sessions, %v", len(live), err)
			}
			r.pass(5 * time.Minute)
			c.change(&a.User, r.clock(), live[0].ID)
			r.store.users[a.ID] = a
			if _, err := r.Introspect(context.Background(), v.handle, Browser{}); problem.KindOf(err) != c.want {
				t.Fatalf("the parked transaction: %v, want %v", err, c.want)
			}
		})
	}
}

// Whoever cancels after signing in is signed out of the browser.
func TestCancelEndsTheSession(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.signUpOnly(ada)
	v := r.begin()
	v.browser.Keeps = true
	v.answer("identify", "identifier", ada)
	cookie := v.prove(r.code(ada)).Cookie
	v.answer("cancel")
	if again := r.beginWith(Start{Request: Request{ClientID: "0oa1"}, Browser: Browser{Cookie: cookie, Keeps: true}}); again.last.Stage != Identify {
		t.Fatalf("signed in still: %s", again.last.Stage)
	}
}
