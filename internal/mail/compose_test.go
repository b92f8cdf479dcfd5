package mail

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden mails anew")

var templates = []Template{
	SignUp, SignIn, SignUpKnown, SignInUnknown, Recovery, Unlock, EmailChange, EmailChanged, EmailChangedBack,
	MethodAdded, MethodRemoved, PasswordChanged, NewDevice, Invitation, AdminRecovery, DeviceLink, Guessing, DeletionAsked, DeletionDone,
}

var withCode = []Template{SignUp, SignIn, SignUpKnown, Recovery, Unlock, EmailChange}

func TestEveryTemplateIsTested(t *testing.T) {
	for template, p := range plans {
		if !slices.Contains(templates, template) || slices.Contains(withCode, template) != p.code {
			t.Errorf("the lists of this test do not have %s as it is", template)
		}
	}
}

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

// AUTH A-60: clients' tests cut links out of the text of a mail, by the quote or the
// space after them.
func TestAUTH_A60_LinksAreAsTheyAre(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		p := parse(t, compose(t, c, message(template)))
		for _, m := range regexp.MustCompile(`href="([^"]*)"(.)`).FindAllStringSubmatch(p.html, -1) {
			if strings.ContainsAny(m[1], "&'<> ") || m[2] != " " && m[2] != ">" {
				t.Errorf("%s: %q", template, m[0])
			}
		}
		if p := parse(t, compose(t, c, message(template))); strings.Contains(p.text, "&amp;") {
			t.Errorf("%s: in the text", template)
		}
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
	for _, template := range withCode {
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
		Recovery: "email-authentication-button", Unlock: "unlock-account-link", EmailChange: "email-change-button",
		EmailChanged: "not-me-link", EmailChangedBack: "secure-account-link",
		MethodAdded: "not-me-link", MethodRemoved: "not-me-link", PasswordChanged: "not-me-link", NewDevice: "not-me-link",
		Invitation: "accept-invitation-link", AdminRecovery: "set-password-link", DeviceLink: "push-verify-activation-link",
		Guessing: "secure-account-link", DeletionAsked: "keep-account-link",
	} {
		p := parse(t, compose(t, c, message(template)))
		got := regexp.MustCompile(`<a id="` + id + `" href="(\S+)"`).FindStringSubmatch(p.html)
		if len(got) != 2 || got[1] != message(template).Link {
			t.Errorf("%s: found %q", template, got)
		}
		if n := strings.Count(p.html, " id="); n != 1 {
			t.Errorf("%s: %d element ids", template, n)
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
	closed := parse(t, compose(t, c, message(SignInUnknown, func(m *Message) { m.SignUpURL = "" })))
	if strings.Contains(closed.html, "<a ") || strings.Contains(closed.text, "Sign up") {
		t.Error("a mail offers sign-up where it is closed")
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
	for _, template := range withCode {
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
			if line == "" || line == "Or open this address:" { // the HTML has a button instead
				continue
			}
			line = strings.TrimSuffix(line, ":") // of a button's words
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

func TestUX_M0_11_NothingSecretIsLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	m := message(SignUp)
	log.Info("x", "message", m, "pointer", &m, "letter", compose(t, newComposer(t), m))
	for _, secret := range []string{m.Code, m.Link, m.To} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, out.String())
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
