package browser_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
)

// havingToo ends a sign-up at its list with a password beside what was set up.
func (p *person) havingToo(address string) {
	p.t.Helper()
	p.at("select-authenticator").picks("okta_password").at("set-password")
	p.put("password", password).press(action("continue"))
	if p.has(action("skip")) { // what is optional is left
		p.press(action("skip"))
	}
	p.at("home").isIn(address)
	p.signOut()
}

// resets gives a new password at the end of a recovery, and signs in by it.
func (p *person) resets(address string) {
	p.t.Helper()
	const other = "a sentence nobody knows"
	p.at("reset-password").put("password", other).press(action("continue")).at("home").isIn(address)
	p.signOut()
	p.signsIn(address, "okta_password").at("password").put("password", password).press(action("continue")).at("password").says("not right")
	p.put("password", other).press(action("continue")).at("home").isIn(address)
}

// The mailbox alone replaces no password of who has a passkey: that is asked for next.
func TestSEC_S59_RecoveryAsksForThePasskey(t *testing.T) {
	p, address := newPerson(t, passkeys(t), desk), newAddress()
	k := keyOf(p)
	k.unlisted()
	p.addPasskey(address)
	p.havingToo(address)

	p.enter(p.forgets(address).Code).at("passkey").says("Use your passkey", address)
	k.forges(true)
	p.press(action("continue")).at("passkey").says("That passkey did not sign you in")
	k.forges(false)
	p.press(action("continue")).resets(address)
}

// Nor of who has a phone that approves: it says what it is asked, and a wrong number is no yes.
func TestSEC_S59_RecoveryAsksThePhone(t *testing.T) {
	s := shared(t)
	p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320}), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator").picks("okta_verify").at("verify-set-up")
	phone.adds(eval[string](p, `document.getElementById("here").href`))
	p.havingToo(address)

	p.enter(p.forgets(address).Code).at("verify-method").press(action("push")).at("verify-push")
	phone.open(s.engine + "/phone").at("phone")
	phone.pick(p.number(), false)
	p.wait(`!document.getElementById("number")`)
	p.at("verify-push").says("Not approved", "another number was pressed")
	p.press(action("push")).at("verify-push")
	phone.wait(`!!document.querySelector(".request:not([data-sent])")`)
	phone.says("Choose a new password at")
	phone.pick(p.number(), true)
	phone.wait(`!document.getElementById("notice").hidden`)
	phone.says("Approved.")
	p.resets(address)
}

// Who has several chooses one of them, and answers it wrongly, then rightly.
func TestSEC_S59_RecoveryAsksForOneOfSeveral(t *testing.T) {
	s := stage(t, stiletest.Org(strings.Replace(allOfTwo, "factors: 2", "factors: 1", 1)))
	p, address := newPerson(t, s, look{width: 320, dark: true}), newAddress()
	p.enter(p.begin(address).Code).at("select-authenticator")
	p.picks("security_question").at("set-question").put("question", "Who was it?").put("answer", "Grandma").press(action("continue"))
	p.at("select-authenticator").picks("google_otp").at("set-app")
	app, err := oath.ParseSecret(regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7}`).FindString(p.text()))
	if err != nil {
		t.Fatal(err)
	}
	now := func() string { return app.Code(oath.StepOf(s.clock.Now())) }
	p.put("verificationCode", now()).press(action("continue")).at("select-authenticator").picks("recovery_code").at("set-recovery-codes")
	codes := eval[[]string](p, `[...document.querySelectorAll("li code")].map((c) => c.textContent)`)
	p.press(action("continue")).havingToo(address)
	token := oath.NewSecret()
	s.kit.Token(t, address, token.String())

	for _, c := range []struct {
		key, page, field, says string
		wrong, right           func() string
	}{
		{"security_question", "question", "answer", "That answer is not right.", func() string { return "Grandpa" }, func() string { return "grandma" }},
		{"google_otp", "app-code", "verificationCode", "That code is not right.", func() string { return otherThan(now()) }, now},
		{"recovery_code", "recovery-code", "verificationCode", "That code is not right", func() string { return strings.Repeat("0", 24) }, func() string { return codes[2] }},
		{"custom_otp", "token-code", "verificationCode", "That code is not right", func() string { return otherThan(token.Code(0)) }, func() string { return token.Code(0) }},
	} {
		s.clock.Advance(time.Hour)
		p.enter(p.forgets(address).Code).at("choose-authenticator").picks(c.key).at(c.page)
		p.put(c.field, c.wrong()).press(action("continue")).at(c.page).says(c.says)
		p.put(c.field, c.right()).press(action("continue")).at("reset-password")
		p.put("password", "nobody knows "+c.key).press(action("continue")).at("home").isIn(address)
		p.signOut()
	}
}
