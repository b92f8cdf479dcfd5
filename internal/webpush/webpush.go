// Package webpush wakes people's devices through the push services of their browsers
// (RFC 8030, RFC 8291, RFC 8292).
package webpush

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	lib "github.com/SherClockHolmes/webpush-go"

	"github.com/stile-id/stile/internal/outbound"
	"github.com/stile-id/stile/internal/outbox"
)

// Kind is the kind of outbox messages whose payload is a Message.
const Kind = "wake"

// A Message wakes one device. It says nothing of where: that is looked up when it is
// sent, so that a device which was removed meanwhile is left alone.
type Message struct {
	UserID  string `json:"user,omitempty"`
	Device  string `json:"device,omitempty"`  // id of the enrollment
	Request string `json:"request,omitempty"` // that it is woken for
	App     string `json:"app,omitempty"`     // that the person is on their way to
	// Void is a message that reaches nobody: it goes as far as one that is sent (SEC S-42).
	Void bool `json:"void,omitempty"`
}

// LogValue keeps who is woken out of logs.
func (Message) LogValue() slog.Value { return slog.StringValue("a device is woken") }

// Devices is where devices are kept.
type Devices interface {
	// Subscription is what a device has handed over; nil: nothing, or it was removed.
	Subscription(ctx context.Context, userID, device string) ([]byte, error)
	// Waits reports whether a request is open still.
	Waits(ctx context.Context, userID, request string) (bool, error)
	// Forget takes a subscription from its device, unless that has another by now.
	Forget(ctx context.Context, userID, device string, subscription []byte) error
}

// Config is what a Sender is made of.
type Config struct {
	Key     Key
	Subject string   // by which push services may reach the operator
	Hosts   []string // of push services, "*.": and those below; none: any that is public
	Now     func() time.Time
	Logger  *slog.Logger
	// Client is for tests, whose push service is on this machine: with it nothing is
	// asked of an address but that it is at https.
	Client *http.Client
}

// A Sender delivers the messages of the outbox. It implements outbox.Deliverer.
type Sender struct {
	key      Key
	subject  string
	hosts    []string
	anywhere bool
	client   *http.Client // follows no redirect
	devices  Devices
	now      func() time.Time
	log      *slog.Logger
	slots    chan struct{}
}

// atOnce is how many messages are on their way at a time. The outbox has few workers,
// which mail needs too, and an address that a device chose may be one that hangs.
const atOnce = 2

// slotWait is how long one more waits to be on its way, which is about what a service
// takes that answers; then it is put off.
const slotWait = 250 * time.Millisecond

// patience is how long one message may take; maxAnswer what is read of the answer.
const (
	patience  = 5 * time.Second
	maxAnswer = 4 << 10
)

// maxApp is how much of an app's name a message carries, in bytes: with it all
// messages are of one length, which the library fills up to.
const maxApp = 200

// New returns a Sender, of which Devices must be called before it delivers.
func New(c Config) (*Sender, error) {
	s := &Sender{
		key: c.Key, subject: c.Subject, hosts: c.Hosts, anywhere: c.Client != nil, client: c.Client,
		now: c.Now, log: c.Logger, slots: make(chan struct{}, atOnce),
	}
	if err := CheckSubject(c.Subject); err != nil {
		return nil, err
	}
	for _, h := range c.Hosts {
		if err := CheckHost(h); err != nil {
			return nil, err
		}
	}
	if s.client == nil {
		s.client = outbound.NewClient()
	}
	straight := *s.client
	straight.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client = &straight
	return s, nil
}

// Devices sets where devices are kept.
func (s *Sender) Devices(d Devices) { s.devices = d }

// Key is what browsers subscribe with.
func (s *Sender) Key() string { return s.key.Public() }

// Deliver wakes a device. What a push service answers is told by its status alone (SEC
// S-121), and never opens the outbox's breaker: of one device's service, nothing
// follows for those of others.
func (s *Sender) Deliver(ctx context.Context, d outbox.Delivery) error {
	var m Message
	if err := json.Unmarshal(d.Payload, &m); err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	if m.Void {
		return nil
	}
	if waits, err := s.devices.Waits(ctx, m.UserID, m.Request); err != nil || !waits {
		return later("store", err)
	}
	kept, err := s.devices.Subscription(ctx, m.UserID, m.Device)
	if err != nil || kept == nil {
		return later("store", err)
	}
	var to Subscription
	if json.Unmarshal(kept, &to) != nil || !s.allowed(to.Endpoint) {
		return &outbox.Permanent{Class: "host"}
	}
	wait, cancel := context.WithTimeout(ctx, slotWait)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-wait.Done():
		return &outbox.Temporary{Class: "busy"}
	}
	status, err := s.send(ctx, to, m, d.ExpiresAt)
	switch {
	case errors.Is(err, outbound.ErrNotPublic):
		return &outbox.Permanent{Class: "address"}
	case errors.Is(err, context.DeadlineExceeded):
		return &outbox.Temporary{Class: "timeout"}
	case err != nil:
		return &outbox.Temporary{Class: "connect"}
	}
	class := strconv.Itoa(status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone: // RFC 8030 §7.3: it will not come back
		if err := s.devices.Forget(ctx, m.UserID, m.Device, kept); err != nil {
			return later("store", err)
		}
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return &outbox.Temporary{Class: class}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		s.log.WarnContext(ctx, "a push service does not take web_push_key, or this machine's time", "host", hostOf(to.Endpoint), "status", status)
	}
	return &outbox.Permanent{Class: class}
}

// later tells of a fault of our own; nil: there is nothing to do.
func later(class string, err error) error {
	if err == nil {
		return nil
	}
	return &outbox.Temporary{Class: class, Err: err}
}

// A note is what the page's worker is told: that there is a question, and at which
// app. Nothing of it answers.
type note struct {
	App string `json:"app,omitempty"`
}

func (s *Sender) send(ctx context.Context, to Subscription, m Message, ends time.Time) (status int, err error) {
	if len(m.App) > maxApp {
		m.App = ""
	}
	text, err := json.Marshal(note{m.App})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub := &lib.Subscription{Endpoint: to.Endpoint, Keys: lib.Keys{P256dh: to.Keys.P256DH, Auth: to.Keys.Auth}}
	res, err := lib.SendNotificationWithContext(ctx, text, sub, &lib.Options{
		HTTPClient: s.client, Subscriber: strings.TrimPrefix(s.subject, "mailto:"), // which the library puts back
		TTL: max(0, int(ends.Sub(s.now()).Seconds())), Urgency: lib.UrgencyHigh,
		VAPIDPublicKey: s.key.Public(), VAPIDPrivateKey: s.key.Private(),
	})
	if err != nil {
		return 0, fmt.Errorf("webpush: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again
	return res.StatusCode, nil
}
