package app

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A keeper's clock may be set, and it may take its time to answer.
type keeper struct{ off, takes atomic.Int64 }

func (k *keeper) Time(context.Context) (time.Time, error) {
	time.Sleep(time.Duration(k.takes.Load())) // by the bubble's clock
	return time.Now().Add(time.Duration(k.off.Load())), nil
}

// REL R-15: when the database's clock was set, as by a failover, a node goes by it
// soon, and reads anew what it looks up by time.
func TestREL_R15_TheDatabaseIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k keeper
		log := slog.New(slog.DiscardHandler)
		c, err := newClock(t.Context(), &k, time.Now, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var jumps atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx, log, unwatched, func() { jumps.Add(1) })
		}()
		time.Sleep(2 * compareEvery) // by the bubble's clock
		if n := jumps.Load(); n != 0 {
			t.Errorf("%d jumps of a clock that goes as it should", n)
		}
		for _, off := range []time.Duration{40 * time.Second, -time.Hour} {
			jumps.Store(0)
			k.off.Store(int64(off))
			time.Sleep(compareEvery + watchEvery) // by the bubble's clock
			if d := c.Now().Sub(time.Now().Add(off)); d.Abs() > time.Millisecond || jumps.Load() != 1 {
				t.Errorf("%v: %v off, %d jumps", off, d, jumps.Load())
			}
		}
		cancel()
		<-ended
	})
}

// REL R-30: a database that answers too late to tell the time by is tried each second,
// and the log says so each half minute.
func TestREL_R30_ASlowDatabaseIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k keeper
		var out journal
		c, err := newClock(t.Context(), &k, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		k.takes.Store(int64(300 * time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx, slog.New(slog.NewTextHandler(&out, nil)), unwatched, func() { t.Error("a jump") })
		}()
		told := func(after time.Duration) (warnings, infos int) {
			time.Sleep(after) // by the bubble's clock
			synctest.Wait()
			log := out.taken()
			return strings.Count(log, "level=WARN"), strings.Count(log, "level=INFO")
		}
		if n, _ := told(compareEvery + 5*time.Second); n != 1 {
			t.Errorf("%d warnings within the first seconds, not 1", n)
		}
		if n, _ := told(5 * time.Minute); n < 9 || n > 10 {
			t.Errorf("%d warnings within five minutes, not one each half minute", n)
		}
		k.takes.Store(0)
		if n, again := told(5 * time.Second); n != 0 || again != 1 {
			t.Errorf("well again: %d warnings, said %d times", n, again)
		}
		k.takes.Store(int64(time.Second))
		if n, _ := told(compareEvery + 5*time.Second); n != 1 {
			t.Errorf("slow once more: %d warnings", n)
		}
		cancel()
		<-ended
	})
}

// A node that starts while the database is slow does not go by what it learnt of the
// time then for longer than it must: another node may be asked to end what it issued.
func TestREL_R15_ARoughStartIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k keeper
		k.takes.Store(int64(2 * time.Second))
		c, err := newClock(t.Context(), &k, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if off := c.Now().Sub(time.Now()).Abs(); off < compareWithin {
			t.Errorf("off by %v: the start was not rough", off)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx, slog.New(slog.DiscardHandler), unwatched, func() {})
		}()
		k.takes.Store(int64(300 * time.Millisecond)) // long, and yet better than what is known
		time.Sleep(2 * watchEvery)                   // by the bubble's clock
		synctest.Wait()
		if off := c.Now().Sub(time.Now()).Abs(); off > 150*time.Millisecond {
			t.Errorf("off by %v with what is better", off)
		}
		k.takes.Store(0)
		time.Sleep(2 * watchEvery) // by the bubble's clock
		synctest.Wait()
		if off := c.Now().Sub(time.Now()).Abs(); off > compareWithin/2 {
			t.Errorf("off by %v", off)
		}
		cancel()
		<-ended
	})
}
