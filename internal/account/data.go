package account

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
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
	Events    []audit.Event // newest first
	// EventsSince is where the search for events ended; zero: it saw all of them.
	EventsSince time.Time
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
	page     = 1_000
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
	d := Data{At: c.now, User: c.account.User}
	if d.Methods, err = a.Methods(ctx, by); err != nil {
		return Data{}, err
	}
	d.Methods = slices.DeleteFunc(d.Methods, func(m Method) bool { return m.ID == "" })
	if d.Addresses, err = c.addresses(ctx); err != nil {
		return Data{}, err
	}
	if d.Sessions, err = a.Store.Sessions(ctx, by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: sessions: %w", err)
	}
	if d.Grants, err = a.Store.Grants(ctx, by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: grants: %w", err)
	}
	if d.Devices, err = a.Store.Devices(ctx, by.UserID); err != nil {
		return Data{}, fmt.Errorf("account: devices: %w", err)
	}
	d.Events, d.EventsSince, err = a.events(ctx, by.UserID)
	return d, err
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
func (a *Accounts) events(ctx context.Context, userID string) ([]audit.Event, time.Time, error) {
	var out []audit.Event
	var oldest time.Time
	collect := func(records []audit.Record) error {
		for _, r := range slices.Backward(records) {
			oldest = r.At
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
	for left := searched; next > 1; left -= page {
		if left <= 0 {
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
