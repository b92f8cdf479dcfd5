// Package app wires a process together: configuration in, an http.Handler and
// background workers out. It alone knows the concrete types.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/customotp"
	"github.com/stile-id/stile/internal/authenticator/email"
	"github.com/stile-id/stile/internal/authenticator/password"
	"github.com/stile-id/stile/internal/authenticator/phone"
	"github.com/stile-id/stile/internal/authenticator/push"
	"github.com/stile-id/stile/internal/authenticator/question"
	"github.com/stile-id/stile/internal/authenticator/recoverycode"
	"github.com/stile-id/stile/internal/authenticator/tac"
	"github.com/stile-id/stile/internal/authenticator/totp"
	"github.com/stile-id/stile/internal/authenticator/webauthn"
	"github.com/stile-id/stile/internal/deviceapi"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/metrics"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/telephony"
	"github.com/stile-id/stile/internal/webpush"
)

// Config is what an App is made of.
type Config struct {
	Dir                 string      // of the master key, the inbox, and the database if that is SQLite
	Database            string      // postgres://…; empty: SQLite in Dir
	DatabaseConnections int         // that this node opens to it at most; 0: postgres.Options has the default
	QuickCheck          bool        // look through an SQLite file for damage at the start (REL R-05)
	Damaged             func(error) // told once of what that finds while the file is in use
	// MasterKeyFile is the master key's file; default master.key in Dir. If there
	// is none it is made, unless KeyMustExist.
	MasterKeyFile string
	KeyMustExist  bool
	PublicURL     string     // scheme and host; the only source of absolute URLs (SEC S-17)
	Policy        policy.Org // until others are stored
	// Overlay changes the policies of this process alone, stored or not.
	Overlay func(*policy.Org)
	Limits  flow.Limits
	Servers []oauth.AuthorizationServer // default: oauth's

	// Hosts are names under which requests may come, beside PublicURL's and those of
	// this machine alone.
	Hosts []string
	// TrustedProxies are believed what they say of their clients (SEC S-111).
	TrustedProxies []netip.Prefix

	// SMTP are the relays that mail is delivered to, the preferred one first; none:
	// to the inbox only.
	SMTP    []string
	Sender  string // From of mails; default: an address at the public host
	ReplyTo string
	Inbox   bool // the development inbox, with its routes
	// NoCodeInSubject leaves the code out of subjects (decision D6).
	NoCodeInSubject bool
	// KeepInbox keeps its mail in Dir over a restart.
	KeepInbox bool

	// Phones is how codes reach phones beside the inbox, and where they may go.
	Phones Phones

	// WebPush wakes devices.
	WebPush WebPush

	// Traces is where spans go, OTLP over HTTP such as http://localhost:4318; empty: nowhere.
	Traces string
	// Bounded lets in only as many requests as can be answered in time, and gives
	// each a deadline (docs/operations.md).
	Bounded bool

	// SealEvery is how often the audit log is sealed; default audit.SealEvery.
	SealEvery time.Duration

	// Now is the time, which nothing corrects; default Machine's.
	Now func() time.Time
	// Machine is this machine's clock, which that of a shared database corrects; default time.Now.
	Machine func() time.Time
	Logger  *slog.Logger // default: none
}

// An App is an engine with its database open. Start its workers, serve its
// Handler, and Close it.
type App struct {
	Store  store.Store
	OAuth  *oauth.Server
	Engine *flow.Engine
	// Account is what people change about their own accounts.
	Account *account.Accounts
	Inbox   *mail.Inbox // nil without
	Sender  string      // From of mails

	admin        *admin.Service
	adminHandler http.Handler

	outbox   *outbox.Outbox
	policies *policies
	sealer   *audit.Sealer
	sealing  time.Duration // between two runs of sealer
	handler  http.Handler
	log      *slog.Logger
	now      func() time.Time
	clock    *clock // nil: nothing corrects now
	schema   shared // nil: nobody else can move it
	stop     context.CancelFunc
	workers  sync.WaitGroup
	relays   *mail.Relays // nil without
	texts    *telephony.Sender
	metrics  *metrics.Metrics
	watch    *watch
	tracing  *tracing
	bounds   bounds
	disk     *disk // nil: not known
	state    readiness
}

