package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// goTo presses the link to an address of the app.
func (p *person) goTo(path string) *person {
	p.t.Helper()
	return p.press(`main a[href="` + path + `"]`)
}

// atAccount signs up, and opens the profile by the app's link.
func (p *person) atAccount(address string) *person {
	p.t.Helper()
	p.signUp(address)
	return p.press("#account").at("profile").says("Your account", "Ada Lovelace", address)
}

// proves goes through the sign-in that a page asked for.
func (p *person) proves(address string) *person {
	p.t.Helper()
	last := p.site.mail(p.t, address)
	p.at("sign-in").says("Please show once more that you are " + address)
	if got := p.value("identifier"); got != address { // UX G30
		p.t.Errorf("the address is %q", got)
	}
	p.press(action("next")).at("email-code")
	return p.enter(p.site.mail(p.t, address, last).Code)
}

func TestProfile_Name(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.atAccount(address).goTo("/login/profile/name").at("profile-name")
		p.put("firstName", " ").put("lastName", "Byron").press(action("save")).at("profile-name").says("Enter your first name")
		if got := p.value("lastName"); got != "Byron" {
			t.Errorf("UX G24: %q", got)
		}
		p.put("firstName", "Augusta").press(action("save")).at("profile").says("Saved.", "Augusta Byron")
		p.reload() // UX G6
		p.at("profile").goTo("/").at("home")
		if got := eval[string](p, `document.getElementById("name").textContent`); got != "Augusta Byron" {
			t.Errorf("the app knows %q", got)
		}
		if !l.noScript { // a page that the browser has kept loads nothing, which is what back waits for
			p.back()
			p.at("profile").says("Augusta Byron")
		}
	})
}

func TestUX_P7_4_ChangeAndUndo(t *testing.T) { both(t, changesEmailAndUndoes) }

func changesEmailAndUndoes(t *testing.T, l look) {
	p, old, next := newPerson(t, l.site(t), l), newAddress(), newAddress()
	p.atAccount(old).goTo("/login/profile/email").at("profile-email").says(old)
	p.put("email", next).press(action("save")).at("profile-code").says("We sent a code to "+next, old+" stays your email")
	first := p.site.mail(t, next) // each is waited for: an engine that is killed before it is out sends it a minute later
	p.open(p.site.home + "/login/profile").at("profile").says(next + " is waiting for its code").goTo("/login/profile/code").at("profile-code")
	p.put("verificationCode", "000000").press(action("continue")).at("profile-code").says("That code is not right")
	p.press(action("resend")).at("profile-code").says("We sent it again at")
	told := p.site.mail(t, old)
	p.enter(p.site.mail(t, next, first).Code).at("profile").says("Your email is changed", next)
	m := p.site.mail(t, old, told)
	p.open(p.site.home + "/").at("home").isIn(next)

	// Whoever reads the old mailbox gives the address back, and everybody is out.
	owner := newPerson(t, p.site, l)
	owner.open(m.Link).at("undo-good").says("This was not me", "@example.com is the email of the account again")
	owner.press("main button").at("undo-done").says("Your address is back")
	last := p.site.mail(t, old, m) // tells of it
	p.open(p.site.home + "/login/profile").at("sign-in")
	p.open(p.site.home + "/").at("landing")
	owner.enter(owner.toCode(old, last).Code).at("home").isIn(old)
}

// An address that has an account looks like any other.
func TestUX_P7_4_TakenAddress(t *testing.T) {
	p, taken := newPerson(t, stage(t), desk), newAddress()
	p.site.account(t, taken, "")
	p.atAccount(newAddress()).goTo("/login/profile/email").at("profile-email")
	before := len(p.site.mails(t, taken, "", 0))
	p.put("email", taken).press(action("save")).at("profile-code").says("We sent a code to " + taken)
	p.put("verificationCode", "123456").press(action("continue")).at("profile-code").says("That code is not right")
	p.press(action("cancel")).at("profile").says("Your email stays as it was.")
	if n := len(p.site.mails(t, taken, "", 0)); n != before {
		t.Errorf("%d mails to somebody else", n-before)
	}
}

func TestUX_P7_3_RemoveAndTheLastStays(t *testing.T) { both(t, removesPassword) }

func removesPassword(t *testing.T, l look) {
	site, address := l.site(t), newAddress()
	p, other := newPerson(t, site, l), newPerson(t, site, l)
	p.atAccount(address).goTo("/login/profile/password").at("profile-password")
	last := site.mail(t, address)
	p.put("password", "short").press(action("save")).at("profile-password").says("That password does not do")
	p.put("password", password).press(action("save")).at("profile").says("Your password is saved", "Not used yet")
	if p.has(`a[href^="/login/profile/remove"]`) != true {
		t.Error("the password cannot be removed")
	}
	p.says("It cannot be removed, because your account is found by it")
	last = site.mail(t, address, last) // tells of it
	last = other.toCode(address, last)
	other.press(action("instead")).at("password").put("password", password).press(action("continue")).at("home").isIn(address)
	// It was not shown yet: removing it asks for both.
	p.press(`main a[href^="/login/profile/remove"]`).at("sign-in")
	p.press(action("next")).at("email-code").enter(site.mail(t, address, last).Code).at("password")
	p.put("password", password).press(action("continue")).at("profile-remove").says("Remove Password?")
	p.pressTwice(action("remove"))
	p.at("profile").says("Removed.", "Set a password")
	if p.has(`a[href^="/login/profile/remove"]`) {
		t.Error("the last one can be removed")
	}

	// Whoever was in by it is out, and does not get in by it again.
	other.open(site.home + "/login/profile").at("sign-in")
	other.open(site.home + "/").at("landing")
	other.toPassword(address).put("password", password).press(action("continue")).at("password").says("That password is not right")
}

