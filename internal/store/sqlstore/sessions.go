package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

const sessionColumns = `id, user_id, version, proofs, remembered, ip, user_agent,
	created_at, seen_at, idle_until, expires_at, ended_at`

var (
	selectSession = define("read session", `SELECT `+sessionColumns+` FROM sessions WHERE id = $1`)

	selectSessions = define("read sessions", `
	SELECT `+sessionColumns+` FROM sessions WHERE user_id = $1 AND ended_at = 0 ORDER BY created_at DESC, id`)
)

func scanSession(row Row) (s session.Session, err error) {
	var proofs string
	err = row.Scan(&s.ID, &s.UserID, &s.Version, &proofs, &s.Remembered, &s.IP, &s.UserAgent,
		at(&s.CreatedAt), at(&s.SeenAt), at(&s.IdleUntil), at(&s.ExpiresAt), at(&s.EndedAt))
	if err == nil {
		err = fromJSON(proofs, &s.Proofs)
	}
	return s, err
}

// Session implements [store.Reader].
func (r *Reader) Session(ctx context.Context, id string) (session.Session, error) {
	return one(ctx, r, selectSession, scanSession, id)
}

// Sessions implements [store.Reader].
func (r *Reader) Sessions(ctx context.Context, userID string) ([]session.Session, error) {
	return list(ctx, r, selectSessions, scanSession, userID)
}

// Ending leaves the version alone: as with tickets, nothing else writes ended_at.
var (
	insertSession = define("insert session", `
	INSERT INTO sessions (`+sessionColumns+`)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`)

	updateSession = define("update session", `
	UPDATE sessions SET version = $3, proofs = $4, remembered = $5, ip = $6, user_agent = $7,
		created_at = $8, seen_at = $9, idle_until = $10, expires_at = $11
	WHERE id = $1 AND user_id = $2 AND version + 1 = $3 AND ended_at = 0`)

	endSession = define("end session", `UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at = 0`)

	endSessions = define("end sessions", `UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at = 0`)

	endOtherSessions = define("end sessions", `
	UPDATE sessions SET ended_at = $3 WHERE user_id = $1 AND ended_at = 0 AND id <> $2`)
)

// sessionArgs are the values of sessionColumns but the last.
func sessionArgs(s session.Session) ([]any, error) {
	var proofs []byte
	if len(s.Proofs) > 0 {
		var err error
		if proofs, err = json.Marshal(s.Proofs); err != nil {
			return nil, fmt.Errorf("store: write session: %w", err)
		}
	}
	remembered := int64(0)
	if s.Remembered {
		remembered = 1
	}
	return []any{
		s.ID, s.UserID, s.Version, string(proofs), remembered, s.IP, s.UserAgent,
		micros(s.CreatedAt), micros(s.SeenAt), micros(s.IdleUntil), micros(s.ExpiresAt),
	}, nil
}

// InsertSession implements [store.Tx].
func (t *Tx) InsertSession(s session.Session) error {
	args, err := sessionArgs(s)
	if err != nil {
		return err
	}
	return t.write(store.ErrConflict, insertSession, append(args, micros(s.EndedAt))...)
}

// UpdateSession implements [store.Tx].
func (t *Tx) UpdateSession(s session.Session) error {
	args, err := sessionArgs(s)
	if err != nil {
		return err
	}
	return t.write(store.ErrStale, updateSession, args...)
}

// EndSession implements [store.Tx].
func (t *Tx) EndSession(id string, at time.Time) error {
	_, err := t.exec(endSession, id, micros(at))
	return err
}

// EndSessions implements [store.Tx].
func (t *Tx) EndSessions(userID string, at time.Time) error {
	_, err := t.exec(endSessions, userID, micros(at))
	return err
}

// EndOtherSessions implements [store.Tx].
func (t *Tx) EndOtherSessions(userID, except string, at time.Time) error {
	_, err := t.exec(endOtherSessions, userID, except, micros(at))
	return err
}

const deviceColumns = `user_id, id, ip, user_agent, created_at, seen_at, expires_at`

var (
	selectDevice = define("read device", `SELECT `+deviceColumns+` FROM devices WHERE user_id = $1 AND id = $2`)

	selectDevices = define("read devices", `
	SELECT `+deviceColumns+` FROM devices WHERE user_id = $1 ORDER BY created_at DESC, id`)
)

func scanDevice(row Row) (d session.Device, err error) {
	err = row.Scan(&d.UserID, &d.ID, &d.IP, &d.UserAgent, at(&d.CreatedAt), at(&d.SeenAt), at(&d.ExpiresAt))
	return d, err
}

// Device implements [store.Reader].
func (r *Reader) Device(ctx context.Context, userID, id string) (session.Device, error) {
	return one(ctx, r, selectDevice, scanDevice, userID, id)
}

// Devices implements [store.Reader].
func (r *Reader) Devices(ctx context.Context, userID string) ([]session.Device, error) {
	return list(ctx, r, selectDevices, scanDevice, userID)
}

var (
	saveDevice = define("save device", `
	INSERT INTO devices (`+deviceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
	ON CONFLICT (user_id, id) DO UPDATE SET ip = excluded.ip, user_agent = excluded.user_agent,
		seen_at = excluded.seen_at, expires_at = excluded.expires_at`)

	deleteDevices = define("delete devices", `DELETE FROM devices WHERE user_id = $1`)
)

// SaveDevice implements [store.Tx].
func (t *Tx) SaveDevice(d session.Device) error {
	_, err := t.exec(saveDevice, d.UserID, d.ID, d.IP, d.UserAgent,
		micros(d.CreatedAt), micros(d.SeenAt), micros(d.ExpiresAt))
	return err
}

// DeleteDevices implements [store.Tx].
func (t *Tx) DeleteDevices(userID string) error {
	_, err := t.exec(deleteDevices, userID)
	return err
}
