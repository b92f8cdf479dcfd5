package flow

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// memory is the storage port in a map, with the promises that the engine relies on.
type memory struct {
	mu           sync.Mutex
	transactions map[string]Row
	users        map[string]directory.Account
	messages     map[string]outbox.Message
	audit        []audit.Event
	commits      int
	sessions     map[string]session.Session
	tickets      map[string]directory.Ticket
	devices      map[string]session.Device
	counters     map[string]limit.Counter
	signedOut    []string // users, once for each time
	races        int      // transactions that are lost to another writer from now on
}

var (
	errMissing  = problem.New(problem.NotFound, "", "missing")
	errStale    = problem.New(problem.Stale, "", "stale")
	errConflict = problem.New(problem.Conflict, "", "conflict")
)

func newMemory() *memory {
	return &memory{transactions: map[string]Row{}, users: map[string]directory.Account{}, messages: map[string]outbox.Message{},
		sessions: map[string]session.Session{}, tickets: map[string]directory.Ticket{},
		devices: map[string]session.Device{}, counters: map[string]limit.Counter{}}
}

func (m *memory) Transaction(_ context.Context, id string) (Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.transactions[id]
	if !ok {
		return Row{}, errMissing
	}
	return r, nil
}

func (m *memory) Account(_ context.Context, id string) (directory.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.users[id]
	if !ok {
		return a, errMissing
	}
	a.Enrollments = slices.Clone(a.Enrollments)
	return a, nil
}

func (m *memory) AccountByAddress(_ context.Context, canonical string) (directory.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.users {
		if a.Canonical == canonical {
			a.Enrollments = slices.Clone(a.Enrollments)
			return a, nil
		}
	}
	return directory.Account{}, errMissing
}

func (m *memory) OutboxMessage(_ context.Context, id string) (outbox.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.messages[id]
	if !ok {
		return r, errMissing
	}
	return r, nil
}

// InTx runs fn against a copy, which becomes the state if fn succeeds.
func (m *memory) InTx(_ context.Context, _ bool, fn func(Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memoryTx{m: m}
	if err := fn(w); err != nil {
		return err
	}
	for _, do := range w.todo {
		do()
	}
	m.commits++
	return nil
}

type memoryTx struct {
	m    *memory
	todo []func()
}

func (w *memoryTx) later(f func()) error { w.todo = append(w.todo, f); return nil }

func (w *memoryTx) InsertTransaction(r Row) error {
	return w.later(func() { w.m.transactions[r.ID] = r })
}

func (w *memoryTx) SaveTransaction(r Row) error {
	if w.m.races > 0 {
		w.m.races--
		return errStale
	}
	if w.m.transactions[r.ID].Version != r.Version-1 {
		return errStale
	}
	return w.later(func() { w.m.transactions[r.ID] = r })
}

func (w *memoryTx) InsertUser(u directory.User) error {
	for _, a := range w.m.users {
		if a.Canonical == u.Canonical {
			return errConflict
		}
	}
	return w.later(func() { w.m.users[u.ID] = directory.Account{User: u} })
}

func (w *memoryTx) InsertEnrollment(e directory.Enrollment) error {
	for _, a := range w.m.users {
		if slices.ContainsFunc(a.Enrollments, func(have directory.Enrollment) bool { return have.ID == e.ID }) {
			return errConflict
		}
	}
	return w.later(func() {
		a := w.m.users[e.UserID]
		a.Enrollments = append(a.Enrollments, e)
		w.m.users[e.UserID] = a
	})
}

func (w *memoryTx) UpdateUser(u directory.User) error {
	if w.m.users[u.ID].Version != u.Version-1 {
		return errStale
	}
	return w.later(func() {
		a := w.m.users[u.ID]
		a.User = u
		w.m.users[u.ID] = a
	})
}

func (w *memoryTx) UpdateEnrollment(e directory.Enrollment) error {
	for i, old := range w.m.users[e.UserID].Enrollments {
		if old.ID == e.ID && old.Version == e.Version-1 {
			return w.later(func() {
				a := w.m.users[e.UserID]
				a.Enrollments = slices.Clone(a.Enrollments)
				a.Enrollments[i] = e
				w.m.users[e.UserID] = a
			})
		}
	}
	return errStale
}

func (w *memoryTx) DeleteEnrollment(id string) error {
	for _, a := range w.m.users {
		for i, e := range a.Enrollments {
			if e.ID == id {
				return w.later(func() {
					a := w.m.users[e.UserID]
					a.Enrollments = slices.Delete(slices.Clone(a.Enrollments), i, i+1)
					w.m.users[e.UserID] = a
				})
			}
		}
	}
	return errMissing
}

func (m *memory) Session(_ context.Context, id string) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[id]
	if !ok {
		return s, errMissing
	}
	return s, nil
}

