package idxapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

func okta(details ...string) map[string]any {
	a := map[string]any{"id": "aut1oktaverify000000"}
	for i := 0; i < len(details); i += 2 {
		a[details[i]] = details[i+1]
	}
	return map[string]any{"authenticator": a}
}

func (a answer) names() string {
	var out []string
	list, _ := a.at("remediation", "value").([]any)
	for _, f := range list {
		out = append(out, f.(map[string]any)["name"].(string))
	}
	return strings.Join(out, " ")
}

// enrolling is a sign-up that waits for its phone; link is that of the QR code.
func enrolling(t *testing.T, e *stiletest.Engine, email string) (w *wire, shown answer, link string) {
	t.Helper()
	w = begin(t, e)
	w.enrolled(email)
	w.answer("challenge/answer", passcode(e.Code(t, email)))
	shown = w.answer("credential/enroll", okta())
	link, _ = shown.at("currentAuthenticator", "value", "contextualData", "stile", "link").(string)
	if shown.status != 200 || link == "" {
		t.Fatalf("no link: %d %s", shown.status, shown.body)
	}
	return w, shown, link
}

// withPhone signs somebody up who adds a phone, and waits an hour.
func withPhone(t *testing.T, e *stiletest.Engine, email string) *stiletest.Phone {
	t.Helper()
	w, _, link := enrolling(t, e, email)
	p := e.Phone(t, link)
	if got := w.answer("challenge/poll", nil); got.names() != "select-authenticator-enroll skip" {
		t.Fatalf("after the phone: %d %s", got.status, got.body)
	}
	if done := w.answer("skip", nil); done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
	return p
}

// asking is a sign-in that waits for its phone.
func asking(t *testing.T, e *stiletest.Engine, email string) (w *wire, number string) {
	t.Helper()
	w = begin(t, e)
	w.answer("identify", name(email))
	a := w.answer("challenge", okta("methodType", "push"))
	w.want("A-27", a, 200, "challenge-poll", "select-authenticator-authenticate")
	number, _ = a.at("currentAuthenticator", "value", "contextualData", "correctAnswer").(string)
	if number == "" {
		t.Fatalf("A-28: no number: %s", a.body)
	}
	return w, number
}

