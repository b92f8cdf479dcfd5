package mail

import (
	"bytes"
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUX_M0_3_Headers(t *testing.T) {
	c := newComposer(t, func(c *Config) { c.ReplyTo = "help@example.com" })
	p := parse(t, compose(t, c, message(SignUp)))
	for name, want := range map[string]string{
		"From":                     `"Acme" <login@id.example.com>`,
		"To":                       "<ada@example.com>",
		"Reply-To":                 "<help@example.com>",
		"Date":                     "Sun, 22 Nov 2026 14:02:00 +0000",
		"Message-Id":               "<msgTESTTESTTEST@id.example.com>",
		"Content-Language":         "en",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"Mime-Version":             "1.0",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, absent := range []string{"User-Agent", "X-Mailer", "Bcc", "Cc", "Precedence"} {
		if got := p.header.Get(absent); got != "" {
			t.Errorf("%s is %q", absent, got)
		}
	}
	if got := parse(t, compose(t, newComposer(t), message(SignUp))).header.Get("Reply-To"); got != "" {
		t.Errorf("Reply-To is %q though none is set", got)
	}
}

func TestREL_R06_SameBytesOnEveryTry(t *testing.T) {
	c := newComposer(t)
	first, second := parse(t, compose(t, c, message(SignIn))), parse(t, compose(t, c, message(SignIn)))
	if !bytes.Equal(first.raw, second.raw) {
		t.Error(cmp.Diff(string(first.raw), string(second.raw)))
	}
}

func TestUX_M0_1_Encoding(t *testing.T) {
	c := newComposer(t)
	long := func(m *Message) {
		m.App.Name = strings.Repeat("Ümläut ", 20)
		m.FirstName = strings.Repeat("名", 80)
		m.To = strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 90) + "example"
		m.Link = "https://id.example.com/link/" + strings.Repeat("x", maxLink-len("https://id.example.com/link/"))
	}
	for _, template := range templates {
		if plans[template].link == never {
			continue
		}
		p := parse(t, compose(t, c, message(template, long)))
		for line := range bytes.SplitSeq(p.raw, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
				t.Errorf("line of %d bytes", len(line))
			}
			for _, b := range line {
				if b >= 0x80 {
					t.Fatalf("line is not ASCII: %q", line)
				}
			}
		}
		link := message(template, long).Link
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(link) + `$`).MatchString(p.text) {
			t.Error("the link does not stand on one line of the text")
		}
		if strings.Count(p.html, link) != 3 { // button, address, its text
			t.Errorf("the link stands %d times in the HTML", strings.Count(p.html, link))
		}
	}
}

// RFC 5322 §2.1.1 and §2.2.3: lines of at most 78 characters, and none of spaces alone.
func TestUX_M0_1_Folding(t *testing.T) {
	subjects := []string{
		"short", strings.Repeat("word ", 40) + "end", strings.Repeat("a", 200), "two  spaces",
		strings.Repeat("Ümläut ", 30), "123456 is your " + strings.Repeat("Acme ", 12) + "code",
	}
	for _, subject := range subjects {
		l := compose(t, newComposer(t), message(SignUp))
		l.Subject = subject
		p := parse(t, l)
		if got := p.subject(t); got != subject {
			t.Errorf("subject %q was read as %q", subject, got)
		}
		head, _, _ := bytes.Cut(p.raw, []byte("\r\n\r\n"))
		for line := range strings.SplitSeq(string(head), "\r\n") {
			if strings.TrimSpace(line) == "" || len(line) > 78 && strings.ContainsAny(strings.TrimSpace(line), " ") {
				t.Errorf("line %q of subject %q", line, subject)
			}
		}
	}
}

