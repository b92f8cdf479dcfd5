package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// What is under way in a copy must not go on in it: codes and links may have been
// used since, and mail was sent (SEC S-152, REL R-25).
const (
	voidTransactions = `DELETE FROM transactions`
	// The links that give something back to its owner stay: they let nobody in.
	voidTickets = `UPDATE tickets SET spent_at = $1 WHERE spent_at = 0 AND kind NOT IN ('email-undo', 'deletion-undo')`
	voidMail    = `
	UPDATE outbox SET status = 'expired', payload = $1, last_error = 'restored', leased_until = 0
	WHERE status IN ('queued', 'delayed')`
)

// What was ended since the copy was made must not be in force again (R §1, I5). A
// copy cannot know what that is: so all that began before ends.
var signIns = []string{
	`UPDATE users SET signed_out_at = $1, kept = ''`,
	`UPDATE sessions SET ended_at = $1 WHERE ended_at = 0`,
	`UPDATE refresh_families SET revoked_at = $1 WHERE revoked_at = 0`,
}

// An account that was to go may have been kept since: it waits its time again, and
// its link is good for as long.
var keep = []string{
	`UPDATE users SET delete_at = $1 WHERE delete_at > 0 AND delete_at < $1`,
	`UPDATE tickets SET expires_at = $1 WHERE kind = 'deletion-undo' AND spent_at = 0 AND expires_at < $1`,
}

// PutOffDeletions lets no account go before a time.
func (t *Target) PutOffDeletions(ctx context.Context, until time.Time) error {
	for _, statement := range keep {
		if _, err := t.f.Conn.ExecContext(ctx, statement, until.UnixMicro()); err != nil {
			return fmt.Errorf("put deletions off: %w", err)
		}
	}
	return nil
}

// VoidUnderWay ends transactions with their codes, links and tokens that were
// mailed or handed out, and mail that waits.
func (t *Target) VoidUnderWay(ctx context.Context, at time.Time) error {
	_, err := t.f.Conn.ExecContext(ctx, voidTransactions)
	if err == nil {
		_, err = t.f.Conn.ExecContext(ctx, voidTickets, at.UnixMicro())
	}
	if err == nil {
		_, err = t.f.Conn.ExecContext(ctx, voidMail, []byte{})
	}
	if err != nil {
		return fmt.Errorf("void what was under way: %w", err)
	}
	return nil
}

// VoidSignIns signs everybody out of everything. A check of a token reads no user
// (decision D36), so that apps have ended what they had too.
func (t *Target) VoidSignIns(ctx context.Context, at time.Time) error {
	for _, statement := range signIns {
		if _, err := t.f.Conn.ExecContext(ctx, statement, at.UnixMicro()); err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
	}
	clients, err := t.clients(ctx)
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	tx := sqlstore.NewTx(ctx, sqlstore.SQLConn{Conn: t.f.Conn}, t.f.Dialect)
	for _, c := range clients {
		c.Version++
		c.EndedAt = at
		if err := tx.UpdateClient(c); err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
	}
	return nil
}

func (t *Target) clients(ctx context.Context) ([]oauth.Client, error) {
	rows, err := t.f.Conn.QueryContext(ctx, "SELECT id, version, data FROM clients")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []oauth.Client
	for rows.Next() {
		var c oauth.Client
		var id string
		var version int64
		var data []byte
		if err := rows.Scan(&id, &version, &data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, err
		}
		c.ID, c.Version = id, version
		all = append(all, c)
	}
	return all, rows.Err()
}

// Erase deletes users who were deleted after the copy was made, and returns which
// of them were there (REL R-26). No id can come again, of the others neither.
func (t *Target) Erase(ctx context.Context, ids []string, at time.Time) (gone []string, err error) {
	tx := sqlstore.NewTx(ctx, sqlstore.SQLConn{Conn: t.f.Conn}, t.f.Dialect)
	for _, id := range ids {
		err := tx.DeleteUser(id, at)
		switch {
		case err == nil:
			gone = append(gone, id)
		case errors.Is(err, store.ErrNotFound):
			_, err = t.f.Conn.ExecContext(ctx, "INSERT INTO deleted_users (id, deleted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", id, at.UnixMicro())
		}
		if err != nil {
			return nil, fmt.Errorf("erase: %w", err)
		}
	}
	return gone, nil
}

// Append adds a row to the audit log, after all others, from whichever server
// these come.
func (t *Target) Append(ctx context.Context, row audit.Row) error {
	events, err := json.Marshal(row.Events)
	if err == nil {
		_, err = t.f.Conn.ExecContext(ctx, `
			INSERT INTO audit (seq, id, at, events) SELECT COALESCE(max(seq), 0) + 1, $1, $2, $3 FROM audit`,
			row.ID, row.At.UnixMicro(), string(events))
	}
	if err != nil {
		return fmt.Errorf("append audit: %w", err)
	}
	return nil
}
