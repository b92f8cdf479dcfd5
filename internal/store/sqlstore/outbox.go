package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
)

const outboxColumns = `id, kind, payload, status, attempts, last_error,
	created_at, not_before, expires_at, leased_until, fence`

func scanMessage(row Row) (m outbox.Message, err error) {
	err = row.Scan(&m.ID, &m.Kind, &m.Payload, &m.Status, &m.Attempts, &m.LastError,
		at(&m.CreatedAt), at(&m.NotBefore), at(&m.ExpiresAt), at(&m.LeasedUntil), &m.Fence)
	if len(m.Payload) == 0 {
		m.Payload = nil
	}
	return m, err
}

var selectMessage = define("read message", `SELECT `+outboxColumns+` FROM outbox WHERE id = $1`)

// OutboxMessage implements [store.Reader].
func (r *Reader) OutboxMessage(ctx context.Context, id string) (outbox.Message, error) {
	return one(ctx, r, selectMessage, scanMessage, id)
}

var messagesAfter = define("read messages", `SELECT `+outboxColumns+` FROM outbox WHERE id > $1 ORDER BY id LIMIT $2`)

// Messages implements [store.Reader].
func (r *Reader) Messages(ctx context.Context, after string, limit int) ([]outbox.Message, error) {
	return list(ctx, r, messagesAfter, scanMessage, after, limit)
}

// It names the statuses as the partial index outbox_due does.
var waitingMessages = define("count messages",
	`SELECT count(*), COALESCE(min(created_at), 0) FROM outbox WHERE status IN ('queued', 'delayed') AND expires_at > $1`)

// OutboxWaiting implements [store.Reader].
func (r *Reader) OutboxWaiting(ctx context.Context, now time.Time) (n int64, oldest time.Time, err error) {
	err = each(ctx, r, waitingMessages, func(row Row) error { return row.Scan(&n, at(&oldest)) }, micros(now))
	return n, oldest, err
}

// dueMessages must name the statuses as the partial index outbox_due does.
const dueMessages = `status IN ('queued', 'delayed') AND not_before <= $1 AND expires_at > $1 AND leased_until <= $1 AND kind = $2`

var anyDue = define("look for due messages", `SELECT 1 FROM outbox WHERE `+dueMessages+` LIMIT 1`)

// due reports whether there is a message of a kind to claim, without writing.
func (r *Reader) due(ctx context.Context, kind string, now time.Time) (bool, error) {
	due := false
	err := each(ctx, r, anyDue, func(Row) error { due = true; return nil }, micros(now), kind)
	return due, err
}

// Picked once, and not for each row that is looked at: hence MATERIALIZED.
var claimOutbox = vary("claim messages", func(d *Dialect) string {
	return `
	WITH picked AS MATERIALIZED (
		SELECT id FROM outbox WHERE ` + dueMessages + ` ORDER BY not_before, created_at LIMIT $4 ` + d.SkipLocked + `
	)
	UPDATE outbox SET leased_until = $3, fence = fence + 1 WHERE id IN (SELECT id FROM picked) RETURNING ` + outboxColumns
})

// ClaimOutbox does the work of [store.Store]'s ClaimOutbox.
func ClaimOutbox(ctx context.Context, r *Reader, do Do, kind string, now, leaseUntil time.Time, limit int) (claimed []outbox.Message, err error) {
	due, err := r.due(ctx, kind, now)
	if err != nil || !due {
		return nil, err
	}
	err = do(ctx, store.Relaxed, func(tx *Tx) (err error) {
		claimed, err = tx.claim(kind, now, leaseUntil, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

func (t *Tx) claim(kind string, now, leaseUntil time.Time, limit int) ([]outbox.Message, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	q := claimOutbox(t.dialect)
	var all []outbox.Message
	t.failed = t.dialect.query(t.ctx, t.conn, q, func(row Row) error {
		m, err := scanMessage(row)
		all = append(all, m)
		return err
	}, micros(now), kind, micros(leaseUntil), limit)
	if t.failed != nil {
		return nil, t.failed
	}
	t.rows += int64(len(all))
	slices.SortFunc(all, func(a, b outbox.Message) int { // RETURNING has no order
		if c := a.NotBefore.Compare(b.NotBefore); c != 0 {
			return c
		}
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

var (
	insertMessage = define("queue message", `
	INSERT INTO outbox (`+outboxColumns+`)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`)

	settleMessage = define("settle message", `
	UPDATE outbox SET payload = $3, status = $4, attempts = $5, last_error = $6, not_before = $7, leased_until = $8
	WHERE id = $1 AND fence = $2`)
)

// Enqueue implements [store.Tx].
func (t *Tx) Enqueue(m outbox.Message) error {
	return t.write(store.ErrConflict, insertMessage,
		m.ID, m.Kind, blob(m.Payload), string(m.Status), m.Attempts, m.LastError,
		micros(m.CreatedAt), micros(m.NotBefore), micros(m.ExpiresAt), micros(m.LeasedUntil), m.Fence)
}

// Settle implements [store.Tx].
func (t *Tx) Settle(m outbox.Message) error {
	return t.write(store.ErrStale, settleMessage,
		m.ID, m.Fence, blob(m.Payload), string(m.Status), m.Attempts, m.LastError,
		micros(m.NotBefore), micros(m.LeasedUntil))
}
