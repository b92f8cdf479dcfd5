package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// What Begin refuses: a token that is of no use, or of none any more.
var (
	ErrRecoveryToken   = errors.New("flow: recovery token")
	ErrActivationToken = errors.New("flow: activation token")
)

// A Start is how a transaction begins beside what the client asks for.
type Start struct {
	Request         Request
	Browser         Browser
	MaxAge          *time.Duration // how old a session's proof may be; nil: as policy says
	RecoveryToken   string
	ActivationToken string
	// DeviceToken is a secret of the browser, the same at each of its sign-ins;
	// empty: not known. One of less than 16 characters is none (SEC S-108).
	DeviceToken string
}

const minDeviceToken = 16

// Begin starts a transaction and returns its interaction handle. With a session
// of the browser the person is known, by what they proved there and is not too
// old; with a token they are whom it was made for (IDX §3.8). The errors are
// ErrRecoveryToken, ErrActivationToken, and a refusal of kind Throttled for a
// source that begins too many (SEC S-28) or of kind Invalid for an authenticator
// to add that there is not, beside faults.
func (e *Engine) Begin(ctx context.Context, s Start) (string, error) {
	now := e.now()
	tx := &Transaction{
		ID: newID(now), Version: 1, CreatedAt: now, ExpiresAt: now.Add(Life), Request: s.Request,
	}
	if len(s.DeviceToken) >= minDeviceToken {
		mac := e.keys.MAC("flow/device", s.DeviceToken)
		tx.Request.Device = directory.IDFrom(mac[:])
	}
	if key := s.Request.Enroll; key != "" && e.authenticators[key] == nil {
		return "", problem.New(problem.Invalid, "invalid_request", "there is no authenticator of that key")
	}
	if err := e.mayBegin(ctx, tx); err != nil {
		return "", err
	}
	var err error
	var used *session.Session
	switch {
	case s.RecoveryToken != "":
		err = e.beginByTicket(ctx, tx, directory.Recovery, s.RecoveryToken, ErrRecoveryToken)
	case s.ActivationToken != "":
		err = e.beginByTicket(ctx, tx, directory.Activation, s.ActivationToken, ErrActivationToken)
	default:
		used, err = e.beginBySession(ctx, tx, s)
	}
	if err != nil {
		return "", err
	}
	row, err := e.seal(tx)
	if err != nil {
		return "", err
	}
	err = e.store.InTx(ctx, false, func(w Tx) error {
		if used != nil { // two tabs at once: either has seen it
			if err := w.UpdateSession(*used); err != nil && problem.KindOf(err) != problem.Stale {
				return err
			}
		}
		return w.InsertTransaction(row)
	})
	if err != nil {
		return "", fmt.Errorf("flow: begin: %w", err)
	}
	e.seen(ctx, tx.ID)
	return e.interactionHandle(tx.ID), nil
}

// mayBegin limits how many flows a source opens (SEC S-28).
func (e *Engine) mayBegin(ctx context.Context, tx *Transaction) error {
	rule := e.limits.Rules.OpenFlows
	if rule.Off() {
		return nil
	}
	client, _, err := e.clients.FlowClient(ctx, tx.Request.ClientID)
	if err != nil {
		return fmt.Errorf("flow: client: %w", err)
	}
	t := &Turn{e: e, tx: tx, client: client, now: tx.CreatedAt}
	if t.source() == "" {
		return nil
	}
	if wait, ok := e.local.Spend(limit.Key("flows", t.source()), rule, tx.CreatedAt); !ok {
		return &problem.Error{Kind: problem.Throttled, Detail: "too many flows are open", RetryAfter: wait}
	}
	return nil
}

// MintTicket returns the bearer secret of a ticket.
func (e *Engine) MintTicket(t directory.Ticket) string { return e.ticketToken(t.Kind, t.ID) }

