package sqlite

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
)

// Whoever follows the log from outside, as a tool that copies it, holds a reading
// transaction: the engine writes on, and nothing of the log is overwritten meanwhile.
func TestREL_R13_ReaderHoldsTheLog(t *testing.T) {
	s := openTest(t)
	fill := func(from, n int) {
		t.Helper()
		for i := from; i < from+n; i++ {
			err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
				return tx.InsertTransaction(flow.Row{ID: fmt.Sprint(i), Version: 1, Data: make([]byte, 40_000)})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	db := s.checker.open()
	defer db.Close()
	fill(0, 1)
	reader, err := sql.Open("sqlite", dsn(s.checker.path, foreignPragmas))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	tx, err := reader.BeginTx(bg, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := func() (n int) {
		t.Helper()
		if err := tx.QueryRowContext(bg, "SELECT count(*) FROM transactions").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := seen()
	last := int64(0)
	for i := range 3 {
		fill(1+i*120, 120)
		if err := s.checker.look(db); err != nil {
			t.Fatal(err)
		}
		size, moved, err := checkpoint(db, "PASSIVE")
		if err != nil || size < last+1000 || moved >= size {
			t.Errorf("the log has %d pages, %d are moved, %v; it had %d", size, moved, err, last)
		}
		last = size
	}
	if n := seen(); n != was {
		t.Errorf("the reader saw %d rows, and sees %d", was, n)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.checker.look(db); err != nil {
		t.Fatal(err)
	}
	fill(361, 1)
	if size, _, err := checkpoint(db, "NOOP"); err != nil || size > 100 {
		t.Errorf("the log goes on at %d pages, %v", size, err)
	}
}
