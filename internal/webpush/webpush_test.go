package webpush

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/webpush/webpushtest"
)

var at = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// devices are those of one person, and the request that they may be asked.
type devices struct {
	mu     sync.Mutex
	places []Place
	waits  bool
}

func (d *devices) Waits(context.Context, string, string) (bool, error) { return d.waits, nil }
func (d *devices) Places(context.Context, string) ([]Place, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.places), nil
}
func (d *devices) Forget(_ context.Context, _, device string, s []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places = slices.DeleteFunc(d.places, func(p Place) bool { return p.Device == device && bytes.Equal(p.Subscription, s) })
	return nil
}

// with is a person whose devices have subscriptions.
func with(subscriptions ...[]byte) *devices {
	d := &devices{waits: true}
	for i, s := range subscriptions {
		d.places = append(d.places, Place{fmt.Sprint("pfd", i+1), s})
	}
	return d
}

// subscribed is a subscription at a service, as it is kept.
func subscribed(t *testing.T, s *Sender, service *webpushtest.Service) (kept []byte, path string) {
	t.Helper()
	given, path := service.Subscribe(t)
	data, err := json.Marshal(given)
	if err == nil {
		kept, err = s.Read(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return kept, path
}

func sender(t *testing.T, change func(*Config)) *Sender {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Key: key, Subject: "mailto:ops@example.com", Now: func() time.Time { return at }, Logger: slog.New(slog.DiscardHandler)}
	change(&c)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func deliver(t *testing.T, s *Sender, m Message) error {
	t.Helper()
	return attempt(t, s, m, 1)
}

func attempt(t *testing.T, s *Sender, m Message, n int) error {
	t.Helper()
	payload, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return s.Deliver(t.Context(), outbox.Delivery{ID: "msg of " + m.UserID, Payload: payload, Attempt: n, CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute)})
}

// outcome sorts an error: refused for good, or to be tried again, and by what class.
func outcome(err error) string {
	var p *outbox.Permanent
	var t *outbox.Temporary
	switch {
	case errors.As(err, &p):
		return "refused " + p.Class
	case errors.As(err, &t) && t.Unavailable:
		return "down " + t.Class
	case errors.As(err, &t):
		return "again " + t.Class
	case err != nil:
		return err.Error()
	}
	return ""
}

func TestMessageAsAPushServiceGetsIt(t *testing.T) {
	service := webpushtest.New(t)
	s := sender(t, func(c *Config) { c.Client = service.Client() })
	kept, path := subscribed(t, s, service)
	s.Devices(with(kept))
	lengths := map[int]bool{}
	for app, want := range map[string]string{"Acme": `{"app":"Acme"}`, "": `{}`, strings.Repeat("long ", 100): `{}`} {
		if err := deliver(t, s, Message{UserID: "00u1", Request: "psh1", App: app}); err != nil {
			t.Fatal(err)
		}
		p := <-service.Pushes
		if p.Path != path || p.Text != want || p.TTL != "300" || p.Urgency != "high" || p.Key != s.Key() || p.Subject != "mailto:ops@example.com" {
			t.Errorf("%+v", p)
		}
		lengths[p.Length] = true
	}
	if len(lengths) != 1 {
		t.Errorf("messages have the lengths %v", lengths)
	}
	for name, d := range map[string]*devices{
		"one that is over": {places: []Place{{"pfd1", kept}}}, "one without a place": {waits: true},
	} {
		s.Devices(d)
		if err := deliver(t, s, Message{UserID: "00u1"}); err != nil || len(service.Pushes) != 0 {
			t.Errorf("%s: %v, %d were sent", name, err, len(service.Pushes))
		}
	}
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	service := webpushtest.New(t)
	s := sender(t, func(c *Config) { c.Client = service.Client() })
	data, _ := subscribed(t, s, service)
	for status, want := range map[int]string{
		201: "", 202: "", 400: "refused 400", 403: "refused 403", 404: "refused 404", 410: "refused 410", 413: "refused 413",
		429: "again 429", 500: "again 500", 503: "again 503", 302: "refused 302",
	} {
		d := with(data)
		s.Devices(d)
		service.Answer(status)
		before := service.Asked()
		if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != want || service.Asked() != before+1 {
			t.Errorf("%d: %q, not %q, asked %d times", status, got, want, service.Asked()-before)
		}
		if kept := len(d.places) == 1; kept == (status == 404 || status == 410) {
			t.Errorf("%d: the subscription is kept: %v", status, kept)
		}
		for len(service.Pushes) > 0 {
			<-service.Pushes
		}
	}
	s.Devices(with(data))
	service.Close()
	if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != "again connect" {
		t.Errorf("nobody there: %q", got)
	}
}

// A device chooses the address. One that leads to where the engine stands, or is none
// of a push service, is neither kept nor asked.
func TestSEC_S120_S125_AddressesThatADeviceChose(t *testing.T) {
	service := webpushtest.New(t)
	good, _ := service.Subscribe(t)
	s, listed := sender(t, func(*Config) {}), sender(t, func(c *Config) { c.Hosts = []string{"push.example.com", "*.notify.example.net"} })
	read := func(s *Sender, endpoint string) bool {
		sub := maps.Clone(good)
		sub["endpoint"] = endpoint
		data, err := json.Marshal(sub)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Read(data)
		return err == nil
	}
	for _, endpoint := range []string{
		"http://push.example.com/x", "https://127.0.0.1/x", "https://[::1]/x", "https://[::ffff:10.0.0.1]/x", "https://169.254.169.254/latest", "https://localhost/x",
		"https://metadata/x", "https://push.example.com:8443/x", "https://user@push.example.com/x", "https://push.example.com/#x", "file:///etc/passwd", "", "x",
		"https://8.8.8.8/x", "https://2130706433/x", "https://push.example.com/" + strings.Repeat("x", maxEndpoint), service.URL + "/push/x",
	} {
		if read(s, endpoint) {
			t.Errorf("%.80s is taken", endpoint)
		}
	}
	for endpoint, want := range map[string]bool{
		"https://push.example.com/x": true, "https://PUSH.example.com:443/x": true, "https://eu.notify.example.net/x": true, "https://notify.example.net/x": false,
		"https://evilpush.example.com/x": false, "https://push.example.com.evil.example/x": false, "https://evilnotify.example.net/x": false,
	} {
		if !read(s, endpoint) || read(listed, endpoint) != want {
			t.Errorf("%s: %v without a list, %v with it", endpoint, read(s, endpoint), read(listed, endpoint))
		}
	}
	for name, change := range map[string]func(keys map[string]any){
		"no point":     func(k map[string]any) { k["p256dh"] = strings.Repeat("A", 87) },
		"a short one":  func(k map[string]any) { k["p256dh"] = "BA" },
		"no secret":    func(k map[string]any) { delete(k, "auth") },
		"a short one ": func(k map[string]any) { k["auth"] = "AAAA" },
	} {
		sub := maps.Clone(good)
		keys := maps.Clone(good["keys"].(map[string]any))
		change(keys)
		sub["keys"], sub["endpoint"] = keys, "https://push.example.com/x"
		data, err := json.Marshal(sub)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(data); err == nil {
			t.Errorf("%s is taken", name)
		}
	}

	// What was kept before the list, or leads elsewhere by now.
	sub := maps.Clone(good)
	sub["endpoint"], sub["applicationServerKey"] = "https://localhost.localdomain/x", listed.Key()
	data, err := json.Marshal(sub)
	if err != nil {
		t.Fatal(err)
	}
	listed.Devices(with(data))
	if got := outcome(deliver(t, listed, Message{UserID: "00u1"})); got != "refused subscription" {
		t.Errorf("a host off the list: %q", got)
	}
	good["applicationServerKey"] = s.Key()
	inside, err := json.Marshal(good) // at a name that leads here by now
	if err != nil {
		t.Fatal(err)
	}
	s.anywhere = true
	s.Devices(with(bytes.Replace(inside, []byte("127.0.0.1"), []byte("localhost"), 1)))
	if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != "refused address" {
		t.Errorf("a name that leads to this machine: %q", got)
	}
	if service.Asked() != 0 {
		t.Error("the service on this machine was asked")
	}
}

func TestKeyAndSubject(t *testing.T) {
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(k.Private())
	if err != nil || again != k || len(k.Public()) != 87 {
		t.Errorf("%v %v", again.Public(), err)
	}
	for _, bad := range []string{"", "x", k.Public(), strings.Repeat("A", 43), k.Private() + "AA"} {
		if _, err := ParseKey(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) && len(bad) > 1 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for subject, want := range map[string]bool{
		"mailto:ops@example.com": true, "https://example.com/contact": true, "ops@example.com": false, "mailto:": false, "mailto:Ops <ops@example.com>": false,
		"http://example.com": false, "https://": false, "": false,
	} {
		if err := CheckSubject(subject); (err == nil) != want {
			t.Errorf("%q: %v", subject, err)
		}
	}
	for host, want := range map[string]bool{
		"push.example.com": true, "*.example.com": true, "*": false, "https://x.example": false, "x.example/y": false, "x.example:443": false, "localhost": false, "a.*.b": false, "X.example": false, "": false,
	} {
		if err := CheckHost(host); (err == nil) != want {
			t.Errorf("%q: %v", host, err)
		}
	}
}
