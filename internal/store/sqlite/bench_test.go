package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func openBench(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func transaction(n int64) flow.Row {
	return flow.Row{
		ID: directory.NewID("tx"), ClientID: "client", Version: 1,
		ExpiresAt: start.Add(time.Duration(n) * time.Millisecond), Data: make([]byte, 1500),
	}
}

// BenchmarkInTx inserts one row of 1.5 kB per transaction.
func BenchmarkInTx(b *testing.B) {
	for name, d := range map[string]store.Durability{"relaxed": store.Relaxed, "durable": store.Durable} {
		for _, callers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				s := openBench(b, filepath.Join(b.TempDir(), "stile.db"))
				var n atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				concurrently(b, callers, func() error {
					row := transaction(n.Add(1))
					return s.InTx(context.Background(), d, func(tx store.Tx) error { return tx.InsertTransaction(row) })
				})
				b.ReportMetric(float64(b.N)/float64(s.Stats().Commits), "tx/commit")
			})
		}
	}
}

// concurrently shares b.N calls of f among callers.
func concurrently(b *testing.B, callers int, f func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error)
	for range callers {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = f()
			}
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func BenchmarkSaveTransaction(b *testing.B) {
	s := openBench(b, filepath.Join(b.TempDir(), "stile.db"))
	row := transaction(0)
	save := func(tx store.Tx) error { return tx.SaveTransaction(row) }
	if err := s.InTx(context.Background(), store.Relaxed, func(tx store.Tx) error { return tx.InsertTransaction(row) }); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		row.Version++
		if err := s.InTx(context.Background(), store.Relaxed, save); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	s := openBench(b, filepath.Join(b.TempDir(), "stile.db"))
	row := transaction(0)
	u := directory.User{ID: directory.NewID("00u"), Version: 1, Email: "Ada@example.com", Canonical: "ada@example.com"}
	err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
		if err := tx.InsertUser(u); err != nil {
			return err
		}
		if err := tx.InsertEnrollment(directory.Enrollment{ID: "e", UserID: u.ID, Version: 1}); err != nil {
			return err
		}
		return tx.InsertTransaction(row)
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("transaction", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Transaction(ctx, row.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("account", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.AccountByAddress(ctx, u.Canonical); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		dir, n := b.TempDir(), 0
		for b.Loop() {
			n++
			reopen(b, filepath.Join(dir, fmt.Sprint(n)))
		}
	})
	b.Run("again", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "stile.db")
		reopen(b, path)
		for b.Loop() {
			reopen(b, path)
		}
	})
}

func reopen(b *testing.B, path string) {
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
}
