package account

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
)

// proving is how far the proof of something new has come.
type proving struct {
	Challenge  string               `json:"challenge,omitempty"` // id; empty: none was asked for
	Prompt     authenticator.Prompt `json:"prompt,omitzero"`
	Tries      int                  `json:"tries,omitempty"`      // wrong codes of this challenge
	Challenges int                  `json:"challenges,omitempty"` // so far
	Sends      int                  `json:"sends,omitempty"`
	SentAt     time.Time            `json:"sentAt,omitzero"`
}

// another begins a challenge, in place of one that wrong codes have used up: there
// are only so many. It reports whether the one in hand goes on.
func (c *change) another(p *proving, end time.Time) (goesOn bool, err error) {
	if p.Challenge != "" && p.Tries < c.a.tries() {
		return true, nil
	}
	if p.Challenges >= c.a.challenges() {
		return false, throttled(end.Sub(c.now))
	}
	p.Challenge, p.Tries = directory.NewID("ch"), 0
	p.Challenges++
	return false, nil
}

// waiting lists the tickets of a kind that are neither spent nor too old.
func (c *change) waiting(ctx context.Context, kind directory.TicketKind) ([]directory.Ticket, error) {
	all, err := c.a.Store.Tickets(ctx, c.account.ID, kind)
	if err != nil {
		return nil, fmt.Errorf("account: tickets: %w", err)
	}
	return slices.DeleteFunc(all, func(t directory.Ticket) bool { return !t.SpentAt.IsZero() || !c.now.Before(t.ExpiresAt) }), nil
}

// update has a ticket written with what it keeps sealed now.
func (c *change) update(t directory.Ticket, sealed any) error {
	t.Version++
	if err := c.a.seal(&t, sealed); err != nil {
		return err
	}
	c.write(func(tx Tx) error { return tx.UpdateTicket(t) })
	return nil
}

// missed counts a wrong code, and answers what every wrong code is answered.
func (c *change) missed(t directory.Ticket, p *proving, sealed any, key string, answer error) error {
	p.Tries++
	if err := c.update(t, sealed); err != nil {
		return err
	}
	c.record(audit.Event{
		Type: "user.authentication.auth_via_mfa", Outcome: audit.Failure, Reason: audit.InvalidCredentials, Authenticator: key,
	})
	return answer
}
