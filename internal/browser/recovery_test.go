package browser_test

import (
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// forgets begins a recovery at the first page, and goes as far as its code.
func (p *person) forgets(address string) mail {
	p.t.Helper()
	last := p.site.mail(p.t, address)
	p.open(p.site.home + "/login/").at("sign-in").press(`a[href^="/login/recover"]`).at("recover")
	p.put("identifier", address).press(action("next")).at("email-code").says("If there is an account for " + address)
	return p.site.mail(p.t, address, last)
}

func TestUX_P7_1_ANewPassword(t *testing.T) { both(t, choosesANewPassword) }

func choosesANewPassword(t *testing.T, l look) {
	p, address := newPerson(t, l.site(t), l), newAddress()
	p.site.account(t, address, password)
	p.enter(p.forgets(address).Code).at("reset-password").says("Go on without a password")
	p.put("password", password).press(action("continue")).at("reset-password").says("must not be your current password")
	p.renews(address)
}

// renews gives a new password at the end of a recovery. From then on it is the one.
func (p *person) renews(address string) {
	p.t.Helper()
	const other = "a sentence nobody knows"
	p.at("reset-password").put("password", other).press(action("continue")).at("home").isIn(address)
	p.signOut()
	p.toPassword(address).put("password", password).press(action("continue")).at("password").says("not right")
	p.put("password", other).press(action("continue")).at("home").isIn(address)
}

func TestUX_P7_1_WithoutAPassword(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.site.account(t, address, password)
		last := p.toCode(address, p.site.mail(t, address))
		p.press(action("instead")).at("password").press(action("recover")).at("email-code") // UX G30
		p.enter(p.site.mail(t, address, last).Code).at("reset-password").press(action("skip")).at("home").isIn(address)
	})
}

// The address goes along from the first page, where there is script.
func TestRecovery_CarriesTheAddress(t *testing.T) {
	p := newPerson(t, shared(t), desk)
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", "ada@example.com").press(`a[data-carry="recover"]`).at("recover")
	if got := p.value("identifier"); got != "ada@example.com" {
		t.Errorf("the address is %q", got)
	}
	p.press("p.under a").at("sign-in")
}

func withOrg(yaml string) func(testing.TB) *site {
	return func(t testing.TB) *site { return stage(t, stiletest.Org(yaml)) }
}

