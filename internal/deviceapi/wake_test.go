package deviceapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/webpush/webpushtest"
	"github.com/stile-id/stile/stiletest"
)

// wakeKey is one of `stile web-push-key`, for tests alone.
const wakeKey = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"

func waking(t *testing.T) (*stiletest.Engine, *webpushtest.Service) {
	t.Helper()
	s := webpushtest.New(t)
	return stiletest.Start(t, stiletest.WebPush(wakeKey, s.Client())), s
}

func wake(t *testing.T, p *stiletest.Phone, subscription any, status int, want string) {
	t.Helper()
	if got, body := p.Send(t, "/device/v1/wake", nil, map[string]any{"subscription": subscription}); got != status || !strings.Contains(string(body), want) {
		t.Fatalf("%d %s, not %d %s", got, body, status, want)
	}
}

func wakes(t *testing.T, p *stiletest.Phone) bool {
	t.Helper()
	_, body := p.Send(t, "/device/v1/requests", nil, nil)
	var out struct{ Wake bool }
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return out.Wake
}

// asks begins a sign-in that the phone of an address is to approve.
func asks(t *testing.T, e *stiletest.Engine, address string) (number string) {
	t.Helper()
	tx, err := e.Client.Authenticate(t.Context(), idx.Credentials{Username: address})
	if err == nil {
		tx, err = e.Client.Proceed(t.Context(), tx, idx.Input{
			Step: "select-authenticator-authenticate", Authenticator: "okta_verify", Values: map[string]any{"methodType": "push"},
		})
	}
	if err != nil || tx.NextStep == nil || tx.NextStep.Name != "challenge-poll" {
		t.Fatalf("%+v, %v", tx, err)
	}
	number, _ = tx.NextStep.Authenticator.Context["correctAnswer"].(string)
	return number
}

func TestARequestWakesTheDevice(t *testing.T) {
	e, service := waking(t)
	p := signedUp(t, e, "ada@example.com")
	if wakes(t, p) {
		t.Error("a new device is woken")
	}
	asks(t, e, "ada@example.com")
	e.MailTried(t) // that one woke nobody
	subscription, path := service.Subscribe(t)
	wake(t, p, subscription, 200, `{"wake":true}`)
	if !wakes(t, p) {
		t.Error("it does not know that it is woken")
	}
	e.Clock.Advance(time.Hour)
	number := asks(t, e, "ada@example.com")
	got := <-service.Pushes
	if got.Path != path || got.Text != `{"app":"Acme Web"}` || got.TTL > "300" || len(got.TTL) != 3 || got.Subject != "mailto:ops@example.com" {
		t.Errorf("%+v", got)
	}
	list := p.Requests(t)
	for what, secret := range map[string]string{"number": number, "request": list[0].ID, "account": "ada"} {
		if strings.Contains(got.Text, secret) {
			t.Errorf("the message has the %s", what)
		}
	}
	if result := p.Approve(t, list[0], number); result != "approved" {
		t.Errorf("%s", result)
	}

	wake(t, p, nil, 200, `{"wake":false}`)
	e.Clock.Advance(time.Hour)
	asks(t, e, "ada@example.com")
	e.MailTried(t)
	if wakes(t, p) || len(service.Pushes) != 0 {
		t.Errorf("what was taken back: %v, %d messages", wakes(t, p), len(service.Pushes))
	}
}

