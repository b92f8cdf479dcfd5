package mail

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden mails anew")

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

// message returns a good message of a template, with changes.
func message(template Template, change ...func(*Message)) Message {
	m := Message{
		Template: template, To: "ada@example.com", FirstName: "Ada", Code: "123456",
		Link:      "https://id.example.com/link/fZ0mQ8w6h2k4Yt9sJc1vRbN3xLpA7dUeKg5iMoTqWzE",
		ExpiresAt: at1402.Add(10 * time.Minute), App: App{Name: "Acme"},
		Origin: Origin{Browser: "Chrome", OS: "Windows", At: at1402}, Locale: "en",
	}
	if template == SignInUnknown {
		m.Code, m.Link, m.SignUpURL = "", "", "https://id.example.com/signin/sign-up?email=ada%40example.com"
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

var templates = []Template{SignUp, SignIn, SignUpKnown, SignInUnknown}

func TestGoldenMails(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		t.Run(string(template), func(t *testing.T) {
			p := parse(t, compose(t, c, message(template)))
			file := filepath.Join("testdata", string(template)+".eml")
			got := bytes.ReplaceAll(p.raw, []byte("\r\n"), []byte("\n"))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs (go test -update writes it anew):\n%s", file, diff)
			}
		})
	}
}

func TestUX_M1to4_Subjects(t *testing.T) {
	for _, tc := range []struct {
		template        Template
		with, without   string
		contain, absent []string
	}{
		{
			SignUp, "123456 is your Acme code", "Confirm your email for Acme",
			[]string{"Hi Ada,", "Confirm your email to finish signing up", "10 minutes", "14:12 UTC", "Chrome on Windows", "14:02 UTC on 22 November 2026"}, nil,
		},
		{
			SignIn, "123456 is your Acme sign-in code", "Your Acme sign-in code",
			[]string{"10 minutes", "14:12 UTC", "Chrome on Windows", "Not you? Ignore this mail."}, nil,
		},
		{
			SignUpKnown, "You already have an Acme account: 123456 is your code", "You already have an Acme account",
			[]string{"Someone, perhaps you, tried to sign up with this address. Use this code to sign in instead.", "10 minutes", "Chrome on Windows"},
			[]string{"Ada"},
		},
		{
			SignInUnknown, "No Acme account for this address", "No Acme account for this address",
			[]string{"There is no account here.", "Sign up", "Chrome on Windows"},
			[]string{"123456", "Ada", "code"},
		},
	} {
		t.Run(string(tc.template), func(t *testing.T) {
			p := parse(t, compose(t, newComposer(t), message(tc.template)))
			if got := p.subject(t); got != tc.with {
				t.Errorf("subject is %q, want %q", got, tc.with)
			}
			bare := newComposer(t, func(c *Config) { c.NoCodeInSubject = true })
			if got := parse(t, compose(t, bare, message(tc.template))).subject(t); got != tc.without {
				t.Errorf("DEC_D6: subject without code is %q, want %q", got, tc.without)
			}
			for part, body := range map[string]string{"text": p.text, "html": p.html} {
				for _, want := range tc.contain {
					if !strings.Contains(body, want) {
						t.Errorf("%s has no %q:\n%s", part, want, body)
					}
				}
				for _, bad := range tc.absent {
					if strings.Contains(stripCSS(body), bad) {
						t.Errorf("%s has %q", part, bad)
					}
				}
			}
		})
	}
}

