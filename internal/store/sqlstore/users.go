package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

const userColumns = `u.id, u.version, u.status, u.email, u.canonical, u.first_name, u.last_name, u.locale,
	u.attributes, u.groups, u.email_verified_at, u.created_at, u.updated_at, u.signed_out_at, u.kept, u.delete_at`

const selectAccount = `
	SELECT ` + userColumns + `,
		COALESCE(e.id, ''), COALESCE(e.version, 0), COALESCE(e.authenticator, ''), e.credential,
		COALESCE(e.created_at, 0), COALESCE(e.last_used_at, 0)
	FROM users u LEFT JOIN enrollments e ON e.user_id = u.id`

var (
	selectAccountByID      = define("read account", selectAccount+` WHERE u.id = $1`)
	selectAccountByAddress = define("read account", selectAccount+` WHERE u.canonical = $1`)
)

// A userRow is what userColumns are scanned into.
type userRow struct {
	directory.User
	attributes, groups, kept string
}

func (r *userRow) into() []any {
	u := &r.User
	return []any{
		&u.ID, &u.Version, &u.Status, &u.Email, &u.Canonical, &u.FirstName, &u.LastName, &u.Locale,
		&r.attributes, &r.groups, at(&u.EmailVerifiedAt), at(&u.CreatedAt), at(&u.UpdatedAt),
		at(&u.SignedOutAt), &r.kept, at(&u.DeleteAt),
	}
}

func (r *userRow) user() (directory.User, error) {
	err := fromJSON(r.attributes, &r.Attributes)
	if err == nil {
		err = fromJSON(r.groups, &r.Groups)
	}
	if err == nil {
		err = fromJSON(r.kept, &r.Kept)
	}
	return r.User, err
}

// scanAccount adds a row to a, which is one user's.
func scanAccount(row Row, a *directory.Account) error {
	var u userRow
	var e directory.Enrollment
	err := row.Scan(append(u.into(),
		&e.ID, &e.Version, &e.Authenticator, &e.Credential, at(&e.CreatedAt), at(&e.LastUsedAt))...)
	if err != nil {
		return err
	}
	if a.ID == "" {
		if a.User, err = u.user(); err != nil {
			return err
		}
	}
	if e.ID != "" {
		e.UserID = a.ID
		a.Enrollments = append(a.Enrollments, e)
	}
	return nil
}

func (r *Reader) account(ctx context.Context, q query, key string) (directory.Account, error) {
	var a directory.Account
	err := each(ctx, r, q, func(row Row) error { return scanAccount(row, &a) }, key)
	return whole(a, err)
}

// whole is an account of which all rows are read.
func whole(a directory.Account, err error) (directory.Account, error) {
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

// People are those whose accounts the transaction has written to so far; if all is true,
// others too.
func (t *Tx) People() (ids []string, all bool) { return t.people, t.anybody }

func (t *Tx) touched(userID string) {
	if !slices.Contains(t.people, userID) {
		t.people = append(t.people, userID)
	}
}

// Account is the account as the transaction has left it so far. It returns store.ErrNotFound.
// Reads does not count it.
func (t *Tx) Account(userID string) (directory.Account, error) {
	if t.failed != nil {
		return directory.Account{}, t.failed
	}
	var a directory.Account
	t.failed = t.dialect.query(t.ctx, t.conn, selectAccountByID, func(row Row) error { return scanAccount(row, &a) }, userID)
	return whole(a, t.failed)
}

// "delete_at > 0" names the partial index.
var dueDeletions = define("look for due deletions", `
	SELECT id FROM users WHERE delete_at > 0 AND delete_at <= $1 ORDER BY delete_at, id LIMIT $2`)

// DueDeletions implements [store.Reader].
func (r *Reader) DueDeletions(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return list(ctx, r, dueDeletions, func(row Row) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	}, micros(now), limit)
}

var (
	allSessionsOf = define("read belongings", `SELECT `+sessionColumns+` FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, id`)
	allFamiliesOf = define("read belongings", `SELECT `+familyColumns+` FROM refresh_families WHERE user_id = $1 ORDER BY created_at DESC, id`)
	allTicketsOf  = define("read belongings", `SELECT `+ticketColumns+` FROM tickets WHERE user_id = $1 ORDER BY created_at DESC, id`)
)

// Belongings implements [store.Reader].
func (r *Reader) Belongings(ctx context.Context, userID string) (b store.Belongings, err error) {
	if b.Sessions, err = list(ctx, r, allSessionsOf, scanSession, userID); err != nil {
		return store.Belongings{}, err
	}
	if b.Families, err = list(ctx, r, allFamiliesOf, scanFamily, userID); err != nil {
		return store.Belongings{}, err
	}
	if b.Tickets, err = list(ctx, r, allTicketsOf, scanTicket, userID); err != nil {
		return store.Belongings{}, err
	}
	return b, nil
}

