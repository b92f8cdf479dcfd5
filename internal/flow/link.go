package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// A LinkState says what has become of a mailed link.
type LinkState string

// The states of a link.
const (
	LinkGood    LinkState = "good"
	LinkExpired LinkState = "link_expired" // its own time is over
	LinkUsed    LinkState = "link_used"    // the question it answers was answered
	LinkStale   LinkState = "link_stale"   // the address was changed, or the challenge closed
	LinkInvalid LinkState = "link_invalid" // cut, changed, or its transaction is gone
)

// A Link is what opening a mailed link may show. Code is set for LinkGood only.
type Link struct {
	State   LinkState
	Code    string
	Client  Client
	Request Request
	Purpose authenticator.Purpose
	Started time.Time // when its transaction began
}

// paused reports whether answers to o are not looked at for now.
func (t *Turn) paused(ctx context.Context, o *Open) (bool, error) {
	lane, err := t.lane(ctx)
	if err != nil {
		return false, err
	}
	rule := t.guesses(o.Authenticator)
	if rule.Off() {
		return false, nil
	}
	c, err := t.e.counter(ctx, limit.GuessKey(t.guessedAt(), o.Authenticator, lane))
	if err != nil {
		return false, err
	}
	if _, open := rule.Open(c, t.now); !open {
		return true, nil
	}
	if _, open := t.networkOpen(lane); !open {
		return true, nil
	}
	source, volume := t.wrongFrom(lane)
	if source == "" {
		return false, nil
	}
	if c, err = t.e.counter(ctx, source); err != nil {
		return false, err
	}
	_, open := volume.Open(c, t.now)
	return !open, nil
}

func (e *Engine) counter(ctx context.Context, key string) (limit.Counter, error) {
	c, err := e.store.Counter(ctx, key)
	if problem.KindOf(err) == problem.NotFound {
		return limit.Counter{Key: key}, nil
	}
	if err != nil {
		return c, fmt.Errorf("flow: counter: %w", err)
	}
	return c, nil
}

// Link looks a mailed link up. It changes nothing, whoever opens it and however
// often (SEC S-14): what it yields is the code, which is of use only to whoever
// holds the transaction's handle.
func (e *Engine) Link(ctx context.Context, token, transaction string) (Link, error) {
	e.seen(ctx, transaction)
	row, err := e.store.Transaction(ctx, transaction)
	if problem.KindOf(err) == problem.NotFound {
		return Link{State: LinkInvalid}, nil
	}
	if err != nil {
		return Link{}, fmt.Errorf("flow: link: %w", err)
	}
	t, err := e.turnOf(ctx, row)
	if problem.KindOf(err) == problem.Expired {
		return Link{State: LinkInvalid}, nil
	}
	if err != nil {
		return Link{}, err
	}
	l := Link{State: LinkStale, Client: t.client, Request: t.tx.Request, Started: t.tx.CreatedAt}
	if o := t.tx.Open; o != nil {
		l.Purpose = o.Purpose
		linker, ok := t.openAuthenticator().(authenticator.Linker)
		if !ok {
			if t.tx.Aside == nil {
				l.State = LinkUsed // a later question is open: this one was answered
			}
			return l, nil
		}
		about, err := t.about(o)
		if err != nil {
			return Link{}, err
		}
		code, expires, ok := linker.Link(about, o.Prompt, token)
		switch {
		case !ok || t.dead():
			return l, nil
		case !e.now().Before(expires):
			l.State = LinkExpired
			return l, nil
		}
		l.State, l.Code = LinkGood, code
		paused, err := t.paused(ctx, o)
		if err != nil {
			return Link{}, err
		}
		if paused { // a code would not be looked at, and who opened the link has not guessed
			l.Code = linker.LinkAnswer(about, o.Prompt, token)
		}
		return l, nil
	}
	if t.tx.proven() {
		l.State = LinkUsed
	}
	return l, nil
}
