package app

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

// perSource closes at once the connections that a source opens beyond max, so
// that nobody takes those of all others (REL R-20).
type perSource struct {
	net.Listener
	max     int
	trusted []netip.Prefix
	refused func()
	log     *slog.Logger

	mu     sync.Mutex
	open   map[netip.Addr]int
	warned time.Time
}

// Accept implements [net.Listener].
func (l *perSource) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source, bounded := l.source(c.RemoteAddr())
		if !bounded {
			return c, nil
		}
		if l.take(source) {
			return &counted{Conn: c, done: sync.OnceFunc(func() { l.giveBack(source) })}, nil
		}
		_ = c.Close()
		l.refused()
	}
}

func (l *perSource) source(a net.Addr) (source netip.Addr, bounded bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return source, false
	}
	return edge.Source(tcp.AddrPort().Addr(), l.trusted)
}

// warnEvery keeps a flood out of the log.
const warnEvery = time.Minute

func (l *perSource) take(source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[source] < l.max {
		l.open[source]++
		return true
	}
	if now := time.Now(); now.Sub(l.warned) >= warnEvery {
		l.warned = now
		l.log.Warn("a source has too many connections; if it is a proxy, name it in trusted_proxies", "ip", source.String(), "max", l.max)
	}
	return false
}

func (l *perSource) giveBack(source netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[source]--; l.open[source] == 0 {
		delete(l.open, source)
	}
}

type counted struct {
	net.Conn
	done func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	defer c.done()
	return c.Conn.Close()
}
