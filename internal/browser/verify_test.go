package browser_test

import (
	"slices"
	"strings"
	"testing"
)

// pick presses the number on the phone that the browser shows, or another one.
func (p *person) pick(number string, right bool) {
	p.t.Helper()
	p.wait(`document.querySelectorAll(".request .numbers button").length === 3`)
	all := eval[[]string](p, `[...document.querySelectorAll(".request .numbers button")].map((b) => b.textContent)`)
	if !slices.Contains(all, number) {
		p.t.Fatalf("the phone shows %v, the browser %s", all, number)
	}
	if !right {
		number = all[(slices.Index(all, number)+1)%3]
	}
	eval[bool](p, `([...document.querySelectorAll(".request .numbers button")].find((b) => b.textContent === "`+number+`").click(), true)`)
}

func (p *person) number() string {
	p.t.Helper()
	return strings.TrimSpace(eval[string](p, `document.getElementById("number").textContent`))
}

// adds opens a link on the phone, and presses once.
func (p *person) adds(link string) *person {
	p.t.Helper()
	p.open(link).at("phone-link").says("Sign in with this device?")
	p.click("#add button")
	p.wait(`!!document.querySelector(".account .code") && /^\d{3} \d{3}$/.test(document.querySelector(".account .code").textContent)`)
	return p.says("Done. Go on where you started.")
}

// A second browser profile plays the phone: it is added at sign-up, approves the
// next sign-in, denies another one, and shows a code for a third (issue: Okta Verify).
func TestAUTH_A22_A27_A28_APhoneInAnotherBrowser(t *testing.T) {
	s := shared(t)
	p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320}), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator").says("Okta Verify", "Password")
	p.press(action("submit")).at("verify-set-up").says("Scan this code", "A phone cannot open this code", "Open on this computer")
	if got := eval[float64](p, `document.querySelector(".picture img").naturalWidth`); got < 100 {
		t.Errorf("the QR code is %v pixels wide", got)
	}
	link := eval[string](p, `document.getElementById("here").href`)
	phone.adds(link).says(address)
	p.at("select-authenticator").says("Okta Verify added: ").press(action("skip")).at("home").isIn(address)
	p.signOut()

	again := newPerson(t, s, look{width: 320, dark: true})
	again.seen.gone = true
	again.open(link).at("phone-link").click("#add button")
	again.wait(`!document.getElementById("gone").hidden`)
	again.says("This link was already used")

	approving := func() {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
		p.press(`a[href*="view=list"]`).at("choose-authenticator")
		p.click("#authenticator-okta_verify")
		p.press(action("submit")).at("verify-method").press(action("push")).at("verify-push")
	}
	approving()
	phone.open(s.engine + "/phone").at("phone")
	phone.wait(`!!document.querySelector(".request")`)
	phone.says(address, "Press the number")
	phone.pick(p.number(), true)
	phone.wait(`!document.getElementById("notice").hidden`)
	phone.says("Approved.")
	p.at("home").isIn(address)
	p.signOut()

	approving()
	phone.pick(p.number(), false)
	p.wait(`!document.getElementById("number")`)
	p.at("verify-push").says("Not approved", "another number was pressed", "Send again")
	p.press(action("push")).at("verify-push")
	phone.wait(`!!document.querySelector(".request:not([data-sent])")`)
	phone.click(".request .deny")
	p.wait(`!document.getElementById("number")`)
	p.at("verify-push").says("Not approved")

	p.press(action("totp")).at("verify-code")
	p.put("verificationCode", "000000").press(action("continue")).at("verify-code").says("Enter the one that your phone shows now")
	code := strings.ReplaceAll(eval[string](phone, `document.querySelector(".account .code").textContent`), " ", "")
	p.put("verificationCode", code).press(action("continue")).at("home").isIn(address)

	// Removed on the profile page: the phone is told.
	p.open(p.site.home + "/login/profile").at("profile").says("Okta Verify")
	phone.seen.gone = true
	p.press(`main a[href^="/login/profile/remove"]`).at("profile-remove").press(action("remove")).at("profile").says("Removed.")
	if p.has(`a[href^="/login/profile/remove"]`) {
		t.Error("it is there still")
	}
	phone.wait(`document.body.textContent.includes("This device was removed from the account.")`)
}

// The link by mail, as it arrives in the inbox of development.
func TestAUTH_A25_TheLinkByMail(t *testing.T) {
	s := shared(t)
	p, phone, address := newPerson(t, s, look{width: 320, dark: true}), newPerson(t, s, desk), newAddress()
	first := p.begin(address)
	p.enter(first.Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
	p.press(`[name="channel"][value="email"]`).at("verify-send")
	p.put("email", "no address").press(action("continue")).at("verify-send")
	p.put("email", address).press(action("continue")).at("verify-set-up").says("We sent a link to " + address)
	phone.adds(p.site.mail(t, address, first).Link)
	p.at("select-authenticator").says("Okta Verify added: ")
}

// Without script the page waits for a press.
func TestUX_G6_APhoneWithoutScriptHere(t *testing.T) {
	s := shared(t)
	p, phone, address := newPerson(t, s, look{width: 320, noScript: true}), newPerson(t, s, desk), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
	p.press(action("check")).at("verify-set-up").says("Not yet")
	link := eval[string](p, `document.getElementById("here").href`)
	phone.adds(link)
	p.press(action("check")).at("select-authenticator")
}

// A phone's clock may be wrong by less than a statement may be: its codes are of the
// engine's time all the same, from the first answer on, and again when it is set.
func TestAPhoneWhoseClockIsWrong(t *testing.T) {
	s := shared(t)
	p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320}), newAddress()
	phone.atEachPage(`{ const real = Date.now; window.slow = 50_000; Date.now = () => real() - window.slow; }`)
	p.enter(p.begin(address).Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
	phone.adds(eval[string](p, `document.getElementById("here").href`))
	phone.wait(`Math.abs(ahead - 50_000) < 2_000`)
	p.at("select-authenticator").press(action("skip")).at("home")
	p.signOut()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`a[href*="view=list"]`).at("choose-authenticator")
	p.click("#authenticator-okta_verify")
	p.press(action("submit")).at("verify-method").press(action("totp")).at("verify-code")
	code := strings.ReplaceAll(eval[string](phone, `document.querySelector(".account .code").textContent`), " ", "")
	p.put("verificationCode", code).press(action("continue")).at("home").isIn(address)
	eval[bool](phone, `(window.slow = -5_000, look(), true)`)
	phone.wait(`Math.abs(ahead + 5_000) < 2_000`)
}
