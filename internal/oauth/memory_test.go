package oauth

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

var (
	errMemoryNotFound error = problem.New(problem.NotFound, "", "no such row")
	errMemoryConflict error = problem.New(problem.Conflict, "", "taken")
	errMemoryStale    error = problem.New(problem.Stale, "", "changed")
)

// memory is a store of this package's rows, and of what the flow would keep.
// The adapters are tested by their own suite; races are repeated on SQLite.
type memory struct {
	mu sync.Mutex
	memoryRows
	fail     error // what every read and transaction returns
	readRows int
	writes   int
}

type memoryRows struct {
	accounts map[string]directory.Account
	clients  map[string]Client
	keys     map[string]Key
	families map[string]RefreshFamily
	sessions map[string]session.Session
	void     map[string]Revocation
	audit    []audit.Row
	spent    map[string]bool
}

func newMemory() *memory {
	return &memory{memoryRows: memoryRows{
		accounts: map[string]directory.Account{}, clients: map[string]Client{}, keys: map[string]Key{},
		families: map[string]RefreshFamily{}, sessions: map[string]session.Session{}, void: map[string]Revocation{}, spent: map[string]bool{},
	}}
}

func (r memoryRows) clone() memoryRows {
	return memoryRows{
		accounts: maps.Clone(r.accounts), clients: maps.Clone(r.clients), keys: maps.Clone(r.keys),
		families: maps.Clone(r.families), sessions: maps.Clone(r.sessions), void: maps.Clone(r.void), audit: slices.Clone(r.audit), spent: maps.Clone(r.spent),
	}
}

func (m *memory) inTx(_ context.Context, fn func(Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	before, writes := m.clone(), m.writes
	if err := fn(memoryTx{m}); err != nil {
		m.memoryRows, m.writes = before, writes
		return err
	}
	return nil
}

func read[T any](m *memory, get func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readRows++
	if m.fail != nil {
		var zero T
		return zero, m.fail
	}
	return get()
}

func (m *memory) Clients(context.Context) ([]Client, error) {
	return read(m, func() ([]Client, error) { return slices.Collect(maps.Values(m.clients)), nil })
}

func (m *memory) Keys(context.Context) ([]Key, error) {
	return read(m, func() ([]Key, error) { return slices.Collect(maps.Values(m.keys)), nil })
}

func (m *memory) RefreshFamily(_ context.Context, id string) (RefreshFamily, error) {
	return read(m, func() (RefreshFamily, error) {
		f, ok := m.families[id]
		if !ok {
			return f, errMemoryNotFound
		}
		return f, nil
	})
}

func (m *memory) RefreshFamilies(_ context.Context, user string) ([]RefreshFamily, error) {
	return read(m, func() ([]RefreshFamily, error) {
		var out []RefreshFamily
		for _, f := range m.families {
			if f.UserID == user && f.RevokedAt.IsZero() {
				out = append(out, f)
			}
		}
		return out, nil
	})
}

func (m *memory) Session(_ context.Context, id string) (session.Session, error) {
	return read(m, func() (session.Session, error) {
		s, ok := m.sessions[id]
		if !ok {
			return s, errMemoryNotFound
		}
		return s, nil
	})
}

// SessionID plays the part of the flow: here a cookie is the session's id after a prefix.
func (m *memory) SessionID(cookie string) (string, bool) { return strings.CutPrefix(cookie, "sid.") }

func (m *memory) RevocationsSince(_ context.Context, t time.Time) ([]Revocation, error) {
	return read(m, func() ([]Revocation, error) {
		var out []Revocation
		for _, r := range m.void {
			if !r.RevokedAt.Before(t) {
				out = append(out, r)
			}
		}
		slices.SortFunc(out, func(a, b Revocation) int {
			return cmp.Or(a.RevokedAt.Compare(b.RevokedAt), cmp.Compare(a.ID, b.ID))
		})
		return out, nil
	})
}

func (m *memory) Account(_ context.Context, id string) (directory.Account, error) {
	return read(m, func() (directory.Account, error) {
		a, ok := m.accounts[id]
		if !ok {
			return a, errMemoryNotFound
		}
		return a, nil
	})
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) edit(f func(*memoryRows)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.memoryRows)
}

func (m *memory) events() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, row := range m.audit {
		for _, e := range row.Events {
			out = append(out, e.Type)
		}
	}
	return out
}

type memoryTx struct{ m *memory }

