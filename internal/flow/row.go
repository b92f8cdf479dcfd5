package flow

import "time"

// A Row is a transaction as the database keeps it. Data is the sealed JSON of
// the Transaction; Version settles races: saving names the version that was read.
type Row struct {
	ID        string
	ClientID  string
	Version   int64
	ExpiresAt time.Time
	Data      []byte
}
