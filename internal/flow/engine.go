// Package flow decides what a person may do next in a sign-up or sign-in.
//
// The engine is a decision table, not a graph of callbacks: Route names the
// stage from the facts of a transaction, Offers lists what may be done there, and
// one list serves both directions: what is rendered is what is admitted.
// Handlers change facts, and return what is to be written; one database
// transaction writes it all if the transaction is still at the version that was
// read. Whoever loses that race is taken through the steps anew.
package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/session"
)

// Store is what the engine needs of the storage port. Its errors are refusals
// of kind NotFound, Stale and Conflict.
type Store interface {
	Transaction(ctx context.Context, id string) (Row, error)
	Account(ctx context.Context, userID string) (directory.Account, error)
	AccountByAddress(ctx context.Context, canonical string) (directory.Account, error)
	OutboxMessage(ctx context.Context, id string) (outbox.Message, error)
	Session(ctx context.Context, id string) (session.Session, error)
	Sessions(ctx context.Context, userID string) ([]session.Session, error)
	Ticket(ctx context.Context, id string) (directory.Ticket, error)
	Tickets(ctx context.Context, userID string, kind directory.TicketKind) ([]directory.Ticket, error)
	Device(ctx context.Context, userID, id string) (session.Device, error)
	Counter(ctx context.Context, key string) (limit.Counter, error)
	InTx(ctx context.Context, durable bool, fn func(Tx) error) error
}

// Tx is what the engine writes in one database transaction.
type Tx interface {
	InsertTransaction(Row) error
	SaveTransaction(Row) error
	InsertUser(directory.User) error
	UpdateUser(directory.User) error
	InsertEnrollment(directory.Enrollment) error
	UpdateEnrollment(directory.Enrollment) error
	DeleteEnrollment(id string) error
	InsertTicket(directory.Ticket) error
	SpendTicket(id string, at time.Time) error
	InsertSession(session.Session) error
	UpdateSession(session.Session) error
	EndSession(id string, at time.Time) error
	SaveDevice(session.Device) error
	// SignOut ends every session and refresh family of a user, and voids every
	// token that was issued until then.
	SignOut(userID string, at time.Time) error
	Counter(key string) (limit.Counter, error)
	PutCounter(limit.Counter) error
	DeleteCounter(key string) error
	Enqueue(outbox.Message) error
	Append(audit.Row) error
}

// A Client is what the flow must know of an app.
type Client struct {
	ID, Name      string
	Confidential  bool
	LogoURI       string
	EmailCallback string // where mailed links lead; empty: nowhere
	SignUpURI     string // the app's own sign-up page, for mails; empty: not known

	SignUp      policy.SignUp      // empty: as its profile policy has it
	Enumeration policy.Enumeration // empty: the organisation's
	Access      string             // name of its access policy; empty: the default
	Profile     string             // name of its profile enrollment policy; empty: the default
	Origins     []string           // of its pages: where it redirects to, and those that it may call from
	EndedAt     time.Time          // what it had begun until then is void (SEC S-104); zero: nothing
}

// Clients finds apps; ok is false for one that is unknown or switched off.
type Clients interface {
	FlowClient(ctx context.Context, id string) (c Client, ok bool, err error)
}

// A Wake tells the devices of a person that a request waits for them.
type Wake struct {
	UserID    string // or an id that is nobody's
	Request   string // id of the Push
	ExpiresAt time.Time
}

// Outgoing is a mail or a text to a phone, with what the engine knows of its circumstances.
type Outgoing struct {
	Mail    authenticator.Mail
	Text    *authenticator.Text // it is a text
	Wake    *Wake               // it wakes devices
	User    directory.User      // whom a text is for
	Client  Client
	Request Request
	SignUp  bool // whether the app lets people sign up
	At      time.Time

	// Once, if set, is the id of the message: while one of that id is kept, until
	// KeepUntil, another is not sent.
	Once      string
	KeepUntil time.Time
	// Void says that it is not for anybody: it was sent before, or there is no
	// account. A message that reaches nobody stands for it, so that the answer and
	// the work are those of a mail (SEC S-42).
	Void bool

	notice bool // of a change to an account: earlier addresses are told too
	sent   func(messageID string)
}

// Outbox makes rows of outgoing mail, and delivers them once they are committed.
type Outbox interface {
	Prepare(Outgoing) (outbox.Message, error)
	Handoff(...outbox.Message)
}

// Config is what an Engine is made of; every field but Missing, Earlier, Seen, Beat and Logger is required.
type Config struct {
	Store          Store
	Keys           *keyring.Keyring
	Clients        Clients
	Outbox         Outbox
	Policies       func() *policy.Org // those in force; what it returns is not changed
	Authenticators []authenticator.Authenticator
	Missing        map[string]string // what an authenticator that is not given would need, by key
	// Earlier lists the addresses of somebody's that may still be given back, beside the
	// one in use: their owner is told of changes too. nil: there are none.
	Earlier func(ctx context.Context, userID string) ([]string, error)
	// Seen is told which transaction a request turns out to be of, for the log; nil: nobody.
	Seen   func(ctx context.Context, transaction string)
	Limits Limits
	Beat   time.Duration // on which answers that look an address up leave; 0: at once
	Now    func() time.Time
	Logger *slog.Logger
}

// An Engine answers for all transactions; it is safe for concurrent use and
// keeps nothing of them in memory, so any node answers any step. What it counts
// there bounds volumes, and is forgotten with it.
type Engine struct {
	store          Store
	keys           *keyring.Keyring
	clients        Clients
	outbox         Outbox
	policies       func() *policy.Org
	authenticators map[string]authenticator.Authenticator
	missing        map[string]string
	earlier        func(ctx context.Context, userID string) ([]string, error)
	seen           func(ctx context.Context, transaction string)
	limits         Limits
	beat           time.Duration
	local          *limit.Local
	now            func() time.Time
	log            *slog.Logger
	wrong          atomic.Int64 // answers that are not added up yet
}

// Life is how long a transaction lives at most (decision D7); replayWindow is
// how long the answer that moved it may be repeated (SEC S-24).
const (
	Life         = 60 * time.Minute
	replayWindow = 60 * time.Second
)

// New returns an engine. The error says what is wrong with the policies in force,
// such as an authenticator that they name and is not given.
func New(c Config) (*Engine, error) {
	e := &Engine{
		store: c.Store, keys: c.Keys, clients: c.Clients, outbox: c.Outbox, policies: c.Policies,
		missing: c.Missing, earlier: c.Earlier, seen: c.Seen, limits: c.Limits, beat: c.Beat, local: limit.NewLocal(), now: c.Now, log: c.Logger, authenticators: map[string]authenticator.Authenticator{},
	}
	if e.earlier == nil {
		e.earlier = func(context.Context, string) ([]string, error) { return nil, nil }
	}
	if e.seen == nil {
		e.seen = func(context.Context, string) {}
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	for _, a := range c.Authenticators {
		e.authenticators[a.Info().Key] = a
	}
	if err := e.Check(e.policies()); err != nil {
		return nil, fmt.Errorf("flow: policies: %w", err)
	}
	return e, nil
}

// Check reports what is wrong with policies, nil if they can be in force here.
func (e *Engine) Check(org *policy.Org) error {
	err := org.Validate(func(key string) bool { return e.authenticators[key] != nil })
	for _, enrollment := range org.Enrollment {
		for _, key := range enrollment.Keys("") {
			if needs := e.missing[key]; needs != "" && e.authenticators[key] == nil {
				return errors.Join(err, fmt.Errorf("%s needs %s", key, needs))
			}
		}
	}
	return err
}
