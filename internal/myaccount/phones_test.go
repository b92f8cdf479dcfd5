package myaccount_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/stiletest"
)

// withPhone switches the phone on.
const withPhone = `
enrollment:
  - name: Default
    authenticators:
      - {key: okta_email, need: required}
      - {key: okta_password, need: optional}
      - {key: phone_number, need: optional}
`

var managePhones = append([]string{"okta.myAccount.phone.manage"}, manage...)

const number, second = "+12025550100", "+12025550123"

func (p *person) addPhone(number, method string) answer {
	p.t.Helper()
	return p.do("POST", "/idp/myaccount/phones", `{"profile":{"phoneNumber":"`+number+`"},"sendCode":true,"method":"`+method+`"}`)
}

// withBoth signs the person in anew by address and phone, as a step-up asks for.
func (p *person) withBoth(address, number string) {
	p.t.Helper()
	p.e.Mails(p.t, address) // or a notice that is on its way would be newer than the code
	ctx := p.t.Context()
	tx, err := p.c.Start(ctx, idx.StartOptions{ACRValues: []string{"urn:okta:loa:2fa:any:ifpossible"}})
	if err == nil {
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Username: address})
	}
	if err == nil {
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(p.t, address)})
	}
	if err == nil {
		tx, err = p.c.Proceed(ctx, tx, idx.Input{Values: map[string]any{"methodType": "sms"}})
	}
	if err == nil {
		tx, err = p.c.Proceed(ctx, tx, idx.Input{VerificationCode: p.e.Code(p.t, number)})
	}
	if err != nil || tx.Tokens == nil {
		p.t.Fatalf("sign-in by address and phone: %+v, %v", tx, err)
	}
	p.token = tx.Tokens.AccessToken.Value
}

