package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/webpush"
)

// The row of a message that wakes a person's devices is as long as that for nobody, and
// says of neither what it is.
func TestSEC_S42_RowsThatWake(t *testing.T) {
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	m := mailer{Outbox: outbox.New(outbox.Config{Keyring: keys})}
	at := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	for range 2 {
		id := directory.NewID("00u")
		row, err := m.Prepare(flow.Outgoing{
			Wake: &flow.Wake{UserID: id, Request: directory.NewID("psh"), ExpiresAt: at.Add(5 * time.Minute)}, Client: flow.Client{Name: "Acme"}, At: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.Payload(row)
		var said webpush.Message
		if err == nil {
			err = json.Unmarshal(data, &said)
		}
		if err != nil || row.Kind != webpush.Kind || said.UserID != id || len(data) != len(`{"user":"","request":"","app":"Acme"}`)+2*len(id) {
			t.Errorf("%s, %v", data, err)
		}
	}
}
