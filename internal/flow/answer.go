package flow

import (
	"context"
	"crypto/hmac"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// Introspect shows where a transaction stands. It takes no answer: all that it
// may write is what success does, for one that has nothing to ask from its
// beginning, and an interaction code in place of one that is too old.
func (e *Engine) Introspect(ctx context.Context, h Handle, b Browser) (*View, error) {
	return e.turn(ctx, h, b, func(context.Context, *Turn) error { return nil })
}

// devicePolls is how often one may ask whether a device has answered: twice as often
// as clients are told to (AUTH §3.3).
var devicePolls = limit.Volume{{N: 1, Per: 2 * time.Second}}

// Poll is Introspect for whoever waits at a question: it writes nothing. Once the
// question was answered elsewhere it shows where that has led (IDX §3.4), and after
// the end it says so and hands out no code, because whoever answered has it. Where
// nobody was asked anything it is refused, in the View.
//
// Where a device has answered, nobody has the code yet: then it is the waiting
// browser's, and this is Introspect.
func (e *Engine) Poll(ctx context.Context, h Handle, b Browser) (*View, error) {
	if err := e.mayAsk(ctx, h); err != nil {
		return nil, err
	}
	t, err := e.load(ctx, h)
	if err != nil {
		return nil, err
	}
	if o := t.tx.Open; o != nil && o.Prompt.Elsewhere && !e.limits.Rules.HandleRequests.Off() {
		if wait, ok := e.local.Spend(limit.Key("device polls", t.tx.ID), devicePolls, t.now); !ok {
			return nil, errTooMany(wait)
		}
	}
	stage := t.StageOf()
	if t.tx.Subject == nil && stage != Terminal {
		t.notOffered([]string{"poll"})
	}
	if stage == Success && t.tx.Code.IssuedAt.IsZero() {
		return e.Introspect(ctx, h, b)
	}
	v := t.view(ctx)
	if stage == Success {
		v.transferred()
	}
	return v, nil
}

// An Answer is what a client posts. Names are the offers that its path stands
// for; the one that is offered takes it.
type Answer struct {
	Handle  Handle
	Names   []string
	Input   Input
	Browser Browser
}

// Answer applies an answer and shows where the transaction stands then. A
// person's mistake and an answer to something that is not offered are in the
// View; the error is a *problem.Error or a fault.
func (e *Engine) Answer(ctx context.Context, a Answer) (*View, error) {
	hash := e.answerHash(a)
	read := int64(0)
	began, beat := time.Now(), func() {}
	defer func() { beat() }()
	return e.turn(ctx, a.Handle, a.Browser, func(ctx context.Context, t *Turn) error {
		if t.replays(hash, a.Names, read) {
			return nil
		}
		read = t.tx.Version
		offers := t.offers()
		i := slices.IndexFunc(offers, func(o Offer) bool { return slices.Contains(a.Names, o.Name) })
		if i < 0 {
			t.notOffered(a.Names)
			return nil
		}
		beat = func() { t.keepBeat(ctx, offers[i].Name, began) }
		if err := offers[i].Handle(ctx, t, a.Input); err != nil {
			return err
		}
		if t.moved && t.kind == problem.None {
			t.tx.Last = &Last{Hash: hash, At: t.now}
		}
		return nil
	})
}

// replays reports whether the answer is the one that moved the transaction
// last. One that may be given twice is a repetition only if the other moved the
// transaction since this one read it, at version read.
func (t *Turn) replays(hash []byte, names []string, read int64) bool {
	l := t.tx.Last
	if l == nil || !hmac.Equal(l.Hash, hash) || t.now.Sub(l.At) > replayWindow {
		return false
	}
	return !repeatable[names[0]] && !t.asksAfterPassword() || (read != 0 && read != t.tx.Version)
}

// asksAfterPassword reports whether a new password is asked for because of the one
// that was proven a moment ago. That one again means it, and is refused as such:
// to take it for a repetition would show the same page and no reason.
func (t *Turn) asksAfterPassword() bool {
	stage, n := t.StageOf(), len(t.tx.Proofs)
	return (stage == Reenroll || stage == ReenrollSoon) && n > 0 && t.tx.Proofs[n-1].Authenticator == passwordKey
}

// notOffered refuses what would not be rendered, without change (IDX E25, E19).
func (t *Turn) notOffered(names []string) {
	switch {
	case t.StageOf() == Terminal: // the view says how it ended
	case slices.Contains(names, "select-enroll-profile") && !t.signUpOpen():
		t.refuse(problem.Forbidden, signUpClosed())
	case slices.Contains(names, "recover") && t.passwords() && !t.org.Recovery():
		t.refuse(problem.Forbidden, recoveryNotAllowed())
	case slices.Contains(names, "unlock-account") && !t.org.Unlock():
		t.refuse(problem.Forbidden, unlockNotAllowed())
	default:
		t.refuse(problem.Invalid, notOffered())
	}
}

func (e *Engine) answerHash(a Answer) []byte {
	parts := append([]string{}, a.Names...)
	for _, k := range slices.Sorted(maps.Keys(a.Input)) {
		parts = append(parts, k, a.Input[k])
	}
	mac := e.keys.MAC("flow/answer", parts...)
	return mac[:]
}

// maxRaces bounds how often a turn is taken anew after losing a race. Each loss
// means that somebody else's answer went through.
const maxRaces = 64

func (e *Engine) turn(ctx context.Context, h Handle, b Browser, act func(context.Context, *Turn) error) (*View, error) {
	if err := e.mayAsk(ctx, h); err != nil {
		return nil, err
	}
	return e.turnAt(ctx, func(ctx context.Context) (*Turn, error) {
		t, err := e.load(ctx, h)
		if err == nil {
			t.browser = b
		}
		return t, err
	}, act)
}

func (e *Engine) turnAt(ctx context.Context, load func(context.Context) (*Turn, error), act func(context.Context, *Turn) error) (*View, error) {
	var over overLimit
	for round := range maxRaces {
		t, err := load(ctx)
		if err != nil {
			return nil, err
		}
		t.over = over
		if round == 0 { // it is one request, however many races it loses
			if err := t.mayAsk(); err != nil {
				return nil, err
			}
		}
		if err := act(ctx, t); err != nil {
			return nil, err
		}
		err = t.commit(ctx)
		if limit, ok := isOver(err); ok && limit.source > 0 {
			return nil, errTooMany(limit.source)
		} else if ok && !over.covers(limit) {
			over = over.and(limit)
			continue
		}
		switch problem.KindOf(err) {
		case problem.Stale, problem.Conflict:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("flow: commit: %w", err)
		}
		return t.view(ctx), nil
	}
	return nil, problem.New(problem.Unavailable, "", "too many answers at once")
}

// mayAsk limits requests with one handle (SEC S-29). The transaction survives.
func (e *Engine) mayAsk(ctx context.Context, h Handle) error {
	rule := e.limits.Rules.HandleRequests
	id, ok := e.transactionID(h)
	if rule.Off() || !ok {
		return nil
	}
	if wait, ok := e.local.Spend(limit.Key("requests", id), rule, e.now()); !ok {
		e.seen(ctx, id)
		return errTooMany(wait)
	}
	return nil
}

// mayAsk limits requests about one person over all transactions (SEC S-29). Each
// source has its own limit: who floods what they type of somebody else does not
// keep that person out (SEC S-108).
func (t *Turn) mayAsk() error {
	rule := t.e.limits.Rules.UserRequests
	if rule.Off() || t.tx.Subject == nil || t.asker() == "" { // who asks is not known: all would be one
		return nil
	}
	if wait, ok := t.e.local.Spend(limit.Key("requests of", t.guessedAt(), t.asker()), rule, t.now); !ok {
		return errTooMany(wait)
	}
	return nil
}

func (t *Turn) asker() string {
	if s := t.source(); s != "" {
		return s
	}
	return t.tx.Request.Device
}

func errTooMany(wait time.Duration) error {
	return &problem.Error{Kind: problem.Throttled, Code: "tooManyRequests", Detail: "Too many requests", RetryAfter: wait}
}
