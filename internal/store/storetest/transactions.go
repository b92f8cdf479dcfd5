package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
)

var transactionTests = []test{
	{"transaction/insert", func(t *testing.T, s store.Store) {
		_, err := s.Transaction(ctx, "tx")
		missing(t, "transaction", err)
		row := aTransaction("tx")
		write(t, s, func(tx store.Tx) error { return tx.InsertTransaction(row) })
		same(t, read[flow.Row](t)(s.Transaction(ctx, "tx")), row)

		refuse(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.InsertTransaction(row) })
	}},

	{"transaction/save", func(t *testing.T, s store.Store) {
		row := aTransaction("tx")
		write(t, s, func(tx store.Tx) error { return tx.InsertTransaction(row) })

		row.Version, row.Data = 2, []byte("second")
		write(t, s, func(tx store.Tx) error { return tx.SaveTransaction(row) })
		same(t, read[flow.Row](t)(s.Transaction(ctx, "tx")), row)

		row.Version, row.Data = 3, []byte("third")
		row.ExpiresAt, row.ClientID = later(time.Minute), "other"
		write(t, s, func(tx store.Tx) error { return tx.SaveTransaction(row) })
		same(t, read[flow.Row](t)(s.Transaction(ctx, "tx")), row)
	}},

	{"transaction/SEC_S08_StaleSave", func(t *testing.T, s store.Store) {
		row := aTransaction("tx")
		row.Version = 5
		write(t, s, func(tx store.Tx) error { return tx.InsertTransaction(row) })
		for _, version := range []int64{0, 4, 5, 7} {
			stale := row
			stale.Version, stale.Data = version, []byte("stale")
			refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.SaveTransaction(stale) })
		}
		refuse(t, s, store.ErrStale, func(tx store.Tx) error { return tx.SaveTransaction(aTransaction("unknown")) })
		same(t, read[flow.Row](t)(s.Transaction(ctx, "tx")), row)
	}},

	{"transaction/large", func(t *testing.T, s store.Store) {
		row := aTransaction("tx")
		row.Data = make([]byte, 1<<20)
		for i := range row.Data {
			row.Data[i] = byte(i * 7)
		}
		write(t, s, func(tx store.Tx) error { return tx.InsertTransaction(row) })
		if got := read[flow.Row](t)(s.Transaction(ctx, "tx")); !bytes.Equal(got.Data, row.Data) {
			t.Errorf("%d bytes differ from the %d that were written", len(got.Data), len(row.Data))
		}
	}},
}
