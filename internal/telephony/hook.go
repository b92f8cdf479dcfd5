package telephony

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/stile-id/stile/internal/outbox"
)

// A Hook is the telephony inline hook of the field: a web service of the operator
// that is told number and code and sends them (MGMT §8.3).
type Hook struct {
	url    *url.URL
	secret string
	client *http.Client
	now    func() time.Time
}

// hookPatience is the field's time limit of an inline hook.
const hookPatience = 3 * time.Second

// NewHook takes the address of the hook and the value of the header Authorization
// that it is called with, by which it knows the engine. The error tells no secret.
func NewHook(address, secret string, now func() time.Time) (*Hook, error) {
	u, err := checkURL(address)
	if err != nil {
		return nil, fmt.Errorf("telephony: hook: %w", err)
	}
	if secret == "" || strings.ContainsFunc(secret, unicode.IsControl) || !httpguts.ValidHeaderFieldValue(secret) {
		return nil, errors.New("telephony: hook: a secret of one line, and fit for a header, is needed, which the hook knows the engine by")
	}
	client := newClient()
	client.Timeout = hookPatience
	return &Hook{url: u, secret: secret, client: client, now: now}, nil
}

// String names it in the log.
func (h *Hook) String() string { return "hook " + h.url.Host }

// Can is true: the hook says itself what it cannot send.
func (h *Hook) Can(string) bool { return true }

type hookRequest struct {
	EventID            string   `json:"eventId"`
	EventTime          string   `json:"eventTime"`
	EventType          string   `json:"eventType"`
	EventTypeVersion   string   `json:"eventTypeVersion"`
	ContentType        string   `json:"contentType"`
	CloudEventsVersion string   `json:"cloudEventVersion"`
	Source             string   `json:"source"`
	RequestType        string   `json:"requestType"`
	Data               hookData `json:"data"`
}

type hookData struct {
	Context struct {
		Request struct {
			ID        string `json:"id"`
			Method    string `json:"method"`
			IPAddress string `json:"ipAddress,omitempty"`
		} `json:"request"`
	} `json:"context"`
	UserProfile struct {
		FirstName string `json:"firstName"`
		LastName  string `json:"lastName"`
		Login     string `json:"login"`
		UserID    string `json:"userId"`
	} `json:"userProfile"`
	MessageProfile struct {
		Template        string `json:"msgTemplate"`
		PhoneNumber     string `json:"phoneNumber"`
		OTPExpires      string `json:"otpExpires"`
		DeliveryChannel string `json:"deliveryChannel"`
		OTPCode         string `json:"otpCode"`
		Locale          string `json:"locale"`
		Message         string `json:"message"`        // ours: the whole text
		Link            string `json:"link,omitempty"` // ours, in place of a code
	} `json:"messageProfile"`
	Action string `json:"action"`
}

type hookAnswer struct {
	Commands []struct {
		Type  string `json:"type"`
		Value []struct {
			Status string `json:"status"`
		} `json:"value"`
	} `json:"commands"`
	Error json.RawMessage `json:"error"`
}

// Send calls the hook. Its eventId is the same on every try of a message.
func (h *Hook) Send(ctx context.Context, id string, m Message) error {
	body, err := json.Marshal(h.request(id, m))
	if err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", h.secret)
	r.Header.Set("Idempotency-Key", id)
	data, err := call(h.client, r, usual)
	if err != nil {
		return err
	}
	var a hookAnswer
	if len(data) == 0 || json.Unmarshal(data, &a) != nil {
		return &outbox.Temporary{Class: "answer", Unavailable: true, Err: errors.New("the hook's answer is not JSON")}
	}
	return a.outcome()
}

// outcome reads what the hook says. An error is the hook's own: it may pass, and
// another transport is asked meanwhile. FAILED is said of this message.
func (a hookAnswer) outcome() error {
	if len(a.Error) > 0 && string(a.Error) != "null" {
		return &outbox.Temporary{Class: "hook-error", Unavailable: true, Err: errors.New("the hook answers with an error")}
	}
	for _, c := range a.Commands {
		if c.Type != "com.okta.telephony.action" {
			continue
		}
		for _, v := range c.Value {
			switch strings.ToUpper(v.Status) {
			case "SUCCESSFUL", "PENDING":
				return nil
			}
		}
	}
	return &outbox.Permanent{Class: "hook-failed"}
}

func (h *Hook) request(id string, m Message) hookRequest {
	r := hookRequest{
		EventID: id, EventTime: h.now().UTC().Format("2006-01-02T15:04:05.000Z"), EventType: "com.okta.telephony.provider",
		EventTypeVersion: "1.0", ContentType: "application/json", CloudEventsVersion: "0.1", Source: "stile",
		RequestType: "com.okta.user.telephony." + m.Reason,
	}
	r.Data.Action = "PENDING"
	r.Data.Context.Request.ID, r.Data.Context.Request.Method, r.Data.Context.Request.IPAddress = id, http.MethodPost, m.IP
	u := &r.Data.UserProfile
	u.FirstName, u.LastName, u.Login, u.UserID = m.Person.FirstName, m.Person.LastName, m.Person.Login, m.Person.ID
	p := &r.Data.MessageProfile
	p.Template, p.PhoneNumber, p.OTPCode = "Your verification code is ${code}", m.To, m.Code
	if m.Link != "" {
		// The field's form has no place for a link. Hooks put the code into the template,
		// or into a text of their own: in its place the link gets across with either.
		p.Template, p.OTPCode, p.Link = linkText+"${code}", m.Link, m.Link
	}
	p.OTPExpires, p.DeliveryChannel, p.Locale = m.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z"), "SMS", m.Locale
	p.Message = m.Text()
	if m.Method == Voice {
		p.DeliveryChannel = "VOICE CALL"
	}
	if p.Locale == "" {
		p.Locale = "EN-US"
	}
	return r
}