// stripCSS leaves out class names and styles.
func stripCSS(html string) string {
	html = regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(html, "")
	return regexp.MustCompile(`(class|style)="[^"]*"`).ReplaceAllString(html, "")
}

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
	for _, template := range []Template{SignUp, SignIn, SignUpKnown} {
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

func TestUX_M0_2_HTML(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		m := message(template, func(m *Message) {
			m.App.LogoURL = "https://cdn.example.com/" + strings.Repeat("l", 400)
			m.App.LogoDark = "https://cdn.example.com/" + strings.Repeat("d", 400)
			m.App.Name = strings.Repeat("<&>", 40)
		})
		p := parse(t, compose(t, c, m))
		if len(p.html) > maxHTML {
			t.Errorf("%d bytes of HTML", len(p.html))
		}
		if n := strings.Count(p.html, "<table"); n != strings.Count(p.html, `role="presentation"`) || n == 0 {
			t.Error("a table is no presentation")
		}
		if !strings.Contains(p.html, `<html lang="en" dir="ltr">`) {
			t.Error("no lang and dir")
		}
		if strings.Contains(p.html, "<script") || strings.Contains(p.html, "<link") || strings.Contains(p.html, "<form") {
			t.Error("HTML has active content")
		}
		for _, img := range regexp.MustCompile(`<img[^>]*>`).FindAllString(p.html, -1) {
			if !strings.Contains(img, "cdn.example.com") || !strings.Contains(img, ` alt="`) {
				t.Errorf("UX_M0_2: image %s", img)
			}
		}
	}
	plain := parse(t, compose(t, c, message(SignUp)))
	if strings.Contains(plain.html, "<img") || strings.Contains(plain.html, "url(") {
		t.Error("a remote image without a logo")
	}
	if spoilt := parse(t, compose(t, c, message(SignUp, func(m *Message) { m.App.LogoURL = "javascript:alert(1)" }))); strings.Contains(spoilt.html, "<img") {
		t.Error("a logo that is no https address was taken")
	}
}

func TestUX_M0_6_Code(t *testing.T) {
	c := newComposer(t)
	for _, template := range []Template{SignUp, SignIn, SignUpKnown} {
		p := parse(t, compose(t, c, message(template)))
		if !regexp.MustCompile(`(?m)^123456$`).MatchString(p.text) {
			t.Error("the code has no line of its own in the text")
		}
		if !regexp.MustCompile(`<p [^>]*>123456</p>`).MatchString(p.html) {
			t.Error("the code is not one run of digits in an element of its own")
		}
		for part, body := range map[string]string{"text": p.text, "html": p.html} {
			if !strings.Contains(body, "Enter a code instead: 123456") {
				t.Errorf("DEC_D17: the code does not follow its words in the %s", part)
			}
		}
	}
}

func TestDEC_D17_ElementIDs(t *testing.T) {
	c := newComposer(t)
	for template, id := range map[Template]string{
		SignUp: "email-activation-button", SignIn: "email-authentication-button", SignUpKnown: "email-authentication-button",
	} {
		p := parse(t, compose(t, c, message(template)))
		got := regexp.MustCompile(`<a id="` + id + `" href="(\S+)"`).FindStringSubmatch(p.html)
		if len(got) != 2 || got[1] != message(template).Link {
			t.Errorf("%s: found %q", template, got)
		}
	}
}

