package idxapi_test

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/stiletest"
)

const (
	// everyWay lets people have all that there is, and asks for two of it.
	everyWay = `access: [{name: default, rules: [{name: default, factors: 2}]}]
enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_password, need: optional},
  {key: phone_number, need: optional}, {key: google_otp, need: optional}, {key: security_question, need: optional},
  {key: recovery_code, need: optional}, {key: custom_otp, need: optional}, {key: okta_verify, need: optional}, {key: webauthn, need: optional}]}]
`
	passwordAndPhone = `access: [{name: default, rules: [{name: default, constraints: [{knowledge: {}, possession: {types: [phone]}}]}]}]
enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: phone_number, need: required}, {key: okta_password, need: required}]}]
`
	number = "+12025550100"
)

func method(id string, details ...string) map[string]any {
	a := map[string]any{"id": id}
	for i := 0; i < len(details); i += 2 {
		a[details[i]] = details[i+1]
	}
	return map[string]any{"authenticator": a}
}

const (
	phoneID    = "aut1phone0000000000"
	appID      = "aut1googleotp000000"
	questionID = "aut1question0000000"
	codesID    = "aut1recoverycode000"
	tokenID    = "aut1customotp000000"
)

func credentials(values ...string) map[string]any {
	c := map[string]any{}
	for i := 0; i < len(values); i += 2 {
		c[values[i]] = values[i+1]
	}
	return map[string]any{"credentials": c}
}

// atTheList is a sign-up whose address is proven.
func atTheList(t *testing.T, e *stiletest.Engine) (*wire, answer) {
	t.Helper()
	w := begin(t, e)
	w.enrolled(john)
	return w, w.answer("challenge/answer", passcode(e.Code(t, john)))
}

// asking is a sign-in as far as the question for one way, after others.
func (w *wire) asking(id string, first ...string) answer {
	w.Helper()
	w.answer("identify", name(john))
	for _, key := range first {
		w.answer("challenge", choice(key))
		if key == "okta_password" {
			w.answer("challenge/answer", passcode(firstPassword))
		} else {
			w.answer("challenge/answer", passcode(w.e.Code(w.T, john)))
		}
	}
	return w.answer("challenge", method(id))
}

func TestGoldenDocumentsOfPhones(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordAndPhone))
	w, _ := atTheList(t, e)
	w.golden("enroll-phone-data", w.answer("credential/enroll", method(phoneID)))
	w.golden("error-phone-number", w.answer("credential/enroll", method(phoneID, "methodType", "sms", "phoneNumber", "incorrectnumber")))
	w.golden("enroll-phone", w.answer("credential/enroll", method(phoneID, "methodType", "sms", "phoneNumber", number)))
	w.golden("error-phone-code", w.answer("challenge/answer", passcode("000000")))
	w.golden("select-authenticator-enroll-phone-added", w.answer("challenge/answer", passcode(e.Code(t, number))))
	w.answer("credential/enroll", choice("okta_password"))
	w.answer("challenge/answer", passcode(firstPassword))
	e.Clock.Advance(time.Hour)

	w = begin(t, e)
	w.answer("identify", name(john))
	w.golden("verify-phone", w.answer("challenge/answer", passcode(firstPassword)))
	w.golden("challenge-phone", w.answer("challenge", method(phoneID, "methodType", "sms")))
	w.golden("challenge-phone-call", w.answer("challenge", method(phoneID, "methodType", "voice")))
}

func TestGoldenDocumentsOfOtherWays(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(everyWay))
	w, list := atTheList(t, e)
	w.golden("select-authenticator-enroll-second", list)
	w.golden("enroll-question", w.answer("credential/enroll", method(questionID)))
	w.golden("error-question-short", w.answer("challenge/answer", credentials("questionKey", "disliked_food", "answer", "abc")))
	w.golden("select-authenticator-enroll-all", w.answer("challenge/answer", credentials("questionKey", "disliked_food", "answer", "Okta")))
	asked := w.answer("credential/enroll", method(appID))
	w.golden("enroll-app", asked)
	w.golden("error-enroll-app", w.answer("challenge/answer", passcode("000000")))
	secret, err := oath.ParseSecret(asked.contextualData()["sharedSecret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	w.answer("challenge/answer", passcode(secret.Code(oath.StepOf(e.Clock.Now()))))
	asked = w.answer("credential/enroll", method(codesID))
	w.golden("enroll-recovery-codes", asked)
	w.answer("challenge/answer", passcode("saved"))
	shown := w.answer("credential/enroll", okta())
	w.golden("enroll-verify", shown)
	w.golden("enroll-verify-channel", w.answer("credential/enroll", okta("channel", "email")))
	w.golden("error-verify-channel", w.answer("challenge/send", map[string]any{"email": "nobody"}))
	w.golden("enroll-verify-sent", w.answer("challenge/send", map[string]any{"email": john}))
	p := e.Phone(t, e.Link(t, john))
	w.golden("select-authenticator-enroll-most", w.answer("challenge/poll", nil))
	w.answer("credential/enroll", choice("okta_password"))
	w.answer("challenge/answer", passcode(firstPassword))
	w.answer("skip", nil)
	e.Token(t, john, oath.NewSecret().String())
	e.Clock.Advance(time.Hour)

	for what, c := range map[string]struct {
		id    string
		wrong map[string]any
		first []string
	}{
		"app": {appID, passcode("000000"), nil}, "token": {tokenID, passcode("000000"), nil},
		"recovery-code": {codesID, passcode("AAAA-AAAA"), []string{"okta_password"}},
		"question":      {questionID, credentials("answer", "another"), []string{"okta_email"}},
	} {
		w = begin(t, e)
		w.golden("challenge-"+what, w.asking(c.id, c.first...))
		w.golden("error-"+what, w.answer("challenge/answer", c.wrong))
	}
	w = begin(t, e)
	w.golden("verify-verify", w.asking("aut1oktaverify000000"))
	w.golden("challenge-verify-code", w.answer("challenge", okta("methodType", "totp")))
	w.golden("challenge-verify-push", w.answer("challenge", okta("methodType", "push")))
	p.Deny(t, p.Requests(t)[0])
	w.golden("error-verify-denied", w.answer("challenge/poll", nil))

	unlocking := stiletest.Start(t, stiletest.Org(twoFactors+"password: [{name: default, complexity: {minLength: 8}, unlock: true, noSignIn: true}]\n"))
	withPassword(t, unlocking, john)
	w = begin(t, unlocking)
	w.answer("unlock-account", nil)
	body := choice("okta_email")
	body["identifier"] = john
	w.golden("unlock-email", w.answer("challenge", body))
	w.golden("unlocked", w.answer("challenge/answer", passcode(unlocking.Code(t, john))))
	w = begin(t, unlocking)
	w.answer("recover", nil)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_email"))
	w.answer("challenge/answer", passcode(unlocking.Code(t, john)))
	w.golden("terminal-recovered", w.answer("challenge/answer", passcode(secondPassword)))
}
