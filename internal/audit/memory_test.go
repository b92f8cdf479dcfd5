package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
)

var (
	ctx = context.Background()
	t0  = time.Date(2026, 11, 22, 12, 30, 15, 123456000, time.UTC)
)

// memory is a log that anybody may tamper with.
type memory struct {
	mu    sync.Mutex
	rows  []Record // in commit order
	seals []Seal

	fail func() error // is asked before each commit
}

func (m *memory) append(events ...Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, err := json.Marshal(events)
	if err != nil {
		panic(err)
	}
	n := len(m.rows)
	m.rows = append(m.rows, Record{ID: fmt.Sprintf("ae%04d", n), At: t0.Add(time.Duration(n) * time.Second), Events: data})
}

func (m *memory) clone() *memory {
	return &memory{rows: slices.Clone(m.rows), seals: slices.Clone(m.seals)}
}

func (m *memory) UnsealedAudit(_ context.Context, limit int) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, r := range m.rows {
		if r.Position == 0 && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) SealedAudit(_ context.Context, from int64, limit int) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, r := range m.rows {
		if r.Position > 0 && r.Position >= from {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Record) int { return cmp.Compare(a.Position, b.Position) })
	return out[:min(limit, len(out))], nil
}

func (m *memory) Seals(_ context.Context, from int64, limit int) ([]Seal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Seal
	for _, s := range m.seals {
		if s.Number >= from {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Seal) int { return cmp.Compare(a.Number, b.Number) })
	return out[:min(limit, len(out))], nil
}

func (m *memory) LastSeal(context.Context) (Seal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.seals) == 0 {
		return Seal{}, problem.New(problem.NotFound, "", "no seal")
	}
	return slices.MaxFunc(m.seals, func(a, b Seal) int { return cmp.Compare(a.Number, b.Number) }), nil
}

var errConflict = problem.New(problem.Conflict, "", "taken")

func (m *memory) WriteSeal(_ context.Context, _ bool, s Seal, ids []string) error {
	if m.fail != nil {
		if err := m.fail(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.seals {
		if other.Number == s.Number {
			return errConflict
		}
	}
	placed := slices.Clone(m.rows)
	for i, id := range ids {
		position := s.First + int64(i)
		at := slices.IndexFunc(placed, func(r Record) bool { return r.ID == id && r.Position == 0 })
		if at < 0 || slices.ContainsFunc(placed, func(r Record) bool { return r.Position == position }) {
			return errConflict
		}
		placed[at].Position = position
	}
	m.rows, m.seals = placed, append(m.seals, s)
	return nil
}

func testKeys(t testing.TB) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(make([]byte, keyring.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newTestSealer(t testing.TB, m *memory) *Sealer {
	return NewSealer(SealerConfig{Store: m, Keys: testKeys(t), Now: func() time.Time { return t0 }})
}
