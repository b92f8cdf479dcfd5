package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Delivery is one try to carry out a message. ID is the same on every try, so
// that whoever receives the effect can tell a repetition (REL R-06).
type Delivery struct {
	ID        string
	Payload   []byte // the JSON that Prepare was given
	Attempt   int    // 1 for the first
	CreatedAt time.Time
	ExpiresAt time.Time
}

// A Deliverer carries out messages of one kind. It returns nil once the effect
// is handed over, a *Permanent if another try is of no use, and a *Temporary or
// any other error if it is. It must stop when ctx ends: the lease ends with it.
type Deliverer interface {
	Deliver(ctx context.Context, d Delivery) error
}

// Permanent refuses a message for good. Class is what the message keeps as its
// LastError: short, and free of addresses and secrets, such as "550".
type Permanent struct {
	Class string
	Err   error
}

func (e *Permanent) Error() string { return describe("refused", e.Class, e.Err) }

// Unwrap returns the cause.
func (e *Permanent) Unwrap() error { return e.Err }

// Temporary is a failure that may pass. Class is as in Permanent. Unavailable
// says that the other side could not be used at all, whatever the message;
// such failures open the circuit breaker, and their cause is logged, so it must
// be free of addresses and secrets too.
type Temporary struct {
	Class       string
	Unavailable bool
	After       time.Duration // the other side asks for as long a wait, if that is longer
	Err         error
}

func (e *Temporary) Error() string { return describe("failed", e.Class, e.Err) }

// Unwrap returns the cause.
func (e *Temporary) Unwrap() error { return e.Err }

func describe(what, class string, cause error) string {
	s := fmt.Sprintf("outbox: %s (%s)", what, class)
	if cause != nil {
		s += ": " + cause.Error()
	}
	return s
}

// failure sorts the error of a delivery. What a deliverer did not sort itself
// may pass, and says nothing good of the other side.
func failure(err error) (class string, permanent, unavailable bool) {
	var p *Permanent
	var t *Temporary
	switch {
	case errors.As(err, &p):
		return p.Class, true, false
	case errors.As(err, &t):
		return t.Class, false, t.Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout", false, true
	default:
		return "error", false, true
	}
}
