//go:build unix

package faults

import (
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A hole is a way to a server on which nothing may get through for a while, with
// no connection closed.
type hole struct {
	address string

	mu   sync.Mutex
	open *sync.Cond
	shut bool
}

func newHole(t *testing.T, server string) *hole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{address: l.Addr().String()}
	h.open = sync.NewCond(&h.mu)
	t.Cleanup(func() { l.Close(); h.set(false) })
	pass := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			h.mu.Lock()
			for h.shut {
				h.open.Wait()
			}
			h.mu.Unlock()
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				c.Close()
				continue
			}
			go pass(c, s)
			go pass(s, c)
		}
	}()
	return h
}

func (h *hole) set(shut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut = shut
	h.open.Broadcast()
}

// asked is one answer of a node.
type asked struct {
	status int
	after  string // Retry-After
	took   time.Duration
}

func ask(method, address string, form url.Values) asked {
	began := time.Now()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return asked{}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := &http.Client{Timeout: 30 * time.Second}
	res, err := c.Do(r)
	if err != nil {
		return asked{took: time.Since(began)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return asked{res.StatusCode, res.Header.Get("Retry-After"), time.Since(began)}
}

// interact asks for something that is written down.
func (n *node) interact() asked {
	return ask("POST", n.url()+"/oauth2/default/v1/interact", url.Values{
		"client_id": {clientID}, "client_secret": {n.site.secret}, "redirect_uri": {redirectURI}, "scope": {"openid"}, "state": {"s"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	})
}

// crowd is many who do that at once: they must not wait for one another.
func (n *node) crowd(size int) []asked {
	all := make([]asked, size)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i] = n.interact() })
	}
	group.Wait()
	return all
}

// REL R-12: while the database is gone, stopped, full or unreachable, writes are
// refused soon and with a word on when to come back, keys and discovery go on,
// and all of it works again by itself.
func TestREL_R12_DatabaseAway(t *testing.T) {
	whole(t)
	c := pgtest.NewCluster(t, "max_connections = 16", "superuser_reserved_connections = 0")
	c.Database("stile")
	h := newHole(t, c.Address)
	s := open(t, plan{database: strings.Replace(c.URL("stile"), c.Address, h.address, 1)})
	n := s.nodes[0]
	l := s.begin(4, sized(10*time.Minute, 20*time.Minute), crashing)
	var held []*sql.DB
	for _, fault := range []struct {
		name     string
		on, over func()
	}{
		{"stopped", func() { c.Stop("fast") }, c.Start},
		{"frozen", func() { c.Signal(syscall.SIGSTOP) }, func() { c.Signal(syscall.SIGCONT) }},
		{"a black hole", func() { h.set(true) }, func() { h.set(false) }},
		{"out of connections", func() { held = exhaust(t, c) }, func() {
			for _, db := range held {
				db.Close()
			}
		}},
	} {
		pause(l.ctx, 500*time.Millisecond)
		fault.on()
		ends := time.Now().Add(sized(2*time.Second, 10*time.Second))
		refused, longest := 0, time.Duration(0)
		for refused == 0 || time.Now().Before(ends) {
			for _, got := range n.crowd(30) {
				longest = max(longest, got.took)
				switch {
				case got.status == http.StatusServiceUnavailable && got.after != "":
					refused++
				case got.status != http.StatusOK: // one that got through before
					t.Errorf("%s: %+v, want 503 with Retry-After", fault.name, got)
				}
			}
			for _, path := range []string{"/oauth2/default/v1/keys", "/oauth2/default/.well-known/openid-configuration"} {
				if got := ask("GET", n.url()+path, nil); got.status != http.StatusOK {
					t.Errorf("%s: %s: %+v", fault.name, path, got)
				}
			}
			if pause(l.ctx, 20*time.Millisecond); l.ctx.Err() != nil {
				t.Fatalf("%s: nothing is refused", fault.name)
			}
		}
		if n.status("/readyz") != http.StatusServiceUnavailable {
			t.Errorf("%s: it says that it is ready", fault.name)
		}
		fault.over()
		began := time.Now()
		n.ready()
		t.Logf("%s: %d refused, each in %v at most; ready %v after it is over", fault.name, refused, longest.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		if longest > deadline {
			t.Errorf("%s: an answer took %v", fault.name, longest)
		}
	}
	s.judge(l)
}

// exhaust takes all connections of a server, those of the node too.
func exhaust(t *testing.T, c *pgtest.Cluster) []*sql.DB {
	t.Helper()
	admin, err := sql.Open("pgx", c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	admin.SetMaxOpenConns(1)
	held := []*sql.DB{admin}
	end := func() (nodes int) {
		t.Helper()
		if err := admin.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'stile'`).Scan(&nodes); err != nil {
			t.Fatal(err)
		}
		return nodes
	}
	end() // and connect, while there is room
	full := 0
	for range 1000 {
		db, err := sql.Open("pgx", c.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		if db.Ping() == nil {
			held, full = append(held, db), 0
			continue
		}
		db.Close()
		if end() > 0 { // of others
			full = 0
		} else if full++; full > 2 {
			return held
		}
		pause(t.Context(), 100*time.Millisecond) // one that still says who it is cannot be seen
	}
	t.Fatal("the node keeps a connection")
	return nil
}
