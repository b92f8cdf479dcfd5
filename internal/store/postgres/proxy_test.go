package postgres_test

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// A moment of a commit.
type moment int32

const (
	never moment = iota
	beforeServer
	afterServer
)

// A proxy stands between a store and its server, and breaks what passes.
type proxy struct {
	url       string
	socket    string
	cutCommit atomic.Int32 // the moment at which a connection with a COMMIT is cut
	once      bool         // only the next one

	stallAtCommit atomic.Bool

	mu      sync.Mutex
	running *sync.Cond
	stalled bool
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{socket: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")}
	p.running = sync.NewCond(&p.mu)
	u.Host, u.RawQuery = l.Addr().String(), url.Values{"user": {u.Query().Get("user")}, "sslmode": {"disable"}}.Encode()
	p.url = u.String()
	t.Cleanup(func() { l.Close(); p.resume() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool // at the next answer
	go func() {
		defer client.Close()
		defer server.Close()
		p.pass(server, client, func([]byte) bool { return !cut.Load() })
	}()
	p.pass(client, server, func(b []byte) bool {
		if bytes.Contains(b, []byte("COMMIT\x00")) {
			if p.stallAtCommit.Load() {
				p.stall() // the answer
			}
			when := moment(p.cutCommit.Load())
			if p.once {
				p.cutCommit.Store(int32(never))
			}
			cut.Store(when == afterServer)
			return when != beforeServer
		}
		return true
	})
}

// pass copies until an end, or until may says no.
func (p *proxy) pass(from, to net.Conn, may func([]byte) bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.stalled {
			p.running.Wait()
		}
		p.mu.Unlock()
		if err != nil || !may(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// stall lets nothing pass until resume.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = false
	p.running.Broadcast()
}
