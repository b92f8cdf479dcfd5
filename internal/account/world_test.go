package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// A world is an engine on its real database, whose time the test moves.
type world struct {
	*app.App
	t      *testing.T
	client string

	mu    sync.Mutex
	ahead time.Duration
}

func start(t *testing.T, change ...func(*app.Config)) *world {
	t.Helper()
	w := &world{t: t}
	c := app.Config{
		Dir: t.TempDir(), PublicURL: "http://id.example.com", Policy: policy.PasswordOptional(),
		Limits: flow.DevelopmentLimits(), Inbox: true, Now: w.now,
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if w.App, err = app.New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.Start()
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.client = w.register(false)
	return w
}

// register makes an app, and returns its client id.
func (w *world) register(confidential bool) string {
	w.t.Helper()
	client, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{"http://localhost:8080/cb"}}, confidential, w.now())
	if err == nil {
		err = w.OAuth.AddClient(w.t.Context(), client)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return client.ID
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

// A visit is one transaction of the flow.
type visit struct {
	w    *world
	view *flow.View
}

func (w *world) visit() *visit {
	w.t.Helper()
	h, err := w.Engine.Begin(w.t.Context(), flow.Start{Request: flow.Request{
		ClientID: w.client, Server: "default", Scopes: []string{"openid"}, RedirectURI: "http://localhost:8080/cb", State: "s", CodeChallenge: "c",
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := w.Engine.Introspect(w.t.Context(), flow.Handle{Interaction: h}, flow.Browser{})
	if err != nil {
		w.t.Fatal(err)
	}
	return &visit{w, v}
}

func (v *visit) answer(name string, in flow.Input) *flow.View {
	v.w.t.Helper()
	next, err := v.w.Engine.Answer(v.w.t.Context(), flow.Answer{
		Handle: flow.Handle{State: v.view.StateHandle}, Names: []string{name}, Input: in, Browser: flow.Browser{Keeps: true},
	})
	if err != nil {
		v.w.t.Fatalf("%s: %v", name, err)
	}
	if next.Kind != problem.None {
		v.w.t.Fatalf("%s: %v %v", name, next.Kind, next.Messages)
	}
	return next
}

// person signs up, and returns the account.
func (w *world) person(address string) directory.Account {
	w.t.Helper()
	v := w.visit()
	v.answer("select-enroll-profile", nil)
	v.answer("enroll-profile", flow.Input{"userProfile.firstName": "Vera", "userProfile.lastName": "Victim", "userProfile.email": address})
	v.answer("enroll-authenticator", flow.Input{"credentials.passcode": w.mail(address).Code})
	v.answer("skip", nil)
	return w.account(address)
}

// signIn signs in by email, and returns the session of the browser.
func (w *world) signIn(address string) session.Session {
	w.t.Helper()
	w.mails(address) // or a notice that is on its way would be newer than the code
	v := w.visit()
	v.answer("identify", flow.Input{"identifier": address})
	if done := v.answer("challenge-authenticator", flow.Input{"credentials.passcode": w.mail(address).Code}); done.Stage != flow.Success {
		w.t.Fatalf("sign-in of %s: %s", address, done.Stage)
	}
	all, err := w.Store.Sessions(w.t.Context(), w.account(address).ID)
	if err != nil || len(all) == 0 {
		w.t.Fatalf("sessions: %v, %v", all, err)
	}
	return all[0]
}

// family is a sign-in that an app can renew.
func (w *world) family(userID, grant string) {
	w.t.Helper()
	now := w.now()
	w.tx(func(tx store.Tx) error {
		return tx.InsertRefreshFamily(oauth.RefreshFamily{
			ID: directory.NewID("rf"), Grant: grant, ClientID: w.client, UserID: userID, Server: "default", Generation: 1,
			UserAgent: "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0", RotatedAt: now, CreatedAt: now,
			IdleUntil: now.Add(30 * 24 * time.Hour), ExpiresAt: now.Add(90 * 24 * time.Hour),
		})
	})
}

func (w *world) tx(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.Store.InTx(w.t.Context(), store.Durable, fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) account(address string) directory.Account {
	w.t.Helper()
	a, err := w.Store.AccountByAddress(w.t.Context(), address)
	if err != nil {
		w.t.Fatalf("account of %s: %v", address, err)
	}
	return a
}

// fresh is the person who has just signed in by email.
func (w *world) fresh(a directory.Account) account.Actor {
	return account.Actor{UserID: a.ID, App: w.client, Grant: "grant", AuthTime: w.now(), AMR: []string{"otp"}}
}

func (w *world) mails(address string) []mail.InboxMessage {
	w.t.Helper()
	if err := w.MailSettled(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.Inbox.Messages(address)
}

func (w *world) mail(address string) mail.InboxMessage {
	w.t.Helper()
	all := w.mails(address)
	if len(all) == 0 {
		w.t.Fatalf("no mail to %s", address)
	}
	return all[0]
}

// token is the last segment of a mailed link.
func token(m mail.InboxMessage) string { return m.Link[strings.LastIndexByte(m.Link, '/')+1:] }

// events are the types in the audit log, oldest first.
func (w *world) events() []string {
	w.t.Helper()
	rows, err := w.Store.AuditRows(w.t.Context(), "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		for _, ev := range r.Events {
			out = append(out, ev.Type)
		}
	}
	return out
}

// live counts what a person is signed in with.
func (w *world) live(userID string) (sessions, families int) {
	w.t.Helper()
	s, err := w.Store.Sessions(w.t.Context(), userID)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := w.Store.RefreshFamilies(w.t.Context(), userID)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(s), len(f)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(t *testing.T, err error, kind problem.Kind) {
	t.Helper()
	if problem.KindOf(err) != kind {
		t.Errorf("%v, want %v", err, kind)
	}
}

func stepUp(t *testing.T, err error, age time.Duration) {
	t.Helper()
	var s *account.StepUp
	if !errors.As(err, &s) || s.MaxAge != age {
		t.Errorf("%v, want a step-up of %v", err, age)
	}
}
