// Package flow decides what a person may do next in a sign-up or sign-in.
//
// The engine is a decision table, not a graph of callbacks: Route names the
// stage from the facts of a transaction, Offers lists what may be done there, and
// one list serves both directions: what is rendered is what is admitted.
// Handlers change facts, and return what is to be written; one database
// transaction writes it all if the transaction is still at the version that was
// read. Whoever loses that race is shown where things stand.
package flow

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
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
}

// Clients finds apps; ok is false for one that is unknown or switched off.
type Clients interface {
	FlowClient(ctx context.Context, id string) (c Client, ok bool, err error)
}

// Outgoing is a mail with what the engine knows of its circumstances.
type Outgoing struct {
	Mail    authenticator.Mail
	Client  Client
	Request Request
	SignUp  bool // whether the app lets people sign up
	At      time.Time

	// Once, if set, is the id of the message: while one of that id is kept, until
	// KeepUntil, another is not sent.
	Once      string
	KeepUntil time.Time
	// Void says that it was sent before: a message of its own that reaches nobody
	// stands for it, so that the answer and the work are those of a mail (SEC S-42).
	Void bool

	sent func(messageID string)
}

// Outbox makes rows of outgoing mail, and delivers them once they are committed.
type Outbox interface {
	Prepare(Outgoing) (outbox.Message, error)
	Handoff(...outbox.Message)
}

// Config is what an Engine is made of; every field but Logger is required.
type Config struct {
	Store          Store
	Keys           *keyring.Keyring
	Clients        Clients
	Outbox         Outbox
	Policies       func() *policy.Org // those in force; what it returns is not changed
	Authenticators []authenticator.Authenticator
	Limits         Limits
	Now            func() time.Time
	Logger         *slog.Logger
}

// An Engine answers for all transactions; it is safe for concurrent use and
// keeps nothing of them in memory, so any node answers any step.
type Engine struct {
	store          Store
	keys           *keyring.Keyring
	clients        Clients
	outbox         Outbox
	policies       func() *policy.Org
	authenticators map[string]authenticator.Authenticator
	limits         Limits
	local          *limit.Local
	now            func() time.Time
	log            *slog.Logger
}

// Life is how long a transaction lives at most (decision D7); replayWindow is
// how long the answer that moved it may be repeated (SEC S-24).
const (
	Life         = 60 * time.Minute
	replayWindow = 60 * time.Second
)

