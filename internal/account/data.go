package account

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// Data is everything that the installation holds about a person, without secrets.
type Data struct {
	At        time.Time
	User      directory.User
	Methods   []Method
	Addresses []PastAddress
	Sessions  []session.Session
	Grants    []Grant
	Devices   []session.Device
	Events    []audit.Event      // newest first
	Tickets   []directory.Ticket // of an export alone, as are Mails
	Mails     []Mail
	// EventsSince is where the search for events ended; zero: it saw all of them.
	EventsSince time.Time
}

// Belongings are what is kept of a person's sessions, grants and tickets, newest first.
type Belongings struct {
	Sessions []session.Session
	Grants   []Grant
	Tickets  []directory.Ticket
}

// A Mail is one that waits to be delivered, without what it says.
type Mail struct {
	ID        string
	To        string
	Template  string
	Status    string
	Attempts  int
	CreatedAt time.Time
	ExpiresAt time.Time
}

// A PastAddress is one that was in use and can be given back, or that waits for its proof.
type PastAddress struct {
	Address string
	Pending bool
	Until   time.Time
}

// searched is how many of the newest rows of the audit log are looked through: the
// log has no index of people, and one request must not read all of it.
const (
	searched = 20_000
	exported = 1_000_000 // of an operator's export
	page     = 1_000
	// spare is what is left of a request's time when the search ends at the latest.
	spare = 3 * time.Second
)

// Data collects it.
func (a *Accounts) Data(ctx context.Context, by Actor) (Data, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return Data{}, err
	}
	if err := c.need(ctx, Recent); err != nil {
		return Data{}, err
	}
	d, err := c.data(ctx)
	if err != nil {
		return Data{}, err
	}
	if d.Sessions, err = a.Store.Sessions(ctx, by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: sessions: %w", err)
	}
	if d.Grants, err = a.Store.Grants(ctx, by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: grants: %w", err)
	}
	d.Events, d.EventsSince, err = a.events(ctx, by.UserID, searched)
	return d, err
}

// Export collects it for an operator who was asked for it, with what is over and
// not purged yet. It needs no proof of the person, and is a refusal of kind
// NotFound if there is no such user.
func (a *Accounts) Export(ctx context.Context, userID string) (Data, error) {
	c, err := a.open(ctx, Actor{UserID: userID})
	if errors.Is(err, errGone) {
		return Data{}, problem.New(problem.NotFound, "", "there is no user %s", userID)
	}
	if err != nil {
		return Data{}, err
	}
	d, err := c.data(ctx)
	if err != nil {
		return Data{}, err
	}
	all, err := a.Store.Belongings(ctx, userID)
	if err != nil {
		return Data{}, fmt.Errorf("account: belongings: %w", err)
	}
	d.Sessions, d.Grants, d.Tickets = all.Sessions, all.Grants, all.Tickets
	addresses := []string{c.account.Canonical}
	for _, p := range d.Addresses {
		if one, err := directory.ParseAddress(p.Address); err == nil {
			addresses = append(addresses, one.Canonical)
		}
	}
	if d.Mails, err = a.Store.Mails(ctx, addresses); err != nil {
		return Data{}, fmt.Errorf("account: mails: %w", err)
	}
	d.Events, d.EventsSince, err = a.events(ctx, userID, exported)
	return d, err
}

// data is what every form of it has.
func (c *change) data(ctx context.Context) (d Data, err error) {
	d = Data{At: c.now, User: c.account.User}
	if d.Methods, err = c.a.Methods(ctx, c.by); err != nil {
		return Data{}, err
	}
	d.Methods = slices.DeleteFunc(d.Methods, func(m Method) bool { return m.ID == "" })
	for _, en := range c.account.Enrollments { // of what this engine does not have any more
		if !slices.ContainsFunc(d.Methods, func(m Method) bool { return m.ID == en.ID }) {
			d.Methods = append(d.Methods, Method{
				ID: en.ID, Info: authenticator.Info{Key: en.Authenticator}, CreatedAt: en.CreatedAt, LastUsedAt: en.LastUsedAt,
			})
		}
	}
	if d.Addresses, err = c.addresses(ctx); err != nil {
		return Data{}, err
	}
	if d.Devices, err = c.a.Store.Devices(ctx, c.by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: devices: %w", err)
	}
	return d, nil
}

func (c *change) addresses(ctx context.Context) ([]PastAddress, error) {
	earlier, err := c.earlier(ctx)
	if err != nil {
		return nil, err
	}
	var out []PastAddress
	for _, e := range onePerAddress(earlier, c.account.Canonical) {
		out = append(out, PastAddress{Address: e.Email, Until: e.ExpiresAt})
	}
	emails, err := c.a.Emails(ctx, c.by)
	if err != nil {
		return nil, err
	}
	for _, e := range emails[1:] {
		out = append(out, PastAddress{Address: e.Address, Pending: true, Until: e.ExpiresAt})
	}
	return out, nil
}

// events goes back through the log to what was done by the person or to them.
// Where somebody else acted, where they were is theirs and left out.
func (a *Accounts) events(ctx context.Context, userID string, rows int) ([]audit.Event, time.Time, error) {
	var out []audit.Event
	var oldest time.Time
	collect := func(records []audit.Record) error {
		for _, r := range slices.Backward(records) {
			oldest = r.At
			if !bytes.Contains(r.Events, []byte(userID)) { // ids are as they are in JSON
				continue
			}
			var all []audit.Event
			if err := json.Unmarshal(r.Events, &all); err != nil {
				return fmt.Errorf("account: audit row %s: %w", r.ID, err)
			}
			for _, ev := range slices.Backward(all) {
				if ev.Actor != userID && ev.Target != userID {
					continue
				}
				if ev.Actor != userID {
					ev.IP, ev.UserAgent = "", ""
				}
				out = append(out, ev)
			}
		}
		return nil
	}
	unsealed, err := a.Store.UnsealedAudit(ctx, page)
	if err != nil {
		return nil, oldest, fmt.Errorf("account: audit: %w", err)
	}
	if err := collect(unsealed); err != nil {
		return nil, oldest, err
	}
	next, err := a.lastPosition(ctx)
	if err != nil {
		return nil, oldest, err
	}
	for left := rows; next > 1; left -= page {
		if end, ok := ctx.Deadline(); left <= 0 || ok && time.Until(end) < spare {
			return out, oldest, nil
		}
		from := max(1, next-page)
		records, err := a.Store.SealedAudit(ctx, from, int(next-from))
		if err != nil {
			return nil, oldest, fmt.Errorf("account: audit: %w", err)
		}
		if err := collect(records); err != nil {
			return nil, oldest, err
		}
		next = from
	}
	return out, time.Time{}, nil
}

// lastPosition is the first that no sealed row has.
func (a *Accounts) lastPosition(ctx context.Context) (int64, error) {
	last, err := a.Store.LastSeal(ctx)
	if problem.KindOf(err) == problem.NotFound {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("account: audit: %w", err)
	}
	return last.Last + 1, nil
}
