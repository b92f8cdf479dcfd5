package flow

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// Limits are the rules of counting, and two waits that count nothing.
type Limits struct {
	Rules limit.Rules

	NoAccount time.Duration // an address without an account is told so at most this often; 0: each time
	Reselect  time.Duration // a challenge younger than this and untried is not sent again when chosen again
}

// DefaultLimits are those of production.
func DefaultLimits() Limits {
	return Limits{Rules: limit.DefaultRules(), NoAccount: 24 * time.Hour /* UX M4 */, Reselect: 30 * time.Second}
}

// DevelopmentLimits are those within a transaction; nothing waits (decision D27).
func DevelopmentLimits() Limits {
	return Limits{Rules: limit.DevelopmentRules(), Reselect: 30 * time.Second}
}

// open asks a new question in place of the one in hand. Where asking it sends
// something, that may be too early or once too often: then nothing changes.
func (t *Turn) open(ctx context.Context, o *Open) error {
	o.ID = directory.NewID("ch")
	if err := t.begins(ctx, o); err != nil {
		return t.failedToBegin(ctx, o, err)
	}
	if len(o.Prompt.Effects) > 0 {
		o.To = t.recipient(o)
		if t.tooManyNumbers(o) || t.tooSoon(o) {
			return nil
		}
	}
	t.tx.Open = o
	t.move()
	return t.issue(ctx, o)
}

// begins makes the prompt of o, or what must be said before there is one.
func (t *Turn) begins(ctx context.Context, o *Open) (err error) {
	a, about := t.e.authenticators[o.Authenticator], authenticator.Subject{}
	if about, err = t.about(o); err != nil {
		return err
	}
	if o.Enrolling {
		o.Prompt, err = a.BeginEnroll(ctx, about)
	} else {
		o.Prompt, err = a.BeginVerify(ctx, about)
	}
	o.Wanted = nil
	if errors.As(err, &o.Wanted) {
		o.Prompt, err = authenticator.Prompt{Public: o.Wanted.Public}, nil
	}
	return err
}

// failedToBegin tells what is wrong with the details that were given, and asks for
// them: with those that the page has, nothing that was typed is lost.
func (t *Turn) failedToBegin(ctx context.Context, o *Open, err error) error {
	var rejected *authenticator.Rejected
	if !errors.As(err, &rejected) {
		return err
	}
	field := "authenticator."
	if have := t.tx.Open; have == nil || have.Wanted == nil || have.Authenticator != o.Authenticator {
		o.Details = nil
		if err := t.open(ctx, o); err != nil || t.kind != problem.None {
			return err
		}
	} else if have.Wanted.Channel {
		field = ""
	}
	for _, m := range rejected.Messages {
		t.refuse(problem.Invalid, m.On(field+m.Field))
	}
	return nil
}

// tooSoon refuses to send to the question's address before the wait is over, or
// once the transaction has sent all that it may.
func (t *Turn) tooSoon(o *Open) bool {
	if t.over.text != "" {
		t.capped(t.over.text)
		return true
	}
	wait := t.e.resendAt(t.tx).Sub(t.now)
	if g := t.tx.Guesses; g.Sends > 0 && !hmac.Equal(g.SentTo, o.To) {
		wait = 0 // another address than the last one
	}
	if t.tx.Guesses.Sends > t.e.limits.Rules.Resends {
		wait = t.tx.ExpiresAt.Sub(t.now)
	}
	wait = max(wait, t.over.wait)
	if wait <= 0 {
		if more, ok := t.sourceMaySend(t.sentTo(o)); !ok {
			wait = more
		}
	}
	if wait <= 0 {
		return false
	}
	t.retry = wait
	t.refuse(problem.Throttled, tooMany())
	return true
}

// recipient tells where the messages of a question go from where others do.
func (t *Turn) recipient(o *Open) []byte {
	mac := t.e.keys.MAC("flow/recipient", t.tx.ID, o.Authenticator, t.sentTo(o))
	return mac[:]
}

// sentTo is the address or the number that a question sends to: the subject's own, but
// for a link to a device, which goes where the person says.
func (t *Turn) sentTo(o *Open) string {
	for _, ef := range o.Prompt.Effects {
		switch {
		case ef.Text != nil:
			return ef.Text.To
		case ef.Mail != nil:
			if a, err := directory.ParseAddress(ef.Mail.To); err == nil {
				return a.Canonical
			}
		}
	}
	return t.tx.Subject.Canonical
}

