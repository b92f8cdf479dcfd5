package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The acceptance walks of UX §11, in light and dark, with and without script, at
// 320 and 1280 px: the two ways through the six steps in every look, the others in
// every pair of them.

var people atomic.Int64

// newAddress gives an address that nobody has.
func newAddress() string { return fmt.Sprintf("ada-%d@example.com", people.Add(1)) }

// begin opens the app and goes as far as the code page of a sign-up.
func (p *person) begin(address string) mail {
	p.t.Helper()
	p.open(p.site.home + "/").at("landing").press("#sign-up").at("sign-up")
	p.put("firstName", "Ada").put("lastName", "Lovelace").put("email", address)
	p.press(action("create")).at("email-code").says("We sent a code to " + address)
	return p.site.mail(p.t, address)
}

func (p *person) enter(code string) *person {
	p.t.Helper()
	return p.put("verificationCode", code).press(action("continue"))
}

// skip ends a sign-up at the list.
func (p *person) skip() *person {
	p.t.Helper()
	return p.at("select-authenticator").press(action("skip")).at("home")
}

// signUp takes all six steps, and gives the account's id.
func (p *person) signUp(address string) (subject string) {
	p.t.Helper()
	p.enter(p.begin(address).Code).skip()
	return p.isIn(address)
}

// isIn checks that the app knows the person and holds tokens, and gives their id.
func (p *person) isIn(address string) (subject string) {
	p.t.Helper()
	if got := eval[string](p, `document.getElementById("email").textContent`); got != address {
		p.t.Errorf("signed in as %s, want %s", got, address)
	}
	for _, token := range []string{"#id-token-raw", "#access-token-raw"} {
		if !p.has(token) {
			p.t.Errorf("no %s", token)
		}
	}
	return eval[string](p, `document.getElementById("subject").textContent`)
}

// signOut leaves the app by its button.
func (p *person) signOut() {
	p.t.Helper()
	p.open(p.site.home + "/").at("home").press(action("sign-out")).at("signed-out")
	p.open(p.site.home + "/").at("landing")
}

// oneAccount checks that the address has been written to so often, and has one account.
func (p *person) oneAccount(address string, mails int) {
	p.t.Helper()
	if n := len(p.site.mails(p.t, address, "", 0)); n != mails {
		p.t.Errorf("%d mails to %s, want %d", n, address, mails)
	}
	if n := p.site.users(p.t, address); n != 1 {
		p.t.Errorf("%d accounts of %s, want 1", n, address)
	}
}

func TestUX_Walk1_P5_3_NewPersonByCode(t *testing.T) { inLooks(t, looks, signsUpByCode) }

func signsUpByCode(t *testing.T, l look) {
	p, address := newPerson(t, l.site(t), l), newAddress()
	p.signUp(address)
	if p.presses > 4 || p.typed > 4 { // UX P5.3
		t.Errorf("%d presses and %d fields, want at most 4 and 4", p.presses, p.typed)
	}
	for step := 1; step <= 6 && l.restarts != engineAndApp; step++ { // what it tells it has in memory
		if !p.has(fmt.Sprintf(`details[data-step="%d"]`, step)) {
			t.Errorf("the app does not tell of step %d", step)
		}
	}
	p.oneAccount(address, 1)
	p.signOut()
}

func TestUX_Walk2_LinkInTheSameBrowser(t *testing.T) {
	inLooks(t, looks, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		m := p.begin(address)
		linked := p.tab()
		linked.openLink(m)
		// The page that waits goes on too.
		if l.noScript {
			p.press(action("check"))
		}
		p.at("select-authenticator")
		linked.skip()
		linked.isIn(address)
		p.press(action("skip")).at("home")
		p.oneAccount(address, 1)

		// A second look at the link does no harm (UX P4.5).
		linked.open(m.Link).at("home")
	})
}

// openLink opens the mailed link in the browser where it was asked for.
func (p *person) openLink(m mail) {
	p.t.Helper()
	p.open(m.Link)
	if p.look.noScript {
		p.at("link-continue").press(action("continue"))
	}
	p.at("select-authenticator")
	for _, address := range append(p.visited(), p.address()) {
		if strings.Contains(address, m.Code) || strings.Contains(address, m.Link) {
			p.t.Errorf("UX P4.8: %s is left in the history", address)
		}
	}
}

func TestUX_Walk3_LinkOnAnotherDevice(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		s := shared(t)
		p, address := newPerson(t, s, l), newAddress()
		m := p.begin(address)

		phone := newPerson(t, s, l)
		phone.open(m.Link).at("link-elsewhere").says("Enter this code where you started")
		code := eval[string](phone, `document.getElementById("code").textContent.trim()`)
		phone.open(s.home + "/").at("landing") // not signed in there (decision D9)

		p.at("email-code").enter(code).skip()
		p.isIn(address)
		phone.open(m.Link).at("error").says("This link was already used")
		p.oneAccount(address, 1)
	})
}

