package browser_test

import "testing"

// Back leads to the page before, filled in, or to where the sign-in is now; from the
// app to who is signed in.
func TestUX_G50_BackInSignInAndRecovery(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.site.account(t, address, password)

		first := p.toCode(address, p.site.mail(t, address))
		p.back()
		p.at("sign-in").holds("identifier", address).press(action("next")).at("email-code")
		second := p.site.mail(t, address, first)
		p.press(action("instead")).at("password")
		p.back()
		p.at("password").press(action("instead")).at("email-code") // sends none: the newest is good still
		p.enter(second.Code).at("home").isIn(address)
		p.back()
		p.at("already-signed-in").says(address).press("main a.button").at("home")
		p.signOut()

		first = p.forgets(address)
		p.back()
		p.at("recover").holds("identifier", address).press(action("next")).at("email-code")
		if l.noScript { // else the form is of the same recovery still, and sends no second mail
			first = p.site.mail(t, address, first)
		}
		p.enter(first.Code).at("reset-password").put("password", "short").press(action("continue")).at("reset-password")
		p.back()
		p.at("reset-password").put("password", "a sentence nobody knows").press(action("continue")).at("home").isIn(address)
		p.back()
		p.at("already-signed-in").says(address)
	})
}

// Tabs that sign the same person in, or recover their password, end well each.
func TestUX_G52_TwoTabsOfOnePerson(t *testing.T) {
	t.Parallel()
	p, address := newPerson(t, shared(t), desk), newAddress()
	p.site.account(t, address, password)
	byPassword, late := p.tab(), p.tab()
	last := byPassword.toCode(address, p.site.mail(t, address))
	byPassword.press(action("instead")).at("password").put("password", password)
	late.open(p.site.home+"/login/").at("sign-in").put("identifier", address)
	last = p.toCode(address, last)
	p.enter(last.Code).at("home").isIn(address)
	byPassword.holds("password", password).press(action("continue")).at("home").isIn(address)
	late.holds("identifier", address)
	late.press(action("next")).at("email-code").enter(p.site.mail(t, address, last).Code).at("home").isIn(address)
	p.signOut()

	waiting, proven := p.tab(), p.tab()
	proven.enter(proven.forgets(address).Code).at("reset-password").put("password", "one sentence nobody knows")
	other := waiting.forgets(address)
	p.enter(p.forgets(address).Code).at("reset-password").put("password", "another one nobody knows").press(action("continue")).at("home").isIn(address)
	// What was proven before the new password is void; what is proven after it is not.
	proven.press(action("continue")).at("too-old").press(action("restart")).at("already-signed-in")
	waiting.enter(other.Code).at("reset-password").renews(address)
}
