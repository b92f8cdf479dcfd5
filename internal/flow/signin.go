package flow

import (
	"context"
	"errors"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// identify takes the user name. Where existence is protected an address without
// an account goes on exactly like one that has it; no answer will be right (decision D8).
func identify(ctx context.Context, t *Turn, in Input) error {
	address, bad := email(in, "identifier")
	if len(bad) > 0 {
		t.refuse(problem.Invalid, bad...)
		return nil
	}
	account, err := t.e.accountByAddress(ctx, address.Canonical)
	if err != nil {
		return err
	}
	if account != nil && account.Status != directory.Active {
		account = nil
	}
	subject := &Subject{
		Kind: KindUnknown, ID: directory.NewID("00u"), Login: address.Display, Canonical: address.Canonical,
		Locale: t.tx.Request.Locale,
	}
	purpose := authenticator.SignInUnknown
	switch {
	case account != nil:
		subject.Kind, subject.UserID, purpose = KindKnown, account.ID, authenticator.SignIn
		t.account = account
	case t.client.Enumeration == policy.Disclose:
		t.messages = append(t.messages, unknownUser(address.Display)) // E15 answers 200
		return nil
	}
	// Email as the only factor is sent at once (decision D29).
	return t.begin(ctx, subject, false, purpose)
}

// begin makes someone the subject and asks for the proof of their address; if
// that may not be sent yet, there is no subject still.
func (t *Turn) begin(ctx context.Context, s *Subject, enrolling bool, purpose authenticator.Purpose) error {
	t.tx.Subject = s
	if err := t.open(ctx, emailKey, enrolling, purpose); err != nil {
		return err
	}
	if t.tx.Open == nil {
		t.tx.Subject = nil
		return nil
	}
	t.tx.ProfileOpen = false
	return nil
}

// chooseFactor opens the chosen authenticator of those that can be proven.
func chooseFactor(ctx context.Context, t *Turn, in Input) error {
	key, ok := t.chosen(in, t.factors())
	if !ok {
		t.refuse(problem.Invalid, blank("authenticator"))
		return nil
	}
	if t.tx.Open != nil && t.tx.Open.Authenticator == key {
		return t.reselect(ctx)
	}
	purpose := authenticator.SignIn
	if t.tx.Subject.Kind == KindUnknown {
		purpose = authenticator.SignInUnknown
	}
	return t.open(ctx, key, false, purpose)
}

// answerChallenge takes the proof for an authenticator that is enrolled already.
func answerChallenge(ctx context.Context, t *Turn, in Input) error {
	o := t.tx.Open
	answer := credentials(in)
	if t.dead() && !empty(answer) {
		t.refuse(problem.Unauthenticated, wrongCode())
		return nil
	}
	c, en, err := t.credential(o)
	if err != nil {
		return err
	}
	updated, err := t.openAuthenticator().FinishVerify(ctx, t.about(o), c, o.Prompt, answer)
	if errors.Is(err, authenticator.ErrEmpty) {
		return nil // a client posts an empty code at each sign-in: nothing was tried (decision D24)
	}
	if err != nil {
		return t.failed(err)
	}
	if t.tx.Subject.Kind != KindKnown {
		return errors.New("flow: a proof was accepted for nobody")
	}
	if en != nil && string(updated.Data) != string(c.Data) {
		changed := *en
		changed.Version++
		changed.Credential, changed.LastUsedAt = t.e.sealCredential(en.ID, updated), t.now
		t.writes = append(t.writes, func(tx Tx) error { return tx.UpdateEnrollment(changed) })
	}
	t.proved(o)
	t.tx.Open = nil
	t.durable = true
	t.move()
	return nil
}

func empty(in authenticator.Input) bool {
	for _, v := range in {
		if !directory.Blank(v) {
			return false
		}
	}
	return true
}

// credential opens the enrollment that is challenged; for a subject without an
// account it is empty, and the prompt's purpose makes every answer wrong.
func (t *Turn) credential(o *Open) (authenticator.Credential, *directory.Enrollment, error) {
	if t.account == nil {
		return authenticator.Credential{}, nil, nil
	}
	en, ok := t.account.Enrolled(o.Authenticator)
	if !ok {
		return authenticator.Credential{}, nil, nil
	}
	c, err := t.e.openCredential(en)
	return c, &en, err
}

// cancel forgets the person and kills what was issued to them; the interaction
// and its handle live on (IDX §3.7, decision D23). What was used up of the limits stays so.
func cancel(_ context.Context, t *Turn, _ Input) error {
	if !t.tx.ProfileOpen && t.tx.Subject == nil {
		return nil
	}
	t.tx.ProfileOpen, t.tx.Subject, t.tx.Open, t.tx.Proofs, t.tx.Skipped = false, nil, nil, nil, false
	t.tx.Code = Code{Serial: t.tx.Code.Serial}
	t.account = nil
	t.move()
	return nil
}