func TestUX_P7_2_OneDeviceAndEverywhere(t *testing.T) {
	inLooks(t, []look{{width: 320, noScript: true}, {width: 1280, dark: true}}, func(t *testing.T, l look) {
		site, address := stage(t), newAddress()
		p, other := newPerson(t, site, l), newPerson(t, site, l)
		p.atAccount(address).says("Chrome on Linux", "This device", "127.0.0.1", "Last seen")
		other.enter(other.toCode(address, site.mail(t, address)).Code).at("home").isIn(address)
		other.open(site.home+"/login/profile/name").at("profile-name").put("lastName", "Byron")
		p.reload()
		p.at("profile").press(action("end-device")).at("profile").says("Signed out there.")
		if p.has(action("end-device")) {
			t.Error("the other is listed still")
		}
		other.press(action("save")).at("sign-in")
		p.reload()
		p.at("profile").says("Ada Lovelace") // what it was about to save is not
		other.open(site.home + "/").at("landing")

		// Another tab of the first browser, and the other browser once more.
		tab := p.tab()
		tab.open(site.home + "/").at("home")
		other.enter(other.toCode(address, site.mail(t, address)).Code).at("home")
		p.press(action("end-all")).at("signed-out")
		tab.reload()
		tab.at("landing")
		site.clock.Advance(61 * time.Second) // apps ask again within a minute
		other.open(site.home + "/").at("landing")
	})
}

func TestUX_P7_5_DeleteAndKeep(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.atAccount(address)
		last := p.site.mail(t, address)
		p.goTo("/login/profile/delete").at("profile-delete").says("deleted in 7 days").press(action("delete"))
		p.at("profile").says("Your account will be deleted on", "Keep my account").press(action("keep")).at("profile").says("Your account stays.")
		first := p.site.mail(t, address, last)
		if !l.noScript {
			p.back() // to the page that said so before, which is looked up anew
			p.at("profile").wait(`!document.body.innerText.includes("will be deleted")`)
		}
		p.goTo("/login/profile/delete").at("profile-delete").press(action("delete")).at("profile")
		m := p.site.mail(t, address, first)
		reader := newPerson(t, p.site, l)
		reader.open(m.Link).at("keep-good").press("main button").at("keep-done").says("Your account stays")
		p.reload()
		p.at("profile")
		if strings.Contains(p.text(), "will be deleted") {
			t.Error("it is deleted still")
		}
	})
}

// The proof is asked for before the form; one that grows old under it, with what
// was typed there again. Two tabs do not meet.
func TestUX_P7_3_StepUpInTheMiddle(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address, next := newPerson(t, stage(t), l), newAddress(), newAddress()
		p.atAccount(address)
		p.site.clock.Advance(20 * time.Minute)
		p.goTo("/login/profile/email").proves(address).at("profile-email")
		tab := p.tab()
		tab.open(p.site.home+"/login/profile/name").at("profile-name").put("lastName", "Byron")
		p.put("email", next)
		p.site.clock.Advance(20 * time.Minute)
		p.press(action("save")).proves(address).at("profile-email")
		if got := p.value("email"); got != next {
			t.Errorf("UX G24: %q", got)
		}
		p.press(action("save")).at("profile-code").enter(p.site.mail(t, next).Code).at("profile").says("Your email is changed", next)
		tab.press(action("save")).at("profile").says("Ada Byron", next)
		p.back()
		p.at("profile").says(next) // the code's page is over
		if strings.Contains(p.text(), "waiting") {
			t.Error("something waits")
		}
	})
}

func TestUX_P7_5_Download(t *testing.T) {
	p, address := newPerson(t, shared(t), desk), newAddress()
	p.atAccount(address).goTo("/login/profile/data").at("profile-data")
	// What the button leads to, read by the page itself: a download leaves no page to look at.
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`fetch(document.querySelector("main a.button").href).then(async (answer) =>
		answer.headers.get("Content-Disposition") + " " + (JSON.parse(await answer.text())).user.email)`, chromedp.EvalAwaitPromise))
	if err != nil || got != `attachment; filename="account-data.json" `+address {
		t.Errorf("%q, %v", got, err)
	}
}

// What is announced while somebody aims at a button does not move it.
func TestCodePage_NothingMoves(t *testing.T) {
	inLooks(t, []look{{width: 320}, {width: 1280}}, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		p.stopTime()
		p.begin(newAddress())
		tops := `JSON.stringify([...document.querySelectorAll("main button, main input:not([type=hidden]), main a")].filter((e) => e.checkVisibility()).map((e) => Math.round(e.getBoundingClientRect().top + scrollY)))`
		p.quiet(2)
		before := eval[string](p, tops)
		eval[string](p, `(say("The mail to somebody with a rather long address is on its way now."), "")`)
		if after := eval[string](p, tops); after != before {
			t.Errorf("an announcement moves %s to %s", before, after)
		}
		p.advance(11 * time.Minute)
		p.wait(`document.getElementById("live").textContent.includes("too old")`)
		if after := eval[string](p, tops); after != before {
			t.Errorf("the end of the code moves %s to %s", before, after)
		}
	})
}
