package sqlite

import (
	"maps"
	"slices"
	"sync"

	"github.com/stile-id/stile/internal/directory"
)

// recentBytes bounds what is kept of each kind, twice.
const recentBytes = 1 << 20

// recent keeps rows as they were last committed, for the step that follows soon.
// Every commit makes SQLite's readers forget all pages that they know, so that
// reading one row is reading the way to it from the log again.
//
// Only the writer's goroutine adds to it, in the order of commits, and what a
// commit changes is gone from it before that: nobody finds a row here that the
// database does not have, whatever becomes of the commit.
type recent[V any] struct {
	mu         sync.Mutex
	young, old map[string]V
	size       int // of young, in bytes
}

func newRecent[V any]() *recent[V] { return &recent[V]{young: map[string]V{}} }

func (r *recent[V]) get(id string) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.young[id]
	if !ok {
		v, ok = r.old[id]
	}
	return v, ok
}

// put adds a row of about so many bytes, of which nobody changes anything any more.
func (r *recent[V]) put(id string, v V, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size >= recentBytes {
		r.old, r.young, r.size = r.young, make(map[string]V, len(r.young)), 0
	}
	r.young[id] = v
	r.size += len(id) + size
}

func (r *recent[V]) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, id)
	delete(r.old, id)
}

// dropWhere drops all rows of which gone holds.
func (r *recent[V]) dropWhere(gone func(V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rows := range []map[string]V{r.young, r.old} {
		maps.DeleteFunc(rows, func(_ string, v V) bool { return gone(v) })
	}
}

func (r *recent[V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old, r.size = map[string]V{}, nil, 0
}

// sizeOf is about what an account takes up.
func sizeOf(a directory.Account) int {
	n := 512 + len(a.Email) + len(a.FirstName) + len(a.LastName)
	for _, e := range a.Enrollments {
		n += 256 + len(e.Credential)
	}
	for k, v := range a.Attributes {
		n += 64 + len(k) + len(v)
	}
	return n
}

// copyOf is an account that its receiver may change.
func copyOf(a directory.Account) directory.Account {
	a.Attributes = maps.Clone(a.Attributes)
	a.Groups = slices.Clone(a.Groups)
	a.Kept = slices.Clone(a.Kept)
	a.Enrollments = slices.Clone(a.Enrollments)
	for i := range a.Enrollments {
		a.Enrollments[i].Credential = slices.Clone(a.Enrollments[i].Credential)
	}
	return a
}
