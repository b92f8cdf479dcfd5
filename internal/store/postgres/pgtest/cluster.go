//go:build unix

package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/loopback"
)

// A Cluster is a server of one test alone, to be broken: it can be stopped,
// killed, started again and followed by another. It listens on loopback.
type Cluster struct {
	Address string // host:port

	t    testing.TB
	bin  string
	dir  string // of data and log, and of sockets
	port string
}

// NewCluster makes a server with more settings, as "name = value", and starts it.
// It ends with the test, and with the test binary, however that ends.
func NewCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := prepare(t)
	c.run("initdb", "-D", c.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	c.configure(append([]string{"fsync = off", "full_page_writes = off", "max_connections = 100", "shared_buffers = 32MB",
		"wal_level = replica", "wal_keep_size = 512MB", "deadlock_timeout = 200ms"}, settings...)...)
	c.Start()
	return c
}

// Standby makes a server that follows c, and starts it. name is its application_name.
func (c *Cluster) Standby(name string, settings ...string) *Cluster {
	c.t.Helper()
	s := prepare(c.t)
	s.Follow(c, name, settings...)
	return s
}

// Follow makes a server that does not run a copy of another, and starts it as its standby.
func (c *Cluster) Follow(primary *Cluster, name string, settings ...string) {
	c.t.Helper()
	if err := os.RemoveAll(c.data()); err != nil {
		c.t.Fatal(err)
	}
	c.run("pg_basebackup", "-D", c.data(), "-d", primary.URL("postgres"), "-c", "fast", "-X", "stream", "--no-sync")
	if err := os.WriteFile(filepath.Join(c.data(), "standby.signal"), nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.own(filepath.Join(c.data(), "standby.signal"))
	c.configure(append(settings, "synchronous_standby_names = ''", "primary_conninfo = '"+primary.conninfo(name)+"'")...)
	c.Start()
}

func prepare(t testing.TB) *Cluster {
	t.Helper()
	bin, err := binaries()
	if errors.Is(err, errAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err) // on a machine without PostgreSQL; CI has it
	}
	if err != nil {
		t.Fatal(err)
	}
	if real, err := filepath.EvalSymlinks(filepath.Join(bin, "initdb")); err == nil {
		bin = filepath.Dir(real) // where pg_basebackup is too
	}
	dir, err := os.MkdirTemp(socketRoot(), "pg")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, bin: bin, dir: dir, Address: loopback.Address(t)}
	_, c.port, _ = net.SplitHostPort(c.Address)
	c.guard()
	return c
}

// guard starts a shell that ends the server when its input ends, and removes it.
func (c *Cluster) guard() {
	c.t.Helper()
	guard := c.command("/bin/sh", "-c", `trap '' INT TERM; read -r _; "$1/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null 2>&1; rm -rf "$2"`, "sh", c.bin, c.dir)
	in, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("PostgreSQL at %s: %s", c.Address, c.tail())
		}
		in.Close()
		_ = guard.Wait()
		_ = os.RemoveAll(c.dir)
	})
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// tail is the end of the server's log.
func (c *Cluster) tail() string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return string(text[max(0, len(text)-2000):])
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	if err := unprivileged(cmd, c.dir); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

func (c *Cluster) run(program string, args ...string) {
	c.t.Helper()
	if out, err := c.command(filepath.Join(c.bin, program), args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, c.tail())
	}
}

// own gives a file to whom the server runs as.
func (c *Cluster) own(name string) {
	c.t.Helper()
	if info, err := os.Stat(c.dir); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Chown(name, int(s.Uid), int(s.Gid)) // root alone may, and need
		}
	}
}

func (c *Cluster) configure(settings ...string) {
	c.t.Helper()
	name := filepath.Join(c.data(), "postgresql.auto.conf")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	settings = append(settings, "listen_addresses = '127.0.0.1'", "port = "+c.port, "unix_socket_directories = '"+c.dir+"'")
	if _, err := f.WriteString(strings.Join(settings, "\n") + "\n"); err != nil {
		c.t.Fatal(err)
	}
	c.own(name)
}

// Set changes settings of the running server.
func (c *Cluster) Set(settings ...string) {
	c.t.Helper()
	c.configure(settings...)
	c.run("pg_ctl", "-D", c.data(), "reload")
}

// Start starts the server and waits until it answers.
func (c *Cluster) Start() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.data(), "-l", filepath.Join(c.dir, "log"), "-w", "-t", "60", "start")
}

// Stop ends the server: "fast", or "immediate" as a crash does.
func (c *Cluster) Stop(mode string) {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.data(), "-m", mode, "-w", "-t", "60", "stop")
}

// Kill ends the server by SIGKILL, and waits until nothing of it is left.
func (c *Cluster) Kill() {
	c.t.Helper()
	pids := c.processes()
	if len(pids) == 0 {
		c.t.Fatal("the server does not run")
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for range 1000 {
		if err := syscall.Kill(pids[0], 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		time.Sleep(10 * time.Millisecond) // there is nothing to wait on: it is nobody's child here
	}
	c.t.Fatalf("process %d does not end", pids[0])
}

// Signal sends a signal to all of the server, as SIGSTOP and SIGCONT: to the
// postmaster first, which makes no more processes then.
func (c *Cluster) Signal(s syscall.Signal) {
	for i, all := 0, c.processes(); i < len(all); i++ {
		_ = syscall.Kill(all[i], s)
		if i == 0 {
			all = c.processes()
		}
	}
}

// processes are the postmaster and its children, in that order.
func (c *Cluster) processes() []int {
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return nil
	}
	pids := []int{postmaster}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == first {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// Promote makes a standby a primary.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.data(), "-w", "-t", "60", "promote")
}

// Database makes an empty database.
func (c *Cluster) Database(name string) {
	c.t.Helper()
	Exec(c.t, c.URL("postgres"), "CREATE DATABASE "+name+" TEMPLATE template0")
}

// URL names a database of the server, and of others that may stand in for it.
func (c *Cluster) URL(database string, others ...*Cluster) string {
	hosts := c.Address
	for _, o := range others {
		hosts += "," + o.Address
	}
	query := url.Values{"sslmode": {"disable"}}
	if len(others) > 0 {
		query.Set("target_session_attrs", "read-write")
	}
	return "postgres://" + superuser + "@" + hosts + "/" + database + "?" + query.Encode()
}

func (c *Cluster) conninfo(name string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%s user=%s application_name=%s", c.port, superuser, name)
}

// Await returns once a query gives true, and fails the test if that takes long.
func (c *Cluster) Await(query string) {
	c.t.Helper()
	db, err := sql.Open("pgx", c.URL("postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		var yes sql.NullBool
		if err := db.QueryRowContext(ctx, query).Scan(&yes); ctx.Err() != nil {
			c.t.Fatalf("%s: %v", query, err)
		}
		if yes.Bool {
			return
		}
		time.Sleep(20 * time.Millisecond) // the server tells nobody by itself
	}
}
