package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/stiletest"
)

// withPhone lets people have a phone; passwordAndPhone asks for it beside the password.
const (
	withPhone = `enrollment: [{name: default, authenticators: [
  {key: okta_email, need: required}, {key: phone_number, need: optional}, {key: okta_password, need: optional}]}]`
	passwordAndPhone = `
access: [{name: default, rules: [{name: default, constraints: [{knowledge: {}, possession: {types: [phone]}}]}]}]
enrollment: [{name: default, authenticators: [
  {key: okta_email, need: required}, {key: phone_number, need: required}, {key: okta_password, need: required}]}]`
)

const phoneNumber, phoneTyped = "+12025550100", "(202) 555-0100"

func phones(t testing.TB) *site      { return stage(t, stiletest.Org(withPhone)) }
func phonesFirst(t testing.TB) *site { return stage(t, stiletest.Org(passwordAndPhone)) }

// toNumber signs up as far as the page that asks for a number.
func (p *person) toNumber(address string) *person {
	p.t.Helper()
	p.enter(p.begin(address).Code).at("select-authenticator")
	return p.click("#authenticator-phone_number").press(action("submit")).at("phone-number")
}

// toPhoneCode goes on to the page for the code that a phone got.
func (p *person) toPhoneCode() mail {
	p.t.Helper()
	all := p.site.mails(p.t, phoneNumber, "", 0)
	p.choose("country", "US").put("phoneNumber", phoneTyped)
	p.press(action("continue")).at("phone-code")
	if len(all) > 0 {
		return p.site.mail(p.t, phoneNumber, all[0])
	}
	return p.site.mail(p.t, phoneNumber)
}

func TestPhone_SignUp(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, phones(t), l), newAddress()
		p.toNumber(address).says("Add your phone", "may charge", "less safe")
		if got := eval[string](p, `document.getElementById("phoneNumber").autocomplete`); got != "tel" {
			t.Errorf("UX P5: autocomplete is %q", got)
		}
		p.press(action("continue")).at("phone-number").says("Enter your phone number")
		p.choose("country", "DE").put("phoneNumber", "12").click("#method-voice").press(action("continue"))
		p.at("phone-number").says("We cannot send a code to this number")
		p.holds("phoneNumber", "12").holds("country", "DE")
		if !eval[bool](p, `document.getElementById("method-voice").checked`) {
			t.Error("UX G24: the way to send the code is forgotten")
		}
		p.choose("country", "US").put("phoneNumber", phoneTyped).click("#method-sms").press(action("continue"))
		p.at("phone-code").says("We sent a text message with a code to +1 XXX-XXX-0100")
		m := p.site.mail(t, phoneNumber)
		if !strings.Contains(m.Text, "Your verification code is "+m.Code) {
			t.Errorf("the text is %q", m.Text)
		}
		if got := eval[string](p, `document.getElementById("verificationCode").autocomplete`); got != "one-time-code" {
			t.Errorf("UX P3.3: autocomplete is %q", got)
		}
		wrong := "111111"
		if m.Code == wrong {
			wrong = "222222"
		}
		p.enter(wrong).at("phone-code").says("That code is not right")
		p.press(action("voice")).at("phone-code").says("We call +1 XXX-XXX-0100")
		call := p.site.mail(t, phoneNumber, m)
		if !strings.HasPrefix(call.Text, "Hello.") {
			t.Errorf("the call says %q", call.Text)
		}
		p.press(action("resend")).at("phone-code").says("We sent it again")
		m = p.site.mail(t, phoneNumber, call)
		if m.Code != call.Code {
			p.enter(call.Code).at("phone-code").says("That code is not right")
		}
		p.press(action("instead")).at("phone-number") // a slip in the number
		m = p.toPhoneCode()
		p.enter(m.Code).at("select-authenticator").says("Phone added.")
		p.skip().isIn(address)
		if m := p.site.mail(t, address); strings.Contains(m.Subject, "phone") && m.Code != "" {
			t.Errorf("%q", m.Subject)
		}
	})
}

