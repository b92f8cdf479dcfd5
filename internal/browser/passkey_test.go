package browser_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// A key is a passkey's device, played by the browser.
type key struct {
	p  *person
	id webauthn.AuthenticatorID
}

// keyOf gives the person's tab a device that knows its owner.
func keyOf(p *person, change ...func(*webauthn.VirtualAuthenticatorOptions)) *key {
	p.t.Helper()
	o := &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}
	for _, f := range change {
		f(o)
	}
	p.do(command(webauthn.Enable, webauthn.EnableParams{}))
	k := &key{p: p}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		made, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: o})
		k.id = made.AuthenticatorID
		return err
	}))
	p.t.Cleanup(func() { _ = p.try(command(webauthn.Disable, cdp.Empty{})) }) // the profile is somebody else's next
	return k
}

// gone takes the device away.
func (k *key) gone() {
	k.p.t.Helper()
	k.p.do(command(webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: k.id}))
}

// touched says whether somebody touches it when it is asked.
func (k *key) touched(on bool) {
	k.p.t.Helper()
	k.p.do(command(webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: k.id, Enabled: on}))
}

// recognized says whether it takes who touches it for its owner.
func (k *key) recognized(on bool) {
	k.p.t.Helper()
	k.p.do(command(webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: k.id, IsUserVerified: on}))
}

// unlisted makes the browser one that lists no passkeys in fields: what plays the
// device answers to that without anybody having chosen.
func (k *key) unlisted() {
	k.p.t.Helper()
	k.p.atEachPage("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
}

// forges says whether its signatures are wrong.
func (k *key) forges(on bool) {
	k.p.t.Helper()
	k.p.do(command(webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: k.id, IsBogusSignature: &on}))
}

func passkeys(t testing.TB, options ...stiletest.Option) *site {
	t.Helper()
	return named(t, append(options, stiletest.Offer("webauthn"))...)
}

// addPasskey signs up and sets one up at the list.
func (p *person) addPasskey(address string) {
	p.t.Helper()
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.passkeyFirst().press(action("submit")).at("set-passkey").says("Set up a passkey")
	p.press(action("continue")).at("select-authenticator").says("Passkey or security key added.")
}

// passkeyFirst waits until the list has it in the first place, and chosen: the browser
// says so late that it can hold one.
func (p *person) passkeyFirst() *person {
	p.t.Helper()
	p.wait(`document.querySelector("#authenticator input").id === "authenticator-webauthn" && document.getElementById("authenticator-webauthn").checked`)
	return p
}

func TestUX_P1_6_P5_7_P5_8_AUTH_A30_Passkey(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator")
	if p.has("#authenticator-webauthn:checked") || eval[bool](p, `document.querySelector("#authenticator input").id === "authenticator-webauthn"`) {
		t.Error("UX P5.7: it comes first where nothing can hold one")
	}
	k := keyOf(p)
	p.reload()
	p.at("select-authenticator").passkeyFirst().says("Use Face ID, fingerprint or PIN next time")
	p.press(action("submit")).at("set-passkey")
	p.press(`main p.under a`).at("select-authenticator").passkeyFirst() // UX P5.8
	p.press(action("submit")).at("set-passkey")
	p.press(action("continue")).at("select-authenticator").says("Passkey or security key added.")
	p.skip().isIn(address)
	k.touched(false)
	p.signOut()
	sent := len(p.site.mails(t, address, "", 0))

	// In the field's own list.
	k.touched(true)
	p.open(p.site.home + "/login/")
	p.at("home").isIn(address)

	// By the button, where nothing answers before it is pressed.
	k.unlisted()
	p.signOut()
	p.open(p.site.home + "/login/").at("sign-in").says("Sign in with a passkey")
	p.press(action("passkey")).at("home").isIn(address)
	if n := len(p.site.mails(t, address, "", 0)); n != sent {
		t.Errorf("UX P1.6: %d mails were sent", n-sent)
	}
}

