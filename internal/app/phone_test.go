package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/policy"
)

// provider takes texts and calls over HTTP, as a hook or as a gateway.
type provider struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []string // bodies
	come   chan string
}

func newProvider(t *testing.T, answer string) *provider {
	t.Helper()
	p := &provider{status: http.StatusOK, come: make(chan string, 1000)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.got = append(p.got, string(body))
		status := p.status
		p.mu.Unlock()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
		p.come <- string(body)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// next is the body of the next message.
func (p *provider) next(t *testing.T) string {
	t.Helper()
	select {
	case body := <-p.come:
		return body
	case <-time.After(time.Minute):
		t.Fatal("no message came")
		return ""
	}
}

// phoneOrg lets people have a phone, and asks of nobody to have one.
func phoneOrg(org *policy.Org) {
	e := &org.Enrollment[len(org.Enrollment)-1]
	e.Authenticators = append(e.Authenticators[:len(e.Authenticators):len(e.Authenticators)], policy.Authenticator{Key: "phone_number", Need: policy.Optional})
}

func startWithPhones(t *testing.T, phones app.Phones, l flow.Limits) *engine {
	t.Helper()
	e := startNode(t, app.Config{Dir: t.TempDir(), Limits: l, Phones: phones, Overlay: phoneOrg})
	e.register(t)
	return e
}

const hookTook = `{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL"}]}]}`

// atList runs a sign-up up to the list of what can be added.
func (e *engine) atList(t *testing.T, address string) string {
	t.Helper()
	h, err := e.enrolled(address)
	if err != nil {
		t.Fatal(err)
	}
	code, err := e.code(t.Context(), address)
	if err == nil {
		_, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, code))
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (e *engine) phone(h, method, number string) ([]byte, error) {
	return e.idx("credential/enroll", fmt.Sprintf(
		`{"stateHandle":%q,"authenticator":{"id":"aut1phone0000000000","methodType":%q,"phoneNumber":%q}}`, h, method, number))
}

// The whole way to a phone: a code by the hook of the field, and the phone is there.
func TestIDX_A10_A13_A16_ByTheHook(t *testing.T) {
	p := newProvider(t, hookTook)
	e := startWithPhones(t, app.Phones{Hook: p.URL, HookSecret: "s", Countries: []string{"US"}}, limits())
	h := e.atList(t, "ada@example.com")
	doc, err := e.phone(h, "sms", "+12025550100")
	if err != nil || !strings.Contains(string(doc), `"enroll-authenticator"`) {
		t.Fatalf("%s, %v", doc, err)
	}
	if strings.Contains(string(doc), "2025550100") || !strings.Contains(string(doc), "+1 XXX-XXX-0100") {
		t.Errorf("A-16: %s", doc)
	}
	var asked struct {
		RequestType string
		Data        struct {
			MessageProfile struct{ PhoneNumber, OTPCode, DeliveryChannel string }
			UserProfile    struct{ Login, FirstName string }
		}
	}
	if err := json.Unmarshal([]byte(p.next(t)), &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Data.MessageProfile.PhoneNumber != "+12025550100" || asked.Data.UserProfile.Login != "ada@example.com" ||
		asked.RequestType != "com.okta.user.telephony.mfa-enrollment" {
		t.Errorf("the hook is told %+v", asked)
	}
	wrong, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":"000000"}}`, h))
	if err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "Invalid code. Try again.") {
		t.Errorf("A-13: %s, %v", wrong, err)
	}
	doc, err = e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, asked.Data.MessageProfile.OTPCode))
	if err != nil || !strings.Contains(string(doc), `"type":"phone"`) {
		t.Fatalf("%s, %v", doc, err)
	}
	if doc, err = e.idx("skip", fmt.Sprintf(`{"stateHandle":%q}`, h)); err != nil || interactionCode.Find(doc) == nil {
		t.Errorf("%s, %v", doc, err)
	}
}

func TestIDX_A09_A11_A12_A14_ByAGateway(t *testing.T) {
	p := newProvider(t, `{"sid":"SM1"}`)
	description := "sms:\n  url: " + p.URL + "/Messages.json\n  user: AC1\n  form: {To: '{{.To}}', Body: '{{.Text}}'}\n"
	e := startWithPhones(t, app.Phones{Gateway: []byte(description), GatewaySecret: "token", Methods: []string{"sms"}, Countries: []string{"US"}}, limits())
	h := e.atList(t, "ada@example.com")
	doc, err := e.idx("credential/enroll", fmt.Sprintf(`{"stateHandle":%q,"authenticator":{"id":"aut1phone0000000000"}}`, h))
	if err != nil || !strings.Contains(string(doc), `"authenticator-enrollment-data"`) || strings.Contains(string(doc), "voice") {
		t.Fatalf("A-09, without calls: %s, %v", doc, err)
	}
	for _, number := range []string{"incorrectnumber", "+491711234567"} { // no number; a country that is not in the list
		if _, err = e.phone(h, "sms", number); err == nil || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), "Invalid Phone Number.") {
			t.Errorf("A-11: %v", err)
		}
	}
	if p.count() != 0 {
		t.Error("A-11: a text was sent")
	}
	if _, err = e.phone(h, "sms", "202 555 0100"); err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(p.next(t))
	if err != nil || form.Get("To") != "+12025550100" || !regexp.MustCompile(`Your verification code is \d{6}`).MatchString(form.Get("Body")) {
		t.Errorf("A-12: %v, %v", form, err)
	}
	if strings.Contains(form.Get("Body"), "@") {
		t.Errorf("an app at http has no origin to bind to: %q", form.Get("Body"))
	}
	if _, err := e.idx("challenge/resend", fmt.Sprintf(`{"stateHandle":%q}`, h)); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("A-14: again at once: %v", err)
	}
	if p.count() != 1 {
		t.Errorf("%d texts", p.count())
	}
}

