package flow

import (
	"context"
	"errors"
	"slices"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// identify takes the user name, and the password where the first form asks for
// both. Where existence is protected an address without an account goes on
// exactly like one that has it; no answer will be right (decision D8).
func identify(ctx context.Context, t *Turn, in Input) error {
	subject, err := t.named(ctx, in)
	if subject == nil || err != nil {
		return err
	}
	t.tx.Remember = in["rememberMe"] == "true"
	if t.org.PasswordFirst() {
		return t.identifyByPassword(ctx, subject, in)
	}
	if subject.Kind == KindUnknown && t.enumeration() == policy.Disclose {
		t.messages = append(t.messages, unknownUser(subject.Login)) // E15 answers 200
		return nil
	}
	return t.identified(ctx, subject)
}

// named makes the subject of a sign-in from the identifier, and reads the
// account; nil if the identifier was refused.
func (t *Turn) named(ctx context.Context, in Input) (*Subject, error) {
	address, bad := email(in, "identifier")
	if len(bad) > 0 {
		t.refuse(problem.Invalid, bad...)
		return nil, nil
	}
	account, err := t.e.accountByAddress(ctx, address.Canonical)
	if err != nil {
		return nil, err
	}
	s := &Subject{
		Kind: KindUnknown, ID: directory.NewID("00u"), Login: address.Display, Canonical: address.Canonical,
		Locale: t.tx.Request.Locale,
	}
	if account != nil && account.Status == directory.Active {
		s.Kind, s.UserID, t.account = KindKnown, account.ID, account
	}
	return s, nil
}

// identified makes someone the subject of a sign-in, and asks for proof at once
// where there is one way to give it; else they choose.
func (t *Turn) identified(ctx context.Context, s *Subject) error {
	t.tx.Subject = s
	factors := t.factors()
	if key := t.direct(factors); key != "" {
		return t.begin(ctx, s, &Open{Authenticator: key, Purpose: t.purpose()})
	}
	switch {
	case len(factors) == 0:
		t.nobody()
		t.refuse(problem.Invalid, unsatisfiable(t.client.Name))
		return nil
	case t.emailFirst(factors):
		factors = []string{emailKey}
		fallthrough
	case len(factors) == 1:
		return t.begin(ctx, s, &Open{Authenticator: factors[0], Purpose: t.purpose()})
	}
	t.move()
	return nil
}

// purpose is what a proof that is asked for now would be for.
func (t *Turn) purpose() authenticator.Purpose {
	switch {
	case t.tx.Subject.Kind == KindUnknown:
		return authenticator.SignInUnknown
	case t.tx.Recovering:
		return authenticator.Recovery
	case t.tx.Unlocking:
		return authenticator.Unlock
	}
	return authenticator.SignIn
}

// begin makes someone the subject and asks for a proof; if what that sends may
// not be sent yet, there is no subject still.
func (t *Turn) begin(ctx context.Context, s *Subject, o *Open) error {
	t.tx.Subject = s
	if err := t.open(ctx, o); err != nil {
		return err
	}
	if t.tx.Open == nil {
		t.nobody()
		return nil
	}
	t.tx.ProfileOpen = false
	return nil
}

func (t *Turn) nobody() { t.tx.Subject, t.account = nil, nil }

// identifyByPassword takes user name and password of one form. Nothing tells
// which of the two is wrong (IDX E14).
func (t *Turn) identifyByPassword(ctx context.Context, s *Subject, in Input) error {
	answer := credentials(in)
	if empty(answer) {
		t.nobody()
		t.refuse(problem.Invalid, blank("credentials.passcode"))
		return nil
	}
	t.tx.Subject = s
	o := &Open{ID: directory.NewID("ch"), Authenticator: passwordKey, Purpose: t.purpose()}
	err := t.verify(ctx, o, answer)
	if errors.Is(err, authenticator.ErrWrong) {
		err = t.wrong(o, authenticationFailed())
		t.nobody()
		return err
	}
	if err != nil {
		return err
	}
	t.move()
	t.durable = true
	return t.onlyFactor(ctx)
}

// chooseFactor opens the chosen authenticator of those that can be proven.
func chooseFactor(ctx context.Context, t *Turn, in Input) error {
	key, ok := t.chosen(in, t.factors())
	if !ok {
		t.refuse(problem.Invalid, blank("authenticator"))
		return nil
	}
	details := t.detailsOf(key, false, in)
	if o := t.tx.Open; o != nil && o.Authenticator == key && o.Wanted == nil && !o.changes(details) && !t.refusedElsewhere() && !(t.dead() && !o.Sent) {
		return t.reselect(ctx)
	}
	last := t.tx.Open
	details = t.withEarlier(key, details)
	switch {
	case t.aside(key) && !t.tx.Aside.changes(details) && !t.tx.Aside.Denied:
		t.tx.Open, t.tx.Aside = t.tx.Aside, nil
		t.move()
	default:
		if err := t.open(ctx, &Open{Authenticator: key, Purpose: t.purpose(), Details: details}); err != nil || t.kind != problem.None {
			return err
		}
		if a := t.tx.Aside; a != nil && a.Authenticator == key && t.tx.Open != last { // a newer one voids it
			t.tx.Aside = nil
		}
	}
	if last != nil && last.Sent && last.Authenticator != key {
		t.tx.Aside = last
	}
	return nil
}

// aside reports whether the question that was put aside is one of keys, and can
// be answered still.
func (t *Turn) aside(keys ...string) bool {
	a := t.tx.Aside
	return a != nil && slices.Contains(keys, a.Authenticator) && !a.Denied && t.now.Before(a.Prompt.ExpiresAt) && a.Tries < t.e.limits.Rules.CodeTries
}

// answerChallenge takes the proof for an authenticator that is enrolled already.
func answerChallenge(ctx context.Context, t *Turn, in Input) error {
	o := t.tx.Open
	answer := credentials(in)
	if t.dead() && !empty(answer) {
		t.refuse(problem.Unauthenticated, t.deadMessage())
		return nil
	}
	err := t.verify(ctx, o, answer)
	if errors.Is(err, authenticator.ErrEmpty) {
		return nil // a client posts an empty code at each sign-in: nothing was tried (decision D24)
	}
	if err != nil {
		return t.failed(ctx, err)
	}
	t.tx.Open = nil
	if a := t.tx.Aside; a != nil && a.Authenticator == o.Authenticator {
		t.tx.Aside = nil
	}
	if t.StageOf() == ChooseFactor && t.aside(t.factors()...) { // what answers it was sent already
		t.tx.Open, t.tx.Aside = t.tx.Aside, nil
	}
	t.durable = true
	t.move()
	t.unlocked()
	return t.onlyFactor(ctx)
}

// verify checks the answer to o, and notes the proof. The error is the authenticator's.
func (t *Turn) verify(ctx context.Context, o *Open, answer authenticator.Input) error {
	about, err := t.about(o)
	if err != nil {
		return err
	}
	shown, err := t.e.authenticators[o.Authenticator].FinishVerify(ctx, about, o.Prompt, answer)
	// What was asked before proof is by everybody's policy; theirs may leave it out.
	if err == nil && t.tx.Subject.Kind == KindKnown && !t.org.EnrollmentFor(t.account.Groups).Allows(o.Authenticator) {
		err = authenticator.ErrWrong
	}
	if err := t.judged(ctx, o, answer, err); err != nil {
		return err
	}
	i := slices.IndexFunc(about.Enrolled, func(c authenticator.Credential) bool { return c.ID == shown.Credential.ID })
	if t.tx.Subject.Kind != KindKnown || i < 0 {
		return errors.New("flow: a proof was accepted for nobody")
	}
	// Who has several wants to know which one was used, and when.
	if string(shown.Credential.Data) != string(about.Enrolled[i].Data) || t.e.authenticators[o.Authenticator].Info().Several {
		if err := t.changeEnrollment(shown.Credential); err != nil {
			return err
		}
	}
	t.proved(o, shown.UserVerified, shown.Hardware)
	return nil
}

// judged counts an answer to o as right or wrong, by what its authenticator says
// of it. While answers are not looked at the right one is wrong (SEC S-109).
func (t *Turn) judged(ctx context.Context, o *Open, answer authenticator.Input, verdict error) error {
	if verdict == nil && t.over.paused {
		verdict = authenticator.ErrWrong
	}
	if verdict == nil || errors.Is(verdict, authenticator.ErrWrong) {
		if err := t.count(ctx, o, verdict == nil, t.answersLink(o, answer)); err != nil {
			return err
		}
	}
	return verdict
}

// answersLink reports whether the answer is one that only a mailed link gives.
func (t *Turn) answersLink(o *Open, answer authenticator.Input) bool {
	l, ok := t.e.authenticators[o.Authenticator].(authenticator.Linker)
	if !ok {
		return false
	}
	about, err := t.about(o)
	return err == nil && l.IsLinkAnswer(about, o.Prompt, answer)
}

func empty(in authenticator.Input) bool {
	for _, v := range in {
		if !directory.Blank(v) {
			return false
		}
	}
	return true
}

// credentials opens the enrollments of an authenticator, oldest first; for a
// subject without one every answer is wrong.
func (t *Turn) credentials(key string) ([]authenticator.Credential, error) {
	if t.account == nil {
		return nil, nil
	}
	var out []authenticator.Credential
	for _, en := range t.account.Enrollments {
		if en.Authenticator != key {
			continue
		}
		c, err := t.e.OpenCredential(en)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// changeEnrollment writes a credential over the one that its enrollment has.
func (t *Turn) changeEnrollment(c authenticator.Credential) error {
	i := slices.IndexFunc(t.account.Enrollments, func(en directory.Enrollment) bool { return en.ID == c.ID })
	if i < 0 {
		return errors.New("flow: a changed credential has no enrollment")
	}
	en := &t.account.Enrollments[i]
	en.Version++
	en.Credential, en.LastUsedAt = t.e.SealCredential(en.ID, c), t.now
	row := *en
	t.writes = append(t.writes, func(tx Tx) error { return tx.UpdateEnrollment(row) })
	return nil
}

// cancel forgets the person and kills what was issued to them; the interaction
// and its handle live on (IDX §3.7, decision D23). What was used up of the limits stays so.
func cancel(_ context.Context, t *Turn, _ Input) error {
	tx := t.tx
	if !tx.ProfileOpen && tx.Subject == nil && !tx.Recovering && !tx.Unlocking {
		return nil
	}
	t.tx = &Transaction{
		ID: tx.ID, Version: tx.Version, ExpiresAt: tx.ExpiresAt, CreatedAt: tx.CreatedAt, Request: tx.Request,
		Guesses: tx.Guesses, Code: Code{Serial: tx.Code.Serial}, Last: tx.Last,
	}
	if id, now := tx.Session, t.now; tx.Kept { // whoever cancels on a shared machine is signed out of it
		t.writes = append(t.writes, func(w Tx) error { return w.EndSession(id, now) })
		t.durable = true
	}
	t.account = nil
	t.move()
	return nil
}