func TestUX_Walk4_ScannerFirst(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		s := shared(t)
		for _, how := range []string{"link", "code"} {
			t.Run(how, func(t *testing.T) {
				p, address := newPerson(t, s, l), newAddress()
				m := p.begin(address)
				for i := range 20 {
					ask(t, []string{http.MethodGet, http.MethodHead}[i%2], m.Link)
				}
				scanner := newPerson(t, s, look{width: 1280})
				scanner.open(m.Link).at("link-elsewhere")
				if how == "link" {
					p.openLink(m)
				} else {
					p.enter(m.Code)
				}
				p.skip()
				p.isIn(address)
				p.oneAccount(address, 1)
			})
		}
	})
}

// ask requests an address as a program does: no cookies, no script.
func ask(t testing.TB, method, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v", method, address, res.Status, err)
	}
}

func TestUX_Walk5_WrongAddressChanged(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		p, wrong, right := newPerson(t, shared(t), l), newAddress(), newAddress()
		void := p.begin(wrong)
		p.press(action("change")).at("sign-up")
		for id, want := range map[string]string{"firstName": "Ada", "lastName": "Lovelace", "email": wrong} { // UX P3.10
			if got := p.value(id); got != want {
				t.Errorf("%s holds %q, want %q", id, got, want)
			}
		}
		p.wantFocus("P3.10", "email")
		if !l.noScript {
			p.wait(`getSelection().toString() === document.getElementById("email").value`)
		}
		p.put("email", right).press(action("create")).at("email-code").says(right)
		m := p.site.mail(t, right)
		p.enter(void.Code).at("email-code").says("That code is not right")
		p.tab().open(void.Link).at("error")
		p.enter(m.Code).skip()
		p.isIn(right)
		p.oneAccount(right, 1)
		if n := p.site.users(t, wrong); n != 0 {
			t.Errorf("%d accounts of the wrong address", n)
		}
	})
}

func TestUX_Walk6_FirstCodeAfterTwoResends(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		first := p.begin(address)
		last := first
		for range 2 {
			p.press(action("resend")).at("email-code").says("We sent it again at")
			last = p.site.mail(t, address, last)
		}
		p.enter(first.Code).skip()
		p.isIn(address)
		p.oneAccount(address, 3)
	})
}

func TestUX_Walk7_ExistingAccountThroughSignUp(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		subject := p.signUp(address)
		p.signOut()

		first := p.site.mail(t, address)
		p.press("#sign-up").at("sign-up")
		p.put("firstName", "Mallory").put("lastName", "Malone").put("email", address)
		p.press(action("create")).at("email-code").says("We sent a code to " + address) // UX P2.8
		m := p.site.mail(t, address, first)
		if !strings.Contains(m.Subject, "You already have") || strings.Contains(m.Text+m.HTML, "Mallory") {
			t.Errorf("UX M3: %s\n%s", m.Subject, m.Text)
		}
		p.enter(m.Code).at("home")
		if again := p.isIn(address); again != subject {
			t.Errorf("signed in to account %s, want %s", again, subject)
		}
		if name := eval[string](p, `document.getElementById("name").textContent`); name != "Ada Lovelace" {
			t.Errorf("the account's name has become %s", name)
		}
		p.oneAccount(address, 2)
	})
}

func TestUX_Walk8_CodeTooOld(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		old := p.begin(address)
		p.site.clock.Advance(11 * time.Minute)
		p.enter(old.Code).at("email-code").says("That code is too old") // UX P3.6
		if primary := eval[string](p, `document.querySelector("main button:not(.link, .plain)").value`); primary != "resend" {
			t.Errorf("UX P3.6: the main button is %s", primary)
		}
		p.press(action("resend")).at("email-code")
		p.enter(p.site.mail(t, address, old).Code).skip()
		p.isIn(address)
	})
}

func TestUX_Walk9_BackReloadTwice(t *testing.T) {
	inLooks(t, fewLooks, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		p.open(p.site.home + "/").at("landing").press("#sign-up").at("sign-up")
		p.reload()
		p.at("sign-up").put("firstName", "Ada").put("lastName", "Lovelace").put("email", address)
		p.pressTwice(action("create")).at("email-code")
		m := p.site.mail(t, address)
		p.reload()
		p.at("email-code")

		p.back()
		p.at("sign-up")
		if got := p.value("email"); got != address { // UX G50
			t.Errorf("after Back the address is %q", got)
		}
		p.pressTwice(action("create")).at("email-code")

		p.put("verificationCode", m.Code).pressTwice(action("continue")).at("select-authenticator")
		p.reload()
		p.at("select-authenticator")
		p.back() // the code has been used, so its page is where the flow is now
		p.at("select-authenticator").pressTwice(action("skip")).at("home")
		p.reload()
		p.at("home")
		p.isIn(address)
		p.back()
		p.at("already-signed-in").says(address) // UX P6.3, G54
		p.press("main a.button").at("home")
		p.oneAccount(address, 1)
	})
}