// In place of the mailed code, and as the second of two factors.
func TestPasskey_AsAFactor(t *testing.T) {
	const org = `
access: [{name: default, rules: [{name: default, factors: 2}]}]
enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_password, need: optional}, {key: webauthn, need: optional}]}]`
	p, address := newPerson(t, named(t, stiletest.Org(org)), desk), newAddress()
	k := keyOf(p)
	p.enter(p.begin(address).Code).at("select-authenticator").says("Set up one more way")
	p.passkeyFirst().press(action("submit")).at("set-passkey").press(action("continue")).skip().isIn(address)
	k.touched(false)
	p.signOut()
	k.touched(true)
	last := p.site.mail(t, address)
	p.show(look{width: 1280, noScript: true})
	last = p.toCode(address, last)
	p.enter(last.Code).at("passkey").says("Passkeys need JavaScript", "Switch it on, or go on in another browser.") // there is no other way
	p.show(desk)
	p.reload()
	p.at("passkey").says("Use your passkey", "You are signing in as "+address)
	p.press(action("continue")).at("home").isIn(address)

	k.touched(false)
	p.signOut()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`main p.under a`).at("choose-authenticator")
	p.click("#authenticator-webauthn").press(action("submit")).at("passkey").says(address)
	k.touched(true)
	p.press(action("continue")).at("home").isIn(address) // it knows its owner: that is two
}

func TestPasskey_WhatGoesWrong(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	k := keyOf(p)
	p.addPasskey(address)
	p.skip()
	k.touched(false)
	p.signOut()

	// It does not know who touches it.
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`main p.under a`).at("choose-authenticator")
	p.click("#authenticator-webauthn").press(action("submit")).at("passkey")
	k.recognized(false)
	k.touched(true)
	p.click(action("continue"))
	p.wait(`document.querySelector("[role=alert]") !== null`)
	p.says("That was cancelled, or took too long")
	k.recognized(true)

	// Its signature is not right; then it is.
	k.forges(true)
	p.press(action("continue")).at("passkey").says("That passkey did not sign you in")
	k.forges(false)
	p.press(action("continue")).at("home").isIn(address)

	// From the sign-in page.
	k.unlisted()
	p.signOut()
	k.forges(true)
	p.open(p.site.home + "/login/").at("sign-in")
	p.press(action("passkey")).at("sign-in").says("That passkey did not sign you in")
}

func TestPasskey_ProfileShowsAndRemoves(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	k := keyOf(p)
	k.unlisted()
	p.addPasskey(address)
	p.skip()
	last := p.site.mail(t, address)
	p.signOut()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.enter(p.site.mail(t, address, last).Code).at("home")
	p.press("#account").at("profile").says("This device", "Passkey or security key")
	// SEC S-56: it is more than the code that was shown, and of an earlier sign-in.
	p.press(`main a[href^="/login/profile/remove"]`).proves(address).at("passkey").press(action("continue"))
	p.at("profile-remove").says("Remove This device?").press(action("remove")).at("profile").says("Removed.")
	if p.has(`a[href^="/login/profile/remove"]`) {
		t.Error("it is there still")
	}
	p.signOut()
	p.open(p.site.home + "/login/").at("sign-in")
	p.press(action("passkey")).at("sign-in").says("That passkey did not sign you in")
}

func TestUX_EveryState_Passkeys(t *testing.T) { inEveryState(t, passkeyStates) }

func keyed(t testing.TB) *site { return passkeys(t) }

// keyedAlone asks everybody for a key, and has no other way on.
func keyedAlone(t testing.TB) *site {
	return named(t, stiletest.Org(`
enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: webauthn, need: required}]}]`))
}

func wordyKeyed(t testing.TB) *site {
	catalog := longCatalog(t)
	return mounted(t, func(_ *idx.Config, o *signin.Options) { o.Catalog = catalog }, stiletest.Offer("webauthn"))
}

