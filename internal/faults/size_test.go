package faults

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// REL R-21: what an engine holds in memory does not grow with its people or with the
// flows that are open, nor does its start: the look through the file (REL R-05) goes
// on beside it.
func TestREL_R21_AtSize(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { atSize(t, "") })
	t.Run("postgres", func(t *testing.T) {
		if !long {
			t.Skip("in the long run alone: a few rows say no more than those of SQLite do")
		}
		atSize(t, pgtest.Database(t))
	})
}

func atSize(t *testing.T, database string) {
	s := open(t, plan{database: database})
	n := s.nodes[0]
	if err := n.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	many := sized(2_000, 1_000_000)
	began := time.Now()
	size := s.populate(many)
	t.Logf("%d people and %d live flows written in %.1f s, %d MiB", many, many, time.Since(began).Seconds(), size>>20)

	began = time.Now()
	n.start()
	n.ready()
	started, atRest := time.Since(began), held(t, n)
	l := s.begin(4, sized(30*time.Second, 30*time.Minute))
	// Caches fill at first, and the 100,000 counters of addresses that there may be, which
	// thirty people a second take a quarter of an hour for: the slope is that of the last part alone.
	every, last := sized(500*time.Millisecond, 10*time.Second), sized(3*time.Second, 5*time.Minute)
	var under []reading
	loaded := time.Now()
	for end := loaded.Add(sized(6*time.Second, 25*time.Minute)); time.Now().Before(end); {
		pause(l.ctx, every)
		under = append(under, reading{time.Since(loaded), held(t, n)})
	}
	people := l.done.Load()
	l.end()
	late := under[len(under)-1]
	slope := perMinute(slices.DeleteFunc(slices.Clone(under), func(r reading) bool { return r.after < late.after-last }))
	t.Logf("ready after %.2f s with %.1f MiB; under load of %d people %.1f MiB first, %.1f MiB after %.0f s, by %.2f MiB a minute in the last %v",
		started.Seconds(), atRest, people, under[0].held, late.held, late.after.Seconds(), slope, last)
	for i := 0; i < len(under); i += max(1, len(under)/10) {
		t.Logf("after %3.0f s %.1f MiB", under[i].after.Seconds(), under[i].held)
	}
	if late.held > 400 {
		t.Errorf("it holds %.1f MiB, want 400 at most", late.held)
	}
	if long && slope > 1 { // in seconds a cache that fills is all there is
		t.Errorf("it grows by %.2f MiB a minute, want 1 at most", slope)
	}
	if people == 0 {
		t.Error("nobody got through: the run proves nothing")
	}
}

// A reading is what a process held, in MiB, so long after the load began.
type reading struct {
	after time.Duration
	held  float64
}

// perMinute is the slope of the line that fits readings best, by least squares.
func perMinute(all []reading) float64 {
	var x, y, xx, xy float64
	for _, r := range all {
		m := r.after.Minutes()
		x, y, xx, xy = x+m, y+r.held, xx+m*m, xy+m*r.held
	}
	n := float64(len(all))
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

func TestPerMinute(t *testing.T) {
	for _, tt := range []struct {
		held []float64
		want float64
	}{{[]float64{60, 61, 62, 63}, 2}, {[]float64{60, 64, 60, 64, 60}, 0}, {[]float64{60}, 0}, {nil, 0}} {
		var all []reading
		for i, h := range tt.held {
			all = append(all, reading{time.Duration(i) * 30 * time.Second, h})
		}
		if got := perMinute(all); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v: %v MiB a minute, want %v", tt.held, got, tt.want)
		}
	}
}

// REL R-21: an engine to which nobody has come yet holds little, of which what
// it shares with the system's cache of files is told apart.
func TestREL_R21_AtRest(t *testing.T) {
	s := open(t, plan{})
	n := s.nodes[0]
	if err := n.end(syscall.SIGTERM); err != nil { // it was told of an app
		t.Fatal(err)
	}
	n.start()
	n.ready()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rest := held(t, n)
	for rest > 30 && ctx.Err() == nil { // it gives back what the start used when it is ready, not before
		pause(ctx, 100*time.Millisecond)
		rest = held(t, n)
	}
	pause(ctx, 3*time.Second) // what it has a use for comes back
	rest = held(t, n)
	own, file := parts(n.cmd.Process.Pid)
	t.Logf("at rest %.1f MiB: %.1f of its own, %.1f of the program's file", rest, own, file)
	if rest > 30 {
		t.Errorf("it holds %.1f MiB, want 30 at most", rest)
	}
}

