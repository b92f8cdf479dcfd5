//go:build unix

package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/faults/history"
	"github.com/stile-id/stile/internal/loopback"
)

// long says that the tests take the time that the specification gives them.
var long = os.Getenv("STILE_TEST_LONG") != ""

// sized is a size for `make test`, or the one for `make test-long`.
func sized[T any](short, whole T) T {
	if long {
		return whole
	}
	return short
}

// whole leaves a test out of the runs of -short.
func whole(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the engines are processes of their own, where the race detector is not") // -short is its run
	}
}

// A site is `stile serve` once or several times on one database, with a mail
// server that keeps everything, and a journal of what clients see.
type site struct {
	t        *testing.T
	binary   string
	database string // PostgreSQL; empty: SQLite
	url      string // as clients know it
	secret   string // of the app
	sink     *history.Sink
	journal  *history.Journal
	nodes    []*node
}

// A node is one `stile serve`.
type node struct {
	site   *site
	name   string
	dir    string
	listen string
	env    []string
	nice   bool
	drain  string
	binary string // another one than the site's

	mu    sync.Mutex
	cmd   *exec.Cmd
	exits chan error
}

// A plan is what a site is to be.
type plan struct {
	database string
	nodes    int // default 1
	settings string
	public   string // host:port that clients connect to; default the node's
	dir      string // of the node; default a temporary one
	nice     bool   // the tests' own process gets a processor before the nodes do
	drain    string // how long a node that stops still answers; default 1s
	binary   string // default this program's
}

// open starts a site, and registers the app at it.
func open(t *testing.T, p plan) *site {
	t.Helper()
	whole(t)
	s := &site{t: t, binary: p.binary, database: p.database}
	if s.binary == "" {
		s.binary = build(t)
	}
	var err error
	if s.sink, err = history.NewSink(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.sink.Close() })
	if s.journal, err = history.Create(filepath.Join(t.TempDir(), "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.journal.Close() })
	for i := range max(1, p.nodes) {
		n := &node{site: s, name: fmt.Sprintf("node%d", i+1), dir: t.TempDir(), listen: loopback.Address(t), nice: p.nice, drain: cmp.Or(p.drain, "1s")}
		if p.dir != "" {
			n.dir = p.dir
		}
		if i == 0 {
			s.url = "http://" + n.listen
			if p.public != "" {
				s.url = "http://" + p.public
			}
		}
		settings := p.settings
		if i > 0 {
			settings += "master_key_file: " + filepath.Join(s.nodes[0].dir, "data", "master.key") + "\n"
		}
		n.configure(settings)
		s.nodes = append(s.nodes, n)
		n.start()
		n.ready()
		t.Cleanup(func() {
			n.end(syscall.SIGTERM)
			if t.Failed() {
				text, _ := os.ReadFile(filepath.Join(n.dir, "log"))
				t.Logf("%s:\n%s", n.name, text[max(0, len(text)-3000):])
			}
		})
	}
	out := s.stile("clients", "add", "app", "--id", clientID, "--redirect-uri", redirectURI)
	m := regexp.MustCompile(`secret, shown this once: (\S+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("clients add: %s", out)
	}
	s.secret = m[1]
	return s
}

// configure writes a node's settings.
func (n *node) configure(more string) {
	n.site.t.Helper()
	s := n.site
	settings := fmt.Sprintf("public_url: %s\nlisten: %s\ndata: %s\nsmtp: %s\nmail_from: Acme <id@example.com>\ntrusted_proxies: 127.0.0.0/8\nshutdown_drain: %s\nlog_level: error\n%s",
		s.url, n.listen, filepath.Join(n.dir, "data"), s.sink.URL, n.drain, more)
	if s.database != "" {
		settings += "database: " + s.database + "\n"
	}
	if err := errors.Join(os.Chmod(n.dir, 0o700), os.WriteFile(filepath.Join(n.dir, "stile.yaml"), []byte(settings), 0o600)); err != nil {
		s.t.Fatal(err)
	}
}

// stile runs a command on the data of the first node.
func (s *site) stile(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...)
	if err != nil {
		s.t.Fatalf("stile %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *site) command(args ...string) (string, error) {
	args = append(args, "--data", filepath.Join(s.nodes[0].dir, "data"))
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	out, err := exec.Command(s.binary, args...).CombinedOutput()
	return string(out), err
}

func (n *node) url() string { return "http://" + n.listen }

func (n *node) start() {
	n.site.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		n.site.t.Error(err)
		return
	}
	defer log.Close()
	args := []string{cmp.Or(n.binary, n.site.binary), "serve", "--config", filepath.Join(n.dir, "stile.yaml"), "--make-master-key"}
	if n.nice {
		args = append([]string{"nice", "-n", "19"}, args...) // which becomes what it runs
	}
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Env = append(os.Environ(), n.env...)
	n.cmd.Stderr = log
	if err := n.cmd.Start(); err != nil {
		n.site.t.Error(err)
		n.cmd = nil
		return
	}
	n.exits = make(chan error, 1)
	go func(cmd *exec.Cmd, exits chan<- error) { exits <- cmd.Wait() }(n.cmd, n.exits)
}

// end sends a signal and returns with how the process ended; none that runs is no error.
func (n *node) end(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return nil
	}
	_ = n.cmd.Process.Signal(s) // it may have ended by itself: then Wait has
	var err error
	select {
	case err = <-n.exits:
	case <-time.After(time.Minute): // REL R-16 gives it half of that
		_ = n.cmd.Process.Kill()
		err = errors.Join(errors.New("it does not end"), <-n.exits)
	}
	n.cmd = nil
	return err
}

// gone reports whether the process has ended by itself.
func (n *node) gone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd == nil || len(n.exits) > 0
}

var prober = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (n *node) status(path string) int {
	res, err := prober.Get(n.url() + path)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// ready waits until the node takes requests. One that ends meanwhile, as where
// its database is not there, is started again, as a supervisor does.
func (n *node) ready() {
	n.site.t.Helper()
	ctx, cancel := context.WithTimeout(n.site.t.Context(), time.Minute)
	defer cancel()
	for n.status("/readyz") != http.StatusOK {
		if n.gone() {
			_ = n.end(syscall.SIGKILL)
			pause(ctx, 100*time.Millisecond)
			n.start()
		}
		if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			text, _ := os.ReadFile(filepath.Join(n.dir, "log"))
			n.site.t.Fatalf("%s is not ready:\n%s", n.name, text[max(0, len(text)-3000):])
		}
	}
}

// stopAll ends all nodes with their leave.
func (s *site) stopAll() {
	s.t.Helper()
	var group sync.WaitGroup
	for _, n := range s.nodes {
		group.Go(func() {
			if err := n.end(syscall.SIGTERM); err != nil {
				s.t.Errorf("%s stops: %v", n.name, err)
			}
		})
	}
	group.Wait()
}

func (s *site) startAll() {
	s.t.Helper()
	for _, n := range s.nodes {
		n.start()
	}
	for _, n := range s.nodes {
		n.ready()
	}
}

// tables returns the driver and the source of the database itself.
func (s *site) tables() (driver, source string) {
	if s.database != "" {
		return "pgx", s.database
	}
	return "sqlite", "file:" + filepath.Join(s.nodes[0].dir, "data", "stile.db") + "?_pragma=busy_timeout(5000)"
}

// verified is what `stile audit verify` finds.
func (s *site) verified() error {
	out, err := s.command("audit", "verify")
	if err == nil && !strings.Contains(out, "\n0 rows not sealed yet.\n") {
		err = errors.New("not all is sealed")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