// TicketID returns the id that a ticket's secret names.
func (e *Engine) TicketID(kind directory.TicketKind, token string) (string, bool) {
	id, mac, ok := strings.Cut(token, ".")
	if !ok || mac == "" || !matches(token, e.ticketToken(kind, id)) {
		return "", false
	}
	return id, true
}

func (e *Engine) ticketToken(kind directory.TicketKind, id string) string {
	mac := e.keys.MAC("flow/ticket", string(kind), id)
	return id + "." + macEncoding.EncodeToString(mac[:])
}

func (e *Engine) beginByTicket(ctx context.Context, tx *Transaction, kind directory.TicketKind, token string, bad error) error {
	id, ok := e.TicketID(kind, token)
	if !ok {
		return bad
	}
	ticket, err := e.store.Ticket(ctx, id)
	if problem.KindOf(err) == problem.NotFound {
		return bad
	}
	if err != nil {
		return fmt.Errorf("flow: ticket: %w", err)
	}
	now := e.now()
	account, err := e.store.Account(ctx, ticket.UserID)
	if problem.KindOf(err) == problem.NotFound {
		return bad
	}
	if err != nil {
		return fmt.Errorf("flow: account of a ticket: %w", err)
	}
	want := directory.Active
	if kind == directory.Activation {
		want = directory.Provisioned
	}
	if ticket.Kind != kind || !ticket.SpentAt.IsZero() || !now.Before(ticket.ExpiresAt) || account.Status != want {
		return bad
	}
	tx.Subject = &Subject{
		Kind: KindKnown, ID: account.ID, UserID: account.ID, Login: account.Email, Canonical: account.Canonical,
		Locale: account.Locale, Created: kind == directory.Activation,
	}
	// Who holds it reads the mail that it came with, or was given it by an operator.
	tx.Proofs = []Proof{{Authenticator: emailKey, AMR: e.authenticators[emailKey].Info().AMR, At: now}}
	tx.Ticket, tx.Recovering, tx.Activating = ticket.ID, kind == directory.Recovery, kind == directory.Activation
	client, ok, err := e.clients.FlowClient(ctx, tx.Request.ClientID)
	if err != nil || !ok {
		return err
	}
	return e.known(tx, client, account).onlyFactor(ctx)
}

// known is a turn at the start of a transaction whose person is known.
func (e *Engine) known(tx *Transaction, client Client, account directory.Account) *Turn {
	return &Turn{e: e, tx: tx, org: e.policies(), client: client, account: &account, now: tx.CreatedAt}
}

// useTicket spends the ticket that began the transaction, with the change that
// it is good for: reloading a page spends nothing (IDX §3.8).
func (t *Turn) useTicket() error {
	id, now, activating := t.tx.Ticket, t.now, t.tx.Activating
	if id == "" {
		return nil
	}
	t.tx.Ticket, t.tx.Activating = "", false
	t.writes = append(t.writes, func(tx Tx) error {
		err := tx.SpendTicket(id, now)
		if problem.KindOf(err) == problem.Stale { // used in another transaction
			return errExpired()
		}
		return err
	})
	t.durable = true
	t.move()
	if !activating {
		return nil
	}
	t.activate()
	return t.vouchForEmail()
}

// activate makes an invited person's account one that signs in.
func (t *Turn) activate() {
	t.changeUser(func(u *directory.User) {
		u.Status, u.EmailVerifiedAt = directory.Active, t.now
	})
	t.record(audit.Event{Type: "user.lifecycle.activate", Outcome: audit.Success})
}

// vouchForEmail enrols the address that an invitation has proven.
func (t *Turn) vouchForEmail() error {
	if t.enrolled(emailKey) {
		return nil
	}
	v, ok := t.e.authenticators[emailKey].(authenticator.Voucher)
	if !ok {
		return errors.New("flow: the address cannot be enrolled")
	}
	about, err := t.about(&Open{Authenticator: emailKey})
	if err != nil {
		return err
	}
	c, err := v.Vouch(about)
	if err != nil {
		return err
	}
	return t.enroll(emailKey, c)
}
