package browser_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// both runs a test with scripts on and off. How pages look in the dark and at each width is seen in every state.
func both(t *testing.T, f func(*testing.T, look)) {
	inLooks(t, []look{{width: 1280}, {width: 320, noScript: true}}, f)
}

// wantFocus waits until what has that id, role or tag has the focus: the browser
// gives it some time after the page is there.
func (p *person) wantFocus(row, want string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`((e) => e.id || e.getAttribute("role") || e.tagName.toLowerCase())(document.activeElement) === %q /* UX %s */`, want, row))
}

func TestUX_G3_Weight(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	p.open(p.site.home + "/login/sign-up").at("sign-up")
	styles := p.seen.requests("GET " + p.site.home + "/login/style.css")
	if len(styles) != 1 {
		t.Errorf("%d style sheets: %s", len(styles), styles)
	}
	for _, address := range append(styles, p.seen.requests("GET "+p.site.home+"/login/")...) {
		address = strings.TrimPrefix(address, "GET ")
		res, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", address, res.Status)
		}
		var small bytes.Buffer
		w := gzip.NewWriter(&small)
		_, err = io.Copy(w, res.Body)
		res.Body.Close()
		if err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if small.Len() > 15<<10 {
			t.Errorf("%s: %d bytes compressed", address, small.Len())
		}
	}
}

// The keyboard of a phone leaves about 300 of 568 pixels.
func TestUX_G8_KeyboardUp(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), look{width: 320})
	check := func(field string) {
		t.Helper()
		p.do(chromedp.EmulateViewport(320, 308))
		box := eval[[]float64](p, fmt.Sprintf(`(() => {
			const field = document.getElementById(%q), button = document.querySelector("main button:not(.link, .plain, .reveal)");
			field.blur();
			field.focus();
			return [field.getBoundingClientRect().top, button.getBoundingClientRect().bottom];
		})()`, field))
		if box[0] < 0 || box[1] > 308 {
			t.Errorf("%s: field from %g, button to %g px", p.address(), box[0], box[1])
		}
		p.show(p.look)
	}
	p.open(p.site.home + "/login/").at("sign-in")
	check("identifier")
	p.open(p.site.home + "/login/sign-up").at("sign-up")
	check("email")
	m := p.begin(newAddress())
	check("verificationCode")
	p.enter(m.Code).at("select-authenticator").picks("okta_password").at("set-password")
	check("password")
}

func TestUX_G24_FocusAfterMistakes(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		p.open(p.site.home + "/login/sign-up").at("sign-up").press(action("create")).at("sign-up")
		p.wantFocus("G24", "alert")
		order := eval[[]string](p, `[...document.querySelectorAll('[role="alert"] a')].map((a) => a.hash.slice(1))`)
		if want := []string{"firstName", "lastName", "email"}; !slices.Equal(order, want) {
			t.Errorf("UX G24: the summary leads to %s, want %s", order, want)
		}
		p.put("firstName", "Ada").put("lastName", "Lovelace").put("email", "ada").press(action("create")).at("sign-up")
		p.wantFocus("G24", "email")
		for id, want := range map[string]string{"firstName": "Ada", "lastName": "Lovelace", "email": "ada"} {
			if got := p.value(id); got != want {
				t.Errorf("UX G24: %s holds %q", id, got)
			}
		}
		p.miss(p.begin(newAddress()), 1)
		p.at("email-code")
		p.wantFocus("P3.5", "verificationCode")
		if got := p.value("verificationCode"); got != "" {
			t.Errorf("UX P3.5: the wrong code %q is left", got)
		}
	})
}

func TestUX_G25_FocusOnFreshPages(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		p.open(p.site.home + "/login/").at("sign-in")
		p.wantFocus("G25", "identifier")
		atTheTop := func() {
			t.Helper()
			p.wantFocus("G25", "body")
			if p.has("[autofocus]") { // which the browser may still have to heed
				t.Errorf("UX G25: %s moves the focus", p.address())
			}
		}
		p.open(p.site.home + "/login/sign-up").at("sign-up")
		atTheTop()
		m := p.begin(newAddress())
		p.wantFocus("G25", "verificationCode")
		p.enter(m.Code).at("select-authenticator")
		atTheTop()
		p.picks("okta_password").at("set-password")
		p.wantFocus("G25", "password")
	})
}

