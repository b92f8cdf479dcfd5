package browser_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// A state is a page as somebody may find it. reach leads there.
type state struct {
	name  string
	site  func(testing.TB) *site // default: a stage that others are at too
	reach func(*person)
}

// states are all pages that people see, in each state that looks different.
var states = []state{
	{name: "landing", reach: func(p *person) { p.open(p.site.home + "/").at("landing") }},
	{name: "no such page", reach: func(p *person) { p.open(p.site.home + "/nowhere").at("not-found") }},

	{name: "sign-in", reach: func(p *person) { p.open(p.site.home + "/login/").at("sign-in") }},
	{name: "sign-in, wrong", reach: func(p *person) {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", "ada").press(action("next")).at("sign-in")
	}},
	{name: "sign-in, a code waits", reach: func(p *person) {
		p.begin(newAddress())
		p.open(p.site.home + "/login/").at("sign-in").says("is waiting")
	}},
	{name: "sign-in, sign-up closed", site: closed, reach: func(p *person) { p.open(p.site.home + "/login/").at("sign-in") }},
	{name: "sign-up closed", site: closed, reach: func(p *person) { p.open(p.site.home + "/login/sign-up").at("error") }},
	{name: "sign-up", reach: func(p *person) { p.open(p.site.home + "/login/sign-up").at("sign-up") }},
	{name: "sign-up, one wrong", reach: func(p *person) {
		p.open(p.site.home+"/login/sign-up").at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", "ada@@example.com")
		p.press(action("create")).at("sign-up")
	}},
	{name: "sign-up, all wrong", reach: func(p *person) {
		p.open(p.site.home + "/login/sign-up").at("sign-up").press(action("create")).at("sign-up")
	}},
	{name: "sign-up, known address told", site: func(t testing.TB) *site { return stage(t, stiletest.Disclose()) }, reach: func(p *person) {
		address := newAddress()
		p.site.account(p.t, address, "")
		p.open(p.site.home+"/login/sign-up").at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", address)
		p.press(action("create")).at("sign-up")
	}},

	{name: "code", reach: func(p *person) { p.begin(newAddress()) }},
	{name: "code, at sign-in", reach: func(p *person) {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).press(action("next")).at("email-code")
	}},
	{name: "code, not before", site: patient, reach: func(p *person) { p.begin(newAddress()) }},
	{name: "code, pressed too early", site: patient, reach: func(p *person) {
		p.show(look{width: 1280, noScript: true})
		p.begin(newAddress())
		p.press(action("resend")).at("email-code").says("You can ask again in")
	}},
	{name: "code, sent again", reach: func(p *person) {
		p.begin(newAddress())
		p.press(action("resend")).at("email-code")
	}},
	{name: "code, sent too often", reach: func(p *person) {
		p.begin(newAddress())
		for range 6 {
			p.press(action("resend")).at("email-code")
		}
		p.says("That was too often")
	}},
	{name: "code, none typed", reach: func(p *person) {
		p.begin(newAddress())
		p.press(action("continue")).at("email-code")
	}},
	{name: "code, wrong", reach: func(p *person) {
		p.miss(p.begin(newAddress()), 1)
	}},
	{name: "code, two tries left", reach: func(p *person) {
		p.miss(p.begin(newAddress()), 3)
		p.says("You have 2 tries left")
	}},
	{name: "code, no tries left", reach: func(p *person) {
		p.miss(p.begin(newAddress()), 5)
		p.says("The codes sent so far no longer work")
	}},
	{name: "code, too old", site: alone, reach: func(p *person) {
		m := p.begin(newAddress())
		p.site.clock.Advance(11 * time.Minute)
		p.enter(m.Code).at("email-code").says("That code is too old")
	}},
	{name: "code, mail delayed", site: func(t testing.TB) *site { return stage(t, stiletest.SMTP("smtp://"+deadAddress(t))) }, reach: func(p *person) {
		p.unmailed("has not gone out yet")
	}},
	{name: "code, mail refused", site: func(t testing.TB) *site { return stage(t, stiletest.SMTP("smtp://"+refusingSMTP(t, nil))) }, reach: func(p *person) {
		p.unmailed("does not accept mail")
	}},

	{name: "phone, number", site: phones, reach: func(p *person) { p.toNumber(newAddress()) }},
	{name: "phone, number wrong", site: phones, reach: func(p *person) {
		p.toNumber(newAddress()).put("phoneNumber", "12").press(action("continue")).at("phone-number").says("We cannot send a code")
	}},
	{name: "phone, code", site: phones, reach: func(p *person) {
		p.toNumber(newAddress())
		p.toPhoneCode()
	}},
	{name: "phone, code wrong", site: phones, reach: func(p *person) {
		p.toNumber(newAddress())
		p.miss(p.toPhoneCode(), 3)
		p.says("You have 2 tries left")
	}},
	{name: "phone, text refused", site: func(t testing.TB) *site { return textless(t, nil) }, reach: func(p *person) {
		p.toNumber(newAddress())
		p.toPhoneCode()
		p.hears("could not be sent to")
	}},
	{name: "phone, at sign-in", site: phonesFirst, reach: func(p *person) {
		address := newAddress()
		p.toNumber(address)
		p.enter(p.toPhoneCode().Code).at("select-authenticator").press(action("submit"))
		p.at("set-password").put("password", password).press(action("continue")).at("home")
		other := newPerson(p.t, p.site, desk)
		*p = *other
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("password")
		p.put("password", password).press(action("continue")).at("phone-method")
	}},
	{name: "inbox, a text", site: phones, reach: func(p *person) {
		p.toNumber(newAddress())
		p.open(p.site.engine + "/dev/inbox/messages/" + p.toPhoneCode().ID).at("dev-inbox-message").says("Your verification code is")
	}},

	{name: "link, here", reach: func(p *person) {
		m := p.begin(newAddress())
		p.show(look{width: 1280, noScript: true})
		p.open(m.Link).at("link-continue")
	}},
	{name: "link, elsewhere", reach: func(p *person) { p.open(p.stranger().Link).at("link-elsewhere") }},
	{name: "link, cut", reach: func(p *person) {
		m := p.stranger()
		p.open(m.Link[:len(m.Link)-4]).wait(`document.title.includes("This link is not complete")`)
	}},
	{name: "link, cut, at the app", reach: func(p *person) { p.open(p.site.home + "/login/callback").at("error") }},
	{name: "link, too old, elsewhere", site: alone, reach: func(p *person) {
		m := p.stranger()
		p.site.clock.Advance(11 * time.Minute)
		p.open(m.Link).at("error").says("This link is too old")
	}},
	{name: "link, too old, here", site: alone, reach: func(p *person) {
		m := p.begin(newAddress())
		p.site.clock.Advance(11 * time.Minute)
		p.open(m.Link).at("error").says("This link is too old")
	}},
	{name: "link, used", reach: func(p *person) {
		other := newPerson(p.t, p.site, desk)
		m := other.begin(newAddress())
		other.enter(m.Code).skip()
		p.open(m.Link).at("error").says("This link was already used")
	}},
	{name: "link, out of date", reach: func(p *person) {
		other := newPerson(p.t, p.site, desk)
		m := other.begin(newAddress())
		other.press(action("change")).at("sign-up").put("email", newAddress()).press(action("create")).at("email-code")
		p.open(m.Link).at("error")
	}},

	{name: "phone, set up", reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
	}},
	{name: "phone, where to send", reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
		p.press(`[name="channel"][value="email"]`).at("verify-send").put("email", "nobody").press(action("continue")).at("verify-send")
	}},
	{name: "phone, sent", reach: func(p *person) {
		address := longAddress()
		p.enter(p.begin(address).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
		p.press(`[name="channel"][value="email"]`).at("verify-send").press(action("continue")).at("verify-set-up")
	}},
	{name: "phone, which way", reach: func(p *person) { p.phone() }},
	{name: "phone, link by text", reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
		p.press(`[name="channel"][value="sms"]`).at("verify-send").put("phoneNumber", "12").press(action("continue")).at("verify-send").says("No text can go to this number")
	}},
	{name: "phone, link texted", reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
		p.press(`[name="channel"][value="sms"]`).at("verify-send").put("phoneNumber", "+1 202 555 0177").press(action("continue")).at("verify-set-up")
	}},
	{name: "phone, asked", reach: func(p *person) { p.phone(); p.press(action("push")).at("verify-push") }},
	{name: "phone, denied", reach: func(p *person) {
		added := p.phone()
		p.press(action("push")).at("verify-push")
		added.Deny(p.t, added.Requests(p.t)[0])
		p.wait(`!document.getElementById("number")`)
		p.at("verify-push").says("Not approved")
	}},
	{name: "phone, its code", reach: func(p *person) {
		p.phone()
		p.press(action("totp")).at("verify-code").put("verificationCode", "12").press(action("continue")).at("verify-code")
	}},
	{name: "list", reach: func(p *person) { p.enter(p.begin(newAddress()).Code).at("select-authenticator") }},
	{name: "list, required", site: requiring, reach: func(p *person) { p.enter(p.begin(newAddress()).Code) }},
	{name: "password", reach: func(p *person) { p.choosePassword() }},
	{name: "password, typed", reach: func(p *person) {
		p.choosePassword().put("password", "correct horse battery staple")
	}},
	{name: "password, too short", reach: func(p *person) {
		p.choosePassword().put("password", "short").press(action("continue")).at("set-password")
	}},
	{name: "password, common", reach: func(p *person) {
		p.choosePassword().put("password", "password1").press(action("continue")).at("set-password")
	}},

	{name: "home", reach: func(p *person) {
		p.signUp(newAddress())
		eval[bool](p, `[...document.querySelectorAll("details")].every((d) => d.open = true)`)
	}},
	{name: "home, closed up", reach: func(p *person) { p.signUp(newAddress()) }},
	{name: "already signed in", reach: func(p *person) {
		p.signUp(newAddress())
		p.open(p.site.home + "/login/").at("already-signed-in")
	}},
	{name: "sign-out", reach: func(p *person) {
		p.signUp(newAddress())
		p.open(p.site.home + "/login/sign-out").at("sign-out")
	}},
	{name: "signed out", reach: func(p *person) { p.open(p.site.home + "/login/signed-out").at("signed-out") }},

	{name: "page too old", site: alone, reach: func(p *person) {
		p.begin(newAddress())
		p.site.clock.Advance(61 * time.Minute)
		p.open(p.address()).at("too-old")
	}},
	{name: "page of another browser", reach: func(p *person) { p.open(p.site.home + "/login/step?flow=abcdefghijklmnop").at("too-old") }},
	{name: "too many codes", reach: func(p *person) {
		m := p.begin(newAddress())
		p.miss(m, 5)
		for range 2 {
			p.press(action("resend")).at("email-code")
			p.miss(m, 5)
		}
		p.at("error")
	}},
	{name: "no cookies", site: alone, reach: func(p *person) {
		p.site.refuseCookies.Store(true)
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).press(action("next")).at("error")
		p.says("Cookies are switched off")
	}},
	{name: "no such page of sign-in", reach: func(p *person) { p.open(p.site.home + "/login/nowhere").at("error") }},
	{name: "engine away", site: unreachable, reach: func(p *person) { p.open(p.site.home + "/login/").at("error") }},
	{name: "app not set up", site: misconfigured, reach: func(p *person) { p.open(p.site.home + "/login/").at("error") }},

	{name: "engine, pale brand", site: inColor("#ffe100"), reach: keepsAccount},
	{name: "engine, dark brand", site: inColor("#1a0033"), reach: keepsAccount},
	{name: "brand and links, sign-in", site: branded, reach: func(p *person) { p.open(p.site.home + "/login/").at("sign-in") }},
	{name: "brand and links, code", site: branded, reach: func(p *person) { p.beginAs("Ada", "Lovelace", longAddress()) }},
	{name: "brand and links, list", site: branded, reach: func(p *person) {
		address := longAddress()
		p.beginAs("Ada", "Lovelace", address)
		p.enter(p.site.mail(p.t, address).Code).at("select-authenticator")
	}},
	{name: "long names", reach: func(p *person) { // UX G60
		address := longAddress()
		p.beginAs(strings.Repeat("W", 50), `<b>"É"</b> `+strings.Repeat("漢", 30)+" 🎉", address)
		p.enter(p.site.mail(p.t, address).Code).skip()
	}},
	{name: "right to left, sign-up", site: arabic, reach: func(p *person) {
		p.open(p.site.home + "/login/sign-up?lang=ar").at("sign-up").press(action("create")).at("sign-up")
	}},
	{name: "right to left, code", site: arabic, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=ar")
		address := newAddress()
		p.beginAs("آدا", "لوفلايس", address)
		p.miss(p.site.mail(p.t, address), 1)
	}},
	{name: "right to left, list", site: arabic, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=ar")
		address := newAddress()
		p.beginAs("آدا", "لوفلايس", address)
		p.enter(p.site.mail(p.t, address).Code).at("select-authenticator")
	}},
	{name: "long words, sign-up", site: longWords, reach: func(p *person) {
		p.open(p.site.home + "/login/sign-up?lang=de").at("sign-up").press(action("create")).at("sign-up")
	}},
	{name: "long words, code", site: longWords, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de")
		p.beginAs("Ada", "Lovelace", newAddress())
	}},
	{name: "long words, list", site: longWords, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de")
		address := newAddress()
		p.beginAs("Ada", "Lovelace", address)
		p.enter(p.site.mail(p.t, address).Code).at("select-authenticator")
	}},

	{name: "inbox, empty", site: alone, reach: func(p *person) { p.open(p.site.engine + "/dev/inbox").at("dev-inbox") }},
	{name: "inbox", site: alone, reach: func(p *person) {
		p.stranger()
		p.stranger()
		p.open(p.site.engine + "/dev/inbox").at("dev-inbox")
	}},
	{name: "inbox, mail", reach: func(p *person) { p.message("html") }},
	{name: "inbox, mail as text", reach: func(p *person) { p.message("text") }},
	{name: "inbox, mail as source", reach: func(p *person) { p.message("source") }},
	{name: "inbox, no such mail", reach: func(p *person) { p.open(p.site.engine + "/dev/inbox/messages/none").at("dev-inbox-gone") }},
}

