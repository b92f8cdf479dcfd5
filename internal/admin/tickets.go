package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
)

// How long tickets are good for.
const (
	ActivationLife = 7 * 24 * time.Hour
	RecoveryLife   = time.Hour
)

// TicketPath is where mailed tickets lead: an address of the engine's own, which
// sends the browser on to the app (SEC S-17).
const TicketPath = "/t/"

const ticketPurpose = "admin/ticket"

// A Delivery says how a ticket gets to who it is for.
type Delivery struct {
	Mail   bool
	Client string // whose pages take it; "": the one app that has such a page
}

// A Ticket is what an operator hands to a person.
type Ticket struct {
	Token     string // recoveryToken or activationToken of the client's SDK
	URL       string // where it leads; "" if no app has a page for it
	ExpiresAt time.Time

	row     directory.Ticket
	client  string
	letters []outbox.Message
}

// write puts the ticket in place of those of its kind that are still open.
func (t Ticket) write(tx Tx) error {
	if t.row.ID == "" {
		return nil
	}
	return errors.Join(tx.SpendTickets(t.row.UserID, t.row.Kind, t.row.CreatedAt), tx.InsertTicket(t.row))
}

// ticketData is what a ticket keeps, sealed.
type ticketData struct {
	Client string `json:"client,omitempty"`
}

