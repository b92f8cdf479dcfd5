package browser_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
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

// allOfTwo lets people have all that needs no device of a kind of its own, and asks
// for two of it.
const allOfTwo = `enrollment: [{name: default, authenticators: [
  {key: okta_email, need: required}, {key: okta_password, need: optional}, {key: google_otp, need: optional},
  {key: security_question, need: optional}, {key: recovery_code, need: optional}, {key: custom_otp, need: optional}]}]
access: [{name: default, rules: [{name: default, factors: 2}]}]`

// signsIn begins a sign-in with another way than the mailed code.
func (p *person) signsIn(address, key string) *person {
	p.t.Helper()
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	return p.press(`a[href*="view=list"]`).at("choose-authenticator").picks(key)
}

// knows goes on by the password, and then another way if there is a choice.
func (p *person) knows() *person {
	p.t.Helper()
	if p.has(`main[data-page="choose-authenticator"]`) {
		p.picks("okta_password")
	}
	return p.at("password").put("password", password).press(action("continue"))
}

// Each is enrolled at sign-up, used at the next sign-in with the wrong answer and
// with the right one, and removed on the profile page.
func TestIDX_A18_A39_A44_SEC_S54_EnrolledUsedRemoved(t *testing.T) {
	s := stage(t, stiletest.Org(allOfTwo))
	p, address := newPerson(t, s, look{width: 320}), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.picks("security_question").at("set-question").put("question", "Who was it?").put("answer", "abc").press(action("continue"))
	p.at("set-question").says("An answer has at least 4 characters.").put("answer", "Grandma").press(action("continue"))
	p.at("select-authenticator").says("Security Question added.").picks("okta_password").at("set-password")
	p.put("password", password).press(action("continue")).at("select-authenticator").picks("google_otp").at("set-app")
	secret, err := oath.ParseSecret(regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7}`).FindString(p.text()))
	if err != nil {
		t.Fatal(err)
	}
	now := func() string { return secret.Code(oath.StepOf(s.clock.Now())) }
	p.put("verificationCode", otherThan(now())).press(action("continue")).at("set-app").says("That code is not right")
	p.put("verificationCode", now()).press(action("continue")).at("select-authenticator").picks("recovery_code").at("set-recovery-codes")
	codes := eval[[]string](p, `[...document.querySelectorAll("li code")].map((c) => c.textContent)`)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	p.press(action("continue")).at("home").isIn(address) // nothing is left: a token is handed out
	token := oath.NewSecret()
	s.kit.Token(t, address, token.String())
	p.signOut()
	s.clock.Advance(3 * time.Hour)

	p = newPerson(t, s, look{width: 1280, dark: true})
	p.enter(p.toCode(address, s.mail(t, address)).Code).at("choose-authenticator").picks("security_question").at("question").says("Who was it?")
	p.put("answer", "Grandpa").press(action("continue")).at("question").says("That answer is not right.")
	p.put("answer", " GRANDMA").press(action("continue")).at("home").isIn(address)
	p.signOut()

	p.signsIn(address, "google_otp").at("app-code").put("verificationCode", otherThan(now())).press(action("continue"))
	p.at("app-code").says("That code is not right.").put("verificationCode", now()).press(action("continue"))
	p.knows().at("home").isIn(address)
	p.signOut()

	p.signsIn(address, "custom_otp").at("token-code").put("verificationCode", otherThan(token.Code(0))).press(action("continue"))
	p.at("token-code").says("That code is not right").put("verificationCode", token.Code(0)).press(action("continue"))
	p.knows().at("home").isIn(address)
	p.signOut()

	p.signsIn(address, "okta_password").knows().at("email-code").press(`a[href*="view=list"]`).at("choose-authenticator")
	p.picks("recovery_code").at("recovery-code")
	p.put("verificationCode", strings.Repeat("0", 24)).press(action("continue")).at("recovery-code").says("That code is not right")
	p.put("verificationCode", codes[3]).press(action("continue")).at("home").isIn(address)

	p.press("#account").at("profile")
	for _, name := range []string{"Security question", "Authenticator app", "Token", "Recovery codes"} {
		p.says(name)
		p.goTo(eval[string](p, `(() => {
			const at = [...document.querySelectorAll("[id^=method-]")].find((m) => m.textContent.includes("`+name+`")).id;
			return document.querySelector('a[href^="/login/profile/remove"][aria-describedby="' + at + '"]').getAttribute("href");
		})()`)).at("profile-remove").says("Remove " + name + "?")
		p.press(action("remove")).at("profile").says("Removed.")
		if eval[bool](p, `[...document.querySelectorAll("[id^=method-]")].some((m) => m.textContent.includes("`+name+`"))`) {
			t.Errorf("%s is there still", name)
		}
	}
	p.signOut()
	p.signsIn(address, "google_otp").at("app-code").put("verificationCode", secret.Code(oath.StepOf(s.clock.Now())+1)).press(action("continue"))
	p.at("app-code").says("That code is not right.") // nobody is told that there is none any more (S-43)
}

// otherThan is a code that is not the right one, whichever that is.
func otherThan(code string) string {
	if code == "111111" {
		return "222222"
	}
	return "111111"
}

func TestUX_P5_EveryMethodState(t *testing.T) { inEveryState(t, methodStates) }
