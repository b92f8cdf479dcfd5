package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// tries is how often a transaction is run at most.
const tries = 5

// InTx implements [store.Store]. Callers run side by side, at READ COMMITTED:
// what must happen once is one conditional statement, which waits for whoever
// holds the row and then looks at it again. ctx ends the wait for a connection.
func (s *Store) InTx(ctx context.Context, d store.Durability, fn func(store.Tx) error) error {
	err := s.do(ctx, d, func(tx *sqlstore.Tx) error { return fn(tx) })
	if err == nil {
		s.transactions.Add(1)
	}
	return err
}

// do runs fn within a transaction, again if it lost a race or its connection
// before the commit, and returns once that is committed or undone, or nobody can
// tell which.
func (s *Store) do(ctx context.Context, d store.Durability, fn func(*sqlstore.Tx) error) error {
	if err := s.standing.refusal(); err != nil {
		return sqlstore.Refused(err)
	}
	c, err := s.pool.borrow(ctx)
	switch {
	case errors.Is(err, errNoneFree):
		return store.ErrBusy
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return refused("connect", err)
	}
	defer func() {
		if c != nil {
			s.pool.giveBack(c)
		}
	}()
	for try := 1; ; try++ {
		retry, err := s.once(inTime{c, ctx}, d, fn)
		if u := (*unknown)(nil); errors.As(err, &u) {
			s.pool.giveBack(c)
			var happened bool
			if c, happened, err = s.outcome(ctx, u); err != nil {
				s.log.Error("the answer to a commit was lost", "error", errors.Join(u.cause, err))
				return u
			}
			if happened {
				s.count(d, u.rows)
				return nil
			}
			if try == tries || ctx.Err() != nil {
				return refused("commit", u.cause)
			}
			continue
		}
		if err != nil && lost(err) {
			c.discard()
			s.pool.forget()
		}
		if err == nil || !retry || try == tries {
			return err
		}
		if lost(err) {
			if cerr := c.connect(ctx); cerr != nil {
				return refused("connect", cerr)
			}
		} else {
			time.Sleep(rand.N(time.Duration(try) * 5 * time.Millisecond)) // they would meet again
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

// once runs fn in one database transaction. retry says that nothing is
// committed, and that it may go better the next time.
func (s *Store) once(c inTime, d store.Durability, fn func(*sqlstore.Tx) error) (retry bool, err error) {
	ctx := context.Background()
	if _, err := c.conn.Exec(ctx, begin(d)); err != nil {
		return again(err), refused("begin", err)
	}
	ended := false
	defer func() { // also when fn panics
		if ended {
			return
		}
		if _, err := c.conn.Exec(ctx, "ROLLBACK"); err != nil {
			c.discard()
		}
	}()
	tx := sqlstore.NewTx(ctx, c, dialect)
	err = call(tx, fn)
	failed := tx.End()
	s.txReads.Add(tx.Reads())
	if failed != nil && again(failed) {
		return true, failed
	}
	if err == nil {
		err = failed
	}
	if err != nil || tx.Rows() == 0 { // there is nothing to commit
		return false, err
	}
	ended = true
	if _, err := c.conn.Exec(ctx, "COMMIT"); err != nil {
		if undone(err) {
			return again(err), refused("commit", err)
		}
		c.discard()
		return false, &unknown{tx.Witness(), d, tx.Rows(), err}
	}
	s.count(d, tx.Rows())
	return false, nil
}

func (s *Store) count(d store.Durability, rows int64) {
	s.commits.Add(1)
	if d == store.Durable {
		s.durable.Add(1)
	}
	s.rowWrites.Add(rows)
}

// inTime begins no statement of a transaction after the deadline of its caller
// (REL I10). What has begun the server ends.
type inTime struct {
	*conn
	caller context.Context
}

var errLate = errors.New("postgres: the caller's time is up")

func (c inTime) late() bool { return errors.Is(c.caller.Err(), context.DeadlineExceeded) }

// Exec implements [sqlstore.Conn].
func (c inTime) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if c.late() {
		return 0, errLate
	}
	return c.conn.Exec(ctx, query, args...)
}

// Query implements [sqlstore.Conn].
func (c inTime) Query(ctx context.Context, query string, one func(sqlstore.Row) error, args ...any) error {
	if c.late() {
		return errLate
	}
	return c.conn.Query(ctx, query, one, args...)
}

var errNoReturn = errors.New("postgres: the transaction's function did not return")

// call makes the Tx useless also when fn panics.
func call(tx *sqlstore.Tx, fn func(*sqlstore.Tx) error) (err error) {
	err = errNoReturn
	defer func() {
		if err == errNoReturn {
			_ = tx.End()
		}
	}()
	return fn(tx)
}

// begin starts a transaction with the durability that is asked for, in one
// message: a relaxed one does not wait until its commit is on disk. The connection
// has what a durable one needs.
func begin(d store.Durability) string {
	if d != store.Durable {
		return "BEGIN; SET LOCAL synchronous_commit = off"
	}
	return "BEGIN"
}

// refused is err as the port has it: a refusal if it may work again later.
func refused(what string, err error) error {
	if errors.Is(err, store.ErrClosed) {
		return err
	}
	if classify(err) == sqlstore.Unavailable {
		return sqlstore.Refused(fmt.Errorf("%s: %w", what, err))
	}
	return fmt.Errorf("postgres: %s: %w", what, err)
}