// refusingHook takes no text, and says so once when is closed; nil is at once.
func refusingHook(t testing.TB, when <-chan struct{}) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if when != nil {
			select {
			case <-when:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprint(w, `{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"FAILED","provider":"test"}]}]}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func textless(t testing.TB, when <-chan struct{}) *site {
	return stage(t, stiletest.Org(withPhone), stiletest.TelephonyHook(refusingHook(t, when), "secret"))
}

func TestPhone_NewsOfTheText(t *testing.T) {
	t.Parallel()
	when := make(chan struct{})
	refuse := sync.OnceFunc(func() { close(when) })
	p := newPerson(t, textless(t, when), desk)
	t.Cleanup(refuse) // or the engine does not end
	p.stopTime()
	p.toNumber(newAddress())
	p.toPhoneCode()
	const news = "could not be sent to +1 XXX-XXX-0100"
	if strings.Contains(p.text(), news) {
		t.Fatal("the page knows before the provider says so")
	}
	refuse()
	// Each look lets two seconds pass, until a poll comes after the provider's answer.
	p.wait(`advance(2000) > 0 && said.some((text) => text.includes("` + news + `"))`)
	p.wait(`asked === answered`)
	asked := eval[float64](p, "asked")
	eval[float64](p, "advance(120000)")
	if n := eval[float64](p, "asked"); n != asked {
		t.Errorf("asked %v more times, and there is no more to learn", n-asked)
	}
	if n := len(slices.DeleteFunc(p.said(), func(text string) bool { return !strings.Contains(text, news) })); n != 1 {
		t.Errorf("announced %d times", n)
	}
	p.reload()
	p.at("phone-code").says(news)
	if !p.has(`[role="alert"]`) {
		t.Error("on a new page it is no alert")
	}
	p.press(action("instead")).at("phone-number") // the way out
}

func TestUX_P5_8_BackFromAPhone(t *testing.T) {
	p := newPerson(t, phones(t), desk)
	p.toNumber(newAddress()).press(`main a[href*="view=list"]`).at("select-authenticator")
	p.click("#authenticator-phone_number").press(action("submit")).at("phone-number")
	p.toPhoneCode()
	p.press(`main a[href*="view=list"]`).at("select-authenticator").skip()
}

func TestPhone_SecondFactor(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, phonesFirst(t), l), newAddress()
		p.toNumber(address)
		p.enter(p.toPhoneCode().Code).at("select-authenticator").says("Phone added.")
		p.press(action("submit")).at("set-password").put("password", password).press(action("continue")).at("home").isIn(address)

		p = newPerson(t, p.site, l)
		sent := p.site.mails(t, phoneNumber, "", 0)
		p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("password")
		p.put("password", password).press(action("continue")).at("phone-method").says("We send a code to +1 XXX-XXX-0100")
		if n := len(p.site.mails(t, phoneNumber, "", 0)); n != len(sent) {
			t.Errorf("A-15: %d texts before the way was chosen", n-len(sent))
		}
		p.press(action("continue")).at("phone-code").says("+1 XXX-XXX-0100")
		m := p.site.mail(t, phoneNumber, sent[0])
		p.enter(otherThan(m.Code)).at("phone-code").says("That code is not right")
		p.press(action("voice")).at("phone-code").says("We call +1 XXX-XXX-0100")
		p.enter(p.site.mail(t, phoneNumber, m).Code).at("home").isIn(address)
	})
}

// A phone is added later from the profile, shown there in part, and removed.
func TestPhone_ProfileAddAndRemove(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, phones(t), l), newAddress()
		p.atAccount(address)
		last := p.site.mail(t, address)
		p.press(action("add")).at("email-code") // S-56
		p.enter(p.site.mail(t, address, last).Code).at("phone-number")
		p.enter(p.toPhoneCode().Code).at("profile").says("Phone", "+1 XXX-XXX-0100")
		p.press(`main a[href^="/login/profile/remove"]`).at("profile-remove").says("Remove Phone?")
		p.press(action("remove")).at("profile")
		if strings.Contains(p.text(), "XXX-XXX") {
			t.Errorf("the phone is there still: %s", p.text())
		}
		if m := p.site.mail(t, address); !strings.Contains(m.Subject, "phone") {
			t.Errorf("the newest notice is %q", m.Subject)
		}
	})
}
