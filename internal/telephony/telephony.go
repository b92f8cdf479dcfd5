// Package telephony sends codes and links to phones, as texts and by calls: through
// the telephony hook of the field, through the HTTP interface of a gateway, and to
// the development inbox.
package telephony

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stile-id/stile/internal/outbox"
)

// Kind is the kind of outbox messages whose payload is a Message.
const Kind = "text"

// The ways that a message reaches a phone.
const (
	SMS   = "sms"
	Voice = "voice"
)

// A Message is one text or call before it is words. It is what the outbox keeps, sealed.
type Message struct {
	Method string `json:"method"` // SMS or Voice
	To     string `json:"to"`     // E.164
	Code   string `json:"code,omitempty"`
	Link   string `json:"link,omitempty"` // in place of a code
	App    string `json:"app,omitempty"`
	// Host is that of the page that asks for the code. Phones that know the form fill
	// the code in there, and nowhere else. Empty: not known.
	Host      string    `json:"host,omitempty"`
	Locale    string    `json:"locale,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`

	// Reason is what it is for, for the hook: "mfa-verification", "mfa-enrollment", ….
	Reason string `json:"reason,omitempty"`
	Person Person `json:"person,omitzero"`
	IP     string `json:"ip,omitempty"`
	// Void is a message that reaches nobody: it goes as far as one that is sent.
	Void bool `json:"void,omitempty"`
}

// A Person is who is called, as far as a hook is told.
type Person struct {
	ID        string `json:"id,omitempty"`
	Login     string `json:"login,omitempty"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

// LogValue keeps code, link and number out of logs.
func (m Message) LogValue() slog.Value { return slog.StringValue("text by " + m.Method) }

// maxApp is how much of an app's name a text has room for, in characters.
const maxApp = 32

// linkText is what clients of the field look for before a link (AUTH §3.2).
const linkText = "Click here to enroll Okta Verify : "

// Text is what the phone shows or says. A text ends in the domain-bound form, by
// which a phone fills the code in on that host alone.
func (m Message) Text() string {
	app := name(m.App)
	if m.Link != "" {
		return begin(app) + linkText + m.Link
	}
	if m.Method == Voice {
		of := ""
		if app != "" {
			of = " for " + app
		}
		digits := strings.Join(strings.Split(m.Code, ""), ". ")
		return "Hello. Your verification code" + of + " is: " + digits + ". Once more: " + digits + ". Goodbye."
	}
	text := begin(app) + "Your verification code is " + m.Code + "."
	if m.Host != "" {
		text += "\n\n@" + m.Host + " #" + m.Code
	}
	return text
}

func begin(app string) string {
	if app == "" {
		return ""
	}
	return app + ": "
}

// name is an app's as it may stand in a text: on one line, or it could end the text
// in a form that is bound to another host.
func name(app string) string {
	app = strings.Join(strings.FieldsFunc(app, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(app); len(r) > maxApp {
		app = strings.TrimSpace(string(r[:maxApp]))
	}
	return app
}

// A Transport hands messages over. Errors are those of package outbox, and free of
// numbers and secrets.
type Transport interface {
	fmt.Stringer
	Can(method string) bool
	Send(ctx context.Context, id string, m Message) error
}

// A Sender delivers the messages of the outbox. It implements outbox.Deliverer.
type Sender struct {
	chain *outbox.Chain[Transport]
	inbox func(id string, at time.Time, m Message) // of development; nil: none
}

// NewSender takes transports in the order in which they are preferred: the next one
// is asked while one fails. inbox is shown every message and when it was written;
// nil: there is none.
func NewSender(now func() time.Time, log *slog.Logger, inbox func(id string, at time.Time, m Message), transports ...Transport) *Sender {
	return &Sender{chain: outbox.NewChain("transport", now, log, transports...), inbox: inbox}
}

// Methods are the ways that messages can be sent.
func (s *Sender) Methods() []string {
	var out []string
	for _, m := range []string{SMS, Voice} {
		if s.inbox != nil || slices.ContainsFunc(s.chain.All(), func(t Transport) bool { return t.Can(m) }) {
			out = append(out, m)
		}
	}
	return out
}

// Deliver returns errors of package outbox.
func (s *Sender) Deliver(ctx context.Context, d outbox.Delivery) error {
	var m Message
	if err := json.Unmarshal(d.Payload, &m); err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	if m.Void {
		return nil
	}
	// A row's id may come again once the row is purged.
	id := d.ID + "-" + strconv.FormatInt(d.CreatedAt.Unix(), 36)
	can := func(t Transport) bool { return t.Can(m.Method) }
	if s.inbox != nil {
		s.inbox(id, d.CreatedAt, m)
	}
	if !slices.ContainsFunc(s.chain.All(), can) {
		if s.inbox != nil {
			return nil
		}
		return &outbox.Permanent{Class: "method"} // the settings have changed since it was queued
	}
	return s.chain.First(ctx, can, func(ctx context.Context, t Transport) error { return t.Send(ctx, id, m) })
}
