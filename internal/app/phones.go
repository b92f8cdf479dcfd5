package app

import (
	"net/url"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/telephony"
)

// Phones are the transports of texts and calls. The hook is preferred where both are
// there; without any, and without the inbox, nobody can have a phone.
type Phones struct {
	Hook, HookSecret string   // address, and the header Authorization that it is called with
	Gateway          []byte   // description of a gateway's HTTP interface
	GatewaySecret    string   // that it is called with
	Methods          []string // of those that the transports have, the preferred one first; none: all of them
	Countries        []string // that messages go to, first that of numbers without a code; none: all
}

// newTexts opens what texts and calls are delivered to.
func newTexts(c Config, inbox *mail.Inbox) (*telephony.Sender, error) {
	transports, err := c.Phones.transports(c)
	if err != nil {
		return nil, err
	}
	var show func(string, time.Time, telephony.Message)
	if inbox != nil {
		show = func(id string, at time.Time, m telephony.Message) {
			inbox.AddText(id, at, m.Method, m.To, m.App, m.Text(), m.Code, m.Link)
		}
	}
	return telephony.NewSender(c.Now, c.Logger, show, transports...), nil
}

func (p Phones) transports(c Config) ([]telephony.Transport, error) {
	var out []telephony.Transport
	if p.Hook != "" {
		h, err := telephony.NewHook(p.Hook, p.HookSecret, c.Now)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	if len(p.Gateway) > 0 {
		g, err := telephony.NewGateway(p.Gateway, p.GatewaySecret)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// phoneMethods are the ways in which codes can reach phones; none: there is no phone.
func (a *App) phoneMethods(c Config) []authenticator.Method {
	can, wanted := a.texts.Methods(), c.Phones.Methods
	if len(wanted) == 0 {
		wanted = can
	}
	var out []authenticator.Method
	for _, m := range wanted {
		if slices.Contains(can, m) {
			out = append(out, authenticator.Method(m))
		}
	}
	return out
}

// reasons are what the hook of the field calls what a code is for (MGMT §8.3).
var reasons = map[authenticator.Purpose]string{
	authenticator.Recovery: "password-reset", authenticator.Unlock: "account-unlock",
}

// prepareText makes a text into a message of the outbox.
func (m mailer) prepareText(o flow.Outgoing) (outbox.Message, error) {
	reason := reasons[o.Text.Purpose]
	switch {
	case o.Text.Enrolling:
		reason = "mfa-enrollment"
	case reason == "":
		reason = "mfa-verification"
	}
	msg := telephony.Message{
		Method: string(o.Text.Method), To: o.Text.To, Code: o.Text.Code, Link: o.Text.Link, ExpiresAt: o.Text.ExpiresAt,
		App: branded(m.policies().Brand, o.Client.Name, o.Client.LogoURI).Name, Host: pageHost(o.Request.RedirectURI),
		Locale: o.Request.Locale, Reason: reason, IP: o.Request.IP, Void: o.Void,
		Person: telephony.Person{ID: o.User.ID, Login: o.User.Email, FirstName: o.User.FirstName, LastName: o.User.LastName},
	}
	return m.Outbox.Prepare(telephony.Kind, msg, o.At, o.Text.ExpiresAt)
}

// pageHost is where an app's pages are, as texts bind codes to it: a host of https.
// An app that is none of the web has no pages.
func pageHost(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return u.Hostname()
}
