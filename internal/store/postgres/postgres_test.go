package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/storetest"
)

var bg = context.Background()

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	// Patience for a busy machine: the bounds have their own test.
	s, err := postgres.Open(bg, postgres.Options{URL: url, AcquireTimeout: time.Minute, StatementTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, pgtest.Database(t)) })
}

func TestReopen(t *testing.T) {
	urls := map[string]string{"kept": pgtest.Database(t), "other": pgtest.Database(t)}
	storetest.RunReopen(t, func(t *testing.T, name string) store.Store { return open(t, urls[name]) })
}
