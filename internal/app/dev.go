package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stile-id/stile/examples/demo"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Dev runs the engine, the inbox and the demo app until ctx ends. It writes what
// to open to out, and one line per request and fault to log.
func Dev(ctx context.Context, c config.Dev, out, log io.Writer) error {
	if err := c.Validate(); err != nil {
		return err
	}
	overlay := c.Overlay
	if c.Org != "" {
		data, err := os.ReadFile(c.Org)
		if err != nil {
			return fmt.Errorf("--org: %w", err)
		}
		file, err := orgfile.Parse(data)
		if err != nil {
			return fmt.Errorf("--org: %s: %w", c.Org, err)
		}
		overlay = func(org *policy.Org) {
			*org = file.Org
			c.Overlay(org)
		}
	}
	// Both addresses are taken before anything is written: a port in use is the
	// commonest mistake.
	listener, err := listen("--listen", c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	var appListener net.Listener
	if c.AppListen != config.Off {
		if appListener, err = listen("--app-listen", c.AppListen); err != nil {
			return err
		}
		defer appListener.Close()
	}

	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: devLevel()}))
	var relays []string
	if c.SMTP != "" {
		relays = []string{c.SMTP}
	}
	var a *App
	err = inTurn(ctx, func() error {
		a, err = New(ctx, Config{
			Dir: c.Data, Database: c.Database, PublicURL: c.PublicURL, Policy: policy.PasswordOptional(), Overlay: overlay,
			Limits: flow.DevelopmentLimits(), SMTP: relays, Inbox: true, KeepInbox: true, Logger: logger,
		})
		return err
	})
	if err != nil {
		return err
	}
	a.Start()
	defer func() {
		stop, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := a.Close(stop); err != nil {
			logger.Error("stop", "err", err)
		}
	}()
	clients, err := a.devClients(ctx, c)
	if err != nil {
		return err
	}
	stopOperators, err := a.serveOperators(ctx, c.Data, c.PublicURL)
	if err != nil {
		return err
	}
	defer func() {
		if err := stopOperators(); err != nil {
			logger.Error("stop", "err", err)
		}
	}()
	servers := []*http.Server{serve(listener, a.Handler(), logger)}
	if appListener != nil {
		h, err := demo.New(demo.Config{
			Issuer: a.OAuth.Issuer(oauth.DefaultServer), ClientID: clients.WebID, ClientSecret: clients.WebSecret,
			RedirectURI: c.RedirectURIs[0], Inbox: c.PublicURL + "/dev/inbox", Logger: logger,
			Sender: a.Sender,
		})
		if err != nil {
			return err
		}
		servers = append(servers, serve(appListener, h, logger))
	}
	banner(out, c, clients, a.OAuth.Issuer(oauth.DefaultServer))

	<-ctx.Done()
	_ = a.Inbox.Close() // ends the long waits, which would hold the servers up
	return stopAll(servers)
}

func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	return l, nil
}

