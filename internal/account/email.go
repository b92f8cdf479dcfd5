package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// changeLife is how long a change of address may be pending (SEC S-34).
const changeLife = 10 * time.Minute

// pending is what the ticket of a change of address keeps sealed.
type pending struct {
	Email     string `json:"email"` // as typed
	Canonical string `json:"canonical"`
	// Taken says that the address was somebody's when it was asked for: nothing is
	// mailed, no code is right, and all the rest is the same (SEC S-41, UX P2.8).
	Taken bool `json:"taken,omitempty"`

	proving
}

// An Email is an address of an account: the one in use, or one that waits for its proof.
type Email struct {
	ID       string
	Address  string // as typed
	Verified bool

	// Of one that waits.
	Challenge string // id of the open one; empty: no code was asked for
	ExpiresAt time.Time
}

// ErrAddress is an address that is none.
var ErrAddress = problem.New(problem.Invalid, "email", "email: this is not an email address")

var (
	errNoEmail   = problem.New(problem.NotFound, "email", "there is no such address")
	errInUse     = problem.New(problem.Forbidden, "primary", "The address in use cannot be removed. Change it to another one.")
	errWrongCode = problem.New(problem.Unauthenticated, "code", "User is not authorized.")
)

// Emails lists the address in use and the one that waits, if there is one.
func (a *Accounts) Emails(ctx context.Context, by Actor) ([]Email, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return nil, err
	}
	out := []Email{c.inUse()}
	tickets, err := c.waiting(ctx, directory.EmailChange)
	if err != nil {
		return nil, err
	}
	for _, t := range tickets {
		var p pending
		if err := a.unseal(t, &p); err != nil {
			return nil, err
		}
		out = append(out, p.email(t))
	}
	return out, nil
}

// Email returns one of them.
func (a *Accounts) Email(ctx context.Context, by Actor, id string) (Email, error) {
	all, err := a.Emails(ctx, by)
	if err != nil {
		return Email{}, err
	}
	i := slices.IndexFunc(all, func(e Email) bool { return e.ID == id })
	if i < 0 {
		return Email{}, errNoEmail
	}
	return all[i], nil
}

// inUse has the id of its enrollment, or the account's where there is none.
func (c *change) inUse() Email {
	id := enrollmentID(&c.account, emailKey)
	if id == "" {
		id = c.account.ID
	}
	return Email{ID: id, Address: c.account.Email, Verified: true}
}

func (p *pending) email(t directory.Ticket) Email {
	return Email{ID: t.ID, Address: p.Email, Challenge: p.Challenge, ExpiresAt: t.ExpiresAt}
}

// ChangeEmail begins a change of address, in place of one that may be pending;
// with send it mails the code at once. Until the code is given the old address
// stays in use. For the address in use it changes nothing.
func (a *Accounts) ChangeEmail(ctx context.Context, by Actor, typed string, send bool) (Email, error) {
	var out Email
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		if err := c.need(ctx, Fresh); err != nil {
			return err
		}
		address, err := directory.ParseAddress(typed)
		if err != nil {
			return ErrAddress
		}
		if address.Canonical == c.account.Canonical {
			out = c.inUse()
			return nil
		}
		_, err = a.Store.AccountByAddress(ctx, address.Canonical)
		if err != nil && problem.KindOf(err) != problem.NotFound {
			return fmt.Errorf("account: address: %w", err)
		}
		t := directory.Ticket{
			ID: directory.NewID("tk"), Kind: directory.EmailChange, UserID: by.UserID, Version: 1,
			CreatedAt: c.now, ExpiresAt: c.now.Add(changeLife),
		}
		p := pending{Email: address.Display, Canonical: address.Canonical, Taken: err == nil}
		if send {
			if err := c.challenge(ctx, t, &p); err != nil {
				return err
			}
		}
		if err := a.seal(&t, p); err != nil {
			return err
		}
		out = p.email(t)
		c.write(func(tx Tx) error { return tx.SpendTickets(t.UserID, t.Kind, t.CreatedAt) })
		c.write(func(tx Tx) error { return tx.InsertTicket(t) })
		return nil
	})
	return out, err
}

