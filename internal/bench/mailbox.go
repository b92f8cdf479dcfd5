package main

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"sync"

	"github.com/emersion/go-smtp"
)

// A mailbox is the mail server of all that is measured: it takes every letter,
// and gives the code in it to who waits for that.
type mailbox struct {
	*smtp.Server
	url string

	mu    sync.Mutex
	codes map[string]chan string // by address
}

func newMailbox() (*mailbox, error) {
	b := &mailbox{codes: map[string]chan string{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.Server, b.url = smtp.NewServer(b), "smtp://"+l.Addr().String()
	b.Domain, b.AllowInsecureAuth = "localhost", true
	go func() { _ = b.Serve(l) }()
	return b, nil
}

func (b *mailbox) of(address string) chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.codes[address]
	if c == nil {
		c = make(chan string, 4)
		b.codes[address] = c
	}
	return c
}

func (b *mailbox) forget(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.codes, address)
}

// NewSession implements [smtp.Backend].
func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &incoming{box: b}, nil }

type incoming struct {
	box *mailbox
	to  string
}

func (s *incoming) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *incoming) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *incoming) Reset()                                    {}
func (s *incoming) Logout() error                             { return nil }

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

func (s *incoming) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, body, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	if code := sixDigits.Find(body); code != nil {
		s.box.of(s.to) <- string(code)
	}
	return nil
}