func TestUX_M0_7_Link(t *testing.T) {
	c := newComposer(t)
	for name, link := range map[string]string{
		"SEC_S17 another host":   "https://evil.example/link/x",
		"SEC_S17 another scheme": "http://id.example.com/link/x",
		"SEC_S17 another port":   "https://id.example.com:8443/link/x",
		"SEC_S17 user part":      "https://id.example.com@evil.example/x",
		"script":                 "javascript:alert(1)",
		"relative":               "/link/x",
		"with a break":           "https://id.example.com/link/x\r\nBcc: x@example.com",
		"with a quote":           `https://id.example.com/link/x"onclick="x`,
		"with a space":           "https://id.example.com/link/x y",
		"over 200 characters":    "https://id.example.com/link/" + strings.Repeat("x", 200),
	} {
		if _, err := c.Compose("msg1", message(SignIn, func(m *Message) { m.Link = link })); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := compose(t, c, message(SignInUnknown, func(m *Message) { m.SignUpURL += strings.Repeat("x", 200) }))
	if l.Link != "https://id.example.com/signin/sign-up" {
		t.Errorf("a long sign-up link became %q", l.Link)
	}
	if p := parse(t, compose(t, c, message(SignUp, func(m *Message) { m.Link = "" }))); strings.Contains(p.html, "<a ") || strings.Contains(p.text, "http") {
		t.Error("a mail without a link has one")
	}
}

func TestUX_M0_9_DarkModeAndDirection(t *testing.T) {
	p := parse(t, compose(t, newComposer(t), message(SignUp)))
	for _, want := range []string{
		`<meta name="color-scheme" content="light dark">`, `<meta name="supported-color-schemes" content="light dark">`,
		"@media (prefers-color-scheme: dark)", `dir="ltr"`,
	} {
		if !strings.Contains(p.html, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestSEC_S118_Contents(t *testing.T) {
	c := newComposer(t)
	for _, template := range []Template{SignUp, SignIn, SignUpKnown} {
		p := parse(t, compose(t, c, message(template)))
		for part, body := range map[string]string{"text": p.text, "html": p.html} {
			for _, want := range []string{"Acme", "Not you?", "Nobody from Acme will ever ask you for this code.", "Chrome on Windows", "14:02 UTC"} {
				if !strings.Contains(body, want) {
					t.Errorf("%s: %s has no %q", template, part, want)
				}
			}
			if strings.Contains(strings.ToLower(body), "reply") {
				t.Errorf("%s: %s speaks of a reply", template, part)
			}
		}
	}
}

// TestSEC_S118_TextAndHTMLSayTheSame compares the words of both parts.
func TestSEC_S118_TextAndHTMLSayTheSame(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		p := parse(t, compose(t, c, message(template)))
		tags := regexp.MustCompile(`<[^>]*>`)
		body := p.html[strings.Index(p.html, "<body"):]
		shown := strings.Join(strings.Fields(tags.ReplaceAllString(body, " ")), " ")
		for line := range strings.SplitSeq(p.text, "\n") {
			if line == "" || line == "Or open this address:" || line == "Sign up:" { // the HTML has a button instead
				continue
			}
			if !strings.Contains(shown, strings.Join(strings.Fields(line), " ")) {
				t.Errorf("%s: the HTML does not say %q", template, line)
			}
		}
	}
}

func TestUX_M0_8_Origin(t *testing.T) {
	c := newComposer(t)
	for want, o := range map[string]Origin{
		"Asked for with Chrome on Windows, at 14:02 UTC on 22 November 2026.":                                        {Browser: "Chrome", OS: "Windows", At: at1402},
		"Asked for with Chrome, at 14:02 UTC":                                                                        {Browser: "Chrome", At: at1402},
		"Asked for with a browser on iPad, at 14:02 UTC":                                                             {OS: "iPad", At: at1402},
		"Asked for with a browser that did not say its name, at 14:02 UTC":                                           {At: at1402},
		"Asked for with Chrome on Windows, from the network address 203.0.113.7, at 14:02 UTC on 22 November 2026.":  {Browser: "Chrome", OS: "Windows", IP: "203.0.113.7", At: at1402},
		"Asked for with a browser that did not say its name, at 16:02 UTC+02:00 on 22 November 2026.":                {At: at1402.In(time.FixedZone("", 7200)), IP: "evil.example"},
		"Asked for with evil. example, at 14:02 UTC":                                                                 {Browser: "evil.example", At: at1402},
		"Asked for with a browser that did not say its name, from the network address 2001:db8::1, at 14:02 UTC on ": {IP: "2001:db8::1", At: at1402},
	} {
		p := parse(t, compose(t, c, message(SignIn, func(m *Message) { m.Origin = o })))
		if !strings.Contains(p.text, want) {
			t.Errorf("no %q in\n%s", want, p.text)
		}
	}
}

func TestUX_M0_5_Names(t *testing.T) {
	c := newComposer(t)
	m := message(SignUp, func(m *Message) { m.FirstName = "Win at evil.example\n<b>now</b> http://evil.example/x" })
	p := parse(t, compose(t, c, m))
	want := "Hi Win at evil. example <b>now</b> http: //evil. exa…,"
	if !strings.Contains(p.text, want) {
		t.Errorf("text is\n%s", p.text)
	}
	if strings.Contains(p.html, "<b>") || strings.Contains(p.html, "evil.example") {
		t.Errorf("html is\n%s", p.html)
	}
}

func TestDirectionOfNames(t *testing.T) {
	p := parse(t, compose(t, newComposer(t), message(SignUp, func(m *Message) { m.FirstName = "محمد" })))
	if !strings.Contains(p.text, "Hi \u2068محمد\u2069,") {
		t.Errorf("UX_G42: text is\n%s", p.text)
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

func BenchmarkCompose(b *testing.B) {
	c := newComposer(b)
	m := message(SignUp)
	b.ReportAllocs()
	for b.Loop() {
		l, err := c.Compose("msgTESTTESTTEST", m)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