// New returns an engine; it fails if the policy names an authenticator that is not given.
func New(c Config) (*Engine, error) {
	e := &Engine{
		store: c.Store, keys: c.Keys, clients: c.Clients, outbox: c.Outbox, policies: c.Policies,
		limits: c.Limits, local: limit.NewLocal(), now: c.Now, log: c.Logger, authenticators: map[string]authenticator.Authenticator{},
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
	return org.Validate(func(key string) bool { return e.authenticators[key] != nil })
}

// Introspect shows where a transaction stands. It changes nothing but an
// interaction code that is too old to be redeemed, which it replaces.
func (e *Engine) Introspect(ctx context.Context, h Handle, b Browser) (*View, error) {
	return e.turn(ctx, h, b, func(context.Context, *Turn) error { return nil })
}

// Poll is Introspect for whoever waits at a question in hand: once the flow has
// ended elsewhere it says so and hands out no code, because whoever answered has it.
func (e *Engine) Poll(ctx context.Context, h Handle) (*View, error) {
	t, err := e.load(ctx, h)
	if err != nil {
		return nil, err
	}
	if t.StageOf() == Success {
		v := t.view(ctx)
		v.transferred()
		return v, nil
	}
	return t.view(ctx), nil
}

// An Answer is what a client posts. Names are the offers that its path stands
// for; the one that is offered takes it.
type Answer struct {
	Handle  Handle
	Names   []string
	Input   Input
	Browser Browser
}

// Answer applies an answer and shows where the transaction stands then. A
// person's mistake and an answer to something that is not offered are in the
// View; the error is a *problem.Error or a fault.
func (e *Engine) Answer(ctx context.Context, a Answer) (*View, error) {
	hash := e.answerHash(a)
	read := int64(0)
	return e.turn(ctx, a.Handle, a.Browser, func(ctx context.Context, t *Turn) error {
		if t.replays(hash, a.Names, read) {
			return nil
		}
		read = t.tx.Version
		offers := t.offers()
		i := slices.IndexFunc(offers, func(o Offer) bool { return slices.Contains(a.Names, o.Name) })
		if i < 0 {
			t.notOffered(a.Names)
			return nil
		}
		if err := offers[i].Handle(ctx, t, a.Input); err != nil {
			return err
		}
		if t.moved && t.kind == problem.None {
			t.tx.Last = &Last{Hash: hash, At: t.now}
		}
		return nil
	})
}

// replays reports whether the answer is the one that moved the transaction
// last. One that may be given twice is a repetition only if the other moved the
// transaction since this one read it, at version read.
func (t *Turn) replays(hash []byte, names []string, read int64) bool {
	l := t.tx.Last
	if l == nil || !hmac.Equal(l.Hash, hash) || t.now.Sub(l.At) > replayWindow {
		return false
	}
	return !repeatable[names[0]] || (read != 0 && read != t.tx.Version)
}

// notOffered refuses what would not be rendered, without change (IDX E25, E19).
func (t *Turn) notOffered(names []string) {
	switch {
	case t.StageOf() == Terminal: // the view says how it ended
	case slices.Contains(names, "select-enroll-profile") && !t.signUpOpen():
		t.refuse(problem.Forbidden, signUpClosed())
	case slices.Contains(names, "recover") && t.passwords() && !t.org.Recovery():
		t.refuse(problem.Forbidden, recoveryNotAllowed())
	case slices.Contains(names, "unlock-account") && !t.org.Unlock():
		t.refuse(problem.Forbidden, unlockNotAllowed())
	default:
		t.refuse(problem.Invalid, notOffered())
	}
}

func (e *Engine) answerHash(a Answer) []byte {
	parts := append([]string{}, a.Names...)
	for _, k := range slices.Sorted(maps.Keys(a.Input)) {
		parts = append(parts, k, a.Input[k])
	}
	mac := e.keys.MAC("flow/answer", parts...)
	return mac[:]
}

// maxRaces bounds how often a turn is taken anew after losing a race. Each loss
// means that somebody else's answer went through.
const maxRaces = 64

func (e *Engine) turn(ctx context.Context, h Handle, b Browser, act func(context.Context, *Turn) error) (*View, error) {
	if err := e.mayAsk(h); err != nil {
		return nil, err
	}
	var over overLimit
	for range maxRaces {
		t, err := e.load(ctx, h)
		if err != nil {
			return nil, err
		}
		t.browser, t.over = b, over
		if err := t.mayAsk(); err != nil && over == (overLimit{}) {
			return nil, err
		}
		if err := act(ctx, t); err != nil {
			return nil, err
		}
		err = t.commit(ctx)
		if limit, ok := isOver(err); ok && limit.source > 0 {
			return nil, errTooMany(limit.source)
		} else if ok && over == (overLimit{}) {
			over = limit
			continue
		}
		switch problem.KindOf(err) {
		case problem.Stale, problem.Conflict:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("flow: commit: %w", err)
		}
		return t.view(ctx), nil
	}
	return nil, problem.New(problem.Unavailable, "", "too many answers at once")
}

// mayAsk limits requests with one handle (SEC S-29). The transaction survives.
func (e *Engine) mayAsk(h Handle) error {
	rule := e.limits.Rules.HandleRequests
	id, ok := e.transactionID(h)
	if rule.Off() || !ok {
		return nil
	}
	if wait, ok := e.local.Spend(limit.Key("requests", id), rule, e.now()); !ok {
		return errTooMany(wait)
	}
	return nil
}

// mayAsk limits requests about one person over all transactions (SEC S-29). Each
// source has its own limit: who floods what they type of somebody else does not
// keep that person out (SEC S-108).
func (t *Turn) mayAsk() error {
	rule := t.e.limits.Rules.UserRequests
	if rule.Off() || t.tx.Subject == nil {
		return nil
	}
	if wait, ok := t.e.local.Spend(limit.Key("requests of", t.guessedAt(), t.asker()), rule, t.now); !ok {
		return errTooMany(wait)
	}
	return nil
}

func (t *Turn) asker() string {
	if s := t.source(); s != "" {
		return s
	}
	return t.tx.Request.Device
}

func errTooMany(wait time.Duration) error {
	return &problem.Error{Kind: problem.Throttled, Code: "tooManyRequests", Detail: "Too many requests", RetryAfter: wait}
}

// load reads a transaction and what its facts are computed from.
func (e *Engine) load(ctx context.Context, h Handle) (*Turn, error) {
	id, ok := e.transactionID(h)
	if !ok {
		return nil, errExpired()
	}
	row, err := e.store.Transaction(ctx, id)
	if problem.KindOf(err) == problem.NotFound {
		return nil, errExpired()
	}
	if err != nil {
		return nil, fmt.Errorf("flow: load: %w", err)
	}
	return e.turnOf(ctx, row)
}

func (e *Engine) turnOf(ctx context.Context, row Row) (*Turn, error) {
	now := e.now()
	if !now.Before(row.ExpiresAt) {
		return nil, errExpired()
	}
	tx, err := e.unseal(row)
	if err != nil {
		return nil, err
	}
	client, ok, err := e.clients.FlowClient(ctx, tx.Request.ClientID)
	if err != nil {
		return nil, fmt.Errorf("flow: client: %w", err)
	}
	if !ok { // switched off since
		return nil, errExpired()
	}
	t := &Turn{e: e, tx: tx, org: e.policies(), client: client, now: now}
	if s := tx.Subject; s != nil && s.UserID != "" {
		a, err := e.store.Account(ctx, s.UserID)
		switch {
		case problem.KindOf(err) == problem.NotFound: // deleted since
			return nil, errExpired()
		case err != nil:
			return nil, fmt.Errorf("flow: account: %w", err)
		case a.Status != directory.Active && !(tx.Activating && a.Status == directory.Provisioned):
			return nil, errExpired()
		case tx.proven() && a.SignedOutAt.After(tx.since()):
			return nil, errExpired() // what was proven here was ended elsewhere (SEC S-32)
		}
		t.account = &a
	}
	if o := tx.Open; o != nil && o.Enrolling && t.enrolled(o.Authenticator) && !t.openAuthenticator().Info().EnrollmentProves {
		tx.Open = nil // set up in another tab meanwhile: what is given here is not it
	}
	return t, nil
}

// commit writes what the turn wants written, in one database transaction, and
// hands over the mail that was queued in it.
func (t *Turn) commit(ctx context.Context) (err error) {
	if t.StageOf() == Success && t.codeEnded() {
		first := t.tx.Code.IssuedAt.IsZero()
		t.tx.Code = Code{Serial: t.tx.Code.Serial + 1, IssuedAt: t.now}
		t.move()
		if first {
			if err := t.finish(ctx); err != nil {
				return err
			}
		}
	}
	if !t.moved {
		return nil
	}
	var messages []outbox.Message
	for _, m := range t.mails {
		if m.Void, err = t.e.sentBefore(ctx, m); err != nil {
			return err
		}
		prepared, err := t.e.outbox.Prepare(m)
		if err != nil {
			return fmt.Errorf("queue mail: %w", err)
		}
		if m.sent != nil {
			m.sent(prepared.ID)
		}
		messages = append(messages, prepared)
	}
	t.tx.Version++
	row, err := t.e.seal(t.tx)
	if err != nil {
		return err
	}
	err = t.e.store.InTx(ctx, t.durable, func(w Tx) error {
		for _, count := range t.counts {
			if err := count(w); err != nil {
				return err
			}
		}
		if err := w.SaveTransaction(row); err != nil {
			return err
		}
		for _, write := range t.writes {
			if err := write(w); err != nil {
				return err
			}
		}
		for _, m := range messages {
			if err := w.Enqueue(m); err != nil {
				return err
			}
		}
		if len(t.events) == 0 {
			return nil
		}
		return w.Append(audit.Row{ID: directory.NewID("ae"), At: t.now, Events: t.recorded(ctx)})
	})
	if err != nil {
		return err
	}
	if t.guessedWrong {
		t.e.sprayed(ctx, t.now)
	}
	if t.pauseBegan {
		t.tellOfPause(ctx)
	}
	if len(messages) > 0 {
		t.delivery = string(outbox.Queued)
		t.e.outbox.Handoff(messages...)
	}
	return nil
}

// sentBefore reports whether a mail that is sent once was sent. Two that ask at
// the same time are told apart by the id, which is unique.
func (e *Engine) sentBefore(ctx context.Context, m Outgoing) (bool, error) {
	if m.Once == "" {
		return false, nil
	}
	_, err := e.store.OutboxMessage(ctx, m.Once)
	if problem.KindOf(err) == problem.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an earlier mail: %w", err)
	}
	return true, nil
}

func (e *Engine) accountByAddress(ctx context.Context, canonical string) (*directory.Account, error) {
	a, err := e.store.AccountByAddress(ctx, canonical)
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flow: account by address: %w", err)
	}
	return &a, nil
}

const credentialPurpose = "enrollments/credential"

func (e *Engine) sealCredential(id string, c authenticator.Credential) []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // bytes and strings always encode
	}
	return e.keys.Seal(credentialPurpose, id, data)
}

func (e *Engine) openCredential(en directory.Enrollment) (authenticator.Credential, error) {
	var c authenticator.Credential
	data, err := e.keys.Open(credentialPurpose, en.ID, en.Credential)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("flow: enrollment %s: %w", en.ID, err)
	}
	return c, nil
}