// tooManyNumbers refuses to send texts to one number more than a transaction may
// send to: it would be a way to have many strangers texted (SEC S-53).
func (t *Turn) tooManyNumbers(o *Open) bool {
	texts := slices.IndexFunc(o.Prompt.Effects, func(ef authenticator.Effect) bool { return ef.Text != nil })
	g := &t.tx.Guesses
	if texts < 0 || slices.ContainsFunc(g.Numbers, func(n []byte) bool { return hmac.Equal(n, o.To) }) {
		return false
	}
	if most := t.e.limits.Rules.Numbers; most > 0 && len(g.Numbers) >= most {
		t.capped(o.Prompt.Effects[texts].Text.Method)
		return true
	}
	return false
}

// capped refuses a text or a call that a limit of the installation stands against,
// and shows the same form again: another way may be chosen there (AUTH §1.4).
func (t *Turn) capped(by authenticator.Method) {
	t.again = true
	t.refuse(problem.Forbidden, textLimit(by))
}

// issue queues what the prompt wants sent, in the transaction of its state.
func (t *Turn) issue(ctx context.Context, o *Open) error {
	for _, ef := range o.Prompt.Effects {
		if ef.Push != nil {
			if err := t.push(ctx, o, *ef.Push); err != nil {
				return err
			}
			continue
		}
		out := Outgoing{
			Text: ef.Text, Client: t.client, Request: t.tx.Request, SignUp: t.signUpOpen(), At: t.now,
			sent: func(id string) { o.Message = id },
		}
		if ef.Mail != nil {
			out.Mail = *ef.Mail
		}
		if ef.Text != nil && t.account != nil {
			out.User = t.account.User
		}
		if every := t.e.limits.NoAccount; every > 0 && o.Purpose == authenticator.SignInUnknown {
			mac := t.e.keys.MAC("flow/no account", t.tx.Subject.Canonical)
			out.Once, out.KeepUntil = "once"+directory.IDFrom(mac[:]), t.now.Add(every)
		}
		if err := t.countSent(ctx, ef); err != nil {
			return err
		}
		t.mails = append(t.mails, out)
		o.Sent = true
		t.tx.Guesses.Sends++
		t.tx.Guesses.SentAt, t.tx.Guesses.SentTo = t.now, o.To
		if g := &t.tx.Guesses; ef.Text != nil && !slices.ContainsFunc(g.Numbers, func(n []byte) bool { return hmac.Equal(n, o.To) }) {
			g.Numbers = append(g.Numbers, o.To)
		}
	}
	o.Prompt.Effects = nil
	return nil
}

// reselect answers the choice of what is in hand already: once more only if that
// was tried or is old, as a client selects again within seconds (IDX §3.1).
func (t *Turn) reselect(ctx context.Context) error {
	o := t.tx.Open
	if end := o.Prompt.ExpiresAt; !o.Sent && !o.Prompt.Elsewhere && !end.IsZero() && !t.now.Before(end) {
		return t.open(ctx, o.again())
	}
	if o.Prompt.Elsewhere || !o.Sent || (o.Tries == 0 && t.now.Sub(t.tx.Guesses.SentAt) < t.e.limits.Reselect) {
		return nil
	}
	return resend(ctx, t, nil)
}

// resend sends once more; what was sent before stays good until its own end
// (decisions D5, D22). A challenge that died of wrong answers is replaced.
func resend(ctx context.Context, t *Turn, _ Input) error {
	o := t.tx.Open
	if t.dead() {
		return t.open(ctx, o.again())
	}
	if t.tooSoon(o) {
		return nil
	}
	about, err := t.about(o)
	if err != nil {
		return err
	}
	p, err := t.openAuthenticator().(authenticator.Resender).Resend(ctx, about, o.Prompt)
	if err != nil {
		return err
	}
	o.Prompt = p
	t.move()
	return t.issue(ctx, o)
}

// look is poll: it changes nothing.
func look(context.Context, *Turn, Input) error { return nil }

// resendAt is when the next message to the same address may be asked for; zero: at any time.
func (e *Engine) resendAt(tx *Transaction) time.Time {
	g := tx.Guesses
	wait := e.limits.Rules.ResendWait(g.Sends)
	if wait == 0 {
		return time.Time{}
	}
	return g.SentAt.Add(wait)
}

// dead reports whether wrong answers have used the challenge up.
func (t *Turn) dead() bool { return t.tx.Open.Tries >= t.e.limits.Rules.CodeTries }

