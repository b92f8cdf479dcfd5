package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// A change is one request about an account: what was read, and what is to be
// written. Nothing is written before the handler has returned.
type change struct {
	a       *Accounts
	by      Actor
	account directory.Account
	app     App
	org     *policy.Org
	now     time.Time
	source  audit.Source

	moved  bool // there is something to write
	counts []func(Tx) error
	writes []func(Tx) error
	events []audit.Event
	mails  []Letter

	paused bool // an earlier try met a limit of guesses: answers are not looked at
	taken  bool // an earlier try met an address that is somebody else's by now
}

var errGone = problem.New(problem.Unauthenticated, "invalid_token", "There is no such account.")

// open reads the account of whoever asks.
func (a *Accounts) open(ctx context.Context, by Actor) (*change, error) {
	account, err := a.Store.Account(ctx, by.UserID)
	if problem.KindOf(err) == problem.NotFound {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("account: read: %w", err)
	}
	app, err := a.Apps.App(ctx, by.App)
	if err != nil {
		return nil, fmt.Errorf("account: app: %w", err)
	}
	return &change{
		a: a, by: by, account: account, app: app, org: a.Policies(), now: a.Now().UTC().Truncate(time.Microsecond), source: audit.SourceOf(ctx),
	}, nil
}

// maxRaces bounds how often a change is made anew after losing a race.
const maxRaces = 16

// overLimit is a limit that a commit ran into.
type overLimit struct {
	paused bool          // answers are not looked at
	wait   time.Duration // nothing may be sent before
}

func (o overLimit) Error() string { return "account: over a limit" }

// do runs a handler and commits what it wants written, anew if somebody else has
// changed the account meanwhile. A refusal that the handler returns beside
// something to write is returned once that is written.
func (a *Accounts) do(ctx context.Context, by Actor, handle func(context.Context, *change) error) error {
	var paused, taken bool
	for range maxRaces {
		c, err := a.open(ctx, by)
		if err != nil {
			return err
		}
		c.paused, c.taken = paused, taken
		refusal := handle(ctx, c)
		if refusal != nil && (!c.moved || isFault(refusal)) { // half of a change is none
			return refusal
		}
		err = c.commit(ctx)
		var over overLimit
		switch kind := problem.KindOf(err); {
		case errors.As(err, &over) && over.paused && !paused:
			paused = true
			continue
		case errors.As(err, &over):
			return &problem.Error{Kind: problem.Throttled, Code: "tooManyRequests", Detail: "Too many requests", RetryAfter: over.wait}
		case kind == problem.Forbidden: // a limit on texts
			return err
		case kind == problem.Stale, kind == problem.NotFound: // not found: deleted meanwhile
			continue
		case kind == problem.Conflict:
			taken = true
			continue
		case err != nil:
			return fmt.Errorf("account: commit: %w", err)
		}
		return refusal
	}
	return problem.New(problem.Unavailable, "", "too many changes at once")
}

// isFault tells what went wrong here from what is refused to the person.
func isFault(err error) bool {
	return problem.KindOf(err) == problem.Internal && !errors.As(err, new(*StepUp)) && !errors.As(err, new(*authenticator.Rejected))
}

// write notes something to be written.
func (c *change) write(w func(Tx) error) {
	c.moved = true
	c.writes = append(c.writes, w)
}

