package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// pendingPhone is what the ticket of a new number keeps sealed.
type pendingPhone struct {
	Number string `json:"number"` // E.164
	proving
}

// A Phone is a number of an account: the one in use, or one that waits for its proof.
// The id is the same before and after.
type Phone struct {
	ID       string
	Number   string // E.164, all of it
	Verified bool
	Kept     Kept // why it cannot be removed; empty: it can

	// Of one that waits.
	Challenge string // id of the open one; empty: no code was asked for
	ExpiresAt time.Time
}

var (
	errNoPhone     = problem.New(problem.NotFound, "phone", "there is no such number")
	errPhoneThere  = problem.New(problem.Conflict, "phone", "The number is in use already.")
	errPhoneMethod = problem.New(problem.Invalid, "method", "method: A code cannot be sent in this way.")
	errPhoneNumber = problem.New(problem.Invalid, "phoneNumber", "phoneNumber: Invalid Phone Number.")
	errNoPhones    = problem.New(problem.Forbidden, "phone", "Phones are not in use here.")
	errPhoneProven = problem.New(problem.Forbidden, "phone", "The number is proven already.")
	errPhoneCode   = problem.New(problem.Unauthenticated, "code", // AUTH §14.4
		"This operation couldn't be completed as requested due to an issue with the specified authenticator.")
)

// phones is the authenticator of phones, where people may have one.
func (c *change) phones() (authenticator.Authenticator, error) {
	if !c.allowed(phoneKey) {
		return nil, errNoPhones
	}
	return c.a.authenticators[phoneKey], nil
}

// Phones lists the number in use, if there is one, and one that waits.
func (a *Accounts) Phones(ctx context.Context, by Actor) ([]Phone, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return nil, err
	}
	out := []Phone{}
	for _, en := range c.account.Enrollments {
		if en.Authenticator != phoneKey || a.authenticators[phoneKey] == nil {
			continue
		}
		number, err := c.numberOf(en)
		if err != nil {
			return nil, err
		}
		kept, err := c.kept(ctx, en)
		if err != nil {
			return nil, err
		}
		out = append(out, Phone{ID: en.ID, Number: number, Verified: true, Kept: kept})
	}
	tickets, err := c.waiting(ctx, directory.PhoneChange)
	if err != nil {
		return nil, err
	}
	for _, t := range tickets {
		var p pendingPhone
		if err := a.unseal(t, &p); err != nil {
			return nil, err
		}
		out = append(out, p.phone(t))
	}
	return out, nil
}

// Phone returns one of them.
func (a *Accounts) Phone(ctx context.Context, by Actor, id string) (Phone, error) {
	all, err := a.Phones(ctx, by)
	if err != nil {
		return Phone{}, err
	}
	i := slices.IndexFunc(all, func(p Phone) bool { return p.ID == id })
	if i < 0 {
		return Phone{}, errNoPhone
	}
	return all[i], nil
}

func (c *change) numberOf(en directory.Enrollment) (string, error) {
	addresser, ok := c.a.authenticators[phoneKey].(authenticator.Addresser)
	if !ok {
		return "", errors.New("account: the phone authenticator tells no number")
	}
	credential, err := c.a.Secrets.OpenCredential(en)
	return addresser.Address(credential), err
}

func (p *pendingPhone) phone(t directory.Ticket) Phone {
	return Phone{ID: t.ID, Number: p.Number, Challenge: p.Challenge, ExpiresAt: t.ExpiresAt}
}

// AddPhone takes a new number, in place of one that may wait, and with send has the
// code sent at once by a method, "sms" or "voice". Once it is proven it takes the
// place of the number in use.
func (a *Accounts) AddPhone(ctx context.Context, by Actor, typed, method string, send bool) (Phone, error) {
	var out Phone
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		phones, err := c.phones()
		if err != nil {
			return err
		}
		if err := c.need(ctx, Fresh); err != nil {
			return err
		}
		t := directory.Ticket{
			ID: directory.NewID(phones.Info().EnrollmentPrefix), Kind: directory.PhoneChange, UserID: by.UserID, Version: 1,
			CreatedAt: c.now, ExpiresAt: c.now.Add(changeLife),
		}
		p := pendingPhone{Number: typed}
		begun, err := phones.BeginEnroll(ctx, c.phoneSubject(t, &p, method))
		if err != nil {
			return phoneError(err)
		}
		for _, ef := range begun.Effects {
			if ef.Text != nil {
				p.Number = ef.Text.To
			}
		}
		if en, ok := c.account.Enrolled(phoneKey); ok {
			if number, err := c.numberOf(en); err != nil || number == p.Number {
				return errors.Join(err, errPhoneThere)
			}
		}
		end, err := c.sendsBefore(ctx, &p)
		if err != nil {
			return err
		}
		if send {
			if wait := a.resendWait(&p.proving, end, c.now); p.Sends > 0 && wait > 0 {
				return throttled(wait)
			}
			if err := c.challengePhone(ctx, t, &p, method); err != nil {
				return err
			}
		}
		if err := a.seal(&t, p); err != nil {
			return err
		}
		out = p.phone(t)
		c.write(func(tx Tx) error { return tx.SpendTickets(t.UserID, t.Kind, t.CreatedAt) })
		c.write(func(tx Tx) error { return tx.InsertTicket(t) })
		return nil
	})
	return out, err
}

