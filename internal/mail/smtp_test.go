package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
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
	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/outbox"
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
}

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

func (s *relaySession) Reset()        {}
func (s *relaySession) Logout() error { return nil }

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

func TestSMTPDelivers(t *testing.T) {
	for name, tc := range map[string]struct {
		scheme, query string
		server        encryption
		encrypted     bool
	}{
		"in the clear":       {"smtp://", "", cleartext, false},
		"STARTTLS offered":   {"smtp://", "", offered, true},
		"STARTTLS required":  {"smtp://", "?starttls=required", offered, true},
		"STARTTLS off":       {"smtp://", "?starttls=off", offered, false},
		"TLS from the start": {"smtps://", "", implicit, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{}
			address := serve(t, r, tc.server)
			l := letter(t)
			if err := dialer(t, tc.scheme+address+tc.query).Send(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			raw, err := l.Encode()
			if err != nil {
				t.Fatal(err)
			}
			want := []received{{from: "bounces@id.example.com", to: []string{"ada@example.com"}, tls: tc.encrypted, data: raw}}
			got := r.received()
			for i := range got { // the server's reader ends the last line itself
				got[i].data = bytes.TrimRight(got[i].data, "\r\n")
			}
			want[0].data = bytes.TrimRight(want[0].data, "\r\n")
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(received{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSMTPReusesItsConnection(t *testing.T) {
	r := &relay{}
	s := dialer(t, "smtp://"+serve(t, r, cleartext))
	for range 5 {
		if err := s.Send(t.Context(), letter(t)); err != nil {
			t.Fatal(err)
		}
	}
	if r.sessions != 1 || len(r.received()) != 5 {
		t.Errorf("%d connections for %d letters", r.sessions, len(r.received()))
	}

	r.mu.Lock()
	r.hangUp = true
	r.mu.Unlock()
	if err := s.Send(t.Context(), letter(t)); err != nil {
		t.Errorf("after the server hung up: %v", err)
	}
	if r.sessions != 2 || len(r.received()) != 6 {
		t.Errorf("%d connections for %d letters", r.sessions, len(r.received()))
	}
}

func TestSMTPAuth(t *testing.T) {
	for name, tc := range map[string]struct {
		userinfo string
		server   encryption
		class    string
	}{
		"right, encrypted":   {"stile:p%40ss@", offered, ""},
		"right, on loopback": {"stile:p%40ss@", cleartext, ""},
		"wrong":              {"stile:wrong@", offered, "auth"},
		"none":               {"", offered, "502"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{user: "stile", pass: "p@ss"}
			err := dialer(t, "smtp://"+tc.userinfo+serve(t, r, tc.server)).Send(t.Context(), letter(t))
			wantClass(t, err, tc.class, false, true)
			if err != nil && (strings.Contains(err.Error(), "wrong@") || strings.Contains(err.Error(), "p@ss")) {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// wantClass checks the sort of an error; class "" is success.
func wantClass(t *testing.T, err error, class string, permanent, unavailable bool) {
	t.Helper()
	var p *outbox.Permanent
	var tmp *outbox.Temporary
	switch {
	case err == nil:
		if class != "" {
			t.Errorf("sent, want %s", class)
		}
	case errors.As(err, &p):
		if !permanent || p.Class != class {
			t.Errorf("permanent %q, want %q, permanent %v", p.Class, class, permanent)
		}
	case errors.As(err, &tmp):
		if permanent || tmp.Class != class || tmp.Unavailable != unavailable {
			t.Errorf("temporary %q, unavailable %v (%v), want %q, %v", tmp.Class, tmp.Unavailable, tmp.Err, class, unavailable)
		}
	default:
		t.Errorf("error is not sorted: %v", err)
	}
}

func TestREL_R07_Answers(t *testing.T) {
	reply := func(code int) *smtp.SMTPError {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: "ada@example.com: no"}
	}
	for name, tc := range map[string]struct {
		relay                  *relay
		class                  string
		permanent, unavailable bool
	}{
		"RCPT 550": {&relay{rcpt: reply(550)}, "550", true, false},
		"RCPT 553": {&relay{rcpt: reply(553)}, "553", true, false},
		"RCPT 450": {&relay{rcpt: reply(450)}, "450", false, false},
		"RCPT 451": {&relay{rcpt: reply(451)}, "451", false, false},
		"RCPT 421": {&relay{rcpt: reply(421)}, "421", false, true},
		"DATA 554": {&relay{data: reply(554)}, "554", true, false},
		"DATA 452": {&relay{data: reply(452)}, "452", false, false},
		"MAIL 550": {&relay{mail: reply(550)}, "550", false, true},
		"MAIL 421": {&relay{mail: reply(421)}, "421", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialer(t, "smtp://"+serve(t, tc.relay, cleartext))
			err := s.Send(t.Context(), letter(t))
			wantClass(t, err, tc.class, tc.permanent, tc.unavailable)
			if err != nil && !strings.HasPrefix(name, "MAIL") && strings.Contains(err.Error(), "ada@") {
				t.Errorf("the address is in %q", err)
			}
			if n := len(tc.relay.received()); n != 0 {
				t.Errorf("%d letters arrived", n)
			}
		})
	}
}

func TestGreylistingPasses(t *testing.T) {
	r := &relay{data: &smtp.SMTPError{Code: 450, EnhancedCode: smtp.NoEnhancedCode, Message: "later"}, once: true}
	s := dialer(t, "smtp://"+serve(t, r, cleartext))
	wantClass(t, s.Send(t.Context(), letter(t)), "450", false, false)
	wantClass(t, s.Send(t.Context(), letter(t)), "", false, false)
	if got := r.received(); len(got) != 1 {
		t.Errorf("%d letters", len(got))
	}
}

func TestSMTPEncryption(t *testing.T) {
	strangers := func(o *SMTPOptions) { o.RootCAs = x509.NewCertPool() }
	for name, tc := range map[string]struct {
		url    func(address string) string
		server encryption
		option func(*SMTPOptions)
		class  string
	}{
		"STARTTLS missing":         {func(a string) string { return "smtp://" + a + "?starttls=required" }, cleartext, nil, "starttls"},
		"unknown authority":        {func(a string) string { return "smtp://" + a }, offered, strangers, "tls"},
		"unknown authority, smtps": {func(a string) string { return "smtps://" + a }, implicit, strangers, "tls"},
		"another name":             {func(a string) string { return "smtps://" + strings.Replace(a, "127.0.0.1", "localhost", 1) }, implicit, nil, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{}
			options := []func(*SMTPOptions){}
			if tc.option != nil {
				options = append(options, tc.option)
			}
			s := dialer(t, tc.url(serve(t, r, tc.server)), options...)
			wantClass(t, s.Send(t.Context(), letter(t)), tc.class, false, true)
			if len(r.received()) != 0 {
				t.Error("a letter went out")
			}
		})
	}
}

func TestSMTPAddressesAreVerbatim(t *testing.T) {
	for name, tc := range map[string]struct {
		to, want string
		utf8     bool
		takes    bool
		class    string
	}{
		"dots":                    {"a..b.@docomo.example", "a..b.@docomo.example", false, false, ""},
		"apostrophe":              {"o'hara+x=y@example.com", "o'hara+x=y@example.com", false, false, ""},
		"domain not ASCII":        {"ada@bücher.example", "ada@xn--bcher-kva.example", false, true, ""},
		"local part not ASCII":    {"ädä@example.com", "ädä@example.com", true, true, ""},
		"the same, not supported": {"ädä@example.com", "", false, false, "smtputf8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{takesUTF8: tc.takes}
			s := dialer(t, "smtp://"+serve(t, r, cleartext))
			err := s.Send(t.Context(), letter(t, func(m *Message) { m.To = tc.to }))
			wantClass(t, err, tc.class, true, false)
			if tc.class != "" {
				return
			}
			got := r.received()
			if len(got) != 1 || len(got[0].to) != 1 || got[0].to[0] != tc.want || got[0].utf8 != tc.utf8 {
				t.Errorf("SEC_S37: %+v", got)
			}
		})
	}
}

func TestSEC_S115_EnvelopeInjection(t *testing.T) {
	r := &relay{}
	s := dialer(t, "smtp://"+serve(t, r, cleartext))
	l := letter(t)
	l.To = "ada@example.com>\r\nRCPT TO:<eve@example.com"
	wantClass(t, s.Send(t.Context(), l), "invalid", true, false)
	if r.sessions != 0 {
		t.Error("a connection was made for it")
	}
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

func TestREL_R07_Connections(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	_ = closed.Close()

	quick := func(o *SMTPOptions) { o.Command = 50 * time.Millisecond }
	for name, tc := range map[string]struct {
		address string
		class   string
	}{
		"closed port":            {address, "connect"},
		"accept and stall":       {script(t, "…"), "timeout"},
		"greeting 421":           {script(t, "421 busy", ""), "421"},
		"greeting 554":           {script(t, "554 go away", ""), "554"},
		"not SMTP":               {script(t, "HTTP/1.1 400 Bad Request", ""), "greeting"},
		"stall at RCPT":          {script(t, "220 hi", "250 hello", "250 ok", "…"), "timeout"},
		"drop at RCPT":           {script(t, "220 hi", "250 hello", "250 ok", ""), "connection"},
		"drop after DATA":        {script(t, "220 hi", "250 hello", "250 ok", "250 ok", ""), "connection"},
		"drop after the dot":     {script(t, "220 hi", "250 hello", "250 ok", "250 ok", "354 go", ""), "connection"},
		"stall after the dot":    {script(t, "220 hi", "250 hello", "250 ok", "250 ok", "354 go", "…"), "timeout"},
		"nonsense for an answer": {script(t, "220 hi", "250 hello", "250 ok", "ok"), "connection"},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialer(t, "smtp://"+tc.address, quick)
			wantClass(t, s.Send(t.Context(), letter(t)), tc.class, false, true)
		})
	}
}

func TestSMTPEndsWithItsContext(t *testing.T) {
	for name, tc := range map[string]struct {
		lines  []string
		option func(*SMTPOptions)
		cancel bool
	}{
		"message limit": {[]string{"220 hi", "250 hello", "250 ok", "…"}, func(o *SMTPOptions) { o.Message = 100 * time.Millisecond }, false},
		"cancelled":     {[]string{"220 hi", "…"}, func(*SMTPOptions) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			if tc.cancel {
				cancel()
			} else {
				defer cancel()
			}
			s := dialer(t, "smtp://"+script(t, tc.lines...), tc.option)
			var temporary *outbox.Temporary
			if err := s.Send(ctx, letter(t)); !errors.As(err, &temporary) || !temporary.Unavailable {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestNewSMTP(t *testing.T) {
	for raw, want := range map[string]*SMTP{
		"smtp://mail.example":                           {host: "mail.example", port: "587", startTLS: startTLSRequired},
		"smtp://mail.example:25?starttls=opportunistic": {host: "mail.example", port: "25", startTLS: startTLSOpportunistic},
		"smtp://localhost:1025":                         {host: "localhost", port: "1025", startTLS: startTLSOpportunistic},
		"smtp://[::1]:1025/":                            {host: "::1", port: "1025", startTLS: startTLSOpportunistic},
		"smtp://127.0.0.1?starttls=required":            {host: "127.0.0.1", port: "587", startTLS: startTLSRequired},
		"smtps://u%3A1:p%40s%2Fs@mail.example":          {host: "mail.example", port: "465", implicit: true, user: "u:1", pass: "p@s/s", startTLS: startTLSRequired},
		"smtp://user:secret@mail.example?starttls=off":  {host: "mail.example", port: "587", user: "user", pass: "secret", startTLS: startTLSOff},
	} {
		s, err := NewSMTP(raw, SMTPOptions{})
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		got := [...]any{s.host, s.port, s.implicit, s.startTLS, s.user, s.pass}
		if diff := cmp.Diff([...]any{want.host, want.port, want.implicit, want.startTLS, want.user, want.pass}, got); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
		if strings.Contains(s.String(), "@") {
			t.Errorf("%s shows its credentials: %s", raw, s)
		}
	}
	for _, raw := range []string{
		"", "mail.example:25", "http://mail.example", "smtp://", "smtp://user:secret@", "smtp://mail.example/x",
		"smtp://mail.example?starttls=never", "smtp://mail.example?tls=on", "smtps://mail.example?starttls=off",
		"smtp://user@mail.example", "smtp://user:secret@mail.example:x", "smtp://:secret@mail.example", "smtp://user:secret@%zz",
	} {
		_, err := NewSMTP(raw, SMTPOptions{})
		if err == nil {
			t.Errorf("%q was taken", raw)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the password is in %q", raw, err)
		}
	}
}
