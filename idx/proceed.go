package idx

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// maxSteps bounds one call, should an engine give the same form for ever.
const maxSteps = 10

// Proceed answers a step. Without Input.Step it posts the first remediation that
// the values fit, and goes on while values are left that fit the step after: a
// chosen authenticator and its password take one call. With Input.Step it posts
// that remediation or action, with whatever values there are, and nothing more;
// "recover" is the action of that name of whichever authenticator has it.
//
// What the engine refuses comes back as the same step with Messages and no
// error. The errors are ErrNotOffered where nothing fits, and then no request
// was made but the one that reads the state of an unmarshaled transaction;
// ErrExpired; ErrNoTransaction; *ResponseError.
func (c *Client) Proceed(ctx context.Context, t *Transaction, in Input) (*Transaction, error) {
	tx, done, err := c.load(ctx, t)
	if err != nil || done {
		return tx, err
	}
	a := in.answer()
	if in.Step == "" {
		if tx.state.doc.fitting(a) == nil {
			return nil, ErrNotOffered
		}
		return c.advance(ctx, tx, a)
	}
	f := tx.state.doc.form(in.Step)
	if f == nil {
		f = tx.state.doc.named(in.Step)
	}
	if f == nil || !f.knowsChoice(a.values) {
		return nil, ErrNotOffered
	}
	return c.submit(ctx, tx.state, f, a.to(f))
}

// Resend asks for the code or link again. A resend that comes too soon gives the
// same step with Messages and RetryAfter. The error is ErrNotOffered where
// NextStep.CanResend is false.
func (c *Client) Resend(ctx context.Context, t *Transaction) (*Transaction, error) {
	return c.act(ctx, t, "resend")
}

// Poll asks whether the step was done elsewhere: the mailed link opened, a push
// approved. Unchanged, it gives the same step. Keep NextStep.Poll.Every between
// two calls. The error is ErrNotOffered where NextStep.Poll is nil.
func (c *Client) Poll(ctx context.Context, t *Transaction) (*Transaction, error) {
	return c.act(ctx, t, "poll")
}

// Cancel ends what was begun, sent codes included. The result is CANCELED; the
// interaction stays, so that Proceed on the result begins again at its first step.
func (c *Client) Cancel(ctx context.Context, t *Transaction) (*Transaction, error) {
	tx, err := c.act(ctx, t, "cancel")
	refused := func(m Message) bool { return m.Class == "ERROR" }
	if err != nil || tx.Status == StatusSuccess || slices.ContainsFunc(tx.Messages, refused) {
		return tx, err
	}
	tx.Status, tx.NextStep = StatusCanceled, nil
	return tx, nil
}

func (c *Client) act(ctx context.Context, t *Transaction, name string) (*Transaction, error) {
	tx, done, err := c.load(ctx, t)
	if err != nil || tx.Status == StatusSuccess {
		return tx, err
	}
	f := tx.state.doc.action(name)
	if f == nil && name == "poll" {
		for _, form := range []string{"enroll-poll", "challenge-poll"} {
			if f == nil {
				f = tx.state.doc.form(form)
			}
		}
	}
	switch {
	case f != nil:
		return c.submit(ctx, tx.state, f, nil)
	case done:
		return tx, nil
	}
	return nil, ErrNotOffered
}

// HandleCallback takes the query with which the engine sent a browser back to the
// app. tx is the transaction that this browser began, nil if it began none.
//
//   - otp and state (the mailed link): answers the code step with the code; where
//     that step is past, gives the step that follows.
//   - interaction_code and state: redeems the code.
//   - error: the error is a *ResponseError.
//
// The state must be that of tx, else the error is a *CallbackError and nothing
// was sent.
func (c *Client) HandleCallback(ctx context.Context, t *Transaction, q url.Values) (*Transaction, error) {
	if code := q.Get("error"); code != "" {
		return nil, &ResponseError{Code: code, Description: q.Get("error_description")}
	}
	otp, code := q.Get("otp"), q.Get("interaction_code")
	if otp == "" && code == "" || q.Get("state") == "" {
		return nil, errors.New("idx: not a callback: otp or interaction_code, and state, are needed")
	}
	if t == nil || t.State() != q.Get("state") {
		return nil, &CallbackError{Code: otp, State: q.Get("state")}
	}
	st, err := c.own(t)
	if err != nil {
		return nil, err
	}
	if code != "" {
		return c.redeem(ctx, st, code)
	}
	// The code may have been typed meanwhile, so what tx shows may be old.
	tx, err := c.introspect(ctx, st)
	if err != nil || tx.Status != StatusPending {
		return tx, err
	}
	a := answer{values: values{"verificationCode": otp}}
	if f := tx.state.doc.fitting(a); f != nil {
		return c.submit(ctx, tx.state, f, a.values)
	}
	return tx, nil
}

