package browser_test

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-id/stile/examples/demo"
	"github.com/stile-id/stile/stiletest"
)

// restarts is what stops and starts again before each step of a person.
type restarts string

const (
	engineAlone  restarts = "engine" // while the app with the pages keeps running
	engineAndApp restarts = "engine and app"
)

// meanwhile comes before each step of a person.
func (p *person) meanwhile() {
	p.t.Helper()
	if p.look.restarts != "" {
		p.site.restart(p.t)
	}
}

// site is what a walk takes place at: the shared one, or one that may restart.
func (l look) site(t testing.TB) *site {
	t.Helper()
	if l.restarts != "" {
		return l.restarting(t)
	}
	return shared(t)
}

// siteOf is site with an organisation of its own.
func (l look) siteOf(t testing.TB, org string) *site {
	t.Helper()
	if l.restarts == "" {
		return stage(t, stiletest.Org(org))
	}
	file := filepath.Join(t.TempDir(), "org.yaml")
	if err := os.WriteFile(file, []byte(org), 0o600); err != nil {
		t.Fatal(err)
	}
	return l.restarting(t, "--org", file)
}

func (l look) restarting(t testing.TB, flags ...string) *site {
	t.Helper()
	if l.restarts == engineAlone {
		return apart(t, flags...)
	}
	return ownDev(t, flags...)
}

// apart runs `stile dev` without its app, and that app inside the test.
func apart(t testing.TB, flags ...string) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	home := "http://" + server.Listener.Addr().String()
	s := ownDev(t, append(flags, "--app-listen", "off", "--redirect-uri", home+"/login/callback")...)
	s.home = home
	var err error
	if s.client, err = s.dev.client(s.engine, home); err != nil {
		t.Fatal(err)
	}
	app := s.client.Config()
	server.Config.Handler, err = demo.New(demo.Config{
		Issuer: app.Issuer, ClientID: app.ClientID, ClientSecret: app.ClientSecret, RedirectURI: app.RedirectURI,
		Inbox: s.engine + "/dev/inbox", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	return s
}

// A restart between any two steps is one that nobody notices.
func TestUX_Walk12_EngineRestartsBetweenSteps(t *testing.T) {
	var (
		bare     = look{width: 320, dark: true, noScript: true, restarts: engineAlone}
		scripted = look{width: 1280, restarts: engineAlone}
		bareAll  = look{width: 320, dark: true, noScript: true, restarts: engineAndApp}
		all      = look{width: 1280, restarts: engineAndApp}
	)
	for _, walk := range []struct {
		name  string
		looks []look
		walk  func(*testing.T, look)
	}{
		{"sign-up", []look{bare, all}, signsUpByCode},
		{"sign-in by code", []look{scripted}, signsInByCode},
		{"sign-in by link", []look{all}, signsInByLink},
		{"password and second factor", []look{bareAll}, showsTwoFactors},
		{"recovery", []look{all}, choosesANewPassword},
		{"change of email and undo", []look{scripted}, changesEmailAndUndoes},
		{"removal", []look{bareAll}, removesPassword},
	} {
		t.Run(walk.name, func(t *testing.T) {
			t.Parallel()
			inLooks(t, walk.looks, walk.walk)
		})
	}
}
