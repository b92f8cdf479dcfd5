package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/push"
	"github.com/stile-id/stile/internal/deviceapi"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/webpush"
)

// WebPush is how devices are woken that are asked to approve a sign-in. Without a key
// none is, and their pages ask while they are open.
type WebPush struct {
	Key     string // webpush.ParseKey's
	Subject string // by which push services may reach the operator
	Hosts   []string
	Client  *http.Client // for tests alone: reaches a push service wherever it is
}

// NewWebPushKey writes a new key for WebPush.Key as a line.
func NewWebPushKey(out io.Writer) error {
	key, err := webpush.NewKey()
	if err == nil {
		_, err = fmt.Fprintln(out, key.Private())
	}
	return err
}

// newWaker returns what wakes devices; nil: nothing does.
func newWaker(c Config) (*webpush.Sender, error) {
	if c.WebPush.Key == "" {
		return nil, nil
	}
	key, err := webpush.ParseKey(c.WebPush.Key)
	if err != nil {
		return nil, err
	}
	return webpush.New(webpush.Config{
		Key: key, Subject: c.WebPush.Subject, Hosts: c.WebPush.Hosts, Client: c.WebPush.Client, Now: c.Now, Logger: c.Logger,
	})
}

// waker is it as the devices' API knows it; nil: there is none.
func waker(s *webpush.Sender) deviceapi.Waker {
	if s == nil {
		return nil
	}
	return s
}

// woken finds the devices that are woken.
type woken struct {
	engine   *flow.Engine
	accounts *account.Accounts
}

func (w woken) Waits(ctx context.Context, userID, request string) (bool, error) {
	return w.engine.PushWaits(ctx, userID, request)
}

func (w woken) Subscription(ctx context.Context, userID, device string) ([]byte, error) {
	d, err := w.accounts.Signer(ctx, userID, device, push.Key)
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	return push.WokenBy(d.Credential), err
}

func (w woken) Forget(ctx context.Context, userID, device string, subscription []byte) error {
	d, err := w.accounts.Signer(ctx, userID, device, push.Key)
	if err == nil && bytes.Equal(push.WokenBy(d.Credential), subscription) {
		err = w.accounts.ChangeSigner(ctx, d, push.Key, func(c authenticator.Credential) authenticator.Credential {
			if next, err := push.Wake(c, nil); err == nil && bytes.Equal(push.WokenBy(c), subscription) {
				return next
			}
			return c
		})
	}
	if problem.KindOf(err) == problem.NotFound {
		return nil
	}
	return err
}

// prepareWake makes a message of the outbox of what wakes a device.
func (m mailer) prepareWake(o flow.Outgoing) (outbox.Message, error) {
	return m.Outbox.Prepare(webpush.Kind, webpush.Message{
		UserID: o.Wake.UserID, Device: o.Wake.Device, Request: o.Wake.Request, App: o.Client.Name, Void: o.Void,
	}, o.At, o.Wake.ExpiresAt)
}

func (d devices) Wake(c authenticator.Credential, subscription json.RawMessage) (authenticator.Credential, error) {
	return push.Wake(c, subscription)
}

func (d devices) Wakes(c authenticator.Credential) bool { return push.WokenBy(c) != nil }
