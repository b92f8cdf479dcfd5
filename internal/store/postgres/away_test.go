//go:build unix

package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A server that goes away in the middle of a transaction, and cannot be connected
// to again, costs the pool nothing: all works once it is back.
func TestREL_R12_AwayAndBack(t *testing.T) {
	c := pgtest.NewCluster(t)
	c.Database("stile")
	s, err := postgres.Open(bg, postgres.Options{URL: c.URL("stile"), Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.InTx(bg, store.Durable, func(tx store.Tx) error {
		c.Stop("immediate")
		return set("a")(tx)
	})
	if problem.KindOf(err) != problem.Unavailable || errors.Is(err, store.ErrUnknown) {
		t.Errorf("in the middle: %v", err)
	}
	if _, err := s.Setting(bg, "a"); problem.KindOf(err) != problem.Unavailable {
		t.Errorf("while it is away: %v", err)
	}
	if p := s.Pool(); !p.Away || p.Gone == 0 || p.Busy != 0 {
		t.Errorf("REL_R30: %+v while it is away", p)
	}
	c.Start()
	if err := s.Back(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := s.Pool(); p.Away {
		t.Errorf("REL_R30: %+v once it is back", p)
	}
	if err := s.InTx(bg, store.Durable, set("b")); err != nil {
		t.Errorf("once it is back: %v", err)
	}
	if there(t, s, "a") || !there(t, s, "b") {
		t.Error("not as committed")
	}
}

// A standby that may lag behind is told of at the start, and the URL may name it.
func TestREL_R11_AsynchronousStandbyIsToldOf(t *testing.T) {
	one := pgtest.NewCluster(t)
	one.Database("stile")
	two := one.Standby("standby")
	told := func() bool {
		t.Helper()
		var log bytes.Buffer
		s, err := postgres.Open(bg, postgres.Options{URL: two.URL("stile", one), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.InTx(bg, store.Durable, set("a")); err != nil {
			t.Error(err)
		}
		return strings.Contains(log.String(), "no standby of the database is synchronous")
	}
	one.Await(`SELECT count(*) = 1 FROM pg_stat_replication`)
	if !told() {
		t.Error("it says nothing of a standby that lags behind")
	}
	one.Set("synchronous_standby_names = '*'")
	one.Await(`SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'`)
	if told() {
		t.Error("it warns of a synchronous standby")
	}
}

// A server that was promoted may have weaker settings than the one before it: commits
// are as durable on it, and its settings are told of.
func TestREL_R01_DurableAfterFailover(t *testing.T) {
	one := pgtest.NewCluster(t)
	one.Database("stile")
	two := one.Standby("standby", "synchronous_commit = off")
	var log bytes.Buffer
	s, err := postgres.Open(bg, postgres.Options{URL: one.URL("stile", two), Connections: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begun := func(want string) {
		t.Helper()
		if got, err := s.Begun(store.Durable, "synchronous_commit"); err != nil || got != want {
			t.Errorf("synchronous_commit is %s, want %s (%v)", got, want, err)
		}
	}
	begun("on")
	if strings.Contains(log.String(), "synchronous_commit") {
		t.Errorf("of a server that has it on: %s", log.String())
	}
	one.Set("synchronous_commit = local") // while connections are open
	one.Await("SELECT setting = 'local' FROM pg_settings WHERE name = 'synchronous_commit'")
	begun("on")
	one.Await("SELECT count(*) = 1 FROM pg_stat_replication")
	one.Stop("fast") // which lets the standby have all
	two.Promote()
	if _, err := s.Setting(bg, "a"); err != nil && !errors.Is(err, store.ErrNotFound) {
		if err := s.Back(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	begun("on")
	if err := s.InTx(bg, store.Durable, set("a")); err != nil {
		t.Error(err)
	}
	if told := "the database has synchronous_commit = off"; strings.Count(log.String(), told) != 1 {
		t.Errorf("want %q once: %s", told, log.String())
	}
}
