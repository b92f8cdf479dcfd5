package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/keyring"
)

// sealed draws a log of several seals, of one to six rows each.
func sealed(t *rapid.T, s func(*memory) *Sealer) *memory {
	m := &memory{}
	sealer := s(m)
	for range rapid.IntRange(1, 5).Draw(t, "seals") {
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			m.append(Event{Type: "user.lifecycle.create", Outcome: Success, At: t0})
		}
		if err := sealer.Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// forgeries do one thing to a log, each in many places. They say whether they did it.
var forgeries = map[string]func(t *rapid.T, m *memory) bool{
	"remove a row": func(t *rapid.T, m *memory) bool {
		i := anyRow(t, m)
		m.rows = slices.Delete(m.rows, i, i+1)
		return true
	},
	"remove a row and close the gap": func(t *rapid.T, m *memory) bool {
		i := anyRow(t, m)
		m.rows = slices.Delete(m.rows, i, i+1)
		for ; i < len(m.rows); i++ {
			m.rows[i].Position--
		}
		return true
	},
	"change the events": func(t *rapid.T, m *memory) bool {
		r := &m.rows[anyRow(t, m)]
		r.Events = bytes.Clone(r.Events)
		r.Events[rapid.IntRange(0, len(r.Events)-1).Draw(t, "byte")] ^= 1
		return true
	},
	"change a time": func(t *rapid.T, m *memory) bool {
		r := &m.rows[anyRow(t, m)]
		r.At = r.At.Add(time.Microsecond)
		return true
	},
	"change an id": func(t *rapid.T, m *memory) bool {
		m.rows[anyRow(t, m)].ID += "x"
		return true
	},
	"move the boundary of id and events": func(t *rapid.T, m *memory) bool {
		r := &m.rows[anyRow(t, m)]
		r.ID, r.Events = r.ID+string(r.Events[:1]), r.Events[1:]
		return true
	},
	"unseal a row": func(t *rapid.T, m *memory) bool {
		m.rows[anyRow(t, m)].Position = 0
		return true
	},
	"swap two rows": func(t *rapid.T, m *memory) bool {
		i, j := anyRow(t, m), anyRow(t, m)
		m.rows[i].Position, m.rows[j].Position = m.rows[j].Position, m.rows[i].Position
		return i != j
	},
	"insert a row": func(t *rapid.T, m *memory) bool {
		forged := m.rows[anyRow(t, m)]
		forged.ID = "forged"
		forged.Position = rapid.Int64Range(1, int64(len(m.rows))+3).Draw(t, "position")
		m.rows = append(m.rows, forged)
		return true
	},
	"insert a row and make room": func(t *rapid.T, m *memory) bool {
		i := anyRow(t, m)
		forged := m.rows[i]
		forged.ID = "forged"
		for j := i; j < len(m.rows); j++ {
			m.rows[j].Position++
		}
		m.rows = slices.Insert(m.rows, i, forged)
		return true
	},
	"remove a seal": func(t *rapid.T, m *memory) bool {
		i := anySeal(t, m)
		m.seals = slices.Delete(m.seals, i, i+1)
		return true
	},
	"remove a seal and its rows": func(t *rapid.T, m *memory) bool {
		i := anySeal(t, m)
		s := m.seals[i]
		m.rows = slices.DeleteFunc(m.rows, func(r Record) bool { return s.First <= r.Position && r.Position <= s.Last })
		m.seals = slices.Delete(m.seals, i, i+1)
		return i < len(m.seals) // the end, cut off with all traces: see TestCheckpoint
	},
	"remove a seal and close the gap": func(t *rapid.T, m *memory) bool {
		i := anySeal(t, m)
		m.seals = slices.Delete(m.seals, i, i+1)
		for ; i < len(m.seals); i++ {
			m.seals[i].Number--
		}
		return true
	},
	"swap two seals": func(t *rapid.T, m *memory) bool {
		i, j := anySeal(t, m), anySeal(t, m)
		m.seals[i].Number, m.seals[j].Number = m.seals[j].Number, m.seals[i].Number
		return i != j
	},
	"repeat a seal": func(t *rapid.T, m *memory) bool {
		m.seals = append(m.seals, m.seals[anySeal(t, m)])
		return true
	},
	"insert a seal": func(t *rapid.T, m *memory) bool {
		last := m.seals[len(m.seals)-1]
		last.Number, last.First, last.Last = last.Number+1, last.Last+1, last.Last+1
		m.seals = append(m.seals, last)
		return true
	},
	"change a seal": func(t *rapid.T, m *memory) bool {
		s := &m.seals[anySeal(t, m)]
		s.Hash, s.MAC = bytes.Clone(s.Hash), bytes.Clone(s.MAC)
		rapid.SampledFrom([]func(){
			func() { s.First++ }, func() { s.Last++ }, func() { s.Last-- }, func() { s.At = s.At.Add(time.Second) },
			func() { s.Hash[0]++ }, func() { s.MAC[0]++ }, func() { s.MAC = nil },
		}).Draw(t, "change")()
		return true
	},
	"write it anew without the key": func(t *rapid.T, m *memory) bool {
		m.rows[anyRow(t, m)].At = t0.Add(-time.Hour)
		previous := []byte(nil)
		for i := range m.seals {
			c := newChain(previous)
			for _, r := range m.rows {
				if m.seals[i].First <= r.Position && r.Position <= m.seals[i].Last {
					c.add(r)
				}
			}
			m.seals[i].Hash = c.sum()
			previous = m.seals[i].Hash
		}
		return true
	},
}

func anyRow(t *rapid.T, m *memory) int  { return rapid.IntRange(0, len(m.rows)-1).Draw(t, "row") }
func anySeal(t *rapid.T, m *memory) int { return rapid.IntRange(0, len(m.seals)-1).Draw(t, "seal") }

// Whatever is done to one row or seal is found, and found by a sentence.
func TestSEC_S144_EveryForgeryIsFound(t *testing.T) {
	keys := testKeys(t)
	for name, forge := range forgeries {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				m := sealed(rt, func(m *memory) *Sealer { return newTestSealer(t, m) })
				for range rapid.IntRange(0, 3).Draw(rt, "unsealed") {
					m.append(Event{Type: "user.session.start"})
				}
				if _, err := Verify(ctx, m, keys, Checkpoint{}); err != nil {
					rt.Fatalf("before: %v", err)
				}
				forged := m.clone()
				for len(forged.rows) > 0 && forged.rows[len(forged.rows)-1].Position == 0 {
					forged.rows = forged.rows[:len(forged.rows)-1] // forge what is sealed
				}
				if !forge(rt, forged) {
					rt.Skip("nothing was forged") // this draw had nothing to forge; rapid draws another, and fails if most are so
				}
				_, err := Verify(ctx, forged, keys, Checkpoint{})
				var found *Tampered
				if !errors.As(err, &found) {
					rt.Fatalf("not found: %v", err)
				}
				if found.What == "" || strings.Contains(found.What, "\n") {
					rt.Errorf("%q", found.What)
				}
			})
		})
	}
}

func TestVerifyNamesThePlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		forge func(*memory)
		want  string
	}{
		{"row removed", func(m *memory) { m.rows = slices.Delete(m.rows, 1, 2) }, "row 2 is missing: seal 1"},
		{"last row removed", func(m *memory) { m.rows = m.rows[:5] }, "row 6 is missing: seal 2"},
		{"row changed", func(m *memory) { m.rows[4].Events = []byte("[]") }, "rows 4 to 6 are not as they were when seal 2"},
		{"row inserted", func(m *memory) { m.rows = append(m.rows, m.rows[2]) }, "row 3 stands twice"},
		{"row behind the end", func(m *memory) { m.rows = append(m.rows, Record{ID: "x", Position: 7}) }, "row 7 (x) stands after the end of seal 2"},
		{"first seal removed", func(m *memory) { m.seals = m.seals[1:] }, "seal 1 is missing: after the beginning comes seal 2"},
		{"last seal removed", func(m *memory) { m.seals = m.seals[:1] }, "row 4 (ae0003) stands after the end of seal 1"},
		{"seal changed", func(m *memory) { m.seals[1].At = t0.Add(1) }, ""}, // below what is kept
		{"seal forged", func(m *memory) { m.seals[1].Last = 5 }, "seal 2 was changed or forged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			s := newTestSealer(t, m)
			for range 2 {
				for range 3 {
					m.append(Event{Type: "a"}, Event{Type: "b"})
				}
				if err := s.Seal(ctx); err != nil {
					t.Fatal(err)
				}
			}
			tt.forge(m)
			_, err := Verify(ctx, m, testKeys(t), Checkpoint{})
			if tt.want == "" && err == nil {
				return
			}
			if err == nil || tt.want == "" || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestVerifyReports(t *testing.T) {
	m := &memory{}
	s := newTestSealer(t, m)
	r, err := Verify(ctx, m, testKeys(t), Checkpoint{})
	if err != nil || !cmp.Equal(r, Report{}) {
		t.Fatalf("empty: %+v, %v", r, err)
	}
	for range maxBatch + rowPage + 7 {
		m.append(Event{Type: "a"}, Event{Type: "b"})
	}
	if err := s.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	m.append(Event{Type: "later"})
	r, err = Verify(ctx, m, testKeys(t), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(maxBatch + rowPage + 7)
	want := Report{
		Rows: n, Events: 2 * n, Seals: (n + maxBatch - 1) / maxBatch, SealedAt: t0, Unsealed: 1,
		Checkpoint: m.seals[len(m.seals)-1].Checkpoint(),
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
	other, err := keyring.New(bytes.Repeat([]byte{1}, keyring.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	var found *Tampered
	if _, err := Verify(ctx, m, other, Checkpoint{}); !errors.As(err, &found) {
		t.Errorf("with another key: %v", err)
	}
}

// An end that is cut off with all its traces is found by a checkpoint alone.
func TestCheckpoint(t *testing.T) {
	m := &memory{}
	s := newTestSealer(t, m)
	keys := testKeys(t)
	var copies []*memory
	for range 3 {
		m.append(Event{Type: "a"})
		if err := s.Seal(ctx); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, m.clone())
	}
	known, err := ParseCheckpoint(m.seals[1].Checkpoint().String())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"the log ends with seal 1, but the checkpoint is of seal 2", "", ""} {
		_, err := Verify(ctx, copies[i], keys, known)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("seal %d: %v, want %q", i+1, err, want)
		}
	}
	// Put back, and gone on from there: a good log, but not the one that was.
	back := copies[0]
	back.append(Event{Type: "another"})
	if err := newTestSealer(t, back).Seal(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(ctx, back, keys, known); err == nil || !strings.HasPrefix(err.Error(), "seal 2 is not the one of the checkpoint") {
		t.Errorf("put back: %v", err)
	}
	for _, bad := range []string{"1", "x:AA", "0:" + strings.Repeat("A", 43), "1:AAAA", ":"} {
		if _, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Sealing again changes nothing, and a crash between any two commits, or of one
// of them, leaves a log that the next call finishes.
func TestSealIsIdempotentAndResumable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &memory{}
		n := rapid.IntRange(1, 3*maxBatch).Draw(rt, "rows")
		for range n {
			m.append(Event{Type: "a"})
		}
		crash, commits := rapid.IntRange(0, 3).Draw(rt, "crash"), 0
		m.fail = func() error {
			if commits++; commits > crash {
				return context.Canceled
			}
			return nil
		}
		if err := newTestSealer(t, m).Seal(ctx); err != nil && !errors.Is(err, context.Canceled) {
			rt.Fatal(err)
		}
		if _, err := Verify(ctx, m, testKeys(t), Checkpoint{}); err != nil {
			rt.Fatalf("after the crash: %v", err)
		}
		m.fail = nil
		s := newTestSealer(t, m)
		if err := s.Seal(ctx); err != nil {
			rt.Fatal(err)
		}
		once := m.clone()
		if err := s.Seal(ctx); err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(once.seals, m.seals); d != "" {
			rt.Errorf("sealed twice:\n%s", d)
		}
		r, err := Verify(ctx, m, testKeys(t), Checkpoint{})
		if err != nil || r.Rows != int64(n) || r.Unsealed != 0 {
			rt.Errorf("%+v, %v", r, err)
		}
	})
}

// Run seals at each tick, and goes on after a failure.
func TestRun(t *testing.T) {
	m := &memory{}
	m.append(Event{Type: "a"})
	commits := make(chan struct{})
	failed := false
	m.fail = func() error {
		commits <- struct{}{}
		if !failed {
			failed = true
			return errors.New("the disk is full")
		}
		return nil
	}
	run, stop := context.WithCancel(ctx)
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		newTestSealer(t, m).Run(run, ticks, func(seal func() error) error { return seal() })
	}()
	for range 2 {
		ticks <- t0
		<-commits
	}
	ticks <- t0 // taken once the one before it is through
	stop()
	<-done
	if r, err := Verify(ctx, m, testKeys(t), Checkpoint{}); err != nil || r.Rows != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTwoSealersAtOnce(t *testing.T) {
	m := &memory{}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for range 200 {
				m.append(Event{Type: fmt.Sprint(worker)})
				if worker%2 == 0 {
					continue
				}
				if err := newTestSealer(t, m).Seal(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := newTestSealer(t, m).Seal(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(ctx, m, testKeys(t), Checkpoint{})
	if err != nil || r.Rows != 800 || r.Unsealed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A sealer does not paper over a cut: it stops, and says so.
func TestSealerStopsAtACut(t *testing.T) {
	m := &memory{}
	for range 2 {
		m.append(Event{Type: "a"})
		if err := newTestSealer(t, m).Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m.seals = m.seals[:1]
	m.append(Event{Type: "b"})
	err := newTestSealer(t, m).Seal(ctx)
	if err == nil || !strings.Contains(err.Error(), "stile audit verify") {
		t.Errorf("%v", err)
	}
	if len(m.seals) != 1 {
		t.Error("it sealed")
	}
}

// A follower prints every event once, in whatever moment rows are sealed.
func TestTailFollows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &memory{}
		var want, got []string
		add := func() {
			name := fmt.Sprintf("e%d", len(want))
			want = append(want, name)
			m.append(Event{Type: name, At: t0})
		}
		tail := &Tail{Log: m, Lines: -1, Print: func(e Event) error { got = append(got, e.Type); return nil }}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { add() },
			"seal": func(rt *rapid.T) {
				if err := newTestSealer(t, m).Seal(ctx); err != nil {
					rt.Fatal(err)
				}
			},
			"next": func(rt *rapid.T) {
				if err := tail.Next(ctx); err != nil {
					rt.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					rt.Fatal(d)
				}
			},
		})
	})
}

func TestTailBegins(t *testing.T) {
	m := &memory{}
	for i := range 2*rowPage + 500 {
		m.append(
			Event{Type: fmt.Sprintf("a.%d", i), Actor: fmt.Sprint("u", i%7), At: t0.Add(time.Duration(i) * time.Second)},
			Event{Type: fmt.Sprintf("b.%d", i), Target: fmt.Sprint("u", i%7), At: t0.Add(time.Duration(i) * time.Second)})
	}
	if err := newTestSealer(t, m).Seal(ctx); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter Filter
		lines  int
		n      int
		first  string
	}{
		{"the newest", Filter{}, 3, 3, "b.2498"},
		{"none", Filter{}, 0, 0, ""},
		{"all", Filter{}, -1, 5000, "a.0"},
		{"since", Filter{Since: t0.Add(2400 * time.Second)}, -1, 200, "a.2400"},
		{"of a type", Filter{Type: "a"}, 2, 2, "a.2498"},
		{"of one type", Filter{Type: "b.17"}, 20, 1, "b.17"},
		{"of no type", Filter{Type: "b.1x"}, 20, 0, ""},
		{"of a user", Filter{User: "u3", Type: "a."}, -1, 357, "a.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tail := &Tail{Log: m, Filter: tt.filter, Lines: tt.lines, Print: func(e Event) error { got = append(got, e.Type); return nil }}
			if err := tail.Next(ctx); err != nil {
				t.Fatal(err)
			}
			if len(got) != tt.n || len(got) > 0 && got[0] != tt.first {
				t.Errorf("%d events from %v, want %d from %s", len(got), got[:min(1, len(got))], tt.n, tt.first)
			}
		})
	}
}
