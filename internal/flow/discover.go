package flow

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// discoverer is the authenticator that can ask somebody who has not said who they
// are, where everybody's policy lets it sign people in.
func (t *Turn) discoverer() (authenticator.Discoverer, bool) {
	for _, key := range t.enrollment().Keys("") {
		if d, ok := t.e.authenticators[key].(authenticator.Discoverer); ok {
			return d, t.rule().Helps(t.asNew(key), nil)
		}
	}
	return nil, false
}

// discovery is the question to whoever is there. It is made anew each time from
// the transaction and the number of answers that were given to it: showing the
// page writes nothing, and each question is answered once (SEC S-51).
func (t *Turn) discovery(ctx context.Context) (*Open, authenticator.Subject, error) {
	d, ok := t.discoverer()
	if !ok {
		return nil, authenticator.Subject{}, errors.New("flow: nothing to discover with")
	}
	o := &Open{
		ID: "discovery" + strconv.Itoa(t.tx.Guesses.Discovered), Purpose: authenticator.SignIn,
		Authenticator: d.(authenticator.Authenticator).Info().Key,
	}
	about := authenticator.Subject{
		Transaction: t.tx.ID, Challenge: o.ID, Purpose: o.Purpose, App: t.client.Name, Origins: t.client.Origins,
	}
	var err error
	o.Prompt, err = d.BeginDiscover(ctx, about)
	return o, about, err
}

func discoverForm(t *Turn) []Field {
	o, _, err := t.discovery(context.Background())
	if err != nil {
		t.e.log.Error("the question for a passkey cannot be shown", "err", err)
		return nil
	}
	t.discover = o.Prompt.Public
	return []Field{
		{Name: "credentials", Type: "object", Required: true, Fields: asked(o.Prompt.Fields)},
		{Name: "rememberMe", Type: "boolean", Label: "Keep me signed in"},
	}
}

// discovered takes the answer of a credential that names its owner: it says who
// is there and proves it (AUTH §4.3). No answer tells whether there is an account.
func discovered(ctx context.Context, t *Turn, in Input) error {
	o, _, err := t.discovery(ctx)
	if err != nil {
		return err
	}
	answer := credentials(in)
	if empty(answer) {
		t.refuse(problem.Invalid, blank("credentials.signatureData"))
		return nil
	}
	t.tx.Guesses.Discovered++
	t.move()
	d, _ := t.discoverer()
	userID, ok := d.Discover(answer)
	if !ok {
		return t.nobodysKey(o)
	}
	account, err := t.e.store.Account(ctx, userID)
	switch {
	case problem.KindOf(err) == problem.NotFound, err == nil && account.Status != directory.Active:
		return t.nobodysKey(o)
	case err != nil:
		return fmt.Errorf("flow: account of a passkey: %w", err)
	}
	t.tx.Subject, t.account = &Subject{
		Kind: KindKnown, ID: directory.NewID("00u"), UserID: account.ID, Login: account.Email, Canonical: account.Canonical,
		Locale: t.tx.Request.Locale,
	}, &account
	t.tx.Remember = in["rememberMe"] == "true"
	if !t.org.EnrollmentFor(account.Groups).Allows(o.Authenticator) {
		t.nobody()
		return t.nobodysKey(o)
	}
	err = t.verify(ctx, o, answer)
	if errors.Is(err, authenticator.ErrWrong) || errors.Is(err, authenticator.ErrEmpty) || errors.As(err, new(*authenticator.Rejected)) {
		t.e.log.DebugContext(ctx, "an answer is refused", "authenticator", o.Authenticator, "why", err)
		reason := ""
		if w := new(authenticator.Wrong); errors.As(err, &w) {
			reason = w.Reason
		}
		t.wrongFor(o, unknownKey(), reason) // the log says at whose account
		t.nobody()
		return nil
	}
	if err != nil {
		return err
	}
	t.durable = true
	return t.onlyFactor(ctx)
}

// nobodysKey refuses the answer of a key that proves nothing.
func (t *Turn) nobodysKey(o *Open) error { return t.wrong(o, unknownKey()) }