func (t memoryTx) InsertClient(c Client) error {
	t.m.writes++
	if _, ok := t.m.clients[c.ID]; ok {
		return errMemoryConflict
	}
	t.m.clients[c.ID] = c
	return nil
}

func (t memoryTx) UpdateClient(c Client) error {
	t.m.writes++
	if old, ok := t.m.clients[c.ID]; !ok || old.Version != c.Version-1 {
		return errMemoryStale
	}
	t.m.clients[c.ID] = c
	return nil
}

func (t memoryTx) InsertKey(k Key) error {
	t.m.writes++
	for _, old := range t.m.keys {
		if old.ID == k.ID || old.Server == k.Server && old.Alg == k.Alg && old.ActiveFrom.Equal(k.ActiveFrom) {
			return errMemoryConflict
		}
	}
	t.m.keys[k.ID] = k
	return nil
}

func (t memoryTx) UpdateKey(k Key) error {
	t.m.writes++
	old, ok := t.m.keys[k.ID]
	if !ok {
		return errMemoryNotFound
	}
	old.ActiveFrom, old.ExpiresAt = k.ActiveFrom, k.ExpiresAt
	t.m.keys[k.ID] = old
	return nil
}

func (t memoryTx) InsertRefreshFamily(f RefreshFamily) error {
	t.m.writes++
	if _, ok := t.m.families[f.ID]; ok {
		return errMemoryConflict
	}
	t.m.families[f.ID] = f
	return nil
}

func (t memoryTx) RotateRefreshFamily(f RefreshFamily) error {
	t.m.writes++
	old, ok := t.m.families[f.ID]
	if !ok || old.Generation != f.Generation-1 || !old.RevokedAt.IsZero() {
		return errMemoryStale
	}
	old.Generation, old.RotatedAt, old.IdleUntil = f.Generation, f.RotatedAt, f.IdleUntil
	t.m.families[f.ID] = old
	return nil
}

func (t memoryTx) RevokeGrant(grant string, at time.Time) error {
	t.m.writes++
	for id, f := range t.m.families {
		if f.Grant == grant && f.RevokedAt.IsZero() {
			f.RevokedAt = at
			t.m.families[id] = f
		}
	}
	return nil
}

func (t memoryTx) Revoke(r Revocation) error {
	t.m.writes++
	if old, ok := t.m.void[r.ID]; !ok || old.RevokedAt.Before(r.RevokedAt) {
		t.m.void[r.ID] = r
	}
	return nil
}

func (t memoryTx) EndSession(id string, at time.Time) error {
	t.m.writes++
	if s, ok := t.m.sessions[id]; ok && s.EndedAt.IsZero() {
		s.EndedAt = at
		t.m.sessions[id] = s
	}
	return nil
}

func (t memoryTx) Append(row audit.Row) error {
	t.m.writes++
	t.m.audit = append(t.m.audit, row)
	return nil
}

func (t memoryTx) spend(id string) error {
	t.m.writes++
	if t.m.spent[id] {
		return errMemoryStale
	}
	t.m.spent[id] = true
	return nil
}

// journeys plays the flow engine.
type journeys struct {
	store *memory
	now   func() time.Time

	mu       sync.Mutex
	begun    []InteractionRequest
	beginErr error
	finished map[string]journey // by code
	spending func(memoryTx)     // what happens while a code is redeemed
}

type journey struct {
	Interaction
	issued time.Time
}

func (j *journeys) Begin(_ context.Context, r InteractionRequest) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.beginErr != nil {
		return "", j.beginErr
	}
	j.begun = append(j.begun, r)
	return fmt.Sprintf("ih.%d", len(j.begun)), nil
}

func (j *journeys) finish(code string, i Interaction) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i.BegunAt.IsZero() {
		i.BegunAt = j.now()
	}
	j.finished[code] = journey{i, j.now()}
}

func (j *journeys) Finished(_ context.Context, code string) (Interaction, error) {
	j.mu.Lock()
	f, ok := j.finished[code]
	j.mu.Unlock()
	if !ok {
		return Interaction{}, errCode
	}
	return read(j.store, func() (Interaction, error) {
		f.Redeemed = j.store.spent[f.ID]
		if !f.Redeemed && j.now().Sub(f.issued) >= time.Minute {
			return Interaction{}, errCode
		}
		return f.Interaction, nil
	})
}

func (j *journeys) Spend(tx Tx, i Interaction, _ string) error {
	if j.spending != nil {
		j.spending(tx.(memoryTx))
	}
	return tx.(memoryTx).spend(i.ID)
}
