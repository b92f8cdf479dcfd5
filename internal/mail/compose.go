package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"
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

// A view is what the templates see: plain strings, in the order of the mail.
type view struct {
	Lang, Dir string

	App, Initial, LogoURL, LogoDark string
	accent
	Subject, Heading, Greeting, Intro   string
	CodeIs, Code                        string
	ButtonID, Button, Link              string
	LinkElse, LinkOpen, LinkCode, Valid string
	Asked, NotYou, Never                string
}

// buttons are the element ids that test suites find links by (decision D17).
var buttons = map[Template]string{
	SignUp:        "email-activation-button",
	SignIn:        "email-authentication-button",
	SignUpKnown:   "email-authentication-button",
	SignInUnknown: "sign-up-link",
}

// Compose writes a message out. id becomes part of its Message-ID; the same id and
// message give the same letter, byte for byte. It returns ErrInvalid for what it refuses.
func (c *Composer) Compose(id string, m Message) (*Letter, error) {
	if err := c.check(id, m); err != nil {
		return nil, err
	}
	v := c.view(m)
	var text, html bytes.Buffer
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

// check refuses what must not be mailed, whoever asks for it (SEC S-115, S-17).
func (c *Composer) check(id string, m Message) error {
	invalid := func(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }
	if _, known := buttons[m.Template]; !known {
		return invalid("template")
	}
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return invalid("id")
	}
	if err := checkAddress(m.To); err != nil {
		return err
	}
	if !headerSafe(m.App.Name) {
		return invalid("app name")
	}
	if !headerSafe(m.Locale) {
		return invalid("locale")
	}
	if m.Template == SignInUnknown {
		if m.Code != "" || m.Link != "" {
			return invalid("code where there is no account")
		}
		if m.SignUpURL == "" { // the app has no page of its own: the mail says it without a button
			return nil
		}
		if m.SignUpURL == "" { // where sign-up is closed
			return nil
		}
		return c.checkLink(m.SignUpURL, "")
	}
	if len(m.Code) < 6 || len(m.Code) > 10 || strings.Trim(m.Code, "0123456789") != "" {
		return invalid("code")
	}
	if m.Link == "" {
		return nil
	}
	if len(m.Link) > maxLink {
		return invalid("link is too long")
	}
	return c.checkLink(m.Link, c.origin)
}

func (c *Composer) checkLink(link, origin string) error {
	u, err := url.Parse(link)
	if err != nil || strings.ContainsFunc(link, notInURL) || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return fmt.Errorf("%w: link", ErrInvalid)
	}
	if origin != "" && u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("%w: link of another origin", ErrInvalid)
	}
	return nil
}

func notInURL(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }

func (c *Composer) view(m Message) view {
	l := c.words.in(m.Locale)
	key := string(m.Template) + "."
	app := plain(m.App.Name)
	if app == "" {
		app = plain(c.config.From.Name)
	}
	if r := []rune(app); len(r) > maxName {
		app = string(r[:maxName-1]) + "…"
	}
	shown := l.isolate(app)

	v := view{
		Lang: l.tag.String(), Dir: l.say("dir"),
		App: app, Initial: initial(app), LogoURL: imageURL(m.App.LogoURL), LogoDark: imageURL(m.App.LogoDark),
		accent:   newAccent(m.App.Accent),
		Heading:  l.say(key+"heading", "app", shown),
		Greeting: l.say("greeting.nameless"),
		Intro:    l.say(key+"intro", "app", shown),
		ButtonID: buttons[m.Template],
		Button:   l.say(key+"button", "app", shown),
		LinkElse: l.say("link.else"),
		LinkOpen: l.say("link.open"),
		NotYou:   l.say(key+"not-you", "app", shown),
	}

	subject := key + "subject"
	if m.Code != "" && !c.config.NoCodeInSubject {
		subject += ".code"
	}
	v.Subject = l.say(subject, "app", app, "an", article(app), "code", m.Code)

	// The other two go to an address whose owner did not type the name (UX M3).
	if m.Template == SignUp || m.Template == SignIn {
		if name := defuse(m.FirstName); name != "" {
			v.Greeting = l.say("greeting", "name", l.isolate(name))
		}
	}
	if v.Link = m.Link; m.Template == SignInUnknown {
		v.Link = m.SignUpURL
		if len(v.Link) > maxLink { // then without the address filled in
			v.Link, _, _ = strings.Cut(v.Link, "?")
		}
	}
	if m.Code != "" {
		v.Code = m.Code
		v.CodeIs = l.say("code.is")
		v.LinkCode = l.say("link.code", "code", m.Code)
		v.Never = l.say("never", "app", shown)
		valid := "valid.code"
		if m.Link != "" {
			valid = "valid.both"
		}
		v.Valid = l.say(valid, "minutes", l.minutes(m.ExpiresAt.Sub(m.Origin.At)), "until", until(l, m.ExpiresAt, m.Origin.At))
	}
	v.Asked = asked(l, m.Origin)
	return v
}

// until writes an end in the time zone of its beginning, with the date if that is another.
func until(l *lexicon, end, begin time.Time) string {
	end = end.In(begin.Location())
	if end.YearDay() == begin.YearDay() && end.Year() == begin.Year() {
		return l.clock(end)
	}
	return l.moment(end)
}

func asked(l *lexicon, o Origin) string {
	browser, os := defuse(o.Browser), defuse(o.OS)
	key := "agent.unknown"
	switch {
	case browser != "" && os != "":
		key = "agent"
	case browser != "":
		key = "agent.browser"
	case os != "":
		key = "agent.os"
	}
	agent := l.say(key, "browser", browser, "os", os)
	if ip, err := netip.ParseAddr(o.IP); err == nil {
		return l.say("asked.ip", "agent", agent, "ip", ip.String(), "moment", l.moment(o.At))
	}
	return l.say("asked.by", "agent", agent, "moment", l.moment(o.At))
}

// initial stands in for the logo of an app that has none.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

// imageURL is u if it can be shown in a mail: https, of a length that leaves room.
func imageURL(u string) string {
	if parsed, err := url.Parse(u); err == nil && parsed.Scheme == "https" && parsed.Host != "" && len(u) <= 500 {
		return u
	}
	return ""
}

// limited is a writer that takes n bytes at most.
type limited struct {
	w *bytes.Buffer
	n int
}

var errTooLarge = errors.New("output is too large")

func (l *limited) Write(p []byte) (int, error) {
	if l.w.Len()+len(p) > l.n {
		return 0, errTooLarge
	}
	return l.w.Write(p)
}
