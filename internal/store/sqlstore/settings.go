package sqlstore

import (
	"context"

	"github.com/stile-id/stile/internal/store"
)

var selectSetting = define("read setting", `SELECT value FROM settings WHERE name = $1`)

// Setting implements [store.Reader].
func (r *Reader) Setting(ctx context.Context, name string) ([]byte, error) {
	return one(ctx, r, selectSetting, func(row Row) (v []byte, err error) {
		err = row.Scan(&v)
		return v, err
	}, name)
}

var upsertSetting = define("write setting", `
	INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)

// SetSetting implements [store.Tx].
func (t *Tx) SetSetting(name string, value []byte) error {
	_, err := t.exec(upsertSetting, name, blob(value))
	return err
}

var (
	insertSetting = define("replace setting", `
	INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`)

	replaceSetting = define("replace setting", `UPDATE settings SET value = $2 WHERE name = $1 AND value = $3`)
)

// ReplaceSetting implements [store.Tx].
func (t *Tx) ReplaceSetting(name string, old, value []byte) error {
	if old == nil {
		return t.write(store.ErrStale, insertSetting, name, blob(value))
	}
	return t.write(store.ErrStale, replaceSetting, name, blob(value), blob(old))
}
