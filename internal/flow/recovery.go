package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// recoverPassword says that the password is forgotten. Said again it changes
// nothing, as clients say it before each further call (IDX §3.6). Nothing about
// the account changes before proof (SEC S-60).
func recoverPassword(_ context.Context, t *Turn, _ Input) error {
	if t.tx.Recovering && t.tx.Open == nil {
		return nil
	}
	t.tx.Recovering, t.tx.Open, t.tx.Aside = true, nil, nil
	// What a session brought along is too old for this (SEC S-56).
	t.tx.Proofs = slices.DeleteFunc(t.tx.Proofs, func(p Proof) bool { return p.At.Before(t.tx.CreatedAt) })
	t.move()
	return nil
}

// identifyRecovery takes the user name of somebody who has forgotten their
// password, and lists the ways to prove it even where there is one: clients look
// for the list (IDX §3.6).
func identifyRecovery(ctx context.Context, t *Turn, in Input) error {
	subject, err := t.named(ctx, in)
	if subject == nil || err != nil {
		return err
	}
	if subject.Kind == KindUnknown && t.enumeration() == policy.Disclose {
		t.refuse(problem.Invalid, unknownUser(subject.Login))
		return nil
	}
	t.tx.Subject = subject
	t.move()
	return nil
}

// change is the question for a new password. Nothing of it is kept: the stage
// asks it.
func (t *Turn) change(ctx context.Context) (*Open, authenticator.Changer, error) {
	changer, ok := t.e.authenticators[passwordKey].(authenticator.Changer)
	if !ok {
		return nil, nil, errors.New("flow: there are no passwords to change")
	}
	o := &Open{ID: t.tx.ID, Authenticator: passwordKey, Enrolling: true, Purpose: t.purpose()}
	about, err := t.about(o)
	if err != nil {
		return nil, nil, err
	}
	o.Prompt, err = changer.BeginChange(ctx, about)
	return o, changer, err
}

// changePassword takes the new password, of a recovery or in place of one whose
// time is over. Everything that was signed in by what was before ends (SEC S-32).
func changePassword(ctx context.Context, t *Turn, in Input) error {
	o, changer, err := t.change(ctx)
	if err != nil {
		return err
	}
	about, err := t.about(o)
	if err != nil {
		return err
	}
	updated, err := changer.FinishChange(ctx, about, o.Prompt, credentials(in))
	if err != nil {
		return t.failed(ctx, err)
	}
	kind, template := "user.account.update_password", "password-changed"
	if t.tx.Recovering {
		kind = "user.account.reset_password"
	}
	if len(about.Enrolled) > 0 {
		updated.ID = about.First().ID
		if err := t.changeEnrollment(updated); err != nil {
			return err
		}
	} else {
		template = "method-added"
		if err := t.enroll(passwordKey, updated); err != nil {
			return err
		}
	}
	t.record(audit.Event{Type: kind, Outcome: audit.Success, Authenticator: passwordKey})
	t.notify(template, authenticator.Mail{Method: t.e.authenticators[passwordKey].Info().Name})
	if err := t.signOutEverywhere(); err != nil {
		return err
	}
	t.tx.Changed = true
	if t.tx.Recovering {
		t.unpause(passwordKey) // what was guessed at is gone (SEC S-49)
		t.tx.Reset = true
		if !t.shows(passwordKey) {
			t.proved(o, false, false) // who has just chosen it knows it
		}
		if t.org.PasswordFor(t.groups()).NoSignIn {
			t.end(problem.None, recoveryCompleted())
		}
	}
	return nil
}

// withoutPassword ends a recovery without a new password: what was forgotten
// goes, and the person signs in by what they have proven.
func withoutPassword(_ context.Context, t *Turn, _ Input) error {
	if en, ok := t.account.Enrolled(passwordKey); ok {
		t.removeEnrollment(en)
		t.notify("method-removed", authenticator.Mail{Method: t.e.authenticators[passwordKey].Info().Name})
	}
	t.unpause(passwordKey)
	t.tx.Reset = true
	return t.signOutEverywhere()
}

