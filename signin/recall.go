package signin

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/stile-id/stile/idx"
)

// A recall is the steps that flows were seen at. An engine that is asked too often
// does not even say where a flow stands; whoever waits for it to answer again keeps
// the page that they were on, and what they typed.
type recall struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[string]sight // by the state of the transaction
}

type sight struct {
	tx *idx.Transaction
	at time.Time
}

// An engine stops listening for seconds, so little has to be kept, and not for long.
const (
	recallFor = 10 * time.Minute
	maxRecall = 256
)

func newRecall(now func() time.Time) *recall {
	return &recall{now: now, seen: map[string]sight{}}
}

// keep notes where a transaction stands that goes on. What shows a secret is not kept:
// memory would hold it for longer than the page that it was made for.
func (r *recall) keep(tx *idx.Transaction) {
	if tx == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for state, s := range r.seen {
		if now.Sub(s.at) > recallFor {
			delete(r.seen, state)
		}
	}
	delete(r.seen, tx.State())
	if tx.Status != idx.StatusPending || tx.NextStep == nil || showsSecret(tx.NextStep) {
		return
	}
	r.seen[tx.State()] = sight{tx, now}
	if len(r.seen) <= maxRecall {
		return
	}
	oldest := tx.State()
	for state, s := range r.seen {
		if s.at.Before(r.seen[oldest].at) {
			oldest = state
		}
	}
	delete(r.seen, oldest)
}

// showsSecret reports whether a step shows what only the person is to have: the secret
// of an app, in letters or as a picture, or recovery codes.
func showsSecret(step *idx.NextStep) bool {
	if step.Authenticator == nil {
		return false
	}
	for _, name := range []string{"sharedSecret", "qrcode", "codes"} {
		if step.Authenticator.Context[name] != nil {
			return true
		}
	}
	return false
}

// drop forgets a flow that is over.
func (r *recall) drop(f *flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, f.State)
}

// last gives the step that f was seen at, nil if that is too long ago, was seen by
// another process or shows a secret.
func (r *recall) last(f *flow) *idx.Transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seen[f.State]
	if !ok || r.now().Sub(s.at) > recallFor {
		return nil
	}
	return s.tx
}

// resume asks where f stands.
func (p *Pages) resume(v *visit, f *flow) (*idx.Transaction, error) {
	tx, err := p.client.Resume(v.ctx, f.Tx)
	switch {
	case err == nil:
		p.steps.keep(tx)
	case gone(err):
		p.steps.drop(f)
	}
	return tx, err
}

// asLast gives the step that f was last seen at where err says that the engine was
// asked too often, with the wait as what is to be told on it.
func (p *Pages) asLast(v *visit, f *flow, err error) *idx.Transaction {
	if !isStatus(err, http.StatusTooManyRequests, "") {
		return nil
	}
	tx := p.steps.last(f)
	if tx != nil {
		f.Notes, f.At = []note{tooOften(v, waitOf(err))}, ""
	}
	return tx
}

// waitOf is the time after which the engine wants to be asked again.
func waitOf(err error) time.Duration {
	var r *idx.ResponseError
	if errors.As(err, &r) {
		return r.RetryAfter
	}
	return 0
}

// tooOften tells how long to wait; engines that name no time mean a minute.
func tooOften(v *visit, wait time.Duration) note {
	if wait <= 0 {
		wait = time.Minute
	}
	return note{Key: tooMany, Until: v.now.Add(wait + time.Second - 1).Unix()}
}

// keepTyped keeps what was sent to a step that the engine did not hear of. Without the
// step at hand, only names that never hold a secret are taken.
func (p *Pages) keepTyped(v *visit, f *flow) {
	at := v.form("step")
	if tx := p.steps.last(f); tx != nil && placeOf(tx.NextStep) == at && v.form("action") == "continue" {
		p.input(v, f, tx.NextStep)
		return
	}
	f.Filled = map[string]string{}
	for _, name := range []string{"authenticator", "phoneNumber", "country", "methodType", "email", "firstName", "lastName", "questionKey", "question"} {
		if s := trim(v.form(name)); s != "" {
			f.Filled[name] = s
		}
	}
	f.At = at
}
