package app

import (
	"errors"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/push"
	"github.com/stile-id/stile/internal/deviceapi"
	"github.com/stile-id/stile/internal/oath"
)

// devices is the authenticator of devices as their API knows it.
type devices struct{ *push.Authenticator }

func (d devices) Key() string { return push.Key }

func (d devices) Link(token string) (transaction, challenge string, expiresAt time.Time, ok bool) {
	l, ok := d.ReadLink(token)
	return l.Transaction, l.Challenge, l.ExpiresAt, ok
}

func (d devices) Enrolling(text string) (deviceapi.Statement, error) {
	return statement(d.Authenticator.Enrolling(text))
}

func (d devices) Device(text string) (string, bool) { return push.Device(text) }

func (d devices) Said(c authenticator.Credential, text, path string) (deviceapi.Statement, error) {
	return statement(d.Authenticator.Said(c, text, path))
}

func statement(s push.Statement, err error) (deviceapi.Statement, error) {
	switch {
	case errors.Is(err, push.ErrStatement):
		err = deviceapi.ErrStatement
	case errors.Is(err, push.ErrClock):
		err = deviceapi.ErrClock
	}
	return deviceapi.Statement{Token: s.Token, Name: s.Name, Request: s.Request, Approve: s.Approve, Unique: s.Unique, Subscription: s.Subscription}, err
}

func (d devices) Codes(c authenticator.Credential) (deviceapi.Codes, error) {
	secret, err := push.Secret(c)
	return deviceapi.Codes{Secret: secret, Digits: oath.Digits, Period: oath.Step}, err
}

func (d devices) Rename(c authenticator.Credential, name string) (authenticator.Credential, bool) {
	return push.Rename(c, name)
}
