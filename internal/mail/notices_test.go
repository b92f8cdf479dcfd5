package mail

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestUX_M5to12_Words(t *testing.T) {
	for _, tc := range []struct {
		template        Template
		with, without   string
		contain, absent []string
	}{
		{
			Recovery, "123456 is your Acme recovery code", "Your Acme recovery code",
			[]string{"Hi Ada,", "Your password has not changed.", "10 minutes", "14:12 UTC", "Chrome on Windows", "Not you? Ignore this mail."}, nil,
		},
		{
			Unlock, "123456 is your Acme unlock code", "Your Acme unlock code",
			[]string{"Hi Ada,", "unlock your Acme account", "10 minutes", "14:12 UTC", "Chrome on Windows", "Not you? Ignore this mail."}, nil,
		},
		{
			EmailChange, "123456: confirm your new address", "Confirm your new address",
			[]string{"a***a@example.com", "Acme account", "stays in use until this one is confirmed", "10 minutes", "Chrome on Windows", "Not you?"},
			[]string{"Ada"},
		},
		{
			EmailChanged, "Your Acme email was changed", "",
			[]string{"Hi Ada,", "l***e@example.net", "14:02 UTC on 22 November 2026", "Chrome on Windows", "This was not me", "7 days", "14:02 UTC on 29 November 2026", "everybody is signed out everywhere"},
			[]string{"code"},
		},
		{
			EmailChangedBack, "Your Acme email was changed back", "",
			[]string{"l***e@example.net", "was undone", "14:02 UTC on 22 November 2026", "Chrome on Windows", "Secure my account"},
			[]string{"code"},
		},
		{
			MethodAdded, "A passkey was added to your Acme account", "",
			[]string{"A passkey was added", "14:02 UTC on 22 November 2026", "Chrome on Windows", "This was not me"},
			[]string{"code"},
		},
		{
			MethodRemoved, "A passkey was removed from your Acme account", "",
			[]string{"A passkey was removed", "14:02 UTC on 22 November 2026", "Chrome on Windows", "This was not me"},
			[]string{"code"},
		},
		{
			PasswordChanged, "Your Acme password was changed", "",
			[]string{"The old one no longer works", "14:02 UTC on 22 November 2026", "Chrome on Windows", "This was not me"},
			[]string{"code"},
		},
		{
			NewDevice, "A new device signed in to your Acme account", "",
			[]string{"14:02 UTC on 22 November 2026", "Chrome on Windows", "This was not me"},
			[]string{"code"},
		},
		{
			Invitation, "Charles Babbage invited you to Acme", "",
			[]string{"Charles Babbage invited you to Acme.", "Accept invitation", "7 days", "14:02 UTC on 29 November 2026", "Sent at 14:02 UTC", "Nobody from Acme will ever ask you for this link."},
			[]string{"code", "Windows"},
		},
		{
			AdminRecovery, "Set a new password for Acme", "",
			[]string{"The people who run Acme sent you a link", "24 hours", "14:02 UTC on 23 November 2026", "Nobody from Acme will ever ask you for this link."},
			[]string{"code", "Windows"},
		},
		{
			Guessing, "Someone is trying to sign in to Acme", "",
			[]string{"10 wrong answers", "Chrome on Windows", "14:02 UTC on 22 November 2026", "We have paused this way to sign in (Password) until 14:17 UTC.", "Secure my account"},
			[]string{"code"},
		},
		{
			DeletionAsked, "Your Acme account will be deleted on 29 November", "",
			[]string{"At 14:02 UTC on 29 November 2026 it will be deleted", "Asked for with Chrome on Windows", "Keep my account"},
			[]string{"code"},
		},
		{
			DeletionDone, "Your Acme account was deleted", "",
			[]string{"This was done at 14:02 UTC on 22 November 2026.", "cannot be brought back"},
			[]string{"code", "http", "browser"},
		},
	} {
		t.Run(string(tc.template), func(t *testing.T) {
			if tc.without == "" {
				tc.without = tc.with
			}
			p := parse(t, compose(t, newComposer(t), message(tc.template)))
			if got := p.subject(t); got != tc.with {
				t.Errorf("subject is %q, want %q", got, tc.with)
			}
			bare := newComposer(t, func(c *Config) { c.NoCodeInSubject = true })
			if got := parse(t, compose(t, bare, message(tc.template))).subject(t); got != tc.without {
				t.Errorf("DEC_D6: subject without code is %q, want %q", got, tc.without)
			}
			for part, body := range map[string]string{"text": p.text, "html": shownWords(p.html)} {
				body = strings.ReplaceAll(body, "\u200c", "")
				for _, want := range tc.contain {
					if !strings.Contains(body, want) {
						t.Errorf("%s has no %q:\n%s", part, want, body)
					}
				}
				for _, bad := range tc.absent {
					if strings.Contains(body, bad) {
						t.Errorf("%s has %q", part, bad)
					}
				}
			}
		})
	}
}

