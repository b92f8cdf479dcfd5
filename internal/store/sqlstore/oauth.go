package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/store"
)

var selectClients = define("read clients", `SELECT id, version, data FROM clients ORDER BY id`)

// Clients implements [store.Reader].
func (r *Reader) Clients(ctx context.Context) ([]oauth.Client, error) {
	return list(ctx, r, selectClients, func(row Row) (c oauth.Client, err error) {
		var id string
		var version int64
		var data []byte
		if err = row.Scan(&id, &version, &data); err == nil {
			err = json.Unmarshal(data, &c)
		}
		c.ID, c.Version = id, version
		return c, err
	})
}

var (
	insertClient = define("insert client", `
	INSERT INTO clients (id, version, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`)

	updateClient = define("update client", `
	UPDATE clients SET version = $2, data = $3 WHERE id = $1 AND version + 1 = $2`)
)

func (t *Tx) writeClient(missed error, q query, c oauth.Client) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: %s: %w", q.name, err)
	}
	return t.write(missed, q, c.ID, c.Version, string(data))
}

// InsertClient implements [store.Tx].
func (t *Tx) InsertClient(c oauth.Client) error {
	return t.writeClient(store.ErrConflict, insertClient, c)
}

// UpdateClient implements [store.Tx].
func (t *Tx) UpdateClient(c oauth.Client) error {
	return t.writeClient(store.ErrStale, updateClient, c)
}

var deleteClient = define("delete client", `DELETE FROM clients WHERE id = $1 AND version = $2`)

// DeleteClient implements [store.Tx].
func (t *Tx) DeleteClient(id string, version int64) error {
	return t.write(store.ErrStale, deleteClient, id, version)
}

var selectKeys = define("read keys", `
	SELECT id, server, alg, private, created_at, active_from, expires_at
	FROM signing_keys ORDER BY created_at, id`)

// Keys implements [store.Reader].
func (r *Reader) Keys(ctx context.Context) ([]oauth.Key, error) {
	return list(ctx, r, selectKeys, func(row Row) (k oauth.Key, err error) {
		err = row.Scan(&k.ID, &k.Server, &k.Alg, &k.Private, at(&k.CreatedAt), at(&k.ActiveFrom), at(&k.ExpiresAt))
		return k, err
	})
}

var (
	insertKey = define("insert key", `
	INSERT INTO signing_keys (id, server, alg, private, created_at, active_from, expires_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`)

	updateKey = define("update key", `UPDATE signing_keys SET active_from = $2, expires_at = $3 WHERE id = $1`)
)

// InsertKey implements [store.Tx].
func (t *Tx) InsertKey(k oauth.Key) error {
	return t.write(store.ErrConflict, insertKey, k.ID, k.Server, k.Alg, blob(k.Private),
		micros(k.CreatedAt), micros(k.ActiveFrom), micros(k.ExpiresAt))
}

// UpdateKey implements [store.Tx].
func (t *Tx) UpdateKey(k oauth.Key) error {
	return t.write(store.ErrNotFound, updateKey, k.ID, micros(k.ActiveFrom), micros(k.ExpiresAt))
}

const familyColumns = `id, grant_id, client_id, user_id, server, scopes, amr, auth_time,
	generation, rotated_at, created_at, idle_until, expires_at, revoked_at, ip, user_agent, session_id`

var (
	selectFamily = define("read refresh family", `SELECT `+familyColumns+` FROM refresh_families WHERE id = $1`)

	selectFamiliesOf = define("read refresh families", `
	SELECT `+familyColumns+` FROM refresh_families WHERE user_id = $1 AND revoked_at = 0
	ORDER BY created_at DESC, id`)
)

func scanFamily(row Row) (f oauth.RefreshFamily, err error) {
	var scopes, amr string
	err = row.Scan(&f.ID, &f.Grant, &f.ClientID, &f.UserID, &f.Server, &scopes, &amr, at(&f.AuthTime),
		&f.Generation, at(&f.RotatedAt), at(&f.CreatedAt), at(&f.IdleUntil), at(&f.ExpiresAt), at(&f.RevokedAt),
		&f.IP, &f.UserAgent, &f.Session)
	if err == nil {
		err = fromJSON(scopes, &f.Scopes)
	}
	if err == nil {
		err = fromJSON(amr, &f.AMR)
	}
	return f, err
}

