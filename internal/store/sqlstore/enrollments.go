package sqlstore

import (
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

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
	t.touched(e.UserID)
	return t.write(store.ErrConflict, insertEnrollment, enrollmentArgs(e)...)
}

// UpdateEnrollment implements [store.Tx].
func (t *Tx) UpdateEnrollment(e directory.Enrollment) error {
	t.touched(e.UserID)
	return t.write(store.ErrStale, updateEnrollment, enrollmentArgs(e)...)
}

// DeleteEnrollment implements [store.Tx].
func (t *Tx) DeleteEnrollment(id string) error {
	t.anybody = true
	return t.write(store.ErrNotFound, deleteEnrollment, id)
}
