package sqlstore

import (
	"context"
	"database/sql"
)

var selectSetting = define("read setting", `SELECT value FROM settings WHERE name = $1`)

// Setting implements [store.Reader].
func (r *Reader) Setting(ctx context.Context, name string) ([]byte, error) {
	return one(ctx, r, selectSetting, func(rows *sql.Rows) (v []byte, err error) {
		err = rows.Scan(&v)
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
