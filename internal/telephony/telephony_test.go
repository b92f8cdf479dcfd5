package telephony_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/telephony"
)

var at = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func now() time.Time { return at }

func message() telephony.Message {
	return telephony.Message{
		Method: telephony.SMS, To: "+12025550100", Code: "123456", App: "Acme", Host: "app.example.com", Locale: "en",
		ExpiresAt: at.Add(5 * time.Minute), Reason: "mfa-verification", IP: "192.0.2.7",
		Person: telephony.Person{ID: "00u1", Login: "ada@example.com", FirstName: "Ada", LastName: "Lovelace"},
	}
}

// provider is a service on the network, which keeps what it was asked.
type provider struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	answer string
	got    []asked
}

type asked struct {
	*http.Request
	body string
}

func newProvider(t *testing.T) *provider {
	p := &provider{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, asked{r, string(body)})
		if p.status >= 300 && p.status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) set(status int, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.answer = status, answer
}

func (p *provider) last(t *testing.T) asked {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		t.Fatal("nobody asked")
	}
	return p.got[len(p.got)-1]
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

func TestIDX_A12_Text(t *testing.T) {
	m := message()
	if got, want := m.Text(), "Acme: Your verification code is 123456.\n\n@app.example.com #123456"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if !regexp.MustCompile(`Your verification code is (\d+)`).MatchString(m.Text()) {
		t.Error("A-12")
	}
	m.Host = ""
	if got := m.Text(); strings.Contains(got, "@") {
		t.Errorf("bound to nothing: %q", got)
	}
	m.Method = telephony.Voice
	if got := m.Text(); !strings.Contains(got, "for Acme is: 1. 2. 3. 4. 5. 6. Once more: 1. 2. 3. 4. 5. 6.") {
		t.Errorf("a call says %q", got)
	}
	m = telephony.Message{Method: telephony.SMS, Link: "https://id.example.com/auth/push/link?t=x"}
	if got := m.Text(); got != "Click here to enroll Okta Verify : https://id.example.com/auth/push/link?t=x" {
		t.Errorf("A-25: %q", got)
	}
}

// The last line binds the code to a host. No name of an app can write another.
func TestSEC_S118_AppNameBindsNothing(t *testing.T) {
	m := message()
	m.Host, m.App = "", "Acme\n\n@evil.example #123456\u2028@evil.example #1\u0000"
	if got := m.Text(); strings.ContainsAny(got, "\n\u2028\x00") {
		t.Errorf("%q", got)
	}
	m.App = strings.Repeat("very long ", 20)
	if got := m.Text(); len(got) > 80 {
		t.Errorf("%d characters: %q", len(got), got)
	}
}

