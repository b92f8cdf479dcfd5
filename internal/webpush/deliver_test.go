package webpush

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/outbound"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/webpush/webpushtest"
)

func paths(service *webpushtest.Service) map[string]int {
	out := map[string]int{}
	for len(service.Pushes) > 0 {
		out[(<-service.Pushes).Path]++
	}
	return out
}

// A message wakes the newest of a person's devices, so many and no more, and each once
// however often it is tried.
func TestWhichDevicesAreWoken(t *testing.T) {
	service := webpushtest.New(t)
	s := sender(t, func(c *Config) { c.Client = service.Client() })
	var all [][]byte
	var want []string
	for i := range maxPlaces + 3 {
		kept, path := subscribed(t, s, service)
		if i == 1 { // of a key of before
			kept = []byte(`{"endpoint":"https://push.example.com/x","applicationServerKey":"x"}`)
		} else if len(want) < maxPlaces {
			want = append(want, path)
		}
		all = append(all, kept)
	}
	s.Devices(with(all...))
	service.Answer(503, 429)
	if got := outcome(attempt(t, s, Message{UserID: "00u1"}, 1)); got != "again 503" && got != "again 429" {
		t.Errorf("two that are busy: %q", got)
	}
	first := paths(service)
	if len(first) != maxPlaces-2 {
		t.Errorf("%d of %d were woken", len(first), maxPlaces)
	}
	if got := outcome(attempt(t, s, Message{UserID: "00u1"}, 2)); got != "" {
		t.Errorf("tried again: %q", got)
	}
	second := paths(service)
	for _, path := range want {
		if first[path]+second[path] != 1 {
			t.Errorf("a device is woken %d times", first[path]+second[path])
		}
	}
	if len(first)+len(second) != maxPlaces || service.Asked() != maxPlaces+2 || len(s.tries) != 0 {
		t.Errorf("%d woken, asked %d times, %d messages are known still", len(first)+len(second), service.Asked(), len(s.tries))
	}
}

// After a change of web_push_key or web_push_hosts a subscription of before is of no use.
func TestSubscriptionsOfAnotherKeyOrHost(t *testing.T) {
	service := webpushtest.New(t)
	before := sender(t, func(c *Config) { c.Client = service.Client() })
	kept, _ := subscribed(t, before, service)
	after := sender(t, func(c *Config) { c.Client = service.Client() })
	narrowed := sender(t, func(c *Config) { c.Key, c.Hosts = before.key, []string{"push.example.com"} })
	if !before.Wakes(kept) || after.Wakes(kept) || narrowed.Wakes(kept) || before.Wakes(nil) {
		t.Errorf("with its key %v, another %v, other hosts %v, nothing %v", before.Wakes(kept), after.Wakes(kept), narrowed.Wakes(kept), before.Wakes(nil))
	}
	after.Devices(with(kept))
	if got := outcome(deliver(t, after, Message{UserID: "00u1"})); got != "refused subscription" || service.Asked() != 0 {
		t.Errorf("%q, asked %d times", got, service.Asked())
	}
	given, _ := service.Subscribe(t)
	given["applicationServerKey"] = before.Key() // of a page that was opened before the change
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Read(data); err == nil {
		t.Error("a subscription for another key is taken")
	}
	if _, err := before.Read(data); err != nil {
		t.Error(err)
	}
}

// slow is a network on which nothing answers.
type slow struct {
	begun chan struct{}
	end   chan struct{}
}

func (s slow) RoundTrip(*http.Request) (*http.Response, error) {
	s.begun <- struct{}{}
	<-s.end
	return nil, &net.DNSError{Err: "no answer", IsTimeout: true}
}

// A person whose addresses hang has one message under way, each tried twice at most.
func TestSEC_S125_AddressesThatHang(t *testing.T) {
	hangs := slow{make(chan struct{}, 10), make(chan struct{})}
	s := sender(t, func(c *Config) { c.Client = &http.Client{Transport: hangs} })
	kept, _ := subscribed(t, s, webpushtest.New(t))
	s.Devices(with(kept))
	first := make(chan error)
	go func() { first <- attempt(t, s, Message{UserID: "00u1"}, 1) }()
	<-hangs.begun
	if got := outcome(deliver(t, s, Message{UserID: "00u1"})); got != "again busy" {
		t.Errorf("a second one of the same person: %q", got)
	}
	other := make(chan error)
	go func() { other <- attempt(t, s, Message{UserID: "00u2"}, 2) }()
	<-hangs.begun
	close(hangs.end)
	if got := outcome(<-first); got != "again timeout" {
		t.Errorf("the first try: %q", got)
	}
	if got := outcome(<-other); got != "refused timeout" {
		t.Errorf("the second try: %q", got)
	}
	if got := outcome(attempt(t, s, Message{UserID: "00u1"}, 2)); got != "refused timeout" {
		t.Errorf("the same, later: %q", got)
	}
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A service that says when is not asked before, and the others of the person are.
func TestRetryAfter(t *testing.T) {
	asked := map[string]int{}
	now := at
	var mu sync.Mutex
	s := sender(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Client = &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[r.URL.Path]++
			out := &http.Response{StatusCode: http.StatusTooManyRequests, Body: http.NoBody, Header: http.Header{}}
			switch {
			case asked[r.URL.Path] > 1:
				out.StatusCode = http.StatusCreated
			case len(asked) == 1:
				out.Header.Set("Retry-After", "120")
			}
			return out, nil
		})}
	})
	service := webpushtest.New(t)
	one, path := subscribed(t, s, service)
	s.Devices(with(one))
	var again *outbox.Temporary
	if err := attempt(t, s, Message{UserID: "00u1"}, 1); !errors.As(err, &again) || again.After != 2*time.Minute {
		t.Errorf("%v, after %v", err, again)
	}
	two, _ := subscribed(t, s, service)
	s.Devices(with(one, two))
	if got := outcome(attempt(t, s, Message{UserID: "00u1"}, 2)); got != "again 429" || asked[path] != 1 {
		t.Errorf("before its time: %q, asked %d times", got, asked[path])
	}
	now = now.Add(2 * time.Minute)
	if got := outcome(attempt(t, s, Message{UserID: "00u1"}, 3)); got != "" || asked[path] != 2 {
		t.Errorf("at its time: %q, asked %d times", got, asked[path])
	}
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "x": 0, at.Add(time.Minute).Format(http.TimeFormat): time.Minute, at.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(value, at); got != want {
			t.Errorf("%q: %s, not %s", value, got, want)
		}
	}
}

// Where this machine's addresses cannot be read, no address is refused for good: the
// message waits, and the log says why, once.
func TestSEC_S120_OwnAddressesUnknown(t *testing.T) {
	var log bytes.Buffer
	s := sender(t, func(c *Config) {
		c.Client = &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%w: denied", outbound.ErrOwnUnknown)}
		})}
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	kept, _ := subscribed(t, s, webpushtest.New(t))
	s.Devices(with(kept))
	for n := range 2 {
		if got := outcome(attempt(t, s, Message{UserID: "00u1"}, n+1)); got != "again machine" {
			t.Errorf("%q", got)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "AF_NETLINK") {
		t.Errorf("the log: %q", got)
	}
}