// shownWords are what a reader sees of the HTML.
func shownWords(html string) string {
	body := html[strings.Index(html, "<body"):]
	return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, "")
}

// TestUX_M0_7_ButtonAndText wants each link as a button and as text, on a line of its own.
func TestUX_M0_7_ButtonAndText(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		l := compose(t, c, message(template))
		if plans[template].link != never && l.Link == "" {
			t.Errorf("%s: the letter does not know its link", template)
		}
		if l.Link == "" {
			continue
		}
		p := parse(t, l)
		if n := strings.Count(p.html, `href="`+l.Link+`"`); n != 2 {
			t.Errorf("%s: %d links in the HTML", template, n)
		}
		if !strings.Contains(p.html, ">"+l.Link+"</a>") || !strings.Contains("\n"+p.text, "\n"+l.Link+"\n") {
			t.Errorf("%s: the link is not there as text", template)
		}
	}
}

func TestNoticesHaveNoCode(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		if plans[template].code {
			continue
		}
		_, err := c.Compose("msg1", message(template, func(m *Message) { m.Code = "123456" }))
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s took a code: %v", template, err)
		}
		l := compose(t, c, message(template))
		if l.Code != "" || strings.Contains(l.Text+shownWords(l.HTML), "Your code") || strings.Contains(l.HTML, `class="code`) {
			t.Errorf("%s has a code", template)
		}
	}
}