func TestAUTH_A22_A23_A24_A25_EnrollingAPhone(t *testing.T) {
	e := stiletest.Start(t)
	w, shown, link := enrolling(t, e, john)
	w.want("A-22", shown, 200, "enroll-poll", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	if got := shown.at("remediation", "value").([]any)[0].(map[string]any)["refresh"]; got != 4000. {
		t.Errorf("A-22: refresh %v", got)
	}
	if got := shown.at("currentAuthenticator", "value", "displayName"); got != "Okta Verify" {
		t.Errorf("A-22: %v", got)
	}
	href, _ := shown.at("currentAuthenticator", "value", "contextualData", "qrcode", "href").(string)
	if !strings.HasPrefix(href, "data:image/png;base64,") {
		t.Errorf("A-22: %.40s", href)
	}

	w.want("A-23", w.answer("credential/enroll", okta("channel", "email")), 200, "enrollment-channel-data", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	w.wantKeys("A-23", w.answer("challenge/send", map[string]any{"email": "nobody"}), 400, "registration.error.invalidLoginEmail")
	typed := "John.Doe@Example.org"
	sent := w.answer("challenge/send", map[string]any{"email": typed})
	w.want("A-24", sent, 200, "enroll-poll", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	if got := sent.at("currentAuthenticator", "value", "contextualData", "email"); got != typed {
		t.Errorf("A-24: %v", got)
	}
	if sent.at("currentAuthenticator", "value", "resend") == nil || sent.at("currentAuthenticator", "value", "contextualData", "qrcode") != nil {
		t.Errorf("§3.2: %s", sent.body)
	}
	mail := e.Mail(t, john)
	_, rest, ok := strings.Cut(mail.HTML, `<a id="push-verify-activation-link" href="`)
	mailed, _, _ := strings.Cut(rest, `"`)
	if !ok || !strings.HasPrefix(mailed, e.URL+"/auth/push/link?") || strings.Contains(mailed, "&amp;") {
		t.Fatalf("A-25, A-60: %q", mailed)
	}
	page, err := http.Get(mailed)
	if err != nil || page.StatusCode != 200 || !strings.Contains(page.Request.URL.String(), "/auth/push/link") {
		t.Errorf("A-25: %v %v", page, err)
	}
	page.Body.Close()
	w.want("a link that was opened adds nothing", w.answer("challenge/poll", nil), 200, "enroll-poll", "select-enrollment-channel", "select-authenticator-enroll", "skip")

	if status, body := e.NewPhone(t).Enroll(t, link, "Phone"); status != http.StatusGone {
		t.Errorf("the QR code that was put aside: %d %s", status, body)
	}
	p := e.Phone(t, mailed)
	if p.Account != john || p.App != "Acme SPA" {
		t.Errorf("the phone is for %q at %q", p.Account, p.App)
	}
	if status, body := e.NewPhone(t).Enroll(t, mailed, "Phone"); status != http.StatusGone {
		t.Errorf("the link used again: %d %s", status, body)
	}
	w.want("§3.3", w.answer("challenge/poll", nil), 200, "select-authenticator-enroll", "skip")
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("no code: %s", done.body)
	}
}

func TestAUTH_A23_A24_A25_TheLinkByText(t *testing.T) {
	e := stiletest.Start(t)
	w, shown, _ := enrolling(t, e, john)
	if offered := string(shown.body); strings.Count(offered, `"value":"sms"`) == 0 {
		t.Errorf("A-23: %s", offered)
	}
	waiting := []string{"enroll-poll", "select-enrollment-channel", "select-authenticator-enroll", "skip"}
	asked := w.answer("credential/enroll", okta("channel", "sms"))
	w.want("A-23", asked, 200, "enrollment-channel-data", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	if !strings.Contains(string(asked.body), `"name":"phoneNumber"`) || strings.Contains(string(asked.body), `"name":"email"`) {
		t.Errorf("A-23: %s", asked.body)
	}
	for _, number := range []string{"incorrectnumber", "+1 900 555 0100", "+1 555 555 0100"} { // none, dear, and one that nobody has
		wrong := w.answer("challenge/send", map[string]any{"phoneNumber": number})
		w.wantKeys("A-11", wrong, 400, "api.factors.error.sms.invalid_phone")
	}
	w.wantKeys("A-23", w.answer("challenge/send", map[string]any{"phoneNumber": " "}), 400, "model.validation.field.blank")
	slip := w.answer("challenge/send", map[string]any{"phoneNumber": "202-555-0144"}) // of the first country
	w.want("A-24", slip, 200, waiting...)
	for _, channels := range [][]string{{"sms"}, {"qrcode", "sms"}} { // it is asked for again
		for _, channel := range channels {
			asked = w.answer("credential/enroll", okta("channel", channel))
		}
		w.want("A-23", asked, 200, "enrollment-channel-data", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	}
	typed := "+1 (202) 555-0143"
	sent := w.answer("challenge/send", map[string]any{"phoneNumber": typed})
	w.want("A-24", sent, 200, waiting...)
	if got := sent.at("currentAuthenticator", "value", "contextualData", "phoneNumber"); got != typed {
		t.Errorf("A-24: %v", got)
	}
	if sent.at("currentAuthenticator", "value", "resend") == nil || sent.at("currentAuthenticator", "value", "contextualData", "stile", "link") != nil {
		t.Errorf("§3.2: %s", sent.body)
	}
	text := e.Mail(t, "+12025550143")
	link := regexp.MustCompile(`Click here to enroll Okta Verify : (\S+)`).FindStringSubmatch(text.Text)
	if link == nil || link[1] != text.Link || !strings.HasPrefix(link[1], e.URL+"/auth/push/link?") {
		t.Fatalf("A-25: %+v", text)
	}
	e.Phone(t, link[1])
	w.want("§3.3", w.answer("challenge/poll", nil), 200, "select-authenticator-enroll", "skip")
}

func TestAUTH_A23_ResendOfTheLink(t *testing.T) {
	e := stiletest.Start(t)
	w, _, _ := enrolling(t, e, john)
	w.answer("credential/enroll", okta("channel", "email"))
	w.answer("challenge/send", map[string]any{"email": john})
	first := e.Link(t, john)
	e.Clock.Advance(10 * time.Minute)
	again := w.answer("challenge/resend", map[string]any{"email": john})
	if again.status != 200 || !strings.HasPrefix(again.names(), "enroll-poll ") {
		t.Fatalf("%d %s", again.status, again.body)
	}
	second := e.Link(t, john)
	e.Clock.Advance(6 * time.Minute)
	if status, _ := e.NewPhone(t).Enroll(t, first, "Phone"); first == second || status != http.StatusGone {
		t.Errorf("the first link after 16 minutes: %d", status)
	}
	e.Phone(t, second)
}

func TestAUTH_A26_CodeOfThePhone(t *testing.T) {
	e := stiletest.Start(t)
	p := withPhone(t, e, john)
	w := begin(t, e)
	w.answer("identify", name(john))
	w.want("§3.4", w.answer("challenge", okta()), 200, "authenticator-verification-data", "select-authenticator-authenticate")
	a := w.answer("challenge", okta("methodType", "totp"))
	w.want("§3.4", a, 200, "challenge-authenticator", "select-authenticator-authenticate")
	if methods := a.at("currentAuthenticator", "value", "methods"); mustJSON(methods) != `[{"type":"totp"}]` {
		t.Errorf("methods %s", mustJSON(methods))
	}
	totp := func(code string) map[string]any { return map[string]any{"credentials": map[string]any{"totp": code}} }
	w.wantKeys("A-26", w.answer("challenge/answer", passcode(p.Code(0))), 400, "model.validation.field.blank")
	w.wantKeys("A-26", w.answer("challenge/answer", totp(wrongCode(p.Code))), 401, "api.authn.error.PASSCODE_INVALID")
	w.wantKeys("SEC S-52", w.answer("challenge/answer", totp(p.Code(-61*time.Second))), 401, "api.authn.error.PASSCODE_INVALID")
	used := p.Code(0)
	if done := w.answer("challenge/answer", totp(used)); done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	w = begin(t, e)
	w.answer("identify", name(john))
	w.answer("challenge", okta("methodType", "totp"))
	w.wantKeys("SEC S-52", w.answer("challenge/answer", totp(used)), 401, "authfactor.challenge.soft_token.used_passcode")
	if done := w.answer("challenge/answer", totp(p.Code(30*time.Second))); done.code() == "" {
		t.Fatalf("the next code: %s", done.body)
	}
}

// wrongCode is none of those that are right around now.
func wrongCode(code func(time.Duration) string) string {
	for _, c := range []string{"000000", "111111", "222222", "333333"} {
		if c != code(0) && c != code(30*time.Second) && c != code(-30*time.Second) {
			return c
		}
	}
	panic("four codes at once")
}

func TestAUTH_A27_Push(t *testing.T) {
	e := stiletest.Start(t)
	p := withPhone(t, e, john)
	w, number := asking(t, e, john)
	list := p.Requests(t)
	if len(list) != 1 || list[0].App != "Acme SPA" || list[0].Purpose != "sign-in" || len(list[0].Numbers) != 3 {
		t.Fatalf("the phone is asked %+v", list)
	}
	w.want("A-27", w.answer("challenge/poll", nil), 200, "challenge-poll", "select-authenticator-authenticate")
	if got := p.Approve(t, list[0], number); got != "approved" {
		t.Fatalf("approved: %s", got)
	}
	if len(p.Requests(t)) != 0 {
		t.Error("what was answered is asked still")
	}
	done := w.answer("challenge/poll", nil)
	if done.code() == "" {
		t.Fatalf("A-27: no code: %s", done.body)
	}

	w, _ = asking(t, e, john)
	list = p.Requests(t)
	if got := p.Deny(t, list[0]); got != "denied" {
		t.Fatalf("denied: %s", got)
	}
	denied := w.answer("challenge/poll", nil)
	w.wantKeys("A-27", denied, 400, "api.authn.poll.error.push_rejected")
	if denied.names() != "resend select-authenticator-authenticate" {
		t.Errorf("A-27: %s", denied.names())
	}
	again := w.answer("challenge", okta("methodType", "push"))
	w.want("A-27", again, 200, "challenge-poll", "select-authenticator-authenticate")
	if got := p.Requests(t); len(got) != 1 || got[0].ID == list[0].ID {
		t.Errorf("after asking again: %+v", got)
	}
	e.Clock.Advance(5*time.Minute + time.Second)
	late := w.answer("challenge/poll", nil)
	w.wantKeys("§3.4", late, 400, "core.system.transaction_resource_not_found")
	if late.names() != "resend select-authenticator-authenticate" || len(p.Requests(t)) != 0 {
		t.Errorf("§3.4: %s", late.names())
	}
}

func TestAUTH_A28_WrongNumber(t *testing.T) {
	e := stiletest.Start(t)
	p := withPhone(t, e, john)
	w, number := asking(t, e, john)
	r := p.Requests(t)[0]
	other := r.Numbers[0]
	if other == number {
		other = r.Numbers[1]
	}
	if got := p.Approve(t, r, other); got != "wrong" {
		t.Fatalf("another number: %s", got)
	}
	if got := p.Approve(t, r, number); got != "gone" {
		t.Errorf("the right number after it: %s", got)
	}
	w.wantKeys("A-28", w.answer("challenge/poll", nil), 400, "api.authn.poll.error.push_rejected")
}

// A second factor by push: okta_verify counts as possession, like the email, so
// the password is the other class.
func TestPushAsTheSecondFactor(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org("access: [{name: default, rules: [{name: default, factors: 2}]}]\n"+
		"enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_verify, need: optional}, {key: okta_password, need: required}]}]\n"))
	w := begin(t, e)
	w.enrolled(john)
	w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.answer("credential/enroll", choice("okta_password"))
	w.want("SEL-2", w.answer("challenge/answer", passcode(firstPassword)), 200, "select-authenticator-enroll", "skip")
	shown := w.answer("credential/enroll", okta())
	p := e.Phone(t, shown.at("currentAuthenticator", "value", "contextualData", "stile", "link").(string))
	if done := w.answer("challenge/poll", nil); done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
	w = begin(t, e)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	w.answer("challenge/answer", passcode(firstPassword))
	a := w.answer("challenge", okta("methodType", "push"))
	number, _ := a.at("currentAuthenticator", "value", "contextualData", "correctAnswer").(string)
	if got := mustJSON(a.at("authenticatorEnrollments", "value")); !strings.Contains(got, `"deviceName":"Phone"`) {
		t.Errorf("§3.4: %s", got)
	}
	if got := p.Approve(t, p.Requests(t)[0], number); got != "approved" {
		t.Fatalf("approved: %s", got)
	}
	if done := w.answer("challenge/poll", nil); done.code() == "" {
		t.Errorf("no code: %s", done.body)
	}
}

func TestAUTH_A29_PollTooFast(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	w, _, link := enrolling(t, e, john)
	e.Clock.Advance(10 * time.Second) // the other limits of a handle are for tests of theirs
	if first := w.answer("challenge/poll", nil); first.status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	fast := w.answer("challenge/poll", nil)
	if fast.status != http.StatusTooManyRequests || fast.header.Get("Retry-After") == "" {
		t.Errorf("A-29: %d", fast.status)
	}
	e.Clock.Advance(4 * time.Second)
	w.want("A-29", w.answer("challenge/poll", nil), 200, "enroll-poll", "select-enrollment-channel", "select-authenticator-enroll", "skip")
	e.Phone(t, link)
}

// Whoever has just signed up is told of the phone that was added, by whichever way its
// link went: the device may be a stranger's, who has seen the QR code or got the mail.
func TestSEC_S56_ADeviceAddedAtSignUpIsTold(t *testing.T) {
	e := stiletest.Start(t)
	for to, address := range map[string]string{"": "qr@example.org", "jane.roe@example.org": "jane.roe@example.org", "somebody@example.net": "jill@example.org"} {
		w, _, link := enrolling(t, e, address)
		if to != "" {
			w.answer("credential/enroll", okta("channel", "email"))
			w.answer("challenge/send", map[string]any{"email": to})
			link = e.Link(t, to)
		}
		if status, body := e.NewPhone(t).Enroll(t, link, "Pixel"); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		n := 0
		for _, m := range e.Mails(t, address) {
			if m.Subject == "Okta Verify was added to your Acme SPA account" && strings.Contains(m.Text, "Okta Verify (Pixel) was added") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a link to %q: %d notices", to, n)
		}
	}
}
