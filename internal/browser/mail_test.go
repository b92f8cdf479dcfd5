package browser_test

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// write shows a mail's HTML in an empty tab, as a mail program does.
func (p *person) write(m mail) {
	p.t.Helper()
	p.open("about:blank")
	tree, err := chromedp.Call(p.ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.do(command(page.SetDocumentContent, page.SetDocumentContentParams{FrameID: tree.FrameTree.Frame.ID, HTML: m.HTML}))
}

// TestUX_M0_2_M0_9_MailsInABrowser looks at each kind of mail: legible at 320 px and in
// the dark, with nothing from elsewhere, which the profile's record checks.
func TestUX_M0_2_M0_9_MailsInABrowser(t *testing.T) {
	t.Parallel()
	p, address := newPerson(t, stage(t), desk), newAddress()
	mails := map[string]mail{"M1 sign-up": p.begin(address)}
	p.enter(mails["M1 sign-up"].Code).skip()
	p.signOut()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	mails["M2 sign-in"] = p.site.mail(t, address, mails["M1 sign-up"])
	p.open(p.site.home+"/login/sign-up").at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", address)
	p.press(action("create")).at("email-code")
	mails["M3 sign-up, known"] = p.site.mail(t, address, mails["M2 sign-in"])
	nobody := longAddress()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", nobody).press(action("next")).at("email-code")
	mails["M4 sign-in, unknown"] = p.site.mail(t, nobody)

	for name, m := range mails {
		t.Run(name, func(t *testing.T) {
			reader := p.in(chromedp.NewContext(p.ctx, chromedp.WithListener(p.seen.notice)))
			reader.t = t
			reader.write(m)
			for _, l := range []look{{width: 320}, {width: 1280, dark: true}} {
				reader.show(l)
				if wide := eval[int](reader, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
					t.Errorf("UX M0.2: %d px too wide at %d px", wide, l.width)
				}
				reader.accessible("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
			}
			reader.pictures("mail, " + name)
			hasCode := name != "M4 sign-in, unknown"
			text := eval[string](reader, "document.body.innerText")
			if (m.Code != "") != hasCode || hasCode && !strings.Contains(text, m.Code) {
				t.Errorf("code %q in: %s", m.Code, text)
			}
			if links := eval[string](reader, `[...document.links].map((a) => a.href).join(" ")`); hasCode && (m.Link == "" || !strings.Contains(links, m.Link)) {
				t.Errorf("UX M0.7: the links are %s", links)
			}
		})
	}
}

// M4's link leads to sign-up with the address filled in.
func TestUX_M4_LeadsToSignUp(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
		p.says("If there is an account for " + address)
		m := p.site.mail(t, address)
		p.open(m.Link).at("sign-up")
		if got := p.value("email"); got != address {
			t.Errorf("the address is %q", got)
		}
	})
}

// What the mail keeps secret is in no log.
func TestUX_P4_8_M0_11_NothingInTheLog(t *testing.T) {
	t.Parallel()
	s := ownDev(t)
	p, address := newPerson(t, s, desk), newAddress()
	m := p.begin(address)
	other := p.tab()
	other.openLink(m)
	other.skip()
	p.seen.mayFail(true)        // a picture of the page may still be on its way
	s.dev.stop(syscall.SIGTERM) // then all of the log is there
	log := s.dev.logged()
	for _, route := range []string{"/email/verify/{token}", "/oauth2/default/v1/token"} {
		if !strings.Contains(log, route) {
			t.Errorf("the log does not tell of %s", route)
		}
	}
	log = regexp.MustCompile(`\bms=[0-9.]+`).ReplaceAllString(log, "") // may look like a code
	token := m.Link[strings.LastIndex(m.Link, "/")+1:]
	for _, secret := range []string{token, "otp=" + m.Code} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
	if regexp.MustCompile(`\b` + m.Code + `\b`).MatchString(log) {
		t.Errorf("the code %s is in the log", m.Code)
	}
}
