package flow

import (
	"context"
	"errors"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

func beginSignUp(_ context.Context, t *Turn, _ Input) error {
	t.tx.ProfileOpen = true
	t.move()
	return nil
}

func backToSignIn(_ context.Context, t *Turn, _ Input) error {
	t.tx.ProfileOpen, t.tx.Recovering, t.tx.Unlocking = false, false, false
	t.move()
	return nil
}

// enrollProfile takes the sign-up form. No account is made: the names live in
// the transaction until the address is proven (SEC S-30).
func enrollProfile(ctx context.Context, t *Turn, in Input) error {
	first, bad := name(in, "First name", "userProfile.firstName")
	last, more := name(in, "Last name", "userProfile.lastName")
	bad = append(bad, more...)
	address, more := email(in, "userProfile.email")
	bad = append(bad, more...)
	values, worse := attributes(in, t.profile().Asked(policy.AtSignUp))
	bad = append(bad, worse...)
	if len(bad) > 0 {
		t.refuse(problem.Invalid, bad...)
		return nil
	}

	account, err := t.e.accountByAddress(ctx, address.Canonical)
	if err != nil {
		return err
	}
	if account != nil && account.Status != directory.Provisioned && t.enumeration() == policy.Disclose {
		t.refuse(problem.Invalid, notUnique())
		return nil
	}
	subject := &Subject{
		Kind: KindNew, ID: directory.NewID("00u"), Login: address.Display, Canonical: address.Canonical,
		Locale: t.tx.Request.Locale, SignUp: true, FirstName: first, LastName: last, Attributes: values,
	}
	purpose := authenticator.SignUp
	switch {
	case account == nil, account.Status == directory.Provisioned: // the proof makes, or activates, the account
	case account.Status != directory.Active: // no answer will be right, as at sign-in
		subject.Kind, purpose = KindUnknown, authenticator.SignInUnknown
	default: // the same page; the mail differs, and the proof signs in (decision D8)
		subject.Kind, subject.UserID, purpose = KindKnown, account.ID, authenticator.SignUpKnown
		t.account = account
	}
	return t.begin(ctx, subject, &Open{Authenticator: emailKey, Enrolling: true, Purpose: purpose})
}

func name(in Input, label, field string) (string, []problem.Message) {
	if directory.Blank(in[field]) {
		return "", []problem.Message{blank(field)}
	}
	n, err := directory.ParseName(in[field], directory.MaxName)
	if err != nil {
		return "", []problem.Message{badPattern(label, field)}
	}
	return n, nil
}

func email(in Input, field string) (directory.Address, []problem.Message) {
	if directory.Blank(in[field]) {
		return directory.Address{}, []problem.Message{blank(field)}
	}
	a, err := directory.ParseAddress(in[field])
	if err != nil {
		return directory.Address{}, badEmail(field)
	}
	return a, nil
}

// prove makes the account of a new subject, or finds that somebody made it
// meanwhile: then this transaction goes on as a sign-in by the same proof (SEC S-38).
func (t *Turn) prove(ctx context.Context, c authenticator.Credential) error {
	s := t.tx.Subject
	existing, err := t.e.accountByAddress(ctx, s.Canonical)
	if err != nil {
		return err
	}
	switch {
	case existing == nil:
	case existing.Status == directory.Provisioned: // invited, and came by the sign-up form
		s.Kind, s.UserID, s.Created, t.account = KindKnown, existing.ID, true, existing
		t.activate()
		return t.enroll(t.tx.Open.Authenticator, c)
	case existing.Status != directory.Active:
		t.end(problem.Forbidden, accessDenied())
		return nil
	default:
		s.Kind, s.UserID, t.account = KindKnown, existing.ID, existing
		return nil
	}
	if wait, ok := t.sourceMaySignUp(); !ok {
		t.retry = wait
		t.refuse(problem.Throttled, tooMany())
		return nil
	}
	u := directory.User{
		ID: s.ID, Version: 1, Status: directory.Active, Email: s.Login, Canonical: s.Canonical,
		FirstName: s.FirstName, LastName: s.LastName, Locale: s.Locale,
		Attributes: s.Attributes, Groups: slices.Sorted(slices.Values(t.profile().Groups)),
		EmailVerifiedAt: t.now, CreatedAt: t.now, UpdatedAt: t.now,
	}
	s.UserID, s.Created, t.userMade = u.ID, true, true
	t.account = &directory.Account{User: u}
	t.writes = append(t.writes, func(tx Tx) error { return tx.InsertUser(u) })
	t.record(audit.Event{Type: "user.lifecycle.create", Outcome: audit.Success})
	return t.enroll(t.tx.Open.Authenticator, c)
}

// enrollmentID is random or, for what only one person may have, made of that: then
// the database refuses it a second time.
func (e *Engine) enrollmentID(key string, c authenticator.Credential) string {
	prefix := e.authenticators[key].Info().EnrollmentPrefix
	if len(c.Unique) == 0 {
		return directory.NewID(prefix)
	}
	mac := e.keys.MAC("flow/unique credential", key, string(c.Unique))
	return prefix + directory.IDFrom(mac[:])
}

// enroll adds an authenticator to the subject's account.
func (t *Turn) enroll(key string, c authenticator.Credential) error {
	if t.tx.Activating {
		if err := t.useTicket(); err != nil {
			return err
		}
	}
	en := directory.Enrollment{
		ID:     t.e.enrollmentID(key, c),
		UserID: t.account.ID, Version: 1, Authenticator: key, CreatedAt: t.now, LastUsedAt: t.now,
	}
	en.Credential = t.e.SealCredential(en.ID, c)
	if t.over.taken && len(c.Unique) > 0 {
		t.refuse(problem.Invalid, notEnrolled())
		return nil
	}
	if key == passwordKey {
		t.tx.Changed = true
	}
	if !t.e.authenticators[key].Info().Several && !t.userMade {
		t.claimUser() // a person has one
	}
	for _, old := range t.spent(key) { // the new one takes its place
		t.removeEnrollment(old)
	}
	t.account.Enrollments = append(t.account.Enrollments, en)
	t.writes = append(t.writes, func(tx Tx) error {
		err := tx.InsertEnrollment(en)
		if problem.KindOf(err) == problem.Conflict && len(c.Unique) > 0 {
			return overLimit{taken: true}
		}
		return err
	})
	if key != emailKey { // which is never removed
		t.tx.Enrolled = append(t.tx.Enrolled, session.Addition{Enrollment: en.ID, At: t.now})
	}
	t.durable = true
	t.record(audit.Event{Type: "user.mfa.factor.activate", Outcome: audit.Success, Authenticator: key})
	// Who comes in for the first time, with nothing from before, knows what they have added,
	// unless a device answered: it may be a stranger's, who has seen the QR code or was sent
	// the link by mistake.
	known := t.untouched() || t.tx.Subject.Created && key == emailKey // proven by whoever reads the notice
	if t.elsewhere || !known && !t.recovering() {
		t.notify("method-added", authenticator.Mail{Method: t.e.authenticators[key].Info().Name, Which: c.Which()})
	}
	t.move()
	return nil
}

// chooseEnrollment opens the chosen authenticator of those listed.
func chooseEnrollment(ctx context.Context, t *Turn, in Input) error {
	key, ok := t.chosen(in, t.choices())
	if !ok {
		t.refuse(problem.Invalid, blank("authenticator"))
		return nil
	}
	o, details := t.tx.Open, t.detailsOf(key, true, in)
	if o != nil && o.Authenticator == key && o.Wanted == nil && !o.changes(details) && !t.refusedElsewhere() && !(t.dead() && !o.Sent) && !t.anew(o, details) {
		return t.reselect(ctx)
	}
	details = t.withEarlier(key, details)
	return t.open(ctx, &Open{Authenticator: key, Enrolling: true, Purpose: authenticator.SignUp, Details: details})
}

// chosen finds the authenticator that the answer names by id. Clients may leave
// out the method of one that has a single method (IDX §1.7).
func (t *Turn) chosen(in Input, among []string) (string, bool) {
	for _, key := range among {
		if in["authenticator.id"] == t.e.authenticators[key].Info().ID {
			return key, true
		}
	}
	return "", false
}

// answerEnrollment takes the proof that makes an authenticator the person's own.
func answerEnrollment(ctx context.Context, t *Turn, in Input) error {
	o := t.tx.Open
	if t.dead() {
		t.refuse(problem.Unauthenticated, wrongCode())
		return nil
	}
	answer := credentials(in)
	about, err := t.about(o)
	if err != nil {
		return err
	}
	c, err := t.openAuthenticator().FinishEnroll(ctx, about, o.Prompt, answer)
	if t.openAuthenticator().Info().EnrollmentProves && !t.tx.proven() || o.Sent {
		// A guess at an address, whoever has it or will: the same lanes as at sign-in.
		err = t.judged(ctx, o, answer, err)
	}
	if err != nil {
		return t.failed(ctx, err)
	}
	proves := t.openAuthenticator().Info().EnrollmentProves
	// Who enrols what the app cannot do without is not asked for it once more.
	short := t.short()
	switch {
	case t.account == nil && (t.tx.Subject.Kind != KindNew || !proves):
		return errors.New("flow: an enrollment was accepted for nobody")
	case t.account == nil:
		err = t.prove(ctx, c)
	case !t.enrolled(o.Authenticator), t.openAuthenticator().Info().Several:
		err = t.enroll(o.Authenticator, c)
	}
	if err != nil || t.tx.Ended != nil || t.kind != problem.None {
		return err
	}
	// Nor is who has just set something up, and is asked for more because of it.
	known := proves || short || t.short()
	t.added(o)
	if known || OwnLeft.Test(t) {
		t.proved(o, c.VerifiesUser, c.Hardware)
	}
	t.tx.Open = nil
	t.durable = true
	t.move()
	return t.onlyFactor(ctx)
}

func skipOptional(_ context.Context, t *Turn, _ Input) error {
	t.tx.Open = nil
	t.tx.Skipped, t.tx.Added = true, true
	t.move()
	return nil
}
