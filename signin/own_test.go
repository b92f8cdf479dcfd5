package signin_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

var ownScopes = []string{
	"openid", "profile", "email", "offline_access",
	idx.ScopeProfileManage, idx.ScopeEmailManage, idx.ScopePasswordManage, idx.ScopeSessionsManage,
}

// ownable is live, for an app that asks for scopes.
func ownable(t testing.TB, scopes []string, options ...stiletest.Option) *real {
	t.Helper()
	l := live(t, "", options...)
	l.grow(scopes)
	return l
}

// grow starts the app anew with other scopes; people stay signed in.
func (l *real) grow(scopes []string) {
	l.t.Helper()
	cfg := l.client.Config()
	cfg.Scopes = scopes
	var err error
	if l.client, err = idx.New(cfg); err != nil {
		l.t.Fatal(err)
	}
	l.pages, err = signin.New(l.client, signin.Options{
		RedirectURI: cfg.RedirectURI, AppName: "Acme", Now: l.eng.Clock.Now, Logger: slog.New(slog.NewTextHandler(l.log, nil)),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/login/", l.pages)
	mux.Handle("/", l.pages.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := signin.User(r.Context())
		fmt.Fprintf(w, "app %s: %s %s", r.URL, id.Email, id.Name)
	})))
	l.mu.Lock()
	l.handler = mux
	l.mu.Unlock()
}

// owner signs up, and is at the profile.
func (l *real) owner(address string) *browser {
	l.t.Helper()
	b := l.browser()
	v := b.signUp("Ada", "Lovelace", address)
	v.press("continue", "verificationCode", l.code(address)).is("select-authenticator").press("skip").isApp(address)
	return b
}

// proves goes through a sign-in that a page asked for, by a code.
func (v *view) proves(l *real, address string) *view {
	v.b.t.Helper()
	v = v.is("sign-in").says("Please show once more that you are").press("next").is("email-code")
	return v.press("continue", "verificationCode", l.code(address))
}

func TestUX_P7_2_Profile(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile").is("profile")
	v.says("Your account", "Ada Lovelace", ada, "Ways to sign in", "Added", "It cannot be removed, because your account is found by it.",
		"Where you are signed in", "This device", "Address 127.0.0.1", "Last seen", "Sign out everywhere", "Back to Acme")
	if got := l.pages.ProfilePath(); got != "/login/profile" {
		t.Errorf("ProfilePath %q", got)
	}
	if v := l.browser().get("/login/profile").is("sign-in"); !strings.Contains(v.html, `name="return_to" value="/login/profile"`) {
		t.Error("sign-in does not lead back")
	}
}

// What the client does not ask for is not there.
func TestProfile_ByScopes(t *testing.T) {
	for name, c := range map[string]struct {
		scopes      []string
		page        bool
		says, lacks []string
		closed      []string
	}{
		"none":  {scopes: []string{"openid", "email"}, closed: []string{"", "/name", "/delete"}},
		"email": {scopes: []string{"openid", "email", idx.ScopeEmailManage}, closed: []string{"", "/email"}},
		"read": {scopes: []string{"openid", "email", idx.ScopeProfileRead}, page: true, says: []string{"Ada Lovelace", "Ways to sign in"},
			lacks: []string{"Change", "Sign out", "Delete", "Download", "Set a password"}, closed: []string{"/name", "/email", "/code", "/password", "/remove", "/data", "/data.json", "/delete"}},
		"manage": {scopes: []string{"openid", "email", idx.ScopeProfileManage}, page: true, says: []string{"Change details", "Delete", "Download"},
			lacks: []string{"Change email", "Sign out", "Set a password"}, closed: []string{"/email", "/code", "/password"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := ownable(t, c.scopes)
			b := l.owner(ada)
			if (l.pages.ProfilePath() != "") != c.page {
				t.Errorf("ProfilePath %q", l.pages.ProfilePath())
			}
			if c.page {
				b.get("/login/profile").is("profile").says(c.says...).saysNot(c.lacks...)
			}
			for _, path := range c.closed {
				if v := b.get("/login/profile" + path); v.status != http.StatusNotFound {
					t.Errorf("%s answers %d", path, v.status)
				}
			}
		})
	}
}

func TestProfile_Name(t *testing.T) {
	l := ownable(t, ownScopes, stiletest.Org("profile: [{name: default, attributes: [{name: team, label: Team, enum: [red, blue]}, {name: age, label: Age, type: number}, {name: news, label: Send me news, type: boolean}]}]"))
	b := l.owner(ada)
	v := b.get("/login/profile").is("profile").says("Team Not given").follow("Change details").is("profile-name")
	if v.value("firstName") != "Ada" || v.value("lastName") != "Lovelace" {
		t.Errorf("%q %q", v.value("firstName"), v.value("lastName"))
	}
	v = v.press("save", "firstName", " ", "lastName", "Byron", "age", "old").is("profile-name").says("Enter your first name")
	if v.value("lastName") != "Byron" {
		t.Errorf("UX G24: %q", v.value("lastName"))
	}
	v.says("Please check these", "Enter a number, like 12 or 12.5: Age")
	v = v.forge("save", "firstName", "Augusta", "lastName", "Byron", "age", "36", "team", "green").is("profile-name").says("The sign-in service does not take this")
	v = v.press("save", "firstName", "Augusta", "lastName", "King <b>", "age", "36.5", "team", "blue", "news", "true").is("profile")
	v.says("Saved.", "Augusta King <b>", "Team blue", "Age 36.5", "Send me news Yes")
	b.get("/").isApp("Augusta King")
	// The token of the next sign-in, and of the next renewal, tells the same.
	l.eng.Clock.Advance(2 * time.Hour)
	b.get("/").isApp("Augusta King")
}

