package app

import (
	"fmt"
	"net/url"
	"path/filepath"

	netmail "net/mail"

	"github.com/stile-id/stile/internal/mail"
)

// post opens what mail is delivered to.
func (a *App) post(c Config) (*mail.Post, error) {
	from, err := sender(c)
	if err != nil {
		return nil, err
	}
	a.Sender = from.String()
	composer, err := mail.NewComposer(mail.Config{
		From: from, ReplyTo: c.ReplyTo, PublicURL: c.PublicURL, NoCodeInSubject: c.NoCodeInSubject,
	})
	if err != nil {
		return nil, err
	}
	p := &mail.Post{Composer: composer}
	if c.Inbox {
		p.Inbox, err = mail.NewInbox(mail.InboxConfig{
			Dir: inboxDir(c), Now: c.Now, Logger: c.Logger, Hosts: []string{hostname(c.PublicURL)},
		})
		if err != nil {
			return nil, err
		}
		a.Inbox = p.Inbox
	}
	var relays []*mail.SMTP
	for _, u := range c.SMTP {
		s, err := mail.NewSMTP(u, mail.SMTPOptions{})
		if err != nil {
			return nil, err
		}
		relays = append(relays, s)
	}
	if len(relays) > 0 {
		p.SMTP = mail.NewRelays(c.Now, c.Logger, relays...)
		a.relays = p.SMTP
	}
	return p, nil
}

func inboxDir(c Config) string {
	if !c.KeepInbox {
		return ""
	}
	return filepath.Join(c.Dir, "inbox")
}

// sender is the From of all mail: the one configured, else an address at the public host.
func sender(c Config) (netmail.Address, error) {
	if c.Sender == "" {
		host := hostname(c.PublicURL)
		if host == "localhost" || host == "127.0.0.1" || host == "::1" {
			host = "stile.example" // reserved: mail to it goes nowhere (RFC 2606)
		}
		return netmail.Address{Name: "Stile", Address: "login@" + host}, nil
	}
	a, err := netmail.ParseAddress(c.Sender)
	if err != nil {
		return netmail.Address{}, fmt.Errorf("mail sender %q: %w", c.Sender, err)
	}
	return *a, nil
}

func hostname(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
