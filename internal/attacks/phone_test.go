package attacks

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

const phoneID = "aut1phone0000000000"

// passwordAndPhone asks for a password and a phone at every sign-in.
const passwordAndPhone = `
access:
  - name: default
    rules:
      - name: default
        constraints:
          - {knowledge: {}, possession: {types: [phone]}}
enrollment:
  - name: default
    authenticators:
      - {key: okta_email, need: required}
      - {key: okta_password, need: required}
      - {key: phone_number, need: required}
`

const optionalPhone = `
enrollment:
  - name: default
    authenticators:
      - {key: okta_email, need: required}
      - {key: okta_password, need: optional}
      - {key: phone_number, need: optional}
`

func (w *wire) addPhone(method, number string) answer {
	w.t.Helper()
	return w.answer("credential/enroll", map[string]any{
		"authenticator": map[string]any{"id": phoneID, "methodType": method, "phoneNumber": number},
	})
}

func (w *wire) addPassword() answer {
	w.t.Helper()
	w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": passwordID}})
	return w.prove(secret)
}

func (w *wire) sendBy(method string) answer {
	w.t.Helper()
	return w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": phoneID, "methodType": method}})
}

// withPhone walks a sign-up with password and phone to its interaction code.
func (w *wire) withPhone(address, number string) answer {
	w.t.Helper()
	w.enrolled(address)
	w.prove(w.e.Code(w.t, address))
	w.addPhone("sms", number)
	a := w.prove(w.e.Code(w.t, number))
	if a = w.addPassword(); a.code() == "" {
		w.t.Fatalf("sign-up of %s with a phone: %d %s", address, a.status, a.body)
	}
	w.e.Clock.Advance(31 * time.Second)
	return a
}

// amr reads the claim of an id token.
func amr(t *testing.T, a answer) []string {
	t.Helper()
	parts := strings.Split(a.str("id_token"), ".")
	if len(parts) != 3 {
		t.Fatalf("no tokens: %d %s", a.status, a.body)
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ AMR []string }
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(claims.AMR)
	return claims.AMR
}

const own, others = "+12025550100", "+12025550177"

func TestIDX_A13_A15_A16_A17_A77_SecondFactorByPhone(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordAndPhone), stiletest.ProductionLimits())
	w := begin(t, e)
	if got := amr(t, w.redeem(w.withPhone("vera@example.com", own).code(), nil)); !slices.Contains(got, "sms") || slices.Contains(got, "tel") {
		t.Errorf("S-57: amr of the sign-up is %v", got)
	}
	e.Clock.Advance(time.Hour)
	for method, reference := range map[string]string{"sms": "sms", "voice": "tel"} {
		sent := len(e.Mails(t, own))
		w := begin(t, e)
		a := w.identify("vera@example.com")
		if strings.Contains(a.body, "phone") {
			t.Errorf("before proof the phone is told: %s", a.body)
		}
		if !a.has("challenge-authenticator") || a.str("currentAuthenticatorEnrollment", "value", "key") != "okta_password" {
			w.choose(passwordID)
		}
		if a = w.prove(secret); len(a.forms()) == 0 || a.forms()[0] != "authenticator-verification-data" || len(e.Mails(t, own)) != sent {
			t.Fatalf("A-15: %v, %d texts before the method was chosen", a.forms(), len(e.Mails(t, own))-sent)
		}
		if strings.Contains(a.body, `"label":"Email"`) || strings.Contains(a.body, own[1:]) || !strings.Contains(a.body, "+1 XXX-XXX-0100") {
			t.Errorf("A-77, A-16: %s", a.body)
		}
		a = w.sendBy(method)
		if a.forms()[0] != "challenge-authenticator" || a.str("currentAuthenticatorEnrollment", "value", "resend", "name") != "resend" || len(e.Mails(t, own)) != sent+1 {
			t.Fatalf("A-17: %v %s", a.forms(), a.body)
		}
		if a = w.prove(other(1, e.Code(t, own))); !a.wrong() {
			t.Errorf("A-13: %d %s", a.status, a.body)
		}
		a = w.prove(e.Code(t, own))
		if a.code() == "" {
			t.Fatalf("the right code: %d %s", a.status, a.body)
		}
		if got := amr(t, w.redeem(a.code(), nil)); !slices.Equal(got, slices.Sorted(slices.Values([]string{"mfa", "pwd", reference}))) {
			t.Errorf("S-57: amr by %s is %v", method, got)
		}
		e.Clock.Advance(time.Hour)
	}
}

// A code is good once, where it was asked for, and for the number it went to.
func TestSEC_S07_CodesOfPhones(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(optionalPhone), stiletest.ProductionLimits())
	victim, attacker := begin(t, e), begin(t, e)
	for w, address := range map[*wire]string{victim: "vera@example.com", attacker: "mallory@example.com"} {
		w.enrolled(address)
		w.prove(e.Code(t, address))
	}
	attacker.addPhone("sms", others)
	mine := e.Code(t, others)
	victim.addPhone("sms", own)
	theirs := e.Code(t, own)
	if mine != theirs {
		if a := victim.prove(mine); !a.wrong() {
			t.Errorf("the code of another number: %d %s", a.status, a.body)
		}
		if a := attacker.prove(theirs); !a.wrong() {
			t.Errorf("and the other way round: %d %s", a.status, a.body)
		}
	}
	// The number is changed after the code was sent: the code is not the new number's.
	if a := attacker.addPhone("sms", own); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if newest := e.Code(t, own); newest != mine {
		if a := attacker.prove(mine); !a.wrong() {
			t.Errorf("the code of the number before proves the one after: %d %s", a.status, a.body)
		}
	}
	if a := victim.prove(theirs); a.status != 200 || !strings.Contains(a.body, `"+1 XXX-XXX-0100"`) {
		t.Fatalf("the right one: %d %s", a.status, a.body)
	}
	e.Clock.Advance(2 * time.Minute)
	if a := victim.prove(theirs); a.status == 200 && a.code() != "" {
		t.Errorf("replayed: %d %s", a.status, a.body)
	}
}

