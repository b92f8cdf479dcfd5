package browser_test

import (
	"io"
	"net"
	"testing"

	"github.com/emersion/go-smtp"
)

// deadAddress is where nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// refusingSMTP is a mail server that knows none of the people it is to write to,
// which it says when the channel closes, or at once where there is none.
func refusingSMTP(t testing.TB, when <-chan struct{}) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return refusal{when}, nil }))
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

type refusal struct{ when <-chan struct{} }

func (refusal) Mail(string, *smtp.MailOptions) error { return nil }
func (r refusal) Rcpt(string, *smtp.RcptOptions) error {
	if r.when != nil {
		<-r.when
	}
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
}
func (refusal) Data(io.Reader) error { return nil }
func (refusal) Reset()               {}
func (refusal) Logout() error        { return nil }
