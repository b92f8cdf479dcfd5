package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

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
	// Phone is how it went to a phone, "sms" or "voice", in the development inbox
	// alone; empty: it is a mail.
	Phone string `json:",omitempty"`
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
	if l.ReplyTo != "" {
		if err := checkAddress(l.ReplyTo); err != nil {
			return nil, err
		}
	}
	size := len(l.Text) + len(l.HTML)
	out := bytes.NewBuffer(make([]byte, 0, size+size/4+1024))
	header(out, "Auto-Submitted", "auto-generated") // RFC 3834
	header(out, "Content-Language", l.Language)
	header(out, "Date", l.Date.Format(time.RFC1123Z))
	header(out, "MIME-Version", "1.0")
	header(out, "Message-ID", "<"+l.MessageID+">")
	header(out, "Subject", mime.QEncoding.Encode("UTF-8", l.Subject))
	header(out, "X-Auto-Response-Suppress", "All")
	header(out, "From", (&mail.Address{Name: l.From.Name, Address: asciiAddress(l.From.Address)}).String())
	header(out, "To", (&mail.Address{Address: asciiAddress(l.To)}).String())
	if l.ReplyTo != "" {
		header(out, "Reply-To", (&mail.Address{Address: asciiAddress(l.ReplyTo)}).String())
	}
	mark := boundary(l.MessageID)
	out.WriteString("Content-Type: multipart/alternative;\r\n boundary=" + mark + "\r\n")
	for _, part := range []struct{ kind, body string }{{"text/plain", l.Text}, {"text/html", l.HTML}} {
		out.WriteString("\r\n--" + mark + "\r\n" +
			"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: " + part.kind + "; charset=UTF-8\r\n\r\n")
		w := quotedprintable.NewWriter(out)
		if _, err := io.WriteString(w, part.body); err != nil {
			return nil, fmt.Errorf("mail: encode: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("mail: encode: %w", err)
		}
	}
	out.WriteString("\r\n--" + mark + "--\r\n")
	return out.Bytes(), nil
}

// header writes one, folded between words where it would be longer than 76
// characters (RFC 5322 §2.2.3).
func header(out *bytes.Buffer, name, value string) {
	const long = 76
	out.WriteString(name + ":")
	column := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if word != "" && column+1+len(word) > long {
			out.WriteString("\r\n")
			column = 0
		}
		out.WriteString(" " + word)
		column += 1 + len(word)
	}
	out.WriteString("\r\n")
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
