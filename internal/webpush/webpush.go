// Package webpush wakes people's devices through the push services of their browsers
// (RFC 8030, RFC 8291, RFC 8292).
package webpush

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	lib "github.com/SherClockHolmes/webpush-go"

	"github.com/stile-id/stile/internal/outbound"
)

// Kind is the kind of outbox messages whose payload is a Message.
const Kind = "wake"

// A Message wakes a person's devices. It says nothing of which and where: that is looked
// up when it is sent, so that one which was removed meanwhile is left alone, and that a
// message is the same for nobody, for one device and for many (SEC S-42).
type Message struct {
	UserID  string `json:"user"`    // or an id that is nobody's
	Request string `json:"request"` // that they are woken for
	App     string `json:"app"`     // that the person is on their way to
}

// LogValue keeps who is woken out of logs.
func (Message) LogValue() slog.Value { return slog.StringValue("devices are woken") }

// A Place is where a device is woken.
type Place struct {
	Device       string // id of the enrollment
	Subscription []byte // that Read returned
}

// Devices is where devices are kept.
type Devices interface {
	// Places are those of a person's devices that have handed one over, the newest first.
	Places(ctx context.Context, userID string) ([]Place, error)
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
	unknown  sync.Once // is said

	mu    sync.Mutex
	busy  map[string]bool   // persons whose devices are being woken
	tries map[string]*tries // of messages that are tried again, by id
}

// Crew is how many workers of the outbox wake devices. Each waits for others most of its
// time, and an address that a device chose may be one that hangs.
const Crew = 16

// maxPlaces is how many devices one request wakes.
const maxPlaces = 8

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
		now: c.Now, log: c.Logger, busy: map[string]bool{}, tries: map[string]*tries{},
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

// A note is what the page's worker is told: that there is a question, and at which
// app. Nothing of it answers.
type note struct {
	App string `json:"app,omitempty"`
}

func (s *Sender) send(ctx context.Context, to Subscription, m Message, ends time.Time) (status int, after time.Duration, err error) {
	if len(m.App) > maxApp {
		m.App = ""
	}
	text, err := json.Marshal(note{m.App})
	if err != nil {
		return 0, 0, err
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
		return 0, 0, fmt.Errorf("webpush: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again
	return res.StatusCode, retryAfter(res.Header.Get("Retry-After"), s.now()), nil
}

// retryAfter reads the header (RFC 9110 §10.2.3); 0: it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