// RefreshFamily implements [store.Reader].
func (r *Reader) RefreshFamily(ctx context.Context, id string) (oauth.RefreshFamily, error) {
	return one(ctx, r, selectFamily, scanFamily, id)
}

// RefreshFamilies implements [store.Reader].
func (r *Reader) RefreshFamilies(ctx context.Context, userID string) ([]oauth.RefreshFamily, error) {
	return list(ctx, r, selectFamiliesOf, scanFamily, userID)
}

var (
	insertFamily = define("insert refresh family", `
	INSERT INTO refresh_families (`+familyColumns+`)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING`)

	rotateFamily = define("rotate refresh family", `
	UPDATE refresh_families SET generation = $2, rotated_at = $3, idle_until = $4
	WHERE id = $1 AND generation + 1 = $2 AND revoked_at = 0`)

	revokeGrant = define("revoke grant", `
	UPDATE refresh_families SET revoked_at = $2 WHERE grant_id = $1 AND revoked_at = 0`)

	revokeClient = define("revoke refresh families", `
	UPDATE refresh_families SET revoked_at = $2 WHERE client_id = $1 AND revoked_at = 0`)

	revokeFamilies = define("revoke refresh families", `
	UPDATE refresh_families SET revoked_at = $3
	WHERE user_id = $1 AND revoked_at = 0 AND ($2 = '' OR grant_id <> $2)`)
)

// InsertRefreshFamily implements [store.Tx].
func (t *Tx) InsertRefreshFamily(f oauth.RefreshFamily) error {
	return t.write(store.ErrConflict, insertFamily, f.ID, f.Grant, f.ClientID, f.UserID, f.Server,
		asJSON(f.Scopes), asJSON(f.AMR), micros(f.AuthTime), f.Generation, micros(f.RotatedAt),
		micros(f.CreatedAt), micros(f.IdleUntil), micros(f.ExpiresAt), micros(f.RevokedAt),
		f.IP, f.UserAgent, f.Session)
}

// RotateRefreshFamily implements [store.Tx].
func (t *Tx) RotateRefreshFamily(f oauth.RefreshFamily) error {
	return t.write(store.ErrStale, rotateFamily, f.ID, f.Generation, micros(f.RotatedAt), micros(f.IdleUntil))
}

// RevokeGrant implements [store.Tx].
func (t *Tx) RevokeGrant(grant string, at time.Time) error {
	_, err := t.exec(revokeGrant, grant, micros(at))
	return err
}

// RevokeClient implements [store.Tx].
func (t *Tx) RevokeClient(clientID string, at time.Time) error {
	_, err := t.exec(revokeClient, clientID, micros(at))
	return err
}

// RevokeFamilies implements [store.Tx].
func (t *Tx) RevokeFamilies(userID, except string, at time.Time) error {
	_, err := t.exec(revokeFamilies, userID, except, micros(at))
	return err
}

var selectRevocations = define("read revocations", `
	SELECT id, revoked_at, expires_at, kept FROM revocations WHERE revoked_at >= $1 ORDER BY revoked_at, id`)

// RevocationsSince implements [store.Reader].
func (r *Reader) RevocationsSince(ctx context.Context, since time.Time) ([]oauth.Revocation, error) {
	return list(ctx, r, selectRevocations, func(row Row) (v oauth.Revocation, err error) {
		var kept string
		if err = row.Scan(&v.ID, at(&v.RevokedAt), at(&v.ExpiresAt), &kept); err == nil {
			err = fromJSON(kept, &v.Kept)
		}
		return v, err
	}, micros(since))
}

var insertRevocation = define("revoke", `
	INSERT INTO revocations (id, revoked_at, expires_at, kept) VALUES ($1, $2, $3, $4)
	ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at, expires_at = excluded.expires_at, kept = excluded.kept
	WHERE excluded.revoked_at > revocations.revoked_at`)

// Revoke implements [store.Tx].
func (t *Tx) Revoke(v oauth.Revocation) error {
	_, err := t.exec(insertRevocation, v.ID, micros(v.RevokedAt), micros(v.ExpiresAt), asJSON(v.Kept))
	return err
}
