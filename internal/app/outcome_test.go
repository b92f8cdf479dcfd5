package app_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A cutter stands before PostgreSQL, and cuts the connection of the transaction that
// tells the audit log of something, in the middle of its commit.
type cutter struct {
	url, socket string
	event       atomic.Pointer[string] // what the log is told; nil: nothing is cut
	after       atomic.Bool            // the server has had the commit
	cuts        atomic.Int64
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &cutter{socket: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")}
	u.Host, u.RawQuery = l.Addr().String(), url.Values{"user": {u.Query().Get("user")}, "sslmode": {"disable"}}.Encode()
	c.url = u.String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client)
		}
	}()
	return c
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.socket)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer client.Close()
		defer server.Close()
		pass(server, client, func([]byte) bool { return !cut.Load() })
	}()
	told := false
	pass(client, server, func(b []byte) bool {
		event := c.event.Load()
		told = told || event != nil && bytes.Contains(b, []byte(*event))
		if !told || !bytes.Contains(b, []byte("COMMIT\x00")) {
			return true
		}
		c.event.Store(nil)
		c.cuts.Add(1)
		cut.Store(c.after.Load())
		return c.after.Load()
	})
}

func pass(from, to net.Conn, may func([]byte) bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !may(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Whoever signs up, and the app that exchanges their code, do not learn that the
// answer to a commit was lost: they are answered as if it had come, and each change
// is made once.
func TestREL_R11_LostAnswerToACommit(t *testing.T) {
	c := newCutter(t, pgtest.Database(t))
	e := startOn(t, c.url, limits())
	people := 0
	for _, event := range []string{"user.lifecycle.create", "app.oauth2.token.grant.access_token"} {
		for _, after := range []bool{false, true} {
			people++
			address := fmt.Sprintf("ada%d@example.com", people)
			c.after.Store(after)
			c.event.Store(&event)
			tokens, err := e.signUp(t.Context(), address)
			if err != nil || tokens["access_token"] == nil {
				t.Errorf("%s, had by the server %v: %v", event, after, err)
			}
			if c.cuts.Load() != int64(people) {
				t.Fatalf("%s: %d connections were cut, want %d", event, c.cuts.Load(), people)
			}
			account, err := e.Store.AccountByAddress(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := e.Store.AuditRows(t.Context(), "", 1000)
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, r := range rows {
				for _, ev := range r.Events {
					if ev.Type == event && strings.Contains(ev.Actor+ev.Target, account.ID) {
						told++
					}
				}
			}
			if told != 1 {
				t.Errorf("%s, had by the server %v: told %d times, want once", event, after, told)
			}
		}
	}
}