// sendsBefore counts what went to the same number within the life of a change, also by
// one that was given up or replaced: to add it once more is no way around the wait for
// another code. Where there were too many, it returns when the last one that had them
// ends.
func (c *change) sendsBefore(ctx context.Context, p *pendingPhone) (end time.Time, err error) {
	tickets, err := c.a.Store.Tickets(ctx, c.account.ID, directory.PhoneChange)
	if err != nil {
		return end, fmt.Errorf("account: tickets: %w", err)
	}
	for _, t := range tickets {
		if !c.now.Before(t.ExpiresAt) {
			continue
		}
		var before pendingPhone
		if err := c.a.unseal(t, &before); err != nil {
			return end, err
		}
		if before.Number != p.Number {
			continue
		}
		if before.Sends > c.a.resends() && t.ExpiresAt.After(end) {
			end = t.ExpiresAt
		}
		p.Sends = max(p.Sends, before.Sends)
		if before.SentAt.After(p.SentAt) {
			p.SentAt = before.SentAt
		}
	}
	return end, nil
}

// phoneError tells what is wrong with a number or a method.
func phoneError(err error) error {
	var rejected *authenticator.Rejected
	var wanted *authenticator.Wanted
	switch {
	case errors.As(err, &wanted):
		return errPhoneNumber
	case !errors.As(err, &rejected):
		return err
	case slices.ContainsFunc(rejected.Messages, func(m problem.Message) bool { return m.Field == "phoneNumber" }):
		return errPhoneNumber
	}
	return errPhoneMethod
}

// SendPhoneCode sends a code to a number that waits: the first one, or one more,
// which makes the one before void.
func (a *Accounts) SendPhoneCode(ctx context.Context, by Actor, id, method string) (Phone, error) {
	var out Phone
	err := a.do(ctx, by, func(ctx context.Context, c *change) error {
		if c.phoneEnrollment(id) {
			return errPhoneProven
		}
		t, p, err := c.pendingPhone(ctx, id)
		if err != nil {
			return err
		}
		if wait := a.resendWait(&p.proving, t.ExpiresAt, c.now); wait > 0 {
			return throttled(wait)
		}
		if err := c.challengePhone(ctx, t, p, method); err != nil {
			return err
		}
		out = p.phone(t)
		return c.update(t, p)
	})
	return out, err
}

// VerifyPhone takes the code that was sent to a number, and makes it the person's.
// Whatever is wrong, the answer is the same.
func (a *Accounts) VerifyPhone(ctx context.Context, by Actor, id, code string) error {
	if directory.Blank(code) {
		return problem.New(problem.Invalid, "verificationCode", "verificationCode: This field cannot be left blank")
	}
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		t, p, err := c.pendingPhone(ctx, id)
		if problem.KindOf(err) == problem.NotFound {
			return errPhoneCode
		}
		if err != nil {
			return err
		}
		phones, err := c.phones()
		if err != nil {
			return err
		}
		if p.Challenge == "" || p.Tries >= a.tries() {
			return errPhoneCode
		}
		credential, err := phones.FinishEnroll(ctx, c.phoneSubject(t, p, ""), p.Prompt, authenticator.Input{"passcode": code})
		if err != nil && !errors.Is(err, authenticator.ErrWrong) {
			return err
		}
		right := err == nil && !c.paused
		c.countGuess(a.Rules.Code, right, c.addressGuesses(p.Number)...)
		if right {
			p.proving = proving{}
			return c.replacePhone(ctx, t, p, credential)
		}
		return c.missed(t, &p.proving, p, phoneKey, errPhoneCode)
	})
}

