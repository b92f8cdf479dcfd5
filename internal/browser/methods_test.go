package browser_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
)

// withMethods lets people have what needs no device but their own head, paper and app.
const withMethods = `enrollment: [{name: default, authenticators: [
  {key: okta_email, need: required}, {key: okta_password, need: optional}, {key: google_otp, need: optional},
  {key: security_question, need: optional}, {key: recovery_code, need: optional}]}]
access: [{name: default, rules: [{name: default, factors: 1}]}]`

// toMethod signs up and chooses one of the list.
func (p *person) toMethod(key string) *person {
	p.t.Helper()
	p.enter(p.begin(newAddress()).Code).at("select-authenticator")
	return p.click("#authenticator-" + key).press(action("submit"))
}

// methodStates are the pages of those.
var methodStates = []state{
	{name: "list of all", site: withOrg(withMethods), reach: func(p *person) { p.enter(p.begin(newAddress()).Code).at("select-authenticator") }},
	{name: "app, to set up", site: withOrg(withMethods), reach: func(p *person) { p.toMethod("google_otp").at("set-app") }},
	{name: "app, wrong", site: withOrg(withMethods), reach: func(p *person) {
		p.toMethod("google_otp").at("set-app").put("verificationCode", "000000").press(action("continue")).at("set-app")
	}},
	{name: "app, asked for", site: withOrg(withMethods), reach: func(p *person) { p.instead("google_otp").at("app-code") }},
	{name: "question, to set up", site: withOrg(withMethods), reach: func(p *person) { p.toMethod("security_question").at("set-question") }},
	{name: "question, wrong", site: withOrg(withMethods), reach: func(p *person) {
		p.toMethod("security_question").at("set-question").put("question", "Who was it?").put("answer", "abc").press(action("continue")).at("set-question")
	}},
	{name: "access code, asked for", site: withOrg(withAccessCodes), reach: func(p *person) { p.instead("tac").at("access-code") }},
	{name: "access code, wrong", site: withOrg(withAccessCodes), reach: func(p *person) {
		p.instead("tac").at("access-code").put("verificationCode", "0000-0000-0000-0000").press(action("continue")).at("access-code").says("holds no more")
	}},
	{name: "codes, to keep", site: withOrg(withMethods), reach: func(p *person) { p.toMethod("recovery_code").at("set-recovery-codes") }},
}

const withAccessCodes = `enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_password, need: optional}, {key: tac, need: optional}]}]`

// instead begins a sign-in with another way than the mailed code.
func (p *person) instead(key string) *person {
	p.t.Helper()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", newAddress()).press(action("next")).at("email-code")
	p.open(p.address() + "&view=list").at("choose-authenticator")
	return p.click("#authenticator-" + key).press(action("submit"))
}

// A person sets an app up and signs in by it; a second browser plays no part.
func TestUX_P5_AuthenticatorAppInABrowser(t *testing.T) {
	s := withOrg(withMethods)(t)
	p := newPerson(t, s, look{width: 320})
	address := newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.click("#authenticator-google_otp").press(action("submit")).at("set-app")
	secret, err := oath.ParseSecret(regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7}`).FindString(p.text()))
	if err != nil {
		t.Fatal(err)
	}
	step := oath.StepOf(time.Now())
	p.put("verificationCode", secret.Code(step-2)).press(action("continue")).at("select-authenticator").says("Google Authenticator added.")
	p.press(action("skip"))
	if !strings.HasPrefix(p.address(), s.home) || p.has("#verificationCode") {
		t.Fatalf("skip leads to %s", p.address())
	}

	p = newPerson(t, s, look{width: 1280, dark: true})
	p.open(s.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.open(p.address() + "&view=list").at("choose-authenticator")
	p.click("#authenticator-google_otp").press(action("submit")).at("app-code")
	p.put("verificationCode", "000000").press(action("continue")).at("app-code").says("That code is not right.")
	p.put("verificationCode", secret.Code(oath.StepOf(time.Now()))).press(action("continue")).at("home")
}

func TestUX_P5_EveryMethodState(t *testing.T) { inEveryState(t, methodStates) }