func alone(t testing.TB) *site     { return stage(t) }
func closed(t testing.TB) *site    { return stage(t, stiletest.SignUpClosed()) }
func patient(t testing.TB) *site   { return stage(t, stiletest.ProductionLimits()) }
func requiring(t testing.TB) *site { return stage(t, stiletest.Require("okta_password")) }

// plain leaves an app's settings as they are.
func plain(*idx.Config, *signin.Options) {}

// unreachable is an app whose engine does not answer.
func unreachable(t testing.TB) *site {
	return mounted(t, func(c *idx.Config, _ *signin.Options) { c.HTTPClient = &http.Client{Transport: &wire{cut: true}} })
}

// A wire leads to the engine until it is cut.
type wire struct{ cut bool }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.cut {
		return nil, errors.New("the wire is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

func misconfigured(t testing.TB) *site {
	return mounted(t, func(c *idx.Config, _ *signin.Options) { c.ClientSecret = "not the secret" })
}

// inColor is an organisation whose brand has a colour, which the engine's own pages have.
func inColor(color string) func(testing.TB) *site {
	return func(t testing.TB) *site { return stage(t, stiletest.Org("brand: {name: Acme, color: '"+color+"'}")) }
}

// keepsAccount is at the engine's page with the button that keeps an account.
func keepsAccount(p *person) {
	address := newAddress()
	p.atAccount(address)
	last := p.site.mail(p.t, address)
	p.goTo("/login/profile/delete").at("profile-delete").press(action("delete")).at("profile")
	p.open(p.site.mail(p.t, address, last).Link).at("keep-good")
}

// branded is an app that has set all it can, its name being long.
func branded(t testing.TB) *site {
	return mounted(t, func(_ *idx.Config, o *signin.Options) {
		o.AppName = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
		o.AccentColor = "#f2c200"
		o.HelpURL, o.TermsURL, o.PrivacyURL = "https://acme.example/help", "https://acme.example/terms", "https://acme.example/privacy"
	})
}

// arabic has the words of the commonest pages in a language that runs from right to left.
func arabic(t testing.TB) *site {
	return mounted(t, func(_ *idx.Config, o *signin.Options) { o.Catalog = os.DirFS("testdata/words") })
}

// longWords has a language whose every text is longer by two fifths (UX G43).
func longWords(t testing.TB) *site {
	catalog := longCatalog(t)
	return mounted(t, func(_ *idx.Config, o *signin.Options) { o.Catalog = catalog })
}

func longCatalog(t testing.TB) fstest.MapFS {
	t.Helper()
	english, err := os.ReadFile("../../signin/words/en.json")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	if err := json.Unmarshal(english, &words); err != nil {
		t.Fatal(err)
	}
	for key, text := range words {
		words[key] = text + " " + strings.Repeat("ü", len(text)*2/5)
	}
	data, err := json.Marshal(words)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"de.json": {Data: data}}
}

var longs atomic.Int64

// longAddress is as long as a mail server must take: 64 and 254 characters.
func longAddress() string {
	local := fmt.Sprintf("%s%010d", strings.Repeat("a", 54), longs.Add(1))
	return local + "@" + strings.Repeat("a-very-long-domain-name-of-a-company.", 4) + "example.com"
}

// beginAs is begin in an app of any kind and language.
func (p *person) beginAs(first, last, address string) {
	p.t.Helper()
	p.open(p.site.home + "/login/sign-up").at("sign-up")
	p.put("firstName", first).put("lastName", last).put("email", address)
	p.press(action("create")).at("email-code")
}

// stranger has somebody else's mail come in, for whom nobody waits at a browser of ours.
func (p *person) stranger() mail {
	p.t.Helper()
	other := newPerson(p.t, p.site, desk)
	return other.begin(newAddress())
}

// miss enters wrong codes.
func (p *person) miss(m mail, times int) {
	p.t.Helper()
	wrong := "111111"
	if m.Code == wrong {
		wrong = "222222"
	}
	for range times {
		p.enter(wrong)
	}
}

// choosePassword goes to the page that sets a password.
func (p *person) choosePassword() *person {
	p.t.Helper()
	p.enter(p.begin(newAddress()).Code).at("select-authenticator")
	return p.picks("okta_password").at("set-password")
}

// phone adds a phone that a test plays, and signs in again as far as the list.
func (p *person) phone() *stiletest.Phone {
	p.t.Helper()
	address := newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
	added := p.site.kit.Phone(p.t, eval[string](p, `document.getElementById("here").href`))
	p.skip().signOut()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`a[href*="view=list"]`).at("choose-authenticator").picks("okta_verify").at("verify-method")
	return added
}

// unmailed signs up with an address that cannot be written to, until the page says so.
func (p *person) unmailed(words string) {
	p.t.Helper()
	p.open(p.site.home+"/login/sign-up").at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", newAddress())
	p.press(action("create")).at("email-code")
	p.hears(words)
}

// hears waits until the page tells how the message stands, and sees it anew.
func (p *person) hears(words string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, words))
	p.reload()
	p.says(words)
}

// message opens the newest mail of a sign-up in the inbox.
func (p *person) message(view string) {
	p.t.Helper()
	p.open(p.site.engine + "/dev/inbox/messages/" + p.stranger().ID + "?view=" + view).at("dev-inbox-message")
}
