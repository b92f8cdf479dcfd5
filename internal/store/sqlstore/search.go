package sqlstore

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/stile-id/stile/internal/directory"
)

// Fold is the rule by which the columns of folded names are made; a migration
// that fills them must use it too.
func Fold(s string) string { return directory.Fold(s) }

// What begins with a text lies between it and the text with the last code point
// appended. Addresses are folded by what makes them canonical. Each side of the
// UNION has an index; an OR would be left to the planner.
func beginning(from, to string) string {
	between := func(column string) string {
		return `SELECT id FROM users WHERE ` + column + ` >= ` + from + ` AND ` + column + ` < ` + to
	}
	return between("canonical") + ` UNION ` + between("first_folded") + ` UNION ` + between("last_folded")
}

const lastRune = "\U0010FFFF"

var (
	selectUsers = define("read users", `
	SELECT `+userColumns+` FROM users u
	WHERE u.id > $1 AND ($2 = '' OR u.status = $2) ORDER BY u.id LIMIT $3`)

	searchUsers = define("search users", `
	SELECT `+userColumns+` FROM users u
	WHERE u.id > $1 AND ($2 = '' OR u.status = $2) AND u.id IN (`+beginning("$4", "$5")+`)
	ORDER BY u.id LIMIT $3`)

	selectMembers = define("read members", `
	SELECT `+userColumns+` FROM memberships m JOIN users u ON u.id = m.user_id
	WHERE m.group_id = $4 AND m.user_id > $1 AND ($2 = '' OR u.status = $2) ORDER BY m.user_id LIMIT $3`)

	searchMembers = define("search members", `
	SELECT `+userColumns+` FROM memberships m JOIN users u ON u.id = m.user_id
	WHERE m.group_id = $6 AND m.user_id > $1 AND ($2 = '' OR u.status = $2) AND m.user_id IN (`+beginning("$4", "$5")+`)
	ORDER BY m.user_id LIMIT $3`)
)

func scanUser(row Row) (directory.User, error) {
	var u userRow
	if err := row.Scan(u.into()...); err != nil {
		return directory.User{}, err
	}
	return u.user()
}

// Users implements [store.Reader].
func (r *Reader) Users(ctx context.Context, q directory.Query) ([]directory.User, error) {
	if !utf8.ValidString(q.Search) || strings.ContainsRune(q.Search, 0) {
		return nil, nil // nobody is called that, and not every database takes it
	}
	args := []any{q.After, string(q.Status), max(q.Limit, 0)}
	begins := Fold(q.Search)
	switch {
	case begins == "" && q.Group == "":
		return list(ctx, r, selectUsers, scanUser, args...)
	case q.Group == "":
		return list(ctx, r, searchUsers, scanUser, append(args, begins, begins+lastRune)...)
	case begins == "":
		return list(ctx, r, selectMembers, scanUser, append(args, q.Group)...)
	default:
		return list(ctx, r, searchMembers, scanUser, append(args, begins, begins+lastRune, q.Group)...)
	}
}