// passwordStates are the pages of passwords, recovery and what follows a sign-in.
var passwordStates = []state{
	{name: "sign-in, password", site: withOrg("session: [{name: default, primary: password}]"), reach: func(p *person) {
		p.open(p.site.home + "/login/").at("sign-in")
	}},
	{name: "sign-in, password, both wrong", site: withOrg("session: [{name: default, primary: password}]"), reach: func(p *person) {
		p.open(p.site.home + "/login/").at("sign-in").press(action("next")).at("sign-in")
	}},
	{name: "sign-in, password, not right", site: withOrg("session: [{name: default, primary: password}]\npassword: [{name: default, complexity: {minLength: 8}, unlock: true}]"), reach: func(p *person) {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).put("password", "not it").press(action("next")).at("sign-in")
	}},
	{name: "sign-in, once more", site: alone, reach: func(p *person) {
		p.signUp(newAddress())
		p.site.clock.Advance(time.Minute)
		p.open(p.site.home + "/login/?max_age=1").at("sign-in").says("Please show once more")
	}},
	{name: "code, or the password", reach: func(p *person) {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).press(action("next")).at("email-code").says("Use your password instead")
	}},
	{name: "password", reach: func(p *person) { p.toPassword(newAddress()) }},
	{name: "password, not right", reach: func(p *person) {
		p.toPassword(newAddress()).put("password", "not it").press(action("continue")).at("password")
	}},
	{name: "password, long address", reach: func(p *person) { p.toPassword(longAddress()) }},
	{name: "choose", site: requiring, reach: func(p *person) {
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).press(action("next")).at("choose-authenticator")
	}},
	{name: "recover", reach: func(p *person) { p.open(p.site.home + "/login/recover").at("recover") }},
	{name: "recover, wrong", reach: func(p *person) {
		p.open(p.site.home + "/login/recover").at("recover").press(action("next")).at("recover")
	}},
	{name: "recover, closed", site: withOrg("enrollment: [{name: default, authenticators: [{key: okta_email, need: required}]}]"), reach: func(p *person) {
		p.open(p.site.home + "/login/recover").at("error")
	}},
	{name: "unlock", site: withOrg("password: [{name: default, complexity: {minLength: 8}, unlock: true}]"), reach: func(p *person) {
		p.open(p.site.home + "/login/unlock").at("unlock")
	}},
	{name: "reset", reach: func(p *person) { p.toReset() }},
	{name: "reset, refused", reach: func(p *person) {
		p.toReset()
		p.put("password", password).press(action("continue")).at("reset-password")
	}},
	{name: "recovery completed", site: withOrg("password: [{name: default, complexity: {minLength: 8}, noSignIn: true}]"), reach: func(p *person) {
		p.toReset()
		p.put("password", "another sentence").press(action("continue")).at("recovery-completed")
	}},
	{name: "password expiring", site: withOrg(aging), reach: func(p *person) { p.ages(86).at("password-expiring") }},
	{name: "password expired", site: withOrg(aging), reach: func(p *person) { p.ages(91).at("password-expired") }},
	{name: "list, required after sign-in", site: withOrg("access: [{name: default, rules: [{name: default, factors: 2}]}]"), reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("select-authenticator")
	}},
	{name: "profile", site: withOrg(asking), reach: func(p *person) { p.enter(p.begin(newAddress()).Code).skipTo("profile-update") }},
	{name: "profile, wrong", site: withOrg(asking), reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).skipTo("profile-update")
		p.press(action("continue")).at("profile-update")
	}},
	{name: "denied", site: withOrg("access: [{name: default, rules: [{name: default, deny: true}]}]"), reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("denied")
	}},
	{name: "not enough", site: withOrg("enrollment: [{name: default, authenticators: [{key: okta_email, need: required}]}]\naccess: [{name: default, rules: [{name: default, factors: 2}]}]"), reach: func(p *person) {
		p.enter(p.begin(newAddress()).Code).at("not-enough")
	}},
	{name: "long words, password", site: longWords, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de")
		p.toPassword(newAddress())
	}},
	{name: "right to left, password", site: arabic, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=ar")
		p.toPassword(newAddress())
	}},
}

const (
	aging  = "password: [{name: default, complexity: {minLength: 8, minNumber: 0, excludeUsername: true}, maxAge: 90d, warn: 5d}]"
	asking = "profile: [{name: default, attributes: [{name: team, label: Team, when: sign-in, required: true}, {name: size, label: Size, when: sign-in, enum: [S, M]}, {name: news, label: Send me news, when: sign-in, type: boolean}]}]"
)

func (p *person) skipTo(page string) *person {
	p.t.Helper()
	return p.at("select-authenticator").press(action("skip")).at(page)
}

// toPassword goes to the page that asks for the password of an address.
func (p *person) toPassword(address string) *person {
	p.t.Helper()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	return p.press(action("instead")).at("password")
}

// toReset recovers a password as far as the page for the new one.
func (p *person) toReset() {
	p.t.Helper()
	address := newAddress()
	p.site.account(p.t, address, password)
	p.enter(p.forgets(address).Code).at("reset-password")
}

// ages signs in by a password that was chosen so many days ago.
func (p *person) ages(days time.Duration) *person {
	p.t.Helper()
	address := newAddress()
	p.site.account(p.t, address, password)
	p.site.clock.Advance(days * 24 * time.Hour)
	return p.toPassword(address).put("password", password).press(action("continue"))
}

// TestUX_EveryPasswordState checks what holds for every page, as TestUX_EveryState does.
func TestUX_EveryPasswordState(t *testing.T) { inEveryState(t, passwordStates) }