// replacePhone makes a proven number the person's, in place of the one in use. What
// that one let in ends (SEC S-32).
func (c *change) replacePhone(ctx context.Context, t directory.Ticket, p *pendingPhone, credential authenticator.Credential) error {
	method := c.a.authenticators[phoneKey].Info().Name
	if old, ok := c.account.Enrolled(phoneKey); ok {
		c.remove(old)
		if err := c.signOutOthers(ctx); err != nil {
			return err
		}
		if err := c.notify(ctx, authenticator.Mail{Template: "method-removed", Method: method, Which: c.which(old)}); err != nil {
			return err
		}
	}
	en := directory.Enrollment{ID: t.ID, UserID: c.account.ID, Version: 1, Authenticator: phoneKey, CreatedAt: c.now}
	en.Credential = c.a.Secrets.SealCredential(en.ID, credential)
	c.write(func(tx Tx) error { return tx.InsertEnrollment(en) })
	if err := c.update(t, p); err != nil {
		return err
	}
	if err := c.added(ctx, en); err != nil {
		return err
	}
	c.write(func(tx Tx) error { return tx.SpendTicket(t.ID, c.now) })
	c.record(audit.Event{Type: "user.mfa.factor.activate", Authenticator: phoneKey})
	return c.notify(ctx, authenticator.Mail{Template: "method-added", Method: method, Which: credential.Which()})
}

// RemovePhone removes the number in use, as RemoveMethod does, or gives up one that
// waits, which takes rights from nobody.
func (a *Accounts) RemovePhone(ctx context.Context, by Actor, id string) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		for _, en := range c.account.Enrollments {
			if en.ID == id && en.Authenticator == phoneKey && a.authenticators[phoneKey] != nil {
				return c.removeMethod(ctx, en)
			}
		}
		if _, _, err := c.pendingPhone(ctx, id); err != nil {
			return err
		}
		now := c.now
		c.write(func(tx Tx) error { return tx.SpendTicket(id, now) })
		return nil
	})
}

func (c *change) phoneEnrollment(id string) bool {
	return slices.ContainsFunc(c.account.Enrollments, func(en directory.Enrollment) bool { return en.ID == id && en.Authenticator == phoneKey })
}

// pendingPhone reads a number of the actor's that may still be proven.
func (c *change) pendingPhone(ctx context.Context, id string) (directory.Ticket, *pendingPhone, error) {
	t, err := c.a.Store.Ticket(ctx, id)
	if problem.KindOf(err) == problem.NotFound ||
		err == nil && (t.UserID != c.account.ID || t.Kind != directory.PhoneChange || !t.SpentAt.IsZero() || !c.now.Before(t.ExpiresAt)) {
		return t, nil, errNoPhone
	}
	if err != nil {
		return t, nil, fmt.Errorf("account: ticket: %w", err)
	}
	p := &pendingPhone{}
	return t, p, c.a.unseal(t, p)
}

// phoneSubject is the person as the authenticator sees them: it binds what it issues
// to this ticket, this challenge and this number (SEC S-07).
func (c *change) phoneSubject(t directory.Ticket, p *pendingPhone, method string) authenticator.Subject {
	return authenticator.Subject{
		Transaction: t.ID, Challenge: p.Challenge, UserID: c.account.ID, Address: c.account.Email, Login: c.account.Email,
		Locale: c.account.Locale, Purpose: authenticator.PhoneChange, Enrolling: true,
		Details: authenticator.Input{"methodType": method, "phoneNumber": p.Number},
	}
}

// challengePhone issues a code, and queues its message.
func (c *change) challengePhone(ctx context.Context, t directory.Ticket, p *pendingPhone, method string) error {
	phones, err := c.phones()
	if err != nil {
		return err
	}
	resender, ok := phones.(authenticator.Resender)
	if !ok {
		return errors.New("account: the phone authenticator cannot send again")
	}
	goesOn, err := c.another(&p.proving, t.ExpiresAt)
	switch {
	case err != nil:
		return err
	case goesOn && string(p.Prompt.Method) == method:
		p.Prompt, err = resender.Resend(ctx, c.phoneSubject(t, p, method), p.Prompt)
	default:
		p.Prompt, err = phones.BeginEnroll(ctx, c.phoneSubject(t, p, method))
	}
	if err != nil {
		return phoneError(err)
	}
	for _, ef := range p.Prompt.Effects {
		if ef.Text == nil {
			continue
		}
		if err := c.countText(*ef.Text); err != nil {
			return err
		}
		c.mails = append(c.mails, Letter{
			Text: ef.Text, User: c.account.User, App: c.app, Source: c.person(), Locale: c.account.Locale, At: c.now,
		})
	}
	p.Prompt.Effects = nil
	p.Sends++
	p.SentAt = c.now
	return nil
}
