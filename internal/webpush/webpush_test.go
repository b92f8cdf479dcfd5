package webpush

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/webpush/webpushtest"
)

var at = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// device is one device and the request that it may be asked.
type device struct {
	subscription []byte
	waits        bool
}

func (d *device) Waits(context.Context, string, string) (bool, error) { return d.waits, nil }
func (d *device) Subscription(context.Context, string, string) ([]byte, error) {
	return d.subscription, nil
}
func (d *device) Forget(_ context.Context, _, _ string, s []byte) error {
	if bytes.Equal(s, d.subscription) {
		d.subscription = nil
	}
	return nil
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
	payload, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return s.Deliver(t.Context(), outbox.Delivery{ID: "msg1", Payload: payload, CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute)})
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
	given, path := service.Subscribe(t)
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{waits: true}
	if d.subscription, err = s.Read(data); err != nil {
		t.Fatal(err)
	}
	s.Devices(d)
	lengths := map[int]bool{}
	for app, want := range map[string]string{"Acme": `{"app":"Acme"}`, "": `{}`, strings.Repeat("long ", 100): `{}`} {
		if err := deliver(t, s, Message{UserID: "00u1", Device: "pfd1", Request: "psh1", App: app}); err != nil {
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
	for name, change := range map[string]func(*Message, *device){
		"one for nobody":      func(m *Message, _ *device) { m.Void = true },
		"one that is over":    func(_ *Message, d *device) { d.waits = false },
		"one without a place": func(_ *Message, d *device) { d.subscription = nil },
	} {
		m, other := Message{UserID: "00u1"}, *d
		change(&m, &other)
		s.Devices(&other)
		if err := deliver(t, s, m); err != nil || len(service.Pushes) != 0 {
			t.Errorf("%s: %v, %d were sent", name, err, len(service.Pushes))
		}
	}
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	service := webpushtest.New(t)
	s := sender(t, func(c *Config) { c.Client = service.Client() })
	given, _ := service.Subscribe(t)
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		201: "", 202: "", 400: "refused 400", 403: "refused 403", 404: "refused 404", 410: "refused 410", 413: "refused 413",
		429: "again 429", 500: "again 500", 503: "again 503", 302: "refused 302",
	} {
		d := &device{subscription: data, waits: true}
		s.Devices(d)
		service.Answer(status)
		before := service.Asked()
		if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != want || service.Asked() != before+1 {
			t.Errorf("%d: %q, not %q, asked %d times", status, got, want, service.Asked()-before)
		}
		if kept := d.subscription != nil; kept == (status == 404 || status == 410) {
			t.Errorf("%d: the subscription is kept: %v", status, kept)
		}
		for len(service.Pushes) > 0 {
			<-service.Pushes
		}
	}
	s.Devices(&device{subscription: data, waits: true})
	for range atOnce { // of addresses that hang
		s.slots <- struct{}{}
	}
	if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != "again busy" {
		t.Errorf("one too many: %q", got)
	}
	for range atOnce {
		<-s.slots
	}
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
	sub["endpoint"] = "https://localhost.localdomain/x"
	data, err := json.Marshal(sub)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{subscription: data, waits: true}
	listed.Devices(d)
	if got := outcome(deliver(t, listed, Message{UserID: "00u1"})); got != "refused host" {
		t.Errorf("a host off the list: %q", got)
	}
	inside, err := json.Marshal(good) // at a name that leads here by now
	if err != nil {
		t.Fatal(err)
	}
	s.anywhere = true
	s.Devices(&device{subscription: bytes.Replace(inside, []byte("127.0.0.1"), []byte("localhost"), 1), waits: true})
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