func (m *memory) Sessions(_ context.Context, userID string) ([]session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []session.Session
	for _, s := range m.sessions {
		if s.UserID == userID && s.EndedAt.IsZero() {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b session.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

func (m *memory) Ticket(_ context.Context, id string) (directory.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tickets[id]
	if !ok {
		return t, errMissing
	}
	return t, nil
}

func (m *memory) Tickets(_ context.Context, userID string, kind directory.TicketKind) ([]directory.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []directory.Ticket
	for _, t := range m.tickets {
		if t.UserID == userID && t.Kind == kind {
			out = append(out, t)
		}
	}
	return out, nil
}

func (m *memory) Device(_ context.Context, userID, id string) (session.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.devices[userID+id]
	if !ok {
		return d, errMissing
	}
	return d, nil
}

func (m *memory) Counter(_ context.Context, key string) (limit.Counter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.counters[key]
	if !ok {
		return c, errMissing
	}
	return c, nil
}

func (w *memoryTx) InsertSession(s session.Session) error {
	return w.later(func() { w.m.sessions[s.ID] = s })
}

func (w *memoryTx) UpdateSession(s session.Session) error {
	if w.m.sessions[s.ID].Version != s.Version-1 {
		return errStale
	}
	return w.later(func() { w.m.sessions[s.ID] = s })
}

func (w *memoryTx) EndSession(id string, at time.Time) error {
	return w.later(func() {
		if s, ok := w.m.sessions[id]; ok && s.EndedAt.IsZero() {
			s.EndedAt = at
			w.m.sessions[id] = s
		}
	})
}

func (w *memoryTx) InsertTicket(t directory.Ticket) error {
	return w.later(func() { w.m.tickets[t.ID] = t })
}

func (w *memoryTx) SpendTicket(id string, at time.Time) error {
	t, ok := w.m.tickets[id]
	if !ok || !t.SpentAt.IsZero() {
		return errStale
	}
	return w.later(func() {
		t.SpentAt = at
		w.m.tickets[id] = t
	})
}

func (w *memoryTx) SaveDevice(d session.Device) error {
	return w.later(func() { w.m.devices[d.UserID+d.ID] = d })
}

func (w *memoryTx) SignOut(userID string, at time.Time) error {
	return w.later(func() {
		w.m.signedOut = append(w.m.signedOut, userID)
		for id, s := range w.m.sessions {
			if s.UserID == userID && s.EndedAt.IsZero() {
				s.EndedAt = at
				w.m.sessions[id] = s
			}
		}
		for id, k := range w.m.tickets {
			if k.UserID == userID && k.Kind == directory.Recovery && k.SpentAt.IsZero() {
				k.SpentAt = at
				w.m.tickets[id] = k
			}
		}
	})
}

func (w *memoryTx) Counter(key string) (limit.Counter, error) {
	c := w.m.counters[key]
	c.Key = key
	return c, nil
}

func (w *memoryTx) PutCounter(c limit.Counter) error {
	return w.later(func() { w.m.counters[c.Key] = c })
}

func (w *memoryTx) DeleteCounter(key string) error {
	return w.later(func() { delete(w.m.counters, key) })
}

func (w *memoryTx) Enqueue(m outbox.Message) error {
	return w.later(func() { w.m.messages[m.ID] = m })
}

func (w *memoryTx) Append(r audit.Row) error {
	return w.later(func() { w.m.audit = append(w.m.audit, r.Events...) })
}