// Wrong codes end a challenge, then the transaction; each new code starts a count of
// its own that a change of the way of sending does not reset.
func TestSEC_S03_GuessingAPhonesCode(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(optionalPhone), stiletest.ProductionLimits())
	w := begin(t, e)
	w.enrolled("vera@example.com")
	w.prove(e.Code(t, "vera@example.com"))
	w.addPhone("sms", own)
	right, wrongs := e.Code(t, own), 0
	for range 40 {
		a := w.prove(other(wrongs+1, right))
		if !a.wrong() {
			break
		}
		if wrongs++; wrongs == 5 {
			if a := w.prove(right); a.status == 200 {
				t.Error("after five wrong codes the right one is taken")
			}
			e.Clock.Advance(2 * time.Minute)
			w.answer("challenge/resend", nil)
			right = e.Code(t, own)
		}
		if wrongs == 10 {
			e.Clock.Advance(2 * time.Minute)
			w.addPhone("voice", own)
			right = e.Code(t, own)
		}
	}
	if wrongs > 15 {
		t.Errorf("%d guesses", wrongs)
	}
}

// The phone is never what alone replaces a password: the mailbox is shown first, and
// the phone beside it.
func TestSEC_S53_S59_RecoveryAsksForMailboxAndPhone(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordAndPhone), stiletest.ProductionLimits())
	begin(t, e).withPhone("vera@example.com", own)
	e.Clock.Advance(time.Hour)
	w := begin(t, e)
	a := w.recovering("vera@example.com")
	if strings.Contains(a.body, "phone_number") {
		t.Errorf("recovery offers the phone alone: %s", a.body)
	}
	if a = w.sendBy("sms"); len(e.Mails(t, own)) != 1 {
		t.Errorf("and takes it: %d %s", a.status, a.body)
	}
	a = w.prove(e.Code(t, "vera@example.com"))
	if a.has("reset-authenticator") || !a.has("select-authenticator-authenticate") {
		t.Fatalf("after the mailbox: %v %s", a.forms(), a.body)
	}
	e.Clock.Advance(time.Minute)
	if a = w.sendBy("sms"); len(e.Mails(t, own)) != 2 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var asked string
	for _, m := range e.Mails(t, own)[:1] {
		asked = m.Code
	}
	if a = w.prove(asked); !a.has("reset-authenticator") {
		t.Errorf("after the phone: %v %s", a.forms(), a.body)
	}
}

// Nobody's phone rings for whoever only knows an address.
func TestSEC_S42_PhoneTellsNothingBeforeProof(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(passwordAndPhone), stiletest.ProductionLimits())
	begin(t, e).withPhone("vera@example.com", own)
	e.Clock.Advance(time.Hour)
	var shapes []string
	for _, address := range []string{"vera@example.com", "nobody@example.com"} {
		w := begin(t, e)
		a := w.identify(address)
		b := w.sendBy("sms")
		shapes = append(shapes, strings.Join(a.forms(), " ")+"|"+itoa(b.status)+" "+strings.Join(b.keys(), " "))
	}
	if shapes[0] != shapes[1] || len(e.Mails(t, own)) != 1 {
		t.Errorf("%q, %d texts", shapes, len(e.Mails(t, own)))
	}
}

// The pages say that no more can be sent, where the number is asked for, and keep it.
func TestSEC_S53_PagesTellTheLimit(t *testing.T) {
	s := openSite(t, stiletest.Org(optionalPhone), stiletest.ProductionLimits())
	b := s.browser(t)
	b.open("/login/sign-up")
	b.press("create", map[string]string{"firstName": "Vera", "lastName": "Victim", "email": "vera@example.com"})
	b.press("continue", map[string]string{"verificationCode": s.Code(t, "vera@example.com")})
	p := b.press("submit", map[string]string{"authenticator": "phone_number"})
	for i, number := range []string{"202 555 0101", "202 555 0102", "202 555 0103", "202 555 0104"} {
		if p.kind != "phone-number" {
			t.Fatalf("number %d: %s: %s", i+1, p.kind, p.body)
		}
		s.Clock.Advance(6 * time.Second) // a handle has ten requests in five seconds
		p = b.press("continue", map[string]string{"country": "US", "phoneNumber": number, "methodType": "sms"})
		if i == 3 {
			break
		}
		if p.kind != "phone-code" {
			t.Fatalf("number %d leads to %s: %s", i+1, p.kind, p.body)
		}
		for _, f := range p.forms { // the button Change stands elsewhere on the page
			if f.fields.Get("authenticator") == "phone_number" {
				p = b.submit(f, "instead", nil)
				break
			}
		}
	}
	if p.kind != "phone-number" || !strings.Contains(p.body, "No more text messages can be sent for now") || !strings.Contains(p.body, "202 555 0104") {
		t.Errorf("%d %s: %s", p.status, p.kind, p.body)
	}
	if len(s.Mails(t, "+12025550104")) != 0 {
		t.Error("a text went out all the same")
	}
}