// Whoever signs up again and again to have numbers texted, theirs or those of a
// premium range, comes to an end: each number gets five within an hour, all together
// what a day may cost, and nothing in between.
func TestSEC_S53_TollFraudIsBounded(t *testing.T) {
	p := newProvider(t, hookTook)
	l := limits()
	l.Rules.Texts = limit.Volume{{N: 12, Per: 24 * time.Hour}}
	e := startWithPhones(t, app.Phones{Hook: p.URL, HookSecret: "s", Countries: []string{"US"}}, l)
	var group sync.WaitGroup
	refused, sent := make(chan string, 100), make(chan string, 100)
	for i := range 8 { // at the same time, three numbers each
		h := e.atList(t, fmt.Sprintf("p%d@example.com", i))
		group.Go(func() {
			for j := range 4 {
				number := fmt.Sprintf("+120255501%d%d", i, j)
				if i >= 6 {
					number = "+12025550199" // or all at one
				}
				if j == 3 {
					number = "+19005550100" // that would pay the sender
				}
				if _, err := e.phone(h, []string{"sms", "voice"}[j%2], number); err != nil {
					refused <- err.Error()
				} else {
					sent <- number
				}
			}
		})
	}
	group.Wait()
	close(refused)
	close(sent)
	written(t, e)
	if p.count() > 12 || p.count() != len(sent) {
		t.Errorf("%d messages went out, %d were accepted", p.count(), len(sent))
	}
	kinds := map[string]int{}
	for why := range refused {
		for _, key := range []string{"E0000150", "E0000151", "invalid_phone", "tooManyRequests"} {
			if strings.Contains(why, key) {
				kinds[key]++
			}
			if strings.HasPrefix(key, "E") && strings.Contains(why, key) && (!strings.Contains(why, ": 403 ") || !strings.Contains(why, "select-authenticator-enroll")) {
				t.Errorf("AUTH §1.4: the same form with 403 is due: %.300s", why)
			}
		}
	}
	if kinds["invalid_phone"] != 8 || kinds["E0000150"]+kinds["E0000151"] == 0 {
		t.Errorf("refused as %v", kinds)
	}
	for n := range sent {
		if strings.HasPrefix(n, "+1900") {
			t.Errorf("%s was called", n)
		}
	}
}

// A link that goes by text costs what a code does: whoever begins sign-ups to have a
// number texted comes to an end at it, and at three numbers of one of them.
func TestSEC_S53_LinksByTextAreBounded(t *testing.T) {
	p, l := newProvider(t, hookTook), limits()
	l.Rules.HandleRequests, l.Rules.UserRequests = limit.Volume{}, limit.Volume{} // which would end it sooner
	e := startWithPhones(t, app.Phones{Hook: p.URL, HookSecret: "s", Countries: []string{"US"}}, l)
	text := func(h, number string) error {
		choice := fmt.Sprintf(`{"authenticator":{"id":"aut1oktaverify000000","channel":"sms"},"stateHandle":%q}`, h)
		if _, err := e.idx("credential/enroll", choice); err != nil {
			t.Fatal(err)
		}
		_, err := e.idx("challenge/send", fmt.Sprintf(`{"phoneNumber":%q,"stateHandle":%q}`, number, h))
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), ": 403 ") || !strings.Contains(err.Error(), "E0000150") || !strings.Contains(err.Error(), "enrollment-channel-data") {
			t.Errorf("%s: %.300v", what, err)
		}
	}
	for i := range 4 {
		if err := text(e.atList(t, fmt.Sprintf("p%d@example.com", i)), "+12025550100"); err != nil {
			t.Fatalf("text %d: %v", i+1, err)
		}
	}
	h := e.atList(t, "more@example.com")
	refused("a fifth to the number", text(h, "+12025550100"))
	if _, err := e.phone(h, "sms", "+12025550100"); err == nil || !strings.Contains(err.Error(), ": 403 ") {
		t.Errorf("links and codes are counted apart: %v", err)
	}
	for i := range 3 {
		if err := text(h, fmt.Sprintf("+1202555011%d", i)); err != nil {
			t.Fatalf("number %d: %v", i+1, err)
		}
	}
	refused("a fourth number", text(h, "+12025550119"))
	written(t, e)
	if p.count() != 7 {
		t.Errorf("%d texts", p.count())
	}
	e = startWithPhones(t, app.Phones{Hook: p.URL, HookSecret: "s", Methods: []string{"voice"}, Countries: []string{"US"}}, limits())
	choice := fmt.Sprintf(`{"authenticator":{"id":"aut1oktaverify000000","channel":"sms"},"stateHandle":%q}`, e.atList(t, "ada@example.com"))
	if doc, err := e.idx("credential/enroll", choice); err == nil {
		t.Errorf("nothing texts, and it is offered: %v", doc)
	}
}

func TestDEC_D14_NoPhoneWithoutAWay(t *testing.T) {
	_, err := app.New(t.Context(), app.Config{
		Dir: t.TempDir(), PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Overlay: phoneOrg, Limits: limits(),
	})
	if err == nil || !strings.Contains(err.Error(), "phone_number needs a way to reach phones") {
		t.Errorf("%v", err)
	}
}
