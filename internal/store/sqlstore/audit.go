package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/store"
)

// Rows are numbered as they come: a clock that steps back does not change their
// order.
var (
	firstAuditRows = define("read audit", `
	SELECT id, at, events FROM audit ORDER BY seq LIMIT $1`)

	nextAuditRows = define("read audit", `
	SELECT id, at, events FROM audit WHERE seq > (SELECT seq FROM audit WHERE id = $2) ORDER BY seq LIMIT $1`)

	knowsAuditRow = define("read audit", `SELECT 1 FROM audit WHERE id = $1`)
)

func scanAudit(row Row) (a audit.Row, err error) {
	var events []byte
	if err = row.Scan(&a.ID, at(&a.At), &events); err == nil {
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
	_, err = one(ctx, r, knowsAuditRow, func(Row) (struct{}, error) { return struct{}{}, nil }, after)
	return nil, err
}

var insertAudit = vary("append audit", func(d *Dialect) string {
	if d.AuditSeq == "" {
		return `
	INSERT INTO audit (id, at, events) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	}
	return `
	INSERT INTO audit (id, at, events, seq) VALUES ($1, $2, $3, ` + d.AuditSeq + `) ON CONFLICT DO NOTHING`
})

// Append implements [store.Tx].
func (t *Tx) Append(a audit.Row) error {
	events, err := json.Marshal(a.Events)
	if err != nil {
		return fmt.Errorf("store: append audit: %w", err)
	}
	args := []any{a.ID, micros(a.At), string(events)}
	if t.dialect.AuditSeq != "" {
		args = append(args, t.audits)
	}
	t.audits++
	if err = t.write(store.ErrConflict, insertAudit(t.dialect), args...); err == nil {
		t.witness = a.ID
	}
	return err
}

var touchAudit = define("touch audit", `UPDATE audit SET id = id WHERE id = $1`)

// Witnessed reports whether a row of that id was committed, once whoever writes one at
// the moment is through: an id is unique. If so there is something to commit, which
// changes nothing; if not the transaction must be undone.
func (t *Tx) Witnessed(id string) (bool, error) {
	err := t.Append(audit.Row{ID: id})
	if !errors.Is(err, store.ErrConflict) {
		return false, err
	}
	return true, t.write(store.ErrNotFound, touchAudit, id)
}

const recordColumns = `position, id, at, events`

func scanRecord(row Row) (r audit.Record, err error) {
	err = row.Scan(&r.Position, &r.ID, at(&r.At), &r.Events)
	return r, err
}

var unsealedAudit = define("read unsealed audit", `
	SELECT `+recordColumns+` FROM audit WHERE position = 0 ORDER BY seq LIMIT $1`)

// UnsealedAudit implements [store.Reader].
func (r *Reader) UnsealedAudit(ctx context.Context, limit int) ([]audit.Record, error) {
	return list(ctx, r, unsealedAudit, scanRecord, limit)
}

var countUnsealed = define("count unsealed audit", `
	SELECT count(*) FROM (SELECT 1 FROM audit WHERE position = 0 LIMIT $1) picked`)

// AuditUnsealed implements [store.Reader].
func (r *Reader) AuditUnsealed(ctx context.Context, atMost int) (int64, error) {
	return one(ctx, r, countUnsealed, func(row Row) (n int64, err error) { return n, row.Scan(&n) }, atMost)
}

// "position > 0" names the partial index.
var sealedAudit = define("read sealed audit", `
	SELECT `+recordColumns+` FROM audit WHERE position > 0 AND position >= $1 ORDER BY position LIMIT $2`)

// SealedAudit implements [store.Reader].
func (r *Reader) SealedAudit(ctx context.Context, from int64, limit int) ([]audit.Record, error) {
	return list(ctx, r, sealedAudit, scanRecord, from, limit)
}

const sealColumns = `number, first_row, last_row, at, hash, mac`

func scanSeal(row Row) (s audit.Seal, err error) {
	err = row.Scan(&s.Number, &s.First, &s.Last, at(&s.At), &s.Hash, &s.MAC)
	return s, err
}

var (
	selectSeals = define("read seals", `
	SELECT `+sealColumns+` FROM audit_seals WHERE number >= $1 ORDER BY number LIMIT $2`)

	selectLastSeal = define("read the last seal", `
	SELECT `+sealColumns+` FROM audit_seals WHERE number = (SELECT max(number) FROM audit_seals)`)
)

// Seals implements [store.Reader].
func (r *Reader) Seals(ctx context.Context, from int64, limit int) ([]audit.Seal, error) {
	return list(ctx, r, selectSeals, scanSeal, from, limit)
}

// LastSeal implements [store.Reader].
func (r *Reader) LastSeal(ctx context.Context) (audit.Seal, error) {
	return one(ctx, r, selectLastSeal, scanSeal)
}

var (
	insertSeal = define("insert seal", `
	INSERT INTO audit_seals (`+sealColumns+`) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`)

	placeAudit = vary("place audit", func(d *Dialect) string {
		unplaced := "position = 0"
		if d.AuditSeq == "" { // SQLite would compare each row without a position with each of the list
			unplaced = "+position = 0"
		}
		return `
	UPDATE audit SET position = $1 + list.key FROM ` + d.List + ` list WHERE audit.id = list.value AND ` + unplaced
	})
)

// Seal implements [store.Tx].
func (t *Tx) Seal(s audit.Seal, ids []string) error {
	err := t.write(store.ErrConflict, insertSeal, s.Number, s.First, s.Last, micros(s.At), s.Hash, s.MAC)
	if err != nil || len(ids) == 0 {
		return err
	}
	n, err := t.exec(placeAudit(t.dialect), s.First, asJSON(ids))
	if err == nil && n != int64(len(ids)) { // the seal must not be committed without all of its rows
		err = fmt.Errorf("store: seal audit: of %d rows %d are there without a position: %w", len(ids), n, store.ErrConflict)
		t.failed = err
	}
	return err
}
