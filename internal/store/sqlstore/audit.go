package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/store"
)

// The database numbers rows as they come: a clock that steps back does not
// change their order.
var (
	firstAuditRows = define("read audit", `
	SELECT id, at, events FROM audit ORDER BY seq LIMIT $1`)

	nextAuditRows = define("read audit", `
	SELECT id, at, events FROM audit WHERE seq > (SELECT seq FROM audit WHERE id = $2) ORDER BY seq LIMIT $1`)

	knowsAuditRow = define("read audit", `SELECT 1 FROM audit WHERE id = $1`)
)

func scanAudit(rows *sql.Rows) (a audit.Row, err error) {
	var events []byte
	if err = rows.Scan(&a.ID, at(&a.At), &events); err == nil {
		err = json.Unmarshal(events, &a.Events)
	}
	return a, err
}

// AuditRows implements [store.Reader].
func (r *Reader) AuditRows(ctx context.Context, after string, limit int) ([]audit.Row, error) {
	if after == "" {
		return list(ctx, r, firstAuditRows, scanAudit, limit)
	}
	all, err := list(ctx, r, nextAuditRows, scanAudit, limit, after)
	if err != nil || len(all) > 0 {
		return all, err
	}
	_, err = one(ctx, r, knowsAuditRow, func(*sql.Rows) (struct{}, error) { return struct{}{}, nil }, after)
	return nil, err
}

var insertAudit = define("append audit", `
	INSERT INTO audit (id, at, events) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`)

// Append implements [store.Tx].
func (t *Tx) Append(a audit.Row) error {
	events, err := json.Marshal(a.Events)
	if err != nil {
		return fmt.Errorf("store: append audit: %w", err)
	}
	return t.write(store.ErrConflict, insertAudit, a.ID, micros(a.At), string(events))
}