func TestSEC_S115_HeaderInjection(t *testing.T) {
	c := newComposer(t)
	var corpus []string
	for _, br := range []string{"\r\n", "\n", "\r", "\x00", "\r\n\r\n", "\n\t", "\r\n "} {
		corpus = append(corpus, "x"+br+"Bcc: victim@example.net", br+"Subject: won", "x"+br)
	}
	fields := map[string]func(*Message, string){
		"first name": func(m *Message, s string) { m.FirstName = s },
		"app":        func(m *Message, s string) { m.App.Name = s },
		"locale":     func(m *Message, s string) { m.Locale = s },
		"method":     func(m *Message, s string) { m.Template, m.Code, m.Method = MethodAdded, "", s },
		"inviter":    func(m *Message, s string) { m.Template, m.Code, m.Inviter = Invitation, "", s },
		"address":    func(m *Message, s string) { m.Template, m.Address = EmailChange, s+"@example.net" },
		"to":         func(m *Message, s string) { m.To = s + "@example.com" },
		"domain":     func(m *Message, s string) { m.To = "ada@" + s },
		"code":       func(m *Message, s string) { m.Code = s },
		"link":       func(m *Message, s string) { m.Link += s },
		"browser":    func(m *Message, s string) { m.Origin.Browser = s },
		"logo":       func(m *Message, s string) { m.App.LogoURL = "https://cdn.example.com/" + s },
		"accent":     func(m *Message, s string) { m.App.Accent = s },
		"template":   func(m *Message, s string) { m.Template = Template(s) },
	}
	want := parse(t, compose(t, c, message(SignUp))).header
	for field, set := range fields {
		for _, s := range corpus {
			l, err := c.Compose("msgTESTTESTTEST", message(SignUp, func(m *Message) { set(m, s) }))
			if err != nil {
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("%s %q: %v", field, s, err)
				}
				continue
			}
			got := parse(t, l).header
			for name := range got {
				if _, known := want[name]; !known || len(got[name]) != 1 {
					t.Errorf("%s %q: header %s: %q", field, s, name, got[name])
				}
			}
			if to, err := got.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "ada@example.com" {
				t.Errorf("%s %q: To is %v, %v", field, s, to, err)
			}
		}
	}
	for _, id := range []string{"", "a b", "a\r\nb", "a>b", "a@b"} {
		if _, err := c.Compose(id, message(SignUp)); !errors.Is(err, ErrInvalid) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

// TestSEC_S115_RefusedAtEncoding gets past the composer.
func TestSEC_S115_RefusedAtEncoding(t *testing.T) {
	for name, spoil := range map[string]func(*Letter){
		"subject":  func(l *Letter) { l.Subject = "x\r\nBcc: y@example.com" },
		"from":     func(l *Letter) { l.From.Name = "x\ny" },
		"sender":   func(l *Letter) { l.EnvelopeFrom = "x@example.com\r\nRCPT TO:<y@example.com>" },
		"to":       func(l *Letter) { l.To = "x@example.com\r\ny" },
		"two":      func(l *Letter) { l.To = "x@example.com,y@example.com" },
		"bracket":  func(l *Letter) { l.To = "x@example.com>" },
		"language": func(l *Letter) { l.Language = "en\x00" },
		"id":       func(l *Letter) { l.MessageID = "x\n@y" },
		"reply":    func(l *Letter) { l.ReplyTo = "x@example.com\n" },
		"empty":    func(l *Letter) { l.To = "" },
	} {
		l := compose(t, newComposer(t), message(SignUp))
		spoil(l)
		if _, err := l.Encode(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSEC_S37_Addresses(t *testing.T) {
	c := newComposer(t)
	for to, want := range map[string]string{
		"ada@example.com":           "ada@example.com",
		"o'hara+x@example.com":      "o'hara+x@example.com",
		"a..b.@docomo.example":      "a..b.@docomo.example",
		"ada@bücher.example":        "ada@xn--bcher-kva.example",
		"ada@xn--bcher-kva.example": "ada@xn--bcher-kva.example",
	} {
		p := parse(t, compose(t, c, message(SignIn, func(m *Message) { m.To = to })))
		got, err := p.header.AddressList("To")
		if err != nil || len(got) != 1 || got[0].Address != want {
			t.Errorf("%s: To is %v, %v", to, got, err)
		}
	}
}

func TestNewComposerRefuses(t *testing.T) {
	good := mail.Address{Address: "login@example.com"}
	for name, c := range map[string]Config{
		"no sender":       {},
		"name with break": {From: mail.Address{Name: "x\r\ny", Address: "login@example.com"}},
		"two senders":     {From: mail.Address{Address: "a@example.com, b@example.com"}},
		"envelope":        {From: good, EnvelopeFrom: "x@example.com\r\n"},
		"reply":           {From: good, ReplyTo: "nobody"},
		"public URL":      {From: good, PublicURL: "id.example.com"},
	} {
		if _, err := NewComposer(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("UX_M0_4 %s: %v", name, err)
		}
	}
}