// commit writes all of it over the version of the user that was read, which
// makes one of two changes at once the second.
func (c *change) commit(ctx context.Context) error {
	if !c.moved {
		return nil
	}
	messages := make([]outbox.Message, 0, len(c.mails))
	for _, letter := range c.mails {
		m, err := c.a.Post.Prepare(letter)
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	user := c.account.User
	user.Version++
	err := c.a.Store.InTx(ctx, func(tx Tx) error {
		for _, count := range c.counts {
			if err := count(tx); err != nil {
				return err
			}
		}
		if err := tx.UpdateUser(user); err != nil {
			return err
		}
		for _, w := range c.writes {
			if err := w(tx); err != nil {
				return err
			}
		}
		for _, m := range messages {
			if err := tx.Enqueue(m); err != nil {
				return err
			}
		}
		if len(c.events) == 0 {
			return nil
		}
		return tx.Append(audit.Row{ID: directory.NewIDAt("ae", c.now), At: c.now, Events: c.events})
	})
	if err == nil {
		c.a.Post.Handoff(messages...)
	}
	return err
}

// record adds an event about the account.
func (c *change) record(ev audit.Event) {
	ev.At, ev.Client = c.now, c.by.App
	ev.RequestID, ev.IP, ev.UserAgent = c.source.RequestID, c.source.IP, c.source.UserAgent
	if ev.Outcome == "" {
		ev.Outcome = audit.Success
	}
	if ev.Actor == "" {
		ev.Actor = c.account.ID
	}
	if ev.Target == "" {
		ev.Target = c.account.ID
	}
	c.events = append(c.events, ev)
}

// person is where the person is; zero where that is not known. The server of a
// confidential app stands between, and calls with a token alone: whatever it said of
// the person would be said as well by whoever has stolen the token (decision D39).
func (c *change) person() audit.Source {
	if c.app.Confidential && !c.by.Linked {
		return audit.Source{}
	}
	return c.source
}

// mail queues a letter to one address.
func (c *change) mail(m authenticator.Mail, void bool) {
	c.mails = append(c.mails, Letter{
		Mail: m, App: c.app, Source: c.person(), Locale: c.account.Locale, At: c.now, Void: void,
	})
}

// notify tells the person of a change at every address that they have proven: the
// one in use, and those that may still be given back, since it may be somebody
// else who reads the one in use (SEC S-56, S-61).
func (c *change) notify(ctx context.Context, m authenticator.Mail) error {
	earlier, err := c.earlier(ctx)
	if err != nil {
		return err
	}
	addresses := []string{c.account.Email}
	for _, e := range onePerAddress(earlier, c.account.Canonical) {
		addresses = append(addresses, e.Email)
	}
	for _, address := range addresses {
		if err := c.mailTo(address, m); err != nil {
			return err
		}
	}
	return nil
}

// Earlier lists the addresses of somebody's that may still be given back, as mail takes
// them. None is the one in use.
func (a *Accounts) Earlier(ctx context.Context, userID string) (out []string, err error) {
	c, err := a.open(ctx, Actor{UserID: userID})
	if errors.Is(err, errGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := c.earlier(ctx)
	for _, e := range onePerAddress(all, c.account.Canonical) {
		to, err := directory.ParseAddress(e.Email)
		if err != nil {
			return nil, fmt.Errorf("account: stored address: %w", err)
		}
		out = append(out, to.Mailbox())
	}
	return out, err
}

// mailTo queues a letter to the person at an address that is stored.
func (c *change) mailTo(address string, m authenticator.Mail) error {
	a, err := directory.ParseAddress(address)
	if err != nil {
		return fmt.Errorf("account: stored address: %w", err)
	}
	m.To, m.FirstName = a.Mailbox(), c.account.FirstName
	c.mail(m, false)
	return nil
}

// signOutOthers ends whatever else the person is signed in with (SEC S-32,
// S-104): all but the browser and the sign-in that act here.
func (c *change) signOutOthers(ctx context.Context) error {
	session, err := c.session(ctx)
	if err != nil {
		return err
	}
	id, now, grant := c.account.ID, c.now, c.by.Grant
	c.account.SignOut(now, session, grant)
	c.write(func(tx Tx) error { return tx.SignOutBut(id, now, session, grant) })
	return nil
}

// signOut ends everything that the person is signed in with.
func (c *change) signOut() {
	id, now := c.account.ID, c.now
	c.account.SignOut(now)
	c.write(func(tx Tx) error { return tx.SignOut(id, now) })
	c.record(audit.Event{Type: "user.session.clear"})
}

const ticketPurpose = "tickets/data"

// seal puts data into a ticket.
func (a *Accounts) seal(t *directory.Ticket, data any) error {
	plain, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("account: encode ticket: %w", err)
	}
	t.Data = a.Keys.Seal(ticketPurpose, t.ID, plain)
	return nil
}

// unseal reads the data of a ticket.
func (a *Accounts) unseal(t directory.Ticket, data any) error {
	plain, err := a.Keys.Open(ticketPurpose, t.ID, t.Data)
	if err == nil {
		err = json.Unmarshal(plain, data)
	}
	if err != nil {
		return fmt.Errorf("account: ticket %s: %w", t.ID, err)
	}
	return nil
}