// SendCode mails a code for an address that waits: the first one, or one more. A
// challenge that wrong codes have used up is replaced by a new one.
func (a *Accounts) SendCode(ctx context.Context, by Actor, id string) (Email, error) {
	var out Email
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		t, p, err := c.pending(ctx, id)
		if err != nil {
			return err
		}
		if wait := a.resendWait(&p.proving, t.ExpiresAt, c.now); wait > 0 {
			return throttled(wait)
		}
		if err := c.challenge(ctx, t, p); err != nil {
			return err
		}
		out = p.email(t)
		return c.update(t, p)
	})
	return out, err
}

// CancelEmail gives a pending change up. It takes rights from nobody, so it needs
// no proof beyond the token.
func (a *Accounts) CancelEmail(ctx context.Context, by Actor, id string) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		if id == c.inUse().ID {
			return errInUse
		}
		if _, _, err := c.pending(ctx, id); err != nil {
			return err
		}
		now := c.now
		c.write(func(tx Tx) error { return tx.SpendTicket(id, now) })
		return nil
	})
}

// Challenge tells whether the code of a challenge was given.
func (a *Accounts) Challenge(ctx context.Context, by Actor, id, challenge string) (Email, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return Email{}, err
	}
	t, p, err := c.ticket(ctx, id)
	if err != nil {
		return Email{}, err
	}
	if p.Challenge == "" || p.Challenge != challenge {
		return Email{}, errNoEmail
	}
	e := p.email(t)
	e.Verified = !t.SpentAt.IsZero() && p.Canonical == c.account.Canonical
	return e, nil
}

// ticket reads a change of address of the actor's, whatever has become of it.
func (c *change) ticket(ctx context.Context, id string) (directory.Ticket, *pending, error) {
	t, err := c.a.Store.Ticket(ctx, id)
	if problem.KindOf(err) == problem.NotFound || err == nil && (t.UserID != c.account.ID || t.Kind != directory.EmailChange) {
		return t, nil, errNoEmail
	}
	if err != nil {
		return t, nil, fmt.Errorf("account: ticket: %w", err)
	}
	p := &pending{}
	return t, p, c.a.unseal(t, p)
}

// pending reads one that may still be proven.
func (c *change) pending(ctx context.Context, id string) (directory.Ticket, *pending, error) {
	t, p, err := c.ticket(ctx, id)
	if err == nil && (!t.SpentAt.IsZero() || !c.now.Before(t.ExpiresAt)) {
		err = errNoEmail
	}
	return t, p, err
}

// subject is the person as the authenticator sees them: it binds what it issues
// to this change, this challenge and the new address (SEC S-07).
func (c *change) subject(t directory.Ticket, p *pending) authenticator.Subject {
	return authenticator.Subject{
		Transaction: t.ID, Challenge: p.Challenge, UserID: c.account.ID, Address: p.Email, Login: p.Email,
		Locale: c.account.Locale, Purpose: authenticator.EmailChange, Enrolling: true,
	}
}

// challenge issues a code, and queues its mail.
func (c *change) challenge(ctx context.Context, t directory.Ticket, p *pending) error {
	email := c.a.authenticators[emailKey]
	resender, ok := email.(authenticator.Resender)
	if !ok {
		return errors.New("account: the email authenticator cannot send again")
	}
	goesOn, err := c.another(&p.proving, t.ExpiresAt)
	switch {
	case err != nil:
		return err
	case goesOn:
		p.Prompt, err = resender.Resend(ctx, c.subject(t, p), p.Prompt)
	default:
		p.Prompt, err = email.BeginEnroll(ctx, c.subject(t, p))
	}
	if err != nil {
		return err
	}
	if err := c.countSend(p.Canonical); err != nil {
		return err
	}
	for _, ef := range p.Prompt.Effects {
		if ef.Mail == nil {
			continue
		}
		m := *ef.Mail
		m.Address = c.account.Email // partly shown, so that the reader knows which account
		if m.ExpiresAt.After(t.ExpiresAt) {
			m.ExpiresAt = t.ExpiresAt
		}
		m.Link = c.a.PublicURL + "/account/email/" + m.Link[strings.LastIndexByte(m.Link, '/')+1:]
		c.mail(m, p.Taken)
	}
	p.Prompt.Effects = nil
	p.Sends++
	p.SentAt = c.now
	return nil
}
