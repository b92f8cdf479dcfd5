package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/problem"
)

// A Device is where the person is signed in: a browser that has a session here,
// with what apps began in it, or an app elsewhere that can renew its tokens.
type Device struct {
	ID        string // of the session, or of the grant
	Browser   string // in a person's words; empty: it did not say
	System    string
	IP        string
	Apps      []string // names
	CreatedAt time.Time
	SeenAt    time.Time
	EndsAt    time.Time
	Current   bool // it is the one that asks

	session bool
	grants  []Grant
}

var errNoDevice = problem.New(problem.NotFound, "device", "there is no such device")

// Devices lists them, the one that asks first, then those seen last.
func (a *Accounts) Devices(ctx context.Context, by Actor) ([]Device, error) {
	c, err := a.open(ctx, by)
	if err != nil {
		return nil, err
	}
	return c.devices(ctx)
}

func (c *change) devices(ctx context.Context) ([]Device, error) {
	sessions, err := c.a.Store.Sessions(ctx, c.account.ID)
	if err != nil {
		return nil, fmt.Errorf("account: sessions: %w", err)
	}
	grants, err := c.a.Store.Grants(ctx, c.account.ID)
	if err != nil {
		return nil, fmt.Errorf("account: grants: %w", err)
	}
	var out []Device
	for _, s := range sessions {
		if !s.Live(c.now) {
			continue
		}
		d := Device{
			ID: s.ID, IP: s.IP, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt, EndsAt: s.ExpiresAt,
			Current: s.ID == c.by.Session, session: true,
		}
		d.Browser, d.System = c.a.Agent(s.UserAgent)
		out = append(out, d)
	}
	for _, g := range grants {
		if !c.now.Before(g.EndsAt) {
			continue
		}
		app, err := c.a.Apps.App(ctx, g.App)
		if err != nil {
			return nil, fmt.Errorf("account: app: %w", err)
		}
		i := slices.IndexFunc(out, func(d Device) bool { return d.session && d.ID == g.Session })
		if i < 0 {
			d := Device{ID: g.ID, IP: g.IP, CreatedAt: g.CreatedAt, EndsAt: g.EndsAt}
			d.Browser, d.System = c.a.Agent(g.UserAgent)
			out = append(out, d)
			i = len(out) - 1
		}
		d := &out[i]
		d.grants = append(d.grants, g)
		d.Current = d.Current || c.by.Grant != "" && g.Grant == c.by.Grant
		if g.SeenAt.After(d.SeenAt) {
			d.SeenAt = g.SeenAt
		}
		if app.Name != "" && !slices.Contains(d.Apps, app.Name) {
			d.Apps = append(d.Apps, app.Name)
		}
	}
	slices.SortStableFunc(out, func(x, y Device) int {
		if x.Current != y.Current {
			if x.Current {
				return -1
			}
			return 1
		}
		return cmp.Compare(y.SeenAt.UnixMicro(), x.SeenAt.UnixMicro())
	})
	return out, nil
}

// EndDevice signs the person out on one device. It needs no proof beyond the
// token: who has lost a phone must not be held up, and it takes rights from nobody else.
func (a *Accounts) EndDevice(ctx context.Context, by Actor, id string) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		devices, err := c.devices(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(devices, func(d Device) bool { return d.ID == id })
		if i < 0 {
			return errNoDevice
		}
		d := devices[i]
		target := d.ID
		if !d.session {
			target = d.grants[0].Grant // the name of it in all other events
		}
		c.write(func(tx Tx) error {
			if d.session {
				if err := errors.Join(tx.EndSession(d.ID, c.now), tx.Void(d.ID, c.now)); err != nil {
					return err
				}
			}
			for _, g := range d.grants {
				if err := errors.Join(tx.RevokeGrant(g.Grant, c.now), tx.Void(g.Grant, c.now)); err != nil {
					return err
				}
			}
			return nil
		})
		c.record(audit.Event{Type: "user.session.end", Target: target})
		return nil
	})
}

// EndOtherDevices signs the person out everywhere but here.
func (a *Accounts) EndOtherDevices(ctx context.Context, by Actor) error {
	return a.do(ctx, by, func(ctx context.Context, c *change) error {
		c.record(audit.Event{Type: "user.session.end"})
		return c.signOutOthers(ctx)
	})
}

// SignOutEverywhere ends all of it, here too, and a pending change of address.
func (a *Accounts) SignOutEverywhere(ctx context.Context, by Actor) error {
	return a.do(ctx, by, func(_ context.Context, c *change) error {
		c.signOut()
		return nil
	})
}
