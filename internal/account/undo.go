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

// A LinkState says what has become of a mailed link.
type LinkState string

// The states of a link.
const (
	LinkGood    LinkState = "good"
	LinkDone    LinkState = "done"    // it was used just now
	LinkUsed    LinkState = "used"    // it was used before, or is of no use any more
	LinkExpired LinkState = "expired" // its time is over
	LinkTaken   LinkState = "taken"   // the address that it gives back is somebody else's by now
	LinkInvalid LinkState = "invalid" // cut, changed, or what it is about is gone
)

// A Link is what a mailed link may show.
type Link struct {
	State   LinkState
	App     App
	Address string    // that the link gives back, partly hidden
	Code    string    // that the link of a new address stands for
	At      time.Time // when the account goes
}

// link reads what a mailed link is about. Without an account it is invalid.
func (a *Accounts) link(ctx context.Context, kind directory.TicketKind, token string) (directory.Ticket, *change, LinkState, error) {
	id, ok := a.Secrets.TicketID(kind, token)
	if !ok {
		return directory.Ticket{}, nil, LinkInvalid, nil
	}
	t, err := a.Store.Ticket(ctx, id)
	if problem.KindOf(err) == problem.NotFound || err == nil && t.Kind != kind {
		return t, nil, LinkInvalid, nil
	}
	if err != nil {
		return t, nil, "", fmt.Errorf("account: ticket: %w", err)
	}
	c, err := a.open(ctx, Actor{UserID: t.UserID})
	if errors.Is(err, errGone) {
		return t, nil, LinkInvalid, nil
	}
	if err != nil {
		return t, nil, "", err
	}
	switch {
	case !t.SpentAt.IsZero():
		return t, c, LinkUsed, nil
	case !c.now.Before(t.ExpiresAt):
		return t, c, LinkExpired, nil
	}
	return t, c, LinkGood, nil
}

// UndoLink looks up the link that gives an old address back. It changes nothing,
// whoever opens it and however often (SEC S-14).
func (a *Accounts) UndoLink(ctx context.Context, token string) (Link, error) {
	t, c, state, err := a.link(ctx, directory.EmailUndo, token)
	if err != nil || c == nil {
		return Link{State: state}, err
	}
	var old undo
	if err := a.unseal(t, &old); err != nil {
		return Link{}, err
	}
	out := Link{State: state, Address: directory.Mask(old.Email)}
	if out.App, err = a.Apps.App(ctx, old.App); err != nil {
		return Link{}, fmt.Errorf("account: app: %w", err)
	}
	if state != LinkGood {
		return out, nil
	}
	taken, err := a.takenBy(ctx, old.Canonical, t.UserID)
	if taken {
		out.State = LinkTaken
	}
	return out, err
}

func (a *Accounts) takenBy(ctx context.Context, canonical, other string) (bool, error) {
	found, err := a.Store.AccountByAddress(ctx, canonical)
	switch {
	case problem.KindOf(err) == problem.NotFound:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("account: address: %w", err)
	}
	return found.ID != other, nil
}

var errLink = errors.New("account: the link is of no use")