// New opens the database and wires the engine. Nothing runs in the background yet.
func New(ctx context.Context, c Config) (_ *App, err error) {
	if c.Machine == nil {
		c.Machine = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SealEvery <= 0 {
		c.SealEvery = audit.SealEvery
	}
	master, err := masterKey(c)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.New(master)
	if err != nil {
		return nil, err
	}
	db, err := openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := sameKey(ctx, db, keys, keyFile(c.Dir, c.MasterKeyFile)); err != nil {
		return nil, err
	}
	a := &App{log: c.Logger, sealing: c.SealEvery, state: readiness{damaged: c.Damaged}}
	a.state.examined, _ = db.(examined)
	if k, shared := db.(timekeeper); c.Now == nil && shared {
		if a.clock, err = newClock(ctx, k, c.Machine, c.Logger); err != nil {
			return nil, err
		}
		c.Now = a.clock.Now
	} else if c.Now == nil {
		c.Now = c.Machine
	}
	a.now = c.Now
	a.schema, _ = db.(shared)
	if a.tracing, err = newTracing(c.Traces, len(c.TrustedProxies) > 0, c.Logger); err != nil {
		return nil, err
	}
	a.disk = newDisk(c.Dir, c.Logger)
	a.watch = newWatch(c.Logger)
	a.metrics = a.newMetrics()
	db = newTimedStore(db, a.metrics)
	if a.tracing != nil {
		db = tracedStore{db, a.tracing}
	}
	plain := db // the OAuth core knows by itself what it voids
	db = voiding{db, func(rows ...oauth.Revocation) { a.OAuth.Revoked(rows...) }}
	a.Store = db
	a.bounds = a.newBounds(c.Bounded, c.TrustedProxies)
	a.sealer = audit.NewSealer(audit.SealerConfig{Store: auditStore{db}, Keys: keys, Now: c.Now, Logger: c.Logger})

	post, err := a.post(c)
	if err != nil {
		return nil, err
	}
	if a.texts, err = newTexts(c, a.Inbox); err != nil {
		return nil, err
	}
	deliver := map[string]outbox.Deliverer{mail.Kind: post, telephony.Kind: a.texts}
	wakes, err := newWaker(c)
	if err != nil {
		return nil, err
	}
	if wakes != nil {
		deliver[webpush.Kind] = wakes
	}
	if a.tracing != nil {
		for kind, d := range deliver {
			deliver[kind] = tracedDeliverer{d, kind, a.tracing}
		}
	}
	a.outbox = outbox.New(outbox.Config{
		Store: outboxStore{db}, Keyring: keys, Deliver: deliver, Crews: map[string]int{webpush.Kind: webpush.Crew},
		Observe: func(kind string, s outbox.Status) { a.metrics.Tried(kind, string(s)) },
		Watch: func(name string, every time.Duration) func(func() error) error {
			patience := stuckAfter
			if every == 0 { // a delivery may take until its lease is about to end, and is broken off then
				patience = outbox.Lease - 3*time.Second
			}
			return a.watch.worker(name, every, patience)
		},
		NewID: func(at time.Time) string { return directory.NewIDAt("msg", at) },
		Now:   c.Now, Logger: c.Logger,
	})
	codes, err := email.New(email.Config{Keyring: keys, Now: c.Now, PublicURL: c.PublicURL})
	if err != nil {
		return nil, err
	}
	passkeys, err := webauthn.New(webauthn.Config{
		Keyring: keys, Now: c.Now, PublicURL: c.PublicURL, Settings: func() policy.WebAuthn { return a.policies.Current().WebAuthn },
	})
	if err != nil {
		return nil, err
	}
	words, err := password.New(password.Config{Pool: a.bounds.hashing, Now: c.Now})
	if err != nil {
		return nil, err
	}
	apps, err := totp.New(totp.Config{Now: c.Now, Issuer: func() string { return a.policies.Current().Brand.Name }})
	if err != nil {
		return nil, err
	}
	questions, err := question.New(question.Config{Pool: a.bounds.hashing})
	if err != nil {
		return nil, err
	}
	handed, err := customotp.New(customotp.Config{Now: c.Now})
	if err != nil {
		return nil, err
	}
	temporary, err := tac.New(tac.Config{Now: c.Now})
	if err != nil {
		return nil, err
	}
	verify := push.Config{Keyring: keys, Now: c.Now, PublicURL: c.PublicURL, Wakes: wakes != nil}
	all := []authenticator.Authenticator{codes, words, apps, questions, recoverycode.New(), handed, temporary, passkeys}
	missing := map[string]string{}
	if methods := a.phoneMethods(c); len(methods) > 0 {
		numbers, err := phone.New(phone.Config{Keyring: keys, Now: c.Now, Methods: methods, Countries: c.Phones.Countries})
		if err != nil {
			return nil, err
		}
		all = append(all, numbers)
		if slices.Contains(methods, phone.SMS) {
			verify.Number = numbers.Textable
		}
	} else {
		missing[phone.Key] = "a way to reach phones: set telephony_hook or telephony_gateway"
	}
	phones, err := push.New(verify)
	if err != nil {
		return nil, err
	}
	all = slices.Insert(all, 2, authenticator.Authenticator(phones)) // the order of lists
	a.policies = &policies{store: db, initial: c.Policy, overlay: c.Overlay, log: c.Logger}
	if err := a.policies.load(ctx); err != nil {
		return nil, err
	}
	// The OAuth core and the flow engine need each other: the engine asks for
	// clients, the core for interactions.
	clients := flowClients{policies: a.policies.Current}
	tokens := &signOuts{}
	a.Engine, err = flow.New(flow.Config{
		Store: flowStore{db, tokens}, Keys: keys, Clients: &clients, Outbox: mailer{a.outbox, a.policies.Current},
		Policies: a.policies.Current, Authenticators: all, Missing: missing,
		Earlier: func(ctx context.Context, userID string) ([]string, error) { return a.Account.Earlier(ctx, userID) },
		Seen:    followed(keys),
		Limits:  c.Limits, Beat: beat, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	a.policies.check = a.Engine.Check
	cookie := edge.SessionCookie{Secure: strings.HasPrefix(c.PublicURL, "https://")}
	a.OAuth, err = oauth.New(oauth.Config{
		PublicURL: c.PublicURL, Store: db, Keyring: keys, Interactions: interactions{a.Engine, a.policies.Current}, Sessions: a.Engine, Cookie: cookie,
		InTx: func(ctx context.Context, fn func(oauth.Tx) error) error {
			return plain.InTx(ctx, store.Durable, func(tx store.Tx) error { return fn(tx) })
		},
		TrustedOrigins: func() []string { return a.policies.Current().TrustedOrigins },
		ACRs:           func() []string { return a.policies.Current().ACRs() },
		Brand:          a.brand,
		Signing:        a.bounds.signing, Admission: a.bounds.admission,
		Servers: c.Servers, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	clients.clients = a.OAuth.Client
	tokens.revocation = a.OAuth.Revocation
	a.operators(c, keys, tokens)
	a.Account, err = account.New(account.Config{
		Store: accountStore{db, tokens, a.outbox}, Keys: keys, Secrets: a.Engine, Apps: &accountApps{a.OAuth.Client},
		Post: accountPost{mailer{a.outbox, a.policies.Current}}, Policies: a.policies.Current,
		Authenticators: all, Agent: mail.ParseUserAgent,
		Rules: c.Limits.Rules, PublicURL: c.PublicURL, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	if wakes != nil {
		wakes.Devices(woken{a.Engine, a.Account})
	}
	device, err := deviceapi.New(deviceapi.Config{
		Engine: a.Engine, Accounts: a.Account, Authenticator: devices{phones}, PublicURL: c.PublicURL, Agent: mail.ParseUserAgent,
		Brand: a.brand, Rules: c.Limits.Rules, Waker: waker(wakes),
		Admission: a.bounds.admission, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	a.handler = a.routes(c, codes.TransactionOf, cookie, device)
	return a, nil
}

// beat is above what an answer that looks an address up takes on a machine that
// is not overloaded, and below what a person notices (SEC S-42).
const beat = 5 * time.Millisecond

// Handler serves everything that the engine answers.
func (a *App) Handler() http.Handler { return a.handler }
