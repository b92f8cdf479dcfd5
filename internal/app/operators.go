package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/adminapi"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/myaccount"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
)

// operators wires what operators do, and its door, which Handler does not have.
func (a *App) operators(c Config, keys *keyring.Keyring, tokens *signOuts) {
	a.admin = admin.New(admin.Config{
		Store: adminStore{a.Store, tokens}, Engine: a.Engine, Keys: keys,
		Post:    operatorPost{a.outbox, a.policies.Current},
		Initial: c.Policy, PublicURL: c.PublicURL, Changed: a.changed, Now: c.Now,
	})
	data := func(ctx context.Context, userID string) (any, error) {
		d, err := a.Account.Export(ctx, userID)
		if err != nil {
			return nil, err
		}
		return myaccount.Document(d), nil
	}
	api := adminapi.New(adminapi.Config{Admin: a.admin, Data: data, PublicURL: c.PublicURL, Admission: a.bounds.admission, Logger: c.Logger})
	a.adminHandler = edge.WithRequestID(directory.NewID, sourced(edge.SecureHeaders(a.logged(a.contained(api)))))
}

// AdminHandler answers the management API to whoever asks: it must not be
// reachable by anybody but operators.
func (a *App) AdminHandler() http.Handler { return a.adminHandler }

// changed puts in force here what an operator wrote; other nodes follow within seconds.
func (a *App) changed(ctx context.Context) error {
	a.OAuth.ForgetClients()
	return a.policies.load(ctx)
}

// adminStore gives operators their part of the storage port.
type adminStore struct {
	store.Store
	signOuts *signOuts
}

func (s adminStore) InTx(ctx context.Context, fn func(admin.Tx) error) error {
	return s.Store.InTx(ctx, store.Durable, func(tx store.Tx) error { return fn(flowTx{tx, s.signOuts}) })
}

// operatorPost makes letters into messages of the outbox.
type operatorPost struct {
	*outbox.Outbox
	policies func() *policy.Org
}

func (p operatorPost) Prepare(l admin.Letter) (outbox.Message, error) {
	to, err := directory.ParseAddress(l.To.Email)
	if err != nil {
		return outbox.Message{}, err
	}
	expires := l.ExpiresAt
	if expires.IsZero() {
		expires = l.At.Add(noticeLife)
	}
	return p.Outbox.Prepare(mail.Kind, mail.Message{
		Template: mail.Template(l.Kind), To: to.Mailbox(), FirstName: l.To.FirstName, Link: l.Link, ExpiresAt: l.ExpiresAt,
		Method: l.Method, Which: l.Which, App: branded(p.policies().Brand, said(l.Client), l.Client.LogoURI),
		Origin: mail.Origin{At: l.At}, Locale: l.To.Locale,
	}, l.At, expires)
}

// branded is how an app looks: as it says, and where it says nothing as its organisation does.
func branded(b policy.Brand, name, logo string) mail.App {
	if name == "" {
		name = b.Name
	}
	if logo == "" {
		logo = b.Logo
	}
	return mail.App{Name: name, LogoURL: logo, Accent: b.Color}
}

// said is the name that a client gives itself; one that only has an id says none.
func said(c oauth.Client) string {
	if c.Name == c.ID {
		return ""
	}
	return c.Name
}

// urlSetting is where the database keeps the public URL of the last start, for
// the links of commands that find no engine running.
const urlSetting = "public-url"

func (a *App) rememberURL(ctx context.Context, url string) error {
	old, err := a.Store.Setting(ctx, urlSetting)
	if err == nil && string(old) == url {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return a.Store.InTx(ctx, store.Durable, func(tx store.Tx) error { return tx.SetSetting(urlSetting, []byte(url)) })
}

// stopIn bounds how long stopping may take.
func stopIn(d time.Duration, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return stop(ctx)
}
