package sqlite

import (
	"sync"

	"github.com/stile-id/stile/internal/flow"
)

// recentBytes bounds what is kept, twice.
const recentBytes = 1 << 20

// recent keeps flows as they were last committed, for the step that follows soon.
// Every commit makes SQLite's readers forget all pages that they know, so that
// reading one row is reading the way to it from the log again.
//
// Only the writer's goroutine adds to it, in the order of commits, and what a
// commit changes is gone from it before that: nobody finds a row here that the
// database does not have, whatever becomes of the commit.
type recent struct {
	mu         sync.Mutex
	young, old map[string]flow.Row
	size       int // of young, in bytes
}

func newRecent() *recent { return &recent{young: map[string]flow.Row{}} }

func (r *recent) get(id string) (flow.Row, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.young[id]
	if !ok {
		row, ok = r.old[id]
	}
	return row, ok
}

// put adds a row, of which nobody changes the data any more.
func (r *recent) put(row flow.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size >= recentBytes {
		r.old, r.young, r.size = r.young, make(map[string]flow.Row, len(r.young)), 0
	}
	r.young[row.ID] = row
	r.size += len(row.ID) + len(row.ClientID) + len(row.Data)
}

func (r *recent) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, id)
	delete(r.old, id)
}

func (r *recent) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old, r.size = map[string]flow.Row{}, nil, 0
}
