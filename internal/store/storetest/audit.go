package storetest

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/store"
)

var auditTests = []test{
	{"audit", func(t *testing.T, s store.Store) {
		same(t, len(read[[]audit.Row](t)(s.AuditRows(ctx, "", 10))), 0)
		var all []audit.Row
		for i, id := range []string{"c", "a", "b", "e", "d"} {
			row := anAuditRow(id)
			row.At = later(time.Duration(-i) * time.Second) // a clock that steps back changes no order
			all = append(all, row)
			write(t, s, func(tx store.Tx) error { return tx.Append(row) })
		}
		same(t, read[[]audit.Row](t)(s.AuditRows(ctx, "", 10)), all)
		same(t, read[[]audit.Row](t)(s.AuditRows(ctx, "", 2)), all[:2])
		same(t, read[[]audit.Row](t)(s.AuditRows(ctx, "a", 2)), all[2:4])
		same(t, len(read[[]audit.Row](t)(s.AuditRows(ctx, "d", 2))), 0)
		_, err := s.AuditRows(ctx, "unknown", 2)
		missing(t, "audit rows", err)
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.Append(all[0]) })
	}},

	{"audit/Seal", func(t *testing.T, s store.Store) {
		_, err := s.LastSeal(ctx)
		missing(t, "last seal", err)
		ids := []string{"c", "a", "b"}
		records := make([]audit.Record, len(ids))
		for i, id := range ids {
			row := anAuditRow(id)
			row.At = later(time.Duration(-i) * time.Second)
			write(t, s, func(tx store.Tx) error { return tx.Append(row) })
			events, err := json.Marshal(row.Events)
			if err != nil {
				t.Fatal(err)
			}
			records[i] = audit.Record{ID: id, At: row.At, Events: events}
		}
		same(t, read[[]audit.Record](t)(s.UnsealedAudit(ctx, 10)), records)
		same(t, read[[]audit.Record](t)(s.UnsealedAudit(ctx, 2)), records[:2])
		same(t, len(read[[]audit.Record](t)(s.SealedAudit(ctx, 0, 10))), 0)
		same(t, read[int64](t)(s.AuditUnsealed(ctx, 10)), int64(3))
		same(t, read[int64](t)(s.AuditUnsealed(ctx, 2)), int64(2))

		first, second := aSeal(1, 1, 2), aSeal(2, 3, 3)
		write(t, s, func(tx store.Tx) error { return tx.Seal(first, ids[:2]) })
		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.Seal(aSeal(1, 3, 3), ids[2:]) })
		same(t, read[[]audit.Record](t)(s.UnsealedAudit(ctx, 10)), records[2:])
		write(t, s, func(tx store.Tx) error { return tx.Seal(second, ids[2:]) })
		for i := range records {
			records[i].Position = int64(i + 1)
		}
		same(t, len(read[[]audit.Record](t)(s.UnsealedAudit(ctx, 10))), 0)
		same(t, read[int64](t)(s.AuditUnsealed(ctx, 10)), int64(0))
		same(t, read[[]audit.Record](t)(s.SealedAudit(ctx, 0, 10)), records)
		same(t, read[[]audit.Record](t)(s.SealedAudit(ctx, 2, 1)), records[1:2])
		same(t, len(read[[]audit.Record](t)(s.SealedAudit(ctx, 4, 1))), 0)
		same(t, read[[]audit.Seal](t)(s.Seals(ctx, 0, 10)), []audit.Seal{first, second})
		same(t, read[[]audit.Seal](t)(s.Seals(ctx, 2, 10)), []audit.Seal{second})
		same(t, read[audit.Seal](t)(s.LastSeal(ctx)), second)
	}},

	// A seal has all of its rows, or does not come to be.
	{"audit/SealIsWhole", func(t *testing.T, s store.Store) {
		for _, id := range []string{"a", "b"} {
			write(t, s, func(tx store.Tx) error { return tx.Append(anAuditRow(id)) })
		}
		write(t, s, func(tx store.Tx) error { return tx.Seal(aSeal(1, 1, 1), []string{"a"}) })
		for _, bad := range []struct {
			why  string
			seal audit.Seal
			ids  []string
		}{
			{"a row that is not there", aSeal(2, 2, 3), []string{"b", "none"}},
			{"a row that is sealed", aSeal(2, 2, 3), []string{"b", "a"}},
			{"a position that is taken", aSeal(2, 1, 1), []string{"b"}},
		} {
			err := s.InTx(ctx, store.Durable, func(tx store.Tx) error {
				if err := tx.Seal(bad.seal, bad.ids); err == nil {
					t.Errorf("%s: no error", bad.why)
				}
				return nil // what the caller makes of it does not count
			})
			if err == nil {
				t.Errorf("%s: committed", bad.why)
			}
			same(t, len(read[[]audit.Seal](t)(s.Seals(ctx, 0, 10))), 1)
			same(t, len(read[[]audit.Record](t)(s.UnsealedAudit(ctx, 10))), 1)
		}
	}},

	// A change and its row stand or fall together, whatever else shares the commit.
	{"audit/REL_I9_ChangeIffRow", func(t *testing.T, s store.Store) {
		const n = 200
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for i := worker; i < n; i += 8 {
					id := numbered("u", i)
					_ = s.InTx(ctx, durabilities[i%3], func(tx store.Tx) error {
						steps := []func() error{
							func() error { return tx.InsertUser(aUser(id, numbered("a", i%150))) }, // some are taken
							func() error { return tx.Append(anAuditRow(id)) },
						}
						if i%2 == 0 {
							steps[0], steps[1] = steps[1], steps[0]
						}
						for _, step := range steps {
							if err := step(); err != nil {
								return err
							}
						}
						if i%5 == 0 {
							return errOwn
						}
						return nil
					})
				}
			})
		}
		group.Wait()
		told := map[string]bool{}
		for _, r := range read[[]audit.Row](t)(s.AuditRows(ctx, "", n)) {
			told[r.ID] = true
		}
		for i := range n {
			id := numbered("u", i)
			_, err := s.Account(ctx, id)
			if (err == nil) != told[id] {
				t.Errorf("%s: the user is there %v, its row %v", id, err == nil, told[id])
			}
		}
		if len(told) == 0 || len(told) > 150 {
			t.Errorf("%d changes", len(told))
		}
	}},

	{"setting", func(t *testing.T, s store.Store) {
		_, err := s.Setting(ctx, "name")
		missing(t, "setting", err)
		for _, value := range []string{"first", "\x00\xff", "third"} {
			write(t, s, func(tx store.Tx) error { return tx.SetSetting("name", []byte(value)) })
			same(t, string(read[[]byte](t)(s.Setting(ctx, "name"))), value)
		}
		write(t, s, func(tx store.Tx) error { return tx.SetSetting("empty", nil) })
		same(t, len(read[[]byte](t)(s.Setting(ctx, "empty"))), 0)
	}},

	{"setting replaced", func(t *testing.T, s store.Store) {
		replace := func(old, value []byte) func(store.Tx) error {
			return func(tx store.Tx) error { return tx.ReplaceSetting("name", old, value) }
		}
		refuse(t, s, store.ErrStale, replace([]byte("first"), []byte("second")))
		write(t, s, replace(nil, []byte("first")))
		refuse(t, s, store.ErrStale, replace(nil, []byte("second")))
		refuse(t, s, store.ErrStale, replace([]byte("First"), []byte("second")))
		same(t, string(read[[]byte](t)(s.Setting(ctx, "name"))), "first")
		write(t, s, replace([]byte("first"), []byte{}))
		write(t, s, replace([]byte{}, []byte("\x00\xff")))
		same(t, string(read[[]byte](t)(s.Setting(ctx, "name"))), "\x00\xff")
	}},
}

func aSeal(number, first, last int64) audit.Seal {
	return audit.Seal{Number: number, First: first, Last: last, At: later(time.Minute), Hash: []byte{0, 1}, MAC: []byte{2, 0xff}}
}
