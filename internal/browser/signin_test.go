package browser_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

const password = "correct horse battery staple"

// toCode sends the first form of a sign-in, as far as the code page.
func (p *person) toCode(address string, last ...mail) mail {
	p.t.Helper()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	return p.site.mail(p.t, address, last...)
}

func TestSignIn_ByCode(t *testing.T) { both(t, signsInByCode) }

func signsInByCode(t *testing.T, l look) {
	p, address := newPerson(t, l.site(t), l), newAddress()
	p.site.account(t, address, "")
	first := p.site.mail(t, address)
	p.enter(p.toCode(address, first).Code).at("home")
	p.isIn(address)
	p.back() // G54
	p.at("already-signed-in")
	p.signOut() // UX P7.7
	p.open(p.site.home + "/login/sign-out").at("signed-out")
}

// The link of a sign-in mail signs in where it was asked for.
func TestUX_M2_SignInByLink(t *testing.T) { both(t, signsInByLink) }

func signsInByLink(t *testing.T, l look) {
	p, address := newPerson(t, l.site(t), l), newAddress()
	p.site.account(t, address, "")
	m := p.toCode(address, p.site.mail(t, address))
	p.says("If there is an account for " + address) // UX P3.1
	linked := p.tab()
	linked.open(m.Link)
	if l.noScript {
		linked.at("link-continue").press(action("continue"))
	}
	linked.at("home").isIn(address)
	if l.noScript {
		p.press(action("check"))
	}
	p.at("home").isIn(address) // the page that waits goes on too
}

func TestSignIn_ByPassword(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.site.account(t, address, password)
		p.toCode(address, p.site.mail(t, address))
		p.press(action("instead")).at("password").says(address)
		p.put("password", "not it at all").press(action("continue")).at("password").says("That password is not right")
		p.wantFocus("G24", "password")
		p.reload()
		p.at("password").put("password", password)
		if !l.noScript {
			eval[bool](p, `(document.querySelector("button.reveal").click(), true)`)
			if got := eval[string](p, `document.getElementById("password").type`); got != "text" {
				t.Errorf("Show leaves the field a %s", got)
			}
		} else if p.has("button.reveal") {
			t.Error("there is a button that does nothing without script")
		}
		if got := p.value("password"); got != password {
			t.Errorf("the field holds %q", got)
		}
		p.press(action("continue")).at("home").isIn(address)
	})
}

func TestSignIn_PasswordOnTheFirstForm(t *testing.T) {
	org := stiletest.Org("session: [{name: default, primary: password}]")
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t, org), l), newAddress()
		p.site.account(t, address, password)
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).put("password", "not it at all")
		p.press(action("next")).at("sign-in").says("The email or the password is not right")
		if got := p.value("identifier"); got != address {
			t.Errorf("UX G24: the address is %q", got)
		}
		p.put("password", password).press(action("next")).at("home").isIn(address)
	})
}

func TestSignIn_TwoFactors(t *testing.T) { inLooks(t, []look{desk}, showsTwoFactors) }

func showsTwoFactors(t *testing.T, l look) {
	const org = "access: [{name: default, rules: [{name: default, factors: 2}]}]"
	p, address := newPerson(t, l.siteOf(t, org), l), newAddress()
	p.site.account(t, address, password)
	m := p.toCode(address, p.site.mail(t, address))
	p.enter(m.Code).at("password").put("password", password).press(action("continue")).at("home").isIn(address)
}

// What a profile lacks is asked for after the sign-in, three fields at a time.
func TestUX_P7_6_ProfileAfterSignIn(t *testing.T) {
	const org = `profile: [{name: default, attributes: [
  {name: team, label: Team, when: sign-in, required: true, pattern: "[a-z]+"}, {name: size, label: Size, when: sign-in, enum: [S, M]},
  {name: news, label: Send me news, when: sign-in, type: boolean}, {name: late, label: Late, when: sign-in}]}]`
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, l.siteOf(t, org), l), newAddress()
		p.enter(p.begin(address).Code).skipTo("profile-update").says("A few more details", "Team", "Size (optional)", "Send me news")
		if n := eval[int](p, `document.querySelectorAll("main .fields :is(input, select)").length`); n != 3 {
			t.Errorf("%d fields at a time", n)
		}
		if p.has(action("skip")) {
			t.Error("what is required can be skipped")
		}
		p.choose("size", "M").put("team", "Red 1").press(action("continue")).at("profile-update").holds("team", "Red 1").holds("size", "M")
		p.wantFocus("G24", "team")
		p.reload()
		p.at("profile-update").put("team", "red").press(action("continue"))
		p.at("profile-update").says("Late", "Skip for now").press(action("skip")).at("home").isIn(address)

		// At the next sign-in what was skipped comes again, until it is there; the rest does not.
		p.signOut()
		p.enter(p.toCode(address, p.site.mail(t, address)).Code).at("profile-update").says("Late")
		p.put("late", "never").press(action("continue")).at("home").isIn(address)
	})
}

func TestUX_P1_7_RememberedAddress(t *testing.T) {
	p, address := newPerson(t, shared(t), desk), newAddress()
	p.site.account(t, address, "")
	for _, ticked := range []bool{false, true} {
		last := p.site.mail(t, address)
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address)
		eval[bool](p, fmt.Sprintf(`document.getElementById("remember").checked = %v`, ticked))
		p.press(action("next")).at("email-code").enter(p.site.mail(t, address, last).Code).at("home")
		p.signOut()
		want := map[bool]string{true: address}[ticked]
		if got := p.open(p.site.home + "/login/").at("sign-in").value("identifier"); got != want {
			t.Errorf("ticked %v: the address is %q, want %q", ticked, got, want)
		}
	}
}

// Closing the tab and coming back goes on where the person was (UX P3.14).
func TestSignIn_ClosedAndBack(t *testing.T) {
	p, address := newPerson(t, shared(t), desk), newAddress()
	p.site.account(t, address, "")
	first := p.site.mail(t, address)
	away := p.tab()
	m := away.toCode(address, first)
	away.close()
	back := p.tab()
	back.open(p.site.home + "/login/").at("sign-in").says("A code for " + address + " is waiting")
	back.press(".notice a").at("email-code").enter(m.Code).at("home").isIn(address)
	again := p.tab()
	again.open(p.site.home + "/").at("home").isIn(address)
}

// The tab of a password that is too late begins again with the address filled in.
func TestSignIn_TooLate(t *testing.T) {
	p, address := newPerson(t, stage(t), desk), newAddress()
	p.site.account(t, address, password)
	p.toCode(address, p.site.mail(t, address))
	p.press(action("instead")).at("password")
	p.site.clock.Advance(61 * time.Minute)
	p.put("password", password).press(action("continue")).at("too-old").press(action("restart")).at("sign-in")
	if got := p.value("identifier"); got != address {
		t.Errorf("the address is %q", got)
	}
}
