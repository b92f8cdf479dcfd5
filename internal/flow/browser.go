package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// A Browser is where a request comes from, if it comes from one that may hold a
// session at the engine (decision D39). The zero value holds none.
type Browser struct {
	Cookie string // the session's bearer secret
	Keeps  bool   // a session may be given to it
}

const sessionPrefix = "ses"

// addAge is how old the proof of somebody may be who adds an authenticator, since
// accounts are taken over by that (SEC S-56).
const addAge = 5 * time.Minute

// sessionToken is what the cookie holds: the database has the id alone.
func (e *Engine) sessionToken(id string) string { return mint(e.keys, "sid.", id) }

// SessionID returns the id of the session that a cookie names.
func (e *Engine) SessionID(cookie string) (string, bool) {
	rest, ok := strings.CutPrefix(cookie, "sid.")
	if !ok {
		return "", false
	}
	id, _, ok := strings.Cut(rest, ".")
	return id, ok && matches(cookie, e.sessionToken(id))
}

// beginBySession makes the person of the browser's session the subject, by the
// proofs that count still. What policy asks for beside is asked for as ever.
// It returns the session as used now, nil without one.
func (e *Engine) beginBySession(ctx context.Context, tx *Transaction, s Start) (*session.Session, error) {
	id, ok := e.SessionID(s.Browser.Cookie)
	if !ok {
		return nil, nil
	}
	now := e.now()
	row, err := e.store.Session(ctx, id)
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flow: session: %w", err)
	}
	if !row.Live(now) {
		return nil, nil
	}
	account, err := e.store.Account(ctx, row.UserID)
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flow: account of a session: %w", err)
	}
	if account.Status != directory.Active || row.CreatedAt.Before(account.SignedOutAt) && !account.Keeps(row.ID) {
		return nil, nil
	}
	client, ok, err := e.clients.FlowClient(ctx, s.Request.ClientID)
	if err != nil || !ok {
		return nil, err
	}
	age := e.policies().AccessFor(client.Access, account.Groups).Reauthenticate.Std()
	if s.MaxAge != nil {
		age = min(age, *s.MaxAge)
	}
	if s.Request.Enroll != "" {
		age = min(age, addAge)
	}
	for _, p := range row.Proofs {
		// One whose time is over is asked for anew, and changed then.
		if p.Authenticator == passwordKey && now.Sub(p.At) >= addAge {
			if expired, _ := e.passwordAge(account, now); expired {
				continue
			}
		}
		if now.Sub(p.At) < age {
			p.Hardware = false // of which models that is true may have changed: the key is asked for anew
			tx.Proofs = append(tx.Proofs, Proof(p))
		}
	}
	if len(tx.Proofs) == 0 {
		return nil, nil // all of it is too old: they sign in as ever
	}
	tx.Subject = &Subject{
		Kind: KindKnown, ID: account.ID, UserID: account.ID, Login: account.Email, Canonical: account.Canonical,
		Locale: account.Locale,
	}
	tx.Session, tx.Remember = row.ID, row.Remembered
	if err := e.known(tx, client, account).onlyFactor(ctx); err != nil {
		return nil, err
	}
	p := e.policies().SessionFor(account.Groups)
	idle := p.Idle
	if row.Remembered {
		idle = p.RememberIdle
	}
	row.Version++
	row.SeenAt, row.IdleUntil = now, now.Add(idle.Std())
	if row.IdleUntil.After(row.ExpiresAt) {
		row.IdleUntil = row.ExpiresAt
	}
	return &row, nil
}

// finish is what reaching success writes beside the code, once: the session of
// the browser, the device that it is, the ticket that began it.
func (t *Turn) finish(ctx context.Context) error {
	if t.tx.Ticket != "" {
		if err := t.useTicket(); err != nil {
			return err
		}
	}
	if err := t.keepSession(ctx); err != nil {
		return err
	}
	if d := t.tx.Request.Device; d != "" {
		device := session.Device{
			UserID: t.account.ID, ID: d, IP: t.tx.Request.IP, UserAgent: t.tx.Request.UserAgent,
			CreatedAt: t.now, SeenAt: t.now, ExpiresAt: t.now.Add(deviceLife),
		}
		t.writes = append(t.writes, func(tx Tx) error { return tx.SaveDevice(device) })
	}
	return nil
}

// deviceLife is how long a browser stays a known one (SEC S-108).
const deviceLife = 365 * 24 * time.Hour

// keepSession gives the browser a session. One that it had is ended and a new id
// begins wherever something was proven anew (SEC S-64).
func (t *Turn) keepSession(ctx context.Context) error {
	if !t.browser.Keeps {
		return nil
	}
	fresh := slices.ContainsFunc(t.tx.Proofs, func(p Proof) bool { return !p.At.Before(t.tx.CreatedAt) })
	if t.tx.Session != "" && !fresh {
		return nil
	}
	old := []string{t.tx.Session}
	if id, ok := t.e.SessionID(t.browser.Cookie); ok && id != t.tx.Session {
		old = append(old, id)
	}
	p := t.org.SessionFor(t.account.Groups)
	live, err := t.e.store.Sessions(ctx, t.account.ID)
	if err != nil {
		return fmt.Errorf("flow: sessions: %w", err)
	}
	for i := p.Max - 1; i < len(live); i++ { // newest first (SEC S-65)
		old = append(old, live[i].ID)
	}
	idle, life := p.Idle, p.Lifetime
	if t.tx.Remember {
		idle, life = p.RememberIdle, p.RememberLifetime
	}
	row := session.Session{
		ID: directory.NewID(sessionPrefix), UserID: t.account.ID, Version: 1, Remembered: t.tx.Remember,
		IP: t.tx.Request.IP, UserAgent: t.tx.Request.UserAgent,
		CreatedAt: t.now, SeenAt: t.now, IdleUntil: t.now.Add(min(idle, life).Std()), ExpiresAt: t.now.Add(life.Std()),
	}
	for _, proof := range t.tx.Proofs {
		row.Proofs = append(row.Proofs, session.Proof(proof))
	}
	now := t.now
	t.writes = append(t.writes, func(tx Tx) error {
		for _, id := range old {
			if id == "" {
				continue
			}
			if err := tx.EndSession(id, now); err != nil {
				return err
			}
		}
		return tx.InsertSession(row)
	})
	t.tx.Session, t.tx.Kept, t.kept = row.ID, true, &row
	t.record(audit.Event{Type: "user.session.start", Outcome: audit.Success})
	return nil
}
