package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// codeLife is how long an interaction code can be redeemed (SEC S-27).
const codeLife = 60 * time.Second

// codeEnded reports whether a finished transaction needs a new interaction code.
func (t *Turn) codeEnded() bool {
	c := t.tx.Code
	return c.IssuedAt.IsZero() || !t.now.Before(c.IssuedAt.Add(codeLife))
}

// A Result is what a finished transaction proved, for the token endpoint.
type Result struct {
	Transaction string
	Request     Request
	UserID      string
	AuthTime    time.Time // of the newest proof
	AMR         []string
	BegunAt     time.Time
	Since       time.Time // of no use if the person was signed out everywhere after it
	Redeemed    bool
	Session     string // of the browser at the engine; empty without

	proofs []session.Proof
	added  []session.Addition
	row    Row // as it will be once spent
}

var errCode = problem.New(problem.Invalid, "invalid_grant", "The interaction code is invalid or has expired.")

// Finished returns what an interaction code stands for. Reading consumes
// nothing. An unknown, cut, replaced or expired code is refused with
// invalid_grant; a redeemed one is returned as such, so that its reuse can be punished.
func (e *Engine) Finished(ctx context.Context, code string) (Result, error) {
	id, ok := parse(codePrefix, code)
	if !ok {
		return Result{}, errCode
	}
	row, err := e.store.Transaction(ctx, id)
	if problem.KindOf(err) == problem.NotFound {
		return Result{}, errCode
	}
	if err != nil {
		return Result{}, fmt.Errorf("flow: code: %w", err)
	}
	tx, err := e.unseal(row)
	if err != nil {
		return Result{}, err
	}
	now := e.now()
	c := tx.Code
	switch {
	case c.IssuedAt.IsZero(), !matches(code, e.interactionCode(id, c.Serial)),
		!now.Before(row.ExpiresAt), !c.Redeemed && !now.Before(c.IssuedAt.Add(codeLife)):
		return Result{}, errCode
	}
	e.seen(ctx, id)
	r := Result{
		Transaction: id, Request: tx.Request, UserID: tx.Subject.UserID, BegunAt: tx.CreatedAt,
		Since: tx.since(), Redeemed: c.Redeemed, added: tx.Enrolled,
	}
	var shown []policy.Proof
	for _, p := range tx.Proofs {
		if !slices.Contains(r.AMR, p.AMR) {
			r.AMR = append(r.AMR, p.AMR)
		}
		r.proofs = append(r.proofs, session.Proof(p))
		if p.At.After(r.AuthTime) {
			r.AuthTime = p.At
		}
		if a := e.authenticators[p.Authenticator]; a != nil {
			shown = append(shown, p.seen(a.Info()))
		}
	}
	if len(policy.Classes(shown)) > 1 { // two kinds of evidence, never two of one (SEC S-57)
		r.AMR = append(r.AMR, "mfa")
	}
	r.Session = tx.Session
	if !c.Redeemed {
		tx.Code.Redeemed = true
		tx.Version++
		if r.row, err = e.seal(tx); err != nil {
			return Result{}, err
		}
	}
	return r, nil
}

// Spend redeems the result for a grant within a database transaction: of several that
// try, one succeeds, the others get a refusal of kind Stale.
func (e *Engine) Spend(tx Tx, r Result, grant string) error {
	if r.row.ID == "" {
		return errors.New("flow: spend of a result that was redeemed")
	}
	if err := tx.SaveTransaction(r.row); err != nil {
		return err
	}
	if err := r.keepProofs(tx, grant); err != nil || len(r.added) == 0 {
		return err
	}
	return KeepAdditions(tx, grant, r.added)
}
