package mail

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A relay is a real SMTP server that can be told to misbehave.
type relay struct {
	mu       sync.Mutex
	got      []received
	sessions int
	auths    int

	mail, rcpt, data *smtp.SMTPError
	hangUp           bool // at the next MAIL
	once             bool // data fails once only
	user, pass       string
	takesUTF8        bool
	left             chan struct{} // told of each session that ends
}

var smtpRefusal = smtp.SMTPError{Code: 550, EnhancedCode: smtp.NoEnhancedCode, Message: "no such user"}

type received struct {
	from string
	to   []string
	utf8 bool
	tls  bool
	data []byte
}

func (r *relay) NewSession(c *smtp.Conn) (smtp.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions++
	return &relaySession{relay: r, conn: c}, nil
}

func (r *relay) received() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

type relaySession struct {
	relay *relay
	conn  *smtp.Conn
	now   received
	known bool
}

func (s *relaySession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *relaySession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		s.relay.mu.Lock()
		defer s.relay.mu.Unlock()
		s.relay.auths++
		if user != s.relay.user || pass != s.relay.pass {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

func asError(e *smtp.SMTPError) error {
	if e == nil {
		return nil
	}
	return e
}

func (s *relaySession) Mail(from string, o *smtp.MailOptions) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if s.relay.hangUp {
		s.relay.hangUp = false
		_ = s.conn.Close()
		return nil
	}
	if s.relay.user != "" && !s.known {
		return smtp.ErrAuthRequired
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.now = received{from: from, utf8: o != nil && o.UTF8, tls: encrypted}
	return asError(s.relay.mail)
}

func (s *relaySession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.now.to = append(s.now.to, to)
	return asError(s.relay.rcpt)
}

func (s *relaySession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if refusal := s.relay.data; refusal != nil {
		if s.relay.once {
			s.relay.data = nil
		}
		return refusal
	}
	s.now.data = data
	s.relay.got = append(s.relay.got, s.now)
	return nil
}

func (s *relaySession) Reset() {}
func (s *relaySession) Logout() error {
	if s.relay.left != nil {
		s.relay.left <- struct{}{}
	}
	return nil
}

// authority is a certificate authority of this test run and a certificate for 127.0.0.1.
var authority = sync.OnceValues(func() (*x509.CertPool, tls.Certificate) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	ca, err = x509.ParseCertificate(caDER)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "relay"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return pool, tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
})

// How a relay offers encryption.
type encryption int

const (
	cleartext encryption = iota
	offered
	implicit
)

// serve runs a relay and returns its address.
func serve(t *testing.T, r *relay, e encryption) string {
	t.Helper()
	server := smtp.NewServer(r)
	server.Domain = "relay.example"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.AllowInsecureAuth = true
	server.EnableSMTPUTF8 = r.takesUTF8
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_, cert := authority()
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	switch e {
	case cleartext:
	case offered:
		server.TLSConfig = config
	case implicit:
		ln = tls.NewListener(ln, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = ln.Close() // Serve may not have begun when Close looked
		<-done
	})
	return address
}

func dialer(t *testing.T, url string, change ...func(*SMTPOptions)) *SMTP {
	t.Helper()
	pool, _ := authority()
	o := SMTPOptions{RootCAs: pool, Hello: "engine.example"}
	for _, f := range change {
		f(&o)
	}
	s, err := NewSMTP(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func letter(t testing.TB, change ...func(*Message)) *Letter {
	t.Helper()
	return compose(t, newComposer(t, func(c *Config) { c.EnvelopeFrom = "bounces@id.example.com" }), message(SignIn, change...))
}

// script is a server that says lines and reads until each is due; it is used
// where the real one cannot misbehave. "…" stalls, "" hangs up.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	stop := make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		_ = ln.Close()
		open.Wait()
	})
	open.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for i, line := range lines {
					if i > 0 && !heard(in, lines[i-1]) {
						return
					}
					switch line {
					case "…":
						<-stop
						return
					case "":
						return
					}
					if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
						return
					}
				}
				<-stop
			})
		}
	})
	return ln.Addr().String()
}

// heard reads what the client says to the last answer: a command, or after 354 a message.
func heard(in *bufio.Reader, last string) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if !strings.HasPrefix(last, "354") || line == ".\r\n" {
			return true
		}
	}
}