func (t *Turn) removeEnrollment(en directory.Enrollment) {
	t.claimUser()
	kept := t.account.Enrollments[:0:0]
	for _, e := range t.account.Enrollments {
		if e.ID != en.ID {
			kept = append(kept, e)
		}
	}
	t.account.Enrollments = kept
	t.writes = append(t.writes, func(tx Tx) error { return tx.DeleteEnrollment(en.ID) })
	t.record(audit.Event{Type: "user.mfa.factor.deactivate", Outcome: audit.Success, Authenticator: en.Authenticator})
}

// changeLater puts off the change of a password whose time is nearly over.
func changeLater(_ context.Context, t *Turn, _ Input) error {
	t.tx.Warned = true
	t.move()
	return nil
}

func beginUnlock(_ context.Context, t *Turn, _ Input) error {
	t.tx.Unlocking = true
	t.move()
	return nil
}

// unlock takes whose password is to be tried again, and sends the proof. It is
// the same for everybody, paused or not, known or not (AUTH §8).
func unlock(ctx context.Context, t *Turn, in Input) error {
	if _, ok := t.chosen(in, []string{emailKey}); !ok {
		t.refuse(problem.Invalid, blank("authenticator"))
		return nil
	}
	subject, err := t.named(ctx, in)
	if subject == nil || err != nil {
		return err
	}
	t.tx.Subject = subject
	return t.begin(ctx, subject, &Open{Authenticator: emailKey, Purpose: t.purpose()})
}

// unlocked ends the pause of the password of who has just proven themselves for that.
func (t *Turn) unlocked() {
	if !t.tx.Unlocking || t.tx.Unlocked {
		return
	}
	t.tx.Unlocked = true
	t.unpause(passwordKey)
	t.record(audit.Event{Type: "user.account.unlock", Outcome: audit.Success})
	if t.StageOf() != Success {
		t.messages = append(t.messages, accountUnlocked())
	}
}

// notify tells the person of a change to their account at every address that they have
// proven: the one in use, and when it is written those that may still be given back,
// since it may be somebody else who reads the one in use (SEC S-56, S-61).
func (t *Turn) notify(template string, m authenticator.Mail) {
	m.Template, m.To, m.FirstName, m.Date = template, t.account.Email, t.account.FirstName, t.now
	t.mails = append(t.mails, Outgoing{Mail: m, Client: t.client, Request: t.tx.Request, At: t.now, notice: true})
}

// toEarlier repeats the notices for the earlier addresses of the account.
func (t *Turn) toEarlier(ctx context.Context) error {
	if !slices.ContainsFunc(t.mails, func(m Outgoing) bool { return m.notice }) {
		return nil
	}
	addresses, err := t.e.earlier(ctx, t.account.ID)
	if err != nil {
		return fmt.Errorf("earlier addresses: %w", err)
	}
	for _, m := range slices.Clone(t.mails) {
		for _, to := range addresses {
			if m.notice {
				m.Mail.To = to
				t.mails = append(t.mails, m)
			}
		}
	}
	return nil
}

// signOutEverywhere ends every session and token of the person that began before
// now (SEC S-32, S-104), and the recovery links that are out. The one that began
// this goes first: it must not have been used elsewhere.
func (t *Turn) signOutEverywhere() error {
	if err := t.useTicket(); err != nil {
		return err
	}
	t.changeUser(func(u *directory.User) { u.SignOut(t.now) })
	t.tx.SignedOutAt = t.now
	id, now := t.account.ID, t.now
	t.writes = append(t.writes, func(tx Tx) error { return tx.SignOut(id, now) })
	t.durable = true
	t.move()
	return nil
}

// changeUser changes the user's row.
func (t *Turn) changeUser(change func(*directory.User)) {
	t.claimUser()
	u := &t.account.User
	change(u)
	u.UpdatedAt = t.now
}

// claimUser has the turn written over the version of the user that it has read, so
// that of two that add or remove at once, at whatever nodes, one is first and the
// other reads anew. It writes the row once, however often it is called in a turn.
func (t *Turn) claimUser() {
	if t.userChanged {
		return
	}
	t.userChanged = true
	u := &t.account.User
	u.Version++
	t.writes = append(t.writes, func(tx Tx) error { return tx.UpdateUser(*u) })
}
