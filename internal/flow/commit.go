package flow

import (
	"context"
	"fmt"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
)

// load reads a transaction and what its facts are computed from.
func (e *Engine) load(ctx context.Context, h Handle) (*Turn, error) {
	id, ok := e.transactionID(h)
	if !ok {
		return nil, errExpired()
	}
	e.seen(ctx, id)
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
	if !ok || !client.EndedAt.IsZero() && !tx.CreatedAt.After(client.EndedAt) { // switched off since
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
		case tx.Activating && a.Status != directory.Provisioned: // activated in another way meanwhile
			return nil, errExpired()
		case !tx.Activating && a.Status != directory.Active:
			return nil, errExpired()
		case tx.proven() && a.SignedOutAt.After(tx.since()) && !a.Keeps(tx.Session): // also: has another password (SEC S-32)
			return nil, errExpired()
		case tx.proven() && a.Canonical != s.Canonical: // who was proven has another address
			return nil, errExpired()
		}
		t.account = &a
	}
	if o := tx.Open; o != nil && o.Enrolling && t.enrolled(o.Authenticator) && !t.openAuthenticator().Info().EnrollmentProves && !t.adding() && !t.joining(o.Authenticator) {
		tx.Open = nil // set up in another tab meanwhile: what is given here is not it
	}
	if o := tx.Open; o != nil && o.Enrolling && (FactorLeft.Test(t) || OwnLeft.Test(t)) {
		tx.Open = nil // the person has something meanwhile that must be shown first
	}
	return t, nil
}

// commit writes what the turn wants written, in one database transaction, and
// hands over the mail that was queued in it.
func (t *Turn) commit(ctx context.Context) (err error) {
	if !t.elsewhere && t.StageOf() == Success && t.codeEnded() {
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
	if err := t.toEarlier(ctx); err != nil {
		return err
	}
	var messages []outbox.Message
	for _, m := range t.mails {
		before, err := t.e.sentBefore(ctx, m)
		if err != nil {
			return err
		}
		m.Void = m.Void || before
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
		return w.Append(audit.Row{ID: directory.NewIDAt("ae", t.now), At: t.now, Events: t.recorded(ctx)})
	})
	if err != nil {
		return err
	}
	if t.guessed {
		t.wrongGuess()
	}
	if t.pause != nil {
		t.tellOfPause(ctx)
	}
	if len(messages) > 0 {
		if slices.ContainsFunc(t.mails, func(m Outgoing) bool { return m.sent != nil }) {
			t.delivery = string(outbox.Queued) // of what the question sent, not of notices
		}
		t.e.outbox.Handoff(messages...)
	}
	return nil
}

// sentBefore reports whether a mail that is sent once was sent. Of two that ask at
// the same time one finds the id taken when it is written.
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
