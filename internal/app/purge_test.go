package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/load"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// What has ended is removed while people sign up: all of it, nothing that lives,
// and nobody is refused. What of it ended together goes together where the
// database has partitions; a quarter is among rows that live, and goes row by row.
func TestREL_R23_PurgeUnderLoad(t *testing.T) { onBoth(t, purgeUnderLoad) }

func purgeUnderLoad(t *testing.T, database string) {
	ended, people, alone := 8_000, 2, time.Second
	long := os.Getenv("STILE_TEST_LONG") != ""
	if long {
		ended, alone = 1_000_000, time.Minute
	}
	e := startOn(t, database, limits())
	began := time.Now()
	const alive = 1000
	endings(t, e, database, ended, alive, began)
	t.Logf("%d ended and %d live transactions written in %.1f s", ended, alive, time.Since(began).Seconds())

	// signUps has people sign up until stop is done, and returns how long each took.
	signUps := func(stop context.Context, name string) []time.Duration {
		var all sync.WaitGroup
		took := make([][]time.Duration, people)
		for p := range people {
			all.Go(func() {
				for n := 0; n == 0 || stop.Err() == nil; n++ {
					start := time.Now()
					if _, err := e.signUp(t.Context(), fmt.Sprintf("%s%d.%d@example.com", name, p, n)); err != nil {
						t.Error(err)
						return
					}
					took[p] = append(took[p], time.Since(start))
				}
			})
		}
		all.Wait()
		every := slices.Concat(took...)
		slices.Sort(every)
		return every
	}
	byThemselves := func(name string) []time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), alone)
		defer cancel()
		return signUps(ctx, name)
	}
	before := byThemselves("before")

	size := fileSize(t, e, database)
	var gone int
	var removing time.Duration
	during, done := context.WithCancel(t.Context())
	var purge sync.WaitGroup
	purge.Go(func() {
		defer done()
		start := time.Now()
		var err error
		if gone, err = e.Purge(t.Context()); err != nil {
			t.Error(err)
		}
		removing = time.Since(start)
	})
	with := signUps(during, "during")
	purge.Wait()
	after := byThemselves("after")

	for i := range ended + alive {
		if i < ended && ended > 10_000 && i%997 != 0 {
			continue
		}
		id := fmt.Sprintf("t%c%022d", "ABCD"[i/4%4], i)
		if i%4 == 0 || i >= ended {
			id = fmt.Sprintf("tx%022d", i)
		}
		_, err := e.Store.Transaction(t.Context(), id)
		if (err == nil) != (i >= ended) {
			t.Fatalf("%s: %v", id, err)
		}
	}
	if n, err := e.Purge(t.Context()); n != 0 || err != nil {
		t.Errorf("a second time: %d, %v", n, err)
	}
	ms := func(all []time.Duration, p float64) float64 {
		return float64(load.Percentile(all, p).Microseconds()) / 1000
	}
	t.Logf("counted %d rows removed in %.1f s; none refused; file %d -> %d MiB", gone, removing.Seconds(), size>>20, fileSize(t, e, database)>>20)
	for _, part := range []struct {
		name string
		took []time.Duration
	}{{"before", before}, {"beside it", with}, {"after", after}} {
		t.Logf("%d sign-ups %s: p50 %.0f ms, p99 %.0f ms", len(part.took), part.name, ms(part.took, 50), ms(part.took, 99))
	}
	if !long {
		return // some tens of sign-ups have no p99
	}
	if removing > 10*time.Minute {
		t.Errorf("it took %v, want 10m at most", removing)
	}
	if p, base := ms(with, 99), max(ms(before, 99), ms(after, 99)); p > 1.2*base {
		t.Errorf("beside it p99 is %.0f ms, want 20 %% more than %.0f ms at most", p, base)
	}
}

