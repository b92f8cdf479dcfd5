package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// DeletionWait is how long an account that is to go can still be kept (UX P7.5).
const DeletionWait = 7 * 24 * time.Hour

// leaving is what the ticket that keeps an account keeps sealed.
type leaving struct {
	App string `json:"app,omitempty"` // client id of where it was asked
}

// Deletion tells when the account goes; the zero time: it does not.
func (a *Accounts) Deletion(ctx context.Context, by Actor) (time.Time, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return time.Time{}, err
	}
	return c.account.DeleteAt, nil
}

// RequestDeletion sets when the account goes, and mails a link that keeps it.
// Asked again it changes nothing: the first date holds. Until then the person
// signs in as ever.
func (a *Accounts) RequestDeletion(ctx context.Context, by Actor) (time.Time, error) {
	var at time.Time
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		if at = c.account.DeleteAt; !at.IsZero() {
			return nil
		}
		if err := c.need(ctx, Fresh); err != nil {
			return err
		}
		at = c.now.Add(DeletionWait)
		t := directory.Ticket{
			ID: directory.NewID("tk"), Kind: directory.DeletionUndo, UserID: by.UserID, Version: 1, CreatedAt: c.now, ExpiresAt: at,
		}
		if err := a.seal(&t, leaving{App: by.App}); err != nil {
			return err
		}
		c.account.DeleteAt = at
		c.write(func(tx Tx) error { return tx.SpendTickets(t.UserID, t.Kind, t.CreatedAt) })
		c.write(func(tx Tx) error { return tx.InsertTicket(t) })
		c.record(audit.Event{Type: "user.lifecycle.delete.initiated"})
		return c.notify(ctx, authenticator.Mail{
			Template: "deletion-asked", Date: at, Link: a.PublicURL + "/account/keep/" + a.Secrets.MintTicket(t),
		})
	})
	return at, err
}

// KeepAccount takes a request to delete the account back. As it takes nothing
// away, it needs no proof beyond the token.
func (a *Accounts) KeepAccount(ctx context.Context, by Actor) error {
	return a.do(ctx, by, func(_ context.Context, c *change) error {
		c.keep()
		return nil
	})
}

func (c *change) keep() {
	if c.account.DeleteAt.IsZero() {
		return
	}
	c.account.DeleteAt = time.Time{}
	c.write(func(tx Tx) error { return tx.SpendTickets(c.account.ID, directory.DeletionUndo, c.now) })
	c.record(audit.Event{Type: "user.lifecycle.delete.cancelled"})
}

// KeepLink looks up the link that keeps an account. It changes nothing.
func (a *Accounts) KeepLink(ctx context.Context, token string) (Link, error) {
	t, c, state, err := a.link(ctx, directory.DeletionUndo, token)
	if err != nil || c == nil {
		return Link{State: state}, err
	}
	var l leaving
	if err := a.unseal(t, &l); err != nil {
		return Link{}, err
	}
	app, err := a.Apps.App(ctx, l.App)
	if err != nil {
		return Link{}, fmt.Errorf("account: app: %w", err)
	}
	return Link{State: state, App: app, At: c.account.DeleteAt}, nil
}

// KeepByLink keeps the account, for whoever has the link that was mailed.
func (a *Accounts) KeepByLink(ctx context.Context, token string) (Link, error) {
	found, err := a.KeepLink(ctx, token)
	if err != nil || found.State != LinkGood {
		return found, err
	}
	id, _ := a.Secrets.TicketID(directory.DeletionUndo, token)
	t, err := a.Store.Ticket(ctx, id)
	if err != nil {
		return Link{}, fmt.Errorf("account: ticket: %w", err)
	}
	err = a.do(ctx, Actor{UserID: t.UserID, App: found.App.ID, Linked: true}, func(ctx context.Context, c *change) error {
		again, err := a.KeepLink(ctx, token)
		if err != nil {
			return err
		}
		if found.State = again.State; found.State != LinkGood {
			return errLink
		}
		c.keep()
		return nil
	})
	if errors.Is(err, errLink) {
		return found, nil
	}
	if err != nil {
		return Link{}, err
	}
	found.State = LinkDone
	return found, nil
}

// erased is how many accounts one run erases at most.
const erased = 100

// Erase removes the accounts whose time has come, and returns how many. Of each
// nothing stays but its id, which is nobody else's for ever (SEC S-39), and what
// the audit log says of that id.
func (a *Accounts) Erase(ctx context.Context) (int, error) {
	ids, err := a.Store.DueDeletions(ctx, a.Now(), erased)
	if err != nil {
		return 0, fmt.Errorf("account: due deletions: %w", err)
	}
	n := 0
	var errs []error
	for _, id := range ids { // one that fails does not keep the others
		done, err := a.erase(ctx, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("account: erase %s: %w", id, err))
		}
		if done {
			n++
		}
	}
	return n, errors.Join(errs...)
}

func (a *Accounts) erase(ctx context.Context, id string) (done bool, err error) {
	tickets, err := a.Store.Tickets(ctx, id, directory.DeletionUndo)
	if err != nil {
		return false, fmt.Errorf("account: tickets: %w", err)
	}
	var l leaving
	if len(tickets) > 0 {
		if err := a.unseal(tickets[0], &l); err != nil {
			return false, err
		}
	}
	err = a.do(ctx, Actor{UserID: id, App: l.App}, func(_ context.Context, c *change) error {
		if done = !c.account.DeleteAt.IsZero() && !c.now.Before(c.account.DeleteAt); !done {
			return nil // kept meanwhile
		}
		if err := c.mailTo(c.account.Email, authenticator.Mail{Template: "deletion-done"}); err != nil {
			return err
		}
		c.write(func(tx Tx) error { return tx.SignOut(id, c.now) })
		c.write(func(tx Tx) error { return tx.DeleteUser(id, c.now) })
		c.record(audit.Event{Type: "user.lifecycle.delete.completed", Actor: audit.System})
		return nil
	})
	if problem.KindOf(err) == problem.Unauthenticated { // another node was first
		return false, nil
	}
	return done && err == nil, err
}

// EraseEvery is how often Run looks for accounts whose time has come.
const EraseEvery = time.Minute

// Run erases what is due until ctx ends, each round of it through run.
func (a *Accounts) Run(ctx context.Context, run func(work func() error) error) {
	tick := time.NewTicker(EraseEvery)
	defer tick.Stop()
	for {
		for {
			var n int
			err := run(func() (err error) {
				n, err = a.Erase(ctx)
				return err
			})
			if err != nil && ctx.Err() == nil {
				a.Logger.ErrorContext(ctx, "accounts cannot be erased", "err", err)
			}
			if err != nil || n == 0 {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
