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

// refusingSMTP is a mail server that knows none of the people it is to write to.
func refusingSMTP(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return refusal{}, nil }))
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

type refusal struct{}

func (refusal) Mail(string, *smtp.MailOptions) error { return nil }
func (refusal) Rcpt(string, *smtp.RcptOptions) error {
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
}
func (refusal) Data(io.Reader) error { return nil }
func (refusal) Reset()               {}
func (refusal) Logout() error        { return nil }
