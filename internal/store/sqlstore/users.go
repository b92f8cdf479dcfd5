package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

const selectAccount = `
	SELECT u.id, u.version, u.status, u.email, u.canonical, u.first_name, u.last_name, u.locale,
		u.attributes, u.email_verified_at, u.created_at, u.updated_at,
		COALESCE(e.id, ''), COALESCE(e.version, 0), COALESCE(e.authenticator, ''), e.credential,
		COALESCE(e.created_at, 0), COALESCE(e.last_used_at, 0)
	FROM users u LEFT JOIN enrollments e ON e.user_id = u.id`

var (
	selectAccountByID      = define("read account", selectAccount+` WHERE u.id = $1`)
	selectAccountByAddress = define("read account", selectAccount+` WHERE u.canonical = $1`)
)

// scanAccount adds a row to a, which is one user's.
func scanAccount(rows *sql.Rows, a *directory.Account) error {
	var attributes string
	var e directory.Enrollment
	u := &a.User
	err := rows.Scan(&u.ID, &u.Version, &u.Status, &u.Email, &u.Canonical, &u.FirstName, &u.LastName, &u.Locale,
		&attributes, at(&u.EmailVerifiedAt), at(&u.CreatedAt), at(&u.UpdatedAt),
		&e.ID, &e.Version, &e.Authenticator, &e.Credential, at(&e.CreatedAt), at(&e.LastUsedAt))
	if err != nil {
		return err
	}
	if e.ID != "" {
		e.UserID = u.ID
		a.Enrollments = append(a.Enrollments, e)
	}
	if u.Attributes != nil {
		return nil
	}
	return fromJSON(attributes, &u.Attributes)
}

func (r *Reader) account(ctx context.Context, q query, key string) (directory.Account, error) {
	var a directory.Account
	err := each(ctx, r, q, func(rows *sql.Rows) error { return scanAccount(rows, &a) }, key)
	if err == nil && a.ID == "" {
		err = store.ErrNotFound
	}
	if err != nil {
		return directory.Account{}, err
	}
	slices.SortFunc(a.Enrollments, func(x, y directory.Enrollment) int {
		if c := x.CreatedAt.Compare(y.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return a, nil
}

// Account implements [store.Reader].
func (r *Reader) Account(ctx context.Context, userID string) (directory.Account, error) {
	return r.account(ctx, selectAccountByID, userID)
}

// AccountByAddress implements [store.Reader].
func (r *Reader) AccountByAddress(ctx context.Context, canonical string) (directory.Account, error) {
	return r.account(ctx, selectAccountByAddress, canonical)
}

var (
	insertUser = define("insert user", `
	INSERT INTO users (id, version, status, email, canonical, first_name, last_name, locale, attributes,
		email_verified_at, created_at, updated_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`)

	updateUser = define("update user", `
	UPDATE users SET version = $2, status = $3, email = $4, canonical = $5, first_name = $6, last_name = $7,
		locale = $8, attributes = $9, email_verified_at = $10, created_at = $11, updated_at = $12
	WHERE id = $1 AND version + 1 = $2`)
)

func userArgs(u directory.User) []any {
	return []any{
		u.ID, u.Version, string(u.Status), u.Email, u.Canonical, u.FirstName, u.LastName, u.Locale,
		asJSON(u.Attributes), micros(u.EmailVerifiedAt), micros(u.CreatedAt), micros(u.UpdatedAt),
	}
}

// InsertUser implements [store.Tx].
func (t *Tx) InsertUser(u directory.User) error {
	return t.write(store.ErrConflict, insertUser, userArgs(u)...)
}

// UpdateUser implements [store.Tx].
func (t *Tx) UpdateUser(u directory.User) error {
	return t.write(store.ErrStale, updateUser, userArgs(u)...)
}

var (
	insertEnrollment = define("insert enrollment", `
	INSERT INTO enrollments (user_id, id, version, authenticator, credential, created_at, last_used_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`)

	updateEnrollment = define("update enrollment", `
	UPDATE enrollments SET version = $3, authenticator = $4, credential = $5, created_at = $6, last_used_at = $7
	WHERE user_id = $1 AND id = $2 AND version + 1 = $3`)

	deleteEnrollment = define("delete enrollment", `DELETE FROM enrollments WHERE id = $1`)
)

func enrollmentArgs(e directory.Enrollment) []any {
	return []any{
		e.UserID, e.ID, e.Version, e.Authenticator, blob(e.Credential), micros(e.CreatedAt), micros(e.LastUsedAt),
	}
}

// InsertEnrollment implements [store.Tx].
func (t *Tx) InsertEnrollment(e directory.Enrollment) error {
	return t.write(store.ErrConflict, insertEnrollment, enrollmentArgs(e)...)
}

// UpdateEnrollment implements [store.Tx].
func (t *Tx) UpdateEnrollment(e directory.Enrollment) error {
	return t.write(store.ErrStale, updateEnrollment, enrollmentArgs(e)...)
}

// DeleteEnrollment implements [store.Tx].
func (t *Tx) DeleteEnrollment(id string) error {
	return t.write(store.ErrNotFound, deleteEnrollment, id)
}
