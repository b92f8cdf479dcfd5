package sqlstore

import (
	"context"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
)

// Transactions are the statements on transactions that lie in one table.
type Transactions struct{ read, insert, step, save query }

// wholeTransactions are those on all of them.
var wholeTransactions = TransactionsIn("transactions")

func init() {
	queries = append(queries, wholeTransactions.read, wholeTransactions.insert, wholeTransactions.step, wholeTransactions.save)
}

// TransactionsIn returns the statements on a table with transactions, which may
// be a partition.
//
// A step of a flow leaves the end of its transaction as it is. SQLite rewrites
// the entry of an indexed column that an UPDATE names, even with an equal value:
// hence one statement that names only what changes, and one for the other case.
func TransactionsIn(table string) *Transactions {
	return &Transactions{
		read: query{"read transaction", `
	SELECT id, client_id, version, expires_at, data FROM ` + table + ` WHERE id = $1`},
		insert: query{"insert transaction", `
	INSERT INTO ` + table + ` (id, client_id, version, expires_at, data)
	VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`},
		step: query{"save transaction", `
	UPDATE ` + table + ` SET version = $2, data = $3
	WHERE id = $1 AND version + 1 = $2 AND client_id = $4 AND expires_at = $5`},
		save: query{"save transaction", `
	UPDATE ` + table + ` SET version = $2, data = $3, client_id = $4, expires_at = $5
	WHERE id = $1 AND version + 1 = $2`},
	}
}

// transactions are the statements on the table with an id.
func (d *Dialect) transactions(id string) *Transactions {
	if len(id) > 2 {
		if t := d.Partitions[id[:2]]; t != nil {
			return t
		}
	}
	return wholeTransactions
}

func scanTransaction(row Row) (r flow.Row, err error) {
	err = row.Scan(&r.ID, &r.ClientID, &r.Version, at(&r.ExpiresAt), &r.Data)
	return r, err
}

// Transaction implements [store.Reader].
func (r *Reader) Transaction(ctx context.Context, id string) (flow.Row, error) {
	return one(ctx, r, r.dialect.transactions(id).read, scanTransaction, id)
}

// InsertTransaction implements [store.Tx].
func (t *Tx) InsertTransaction(r flow.Row) error {
	err := t.write(store.ErrConflict, t.dialect.transactions(r.ID).insert,
		r.ID, r.ClientID, r.Version, micros(r.ExpiresAt), blob(r.Data))
	if err == nil {
		t.stepped(r)
	}
	return err
}

// Steps are the rows of transactions written so far, as they would be read.
func (t *Tx) Steps() []flow.Row { return t.steps }

func (t *Tx) stepped(r flow.Row) {
	r.ExpiresAt = timeOf(micros(r.ExpiresAt))
	t.steps = append(t.steps, r)
}

// SaveTransaction implements [store.Tx].
func (t *Tx) SaveTransaction(r flow.Row) error {
	args := []any{r.ID, r.Version, blob(r.Data), r.ClientID, micros(r.ExpiresAt)}
	in := t.dialect.transactions(r.ID)
	n, err := t.exec(in.step, args...)
	if err == nil && n == 0 {
		err = t.write(store.ErrStale, in.save, args...)
	}
	if err == nil {
		t.stepped(r)
	}
	return err
}