// devLevel keeps the terminal quiet unless something is wrong or STILE_DEBUG is set.
func devLevel() slog.Level {
	if os.Getenv("STILE_DEBUG") != "" {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// serve answers on l. The write limit leaves room for the inbox's long wait.
func serve(on net.Listener, h http.Handler, log *slog.Logger) *http.Server {
	l := serveLimits
	l.write = 90 * time.Second
	s := newServer(h, l, log)
	go func() {
		if err := s.Serve(on); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve", "address", on.Addr().String(), "err", err)
		}
	}()
	return s
}

func stopAll(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var err error
	for _, s := range servers {
		if serr := s.Shutdown(ctx); serr != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// devClients are the two apps that every development installation has.
type devClients struct {
	WebID     string `json:"webId"`
	WebSecret string `json:"webSecret"`
	SPAID     string `json:"spaId"`

	DemoPages bool `json:"demoPages,omitempty"` // mails lead to the demo's pages
}

// devClients registers the two apps, or brings their registration up to date with
// the flags. What was made at the first start is kept beside the database; what a
// flag gives holds for this start alone.
func (a *App) devClients(ctx context.Context, c config.Dev) (devClients, error) {
	file := filepath.Join(c.Data, "clients.json")
	kept, err := readDevClients(file)
	if err != nil {
		return kept, err
	}
	use := kept
	if c.ClientID != "" {
		use.WebID, use.WebSecret = c.ClientID, c.ClientSecret
	}
	if c.SPAClientID != "" {
		use.SPAID = c.SPAClientID
	}
	web := devClient(use.WebID, "Stile demo", c.RedirectURIs)
	demoRuns := c.AppListen != config.Off
	if u, err := url.Parse(c.RedirectURIs[0]); err == nil && demoRuns { // beside the callback, as the pages have them
		beside := func(page string) string { return u.ResolveReference(&url.URL{Path: page}).String() }
		web.SignUpURI, web.ActivationURI, web.RecoveryURI = beside("sign-up"), beside("welcome"), beside("new-password")
	}
	pages := demoRuns || kept.DemoPages // else they are what stile apply has said
	kept.DemoPages = demoRuns
	if use.WebSecret != "" {
		web.Secrets = [][]byte{oauth.HashSecret(use.WebSecret)}
	}
	var made string
	if use.WebID, made, err = a.register(ctx, web, true, pages); err != nil {
		return use, err
	}
	if made != "" {
		use.WebSecret = made
		kept.WebID, kept.WebSecret = use.WebID, made
	}
	if use.SPAID, _, err = a.register(ctx, devClient(use.SPAID, "Stile single-page demo", c.SPARedirectURIs), false, false); err != nil {
		return use, err
	}
	if c.SPAClientID == "" {
		kept.SPAID = use.SPAID
	}
	return use, kept.write(file)
}

func readDevClients(file string) (devClients, error) {
	var kept devClients
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return kept, fmt.Errorf("the clients of %s: %w", file, err)
	}
	return kept, nil
}

// write replaces the file at once: a crash half-way leaves the old one.
func (d devClients) write(file string) error {
	if before, err := readDevClients(file); err == nil && before == d {
		return nil
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".clients-*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep the clients: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("keep the clients: %w", err)
	}
	return nil
}

func devClient(id, name string, redirects []string) oauth.Client {
	c := oauth.Client{ID: id, Name: name, RedirectURIs: redirects, EmailCallbackURI: redirects[0]}
	for _, r := range redirects { // where they may be sent after sign-out
		if u, err := url.Parse(r); err == nil {
			c.PostLogoutRedirectURIs = append(c.PostLogoutRedirectURIs, u.Scheme+"://"+u.Host, u.Scheme+"://"+u.Host+"/")
		}
	}
	return c
}

// register adds a client or, if its id is taken, updates it; pages says whether also
// where its mails lead.
func (a *App) register(ctx context.Context, c oauth.Client, confidential, pages bool) (id, secret string, err error) {
	c, secret, err = oauth.NewClient(c, confidential, a.now())
	if err != nil {
		return "", "", err
	}
	err = a.OAuth.AddClient(ctx, c)
	if problem.KindOf(err) != problem.Conflict {
		return c.ID, secret, err
	}
	// What stile apply has said of it stays; the flags say the rest.
	stored, err := a.admin.App(ctx, c.ID)
	if err != nil {
		return "", "", err
	}
	stored.Secrets, stored.GrantTypes = c.Secrets, c.GrantTypes
	stored.RedirectURIs, stored.PostLogoutRedirectURIs = c.RedirectURIs, c.PostLogoutRedirectURIs
	stored.EmailCallbackURI = c.EmailCallbackURI
	if pages {
		stored.SignUpURI, stored.ActivationURI, stored.RecoveryURI = c.SignUpURI, c.ActivationURI, c.RecoveryURI
	}
	return c.ID, secret, a.OAuth.UpdateClient(ctx, stored)
}

func banner(out io.Writer, c config.Dev, clients devClients, issuer string) {
	lines := [][2]string{}
	if c.AppListen != config.Off {
		lines = append(lines, [2]string{"Open first", c.AppURL()})
	}
	lines = append(lines,
		[2]string{"Mail inbox", c.PublicURL + "/dev/inbox"},
		[2]string{"Issuer", issuer},
		[2]string{"Web app", "client id " + clients.WebID + "  secret " + clients.WebSecret},
		[2]string{"Single-page app", "client id " + clients.SPAID + "  redirects to " + strings.Join(c.SPARedirectURIs, ", ")},
		[2]string{"Data", c.Data},
	)
	if u, err := url.Parse(c.Database); err == nil && c.Database != "" {
		q := u.Query()
		q.Del("password") // Redacted knows the other place for it
		u.RawQuery = q.Encode()
		lines = append(lines, [2]string{"Database", u.Redacted()})
	}
	fmt.Fprintln(out, "\n  Stile is running, for development only: mail stays in the inbox, anyone here can read it.")
	fmt.Fprintln(out)
	for _, l := range lines {
		fmt.Fprintf(out, "  %-16s %s\n", l[0], l[1])
	}
	fmt.Fprintln(out, "\n  Stop with Ctrl-C.")
}