func TestMGMT_M33_Hook(t *testing.T) {
	p := newProvider(t)
	h, err := telephony.NewHook(p.URL+"/hook", "the secret", now)
	if err != nil {
		t.Fatal(err)
	}
	ok := `{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL","provider":"x","transactionId":"1"}]}]}`
	p.set(http.StatusOK, ok)
	m := message()
	if err := h.Send(t.Context(), "msg1-x", m); err != nil {
		t.Fatal(err)
	}
	r := p.last(t)
	if r.Method != http.MethodPost || r.URL.Path != "/hook" || r.Header.Get("Authorization") != "the secret" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	var body struct {
		EventID, EventType, RequestType, Source string
		Data                                    struct {
			UserProfile    struct{ FirstName, LastName, Login, UserID string }
			MessageProfile struct{ MsgTemplate, PhoneNumber, OTPExpires, DeliveryChannel, OTPCode, Locale string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatal(err)
	}
	mp := body.Data.MessageProfile
	if body.EventType != "com.okta.telephony.provider" || body.RequestType != "com.okta.user.telephony.mfa-verification" || body.EventID != "msg1-x" {
		t.Errorf("%+v", body)
	}
	if mp.PhoneNumber != "+12025550100" || mp.OTPCode != "123456" || mp.DeliveryChannel != "SMS" || mp.OTPExpires != "2026-11-27T09:05:00.000Z" {
		t.Errorf("%+v", mp)
	}
	if u := body.Data.UserProfile; u.Login != "ada@example.com" || u.UserID != "00u1" || u.FirstName != "Ada" {
		t.Errorf("%+v", u)
	}
	m.Method = telephony.Voice
	if err := h.Send(t.Context(), "msg1-x", m); err != nil || !strings.Contains(p.last(t).body, `"deliveryChannel":"VOICE CALL"`) {
		t.Errorf("a call: %v, %s", err, p.last(t).body)
	}

	for answer, want := range map[string]string{
		strings.Replace(ok, "SUCCESSFUL", "PENDING", 1): "",
		strings.Replace(ok, "SUCCESSFUL", "FAILED", 1):  "refused",
		`{"commands":[]}`:                 "refused",
		`{"error":{"errorSummary":"no"}}`: "down",
		`not JSON`:                        "down",
		``:                                "down",
	} {
		p.set(http.StatusOK, answer)
		if got := outcome(h.Send(t.Context(), "msg2", m)); got != want {
			t.Errorf("%s: %q, not %q", answer, got, want)
		}
	}
}

// A link has no place in the hook's form: it stands where hooks look for a code, so
// that one which knows nothing of links gets it across, and beside it.
func TestAUTH_A25_LinkByHook(t *testing.T) {
	p := newProvider(t)
	p.set(http.StatusOK, `{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL"}]}]}`)
	h, err := telephony.NewHook(p.URL, "the secret", now)
	if err != nil {
		t.Fatal(err)
	}
	m := message()
	m.Code, m.Link, m.Reason = "", "https://id.example.com/auth/push/link?t=a.b", "mfa-enrollment"
	if err := h.Send(t.Context(), "msg1-x", m); err != nil {
		t.Fatal(err)
	}
	var body struct {
		RequestType string
		Data        struct {
			MessageProfile struct{ MsgTemplate, OTPCode, Link, Message, DeliveryChannel string }
		}
	}
	if err := json.Unmarshal([]byte(p.last(t).body), &body); err != nil {
		t.Fatal(err)
	}
	mp := body.Data.MessageProfile
	if want := "Click here to enroll Okta Verify : " + m.Link; strings.ReplaceAll(mp.MsgTemplate, "${code}", mp.OTPCode) != want ||
		mp.Message != "Acme: "+want || mp.Link != m.Link || mp.DeliveryChannel != "SMS" || body.RequestType != "com.okta.user.telephony.mfa-enrollment" {
		t.Errorf("%+v", body)
	}
}

func TestAUTH_A25_LinkByGateway(t *testing.T) {
	p := newProvider(t)
	m := message()
	m.Code, m.Link = "", "https://id.example.com/auth/push/link?t=a.b"
	for template, want := range map[string]string{
		"{{.Text}}": m.Text(), "Your code: {{.Code}}": "Your code: " + m.Link, "Open {{.Link}}": "Open " + m.Link,
	} {
		g := gateway(t, p, "sms:\n  url: %URL%\n  form: {Body: '"+template+"'}\n", "")
		if err := g.Send(t.Context(), "msg1-x", m); err != nil {
			t.Fatal(err)
		}
		if form, err := url.ParseQuery(p.last(t).body); err != nil || form.Get("Body") != want {
			t.Errorf("%s: %v %v", template, form, err)
		}
	}
}

// outcome sorts an error: the message is refused, is to be tried again, or the other
// side is down.
func outcome(err error) string {
	var p *outbox.Permanent
	var t *outbox.Temporary
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return "refused"
	case errors.As(err, &t) && t.Unavailable:
		return "down"
	}
	return "again"
}

const twilio = `
sms:
  url: %URL%/2010-04-01/Accounts/AC1/Messages.json
  user: AC1
  headers:
    Idempotency-Key: "{{.ID}}"
  form:
    To: "{{.To}}"
    From: "+12025550000"
    Body: "{{.Text}}"
voice:
  url: %URL%/2010-04-01/Accounts/AC1/Calls.json
  user: AC1
  form:
    To: "{{.To}}"
    Twiml: "<Response><Say>{{xml .Text}}</Say></Response>"
`

func gateway(t *testing.T, p *provider, description, secret string) *telephony.Gateway {
	t.Helper()
	g, err := telephony.NewGateway([]byte(strings.ReplaceAll(description, "%URL%", p.URL)), secret)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGatewayByForm(t *testing.T) {
	p := newProvider(t)
	g := gateway(t, p, twilio, "token")
	m := message()
	m.App = `Q&A "<b>"`
	if err := g.Send(t.Context(), "msg1-x", m); err != nil {
		t.Fatal(err)
	}
	r := p.last(t)
	form, err := url.ParseQuery(r.body)
	user, password, _ := r.BasicAuth()
	if err != nil || r.URL.Path != "/2010-04-01/Accounts/AC1/Messages.json" || user != "AC1" || password != "token" || r.Header.Get("Idempotency-Key") != "msg1-x" {
		t.Errorf("%s %v: %v", r.URL, r.Header, err)
	}
	if form.Get("To") != "+12025550100" || form.Get("Body") != m.Text() || len(form) != 3 {
		t.Errorf("%v", form)
	}
	m.Method = telephony.Voice
	if err := g.Send(t.Context(), "msg2", m); err != nil {
		t.Fatal(err)
	}
	form, _ = url.ParseQuery(p.last(t).body)
	var said struct{ Say string }
	if err := xml.Unmarshal([]byte(form.Get("Twiml")), &said); err != nil || said.Say != m.Text() {
		t.Errorf("it says %q: %v", said.Say, err)
	}
}

func TestGatewayByJSON(t *testing.T) {
	p := newProvider(t)
	g := gateway(t, p, `
sms:
  url: %URL%/send
  method: PUT
  bearer: true
  query: {tenant: "a&b"}
  json:
    to: ["{{.To}}"]
    content: {text: "{{.Text}}", kind: 1, flash: false}
`, "token")
	m := message()
	m.App = `x","admin":true,"y":"`
	if err := g.Send(t.Context(), "msg1", m); err != nil {
		t.Fatal(err)
	}
	r := p.last(t)
	var body map[string]any
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || len(body) != 2 {
		t.Fatalf("%s: %v", r.body, err)
	}
	if body["content"].(map[string]any)["text"] != m.Text() || body["to"].([]any)[0] != "+12025550100" {
		t.Errorf("%s", r.body)
	}
	if r.Method != http.MethodPut || r.Header.Get("Authorization") != "Bearer token" || r.URL.Query().Get("tenant") != "a&b" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	if g.Can(telephony.Voice) || outcome(g.Send(t.Context(), "m", telephony.Message{Method: telephony.Voice})) != "refused" {
		t.Error("it makes calls that it does not know how to make")
	}
}

func TestGatewayOutcomes(t *testing.T) {
	p := newProvider(t)
	g := gateway(t, p, twilio, "token")
	for status, want := range map[int]string{
		200: "", 201: "", 202: "", 400: "refused", 422: "refused", 401: "down", 403: "down", 404: "down", 429: "down", 500: "down", 503: "down",
		302: "down", // what lets people in goes to no other address
	} {
		p.set(status, "{}")
		before := p.count()
		err := g.Send(t.Context(), "m", message())
		if got := outcome(err); got != want {
			t.Errorf("%d: %q, not %q", status, got, want)
		}
		if p.count() != before+1 {
			t.Errorf("%d: asked %d times", status, p.count()-before)
		}
		if err != nil && strings.Contains(err.Error(), "2025550100") {
			t.Errorf("%d: the error tells the number: %v", status, err)
		}
	}
	p.Close()
	err := g.Send(t.Context(), "m", message())
	if outcome(err) != "down" || strings.Contains(err.Error(), "Accounts") {
		t.Errorf("nobody is there: %v", err)
	}
}

// A gateway that means something else by its statuses is taken at its word.
func TestGatewayStatuses(t *testing.T) {
	p := newProvider(t)
	g := gateway(t, p, twilio+"  status: {sent: [409], refused: [4xx, 503], again: [200, 425, 404, 3xx]}\n", "token")
	m := message()
	for method, statuses := range map[string]map[int]string{
		telephony.SMS:   {200: "", 409: "refused", 425: "refused", 403: "down", 503: "down"},
		telephony.Voice: {200: "again", 201: "", 409: "", 400: "refused", 403: "refused", 503: "refused", 500: "down", 425: "again", 404: "down", 302: "down"},
	} {
		m.Method = method
		for status, want := range statuses {
			p.set(status, "{}")
			if got := outcome(g.Send(t.Context(), "m", m)); got != want {
				t.Errorf("%s %d: %q, not %q", method, status, got, want)
			}
		}
	}
}

// What is in a message puts no header of its own into a call, and is no reason to
// hold the gateway for broken.
func TestSEC_S118_NothingBecomesAHeader(t *testing.T) {
	p := newProvider(t)
	g := gateway(t, p, "sms: {url: '%URL%/', headers: {X-App: '{{.App}}', X-Language: '{{.Locale}}'}, form: {a: b}}", "token")
	m := message()
	m.App, m.Locale = "Acme\r\nX-Evil: 1", "en\r\nX-Evil: 1"
	if got := outcome(g.Send(t.Context(), "m", m)); got != "refused" || p.count() != 0 {
		t.Errorf("%q, asked %d times", got, p.count())
	}
	m.Locale = "en"
	if err := g.Send(t.Context(), "m", m); err != nil {
		t.Fatal(err)
	}
	if r := p.last(t); r.Header.Get("X-Evil") != "" || strings.ContainsAny(r.Header.Get("X-App"), "\r\n") {
		t.Errorf("%v", r.Header)
	}
}

func TestSettingsAreRefused(t *testing.T) {
	for what, description := range map[string]string{
		"nothing": "", "no call": "{}", "unknown key": "sms: {url: 'https://a.example', bdoy: {}}", "no url": "sms: {form: {a: b}}",
		"http": "sms: {url: 'http://a.example'}", "a password in the url": "sms: {url: 'https://u:p@a.example'}",
		"two bodies": "sms: {url: 'https://a.example', form: {a: b}, json: {a: b}}", "two proofs": "sms: {url: 'https://a.example', user: a, bearer: true}",
		"a method": "sms: {url: 'https://a.example', method: DELETE}", "no template": "sms: {url: 'https://a.example', form: {a: '{{.To'}}",
		"a text in a header": "sms: {url: 'https://a.example', headers: {X-Text: '{{.Text}}'}}", "lines in a header": "sms: {url: 'https://a.example', headers: {X-A: \"a\\r\\nb: c\"}}",
		"a name of none": "sms: {url: 'https://a.example', headers: {'X A': b}}", "a header of its own": "sms: {url: 'https://a.example', headers: {content-length: '1'}}",
		"two of a name": "sms: {url: 'https://a.example', headers: {X-A: b, x-a: c}}", "a second proof": "sms: {url: 'https://a.example', bearer: true, headers: {authorization: b}}",
		"no status": "sms: {url: 'https://a.example', status: {sent: [20]}}", "no class": "sms: {url: 'https://a.example', status: {again: [1xx]}}",
		"a status twice": "sms: {url: 'https://a.example', status: {sent: [409], refused: [409]}}", "no outcome": "sms: {url: 'https://a.example', status: {lost: [409]}}",
		"no such value": "sms: {url: 'https://a.example', form: {a: '{{.Number}}'}}", "a body of GET": "sms: {url: 'https://a.example', method: GET, form: {a: b}}",
	} {
		if _, err := telephony.NewGateway([]byte(description), "hush"); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := telephony.NewGateway([]byte("sms: {url: 'https://a.example', bearer: true}"), ""); err == nil {
		t.Error("a bearer without a secret")
	}
	if _, err := telephony.NewGateway([]byte("sms: {url: 'https://a.example', bearer: true}"), "hu\nsh"); err == nil || strings.Contains(err.Error(), "sh\"") {
		t.Errorf("a secret of two lines: %v", err)
	}
	for _, x := range [][2]string{{"http://hook.example", "s"}, {"https://hook.example", ""}, {"hook.example", "s"}, {"https://hook.example", "a\r\nb: c"}, {"https://hook.example", "a\x00b"}, {"https://hook.example", "a\x7fb"}, {"https://hook.example", "a\tb"}, {"https://hook.example", "a\u0085b"}} {
		if _, err := telephony.NewHook(x[0], x[1], now); err == nil || len(x[1]) > 1 && strings.Contains(err.Error(), x[1]) {
			t.Errorf("hook %q with %q: %v", x[0], x[1], err)
		}
	}
}

func deliver(t *testing.T, s *telephony.Sender, m telephony.Message) error {
	t.Helper()
	payload, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return s.Deliver(ctx, outbox.Delivery{ID: "msg1", Payload: payload, CreatedAt: at})
}

// While the hook fails the gateway is asked, and from the fourth failure on alone.
func TestREL_R08_GatewayBesideTheHook(t *testing.T) {
	first, second := newProvider(t), newProvider(t)
	h, err := telephony.NewHook(first.URL, "s", now)
	if err != nil {
		t.Fatal(err)
	}
	s := telephony.NewSender(now, slog.New(slog.DiscardHandler), nil, h, gateway(t, second, twilio, "token"))
	first.set(http.StatusBadGateway, "")
	for range 5 {
		if err := deliver(t, s, message()); err != nil {
			t.Error(err)
		}
	}
	if first.count() != 3 || second.count() != 5 {
		t.Errorf("the hook was asked %d times, the gateway %d", first.count(), second.count())
	}
	second.set(http.StatusBadRequest, "")
	if got := outcome(deliver(t, s, message())); got != "refused" {
		t.Errorf("what the gateway says of the number: %q", got)
	}
}

func TestSenderWithoutTransports(t *testing.T) {
	none := telephony.NewSender(now, slog.New(slog.DiscardHandler), nil)
	if len(none.Methods()) != 0 || outcome(deliver(t, none, message())) != "refused" {
		t.Errorf("%v", none.Methods())
	}
	var shown []telephony.Message
	inbox := telephony.NewSender(now, slog.New(slog.DiscardHandler), func(_ string, _ time.Time, m telephony.Message) { shown = append(shown, m) })
	if len(inbox.Methods()) != 2 || deliver(t, inbox, message()) != nil || len(shown) != 1 {
		t.Errorf("%v, shown %v", inbox.Methods(), shown)
	}
	void := message()
	void.Void = true
	if err := deliver(t, inbox, void); err != nil || len(shown) != 1 {
		t.Errorf("a message to nobody: %v, shown %d", err, len(shown))
	}
	if outcome(none.Deliver(t.Context(), outbox.Delivery{Payload: []byte("x")})) != "refused" {
		t.Error("what is no message is tried again")
	}
	if got := message().LogValue().String(); strings.Contains(got, "123456") || strings.Contains(got, "2025550100") {
		t.Errorf("the log tells %q", got)
	}
}
