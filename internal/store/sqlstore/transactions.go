package sqlstore

import (
	"context"
	"database/sql"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
)

var selectTransaction = define("read transaction", `
	SELECT id, client_id, version, expires_at, data FROM transactions WHERE id = $1`)

func scanTransaction(rows *sql.Rows) (r flow.Row, err error) {
	err = rows.Scan(&r.ID, &r.ClientID, &r.Version, at(&r.ExpiresAt), &r.Data)
	return r, err
}

// Transaction implements [store.Reader].
func (r *Reader) Transaction(ctx context.Context, id string) (flow.Row, error) {
	return one(ctx, r, selectTransaction, scanTransaction, id)
}

var insertTransaction = define("insert transaction", `
	INSERT INTO transactions (id, client_id, version, expires_at, data)
	VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`)

// InsertTransaction implements [store.Tx].
func (t *Tx) InsertTransaction(r flow.Row) error {
	return t.write(store.ErrConflict, insertTransaction,
		r.ID, r.ClientID, r.Version, micros(r.ExpiresAt), blob(r.Data))
}

// A step of a flow leaves the end of its transaction as it is. SQLite rewrites
// the entry of an indexed column that an UPDATE names, even with an equal value:
// hence one statement that names only what changes, and one for the other case.
var (
	stepTransaction = define("save transaction", `
	UPDATE transactions SET version = $2, data = $3
	WHERE id = $1 AND version + 1 = $2 AND client_id = $4 AND expires_at = $5`)

	saveTransaction = define("save transaction", `
	UPDATE transactions SET version = $2, data = $3, client_id = $4, expires_at = $5
	WHERE id = $1 AND version + 1 = $2`)
)

// SaveTransaction implements [store.Tx].
func (t *Tx) SaveTransaction(r flow.Row) error {
	args := []any{r.ID, r.Version, blob(r.Data), r.ClientID, micros(r.ExpiresAt)}
	n, err := t.exec(stepTransaction, args...)
	if err != nil || n > 0 {
		return err
	}
	return t.write(store.ErrStale, saveTransaction, args...)
}
