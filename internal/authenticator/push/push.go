// Package push approves a sign-in on a device that holds a key of its person, or
// takes the one-time code that the device shows.
package push

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "okta_verify"

// The methods: approving on the device, and typing the code that it shows.
const (
	Approve authenticator.Method = "push"
	Code    authenticator.Method = "totp"
)

// How long a device may be added by one link, and may answer one request.
const (
	LinkLife    = 15 * time.Minute
	RequestLife = 5 * time.Minute
)

// The ways to hand the link to the device (AUTH §3.2).
const (
	byQR   = "qrcode"
	byMail = "email"
	byText = "sms"
)

// Config is what an Authenticator is made of.
type Config struct {
	Keyring   *keyring.Keyring // required; makes links that the database alone cannot
	Now       func() time.Time // required
	PublicURL string           // required; where the engine is reached, without a path
	// Number reads a number as people type it, and returns it as E.164, with its country;
	// ok is false for one that no text goes to. Nil: nothing carries texts to phones.
	Number func(typed string) (number, country string, ok bool)
	Wakes  bool // something wakes devices
}

// An Authenticator is safe for concurrent use.
type Authenticator struct {
	keys   *keyring.Keyring
	now    func() time.Time
	base   string // the public URL
	number func(typed string) (number, country string, ok bool)
	wakes  bool
}

// The optional ports that it implements.
var (
	_ authenticator.Authenticator = (*Authenticator)(nil)
	_ authenticator.Detailer      = (*Authenticator)(nil)
	_ authenticator.Channeler     = (*Authenticator)(nil)
	_ authenticator.Resender      = (*Authenticator)(nil)
	_ authenticator.Namer         = (*Authenticator)(nil)
)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	u, err := url.Parse(c.PublicURL)
	switch {
	case c.Keyring == nil || c.Now == nil:
		return nil, errors.New("push: keyring and clock are required")
	case err != nil:
		return nil, fmt.Errorf("push: public URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("push: public URL %q is not of the form https://host", c.PublicURL)
	}
	return &Authenticator{keys: c.Keyring, now: c.Now, base: strings.TrimRight(c.PublicURL, "/"), number: c.Number, wakes: c.Wakes}, nil
}

// Info names it as the wire does. The key cannot be exported, and nothing but the
// browser that made it vouches for that: it is one of software (RFC 8176).
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "app", ID: "aut1oktaverify000000", Name: "Okta Verify", Methods: []authenticator.Method{Approve, Code},
		EnrollmentPrefix: "pfd", AMR: "swk", MethodAMR: map[authenticator.Method]string{Code: "otp"}, Class: policy.Possession, Several: true,
	}
}

// Channels are the ways to hand the link to the device; by text only where
// something carries texts.
func (a *Authenticator) Channels(authenticator.Subject) []authenticator.Choice {
	out := []authenticator.Choice{{Label: "QR code", Value: byQR}, {Label: "Email", Value: byMail}}
	if a.number != nil {
		out = append(out, authenticator.Choice{Label: "SMS", Value: byText})
	}
	return out
}

// Details may be said with the choice: the channel of an enrollment, the method of a proof.
func (a *Authenticator) Details(enrolling bool) []authenticator.Field {
	if !enrolling {
		return []authenticator.Field{methods()}
	}
	f := authenticator.Field{Name: "channel"}
	for _, c := range a.Channels(authenticator.Subject{}) {
		f.Choices = append(f.Choices, authenticator.Choice{Label: strings.ToUpper(c.Value), Value: c.Value}) // as recorded
	}
	return []authenticator.Field{f}
}

func methods() authenticator.Field {
	return authenticator.Field{Name: "methodType", Choices: []authenticator.Choice{
		{Label: "Enter a code", Value: string(Code)}, {Label: "Get a push notification", Value: string(Approve)},
	}}
}

// BeginEnroll shows the link as a QR code, or sends it where the person says.
func (a *Authenticator) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	channel := s.Details["channel"]
	if channel == "" {
		channel = byQR
	}
	p := authenticator.Prompt{Elsewhere: true, ExpiresAt: a.now().Add(LinkLife), Public: map[string]any{"selectedChannel": channel}}
	link := a.base + "/auth/push/link?t=" + a.token(Link{s.Transaction, s.Challenge, p.ExpiresAt})
	switch channel {
	case byQR:
		code, err := qr.Encode(link, qr.L) // it is shown on a screen
		if err != nil {
			return p, fmt.Errorf("push: QR code: %w", err)
		}
		code.Scale = 6
		p.Public["qrcode"] = map[string]any{
			"method": "embedded", "type": "image/png", "href": "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()),
		}
		p.Public["stile"] = map[string]any{"link": link} // for a page that is looked at on the device itself
		return p, nil
	case byMail, byText:
	default:
		return p, rejected("channel", "api.factors.error.channel", "This way is not offered.")
	}
	return a.sendLink(s, p, channel, link)
}

// sendLink sends the link to the address or the number that the person has typed,
// which need not be those that the account has.
func (a *Authenticator) sendLink(s authenticator.Subject, p authenticator.Prompt, channel, link string) (authenticator.Prompt, error) {
	field := authenticator.Field{Name: "email", Label: "Email", Required: true}
	if channel == byText {
		if a.number == nil {
			return p, rejected("channel", "api.factors.error.channel", "This way is not offered.")
		}
		field = authenticator.Field{Name: "phoneNumber", Label: "Phone number", Required: true}
	}
	to := s.Details[field.Name]
	if to == "" {
		return authenticator.Prompt{}, &authenticator.Wanted{Fields: []authenticator.Field{field}, Channel: true, Public: p.Public}
	}
	p.Public[field.Name] = to // as typed: clients show and compare it (AUTH §3.2)
	if channel == byText {
		number, country, ok := a.number(to)
		if !ok {
			return p, rejected(field.Name, "api.factors.error.sms.invalid_phone", "Invalid Phone Number.")
		}
		p.Effects = []authenticator.Effect{{Text: &authenticator.Text{
			Method: byText, To: number, Country: country, Link: link, ExpiresAt: p.ExpiresAt,
			Purpose: s.Purpose, Enrolling: true, // a stranger's number, as far as limits go
		}}}
		return p, nil
	}
	address, err := directory.ParseAddress(to)
	if err != nil {
		return p, rejected(field.Name, "registration.error.invalidLoginEmail", "'Email' must be in the form of an email address", "Email")
	}
	p.Effects = []authenticator.Effect{{Mail: &authenticator.Mail{
		Template: "device-link", To: address.Mailbox(), Link: link, ExpiresAt: p.ExpiresAt,
	}}}
	return p, nil
}

// Resend sends one more link; those sent before stay good until their own end.
func (a *Authenticator) Resend(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt) (authenticator.Prompt, error) {
	return a.BeginEnroll(ctx, s)
}

func rejected(field, key, text string, params ...string) error {
	return &authenticator.Rejected{Messages: []problem.Message{{Key: key, Text: text, Params: params, Field: field, Class: problem.ClassError}}}
}
