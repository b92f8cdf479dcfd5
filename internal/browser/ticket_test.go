package browser_test

import (
	"os/exec"
	"strings"
	"testing"
)

// operate runs a command on the data of a running `stile dev`, and gives what it
// prints after "name: ".
func (s *site) operate(t testing.TB, name string, args ...string) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, append(args, "--data", s.dev.data)...).CombinedOutput()
	if err != nil {
		t.Fatalf("stile %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	_, rest, _ := strings.Cut(string(out), name+": ")
	value, _, _ := strings.Cut(rest, "\n")
	if value == "" {
		t.Fatalf("stile %s prints no %s:\n%s", strings.Join(args, " "), name, out)
	}
	return value
}

// leftBehind checks that the address of a page that followed has no token, and
// that no request told it to anybody as where it came from.
func (p *person) leftBehind(token string) {
	p.t.Helper()
	if strings.Contains(p.address(), token) || eval[string](p, "document.referrer") != "" {
		p.t.Errorf("%s, from %q", p.address(), eval[string](p, "document.referrer"))
	}
	if strings.Contains(eval[string](p, "document.documentElement.outerHTML"), token) {
		p.t.Errorf("the token is in the page at %s", p.address())
	}
}

// An invitation from the command to the app: the mail, a press, Skip.
func TestTickets_Invitation(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		s := shared(t)
		p, address := newPerson(t, s, l), newAddress()
		token := s.operate(t, "activationToken", "users", "invite", address)
		m := s.mail(t, address)
		for range 2 { // opening it uses nothing up
			p.open(m.Link).at("welcome").says("You are invited")
		}
		p.press(action("continue")).at("select-authenticator").says("Email " + address)
		p.leftBehind(token)
		p.back()
		p.at("welcome").press(action("continue")).at("select-authenticator")
		p.skip().isIn(address)
		p.leftBehind(token)

		other := newPerson(t, s, l)
		other.open(s.home + "/login/welcome?activationToken=" + token).at("welcome").press(action("continue")).at("invitation-over")
		other.leftBehind(token)
		other.press("main a.button").at("sign-in")
	})
}

// A press too many, while the first is on its way, begins nothing twice.
func TestTickets_PressedTwice(t *testing.T) {
	p := newPerson(t, shared(t), look{width: 1280, noScript: true})
	address := newAddress()
	p.site.operate(t, "activationToken", "users", "invite", address)
	p.open(p.site.mail(t, address).Link).at("welcome").pressTwice(action("continue")).at("select-authenticator")
	p.skip().isIn(address)
}

// A recovery by an operator: the mail, a press, the new password.
func TestTickets_Recovery(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		s := shared(t)
		p, address := newPerson(t, s, l), newAddress()
		p.site.account(t, address, password)
		last := s.mail(t, address)
		token := s.operate(t, "recoveryToken", "users", "reset", address, "--mail")
		m := s.mail(t, address, last)
		p.open(m.Link).at("new-password").says("Until you save one, nothing changes")
		p.press(action("continue")).at("reset-password").says("Go on without a password")
		p.leftBehind(token)
		p.renews(address)
		p.open(s.home + "/login/new-password?recoveryToken=" + token).at("new-password").says("You are signed in here as " + address)
		p.press(action("continue")).at("recovery-over")
		p.leftBehind(token)
		p.open(s.home + "/").at("home").isIn(address)
	})
}

// ticketStates are the pages of mailed tickets. Their tokens are never looked at
// before the press.
var ticketStates = []state{
	{name: "welcome", reach: func(p *person) {
		p.open(p.site.home + "/login/welcome?activationToken=tknone.x").at("welcome")
	}},
	{name: "welcome, signed in", reach: func(p *person) {
		p.signUp(newAddress())
		p.open(p.site.home + "/login/welcome?activationToken=tknone.x").at("welcome").says("You are signed in here")
	}},
	{name: "invitation over", reach: func(p *person) {
		p.open(p.site.home + "/login/welcome?activationToken=tknone.x").at("welcome").press(action("continue")).at("invitation-over")
	}},
	{name: "new password", reach: func(p *person) {
		p.open(p.site.home + "/login/new-password?recoveryToken=tknone.x").at("new-password")
	}},
	{name: "recovery over", reach: func(p *person) {
		p.open(p.site.home + "/login/new-password?recoveryToken=tknone.x").at("new-password").press(action("continue")).at("recovery-over").says("Forgot your password?")
	}},
	{name: "recovery over, no other", site: withOrg("enrollment: [{name: default, authenticators: [{key: okta_email, need: required}]}]"), reach: func(p *person) {
		p.open(p.site.home + "/login/new-password?over=1").at("recovery-over").says("ask whoever runs")
	}},
	{name: "ticket, cut", reach: func(p *person) { p.open(p.site.home + "/login/welcome").at("error") }},
	{name: "long words, welcome", site: longWords, reach: func(p *person) {
		p.open(p.site.home + "/login/welcome?lang=de&activationToken=tknone.x").at("welcome")
	}},
	{name: "right to left, new password", site: arabic, reach: func(p *person) {
		p.open(p.site.home + "/login/new-password?lang=ar&recoveryToken=tknone.x").at("new-password")
	}},
	{name: "invited, the list", reach: func(p *person) {
		p.open(p.site.home + "/login/welcome?activationToken=" + p.site.kit.Invite(p.t, "Ada", "Lovelace", newAddress())).at("welcome")
		p.press(action("continue")).at("select-authenticator")
	}},
	{name: "invited, a password required", site: requiring, reach: func(p *person) {
		p.open(p.site.home + "/login/welcome?activationToken=" + p.site.kit.Invite(p.t, "Ada", "Lovelace", longAddress())).at("welcome")
		p.press(action("continue"))
		if p.has("[name=authenticator]") {
			p.press(action("submit"))
		}
		p.at("set-password")
	}},
}

// TestUX_EveryTicketState checks what holds for every page, as TestUX_EveryState does.
func TestUX_EveryTicketState(t *testing.T) { inEveryState(t, ticketStates) }
