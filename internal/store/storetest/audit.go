package storetest

import (
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
}