// endings writes transactions that ended a minute ago, a quarter of them in the
// partition of those that tell no time, and a few there that live.
func endings(t *testing.T, e *engine, database string, ended, alive int, at time.Time) {
	t.Helper()
	if database != "" { // a row at a time takes minutes for a million
		pgtest.Exec(t, database, fmt.Sprintf(`
			INSERT INTO transactions (id, client_id, version, expires_at, data)
			SELECT 't' || CASE WHEN i >= %[1]d OR i %% 4 = 0 THEN 'x' ELSE substr('ABCD', i / 4 %% 4 + 1, 1) END || lpad(i::text, 22, '0'),
				'client', 1, CASE WHEN i < %[1]d THEN %[3]d ELSE %[4]d END, decode(repeat('00', 700), 'hex')
			FROM generate_series(0, %[2]d - 1) i`, ended, ended+alive, at.Add(-time.Minute).UnixMicro(), at.Add(time.Hour).UnixMicro()))
		return
	}
	for n := 0; n < ended+alive; n += 1000 {
		err := e.Store.InTx(t.Context(), store.Relaxed, func(tx store.Tx) error {
			for i := n; i < n+1000; i++ {
				row := flow.Row{ClientID: "client", Version: 1, ExpiresAt: at.Add(-time.Minute), Data: make([]byte, 700)}
				row.ID = fmt.Sprintf("t%c%022d", "ABCD"[i/4%4], i)
				if i%4 == 0 {
					row.ID = fmt.Sprintf("tx%022d", i)
				}
				if i >= ended {
					row.ID, row.ExpiresAt = fmt.Sprintf("tx%022d", i), at.Add(time.Hour)
				}
				if err := tx.InsertTransaction(row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fileSize is that of an SQLite database, 0 of another.
func fileSize(t *testing.T, e *engine, database string) int64 {
	t.Helper()
	if database != "" {
		return 0
	}
	info, err := os.Stat(filepath.Join(e.dir, "stile.db"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// endless is a database in which rows end all the time.
type endless struct {
	store.Store
	ended   []time.Time
	each    time.Duration // that a burst takes
	every   time.Duration // between two ends; 0: none
	working time.Duration
}

func (s *endless) Purge(_ context.Context, now time.Time, limit int) (n int, _ error) {
	time.Sleep(s.each) // of the bubble
	s.working += s.each
	for s.every > 0 && s.ended[len(s.ended)-1].Before(time.Now()) {
		s.ended = append(s.ended, s.ended[len(s.ended)-1].Add(s.every))
	}
	for n < limit && len(s.ended) > 0 && s.ended[0].Before(now) {
		s.ended, n = s.ended[1:], n+1
	}
	return n, nil
}

// A purge removes what had ended when it began, however much ends meanwhile.
func TestREL_R23_PurgeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &endless{ended: []time.Time{time.Now().Add(-time.Minute)}, each: 5 * time.Millisecond, every: 20 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if n, err := app.Purging(s, time.Now).Purge(ctx); n != 3000 || err != nil {
			t.Errorf("%d rows, %v; want those of a minute", n, err)
		}
	})
}

// A purge takes a twentieth of the time, and on a slow machine more, lest a million
// rows take longer than ten minutes.
func TestREL_R23_PurgeRests(t *testing.T) {
	for each, most := range map[time.Duration]float64{2 * time.Millisecond: 0.05, 7 * time.Millisecond: 0.05, 10 * time.Millisecond: 0.067} {
		synctest.Test(t, func(t *testing.T) {
			s := &endless{ended: make([]time.Time, 1_000_000), each: each}
			began := time.Now()
			if n, err := app.Purging(s, time.Now).Purge(t.Context()); n != 1_000_000 || err != nil {
				t.Errorf("%d rows, %v", n, err)
			}
			took := time.Since(began) - each // the last look finds nothing
			if share := (s.working - each).Seconds() / took.Seconds(); took > 10*time.Minute || share > most+1e-6 {
				t.Errorf("bursts of %v: it took %v, of which %.3f were its own", each, took, share)
			}
		})
	}
}