// UndoEmail gives an old address back, for whoever has the link that was mailed
// there. Who changed it may be in the account: everybody is signed out everywhere,
// the ways to sign in that have come or changed since go (SEC S-33), and so does a
// deletion that was asked for since, and the way back from later changes.
func (a *Accounts) UndoEmail(ctx context.Context, token string) (Link, error) {
	found, err := a.UndoLink(ctx, token)
	if err != nil || found.State != LinkGood {
		return found, err
	}
	id, _ := a.Secrets.TicketID(directory.EmailUndo, token)
	t, err := a.Store.Ticket(ctx, id)
	if err != nil {
		return Link{}, fmt.Errorf("account: ticket: %w", err)
	}
	var old undo
	if err := a.unseal(t, &old); err != nil {
		return Link{}, err
	}
	err = a.do(ctx, Actor{UserID: t.UserID, App: old.App, Linked: true}, func(ctx context.Context, c *change) error {
		now, err := a.UndoLink(ctx, token)
		if err != nil {
			return err
		}
		if found.State = now.State; c.taken {
			found.State = LinkTaken
		}
		if found.State != LinkGood {
			return errLink
		}
		return c.undo(ctx, t, old)
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

func (c *change) undo(ctx context.Context, t directory.Ticket, old undo) error {
	voucher, ok := c.a.authenticators[emailKey].(authenticator.Voucher)
	if !ok {
		return errors.New("account: the address cannot be enrolled")
	}
	credential, err := voucher.Vouch(authenticator.Subject{Address: old.Email})
	if err != nil {
		return err
	}
	later, err := c.a.Store.Tickets(ctx, c.account.ID, directory.EmailUndo)
	if err != nil {
		return fmt.Errorf("account: tickets: %w", err)
	}
	// First, so that of two at once the second finds it spent.
	c.write(func(tx Tx) error { return tx.SpendTicket(t.ID, c.now) })
	for _, l := range later {
		if l.ID == t.ID || l.CreatedAt.Before(t.CreatedAt) || !l.SpentAt.IsZero() {
			continue
		}
		c.write(func(tx Tx) error { return tx.SpendTicket(l.ID, c.now) })
	}
	for _, en := range c.account.Enrollments {
		// A password goes in any case: whoever took the account over may have set it
		// just before they moved the address.
		if en.Authenticator == passwordKey || en.Authenticator != emailKey && c.since(en, t.CreatedAt) {
			c.remove(en)
		}
	}
	to := c.account.Email
	c.move(old.Email, old.Canonical, old.VerifiedAt, credential)
	if c.account.EmailVerifiedAt.IsZero() {
		c.account.EmailVerifiedAt = c.now // whoever has the link reads the mail of the address
	}
	if asked := c.account.DeleteAt; !asked.IsZero() && !asked.Before(t.CreatedAt.Add(DeletionWait)) {
		c.keep()
	}
	c.write(func(tx Tx) error { return tx.DeleteDevices(c.account.ID) })
	c.record(audit.Event{Type: "user.account.report_suspicious_activity_by_enduser"})
	c.record(audit.Event{Type: "user.account.update_primary_email", Authenticator: emailKey})
	c.signOut()
	// Not to the address that goes: it may be theirs who are to be kept out.
	return c.mailTo(old.Email, authenticator.Mail{Template: "email-changed-back", Address: to})
}

// since reports whether an enrollment has come, or its credential changed, at or after t.
func (c *change) since(en directory.Enrollment, t time.Time) bool {
	if !en.CreatedAt.Before(t) {
		return true
	}
	changer, ok := c.a.authenticators[en.Authenticator].(authenticator.Changer)
	if !ok {
		return false
	}
	credential, err := c.a.Secrets.OpenCredential(en)
	return err == nil && !changer.ChangedAt(credential).Before(t)
}

// EmailLink looks up the link that was mailed to a new address: it shows the code,
// which is of use only where the change began. It changes nothing.
func (a *Accounts) EmailLink(ctx context.Context, token, id string) (Link, error) {
	t, err := a.Store.Ticket(ctx, id)
	if problem.KindOf(err) == problem.NotFound || err == nil && t.Kind != directory.EmailChange {
		return Link{State: LinkInvalid}, nil
	}
	if err != nil {
		return Link{}, fmt.Errorf("account: ticket: %w", err)
	}
	c, err := a.open(ctx, Actor{UserID: t.UserID})
	if errors.Is(err, errGone) {
		return Link{State: LinkInvalid}, nil
	}
	if err != nil {
		return Link{}, err
	}
	var p pending
	if err := a.unseal(t, &p); err != nil {
		return Link{}, err
	}
	linker, ok := a.authenticators[emailKey].(authenticator.Linker)
	if !ok {
		return Link{State: LinkInvalid}, nil
	}
	code, expires, ok := linker.Link(c.subject(t, &p), p.Prompt, token)
	switch {
	case !t.SpentAt.IsZero(), !ok, p.Tries >= a.tries():
		return Link{State: LinkUsed}, nil
	case !c.now.Before(expires), !c.now.Before(t.ExpiresAt):
		return Link{State: LinkExpired}, nil
	}
	return Link{State: LinkGood, Code: code}, nil
}