// load makes sure that the document is at hand. It is done where that showed a
// transaction that has ended meanwhile.
func (c *Client) load(ctx context.Context, t *Transaction) (tx *Transaction, done bool, err error) {
	st, err := c.own(t)
	if err != nil {
		return nil, false, err
	}
	if st.doc != nil {
		return t, t.Status == StatusSuccess, nil
	}
	tx, err = c.introspect(ctx, st)
	return tx, err == nil && tx.Status != StatusPending, err
}

// advance posts what fits, as long as something is left to give and the engine
// has said nothing that the person should read first.
func (c *Client) advance(ctx context.Context, tx *Transaction, a answer) (*Transaction, error) {
	for n := 0; n < maxSteps && !a.empty(); n++ {
		f := tx.state.doc.fitting(a)
		if f == nil || (n > 0 && f.asksProfile() && a.profile.empty()) {
			break
		}
		_, used := f.body(a.to(f))
		next, err := c.submit(ctx, tx.state, f, a.to(f))
		if err != nil {
			return nil, err
		}
		a.spend(f, used)
		if tx = next; !tx.goesOn() {
			break
		}
	}
	return tx, nil
}

// submit posts f and turns the answer into the next transaction.
func (c *Client) submit(ctx context.Context, st *state, f *form, v values) (*Transaction, error) {
	if !f.submit || (f.method != "" && f.method != http.MethodPost) {
		return nil, ErrNotOffered
	}
	if err := c.sameOrigin(f.href); err != nil {
		return nil, err
	}
	body, _ := f.body(v)
	res, err := c.postJSON(ctx, f.href, "application/json", f.accepts, body)
	if err != nil {
		return nil, err
	}
	return c.next(ctx, st, res)
}

// next is the one place that reads an IDX answer.
func (c *Client) next(ctx context.Context, st *state, res *response) (*Transaction, error) {
	d, err := parseDocument(res.body)
	if err != nil || res.status >= 500 || res.status < 200 || (res.status >= 300 && res.status < 400) {
		return nil, res.failure()
	}
	messages := d.allMessages()
	if hasKey(messages, keySessionExpired) {
		e := res.failure()
		e.Code = keySessionExpired
		return nil, e
	}
	if res.status < 300 {
		if d.code != "" {
			return c.succeed(ctx, st.with(d), d.code)
		}
		return d.transaction(st), nil
	}

	unknown := st.doc == nil && len(d.forms) == 0 // so there is no step to stay at
	if unknown && res.status == http.StatusTooManyRequests || len(messages) == 0 && len(d.forms) == 0 {
		return nil, res.failure()
	}
	var tx *Transaction
	switch last := st.doc; {
	case last == nil:
		tx = d.transaction(st)
	case res.status == http.StatusTooManyRequests:
		// Nothing was taken in, whatever form the answer repeats.
		tx = last.refused(st, messages)
	case len(d.forms) > 0:
		tx = d.transaction(st)
	default:
		tx = last.refused(st, messages)
		if res.status == http.StatusForbidden || res.status == http.StatusNotFound || hasKey(messages, keyUnsatisfiable) {
			tx.Status, tx.NextStep = StatusTerminal, nil
		}
	}
	tx.RetryAfter = res.retryAfter
	return tx, nil
}

// named finds an action by the name that AvailableSteps gives it, or by that alone
// which it has inside an authenticator.
func (d *document) named(name string) *form {
	if i := slices.IndexFunc(d.actions, func(a *form) bool { return a.name == name }); i >= 0 {
		return d.actions[i]
	}
	if name == "recover" {
		return d.action(name)
	}
	return nil
}