func TestAUTH_A16_A69_Phones(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone))
	p := signUp(t, e, old, managePhones)
	if list := p.wants(p.do("GET", "/idp/myaccount/phones", ""), 200); strings.TrimSpace(list.text) != "[]" {
		t.Errorf("%s", list.text)
	}
	without := p.wants(p.do("POST", "/idp/myaccount/phones", `{"profile":{"phoneNumber":"`+number+`"},"sendCode":false,"method":"SMS"}`), 201)
	if at(without.doc, "_links", "verify") != nil || len(e.Mails(t, number)) != 0 {
		t.Errorf("without a code: %s", without.text)
	}
	a := p.wants(p.addPhone(number, "SMS"), 201)
	id, _ := a.doc["id"].(string)
	self := e.URL + "/idp/myaccount/phones/" + id
	if a.doc["status"] != "UNVERIFIED" || at(a.doc, "profile", "phoneNumber") != number || a.Header.Get("Location") != self ||
		at(a.doc, "_links", "verify", "href") != self+"/verify" || at(a.doc, "_links", "challenge", "href") != self+"/challenge" {
		t.Fatalf("%s %v", a.text, a.Header)
	}
	wrong := p.wants(p.do("POST", self+"/verify", `{"verificationCode":"000000"}`), 401)
	if wrong.cause() != "This operation couldn't be completed as requested due to an issue with the specified authenticator." {
		t.Errorf("AUTH §14.4: %s", wrong.text)
	}
	first := e.Code(t, number)
	call := p.wants(p.do("POST", self+"/challenge", `{"method":"CALL","retry":true}`), 200)
	if at(call.doc, "_links", "verify", "href") != self+"/verify" || !strings.HasPrefix(e.Mail(t, number).Text, "Hello.") {
		t.Errorf("%s", call.text)
	}
	if code := e.Code(t, number); code != first {
		p.wants(p.do("POST", self+"/verify", `{"verificationCode":"`+first+`"}`), 401) // void by the new one
	}
	if got := p.wants(p.do("POST", self+"/verify", `{"verificationCode":"`+e.Code(t, number)+`"}`), 204); got.text != "" {
		t.Errorf("%q", got.text)
	}
	list := p.wants(p.do("GET", "/idp/myaccount/phones", ""), 200).list
	if len(list) != 1 || list[0]["status"] != "VERIFIED" || list[0]["id"] != id || at(list[0], "profile", "phoneNumber") != number {
		t.Errorf("A-16: %v", list)
	}
	if m := e.Mail(t, old); !strings.Contains(m.Subject, "phone number was added") || !strings.Contains(m.Text, "(+1 XXX-XXX-0100)") || strings.Contains(m.Text, number) {
		t.Errorf("S-56: the notice is %q", m.Subject)
	}
	if methods := p.wants(p.do("GET", "/idp/myaccount/methods", ""), 200); strings.Contains(methods.text, number) || !strings.Contains(methods.text, "XXX-XXX-0100") {
		t.Errorf("the ways to sign in: %s", methods.text)
	}
	reader := &person{t: t, e: e, c: p.c}
	reader.again(old)
	if a := reader.do("DELETE", self, ""); a.StatusCode != 403 || !strings.Contains(a.Header.Get("WWW-Authenticate"), "insufficient_authentication_context") {
		t.Errorf("S-56: the mailbox alone removes the phone: %d %s", a.StatusCode, a.text)
	}
	p.withBoth(old, number)
	if data := p.wants(p.do("GET", "/idp/myaccount/data", ""), 200); !strings.Contains(data.text, number) {
		t.Errorf("a person's data have their number: %s", data.text)
	}
	if same := p.wants(p.addPhone(number, "SMS"), 409); same.doc["errorCode"] != "E0000157" {
		t.Errorf("%s", same.text)
	}

	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"profile":{"phoneNumber":"incorrectnumber"},"sendCode":true,"method":"SMS"}`: {400, "E0000001"},
		`{"profile":{"phoneNumber":"` + second + `"},"sendCode":true,"method":"FAX"}`:  {400, "E0000001"},
		`{"profile":{"phoneNumber":""},"sendCode":true,"method":"SMS"}`:                {400, "E0000001"},
		`{"profile":{"phoneNumber":"+19005551234"},"sendCode":true,"method":"CALL"}`:   {400, "E0000001"},
	} {
		if a := p.do("POST", "/idp/myaccount/phones", body); a.StatusCode != want.status || a.doc["errorCode"] != want.code {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.text)
		}
	}

	del := p.do("DELETE", self, "")
	if del.StatusCode != 204 {
		t.Fatalf("%d %s", del.StatusCode, del.text)
	}
	if list := p.wants(p.do("GET", "/idp/myaccount/phones", ""), 200).list; len(list) != 0 {
		t.Errorf("%v", list)
	}
	p.wants(p.do("GET", self, ""), 404)
	p.wants(p.do("POST", self+"/verify", `{"verificationCode":"`+e.Code(t, number)+`"}`), 401) // replayed
}

// Whoever has just added a phone, and proven it, may remove it again; by any other
// sign-in the mailbox does not.
func TestAUTH_A69_S56_RemovedRightAfter(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone))
	p := signUp(t, e, old, managePhones)
	add := func() string {
		t.Helper()
		self := "/idp/myaccount/phones/" + p.wants(p.addPhone(number, "SMS"), 201).doc["id"].(string)
		p.wants(p.do("POST", self+"/verify", `{"verificationCode":"`+e.Code(t, number)+`"}`), 204)
		return self
	}
	self := add()
	reader := &person{t: t, e: e, c: p.c}
	e.Mails(t, old)
	reader.again(old)
	reader.wants(reader.do("DELETE", self, ""), 403)
	reader.wants(reader.addPhone(second, "SMS"), 403)
	p.wants(p.do("DELETE", self, ""), 204)
	reader.ends()
	if list := p.wants(p.do("GET", "/idp/myaccount/phones", ""), 200).list; len(list) != 0 {
		t.Errorf("%v", list)
	}

	p.wants(p.addPhone(number, "SMS"), 403) // what the mailbox has shown is used by the removal
	e.Clock.Advance(time.Second)
	p.again(old)
	self = add()
	p.wants(p.addPhone(second, "SMS"), 403) // a proof of the one is none for another
	e.Clock.Advance(account.Fresh + time.Second)
	p.wants(p.do("DELETE", self, ""), 403)
}

// To add a number once more is no way around the wait for another code.
func TestAUTH_A14_AddedAgainTooSoon(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone), stiletest.ProductionLimits())
	p := signUp(t, e, old, managePhones)
	first := p.wants(p.addPhone(number, "SMS"), 201)
	for _, a := range []answer{
		p.addPhone(number, "SMS"), p.addPhone("+1 (202) 555-0100", "CALL"),
		p.do("POST", "/idp/myaccount/phones/"+first.doc["id"].(string)+"/challenge", `{"method":"SMS"}`),
	} {
		if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%d %s %v", a.StatusCode, a.text, a.Header)
		}
	}
	p.wants(p.do("POST", "/idp/myaccount/phones", `{"profile":{"phoneNumber":"`+number+`"},"sendCode":false}`), 201)
	p.wants(p.addPhone(number, "SMS"), 429)
	e.Clock.Advance(31 * time.Second)
	p.wants(p.addPhone(number, "SMS"), 201)
	e.Clock.Advance(31 * time.Second)
	p.wants(p.addPhone(number, "SMS"), 429) // the second wait is longer
	e.Clock.Advance(30 * time.Second)
	p.wants(p.addPhone(number, "SMS"), 201)
	if n := len(e.Mails(t, number)); n != 3 {
		t.Errorf("%d texts", n)
	}
}

// Nor is to give it up in between, or to add another one.
func TestAUTH_A14_AddedAgainAfterGivenUp(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone), stiletest.ProductionLimits())
	p := signUp(t, e, old, managePhones)
	first := p.wants(p.addPhone(number, "SMS"), 201)
	p.wants(p.do("DELETE", "/idp/myaccount/phones/"+first.doc["id"].(string), ""), 204)
	p.wants(p.addPhone(number, "SMS"), 429)
	p.wants(p.addPhone(second, "SMS"), 201)
	p.wants(p.addPhone(number, "CALL"), 429)
	e.Clock.Advance(31 * time.Second)
	p.wants(p.addPhone(number, "SMS"), 201)
	p.wants(p.addPhone(second, "SMS"), 201)
	e.Clock.Advance(31 * time.Second)
	p.wants(p.addPhone(number, "SMS"), 429) // the second wait is longer
	if n := len(e.Mails(t, number)); n != 2 {
		t.Errorf("%d texts", n)
	}
}

// A new number takes the old one's place, and what that let in elsewhere ends.
func TestSEC_S56_ReplacedNumber(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone))
	p := signUp(t, e, old, managePhones)
	add := func(p *person, number string) {
		t.Helper()
		a := p.wants(p.addPhone(number, "SMS"), 201)
		p.wants(p.do("POST", "/idp/myaccount/phones/"+a.doc["id"].(string)+"/verify", `{"verificationCode":"`+e.Code(t, number)+`"}`), 204)
	}
	add(p, number)
	elsewhere := &person{t: t, e: e, c: p.c}
	elsewhere.again(old)
	elsewhere.wants(elsewhere.do("GET", "/idp/myaccount/phones", ""), 200)
	elsewhere.wants(elsewhere.addPhone(second, "SMS"), 403) // the mailbox alone
	p.withBoth(old, number)
	add(p, second)
	elsewhere.ends()
	list := p.wants(p.do("GET", "/idp/myaccount/phones", ""), 200).list
	if len(list) != 1 || at(list[0], "profile", "phoneNumber") != second {
		t.Errorf("%v", list)
	}
	subjects := ""
	for _, m := range e.Mails(t, old) {
		subjects += m.Subject + "\n"
	}
	if !strings.Contains(strings.ToLower(subjects), "remove") || !strings.Contains(strings.ToLower(subjects), "add") {
		t.Errorf("the notices are\n%s", subjects)
	}
}

func TestSEC_S53_PhonesOfOneAccount(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org(withPhone), stiletest.ProductionLimits())
	p := signUp(t, e, old, managePhones)
	codes := map[string]int{}
	for _, n := range []string{"+12025550101", "+12025550102", "+12025550103", "+12025550104"} {
		a := p.addPhone(n, "SMS")
		codes[a.Status]++
		if a.StatusCode == http.StatusForbidden && a.doc["errorCode"] != "E0000150" {
			t.Errorf("%s", a.text)
		}
		if sent := len(e.Mails(t, n)); (a.StatusCode == 201) != (sent == 1) {
			t.Errorf("%d, and %d texts", a.StatusCode, sent)
		}
	}
	if codes["201 Created"] != 3 || codes["403 Forbidden"] != 1 {
		t.Errorf("%v", codes)
	}
}

func TestPhonesElsewhere(t *testing.T) {
	e := stiletest.Start(t)
	p := signUp(t, e, old, managePhones)
	if a := p.wants(p.addPhone(number, "SMS"), 403); a.doc["errorCode"] != "E0000038" || len(e.Mails(t, number)) != 0 {
		t.Errorf("where nobody may have one: %s", a.text)
	}
	reads := signUp(t, e, next, []string{"openid", "okta.myAccount.phone.read"})
	reads.wants(reads.do("GET", "/idp/myaccount/phones", ""), 200)
	if a := reads.wants(reads.addPhone(number, "SMS"), 403); !strings.Contains(a.Header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("A-71: %v", a.Header)
	}
	on := stiletest.Start(t, stiletest.Org(withPhone))
	p, q := signUp(t, on, old, managePhones), signUp(t, on, next, managePhones)
	id, _ := p.wants(p.addPhone(number, "SMS"), 201).doc["id"].(string)
	code := on.Code(t, number)
	for _, path := range []string{"/challenge", "/verify"} { // somebody else's
		if a := q.do("POST", "/idp/myaccount/phones/"+id+path, `{"verificationCode":"`+code+`"}`); a.StatusCode != 404 && a.StatusCode != 401 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	on.Clock.Advance(11 * 60e9)
	p.wants(p.do("POST", "/idp/myaccount/phones/"+id+"/verify", `{"verificationCode":"`+code+`"}`), 401)
}