// passkeyStates are the pages of passkeys, and those that they change.
var passkeyStates = []state{
	{name: "passkeys, sign-in", site: keyed, reach: func(p *person) {
		p.open(p.site.home + "/login/").at("sign-in").wait(`!document.getElementById("passkey").hidden`)
	}},
	{name: "passkeys, sign-in, nobody there", site: keyed, reach: func(p *person) {
		keyOf(p).unlisted()
		p.open(p.site.home + "/login/").at("sign-in").click(action("passkey"))
		p.wait(`document.querySelector("[role=alert]") !== null`)
		p.says("That was cancelled")
	}},
	{name: "passkeys, list", site: keyed, reach: func(p *person) { p.enter(p.begin(newAddress()).Code).at("select-authenticator") }},
	{name: "passkeys, list, of the device", site: keyed, reach: func(p *person) {
		keyOf(p)
		p.enter(p.begin(newAddress()).Code).at("select-authenticator")
		p.wait(`document.getElementById("authenticator-webauthn").checked`)
	}},
	{name: "passkeys, list, added", site: keyed, reach: func(p *person) {
		keyOf(p)
		p.addPasskey(newAddress())
	}},
	{name: "passkeys, set up", site: keyed, reach: func(p *person) { p.toSetUp() }},
	{name: "passkeys, set up, cancelled", site: keyed, reach: func(p *person) {
		keyOf(p).recognized(false)
		p.toSetUp()
		p.insist()
		p.click(action("continue"))
		p.wait(`document.querySelector("[role=alert]") !== null`)
	}},
	{name: "passkeys, set up, no script", site: keyed, reach: func(p *person) {
		p.show(look{width: 1280, noScript: true})
		p.toSetUp().says("Passkeys need JavaScript")
	}},
	{name: "passkeys, set up, not able", site: keyed, reach: func(p *person) {
		p.unable()
		p.toSetUp()
		p.wait(`document.querySelector("[role=alert]") !== null`)
		p.says("This browser cannot use passkeys here")
	}},
	{name: "passkeys, set up, no other way", site: keyedAlone, reach: func(p *person) {
		p.unable()
		p.enter(p.begin(newAddress()).Code).at("select-authenticator").press(action("submit")).at("set-passkey")
		p.wait(`document.querySelector("[role=alert]") !== null`)
		p.says("Go on in another browser, or on another device.")
	}},
	{name: "passkeys, use", site: keyed, reach: func(p *person) { p.toPasskey(newAddress()) }},
	{name: "passkeys, use, not right", site: keyed, reach: func(p *person) {
		address, k := newAddress(), keyOf(p)
		k.unlisted()
		p.addPasskey(address)
		p.skip()
		p.signOut()
		p.toPasskey(address)
		k.forges(true)
		p.press(action("continue")).at("passkey").says("That passkey did not sign you in")
	}},
	{name: "passkeys, profile", site: keyed, reach: func(p *person) {
		keyOf(p)
		p.addPasskey(newAddress())
		p.skip().press("#account").at("profile").says("This device")
	}},
	{name: "passkeys, profile, rename", site: keyed, reach: func(p *person) {
		keyOf(p).unlisted()
		address := newAddress()
		p.addPasskey(address)
		p.skip().press("#account").at("profile")
		p.press(`main a[href^="/login/profile/method"]`).proves(address).at("passkey").press(action("continue")).at("profile-method")
	}},
	{name: "passkeys, long words, set up", site: wordyKeyed, reach: func(p *person) {
		p.open(p.site.home + "/login/?lang=de").at("sign-in")
		address := newAddress()
		p.beginAs("Ada", "Lovelace", address)
		p.enter(p.site.mail(p.t, address).Code).at("select-authenticator")
		p.click("#authenticator-webauthn").press(action("submit")).at("set-passkey")
	}},
}

// toSetUp goes to the page that sets one up.
func (p *person) toSetUp() *person {
	p.t.Helper()
	p.enter(p.begin(newAddress()).Code).at("select-authenticator")
	return p.click("#authenticator-webauthn").press(action("submit")).at("set-passkey")
}

// toPasskey goes to the page that asks for one in place of the code.
func (p *person) toPasskey(address string) *person {
	p.t.Helper()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`main p.under a`).at("choose-authenticator")
	return p.click("#authenticator-webauthn").press(action("submit")).at("passkey")
}

// unable makes the browser one that knows no passkeys; insist makes the page ask for
// a device that knows its owner.
func (p *person) unable() { p.atEachPage("delete window.PublicKeyCredential") }
func (p *person) insist() {
	p.t.Helper()
	eval[bool](p, `(() => {
		const form = document.getElementById("passkey"), options = JSON.parse(form.dataset.options);
		options.authenticatorSelection.userVerification = "required";
		form.dataset.options = JSON.stringify(options);
		return true;
	})()`)
}

func (p *person) atEachPage(script string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		made, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		p.t.Cleanup(func() {
			_ = p.try(command(page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: made.Identifier}))
		})
		return err
	}))
}

