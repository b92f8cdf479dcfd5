package history

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// A Mail is one that the sink has taken.
type Mail struct {
	MessageID, To, Subject, Code string
	At                           time.Time
}

// outbox is the id of the mail's row: its name is that, a dash and the time, at a host.
func (m Mail) outbox() string {
	id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
	id, _, _ = strings.Cut(id, "-")
	return id
}

// A Sink is a mail server that keeps what it is given.
type Sink struct {
	URL string // for the setting smtp

	server *smtp.Server
	listen net.Listener
	place  string // where it listens
	mu     sync.Mutex
	mails  []Mail
	boxes  map[string]*mailbox
	refuse func(to string) error
	never  map[string]bool // addresses that were refused for good
}

// A mailbox is that of one address: mails by their place in all.
type mailbox struct {
	mails []int
	more  chan struct{} // closed with the next mail, and replaced
}

// box is called while mu is held.
func (s *Sink) box(to string) *mailbox {
	b := s.boxes[to]
	if b == nil {
		b = &mailbox{more: make(chan struct{})}
		s.boxes[to] = b
	}
	return b
}

// NewSink starts one on a loopback port.
func NewSink() (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := l.Addr().String()
	s := &Sink{URL: "smtp://" + at + "?starttls=off", place: at, boxes: map[string]*mailbox{}, never: map[string]bool{}}
	s.serve(l)
	return s, nil
}

func (s *Sink) serve(l net.Listener) {
	s.listen = l
	s.server = smtp.NewServer(s)
	s.server.Domain, s.server.ErrorLog = "sink.example", log.New(io.Discard, "", 0)
	go func() { _ = s.server.Serve(l) }()
}

// Close stops the server; nobody listens at its address from then on.
func (s *Sink) Close() error {
	err := s.server.Close()
	_ = s.listen.Close() // which the server may not have taken yet
	return err
}

// Reopen starts it again, at the same address.
func (s *Sink) Reopen() error {
	l, err := net.Listen("tcp", s.place)
	if err == nil {
		s.serve(l)
	}
	return err
}

// Instead has another server at the address, which is told of each connection and
// closes it when it returns. What it returns ends that, and starts the sink again.
func (s *Sink) Instead(server func(net.Conn)) (end func() error, err error) {
	if err := s.Close(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", s.place)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			go func() {
				defer c.Close()
				server(c)
			}()
		}
	}()
	return func() error {
		err := l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
		return errors.Join(err, s.Reopen())
	}, nil
}

// Refuse makes the sink answer with what f says of each recipient; nil takes all.
func (s *Sink) Refuse(f func(to string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// Mails returns all that came, in that order.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Refused returns the addresses that were refused for good.
func (s *Sink) Refused() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.never)
}

// Code waits for a code to an address that was not seen yet, and returns the newest.
func (s *Sink) Code(ctx context.Context, to string, seen map[string]bool) (string, error) {
	for {
		s.mu.Lock()
		box := s.box(to)
		more := box.more
		for _, i := range slices.Backward(box.mails) {
			if m := s.mails[i]; m.Code != "" && !seen[m.MessageID] {
				s.mu.Unlock()
				seen[m.MessageID] = true
				return m.Code, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// NewSession implements [smtp.Backend].
func (s *Sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &sinking{sink: s}, nil }

type sinking struct {
	sink *Sink
	to   string
}

func (*sinking) Mail(string, *smtp.MailOptions) error { return nil }
func (*sinking) Reset()                               {}
func (*sinking) Logout() error                        { return nil }

func (s *sinking) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if s.sink.refuse == nil {
		return nil
	}
	err := s.sink.refuse(to)
	var smtpError *smtp.SMTPError
	if errors.As(err, &smtpError) && smtpError.Code >= 500 {
		s.sink.never[to] = true
	}
	return err
}

func (s *sinking) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return err
	}
	got := Mail{MessageID: m.Header.Get("Message-ID"), To: s.to, Subject: subject, At: time.Now(), Code: code(subject, string(body))}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.mails = append(s.sink.mails, got)
	box := s.sink.box(s.to)
	box.mails = append(box.mails, len(s.sink.mails)-1)
	close(box.more)
	box.more = make(chan struct{})
	return nil
}

var digits = regexp.MustCompile(`(?:^|[^\d#&])(\d{6})\b`)

// code is the first number of six digits in the subject, else in the text.
func code(subject, body string) string {
	if m := digits.FindStringSubmatch(subject); m != nil {
		return m[1]
	}
	_, plain, _ := strings.Cut(body, "text/plain")
	_, plain, _ = strings.Cut(plain, "\r\n\r\n")
	text, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(plain))) // as far as it is that
	if m := digits.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}
