package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// refusedElsewhere: the device has denied, or has let the time pass.
func (t *Turn) refusedElsewhere() bool {
	o := t.tx.Open
	return o != nil && o.Prompt.Elsewhere && (o.Denied || !o.Prompt.ExpiresAt.IsZero() && !t.now.Before(o.Prompt.ExpiresAt))
}

// denied notes that the owner of the device wants nothing of what was put to it.
func (t *Turn) denied(o *Open) {
	o.Denied = true
	t.durable = true
	t.move()
	t.record(audit.Event{Type: proof, Outcome: audit.Failure, Reason: audit.Denied, Authenticator: o.Authenticator})
}

const pushPurpose = "tickets/push"

// A Push is a request that the devices of a person are asked to approve.
type Push struct {
	ID          string          `json:"-"`
	Transaction string          `json:"transaction"`
	Challenge   string          `json:"challenge"`
	Data        json.RawMessage `json:"data"` // the authenticator's
	App         string          `json:"app"`
	UserAgent   string          `json:"userAgent"`
	IP          string          `json:"ip"`
	At          time.Time       `json:"at"`
	ExpiresAt   time.Time       `json:"-"`
}

// push queues a request for the devices of the account. Without one nobody is asked,
// and neither the answer nor the work tells that (SEC S-42).
func (t *Turn) push(ctx context.Context, o *Open, p authenticator.Push) error {
	if err := t.countPush(ctx); err != nil {
		return err
	}
	o.Sent = true
	t.tx.Guesses.Sends++
	t.tx.Guesses.SentAt, t.tx.Guesses.SentTo = t.now, o.To
	ticket := directory.Ticket{ID: directory.NewID("psh"), Kind: directory.Push, Version: 1, CreatedAt: t.now, ExpiresAt: p.ExpiresAt}
	data, err := json.Marshal(Push{
		Transaction: t.tx.ID, Challenge: o.ID, Data: p.Data, App: t.client.Name,
		UserAgent: t.tx.Request.UserAgent, IP: t.tx.Request.IP, At: t.now,
	})
	if err != nil {
		return fmt.Errorf("flow: encode push: %w", err)
	}
	if t.account != nil {
		ticket.UserID = t.account.ID
	}
	ticket.Data = t.e.keys.Seal(pushPurpose, ticket.ID, data)
	o.Push = ticket.ID
	t.writes = append(t.writes, func(tx Tx) error {
		if ticket.UserID == "" { // a row of the same size, that ends with the time: no ticket can be nobody's
			return tx.PutCounter(limit.Counter{Key: limit.Key("void push", ticket.ID), Data: ticket.Data, ExpiresAt: ticket.ExpiresAt})
		}
		return tx.InsertTicket(ticket)
	})
	t.wake(ticket.ID, p)
	return nil
}

// wake has the person's devices woken, by one message however many they are, which are
// looked up when it is delivered. Where there is no person it has an id that is
// nobody's: the work tells nothing (SEC S-42).
func (t *Turn) wake(request string, p authenticator.Push) {
	if !p.Wakes {
		return
	}
	w := &Wake{UserID: directory.NewID("00u"), Request: request, ExpiresAt: p.ExpiresAt}
	if t.account != nil {
		w.UserID = t.account.ID
	}
	t.mails = append(t.mails, Outgoing{Wake: w, Client: t.client, Request: t.tx.Request, At: t.now})
}

// PushWaits reports whether a request to a person's devices is open still.
func (e *Engine) PushWaits(ctx context.Context, userID, id string) (bool, error) {
	pushes, err := e.Pushes(ctx, userID)
	return slices.ContainsFunc(pushes, func(p Push) bool { return p.ID == id }), err
}

// countPush bounds how often a person's devices are asked: whoever knows the
// address could ask until they are tired of saying no.
func (t *Turn) countPush(ctx context.Context) error {
	rule := t.e.limits.Rules.Pushes
	if rule.Off() {
		return nil
	}
	lane, err := t.lane(ctx)
	if err != nil {
		return err
	}
	t.spend(limit.Key("push", t.guessedAt(), string(lane)), rule, t.now, overLimit{})
	return nil
}