// A device makes no second one; another device does, and each has a name.
func TestPasskey_SeveralOnTheProfile(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	p.signUp(address)
	k := keyOf(p)
	k.unlisted()
	const add = `form:has(input[name="method"][value="webauthn"]) button`
	last := p.site.mail(t, address)
	p.press("#account").at("profile").press(add).at("email-code")
	last = p.site.mail(t, address, last)
	p.enter(last.Code).at("set-passkey").press(action("continue")).at("profile").says("This device")
	last = p.site.mail(t, address, last) // SEC S-56
	if last.Code != "" || !strings.Contains(last.Text, "A passkey or security key (This device) was added") {
		t.Errorf("the notice is %q: %s", last.Subject, last.Text)
	}

	// Now the code alone is not enough to add one more.
	p.press(add).at("email-code")
	p.enter(p.site.mail(t, address, last).Code).at("passkey").press(action("continue")).at("set-passkey")
	p.click(action("continue")).wait(`document.querySelector("[role=alert]") !== null`)
	p.says("This device or key is set up for your account already")
	k.gone()
	keyOf(p, func(o *webauthn.VirtualAuthenticatorOptions) { o.Transport = webauthn.AuthenticatorTransportUsb })
	p.press(action("continue")).at("profile").says("This device", "Security key")
	p.press(`main a[href^="/login/profile/method"]:not([aria-describedby="method-1"])`).at("profile-method").holds("label", "Security key")
	p.put("label", " ").press(action("save")).at("profile-method").says("Fill in: Name")
	p.put("label", "Blue <b>stick</b>").press(action("save")).at("profile").says("Renamed.", "Blue <b>stick</b>", "This device")
	p.signOut()
	p.open(p.site.home + "/login/").at("sign-in").press(action("passkey")).at("home").isIn(address)
}

// Who goes back to the page after pressing the button finds it ready: browsers keep pages as they were.
func TestPasskey_BackToThePage(t *testing.T) {
	p := newPerson(t, passkeys(t), desk)
	k := keyOf(p)
	k.unlisted()
	k.touched(false)
	back := func() bool {
		return eval[bool](p, `dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))`)
	}
	const ready = `!document.querySelector("#passkey button").disabled && !document.querySelector("#passkey button").hasAttribute("aria-busy")`
	p.open(p.site.home + "/login/").at("sign-in").click(action("passkey"))
	p.wait(`document.querySelector("#passkey button").disabled`)
	back()
	p.wait(ready)
	p.toSetUp().click(action("continue"))
	p.wait(`document.querySelector("#passkey button").disabled`)
	back()
	p.wait(ready)
}

// The list of the field never waits with a question that the engine takes no answer to any more.
func TestPasskey_TheFieldsListIsRenewed(t *testing.T) {
	p := newPerson(t, passkeys(t), desk)
	k := keyOf(p)
	k.recognized(false)
	p.atEachPage(`
		const now = Date.now, wait = setTimeout, ask = fetch;
		window.late = 0; window.renewals = []; window.asked = 0;
		Date.now = () => now() + late;
		window.setTimeout = (f, ms) => ms > 20000 ? renewals.push({ f, ms }) : wait(f, ms);
		window.fetch = (url, ...more) => { if (String(url).includes("passkey")) asked++; return ask(url, ...more); };`)
	p.open(p.site.home + "/login/").at("sign-in")
	p.wait(`renewals.length === 1 && renewals[0].ms > 230000 && asked === 1`)
	eval[float64](p, `late = 200000`)
	p.click(action("passkey")).wait(`document.querySelector("[role=alert]") !== null`)
	p.wait(`renewals.length === 2 && renewals[1].ms <= 40000 && asked === 1`) // the question is as old as it was
	eval[bool](p, `(late = 240001, renewals[1].f(), true)`)
	p.wait(`renewals.length === 3 && renewals[2].ms > 230000 && asked === 2`)
}

// A page that nobody looks at asks the engine for nothing.
func TestPasskey_NothingIsAskedOfAPageBehind(t *testing.T) {
	p := newPerson(t, passkeys(t), desk)
	keyOf(p).touched(false)
	p.atEachPage(`
		let behind = true, ask = fetch;
		window.asked = 0; window.looked = () => { behind = false; document.dispatchEvent(new Event("visibilitychange")); };
		Object.defineProperty(document, "hidden", { get: () => behind });
		window.fetch = (url, ...more) => { if (String(url).includes("passkey")) asked++; return ask(url, ...more); };`)
	p.open(p.site.home + "/login/").at("sign-in").wait(`!document.getElementById("passkey").hidden`)
	if n := eval[float64](p, `asked`); n != 0 {
		t.Errorf("it asked %v times", n)
	}
	eval[bool](p, `(looked(), true)`)
	p.wait(`asked === 1`)
}
