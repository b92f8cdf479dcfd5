package sqlstore

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

const ticketColumns = `id, kind, user_id, version, data, created_at, expires_at, spent_at`

var (
	selectTicket = define("read ticket", `SELECT `+ticketColumns+` FROM tickets WHERE id = $1`)

	selectTickets = define("read tickets", `
	SELECT `+ticketColumns+` FROM tickets WHERE user_id = $1 AND kind = $2 ORDER BY created_at DESC, id`)
)

func scanTicket(row Row) (k directory.Ticket, err error) {
	err = row.Scan(&k.ID, &k.Kind, &k.UserID, &k.Version, &k.Data, at(&k.CreatedAt), at(&k.ExpiresAt), at(&k.SpentAt))
	if len(k.Data) == 0 {
		k.Data = nil
	}
	return k, err
}

// Ticket implements [store.Reader].
func (r *Reader) Ticket(ctx context.Context, id string) (directory.Ticket, error) {
	return one(ctx, r, selectTicket, scanTicket, id)
}

// Tickets implements [store.Reader].
func (r *Reader) Tickets(ctx context.Context, userID string, kind directory.TicketKind) ([]directory.Ticket, error) {
	return list(ctx, r, selectTickets, scanTicket, userID, string(kind))
}

// Spending leaves the version alone, so no other statement may write over
// spent_at: else somebody who read the ticket before could give it back.
var (
	insertTicket = define("insert ticket", `
	INSERT INTO tickets (`+ticketColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`)

	updateTicket = define("update ticket", `
	UPDATE tickets SET version = $4, data = $5, expires_at = $6
	WHERE id = $1 AND kind = $2 AND user_id = $3 AND version + 1 = $4 AND spent_at = 0`)

	spendTicket = define("spend ticket", `UPDATE tickets SET spent_at = $2 WHERE id = $1 AND spent_at = 0`)

	spendTickets = define("spend tickets", `
	UPDATE tickets SET spent_at = $3 WHERE user_id = $1 AND kind = $2 AND spent_at = 0`)
)

// InsertTicket implements [store.Tx].
func (t *Tx) InsertTicket(k directory.Ticket) error {
	return t.write(store.ErrConflict, insertTicket, k.ID, string(k.Kind), k.UserID, k.Version, blob(k.Data),
		micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.SpentAt))
}

// UpdateTicket implements [store.Tx].
func (t *Tx) UpdateTicket(k directory.Ticket) error {
	return t.write(store.ErrStale, updateTicket, k.ID, string(k.Kind), k.UserID, k.Version, blob(k.Data),
		micros(k.ExpiresAt))
}

// SpendTicket implements [store.Tx].
func (t *Tx) SpendTicket(id string, at time.Time) error {
	return t.write(store.ErrStale, spendTicket, id, micros(at))
}

// SpendTickets implements [store.Tx].
func (t *Tx) SpendTickets(userID string, kind directory.TicketKind, at time.Time) error {
	_, err := t.exec(spendTickets, userID, string(kind), micros(at))
	return err
}
