// Package limit counts what may happen only so often: guesses, mails, requests.
package limit

import "time"

// A Counter is what is remembered of one key. Data is the rule's own; a counter
// that has ended counts nothing.
type Counter struct {
	Key       string
	Data      []byte
	ExpiresAt time.Time
}
