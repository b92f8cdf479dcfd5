package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// A Letter is a composed mail to one recipient.
type Letter struct {
	ID           string // made of the outbox row's, the same on every try
	From         mail.Address
	EnvelopeFrom string
	ReplyTo      string
	To           string // as the account has it
	Subject      string
	Language     string
	MessageID    string // without brackets; the same on every try (REL R-06)
	Date         time.Time
	Text, HTML   string
	Code, Link   string // as typed fields, for the development inbox
}

// LogValue keeps code, link and address out of logs (UX M0.11).
func (l *Letter) LogValue() slog.Value { return slog.StringValue("letter " + l.ID) }

// Encode writes the letter as an RFC 5322 message of two alternatives, plain text
// first, both quoted-printable. Line breaks in header values are refused here
// once more, whoever let them through (SEC S-115).
func (l *Letter) Encode() ([]byte, error) {
	for what, s := range map[string]string{
		"From": l.From.Name, "Subject": l.Subject, "Content-Language": l.Language, "Message-ID": l.MessageID,
	} {
		if !headerSafe(s) {
			return nil, fmt.Errorf("%w: %s", ErrInvalid, what)
		}
	}
	for _, a := range []string{l.From.Address, l.EnvelopeFrom, l.To} {
		if err := checkAddress(a); err != nil {
			return nil, err
		}
	}
	m := gomail.NewMsg(
		gomail.WithNoDefaultUserAgent(),
		gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingQP),
		gomail.WithBoundary(boundary(l.MessageID)),
	)
	m.FromMailAddress(&mail.Address{Name: l.From.Name, Address: asciiAddress(l.From.Address)})
	m.ToMailAddress(&mail.Address{Address: asciiAddress(l.To)})
	if l.ReplyTo != "" {
		if err := checkAddress(l.ReplyTo); err != nil {
			return nil, err
		}
		m.ReplyToMailAddress(&mail.Address{Address: asciiAddress(l.ReplyTo)})
	}
	m.Subject(l.Subject)
	m.SetDateWithValue(l.Date)
	m.SetMessageIDWithValue(l.MessageID)
	m.SetGenHeader("Content-Language", l.Language)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)

	var out bytes.Buffer
	out.Grow(16 << 10)
	if _, err := m.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("mail: encode: %w", err)
	}
	return out.Bytes(), nil
}

// boundary depends on the message alone, so that every try sends the same bytes.
func boundary(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return "stile-" + hex.EncodeToString(sum[:12])
}

// checkAddress refuses an address that would end its header or command early, or
// that could be read as two. Whether it is a good one was decided before.
func checkAddress(a string) error {
	local, domain, ok := strings.Cut(a, "@")
	if !ok || local == "" || domain == "" || len(a) > 254 || !headerSafe(a) ||
		strings.Contains(domain, "@") || strings.ContainsFunc(a, delimiting) {
		return fmt.Errorf("%w: address", ErrInvalid)
	}
	return nil
}

func delimiting(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>(),;:"\[]`, r) }

// asciiAddress writes the domain in A-labels, which every mail server knows.
func asciiAddress(a string) string {
	local, _, _ := strings.Cut(a, "@")
	return local + "@" + asciiDomain(a)
}

func asciiDomain(a string) string {
	_, domain, _ := strings.Cut(a, "@")
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil && !isASCII(domain) {
		return ascii
	}
	return domain
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e }) }
