package flow

import (
	"context"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// A Turn is one request to a transaction: what was read, and what the handler
// wants written. Nothing is written before the handler has returned.
type Turn struct {
	e       *Engine
	tx      *Transaction
	org     *policy.Org
	client  Client
	browser Browser
	account *directory.Account // of the subject, nil without one
	now     time.Time

	userMade    bool // by this turn
	userChanged bool
	kept        *session.Session // the session that this turn gives to the browser
	over        overLimit        // what an earlier try of this answer ran into
	counts      []func(Tx) error
	guessed     bool   // a wrong answer
	network     string // that it counts for; empty: none
	pause       *pause // that it began

	discover  map[string]any // what is public of the question to whoever is there
	elsewhere bool           // the answer comes from a device: what follows from it is for who waits

	moved   bool // the transaction changed
	durable bool // the change must survive the machine (decision D13)
	writes  []func(Tx) error
	events  []audit.Event
	mails   []Outgoing

	kind     problem.Kind // how the answer is refused; None: it is not
	again    bool         // it is, and the form is shown again nevertheless
	messages []problem.Message
	retry    time.Duration
	delivery string // how the newest message stands
}

// Input holds the answer's values by dotted path: "userProfile.email",
// "credentials.passcode". Booleans are "true" and "false".
type Input map[string]string

// A Handler changes the facts of a turn. A person's mistake is t.refuse; an
// error is a fault, or a *problem.Error that ends the request.
type Handler func(ctx context.Context, t *Turn, in Input) error

// refuse tells the person what is wrong; what the handler changed stays changed
// only if it says so with move.
func (t *Turn) refuse(kind problem.Kind, messages ...problem.Message) {
	t.kind = kind
	t.messages = append(t.messages, messages...)
}

// move says that the transaction changed and must be saved.
func (t *Turn) move() { t.moved = true }

// end finishes the transaction without success.
func (t *Turn) end(kind problem.Kind, messages ...problem.Message) {
	t.tx.Ended = &Ended{Kind: kind, Messages: messages}
	t.tx.Open, t.tx.Aside = nil, nil
	t.kind = kind
	t.move()
}

// record adds an audit event about the subject; where it comes from is filled in
// when it is written.
func (t *Turn) record(ev audit.Event) {
	ev.Client, ev.Transaction, ev.At = t.tx.Request.ClientID, t.tx.ID, t.now
	if s := t.tx.Subject; s != nil && ev.Target == "" {
		ev.Target = s.UserID
	}
	t.events = append(t.events, ev)
}

// recorded are the events of the turn, a pause that it began among them, with
// their actor and source. Until
// something is proven nobody knows who acts. A browser speaks for itself, but a
// confidential client's server stands between: there it counts what it said of
// the person at the beginning.
func (t *Turn) recorded(ctx context.Context) []audit.Event {
	source, events := audit.SourceOf(ctx), slices.Clone(t.events)
	if p := t.pause; p != nil {
		events = append(events, audit.Event{
			Type: "user.account.lock", Outcome: audit.Success, Target: p.of.ID, Authenticator: p.key,
			Client: t.tx.Request.ClientID, Transaction: t.tx.ID, At: t.now,
		})
	}
	for i := range events {
		ev := &events[i]
		ev.RequestID, ev.IP, ev.UserAgent = source.RequestID, source.IP, source.UserAgent
		if t.client.Confidential || source.IP == "" {
			ev.IP, ev.UserAgent = t.tx.Request.IP, t.tx.Request.UserAgent
		}
		if s := t.tx.Subject; s != nil && t.tx.proven() {
			ev.Actor = s.UserID
		}
	}
	return events
}

func (t *Turn) openAuthenticator() authenticator.Authenticator {
	if t.tx.Open == nil {
		return nil
	}
	return t.e.authenticators[t.tx.Open.Authenticator]
}

// about is the subject as authenticators see it. The error is a credential that cannot be read.
func (t *Turn) about(o *Open) (authenticator.Subject, error) {
	s := t.tx.Subject
	out := authenticator.Subject{
		App: t.client.Name, Origins: t.client.Origins, Details: o.Details,
		Transaction: t.tx.ID, Challenge: o.ID, UserID: s.ID, Login: s.Login, Address: s.Login,
		FirstName: s.FirstName, LastName: s.LastName, Locale: s.Locale,
		Purpose: o.Purpose, Enrolling: o.Enrolling, Password: t.org.PasswordFor(t.groups()),
	}
	// Mail goes to the stored address, never to the one in the request (SEC S-36).
	if t.account != nil {
		out.Address, out.FirstName, out.LastName = t.account.Email, t.account.FirstName, t.account.LastName
	}
	if a, err := directory.ParseAddress(out.Address); err == nil {
		out.Address = a.Mailbox()
	}
	if t.account != nil && t.tx.proven() {
		out.UserID = t.account.ID
	}
	var err error
	if out.Enrolled, err = t.credentials(o.Authenticator); err == nil {
		out.VerifyUser, out.Hardware = t.demands(o)
	}
	return out, err
}