func (s *Service) ticket(ctx context.Context, u directory.User, kind directory.TicketKind, by Delivery) (Ticket, error) {
	now := s.Now()
	life, letter := RecoveryLife, AdminRecovery
	if kind == directory.Activation {
		life, letter = ActivationLife, Invitation
	}
	client, err := s.pageOf(ctx, kind, by)
	if err != nil {
		return Ticket{}, err
	}
	data, err := json.Marshal(ticketData{client.ID})
	if err != nil {
		return Ticket{}, err
	}
	row := directory.Ticket{
		ID: directory.NewID("tk"), Kind: kind, UserID: u.ID, Version: 1, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	row.Data = s.Keys.Seal(ticketPurpose, row.ID, data)
	t := Ticket{Token: s.Engine.MintTicket(row), ExpiresAt: row.ExpiresAt, row: row, client: client.ID}
	if client.ID == "" {
		return t, nil
	}
	t.URL = s.PublicURL + TicketPath + t.Token
	if !by.Mail {
		return t, nil
	}
	m, err := s.Post.Prepare(Letter{Kind: letter, To: u, Client: client, Link: t.URL, At: now, ExpiresAt: t.ExpiresAt})
	if err != nil {
		return t, fmt.Errorf("queue mail: %w", err)
	}
	t.letters = []outbox.Message{m}
	return t, nil
}

// page is where a client takes a kind of tickets.
func page(c oauth.Client, kind directory.TicketKind) (uri, field, parameter string) {
	if kind == directory.Activation {
		return c.ActivationURI, "activationUri", "activationToken"
	}
	return c.RecoveryURI, "recoveryUri", "recoveryToken"
}

// pageOf finds the client whose page takes a ticket; the zero one if there is none and none is needed.
func (s *Service) pageOf(ctx context.Context, kind directory.TicketKind, by Delivery) (oauth.Client, error) {
	all, err := s.Store.Clients(ctx)
	if err != nil {
		return oauth.Client{}, err
	}
	_, field, _ := page(oauth.Client{}, kind)
	var found []oauth.Client
	for _, c := range all {
		uri, _, _ := page(c, kind)
		switch {
		case by.Client != "" && c.ID == by.Client && c.Disabled:
			return c, invalid("client", "the app %s is switched off", c.ID)
		case by.Client != "" && c.ID == by.Client && uri == "":
			return c, invalid("client", "the app %s has no %s for a link to lead to", c.ID, field)
		case c.Disabled || uri == "", by.Client != "" && c.ID != by.Client:
		default:
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case by.Client != "":
		return oauth.Client{}, invalid("client", "there is no app %s", by.Client)
	case !by.Mail:
		return oauth.Client{}, nil
	case len(found) == 0:
		return oauth.Client{}, invalid("client", "no app has an %s for a mailed link to lead to", field)
	}
	return oauth.Client{}, invalid("client", "several apps have an %s; name one", field)
}

// Reset hands out a ticket to a new password. Nothing of the account changes
// until it is used, and the operator picks nothing (SEC S-60, S-62).
func (s *Service) Reset(ctx context.Context, id string, by Delivery) (Ticket, error) {
	a, err := s.User(ctx, id)
	if err != nil {
		return Ticket{}, err
	}
	if a.Status != directory.Active {
		return Ticket{}, errState
	}
	t, err := s.ticket(ctx, a.User, directory.Recovery, by)
	if err != nil {
		return t, err
	}
	events := []audit.Event{{Type: "user.account.reset_password", Target: a.ID, Client: t.client}}
	return t, s.change(ctx, t.letters, events, t.write)
}

// Activate invites somebody who was not yet, or was deactivated. Who had proven
// the address before proves it once more.
func (s *Service) Activate(ctx context.Context, id string, by Delivery) (directory.Account, Ticket, error) {
	return s.invite(ctx, id, by, directory.Staged, directory.Deactivated)
}

// Reactivate invites somebody again; the ticket before is of no use any more.
func (s *Service) Reactivate(ctx context.Context, id string, by Delivery) (directory.Account, Ticket, error) {
	return s.invite(ctx, id, by, directory.Provisioned)
}

func (s *Service) invite(ctx context.Context, id string, by Delivery, from ...directory.Status) (a directory.Account, t Ticket, err error) {
	err = again(func() error {
		if a, err = s.User(ctx, id); err != nil {
			return err
		}
		may := false
		for _, f := range from {
			may = may || a.Status == f
		}
		switch {
		case !may && a.Status == directory.Active:
			return errActive
		case !may:
			return errState
		}
		if t, err = s.ticket(ctx, a.User, directory.Activation, by); err != nil {
			return err
		}
		a.Version++
		a.Status, a.UpdatedAt, a.EmailVerifiedAt = directory.Provisioned, s.Now(), time.Time{}
		events := []audit.Event{{Type: "user.lifecycle.invite", Target: a.ID, Client: t.client}}
		return s.change(ctx, t.letters, events, func(tx Tx) error {
			if err := tx.UpdateUser(a.User); err != nil {
				return err
			}
			return t.write(tx)
		})
	})
	return a, t, err
}

// Landing is where a mailed ticket sends a browser on to: the app's registered
// page, with the token. It changes nothing, whoever opens it (SEC S-14). ok is
// false for a ticket that was spent, is over, or is none.
func (s *Service) Landing(ctx context.Context, token string) (target string, ok bool, err error) {
	for _, kind := range []directory.TicketKind{directory.Activation, directory.Recovery} {
		id, mine := s.Engine.TicketID(kind, token)
		if !mine {
			continue
		}
		row, err := s.Store.Ticket(ctx, id)
		if is(err, problem.NotFound) {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		if row.Kind != kind || !row.SpentAt.IsZero() || !s.Now().Before(row.ExpiresAt) || len(row.Data) == 0 {
			return "", false, nil
		}
		return s.landing(ctx, row, token)
	}
	return "", false, nil
}

func (s *Service) landing(ctx context.Context, row directory.Ticket, token string) (string, bool, error) {
	var data ticketData
	text, err := s.Keys.Open(ticketPurpose, row.ID, row.Data)
	if err == nil {
		err = json.Unmarshal(text, &data)
	}
	if err != nil {
		return "", false, fmt.Errorf("ticket %s: %w", row.ID, err)
	}
	all, err := s.Store.Clients(ctx)
	if err != nil {
		return "", false, err
	}
	for _, c := range all {
		uri, _, parameter := page(c, row.Kind)
		if c.ID != data.Client || c.Disabled || uri == "" {
			continue
		}
		sep := "?"
		if strings.Contains(uri, "?") {
			sep = "&"
		}
		return uri + sep + url.Values{parameter: {token}}.Encode(), true, nil
	}
	return "", false, nil
}
