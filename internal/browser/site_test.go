package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/stile-id/stile/examples/demo"
	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/loopback"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// A site is a running Stile with the demo app in front of it.
type site struct {
	home   string // origin of the app
	engine string // origin of the engine and the inbox

	client *idx.Client // of the app

	kit   *stiletest.Engine // inside the test
	clock *stiletest.Clock  // its clock
	dev   *process          // else the process

	refuseCookies atomic.Bool // no cookie of the app reaches a browser
}

// A mail is a message as the inbox tells it.
type mail struct {
	ID, To, From, Subject, Text, HTML, Code, Link string
}

// patience is how long anything may take before a test gives up on it.
const patience = time.Minute

// mails lists what was sent to an address, newest first. wait holds the answer
// until there is something after the message with the id.
func (s *site) mails(t testing.TB, to, after string, wait time.Duration) []mail {
	t.Helper()
	q := url.Values{"to": {to}}
	if after != "" {
		q.Set("after", after)
	}
	if wait > 0 {
		q.Set("wait", wait.String())
	}
	res, err := http.Get(s.engine + "/dev/inbox/api/messages?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var list struct{ Messages []mail }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("inbox: %s, %v", res.Status, err)
	}
	return list.Messages
}

// mail waits for the newest message to an address, or for one after the last.
func (s *site) mail(t testing.TB, to string, last ...mail) mail {
	t.Helper()
	after := ""
	if len(last) > 0 {
		after = last[0].ID
	}
	all := s.mails(t, to, after, patience)
	if len(all) == 0 {
		t.Fatalf("no mail to %s", to)
	}
	return all[0]
}

// sender is who the mail of a stage comes from, as its pages are told.
const sender = "Acme <login@acme.example>"

// stage runs an engine and the demo app inside the test, with a clock to move.
func stage(t testing.TB, options ...stiletest.Option) *site {
	t.Helper()
	return inside(t, demoApp, options...)
}

// named is stage on a host with a name, as passkeys want it: addresses of numbers have none.
func named(t testing.TB, options ...stiletest.Option) *site {
	t.Helper()
	return insideOn(t, "localhost", demoApp, options...)
}

func demoApp(e *stiletest.Engine) (http.Handler, error) {
	return demo.New(demo.Config{
		Issuer: e.Issuer, ClientID: e.ClientID, ClientSecret: e.ClientSecret, RedirectURI: e.RedirectURI,
		Inbox: e.URL + "/dev/inbox", Sender: sender, Now: e.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

// mounted is stage with the pages in a small app of their own, set up by change.
func mounted(t testing.TB, change func(*idx.Config, *signin.Options), options ...stiletest.Option) *site {
	t.Helper()
	return inside(t, func(e *stiletest.Engine) (http.Handler, error) {
		c := e.Client.Config()
		o := signin.Options{
			RedirectURI: e.RedirectURI, AppName: "Acme", Sender: sender, Now: e.Clock.Now, Logger: slog.New(slog.DiscardHandler),
		}
		change(&c, &o)
		client, err := idx.New(c)
		if err != nil {
			return nil, err
		}
		pages, err := signin.New(client, o)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/login/", pages)
		mux.Handle("/", pages.Require(http.HandlerFunc(appPage)))
		return mux, nil
	}, options...)
}

// appPage is a page of an app that only signed-in people see.
func appPage(w http.ResponseWriter, r *http.Request) {
	who, _ := signin.User(r.Context())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en" dir="ltr"><title>Home · Acme</title><link rel="icon" href="data:,">`+
		`<main data-page="home"><h1>Home</h1><p id="email">%s</p><p id="asked">%s</p></main><footer>Acme</footer></html>`,
		html.EscapeString(who.Email), html.EscapeString(r.URL.RequestURI()))
}

func inside(t testing.TB, app func(*stiletest.Engine) (http.Handler, error), options ...stiletest.Option) *site {
	t.Helper()
	return insideOn(t, "127.0.0.1", app, options...)
}

func insideOn(t testing.TB, host string, app func(*stiletest.Engine) (http.Handler, error), options ...stiletest.Option) *site {
	t.Helper()
	needsBrowser(t)
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{home: "http://" + net.JoinHostPort(host, port)}
	own := []stiletest.Option{stiletest.RedirectURI(s.home + "/login/callback"), stiletest.Logger(slog.New(slog.DiscardHandler))}
	engine := stiletest.Start(t, append(own, options...)...)
	s.engine, s.client, s.kit, s.clock = engine.URL, engine.Client, engine, engine.Clock
	h, err := app(engine)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.refuseCookies.Load() {
			w = cookieless{w}
		}
		h.ServeHTTP(w, r)
	})
	server.Start()
	return s
}

// cookieless sets no cookies, which to a site is the same as a browser that refuses them.
type cookieless struct{ http.ResponseWriter }

func (w cookieless) WriteHeader(status int) {
	w.Header().Del("Set-Cookie")
	w.ResponseWriter.WriteHeader(status)
}

