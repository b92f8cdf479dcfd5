package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

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

// Places are the newest first.
func (w woken) Places(ctx context.Context, userID string) ([]webpush.Place, error) {
	all, err := w.accounts.Signers(ctx, userID, push.Key)
	var out []webpush.Place
	for _, d := range slices.Backward(all) {
		if kept := push.WokenBy(d.Credential); kept != nil {
			out = append(out, webpush.Place{Device: d.ID, Subscription: kept})
		}
	}
	return out, err
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

// prepareWake makes a message of the outbox of what wakes a person's devices.
func (m mailer) prepareWake(o flow.Outgoing) (outbox.Message, error) {
	return m.Outbox.Prepare(webpush.Kind, webpush.Message{
		UserID: o.Wake.UserID, Request: o.Wake.Request, App: o.Client.Name,
	}, o.At, o.Wake.ExpiresAt)
}

func (d devices) Wake(c authenticator.Credential, subscription json.RawMessage) (authenticator.Credential, error) {
	return push.Wake(c, subscription)
}

func (d devices) WokenBy(c authenticator.Credential) []byte { return push.WokenBy(c) }
