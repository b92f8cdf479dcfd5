package mail

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

var at1402 = time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)

func newComposer(t testing.TB, change ...func(*Config)) *Composer {
	t.Helper()
	c := Config{From: mail.Address{Name: "Stile", Address: "login@id.example.com"}, PublicURL: "https://id.example.com"}
	for _, f := range change {
		f(&c)
	}
	composer, err := NewComposer(c)
	if err != nil {
		t.Fatal(err)
	}
	return composer
}

// message returns a good message of a template, with changes. Its address, name
// and link are there where the template takes them.
func message(template Template, change ...func(*Message)) Message {
	m := Message{
		Template: template, To: "ada@example.com", FirstName: "Ada",
		ExpiresAt: at1402.Add(10 * time.Minute), App: App{Name: "Acme"},
		Origin: Origin{Browser: "Chrome", OS: "Windows", At: at1402}, Locale: "en",
	}
	p := plans[template]
	if p.code {
		m.Code = "123456"
	} else {
		m.ExpiresAt = at1402.AddDate(0, 0, 7)
	}
	if p.link != never {
		m.Link = "https://id.example.com/link/fZ0mQ8w6h2k4Yt9sJc1vRbN3xLpA7dUeKg5iMoTqWzE"
	}
	switch template {
	case SignInUnknown:
		m.SignUpURL = "https://id.example.com/signin/sign-up?email=ada%40example.com"
	case EmailChange:
		m.To, m.Address = "lovelace@example.net", "a***a@example.com"
	case EmailChanged, EmailChangedBack:
		m.Address = "l***e@example.net"
	case MethodAdded, MethodRemoved:
		m.Method = "Passkeys"
	case Guessing:
		m.Method, m.Count, m.Date = "Password", 10, at1402.Add(15*time.Minute)
	case Invitation:
		m.Inviter = "Charles Babbage"
	case AdminRecovery:
		m.ExpiresAt = at1402.Add(24 * time.Hour)
	case DeviceLink:
		m.ExpiresAt = at1402.Add(15 * time.Minute)
	case DeletionAsked:
		m.Date = at1402.AddDate(0, 0, 7)
	case DeletionDone:
		m.ExpiresAt, m.Origin = time.Time{}, Origin{At: at1402}
	}
	for _, f := range change {
		f(&m)
	}
	return m
}

func compose(t testing.TB, c *Composer, m Message) *Letter {
	t.Helper()
	l, err := c.Compose("msgTESTTESTTEST", m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// parsed is a mail as its reader sees it.
type parsed struct {
	header     mail.Header
	text, html string
	raw        []byte
}

// parse reads a letter's bytes with the standard library.
func parse(t testing.TB, l *Letter) parsed {
	t.Helper()
	raw, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	p := parsed{header: msg.Header, raw: raw}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type is %q, %v", msg.Header.Get("Content-Type"), err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []struct {
		kind string
		into *string
	}{{"text/plain", &p.text}, {"text/html", &p.html}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || kind != want.kind || !strings.EqualFold(params["charset"], "utf-8") {
			t.Errorf("part is %q, %v, want %s in UTF-8", part.Header.Get("Content-Type"), err, want.kind)
		}
		if enc := part.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
			t.Errorf("encoding is %q", enc)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		*want.into = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("there is a third part: %v", err)
	}
	return p
}

func (p parsed) subject(t testing.TB) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