// A process is `stile dev` with data of its own.
type process struct {
	args     []string
	data     string
	database string // PostgreSQL's URL; empty: SQLite in data

	mu  sync.Mutex
	cmd *exec.Cmd
	log bytes.Buffer // stderr of all its lives, with every request
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// product is the `stile dev` that most tests share.
var product struct {
	sync.Once
	site *site
	err  error
}

// shared is product for a test.
func shared(t testing.TB) *site {
	t.Helper()
	needsBrowser(t)
	product.Do(func() {
		product.err = errors.New("no database") // if the test ends here
		if product.site, product.err = startDev(database(t)); product.err == nil {
			atEnd(product.site.remove)
		}
	})
	if product.err != nil {
		t.Fatal(product.err)
	}
	return product.site
}

// ownDev is a `stile dev` for one test.
func ownDev(t testing.TB, flags ...string) *site {
	t.Helper()
	needsBrowser(t)
	s, err := startDev(database(t), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	return s
}

// database is a new one for a `stile dev`, where stiletest.PostgreSQL would make one too;
// empty: SQLite in its folder.
func database(t testing.TB) string {
	t.Helper()
	if os.Getenv("STILETEST_DATABASE") == "postgres" {
		return pgtest.Lasting(t)
	}
	return ""
}

// startDev runs `stile dev` on free ports and waits until it says what to open.
func startDev(database string, flags ...string) (*site, error) {
	data, err := os.MkdirTemp("", "stile-dev-")
	if err != nil {
		return nil, err
	}
	engine, err := freeAddress()
	if err != nil {
		return nil, err
	}
	app, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &process{
		data: data, database: database,
		args: append([]string{"dev", "--listen", engine, "--app-listen", app, "--data", data, "--database", database}, flags...),
	}
	s := &site{home: "http://" + app, engine: "http://" + engine, dev: p}
	err = p.start()
	if err == nil {
		s.client, err = p.client(s.engine, s.home)
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// client is the SDK as the web app that `stile dev` has registered.
func (p *process) client(engine, home string) (*idx.Client, error) {
	var kept struct{ WebID, WebSecret string }
	data, err := os.ReadFile(filepath.Join(p.data, "clients.json"))
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return nil, err
	}
	return idx.New(idx.Config{
		Issuer: engine + "/oauth2/default", ClientID: kept.WebID, ClientSecret: kept.WebSecret, RedirectURI: home + "/login/callback",
	})
}

// account makes an account without a browser, for walks that begin with one; the
// password may be none.
func (s *site) account(t testing.TB, address, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tx, err := s.client.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: address})
	if err == nil {
		tx, err = s.client.Proceed(ctx, tx, idx.Input{VerificationCode: s.mail(t, address).Code})
	}
	in := idx.Input{Skip: true}
	if password != "" {
		in = idx.Input{Authenticator: "okta_password", Password: password}
	}
	if err == nil {
		tx, err = s.client.Proceed(ctx, tx, in)
	}
	if err == nil && tx.NextStep != nil && tx.NextStep.CanSkip { // what is optional is left
		tx, err = s.client.Proceed(ctx, tx, idx.Input{Skip: true})
	}
	if err != nil || tx.Status != idx.StatusSuccess {
		t.Fatalf("no account for %s: %+v, %v", address, tx, err)
	}
}

func freeAddress() (string, error) {
	port, err := loopback.Port()
	return net.JoinHostPort("localhost", port), err
}

func (p *process) start() error {
	bin, err := binary()
	if err != nil {
		return err
	}
	cmd := exec.Command(bin, p.args...)
	cmd.Env = append(os.Environ(), "STILE_DEBUG=1")
	cmd.Stderr = p
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		said := false
		for lines.Scan() {
			if !said && strings.Contains(lines.Text(), "Stop with Ctrl-C") {
				said = true
				ready <- true
			}
		}
		if !said {
			ready <- false
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
	case <-time.After(patience):
	}
	p.stop(syscall.SIGKILL)
	return fmt.Errorf("stile %s does not start:\n%s", strings.Join(p.args, " "), p.logged())
}

// stop ends the process and waits until it is gone.
func (p *process) stop(how os.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(how)
	_ = p.cmd.Wait() // says how it ended, which we asked for
	p.cmd = nil
}

// restart stops the process and starts it again on the same ports and data.
func (s *site) restart(t testing.TB) {
	t.Helper()
	s.dev.stop(syscall.SIGKILL)
	if err := s.dev.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *site) remove() {
	s.dev.stop(syscall.SIGTERM)
	os.RemoveAll(s.dev.data)
}

// users counts the accounts of an address, in the database itself.
func (s *site) users(t testing.TB, address string) int {
	t.Helper()
	driver, parameter := "sqlite", "?"
	source := "file:" + filepath.Join(s.dev.data, "stile.db") + "?mode=ro&_pragma=busy_timeout(5000)"
	if s.dev.database != "" {
		driver, parameter, source = "pgx", "$1", s.dev.database
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM users WHERE email = "+parameter, address).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