func TestUX_P7_4_ChangeEmail(t *testing.T) {
	const next, bob = "countess@example.com", "bob@example.com"
	l := ownable(t, ownScopes)
	l.account(bob, "")
	b := l.owner(ada)
	v := b.get("/login/profile").follow("Change email").is("profile-email").says(ada)
	v = v.press("save", "email", "nothing").is("profile-email").says("The @ is missing")
	if v.value("email") != "nothing" {
		t.Errorf("UX G24: %q", v.value("email"))
	}
	v = v.press("save", "email", ada).is("profile-email").says("This is your email already")
	v.press("save", "email", bob).is("profile-code").says("We sent a code to "+bob, ada+" stays your email").press("continue", "verificationCode", "123456").says("That code is not right")
	v = v.press("save", "email", next).is("profile-code").says("We sent a code to "+next, "valid for 10 minutes")
	v = v.press("continue", "verificationCode", "").is("profile-code").says("Enter the code from the mail")
	v = v.press("continue", "verificationCode", "000000").is("profile-code").says("That code is not right")
	v = v.press("resend").is("profile-code").says("We sent it again at")
	b.get("/login/profile").says(next + " is waiting for its code.").follow("Enter it").is("profile-code")
	v.press("cancel").is("profile").says("Your email stays as it was.").saysNot(next)
	v.press("continue", "verificationCode", "123456").is("profile-email").says("That code is too old")
	v = b.get("/login/profile/email").press("save", "email", next).is("profile-code")
	v = v.press("continue", "verificationCode", l.code(next)).is("profile").says("Your email is changed.", next).saysNot(ada)
	b.get("/").isApp(next)
	b.get("/login/profile/code").is("profile")
	if m := l.eng.Mail(t, ada); !strings.Contains(m.Link, "/account/undo/") {
		t.Errorf("the old mailbox has %q %q", m.Subject, m.Link)
	}
}

// The code that comes too late leads back to the form, filled in.
func TestProfile_EmailTooLate(t *testing.T) {
	const next = "countess@example.com"
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile/email").press("save", "email", next).is("profile-code")
	l.eng.Clock.Advance(11 * time.Minute)
	v = v.press("continue", "verificationCode", l.code(next)).is("sign-in") // the form needs a new proof by now
	if v = v.proves(l, ada).is("profile-email").says("That code is too old"); v.value("email") != next {
		t.Errorf("UX G31: %q", v.value("email"))
	}
}

func TestProfile_Password(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile").follow("Set a password").is("profile-password")
	v = v.press("save", "password", "").is("profile-password").says("Enter a password")
	v = v.press("save", "password", "short").is("profile-password").says("That password does not do.", "at least 8 characters")
	if strings.Contains(v.html, `value="short"`) {
		t.Error("UX G24: a password is shown again")
	}
	v = v.press("save", "password", right).is("profile").says("Your password is saved.", "Not used yet.")
	// It was not shown yet, so the next change asks for both.
	v = v.follow("Change").is("sign-in").says("Please show once more").press("next").is("email-code")
	v = v.press("continue", "verificationCode", l.code(ada)).is("password").press("continue", "password", right).is("profile-password")
	v.press("save", "password", fresh).is("profile").says("Your password is saved.")
	v = b.get("/login/profile").follow("Remove").is("profile-remove").says("Remove Password?", "signed out")
	v.press("remove").is("profile").says("Removed.", "Set a password").saysNot("Change Remove")
	b.get(v.url.RequestURI()).is("profile")
}

func TestUX_P7_3_TheLastOneStays(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile/password").press("save", "password", right).is("profile")
	var email string
	for _, m := range methodIDs(t, l, b) {
		if m.Kept == idx.KeptEmail {
			email = m.ID
		}
	}
	v = b.get("/login/profile/remove?method="+email).is("profile-remove").says("Email stays", "It cannot be removed, because your account is found by it.")
	if v.has("remove") {
		t.Error("there is a button")
	}
	// A page from before, or somebody who makes one.
	v = b.send(http.MethodPost, "/login/profile/remove?method="+email, url.Values{"action": {"remove"}})
	v.is("profile-remove").says("It cannot be removed")
	b.get("/login/profile/remove?method=nothing").is("profile")
}

// methodIDs asks the engine as the browser's session may.
func methodIDs(t *testing.T, l *real, b *browser) []idx.AccountMethod {
	t.Helper()
	var all []idx.AccountMethod
	h := l.pages.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ := signin.User(r.Context())
		var err error
		if all, err = l.client.Account(id.Tokens.AccessToken.Value).Methods(r.Context()); err != nil {
			t.Fatal(err)
		}
	}))
	r := httptest.NewRequest(http.MethodGet, l.url+"/", nil)
	for _, c := range b.cookies() {
		r.AddCookie(c)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	return all
}
