package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/stile-id/stile/internal/outbox"
)

// A session is one connection to the relay, past EHLO, STARTTLS and AUTH.
type session struct {
	*smtp.Client
	conn *timedConn
	utf8 bool        // the server takes SMTPUTF8 (RFC 6531)
	rest *time.Timer // while idle: when it is closed
}

// An envelope is what goes over the wire.
type envelope struct {
	from, to string // addresses as they are, without brackets
	data     []byte
}

// errBeforeRcpt marks failures of a connection before it had anything of a letter.
var errBeforeRcpt = errors.New("before the recipient")

// dial connects and greets. All its failures are the relay's, not the letter's.
func (s *SMTP) dial(ctx context.Context) (*session, error) {
	dialer := net.Dialer{Timeout: s.options.Dial}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, unavailable("connect", err)
	}
	c, err := s.greet(ctx, &timedConn{Conn: raw, command: s.options.Command})
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (s *SMTP) greet(ctx context.Context, conn *timedConn) (*session, error) {
	defer conn.endWith(ctx)()
	config := &tls.Config{ServerName: s.host, RootCAs: s.options.RootCAs, MinVersion: tls.VersionTLS12}
	var wire net.Conn = conn
	if s.implicit {
		t := tls.Client(conn, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, unavailable("tls", err)
		}
		wire = t
	}
	client, err := smtp.NewClient(wire, s.host)
	if err != nil {
		return nil, unavailable("greeting", err)
	}
	if err := client.Hello(s.options.Hello); err != nil {
		return nil, unavailable("greeting", err)
	}
	encrypted := s.implicit
	if !encrypted && s.startTLS != startTLSOff {
		switch offered, _ := client.Extension("STARTTLS"); {
		case offered:
			if err := client.StartTLS(config); err != nil {
				return nil, unavailable("tls", err)
			}
			encrypted = true
		case s.startTLS == startTLSRequired:
			return nil, unavailable("starttls", errors.New("the server does not offer STARTTLS"))
		}
	}
	if s.user != "" {
		auth, err := s.auth(client, encrypted)
		if err != nil {
			return nil, unavailable("auth", err)
		}
		if err := client.Auth(auth); err != nil {
			return nil, unavailable("auth", err)
		}
	}
	c := &session{Client: client, conn: conn}
	c.utf8, _ = client.Extension("SMTPUTF8")
	return c, nil
}

// auth chooses a mechanism. The password itself is sent only where nobody on the
// way can read it.
func (s *SMTP) auth(client *smtp.Client, encrypted bool) (smtp.Auth, error) {
	_, offered := client.Extension("AUTH")
	private := encrypted || loopback(s.host)
	for _, m := range []struct {
		name  string
		clear bool
		auth  func() smtp.Auth
	}{
		{"PLAIN", true, func() smtp.Auth { return smtp.PlainAuth("", s.user, s.pass, s.host, true) }},
		{"LOGIN", true, func() smtp.Auth { return smtp.LoginAuth(s.user, s.pass, s.host, true) }},
		{"SCRAM-SHA-256", false, func() smtp.Auth { return smtp.ScramSHA256Auth(s.user, s.pass) }},
		{"CRAM-MD5", false, func() smtp.Auth { return smtp.CRAMMD5Auth(s.user, s.pass) }},
	} {
		for mechanism := range strings.FieldsSeq(offered) {
			if strings.EqualFold(mechanism, m.name) && (private || !m.clear) {
				return m.auth(), nil
			}
		}
	}
	return nil, fmt.Errorf("the server offers no usable mechanism (%q)", offered)
}

// send carries one letter through MAIL, RCPT and DATA.
func (c *session) send(ctx context.Context, e envelope) error {
	defer c.conn.endWith(ctx)()
	foreign := !isASCII(e.from) || !isASCII(e.to)
	if foreign && !c.utf8 {
		return &outbox.Permanent{Class: "smtputf8"}
	}
	// SMTPUTF8 is asked for only where it is needed: the next relay may not have it.
	c.SkipSMTPUTF8(!foreign)
	if err := c.Mail("<" + e.from + ">"); err != nil {
		// What is said here is of the connection and the sender, hence of all mail.
		return fmt.Errorf("%w: %w", errBeforeRcpt, unavailable("sender", err))
	}
	if err := c.Rcpt("<" + e.to + ">"); err != nil {
		return classify(err)
	}
	w, err := c.Data()
	if err != nil {
		return classify(err)
	}
	if _, err := w.Write(e.data); err != nil {
		return classify(err)
	}
	if err := w.Close(); err != nil {
		return classify(err)
	}
	return nil
}

// try asks for a sign of life.
func (c *session) try(ctx context.Context) error {
	defer c.conn.endWith(ctx)()
	if err := c.Noop(); err != nil {
		return fmt.Errorf("%w: %w", errBeforeRcpt, unavailable("noop", err))
	}
	return nil
}

// drop hangs up.
func (c *session) drop() { _ = c.conn.Close() }

// quit takes leave first, as servers expect it, but does not wait long for the answer.
func (c *session) quit() {
	c.conn.leave()
	_ = c.Quit()
	c.drop()
}

// classify sorts an answer to RCPT or DATA, or the lack of one. Remote text may
// hold the recipient's address, so it is not kept.
func classify(err error) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return unavailable("connection", err)
	}
	class := strconv.Itoa(reply.Code)
	switch {
	case reply.Code == 421: // the server is closing down
		return &outbox.Temporary{Class: class, Unavailable: true}
	case reply.Code/100 == 5:
		return &outbox.Permanent{Class: class}
	default:
		return &outbox.Temporary{Class: class}
	}
}

// unavailable is a failure of the relay as such. The class is the reply's code
// where there is one, else a stage.
func unavailable(stage string, err error) error {
	var reply *textproto.Error
	switch {
	case errors.As(err, &reply) && stage != "auth":
		stage = strconv.Itoa(reply.Code)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		stage = "timeout"
	}
	return &outbox.Temporary{Class: stage, Unavailable: true, Err: err}
}

// A timedConn gives each read and write its own time limit, and ends all of them
// with a context.
type timedConn struct {
	net.Conn
	command time.Duration
	over    atomic.Bool
}

// SetDeadline is not for those above: they know one limit for everything.
func (c *timedConn) SetDeadline(time.Time) error { return nil }

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.arm(c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.arm(c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *timedConn) arm(set func(time.Time) error) error {
	if c.over.Load() {
		return os.ErrDeadlineExceeded
	}
	if err := set(time.Now().Add(c.command)); err != nil {
		return err
	}
	if c.over.Load() { // between the two
		return os.ErrDeadlineExceeded
	}
	return nil
}

// endWith breaks off what is under way when ctx ends. The returned function
// takes the connection out of ctx again.
func (c *timedConn) endWith(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() {
		c.over.Store(true)
		_ = c.Conn.SetDeadline(time.Unix(1, 0))
	})
	return func() { stop() }
}

// leave shortens the limit for a last exchange.
func (c *timedConn) leave() { c.command = min(c.command, time.Second) }
