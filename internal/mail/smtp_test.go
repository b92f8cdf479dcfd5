package mail

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/stile-id/stile/internal/outbox"
)

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

func TestSMTPRetiresIdleConnections(t *testing.T) {
	r := &relay{left: make(chan struct{}, 2)}
	s := dialer(t, "smtp://"+serve(t, r, cleartext), func(o *SMTPOptions) { o.Idle = time.Millisecond })
	if err := s.Send(t.Context(), letter(t)); err != nil {
		t.Fatal(err)
	}
	<-r.left
	s.mu.Lock()
	idle := len(s.idle)
	s.mu.Unlock()
	if idle != 0 {
		t.Errorf("%d connections are kept", idle)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), letter(t)); err != nil {
		t.Errorf("after Close: %v", err)
	}
	<-r.left // nothing is kept once closed
}

func TestSMTPKeepsThePasswordFromListeners(t *testing.T) {
	for name, tc := range map[string]struct {
		offered   string
		encrypted bool
		want      string // mechanism, "" for none
	}{
		"in the clear":            {"AUTH PLAIN LOGIN", false, ""},
		"in the clear, digest":    {"AUTH PLAIN CRAM-MD5", false, "CRAM-MD5"},
		"in the clear, SCRAM":     {"AUTH LOGIN SCRAM-SHA-256", false, "SCRAM-SHA-256"},
		"encrypted":               {"AUTH LOGIN PLAIN", true, "PLAIN"},
		"encrypted, login":        {"AUTH LOGIN", true, "LOGIN"},
		"nothing that we can do":  {"AUTH GSSAPI", true, ""},
		"no authentication there": {"SIZE 1000", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", script(t, "220 hi", "250-hello\r\n250 "+tc.offered))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			client, err := mailsmtp.NewClient(conn, "mail.example")
			if err != nil {
				t.Fatal(err)
			}
			s := dialer(t, "smtp://user:secret@mail.example")
			auth, err := s.auth(client, tc.encrypted)
			if (err == nil) != (tc.want != "") {
				t.Fatalf("auth: %v", err)
			}
			if err != nil {
				return
			}
			if got, _, err := auth.Start(&mailsmtp.ServerInfo{Name: "mail.example", TLS: tc.encrypted}); err != nil || got != tc.want {
				t.Errorf("mechanism %q, %v", got, err)
			}
		})
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

func TestREL_R07_Connections(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	_ = closed.Close()

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
			s := dialer(t, "smtp://"+tc.address, func(o *SMTPOptions) {
				if tc.class == "timeout" { // a server that does answer may take its time
					o.Command = 50 * time.Millisecond
				}
			})
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
