package account

import (
	"context"
	"errors"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// undoLife is how long the old address can be given back (SEC S-34, UX M8).
const undoLife = 7 * 24 * time.Hour

// undo is what the ticket that gives an address back keeps sealed.
type undo struct {
	Email      string    `json:"email"` // the address that was in use
	Canonical  string    `json:"canonical"`
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
	App        string    `json:"app,omitempty"` // client id of where it was changed
}

// VerifyEmail takes the code that was mailed to a new address, and puts it in the
// old one's place. Whatever is wrong, the answer is the same: a wrong code, one
// that is too old, an address that is taken, a change that is not there any more.
func (a *Accounts) VerifyEmail(ctx context.Context, by Actor, id, challenge, code string) error {
	if directory.Blank(code) {
		return problem.New(problem.Invalid, "verificationCode", "verificationCode: This field cannot be left blank")
	}
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		t, p, err := c.pending(ctx, id)
		if problem.KindOf(err) == problem.NotFound {
			return errWrongCode
		}
		if err != nil {
			return err
		}
		if p.Challenge == "" || p.Challenge != challenge || p.Tries >= a.tries() {
			return errWrongCode
		}
		credential, err := a.authenticators[emailKey].FinishEnroll(ctx, c.subject(t, p), p.Prompt, authenticator.Input{"passcode": code})
		if err != nil && !errors.Is(err, authenticator.ErrWrong) {
			return err
		}
		// The guess counts as what it is; what is taken or paused only looks wrong.
		right := err == nil && !p.Taken && !c.taken && !c.paused
		c.countGuess(a.Rules.Code, right, c.addressGuesses(p.Canonical)...)
		if right {
			return c.replace(ctx, t, p, credential)
		}
		return c.missed(t, &p.proving, p, emailKey, errWrongCode)
	})
}

// replace puts the proven address in the old one's place: user, enrollment, the
// way back and the end of all other sessions in one transaction.
func (c *change) replace(ctx context.Context, t directory.Ticket, p *pending, credential authenticator.Credential) error {
	earlier, err := c.earlier(ctx)
	if err != nil {
		return err
	}
	kept, returns := c.returnTo(p.Canonical, earlier)
	told := kept
	if !returns {
		back, err := c.wayBack()
		if err != nil {
			return err
		}
		c.write(func(tx Tx) error { return tx.InsertTicket(back.Ticket) })
		told = append([]earlierAddress{back}, kept...)
	}
	// Whoever can give an address back is told of each change that follows.
	for _, e := range onePerAddress(told, p.Canonical) {
		err := c.mailTo(e.Email, authenticator.Mail{
			Template: "email-changed", Address: p.Email,
			Link: c.a.PublicURL + "/account/undo/" + c.a.Secrets.MintTicket(e.Ticket), ExpiresAt: e.ExpiresAt,
		})
		if err != nil {
			return err
		}
	}
	c.write(func(tx Tx) error { return tx.SpendTicket(t.ID, c.now) })
	c.move(p.Email, p.Canonical, c.now, credential)
	c.record(audit.Event{Type: "user.account.update_primary_email", Authenticator: emailKey})
	return c.signOutOthers(ctx)
}

// wayBack is the ticket that gives the address in use back.
func (c *change) wayBack() (earlierAddress, error) {
	e := earlierAddress{
		Ticket: directory.Ticket{
			ID: directory.NewID("tk"), Kind: directory.EmailUndo, UserID: c.account.ID, Version: 1,
			CreatedAt: c.now, ExpiresAt: c.now.Add(undoLife),
		},
		undo: undo{Email: c.account.Email, Canonical: c.account.Canonical, VerifiedAt: c.account.EmailVerifiedAt, App: c.by.App},
	}
	return e, c.a.seal(&e.Ticket, e.undo)
}

// returnTo reports whether an address could be given back still that comes back by
// another change now. That is what its link does, and ends alike: nobody takes the
// account from there by the link of an address that came in between, which may be
// theirs who are to be kept out. Its own links stay, for they do more. kept are the
// addresses that can be given back still.
func (c *change) returnTo(canonical string, earlier []earlierAddress) (kept []earlierAddress, returns bool) {
	var since time.Time
	for _, e := range earlier {
		if e.Canonical == canonical && (since.IsZero() || e.CreatedAt.Before(since)) {
			since = e.CreatedAt
		}
	}
	if since.IsZero() {
		return earlier, false
	}
	for _, e := range earlier {
		if e.Canonical == canonical || e.CreatedAt.Before(since) {
			kept = append(kept, e)
			continue
		}
		c.write(func(tx Tx) error { return tx.SpendTicket(e.ID, c.now) })
	}
	return kept, true
}

// move changes the address and its enrollment with it.
func (c *change) move(email, canonical string, verifiedAt time.Time, credential authenticator.Credential) {
	u := &c.account.User
	u.Email, u.Canonical, u.EmailVerifiedAt, u.UpdatedAt = email, canonical, verifiedAt, c.now
	en, ok := c.account.Enrolled(emailKey)
	if ok {
		en.Version++
		en.Credential = c.a.Secrets.SealCredential(en.ID, credential)
		c.write(func(tx Tx) error { return tx.UpdateEnrollment(en) })
		return
	}
	c.enroll(emailKey, credential)
}

// enroll adds an authenticator to the account.
func (c *change) enroll(key string, credential authenticator.Credential) directory.Enrollment {
	en := directory.Enrollment{
		ID:     directory.NewID(c.a.authenticators[key].Info().EnrollmentPrefix),
		UserID: c.account.ID, Version: 1, Authenticator: key, CreatedAt: c.now,
	}
	en.Credential = c.a.Secrets.SealCredential(en.ID, credential)
	c.write(func(tx Tx) error { return tx.InsertEnrollment(en) })
	return en
}

// An earlierAddress was in use, and can still be given back.
type earlierAddress struct {
	directory.Ticket
	undo
}

// earlier lists them, those of the last change first. An address that came and went
// more than once is there more than once, and so is the one in use if it did.
func (c *change) earlier(ctx context.Context) ([]earlierAddress, error) {
	tickets, err := c.waiting(ctx, directory.EmailUndo)
	if err != nil {
		return nil, err
	}
	var out []earlierAddress
	for _, t := range tickets {
		e := earlierAddress{Ticket: t}
		if err := c.a.unseal(t, &e.undo); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// onePerAddress keeps the first of each address that is not the one in use.
func onePerAddress(all []earlierAddress, inUse string) []earlierAddress {
	met := map[string]bool{inUse: true}
	var out []earlierAddress
	for _, e := range all {
		if !met[e.Canonical] {
			out = append(out, e)
		}
		met[e.Canonical] = true
	}
	return out
}
