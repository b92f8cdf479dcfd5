package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// unknown is a commit whose answer was lost: all was written or nothing.
type unknown struct {
	witness    string // an id that is in the audit log if all was written; empty: there is none
	durability store.Durability
	rows       int64
	cause      error
}

func (u *unknown) Error() string   { return fmt.Sprintf("%v: %v", store.ErrUnknown, u.cause) }
func (u *unknown) Unwrap() []error { return []error{store.ErrUnknown, u.cause} }

var errNoWitness = errors.New("nothing tells whether it was written")

// outcome finds out what became of a commit (REL R-11), once the server is there
// again or another stands in for it. With its answer comes the connection on which
// it was asked, which is to be given back.
//
// It tries to write the row of the audit log that the commit has, if it is one. The
// row's id is unique, so that waits for the transaction itself, if that is still under
// way, and it cannot happen afterwards.
func (s *Store) outcome(ctx context.Context, u *unknown) (c *conn, happened bool, err error) {
	if u.witness == "" {
		return nil, false, errNoWitness
	}
	if c, err = s.reach(ctx); err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			c.discard() // with the transaction on it
			s.pool.giveBack(c)
			c = nil
		}
	}()
	run := func(statement string) error {
		_, err := c.Exec(ctx, statement)
		return err
	}
	if err = run(begin(u.durability)); err != nil {
		return c, false, err
	}
	if happened, err = sqlstore.NewTx(ctx, c, dialect).Witnessed(u.witness); err != nil {
		return c, false, err
	}
	end := "ROLLBACK"
	if happened {
		// What others see may not be on the standby yet. A commit behind it is not
		// acknowledged before it is, if it must be there.
		end = "COMMIT"
	}
	return c, happened, run(end)
}

// reach borrows a connection, and waits for a server that is away as long as one
// that does not answer is waited for.
func (s *Store) reach(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pool.patience)
	defer cancel()
	for {
		if err := s.pool.breaker.back(ctx); err != nil {
			return nil, err
		}
		c, err := s.pool.borrow(ctx)
		if err == nil || ctx.Err() != nil || !errors.Is(err, errAway) && !silent(err) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(probeEvery / 5): // others have answers: the server is not away
		}
	}
}
