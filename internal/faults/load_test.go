//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/faults/history"
)

// A load is people who sign up, sign in, get new tokens, sign out, and are disabled
// or deleted, one after the other at each of some clients. Whoever gets no answer asks again, with the
// same words, as any client would.
type load struct {
	site *site
	base http.RoundTripper
	wait time.Duration // for a mail, before a person begins anew
	ctx  context.Context
	quit context.CancelFunc // leaves those under way where they are
	// crashes says that the database itself is broken off: then a form may have to be filled in again (decision D13).
	crashes bool
	loses   bool  // and that it does lose what was acknowledged
	most    int64 // how many people there are; 0: no end
	// operators disable and delete people; nil: nobody does.
	operators *http.Client
	cuts      []time.Time // when a process was ended at once

	people  sync.WaitGroup
	ended   chan struct{} // closed: nobody begins any more
	once    sync.Once
	next    atomic.Int64
	done    atomic.Int64
	retried atomic.Int64 // calls that were made again
	anew    atomic.Int64 // times that somebody began anew
	full    atomic.Int64 // people whose mailbox got all that it gets in a quarter of an hour
	failed  failures
}

// failures are those who did not get through, and why.
type failures struct {
	mu   sync.Mutex
	list []failure
}

type failure struct {
	client string // as the journal names it
	err    error
}

func (f *failures) add(client string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, failure{client, err})
}

// begin lets clients work until end is called. Whoever has not got through
// within patience has failed.
func (s *site) begin(clients int, patience time.Duration, o ...func(*load)) *load {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	l := &load{
		site: s, wait: 3 * time.Second, ctx: ctx, quit: cancel, ended: make(chan struct{}), operators: s.operators(),
		base: &http.Transport{MaxIdleConnsPerHost: clients},
	}
	for _, f := range o {
		f(l)
	}
	for range clients {
		l.people.Go(func() {
			for {
				select {
				case <-l.ended:
					return
				default:
				}
				if n := l.next.Add(1); l.most > 0 && n > l.most || !l.person(n) {
					return
				}
			}
		})
	}
	s.t.Cleanup(l.end)
	return l
}

// crashing is for where the database itself is broken off.
func crashing(l *load) { l.crashes = true }

// losing is for where what was acknowledged is lost.
func losing(l *load) { l.loses = true }

// patient is for where no mail comes late.
func patient(l *load) { l.wait = 20 * time.Second }

// only is for so many people and no more.
func only(n int64) func(*load) { return func(l *load) { l.most = n } }

// end waits until those who are under way have got through.
func (l *load) end() {
	l.once.Do(func() { close(l.ended) })
	l.people.Wait()
}

// A guest is one person's app and mailbox.
type guest struct {
	load    *load
	address string
	app     *idx.Client // keeps the code
	redeems *idx.Client
	http    *http.Client    // for what idx has no call for
	seen    map[string]bool // mails that were read
	tries   int             // flows that were begun
}

func (l *load) guest(name, address string, n int64) *guest {
	cfg := idx.Config{
		Issuer: l.site.url + "/oauth2/default", ClientID: clientID, ClientSecret: l.site.secret, RedirectURI: redirectURI,
		Scopes: []string{"openid", "profile", "email", idx.ScopeSessionsManage, "offline_access"},
		HTTPClient: &http.Client{Timeout: 30 * time.Second, Transport: &history.Transport{
			Journal: l.site.journal, Client: name, IP: fmt.Sprintf("10.%d.%d.1", n>>8&255, n&255), Base: l.base,
		}},
	}
	if n%16 == 0 { // whose app signs them out, which ends no offline access
		cfg.Scopes = cfg.Scopes[:4]
	}
	g := &guest{load: l, address: address, http: cfg.HTTPClient, seen: map[string]bool{}}
	var err error
	if g.redeems, err = idx.New(cfg); err == nil {
		cfg.KeepCode = true
		g.app, err = idx.New(cfg)
	}
	if err != nil {
		l.site.t.Error(err)
	}
	return g
}

func guestAddress(n int64) string { return fmt.Sprintf("p%d@example.com", n) }

// person runs one person's visit, and reports whether that went through.
func (l *load) person(n int64) bool {
	g := l.guest(fmt.Sprintf("p%d", n), guestAddress(n), n)
	tx, err := g.enter(true)
	for i := int64(0); err == nil && i < n%4; i++ { // some come back, some change tokens, some leave
		switch i {
		case 0:
			var next *idx.Tokens
			next, err = again(l, func() (*idx.Tokens, error) { return g.redeems.Refresh(l.ctx, tx.Tokens.RefreshToken.Value) })
			if errors.Is(err, idx.ErrInvalidGrant) { // the answer was lost for longer than it may be asked for again
				tx, err = g.enter(false)
			} else if err == nil {
				tx.Tokens = next
			}
		case 1:
			token, hint := tx.Tokens.RefreshToken.Value, "refresh_token"
			if n%8 > 3 {
				token, hint = tx.Tokens.AccessToken.Value, "access_token"
			}
			_, err = again(l, func() (bool, error) { return true, g.redeems.Revoke(l.ctx, token, hint) })
		case 2:
			tx, err = g.enter(false)
		}
	}
	if err == nil && n%4 == 0 {
		err = g.leave(n, tx)
	}
	if errors.Is(err, errFull) {
		l.full.Add(1)
		return true
	}
	if err != nil {
		l.failed.add(fmt.Sprintf("p%d", n), err)
		return l.ctx.Err() == nil
	}
	l.done.Add(1)
	return true
}

