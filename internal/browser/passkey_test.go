package browser_test

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

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
	p.t.Cleanup(func() {
		_ = p.try(command(webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: k.id}),
			command(webauthn.Disable, cdp.Empty{}))
	})
	return k
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

func passkeys(t testing.TB, options ...stiletest.Option) *site {
	t.Helper()
	return named(t, append(options, stiletest.Offer("webauthn"))...)
}

// addPasskey signs up and sets one up at the list.
func (p *person) addPasskey(address string) {
	p.t.Helper()
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.click("#authenticator-webauthn").press(action("submit")).at("set-passkey").says("Set up a passkey")
	p.press(action("continue")).at("select-authenticator").says("Passkey or security key added.")
}

func TestUX_P1_6_P5_7_Passkey(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	k := keyOf(p)
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.wait(`document.querySelector("#authenticator input").id === "authenticator-webauthn"`)
	p.says("Use Face ID, fingerprint or PIN next time")
	if !eval[bool](p, `document.getElementById("authenticator-webauthn").checked`) {
		t.Error("UX P5.7: it is not chosen beforehand")
	}
	p.press(action("submit")).at("set-passkey")
	p.press(`main p.under a`).at("select-authenticator") // UX P5.8
	p.press(action("submit")).at("set-passkey")
	p.press(action("continue")).at("select-authenticator").says("Passkey or security key added.")
	p.skip().isIn(address)
	k.touched(false)
	p.signOut()
	sent := len(p.site.mails(t, address, "", 0))

	// By the button.
	p.open(p.site.home + "/login/").at("sign-in").says("Sign in with a passkey")
	k.touched(true)
	p.press(action("passkey")).at("home").isIn(address)
	if n := len(p.site.mails(t, address, "", 0)); n != sent {
		t.Errorf("UX P1.6: %d mails were sent", n-sent)
	}

	// In the field's own list.
	k.touched(false)
	p.signOut()
	k.touched(true)
	p.open(p.site.home + "/login/")
	p.at("home").isIn(address)
}
