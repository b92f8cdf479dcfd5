package signin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
	"github.com/stile-id/stile/stiletest"
)

// poll asks what a page that waits would ask.
func (v *view) poll() map[string]any {
	v.b.t.Helper()
	_, rest, _ := strings.Cut(v.html, `<div id="poll" `)
	tag, _, _ := strings.Cut(rest, ">")
	answer := v.b.send(http.MethodPost, attr(tag, "data-url"), url.Values{
		"flow": {attr(tag, "data-flow")}, "turn": {attr(tag, "data-turn")}, "step": {attr(tag, "data-step")}, "delivery": {attr(tag, "data-delivery")},
	})
	var news map[string]any
	if err := json.Unmarshal([]byte(answer.html), &news); err != nil {
		v.b.t.Fatalf("%s: %v", answer.html, err)
	}
	return news
}

func (v *view) goesOn() *view {
	v.b.t.Helper()
	to, _ := v.poll()["go"].(string)
	if to == "" {
		v.b.t.Fatalf("the page waits still")
	}
	return v.b.get(to)
}

// here is the link to open on this computer.
func (v *view) here() string {
	_, rest, _ := strings.Cut(v.html, `id="here" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	return link
}

func (v *view) number() string {
	_, rest, _ := strings.Cut(v.html, `id="number" dir="ltr">`)
	number, _, _ := strings.Cut(rest, "<")
	return number
}

// withPhone signs somebody up who adds a phone.
func (l *real) withPhone(address string) *stiletest.Phone {
	l.t.Helper()
	v := l.browser().signUp("Ada", "L", address).press("continue", "verificationCode", l.eng.Code(l.t, address)).is("select-authenticator")
	v = v.press("submit", "authenticator", "okta_verify").is("verify-set-up")
	p := l.eng.Phone(l.t, v.here())
	v.goesOn().is("select-authenticator").says("Okta Verify added: Phone").press("skip").isApp(address)
	l.eng.Clock.Advance(time.Hour)
	return p
}

func TestAUTH_A22_SetUpAPhone(t *testing.T) {
	l := live(t, "")
	v := l.browser().signUp("Ada", "L", ada).press("continue", "verificationCode", l.eng.Code(t, ada)).is("select-authenticator")
	v = v.press("submit", "authenticator", "okta_verify").is("verify-set-up").says("Scan this code", "A phone cannot open this code", "Back to the list")
	if csp := v.header.Get("Content-Security-Policy"); !strings.Contains(csp, "img-src data: 'self'") {
		t.Errorf("the QR code is not let in: %s", csp)
	}
	if got := v.poll(); got["go"] != nil {
		t.Errorf("nothing has happened: %v", got)
	}
	v = v.press("check").is("verify-set-up").says("Not yet")
	first := v.here()
	v = v.press("channel", "channel", "email").is("verify-send")
	v = v.press("continue", "email", "nobody").is("verify-send").says("Enter an email address like")
	v = v.press("continue", "email", ada).is("verify-set-up").says("We sent a link to " + ada)
	v = v.press("channel", "channel", "qrcode").is("verify-set-up").says("Scan this code")
	if v.here() == first {
		t.Error("the code is the one that was put aside")
	}
	old := v.here()
	l.eng.Clock.Advance(16 * time.Minute)
	v = v.b.get(v.url.String()).is("verify-set-up").says("The link has become too old")
	v = v.press("channel", "channel", "qrcode").is("verify-set-up")
	if v.here() == "" || v.here() == old {
		t.Errorf("no new code: %q", v.here())
	}
	if status, body := l.eng.NewPhone(t).Enroll(t, v.here(), "Pixel 9 <b>"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	v.press("check").is("select-authenticator").says("Okta Verify added: Pixel 9 <b>").press("skip").isApp(ada)
}

// An elsewhere is an engine at another address, as its clients see it.
type elsewhere struct{ engine, seen string }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	there := r.Clone(r.Context())
	there.URL.Host, there.Host = strings.TrimPrefix(e.engine, "http://"), ""
	res, err := http.DefaultTransport.RoundTrip(there)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	text = bytes.ReplaceAll(text, []byte(e.engine), []byte(e.seen))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return res, err
}

// No browser keeps a key for plain http, but on loopback: nothing leads there.
func TestAUTH_A22_NoPhoneOverPlainHTTP(t *testing.T) {
	l := live(t, "")
	cfg := l.eng.Client.Config()
	cfg.Issuer = strings.Replace(cfg.Issuer, l.eng.URL, "http://192.0.2.5", 1)
	cfg.HTTPClient = &http.Client{Transport: elsewhere{engine: l.eng.URL, seen: "http://192.0.2.5"}}
	client, err := idx.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := signin.New(client, signin.Options{RedirectURI: l.url + "/login/callback", AppName: "Acme", Now: l.eng.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.handler = pages
	l.mu.Unlock()
	v := l.browser().signUp("Ada", "L", ada).press("continue", "verificationCode", l.eng.Code(t, ada)).is("select-authenticator")
	v = v.press("submit", "authenticator", "okta_verify").is("verify-set-up")
	v.says("keep keys for https addresses alone").saysNot("this computer", "Scan this code", "Waiting for your phone", "Send the link")
	if v.here() != "" || v.has("check") || strings.Contains(v.html, "<img") || strings.Contains(v.html, `id="poll"`) {
		t.Errorf("it leads to where no phone can be set up: %s", v.html)
	}
	v.follow("Back to the list").is("select-authenticator").press("skip")
}

func TestAUTH_A27_SignInByPhone(t *testing.T) {
	l := live(t, "")
	p := l.withPhone(ada)
	ask := func() *view {
		v := l.browser().begin(ada).follow("Choose another way").is("choose-authenticator")
		return v.press("submit", "authenticator", "okta_verify").is("verify-method").saysNot("If you have lost").press("push").is("verify-push").saysNot("If you have lost")
	}
	v := ask()
	if got := v.poll(); got["go"] != nil {
		t.Errorf("nobody has answered: %v", got)
	}
	v.press("check").is("verify-push").says("Not yet")
	if got := p.Approve(t, p.Requests(t)[0], v.number()); got != "approved" {
		t.Fatal(got)
	}
	v.goesOn().isApp(ada, "swk")

	v = ask()
	p.Deny(t, p.Requests(t)[0])
	v = v.goesOn().is("verify-push").says("Not approved", "It was denied on the phone")
	v = v.press("push").is("verify-push")
	l.eng.Clock.Advance(6 * time.Minute)
	v = v.goesOn().is("verify-push").says("Nobody answered on the phone in time")
	v = v.press("totp").is("verify-code")
	v = v.press("continue").is("verify-code").says("Enter the code that your phone shows")
	v = v.press("continue", "verificationCode", "12").is("verify-code").says("Enter the one that your phone shows now")
	v.press("continue", "verificationCode", p.Code(0)).isApp(ada, "otp")
}

// A stranger has scanned the QR code: the owner is through with what they have, removes the
// phone on the profile, and is asked for the mailbox anew before anything else.
func TestAUTH_A22_S56_AStrangersPhoneIsRemovedOnTheProfile(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.browser()
	v := b.signUp("Ada", "L", ada).press("continue", "verificationCode", l.code(ada)).is("select-authenticator")
	v = v.press("submit", "authenticator", "okta_verify").is("verify-set-up")
	stranger := l.eng.Phone(t, v.here())
	v.goesOn().is("select-authenticator").press("skip").isApp(ada)
	l.eng.Clock.Advance(2 * time.Minute)
	v = b.get("/login/profile").is("profile").says("Okta Verify").follow("Remove").is("profile-remove")
	v.press("remove").is("profile").says("Removed.")
	if status, _ := stranger.Send(t, "/device/v1/requests", nil, nil); status != http.StatusNotFound {
		t.Errorf("the stranger's phone: %d", status)
	}
	l.eng.Clock.Advance(time.Second)
	b.get("/login/profile").follow("Change email").proves(l, ada).is("profile-email").press("save", "email", "countess@example.com").is("profile-code")
}

// A second phone from the profile page, which asks for the first one; a lost phone
// is removed there, and is told.
func TestUX_P7_3_SecondAndLostPhone(t *testing.T) {
	l := ownable(t, ownScopes)
	first := l.withPhone(ada)
	b := l.browser()
	v := b.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp(ada)
	v = b.get("/login/profile").is("profile").says("Okta Verify", "Phone").press("add", "method", "okta_verify").is("email-code").press("continue", "verificationCode", l.code(ada))
	// The mailbox alone adds nothing to an account that has more.
	const lost = "If you have lost the phone, ask whoever runs Acme to remove it"
	v = v.is("verify-method").says(lost).press("totp").is("verify-code").says(lost).press("continue", "verificationCode", first.Code(0)).is("verify-set-up")
	second := l.eng.NewPhone(t)
	if status, body := second.Enroll(t, v.here(), "Tablet"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	v.goesOn().is("profile").says("Phone", "Tablet")
	mail := l.eng.Mail(t, ada)
	if !strings.Contains(mail.Text, "Okta Verify") {
		t.Errorf("nobody is told: %s", mail.Text)
	}

	enrollment := first.Device[strings.Index(first.Device, ".")+1:]
	v = b.get("/login/profile/remove?method=" + enrollment).is("profile-remove").press("remove")
	if v.page() == "sign-in" {
		v = v.proves(l, ada)
	}
	for v.page() == "verify-method" || v.page() == "verify-code" {
		if v.page() == "verify-method" {
			v = v.press("totp")
		}
		l.eng.Clock.Advance(30 * time.Second)
		v = v.press("continue", "verificationCode", second.Code(0))
	}
	if v.page() == "profile-remove" {
		v = v.press("remove")
	}
	v.is("profile").says("Tablet")
	if status, _ := first.Send(t, "/device/v1/requests", nil, nil); status != http.StatusNotFound {
		t.Errorf("the lost phone: %d", status)
	}
	second.Requests(t)
}
