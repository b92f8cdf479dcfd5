package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"net/url"
	"strings"
	texttemplate "text/template"
)

//go:embed templates
var shippedTemplates embed.FS

const (
	maxLink = 200       // characters (UX M0.7)
	maxHTML = 25 << 10  // bytes (UX M0.2)
	maxName = 64        // characters of an app's name in a mail
	maxText = 256 << 10 // bytes that a template may write (SEC S-116)
)

// Config is how an installation's mail looks and where it comes from.
type Config struct {
	// From is the sender's address, required. Its name is used only where an app has none.
	From mail.Address
	// EnvelopeFrom is where bounces go; default the address of From.
	EnvelopeFrom string
	// ReplyTo is set only if given.
	ReplyTo string
	// PublicURL is the engine's own; links of another origin are refused. Empty: any.
	PublicURL string
	// NoCodeInSubject leaves the code out of subjects (decision D6).
	NoCodeInSubject bool
}

// A Composer turns Messages into Letters; it is safe for concurrent use.
type Composer struct {
	config Config
	origin string
	domain string
	words  *words
	text   *texttemplate.Template
	html   *htmltemplate.Template
}

// NewComposer refuses a configuration whose addresses could not stand in a header.
func NewComposer(c Config) (*Composer, error) {
	if c.EnvelopeFrom == "" {
		c.EnvelopeFrom = c.From.Address
	}
	for what, address := range map[string]string{"From": c.From.Address, "EnvelopeFrom": c.EnvelopeFrom, "ReplyTo": c.ReplyTo} {
		if err := checkAddress(address); err != nil && (address != "" || what != "ReplyTo") {
			return nil, fmt.Errorf("mail: %s: %w", what, err)
		}
	}
	if !headerSafe(c.From.Name) {
		return nil, fmt.Errorf("mail: From: %w", ErrInvalid)
	}
	composer := &Composer{config: c, domain: asciiDomain(c.From.Address)}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("mail: PublicURL: %w", ErrInvalid)
		}
		composer.origin = u.Scheme + "://" + u.Host
	}
	var err error
	if composer.words, err = loadWords(shippedWords); err != nil {
		return nil, err
	}
	if composer.text, err = texttemplate.ParseFS(shippedTemplates, "templates/mail.txt"); err != nil {
		return nil, err
	}
	composer.html, err = htmltemplate.ParseFS(shippedTemplates, "templates/mail.html")
	return composer, err
}

// Compose writes a message out. id becomes part of its Message-ID; the same id and
// message give the same letter, byte for byte. It returns ErrInvalid for what it refuses.
func (c *Composer) Compose(id string, m Message) (*Letter, error) {
	if err := c.check(id, m); err != nil {
		return nil, err
	}
	v := c.view(m)
	var text, html strings.Builder
	text.Grow(1 << 10)
	html.Grow(8 << 10)
	if err := c.text.Execute(&limited{&text, maxText}, v); err != nil {
		return nil, fmt.Errorf("mail: text: %w", err)
	}
	if err := c.html.Execute(&limited{&html, maxText}, v); err != nil {
		return nil, fmt.Errorf("mail: html: %w", err)
	}
	if html.Len() > maxHTML {
		return nil, fmt.Errorf("%w: HTML of %d bytes", ErrInvalid, html.Len())
	}
	return &Letter{
		ID:           id,
		From:         mail.Address{Name: v.App, Address: c.config.From.Address},
		EnvelopeFrom: c.config.EnvelopeFrom,
		ReplyTo:      c.config.ReplyTo,
		To:           m.To,
		Subject:      v.Subject,
		Language:     v.Lang,
		MessageID:    id + "@" + c.domain,
		Date:         m.Origin.At,
		Text:         text.String(),
		HTML:         html.String(),
		Code:         m.Code,
		Link:         v.Link,
	}, nil
}

// limited is a writer that takes n bytes at most.
type limited struct {
	w *strings.Builder
	n int
}

var errTooLarge = errors.New("output is too large")

func (l *limited) Write(p []byte) (int, error) {
	if l.w.Len()+len(p) > l.n {
		return 0, errTooLarge
	}
	return l.w.Write(p)
}