// A subscription that its service has ended is forgotten, and so is one whose device is removed.
func TestSubscriptionsEnd(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		e, service := waking(t)
		p := signedUp(t, e, "ada@example.com")
		subscription, _ := service.Subscribe(t)
		wake(t, p, subscription, 200, `true`)
		service.Answer(status)
		asks(t, e, "ada@example.com")
		e.MailTried(t)
		if wakes(t, p) || service.Asked() != 1 {
			t.Errorf("%d: woken %v, asked %d times", status, wakes(t, p), service.Asked())
		}
		subscription, _ = service.Subscribe(t)
		wake(t, p, subscription, 200, `true`) // of another one
		if code := p.Code(0); len(code) != 6 {
			t.Errorf("codes go on: %q", code)
		}
		if status, body := p.Send(t, "/device/v1/leave", nil, nil); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		wake(t, p, subscription, 404, "unknown_device")
		e.Clock.Advance(time.Hour)
		asks(t, e, "ada@example.com") // of nobody's device
		e.MailTried(t)
		if service.Asked() != 1 {
			t.Errorf("a removed device is woken")
		}
	}
}

// After a change of web_push_key the engine says that nothing wakes the device, asks no
// service that would refuse it, and takes a subscription for the new key.
func TestANewKeyIsSubscribedForAnew(t *testing.T) {
	service, dir := webpushtest.New(t), t.TempDir()
	var p *stiletest.Phone
	t.Run("before", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Dir(dir), stiletest.WebPush(wakeKey, service.Client()))
		p = signedUp(t, e, "ada@example.com")
		subscription, _ := service.Subscribe(t)
		wake(t, p, subscription, 200, `{"wake":true}`)
	})
	const other = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
	e := stiletest.Start(t, stiletest.Dir(dir), stiletest.WebPush(other, service.Client()))
	p = p.At(e)
	e.Clock.Advance(2 * time.Hour)
	if wakes(t, p) {
		t.Error("a subscription for the old key is said to wake")
	}
	asks(t, e, "ada@example.com")
	e.MailTried(t)
	if service.Asked() != 0 {
		t.Error("a service is asked with a key that it refuses")
	}
	subscription, path := service.Subscribe(t)
	wake(t, p, subscription, 200, `{"wake":true}`)
	e.Clock.Advance(time.Hour)
	asks(t, e, "ada@example.com")
	if got := <-service.Pushes; got.Path != path || !wakes(t, p) {
		t.Errorf("%+v", got)
	}
}

// A service that is busy is asked again, with what is left of the request's time.
func TestAWakeIsTriedAgain(t *testing.T) {
	e, service := waking(t)
	p := signedUp(t, e, "ada@example.com")
	subscription, _ := service.Subscribe(t)
	wake(t, p, subscription, 200, `true`)
	service.Answer(429, 503)
	asks(t, e, "ada@example.com")
	for range 2 {
		e.MailTried(t)
		e.Clock.Advance(20 * time.Second)
	}
	if got := <-service.Pushes; service.Asked() != 3 || len(got.TTL) != 3 || got.TTL >= "300" {
		t.Errorf("asked %d times, ttl %s", service.Asked(), got.TTL)
	}
}

func TestSEC_S120_WhereADeviceIsWoken(t *testing.T) {
	e := stiletest.Start(t, stiletest.WebPush(wakeKey, nil)) // as in production
	service := webpushtest.New(t)
	p := signedUp(t, e, "ada@example.com")
	subscription, _ := service.Subscribe(t)
	wake(t, p, subscription, 400, "invalid_subscription") // an address of this machine
	for _, endpoint := range []any{"https://localhost/x", "https://169.254.169.254/x", "http://push.example.com/x", 1, nil} {
		subscription["endpoint"] = endpoint
		wake(t, p, subscription, 400, "invalid_subscription")
	}
	wake(t, p, "x", 400, "invalid_subscription")
	if service.Asked() != 0 || wakes(t, p) {
		t.Error("it was asked, or kept")
	}

	e = stiletest.Start(t)
	p = signedUp(t, e, "ada@example.com")
	wake(t, p, subscription, 403, "not_offered")
	wake(t, p, nil, 200, `{"wake":false}`)
	if status, body := p.Post(t, "/device/v1/wake", p.Sign(t, "/device/v1/leave", nil, nil)); status != 401 {
		t.Errorf("a statement for another address: %d %s", status, body)
	}
}