// errAnew says that a flow cannot go on and may be begun anew: no mail came, or
// the answer with the tokens was lost (decision D30).
var errAnew = errors.New("begin anew")

// errFull says that the address gets no more mail for now (SEC S-11).
var errFull = errors.New("too many mails")

// enter gets in, by signing up or in, and returns with tokens.
func (g *guest) enter(signUp bool) (*idx.Transaction, error) {
	for {
		tx, err := g.flow(signUp)
		if err == nil {
			return tx, nil
		}
		if !errors.Is(err, errAnew) || g.load.ctx.Err() != nil {
			return nil, err
		}
		g.load.anew.Add(1)
		pause(g.load.ctx, 50*time.Millisecond)
	}
}

func (g *guest) flow(signUp bool) (*idx.Transaction, error) {
	l, ctx := g.load, g.load.ctx
	g.tries++
	tx, err := again(l, func() (*idx.Transaction, error) { return g.app.Start(ctx, idx.StartOptions{}) })
	in := idx.Input{Username: g.address}
	if signUp {
		in = idx.Input{Profile: &idx.Profile{FirstName: "A", LastName: "B", Email: g.address}}
	}
	for step := 0; err == nil; step++ {
		if tx, err = again(l, func() (*idx.Transaction, error) { return g.app.Proceed(ctx, tx, in) }); err != nil {
			break
		}
		if tx.Status == idx.StatusSuccess {
			return g.redeem(tx)
		}
		if tx.Status != idx.StatusPending || tx.NextStep == nil || step > 20 {
			return nil, fmt.Errorf("the flow is %s: %+v", tx.Status, tx.Messages)
		}
		switch tx.NextStep.Name {
		case "enroll-authenticator", "challenge-authenticator":
			// What a killed process had in hand comes when its lease has run out.
			patience, cancel := context.WithTimeout(ctx, l.wait*time.Duration(g.tries*g.tries))
			code, cerr := l.site.sink.Code(patience, g.address, g.seen)
			cancel()
			if cerr != nil {
				return nil, fmt.Errorf("%w: no mail", errAnew)
			}
			in = idx.Input{VerificationCode: code}
		case "select-authenticator-authenticate":
			in = idx.Input{Authenticator: "okta_email"}
		case "select-authenticator-enroll":
			in = idx.Input{Skip: true}
		case "identify", "select-enroll-profile", "enroll-profile":
			if len(tx.Messages) > 0 && l.crashes {
				return nil, fmt.Errorf("%w: back at %s", errAnew, tx.NextStep.Name)
			}
			if len(tx.Messages) > 0 {
				return nil, fmt.Errorf("refused at %s: %+v", tx.NextStep.Name, tx.Messages)
			}
		default:
			return nil, fmt.Errorf("the flow is at %s: %+v", tx.NextStep.Name, tx.Messages)
		}
	}
	if errors.Is(err, idx.ErrExpired) {
		err = fmt.Errorf("%w: %w", errAnew, err)
	}
	return nil, err
}

// redeem gets the tokens. It is the one call that is not made again.
func (g *guest) redeem(tx *idx.Transaction) (*idx.Transaction, error) {
	in, err := g.redeems.HandleCallback(g.load.ctx, tx, url.Values{"interaction_code": {tx.InteractionCode}, "state": {tx.State()}})
	if err != nil && (passes(err) || errors.Is(err, idx.ErrInvalidGrant)) {
		err = fmt.Errorf("%w: %w", errAnew, err)
	}
	return in, err
}

// again makes a call until it is answered.
func again[T any](l *load, call func() (T, error)) (T, error) {
	for {
		v, err := call()
		wait := 20 * time.Millisecond
		var said *idx.ResponseError
		if errors.As(err, &said) && said.RetryAfter > 0 {
			wait = min(said.RetryAfter, 2*time.Second)
		}
		if tx, ok := any(v).(*idx.Transaction); ok && err == nil && tx.RetryAfter > 0 && len(tx.Messages) > 0 {
			if tx.RetryAfter > time.Minute {
				return v, errFull
			}
			wait = min(tx.RetryAfter, 2*time.Second)
		} else if err == nil || !passes(err) {
			return v, err
		}
		l.retried.Add(1)
		pause(l.ctx, wait)
		if l.ctx.Err() != nil {
			return v, fmt.Errorf("no time left: %w", errors.Join(l.ctx.Err(), err))
		}
	}
}

// passes reports whether an error is one of those that pass: no answer, or one
// that says later.
func passes(err error) bool {
	var said *idx.ResponseError
	var lost *url.Error
	switch {
	case errors.As(err, &said):
		return said.Status >= 500 || said.Status == http.StatusTooManyRequests
	case errors.Is(err, context.Canceled), errors.Is(err, idx.ErrInvalidToken):
		return false
	}
	return errors.As(err, &lost)
}