// failed takes what an authenticator returned. A wrong answer is counted, and
// the count committed before anybody hears that it was wrong: of answers given
// in parallel each takes its place in the count or is evaluated anew (SEC S-03).
func (t *Turn) failed(ctx context.Context, err error) error {
	if o := t.tx.Open; o != nil {
		t.e.log.DebugContext(ctx, "an answer is refused", "authenticator", o.Authenticator, "why", err)
	}
	var rejected *authenticator.Rejected
	var wrong *authenticator.Wrong
	switch {
	case errors.As(err, &rejected):
		for _, m := range rejected.Messages {
			t.refuse(problem.Invalid, inForm(m))
		}
		return t.askAnew(ctx)
	case errors.Is(err, authenticator.ErrEmpty):
		t.refuse(problem.Invalid, blank("credentials."+t.firstField()))
		return nil
	case errors.Is(err, authenticator.ErrDenied):
		t.denied(t.tx.Open)
		return nil
	case errors.As(err, &wrong) && !t.over.paused:
		t.wrongFor(t.tx.Open, inForm(wrong.Message), wrong.Reason)
		return t.askAnew(ctx)
	case !errors.Is(err, authenticator.ErrWrong):
		return err
	}
	if t.tx.Open.Authenticator == passwordKey {
		return t.wrong(t.tx.Open, wrongPassword())
	}
	if m := t.openAuthenticator().Info().Wrong; m.Key != "" && !t.tx.Open.Enrolling {
		t.wrongFor(t.tx.Open, inForm(m), "")
		return t.askAnew(ctx)
	}
	return t.wrong(t.tx.Open, wrongCode().On("credentials."+t.firstField()))
}

// inForm puts an authenticator's message where the form has its field.
func inForm(m problem.Message) problem.Message {
	if m.Field == "" {
		return m
	}
	return m.On("credentials." + m.Field)
}

// firstField is where a message about a missing answer goes.
func (t *Turn) firstField() string {
	for _, f := range t.tx.Open.Prompt.Fields {
		if !f.Fixed {
			return f.Name
		}
	}
	return "passcode"
}

// wrong counts a wrong answer to o, in the transaction and in the lanes of the
// account; after the last that a transaction may give it ends.
func (t *Turn) wrong(o *Open, message problem.Message) error {
	t.wrongFor(o, message, "")
	return nil
}

// wrongFor is wrong with a reason for the audit log.
func (t *Turn) wrongFor(o *Open, message problem.Message, reason string) {
	o.Tries++
	t.move()
	t.durable = true
	if t.tx.Guesses.Wrong++; t.tx.Guesses.Wrong >= t.e.limits.Rules.CodeTries*t.e.limits.Rules.KilledCodes {
		t.record(audit.Event{Type: proof, Outcome: audit.Failure, Reason: audit.LockedOut, Authenticator: o.Authenticator})
		t.end(problem.Unauthenticated, suspended())
		return
	}
	t.record(audit.Event{Type: proof, Outcome: audit.Failure, Reason: cmp.Or(reason, audit.InvalidCredentials), Authenticator: o.Authenticator})
	t.refuse(problem.Unauthenticated, message)
}

// askAnew asks the question that an answer has used up once more (SEC S-51). The
// tries at it are counted on.
func (t *Turn) askAnew(ctx context.Context) error {
	o := t.tx.Open
	if o == nil || !o.Prompt.Once || t.dead() {
		return nil
	}
	t.move()
	return t.begins(ctx, o)
}

// deadMessage answers a challenge that wrong answers have used up. A code can be
// sent anew; a password cannot (IDX E09).
func (t *Turn) deadMessage() problem.Message {
	if t.tx.Open.Authenticator == passwordKey {
		return suspended()
	}
	if m := t.openAuthenticator().Info().Wrong; m.Key != "" {
		return inForm(m)
	}
	return wrongCode()
}

// proof is the type of the event for each answer to a question: what the field
// calls it, also where it is the only factor.
const proof = "user.authentication.auth_via_mfa"

// proved notes that the open question was answered.
func (t *Turn) proved(o *Open, userVerified, hardware bool) {
	t.tx.Proofs = append(t.tx.Proofs, Proof{
		Authenticator: o.Authenticator, AMR: t.e.authenticators[o.Authenticator].Info().Reference(o.Prompt.Method), At: t.now,
		UserVerified: userVerified, Hardware: hardware,
	})
	t.record(audit.Event{Type: proof, Outcome: audit.Success, Authenticator: o.Authenticator})
}

func credentials(in Input) authenticator.Input {
	out := authenticator.Input{}
	for k, v := range in {
		if name, ok := strings.CutPrefix(k, "credentials."); ok {
			out[name] = v
		}
	}
	return out
}
