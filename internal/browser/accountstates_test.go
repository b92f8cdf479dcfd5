package browser_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// accountStates are the pages of one's own account.
var accountStates = []state{
	{name: "account", reach: func(p *person) { p.atAccount(newAddress()) }},
	{name: "account, full", site: detailed, reach: func(p *person) {
		p.atFull(newAddress())
		p.open(p.site.home+"/login/profile").at("profile").says("is waiting for its code", "Not used yet")
	}},
	{name: "account, changed", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/name").at("profile-name").press(action("save")).at("profile").says("Saved.")
	}},
	{name: "account, to be deleted", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/delete").at("profile-delete").press(action("delete")).at("profile")
	}},
	{name: "account, long names", reach: func(p *person) { // UX G60
		address := longAddress()
		p.beginAs(strings.Repeat("W", 50), `<b>"É"</b> `+strings.Repeat("漢", 30)+" 🎉", address)
		p.enter(p.site.mail(p.t, address).Code).skip()
		p.goTo("/login/profile").at("profile")
	}},
	{name: "account, name", site: detailed, reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/name").at("profile-name")
	}},
	{name: "account, name, wrong", site: detailed, reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/name").at("profile-name")
		p.put("firstName", " ").put("age", "old").press(action("save")).at("profile-name")
	}},
	{name: "account, email", reach: func(p *person) { p.toEmail() }},
	{name: "account, email, wrong", reach: func(p *person) {
		p.toEmail().put("email", "ada").press(action("save")).at("profile-email")
	}},
	{name: "account, code", reach: func(p *person) { p.toNewCode() }},
	{name: "account, code, wrong", reach: func(p *person) {
		p.toNewCode().put("verificationCode", "000000").press(action("continue")).at("profile-code")
	}},
	{name: "account, code, sent again", reach: func(p *person) { p.toNewCode().press(action("resend")).at("profile-code") }},
	{name: "account, code, too early", site: patient, reach: func(p *person) {
		p.toNewCode().press(action("resend")).at("profile-code").says("You can ask again in")
	}},
	{name: "account, code, too late", site: alone, reach: func(p *person) {
		p.toNewCode()
		p.site.clock.Advance(11 * time.Minute)
		p.put("verificationCode", "000000").press(action("continue")).at("sign-in")
	}},
	{name: "account, password", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/password").at("profile-password")
	}},
	{name: "account, password, refused", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/password").at("profile-password")
		p.put("password", "short").press(action("save")).at("profile-password")
	}},
	{name: "account, remove", reach: func(p *person) {
		address := newAddress()
		p.site.account(p.t, address, password)
		p.toPassword(address).put("password", password).press(action("continue")).at("home")
		p.goTo("/login/profile").at("profile").press(`main a[href^="/login/profile/remove"]`).at("sign-in")
		last := p.site.mail(p.t, address)
		p.press(action("next")).at("email-code").enter(p.site.mail(p.t, address, last).Code).at("password")
		p.put("password", password).press(action("continue")).at("profile-remove")
	}},
	{name: "account, data", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/data").at("profile-data")
	}},
	{name: "account, delete", reach: func(p *person) {
		p.atAccount(newAddress()).goTo("/login/profile/delete").at("profile-delete")
	}},
	{name: "account, required", site: func(t testing.TB) *site { return stage(t, stiletest.Require("okta_password")) }, reach: func(p *person) {
		address := newAddress()
		p.enter(p.begin(address).Code).at("select-authenticator").picks("okta_password").at("set-password")
		p.put("password", password).press(action("continue")).skip().goTo("/login/profile").at("profile").says("because it is required here")
	}},
	{name: "right to left, account", site: owning(func(o *signin.Options) { o.Catalog = os.DirFS("testdata/words") }), reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=ar")
		p.inOwn()
	}},
	{name: "long words, account", site: owningLongWords, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de")
		p.inOwn()
	}},
	{name: "long words, account code", site: owningLongWords, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de")
		p.inOwn().open(p.site.home+"/login/profile/email").at("profile-email").put("email", newAddress()).press(action("save")).at("profile-code")
	}},
}

func detailed(t testing.TB) *site {
	return stage(t, stiletest.Org("profile: [{name: default, attributes: [{name: team, label: Team, enum: [red, blue]}, {name: age, label: Age, type: number}, {name: news, label: Send me news, type: boolean}]}]"))
}

// owning is an app of its own with the profile.
func owning(change func(*signin.Options)) func(testing.TB) *site {
	return func(t testing.TB) *site {
		return mounted(t, func(c *idx.Config, o *signin.Options) {
			c.Scopes = []string{
				"openid", "profile", "email", "offline_access",
				idx.ScopeProfileManage, idx.ScopeEmailManage, idx.ScopePasswordManage, idx.ScopeSessionsManage,
			}
			change(o)
		})
	}
}

func owningLongWords(t testing.TB) *site {
	catalog := longCatalog(t)
	return owning(func(o *signin.Options) { o.Catalog = catalog })(t)
}

// inOwn signs up in an app of any language, and opens the profile.
func (p *person) inOwn() *person {
	p.t.Helper()
	address := newAddress()
	p.beginAs("Ada", "Lovelace", address)
	p.enter(p.site.mail(p.t, address).Code).at("select-authenticator").press(action("skip")).at("home")
	return p.open(p.site.home + "/login/profile").at("profile")
}

func (p *person) toEmail() *person {
	p.t.Helper()
	return p.atAccount(newAddress()).goTo("/login/profile/email").at("profile-email")
}

func (p *person) toNewCode() *person {
	p.t.Helper()
	return p.toEmail().put("email", newAddress()).press(action("save")).at("profile-code")
}

// atFull has all that a profile can show: two devices, a password, an address that waits.
func (p *person) atFull(address string) {
	p.t.Helper()
	p.atAccount(address).goTo("/login/profile/email").at("profile-email").put("email", newAddress()).press(action("save")).at("profile-code")
	p.open(p.site.home+"/login/profile/password").at("profile-password").put("password", password).press(action("save")).at("profile")
	other := newPerson(p.t, p.site, desk)
	other.toPassword(address).put("password", password).press(action("continue")).at("home")
}

// TestUX_EveryAccountState checks what holds for every page, as TestUX_EveryState does.
func TestUX_EveryAccountState(t *testing.T) { inEveryState(t, accountStates) }