func TestUX_G50_BackAtEachStep(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		m := p.begin(address)
		p.back()
		p.at("sign-up")
		if got := p.value("firstName"); got != "Ada" {
			t.Errorf("the form is not filled in: %q", got)
		}
		// Another address from here is another flow.
		other := newAddress()
		p.put("email", other).press(action("create")).at("email-code").says(other)
		p.enter(p.site.mail(t, other).Code).at("select-authenticator").says("Email " + other)
		p.picks("okta_password").at("set-password")
		p.back()
		p.back()
		p.at("set-password") // where the flow is, whichever page was there
		// The mail of the first flow goes on with that one.
		p.openLink(m)
		p.says("Email " + address).skip()
		p.isIn(address)
	})
}

func TestUX_G51_TooOldStartsAgain(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		if !l.noScript {
			p.stopTime() // a page that asks for news goes to the other one by itself
		}
		p.open(p.site.home + "/login/sign-up?return_to=%2F%3Ffrom%3Ddeep").at("sign-up")
		p.put("firstName", "Ada").put("lastName", "Lovelace").put("email", address).press(action("create")).at("email-code")
		m := p.site.mail(t, address)
		p.site.clock.Advance(61 * time.Minute)
		p.enter(m.Code).at("too-old").says("This page is too old", "Start again")
		p.press(action("restart")).at("sign-up")
		if got := p.value("email"); got != address {
			t.Errorf("the address is %q", got)
		}
		p.press(action("create")).at("email-code")
		p.enter(p.site.mail(t, address, m).Code).skip()
		if got := p.address(); got != p.site.home+"/?from=deep" {
			t.Errorf("UX P6.2: ends at %s", got)
		}
	})
}

func TestUX_G52_TwoTabs(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, a, b := newPerson(t, stage(t), l), newAddress(), newAddress()
		other := p.tab()
		first := p.begin(a)
		second := other.begin(b)
		p.reload()
		p.at("email-code").says(a)
		p.enter(first.Code).at("select-authenticator")
		other.enter(second.Code).at("select-authenticator").says(b)
		p.skip()
		p.isIn(a)
		other.skip()
		other.isIn(b)
	})
}

func TestUX_G53_CookiesRefused(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		p.site.refuseCookies.Store(true)
		p.open(p.site.home+"/login/sign-up").at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", newAddress())
		p.press(action("create")).at("error").says("Cookies are switched off", "Allow them for this site")
		if n := len(p.seen.requests("GET " + p.site.home + "/login/step")); n > 2 {
			t.Errorf("the step was asked for %d times", n)
		}
	})
}

func TestUX_G54_AlreadySignedIn(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		p.signUp(address)
		for _, page := range []string{"/login/", "/login/sign-up"} {
			p.open(p.site.home+page).at("already-signed-in").says(address, "Continue", "Use another account")
		}
		p.press("main a.button").at("home")
		p.open(p.site.home + "/login/").at("already-signed-in").press(action("switch")).at("sign-in")
		p.open(p.site.home + "/").at("landing")
	})
}

func TestUX_P1_4_AddressIsCarried(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	p.open(p.site.home+"/login/?return_to=%2F%3Ffrom%3Ddeep").at("sign-in").put("identifier", "ada@example.com")
	p.press(`[data-carry="sign-up"]`).at("sign-up")
	if got := p.value("email"); got != "ada@example.com" {
		t.Errorf("to sign-up: %q", got)
	}
	p.put("email", "eve@example.com").press(`[data-carry="sign-in"]`).at("sign-in")
	if got := p.value("identifier"); got != "eve@example.com" {
		t.Errorf("to sign-in: %q", got)
	}
	address := newAddress()
	p.put("identifier", address).press(`[data-carry="sign-up"]`).at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace")
	p.press(action("create")).at("email-code")
	p.enter(p.site.mail(t, address).Code).skip()
	if got := p.address(); got != p.site.home+"/?from=deep" {
		t.Errorf("UX P6.2: ends at %s", got)
	}
}

func TestUX_P5_1_P5_2_P5_4_P5_5_List(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		m := p.begin(address)
		p.enter(m.Code).at("select-authenticator")
		p.says("Set up another way to sign in", "Email "+address) // P5.1, P5.4
		if got := eval[[]string](p, `[...document.querySelectorAll("[name=authenticator]")].map((e) => e.type + " " + e.value)`); !slices.Equal(got, []string{"radio okta_verify", "radio okta_password"}) {
			t.Errorf("UX P5.1: the list has %s", got)
		}
		if !p.has(`svg + span bdi`) {
			t.Error("UX P5.4: the email has no mark")
		}
		size := func(value string) string {
			return eval[string](p, `(() => { const b = document.querySelector('`+action(value)+`').getBoundingClientRect(); return b.width + " " + b.height })()`)
		}
		if size("skip") != size("submit") {
			t.Errorf("UX P5.2: Skip is %s, Submit %s", size("skip"), size("submit"))
		}
		p.press(action("cancel")).at("sign-in") // P5.5
		p.put("identifier", address).press(action("next")).at("email-code")
		p.enter(p.site.mail(t, address, m).Code).at("home")
		p.isIn(address)
	})
}