// parts are what a process holds that no file has, and what files have too, in MiB.
func parts(pid int) (own, file float64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kib); err == nil {
			own = kib / 1024
		}
		if _, err := fmt.Sscanf(line, "RssFile: %f kB", &kib); err == nil {
			file = kib / 1024
		}
	}
	return own, file
}

// populate writes a crowd into the database, and returns what that takes on the disk.
func (s *site) populate(many int) (size int64) {
	s.t.Helper()
	began := time.Now()
	if s.database != "" {
		db, err := postgres.Open(s.t.Context(), postgres.Options{URL: s.database})
		if err == nil {
			err = errors.Join(db.InTx(s.t.Context(), store.Durable, func(tx store.Tx) error { return crowd(tx, 0, 1, began) }), db.Close())
		}
		if err != nil {
			s.t.Fatal(err)
		}
		const number, address = "lpad(n::text, 22, '0')", "'seed' || lpad(n::text, 7, '0') || '@example.com'"
		first, last := fmt.Sprintf("%022d", 0), many-1
		pgtest.Multiply(s.t, s.database, "users", "00u"+first, last, "'id', '00u' || "+number+", 'email', "+address+", 'canonical', "+address)
		pgtest.Multiply(s.t, s.database, "enrollments", "eae"+first, last, "'id', 'eae' || "+number+", 'user_id', '00u' || "+number)
		pgtest.Multiply(s.t, s.database, "transactions", "tA"+first, last, "'id', 't' || chr(65 + n % 6) || "+number)
		pgtest.Exec(s.t, s.database, "ANALYZE")
		driver, source := s.tables()
		rows, err := sql.Open(driver, source)
		if err == nil {
			err = errors.Join(rows.QueryRow("SELECT pg_database_size(current_database())").Scan(&size), rows.Close())
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return size
	}
	path := filepath.Join(s.nodes[0].dir, "data", "stile.db")
	if _, err := os.Stat(path); err != nil {
		s.t.Fatal(err)
	}
	db, err := sqlite.Open(s.t.Context(), sqlite.Options{Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	for from := 0; from < many; from += 1000 {
		err := db.InTx(s.t.Context(), store.Relaxed, func(tx store.Tx) error { return crowd(tx, from, min(from+1000, many), began) })
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		s.t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Size()
}

// crowd writes people with a way to sign in, and as many flows that live for an hour.
func crowd(tx store.Tx, from, to int, at time.Time) error {
	at = at.UTC().Truncate(time.Microsecond)
	for i := from; i < to; i++ {
		id, address := fmt.Sprintf("00u%022d", i), fmt.Sprintf("seed%07d@example.com", i)
		err := tx.InsertUser(directory.User{
			ID: id, Version: 1, Status: directory.Active, Email: address, Canonical: address, FirstName: "Ada", LastName: "Lovelace",
			EmailVerifiedAt: at, CreatedAt: at, UpdatedAt: at,
		})
		if err == nil {
			err = tx.InsertEnrollment(directory.Enrollment{
				ID: fmt.Sprintf("eae%022d", i), UserID: id, Version: 1, Authenticator: "okta_email", Credential: make([]byte, 120), CreatedAt: at,
			})
		}
		if err == nil {
			err = tx.InsertTransaction(flow.Row{
				ID: fmt.Sprintf("t%c%022d", 'A'+i%6, i), ClientID: clientID, Version: 1, ExpiresAt: at.Add(time.Hour), Data: make([]byte, 700),
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// held is what a node has in memory, in MiB.
func held(t *testing.T, n *node) float64 {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	kib, ok := resident(n.cmd.Process.Pid)
	if !ok {
		t.Skip("the system does not tell what a process holds") // /proc is Linux's
	}
	return float64(kib) / 1024
}
