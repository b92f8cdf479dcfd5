package faults

import (
	"errors"
	"net"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

const ada = "ada@example.com"

func register(t *testing.T, e *stiletest.Engine) *idx.Transaction {
	t.Helper()
	tx, err := e.Client.Register(t.Context(), idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: ada})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestD28_MailServerDown: the flow goes on with the code queued, and says that the mail has not gone out.
func TestD28_MailServerDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()

	e := stiletest.Start(t, stiletest.SMTP("smtp://"+address))
	tx := register(t, e)
	if tx.Status != idx.StatusPending || tx.NextStep.Name != "enroll-authenticator" {
		t.Fatalf("the step was refused: %+v", tx)
	}
	e.MailTried(t)
	if got := status(t, e, tx); got != "delayed" {
		t.Errorf("UX_G58: delivery is %q, want delayed", got)
	}
}

// TestUX_P3_15_RefusedAddress: a server that will not have the address is told of at once.
func TestUX_P3_15_RefusedAddress(t *testing.T) {
	e := stiletest.Start(t, stiletest.SMTP("smtp://"+smtpServer(t, refusing{})+"?starttls=off"))
	tx := register(t, e)
	e.MailTried(t)
	if got := status(t, e, tx); got != "refused" {
		t.Errorf("delivery is %q, want refused", got)
	}
}

func status(t *testing.T, e *stiletest.Engine, tx *idx.Transaction) string {
	t.Helper()
	tx, err := e.Client.Poll(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	if tx.NextStep == nil || tx.NextStep.Authenticator == nil || tx.NextStep.Authenticator.Delivery == nil {
		t.Fatalf("nothing is said of the delivery: %+v", tx)
	}
	return tx.NextStep.Authenticator.Delivery.Status
}

func smtpServer(t *testing.T, b smtp.Backend) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}

// refusing is a mail server that knows nobody.
type refusing struct{}

func (refusing) NewSession(*smtp.Conn) (smtp.Session, error) { return refusingSession{}, nil }

type refusingSession struct{ smtp.Session }

func (refusingSession) Reset()                               {}
func (refusingSession) Logout() error                        { return nil }
func (refusingSession) Mail(string, *smtp.MailOptions) error { return nil }
func (refusingSession) Rcpt(string, *smtp.RcptOptions) error {
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
}