func TestUX_P5_2_NoSkipWhereRequired(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, requiring(t), l), newAddress()
		p.enter(p.begin(address).Code)
		if p.has(action("skip")) {
			t.Error("there is a Skip")
		}
		if p.has("[name=authenticator]") {
			p.press(action("submit"))
		}
		p.at("set-password").put("password", "correct horse battery staple").press(action("continue")).skip()
		p.isIn(address)
	})
}

func TestUX_P5_4_PasswordInsteadOfSkip(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.enter(p.begin(address).Code).at("select-authenticator").picks("okta_password").at("set-password")
		p.put("password", "short").press(action("continue")).at("set-password")
		p.wantFocus("G24", "password")
		if got := p.value("password"); got != "" {
			t.Errorf("the password %q is left", got)
		}
		if !l.noScript {
			p.put("password", "correct horse").click(".reveal")
			if kind := eval[string](p, `document.getElementById("password").type`); kind != "text" {
				t.Errorf("shown, the password is of type %s", kind)
			}
		}
		p.put("password", "correct horse battery staple").press(action("continue")).at("select-authenticator").says("Password added.")
		if p.has("#authenticator-okta_password") {
			t.Error("the list is no shorter")
		}
		p.skip().isIn(address)
		p.oneAccount(address, 1)
		p.signOut()
	})
}

func TestUX_P6_2_DeepLink(t *testing.T) {
	for _, how := range []string{"code", "link", "password"} {
		t.Run(how, func(t *testing.T) {
			both(t, func(t *testing.T, l look) {
				p, address := newPerson(t, mounted(t, plain), l), newAddress()
				const deep = "/reports/7?page=2&of=a%20b"
				p.open(p.site.home + deep).at("sign-in").press(`.under a[href*="sign-up"]`).at("sign-up")
				p.put("firstName", "Ada").put("lastName", "Lovelace").put("email", address).press(action("create")).at("email-code")
				m := p.site.mail(t, address)
				if how == "link" {
					p.openLink(m)
				} else {
					p.enter(m.Code).at("select-authenticator")
				}
				if how == "password" {
					p.picks("okta_password").at("set-password").put("password", "correct horse battery staple").press(action("continue")).at("select-authenticator")
				}
				p.press(action("skip"))
				p.at("home")
				if got := p.address(); got != p.site.home+deep {
					t.Errorf("ends at %s", got)
				}
			})
		})
	}
}

func TestUX_P7_7_SignOut(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.signUp(address)
		m := p.site.mail(t, address)
		p.press(action("sign-out")).at("signed-out").says("You are signed out", "Sign in again")
		p.press("main a.button").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
		p.enter(p.site.mail(t, address, m).Code).at("home")
		p.isIn(address)
	})
}

func TestUX_P8_1_InboxShowsNewMail(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p, address := newPerson(t, s, desk), newAddress()
	inbox := p.tab()
	inbox.open(s.engine + "/dev/inbox?to=" + address).at("dev-inbox").says("No mail")
	p.begin(address)
	inbox.wait(`document.querySelectorAll("#messages > li").length === 1`)
	if got, want := eval[string](inbox, `document.querySelector("#messages output").textContent`), s.mail(t, address).Code; got != want {
		t.Errorf("the inbox shows %s, want %s", got, want)
	}
	// Its button opens the link in another tab of this browser, which goes on there.
	linked := inbox.opens("#messages .open")
	linked.at("select-authenticator").skip()
	linked.isIn(address)
}

// Where a name is shown it is text, whatever it is made of.
func TestUX_G60_NamesAreText(t *testing.T) {
	t.Parallel()
	p, address := newPerson(t, stage(t), desk), newAddress()
	const name = `<b onclick="alert(1)">&amp;"'🎉`
	p.beginAs(name, "{{.}}", address)
	p.enter(p.site.mail(t, address).Code).skip()
	p.says(name + " {{.}}")
	if p.has("main b[onclick]") {
		t.Error("the name has become an element")
	}
}