// An id that was somebody's is nobody else's (SEC S-39): that is asked in the
// statement that inserts, because a sign-up has no read to spare.
var (
	insertUser = define("insert user", `
	INSERT INTO users (id, version, status, email, canonical, first_name, last_name, locale, attributes,
		email_verified_at, created_at, updated_at, signed_out_at, delete_at, first_folded, last_folded, groups, kept)
	SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
	WHERE NOT EXISTS (SELECT 1 FROM deleted_users WHERE id = $1)
	ON CONFLICT DO NOTHING`)

	// Where transactions run side by side, the statement above may have begun
	// before a deletion was committed, and end after it.
	unmakeUser = define("insert user", `
	DELETE FROM users WHERE id = $1 AND EXISTS (SELECT 1 FROM deleted_users WHERE id = $1)`)

	updateUser = define("update user", setUser+` WHERE id = $1 AND version + 1 = $2 AND groups = $17`)

	regroupUser = define("update user", setUser+`, groups = $17 WHERE id = $1 AND version + 1 = $2`)
)

const setUser = `
	UPDATE users SET version = $2, status = $3, email = $4, canonical = $5, first_name = $6, last_name = $7,
		locale = $8, attributes = $9, email_verified_at = $10, created_at = $11, updated_at = $12,
		signed_out_at = $13, delete_at = $14, first_folded = $15, last_folded = $16, kept = $18`

func userArgs(u directory.User) []any {
	return []any{
		u.ID, u.Version, string(u.Status), u.Email, u.Canonical, u.FirstName, u.LastName, u.Locale,
		asJSON(u.Attributes), micros(u.EmailVerifiedAt), micros(u.CreatedAt), micros(u.UpdatedAt),
		micros(u.SignedOutAt), micros(u.DeleteAt), Fold(u.FirstName), Fold(u.LastName), asJSON(u.Groups), asJSON(u.Kept),
	}
}

// InsertUser implements [store.Tx].
func (t *Tx) InsertUser(u directory.User) error {
	t.touched(u.ID)
	if err := t.write(store.ErrConflict, insertUser, userArgs(u)...); err != nil {
		return err
	}
	if t.dialect.Hold != "" {
		if n, err := t.exec(unmakeUser, u.ID); err != nil || n > 0 {
			return cmp.Or(err, store.ErrConflict)
		}
	}
	return t.join(u.ID, u.Groups)
}

// UpdateUser implements [store.Tx]. Most changes are not of groups: the first
// statement makes those, and then the index of groups is not touched.
func (t *Tx) UpdateUser(u directory.User) error {
	t.touched(u.ID)
	args := userArgs(u)
	n, err := t.exec(updateUser, args...)
	if err != nil || n > 0 {
		return err
	}
	if err := t.write(store.ErrStale, regroupUser, args...); err != nil {
		return err
	}
	if _, err := t.exec(deleteMemberships, u.ID); err != nil {
		return err
	}
	return t.join(u.ID, u.Groups)
}

var (
	insertMembership = define("insert membership", `
	INSERT INTO memberships (user_id, group_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`)

	deleteMemberships = define("delete memberships", `DELETE FROM memberships WHERE user_id = $1`)
)

// join writes the index of a user's groups.
func (t *Tx) join(userID string, groups []string) error {
	for _, g := range groups {
		if _, err := t.exec(insertMembership, userID, g); err != nil {
			return err
		}
	}
	return nil
}

// What DeleteUser removes beside the user. Foreign keys would remove most of it
// too, without counting the rows.
var (
	buryUser = define("delete user", `
	INSERT INTO deleted_users (id, deleted_at) SELECT id, $2 FROM users WHERE id = $1 ON CONFLICT DO NOTHING`)

	belongings = []query{
		deleteMemberships,
		deleteDevices,
		define("delete user", `DELETE FROM enrollments WHERE user_id = $1`),
		define("delete user", `DELETE FROM tickets WHERE user_id = $1`),
		define("delete user", `DELETE FROM sessions WHERE user_id = $1`),
		define("delete user", `DELETE FROM refresh_families WHERE user_id = $1`),
		define("delete user", `DELETE FROM users WHERE id = $1`),
	}
)

// DeleteUser implements [store.Tx].
func (t *Tx) DeleteUser(id string, at time.Time) error {
	t.touched(id)
	if err := t.write(store.ErrNotFound, buryUser, id, micros(at)); err != nil {
		return err
	}
	for _, q := range belongings {
		if _, err := t.exec(q, id); err != nil {
			return err
		}
	}
	return nil
}
