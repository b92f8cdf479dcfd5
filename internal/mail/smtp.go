package mail

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/outbox"
)

// startTLS says what to do about encryption on a connection that begins in the clear.
type startTLS string

const (
	startTLSRequired      startTLS = "required"
	startTLSOpportunistic startTLS = "opportunistic" // use it if offered
	startTLSOff           startTLS = "off"
)

// maxIdle is how many connections are kept open, one for each of the outbox's workers.
const maxIdle = 4

// SMTPOptions have usable zero values. The time limits are REL R-07's.
type SMTPOptions struct {
	RootCAs *x509.CertPool // default: the system's
	Hello   string         // name given in EHLO, default the machine's
	Dial    time.Duration  // default 5 s
	Command time.Duration  // for each answer of the server, default 30 s
	Message time.Duration  // for one message, connecting included, default 60 s
	Idle    time.Duration  // for how long a connection waits for the next letter, default 30 s
}

// SMTP hands letters to one relay. It is safe for concurrent use and keeps idle
// connections for the next letter.
type SMTP struct {
	host, port string
	implicit   bool // TLS from the first byte (RFC 8314)
	startTLS   startTLS
	user, pass string
	options    SMTPOptions

	mu     sync.Mutex
	idle   []*session
	closed bool
}

// NewSMTP reads where and how to send: smtp://host[:587] or smtps://host[:465],
// with user:password@ where the server wants them. STARTTLS is required with
// smtp://, and used if offered on a loopback address; ?starttls=required,
// opportunistic or off says otherwise. Certificates are always verified. No
// error contains the password.
func NewSMTP(rawURL string, o SMTPOptions) (*SMTP, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("mail: the SMTP address is no URL") // url.Error holds all of it
	}
	fail := func(format string, args ...any) (*SMTP, error) {
		return nil, fmt.Errorf("mail: SMTP address %s://%s: %w", u.Scheme, u.Host, fmt.Errorf(format, args...))
	}
	s := &SMTP{host: u.Hostname(), port: u.Port(), options: o}
	switch u.Scheme {
	case "smtp":
		s.port = cmp.Or(s.port, "587")
	case "smtps":
		s.port, s.implicit = cmp.Or(s.port, "465"), true
	default:
		return fail("the scheme is neither smtp nor smtps")
	}
	if s.host == "" {
		return fail("no host")
	}
	if strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return fail("there must be nothing after the port but ?starttls=")
	}
	s.startTLS = startTLSRequired
	if loopback(s.host) {
		s.startTLS = startTLSOpportunistic
	}
	for name, values := range u.Query() {
		mode := startTLS(values[0])
		if name != "starttls" || len(values) != 1 || s.implicit {
			return fail("option %q is not known here", name)
		}
		switch mode {
		case startTLSRequired, startTLSOpportunistic, startTLSOff:
			s.startTLS = mode
		default:
			return fail("starttls is required, opportunistic or off, not %q", mode)
		}
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.pass, _ = u.User.Password()
		if s.user == "" || s.pass == "" {
			return fail("user and password come together")
		}
	}
	s.options.Dial = cmp.Or(o.Dial, 5*time.Second)
	s.options.Command = cmp.Or(o.Command, 30*time.Second)
	s.options.Message = cmp.Or(o.Message, 60*time.Second)
	s.options.Idle = cmp.Or(o.Idle, 30*time.Second)
	if s.options.Hello == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "localhost"
		}
		s.options.Hello = name
	}
	return s, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// String is the relay's address, without credentials.
func (s *SMTP) String() string {
	scheme := "smtp"
	if s.implicit {
		scheme = "smtps"
	}
	return scheme + "://" + net.JoinHostPort(s.host, s.port)
}

// Send hands a letter over. Its errors are the outbox's: *outbox.Permanent where
// the server refused this letter or its recipient for good (a 5xx answer to RCPT
// or DATA), else *outbox.Temporary.
func (s *SMTP) Send(ctx context.Context, l *Letter) error {
	raw, err := l.Encode()
	if err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	e := envelope{from: asciiAddress(l.EnvelopeFrom), to: asciiAddress(l.To), data: raw}
	return s.within(ctx, func(ctx context.Context, c *session) error { return c.send(ctx, e) })
}

// Try finds out whether the server would take mail now, without sending any. Its
// errors are those of Send that are not of one letter.
func (s *SMTP) Try(ctx context.Context) error {
	return s.within(ctx, func(ctx context.Context, c *session) error { return c.try(ctx) })
}

func (s *SMTP) within(ctx context.Context, act func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Message)
	defer cancel()
	c, reused, err := s.session(ctx)
	if err != nil {
		return err
	}
	err = act(ctx, c)
	if err != nil && reused && errors.Is(err, errBeforeRcpt) {
		// The server had hung up, or wanted to. Nothing was sent, so once more.
		c.drop()
		if c, err = s.dial(ctx); err != nil {
			return err
		}
		err = act(ctx, c)
	}
	if err != nil {
		c.drop()
		return err
	}
	s.keep(c)
	return nil
}

// session is an idle connection or a new one.
func (s *SMTP) session(ctx context.Context) (c *session, reused bool, err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c, s.idle = s.idle[n-1], s.idle[:n-1]
	}
	s.mu.Unlock()
	if c != nil && c.rest.Stop() {
		return c, true, nil
	}
	c, err = s.dial(ctx)
	return c, false, err
}

func (s *SMTP) keep(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdle {
		go c.quit()
		return
	}
	c.rest = time.AfterFunc(s.options.Idle, func() { s.retire(c) })
	s.idle = append(s.idle, c)
}

// retire closes a connection that nobody used for a while.
func (s *SMTP) retire(c *session) {
	s.mu.Lock()
	for i, other := range s.idle {
		if other == c {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	c.quit()
}

// Close ends idle connections; letters under way are not disturbed.
func (s *SMTP) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		if c.rest.Stop() {
			c.quit()
		}
	}
	return nil
}