// Pushes lists what the devices of a person are asked now, newest first.
func (e *Engine) Pushes(ctx context.Context, userID string) ([]Push, error) {
	tickets, err := e.store.Tickets(ctx, userID, directory.Push)
	if err != nil {
		return nil, fmt.Errorf("flow: pushes: %w", err)
	}
	now := e.now()
	var out []Push
	for _, t := range tickets {
		if !t.SpentAt.IsZero() || !now.Before(t.ExpiresAt) {
			continue
		}
		p := Push{ID: t.ID, ExpiresAt: t.ExpiresAt}
		data, err := e.keys.Open(pushPurpose, t.ID, t.Data)
		if err == nil {
			err = json.Unmarshal(data, &p)
		}
		if err != nil {
			return nil, fmt.Errorf("flow: push %s: %w", t.ID, err)
		}
		open, err := e.waits(ctx, p)
		if err != nil {
			return nil, err
		}
		if open {
			out = append(out, p)
		}
	}
	return out, nil
}

// waits reports whether a browser waits for the answer still: it may have gone on
// in another way, or asked anew.
func (e *Engine) waits(ctx context.Context, p Push) (bool, error) {
	row, err := e.store.Transaction(ctx, p.Transaction)
	if problem.KindOf(err) == problem.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("flow: transaction of a push: %w", err)
	}
	t, err := e.turnOf(ctx, row)
	if problem.KindOf(err) == problem.Expired {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o := t.tx.Open
	return o != nil && o.ID == p.Challenge && !t.refusedElsewhere(), nil
}

// A DeviceAnswer is what a device says to a question that is open in a browser.
type DeviceAnswer struct {
	Transaction string // its id
	Challenge   string // of the question
	Input       authenticator.Input
	// Unique is Credential.Unique of what Authenticator would enrol: a device whose
	// enrollment went through, and that has not heard of it, may ask again.
	Authenticator string
	Unique        []byte
}

// A DeviceOutcome is what came of it.
type DeviceOutcome struct {
	Kind       problem.Kind // None: it was right
	Messages   []problem.Message
	Denied     bool
	UserID     string
	Enrollment string // id of the one that was made
	App        string // name of the one that the person is on their way to
}

// enrolledBefore finds what the same device was enrolled as, if the answer to that was lost.
func (t *Turn) enrolledBefore(a DeviceAnswer, out *DeviceOutcome) error {
	if t.account == nil || len(a.Unique) == 0 || t.e.authenticators[a.Authenticator] == nil {
		return ErrGone
	}
	id := t.e.enrollmentID(a.Authenticator, authenticator.Credential{Unique: a.Unique})
	if !slices.ContainsFunc(t.account.Enrollments, func(en directory.Enrollment) bool { return en.ID == id }) {
		return ErrGone
	}
	out.UserID, out.Enrollment = t.account.ID, id
	return nil
}

// ErrGone refuses the answer to a question that is not open any more.
var ErrGone = problem.New(problem.NotFound, "challenge", "the request is not open any more")

// AnswerElsewhere applies the answer of a device. What follows from it waits for
// the browser that asked: the device gets neither code nor session. The error is
// ErrGone, a refusal of kind Expired or Throttled, or a fault.
func (e *Engine) AnswerElsewhere(ctx context.Context, a DeviceAnswer) (DeviceOutcome, error) {
	var out DeviceOutcome
	in := Input{}
	for k, v := range a.Input {
		in["credentials."+k] = v
	}
	e.seen(ctx, a.Transaction)
	load := func(ctx context.Context) (*Turn, error) {
		row, err := e.store.Transaction(ctx, a.Transaction)
		if problem.KindOf(err) == problem.NotFound {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("flow: load: %w", err)
		}
		return e.turnOf(ctx, row)
	}
	_, err := e.turnAt(ctx, load, func(ctx context.Context, t *Turn) error {
		out = DeviceOutcome{App: t.client.Name}
		t.elsewhere = true
		o := t.tx.Open
		if o == nil || o.ID != a.Challenge || !o.Prompt.Elsewhere || t.refusedElsewhere() {
			return t.enrolledBefore(a, &out)
		}
		answer, had := answerChallenge, 0
		if o.Enrolling {
			answer = answerEnrollment
		}
		if t.account != nil {
			had = len(t.account.Enrollments)
		}
		if err := answer(ctx, t, in); err != nil {
			return err
		}
		if t.moved { // what the browser says next is no repetition
			t.tx.Last = nil
		}
		out.Kind, out.Messages, out.Denied = t.kind, t.messages, o.Denied
		if t.account != nil {
			out.UserID = t.account.ID
			if n := len(t.account.Enrollments); n > had {
				out.Enrollment = t.account.Enrollments[n-1].ID
			}
		}
		if id := o.Push; id != "" && (t.tx.Open != o || o.Denied) {
			now := t.now
			t.writes = append(t.writes, func(tx Tx) error { return tx.SpendTicket(id, now) })
		}
		return nil
	})
	return out, err
}