func TestComposeRefusesWhatIsNotWhole(t *testing.T) {
	c := newComposer(t)
	for name, m := range map[string]Message{
		"recovery without a code":         message(Recovery, func(m *Message) { m.Code = "" }),
		"unlock without a code":           message(Unlock, func(m *Message) { m.Code = "" }),
		"change without the other":        message(EmailChange, func(m *Message) { m.Address = "" }),
		"changed without the other":       message(EmailChanged, func(m *Message) { m.Address = "***" }),
		"changed without a way back":      message(EmailChanged, func(m *Message) { m.Link = "" }),
		"changed without an end":          message(EmailChanged, func(m *Message) { m.ExpiresAt = time.Time{} }),
		"changed back without the other":  message(EmailChangedBack, func(m *Message) { m.Address = "" }),
		"added, but what":                 message(MethodAdded, func(m *Message) { m.Method = " \u200b" }),
		"removed, but what":               message(MethodRemoved, func(m *Message) { m.Method = "" }),
		"invitation without a link":       message(Invitation, func(m *Message) { m.Link = "" }),
		"invitation without an end":       message(Invitation, func(m *Message) { m.ExpiresAt = time.Time{} }),
		"operator's link without a link":  message(AdminRecovery, func(m *Message) { m.Link = "" }),
		"operator's link without an end":  message(AdminRecovery, func(m *Message) { m.ExpiresAt = time.Time{} }),
		"guessing without a count":        message(Guessing, func(m *Message) { m.Count = 0 }),
		"deletion without a date":         message(DeletionAsked, func(m *Message) { m.Date = time.Time{} }),
		"deletion without a way back":     message(DeletionAsked, func(m *Message) { m.Link = "" }),
		"deleted, and yet a link":         message(DeletionDone, func(m *Message) { m.Link = message(SignIn).Link }),
		"a notice's link of another host": message(PasswordChanged, func(m *Message) { m.Link = "https://evil.example/x" }),
		"line break in the inviter":       message(Invitation, func(m *Message) { m.Inviter = "Ada\r\nBcc: x@example.com" }),
		"line break in the method":        message(MethodAdded, func(m *Message) { m.Method = "Ada\nBcc: x@example.com" }),
		"line break in the other address": message(EmailChanged, func(m *Message) { m.Address = "a***@example.com\r\n" }),
	} {
		if _, err := c.Compose("msg1", m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoticesWithoutALink say what to do instead.
func TestNoticesWithoutALink(t *testing.T) {
	c := newComposer(t)
	for template, want := range map[Template]string{
		EmailChangedBack: "Sign in to Acme, set a new password, and remove ways to sign in that you do not know.",
		MethodAdded:      "go to Acme at once, sign out everywhere else, and remove what you did not add.",
		MethodRemoved:    "sign in to Acme, sign out everywhere else, and add again what is missing.",
		PasswordChanged:  "go to Acme, choose “Forgot your password?” where you sign in, and set a new one.",
		NewDevice:        "sign in to Acme, sign out everywhere else, and set a new password.",
		Guessing:         "there is nothing that you must do",
	} {
		p := parse(t, compose(t, c, message(template, func(m *Message) { m.Link, m.ExpiresAt = "", time.Time{} })))
		for part, body := range map[string]string{"text": p.text, "html": shownWords(p.html)} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %s has no %q", template, part, want)
			}
			for _, bad := range []string{"press", "http", "The link"} {
				if strings.Contains(body, bad) {
					t.Errorf("%s: %s has no link and yet says %q", template, part, bad)
				}
			}
		}
	}
}

func TestUX_M0_8_OriginOfNotices(t *testing.T) {
	c := newComposer(t)
	for _, tc := range []struct {
		template Template
		origin   Origin
		want     string
	}{
		{MethodAdded, Origin{Browser: "Chrome", OS: "Windows", IP: "203.0.113.7", At: at1402}, "This was done with Chrome on Windows, from the network address 203.0.113.7, at 14:02 UTC on 22 November 2026."},
		{MethodAdded, Origin{OS: "iPad", At: at1402}, "This was done with a browser on iPad, at 14:02 UTC on 22 November 2026."},
		{MethodAdded, Origin{At: at1402}, "This was done at 14:02 UTC on 22 November 2026."},
		{Guessing, Origin{IP: "203.0.113.7", At: at1402}, "The last answer was given with a browser that did not say its name, from the network address 203.0.113.7, at 14:02 UTC"},
		{Guessing, Origin{At: at1402}, "The last answer was given at 14:02 UTC on 22 November 2026."},
		{Recovery, Origin{At: at1402}, "Asked for with a browser that did not say its name, at 14:02 UTC"},
		{Invitation, Origin{Browser: "Chrome", OS: "Windows", IP: "203.0.113.7", At: at1402}, "Sent at 14:02 UTC on 22 November 2026."},
		{EmailChanged, Origin{At: at1402.In(time.FixedZone("CET", 3600))}, "This was done at 15:02 CET on 22 November 2026."},
	} {
		l := compose(t, c, message(tc.template, func(m *Message) { m.Origin = tc.origin }))
		if !strings.Contains(l.Text, tc.want) || !strings.Contains(shownWords(l.HTML), tc.want) {
			t.Errorf("%s: no %q in\n%s", tc.template, tc.want, l.Text)
		}
		if tc.template == Invitation && strings.Contains(l.Text+l.HTML, "203.0.113.7") {
			t.Error("an invitation tells the operator's address")
		}
	}
}

func TestDatesHaveTheOriginsZone(t *testing.T) {
	c := newComposer(t)
	west := time.FixedZone("", -8*3600)
	l := compose(t, c, message(DeletionAsked, func(m *Message) {
		m.Origin.At, m.Date = at1402.In(west), time.Date(2027, 1, 1, 6, 0, 0, 0, time.UTC)
	}))
	if l.Subject != "Your Acme account will be deleted on 31 December" || !strings.Contains(l.Text, "At 22:00 UTC-08:00 on 31 December 2026") {
		t.Errorf("%s\n%s", l.Subject, l.Text)
	}
	l = compose(t, c, message(DeletionAsked, func(m *Message) { m.Date = time.Date(2027, 1, 1, 6, 0, 0, 0, time.UTC) }))
	if l.Subject != "Your Acme account will be deleted on 1 January 2027" {
		t.Errorf("in another year: %s", l.Subject)
	}
}

func TestUX_M0_5_NamesInNotices(t *testing.T) {
	c := newComposer(t)
	evil := "Win at evil.example\t<b>now</b> http://evil.example/x"
	for _, template := range templates {
		l := compose(t, c, message(template, func(m *Message) {
			m.FirstName, m.Inviter = evil, evil
			if m.Method != "" {
				m.Method, m.Which = evil, evil+" too"
			}
		}))
		if strings.Contains(l.Subject+l.Text+l.HTML, "evil.example") || strings.Contains(l.HTML, "<b>") {
			t.Errorf("%s: %s\n%s", template, l.Subject, l.Text)
		}
		if greets := strings.Contains(l.Text, "Hi Win at"); greets != plans[template].named {
			t.Errorf("%s: greeted by name: %v", template, greets)
		}
	}
	l := compose(t, c, message(Invitation, func(m *Message) { m.Inviter = " " }))
	if l.Subject != "Acme invited you" || !strings.Contains(l.Text, "Acme invited you. Accept the invitation") {
		t.Errorf("nobody's invitation: %q\n%s", l.Subject, l.Text)
	}
}

func TestOnlySomeOfAnAddressIsShown(t *testing.T) {
	for in, want := range map[string]string{
		"a***a@example.com":         "a***a@|example.|com",
		"***@example.com":           "***@|example.|com",
		"ada@example.com":           "a***@|example.|com", // came whole
		"a.b***c@bücher.example":    "a.|b***c@|bücher.|example",
		"a***a@exam\u202eple.com\n": "a***a@|example.|com",
		"@example.com":              "***@|example.|com",
		"ada":                       "",
		"":                          "",
		"a***a@" + strings.Repeat("x", 60) + ".example": "a***a@|" + strings.Repeat("x", 43) + "…",
	} {
		if got := strings.ReplaceAll(partly(in), "\u200c", "|"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMethodNames(t *testing.T) {
	c := newComposer(t)
	for name, want := range map[string]string{
		"Password":                  "A password was added to your Acme account",
		"Email":                     "An email address was added to your Acme account",
		"Phone":                     "A phone number was added to your Acme account",
		"Security Key or Biometric": "A passkey or security key was added to your Acme account",
		"Google Authenticator":      "Google Authenticator was added to your Acme account",
		"Recovery Codes":            "A list of recovery codes was added to your Acme account",
		"One-Time Code Token":       "A token for one-time codes was added to your Acme account",
	} {
		if l := compose(t, c, message(MethodAdded, func(m *Message) { m.Method = name })); l.Subject != want {
			t.Errorf("%q, want %q", l.Subject, want)
		}
	}
	for which, want := range map[string]string{
		"+1 XXX-XXX-0100": "A phone number (+1 XXX-XXX-0100) was removed from your Acme account. It can",
		"https://x.test":  "A phone number (https: //x. test) was removed", "": "A phone number was removed from",
	} {
		l := compose(t, c, message(MethodRemoved, func(m *Message) { m.Method, m.Which = "Phone", which }))
		if l.Subject != "A phone number was removed from your Acme account" || !strings.Contains(l.Text, want) {
			t.Errorf("%q: %s\n%s", which, l.Subject, l.Text)
		}
	}
}

// SEC S-56: which of several it is.
func TestMethodsAreCalledByTheirName(t *testing.T) {
	c := newComposer(t)
	for called, want := range map[string]string{
		"iCloud Keychain":           "A passkey or security key (iCloud Keychain) was removed from your Acme account",
		"Security Key or Biometric": "A passkey or security key was removed from your Acme account",
		" ":                         "A passkey or security key was removed from your Acme account",
	} {
		l := compose(t, c, message(MethodRemoved, func(m *Message) { m.Method, m.Which = "Security Key or Biometric", called }))
		if !strings.Contains(l.Text, want) {
			t.Errorf("%q: want %q in\n%s", called, want, l.Text)
		}
	}
}

// TestUX_M_PairsLookAlike compares what others can see of two mails that must not
// be told apart: the envelope and the headers, but for subject and time.
func TestUX_M_PairsLookAlike(t *testing.T) {
	c := newComposer(t)
	for _, pair := range [][2]Template{{SignUp, SignUpKnown}, {SignIn, SignInUnknown}, {Recovery, SignInUnknown}} {
		one, two := compose(t, c, message(pair[0])), compose(t, c, message(pair[1]))
		if one.From != two.From || one.EnvelopeFrom != two.EnvelopeFrom || one.To != two.To || one.MessageID != two.MessageID || one.Date != two.Date {
			t.Errorf("%v differ", pair)
		}
		h1, h2 := parse(t, one).header, parse(t, two).header
		for name := range h1 {
			if name != "Subject" && h1.Get(name) != h2.Get(name) {
				t.Errorf("%v: %s is %q and %q", pair, name, h1.Get(name), h2.Get(name))
			}
		}
	}
}
