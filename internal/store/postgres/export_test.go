package postgres

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"time"

	"github.com/stile-id/stile/internal/store"
)

// Dialect is for the test that prepares every query.
var Dialect = dialect

// Begun returns a server setting as it stands within a transaction of a durability.
func (s *Store) Begun(d store.Durability, setting string) (value string, err error) {
	ctx := context.Background()
	c, err := s.pool.borrow(ctx)
	if err != nil {
		return "", err
	}
	defer s.pool.giveBack(c)
	if _, err := c.Exec(ctx, begin(d)); err != nil {
		return "", err
	}
	err = c.sql.QueryRowContext(ctx, "SELECT current_setting($1)", setting).Scan(&value)
	if _, rerr := c.Exec(ctx, "ROLLBACK"); err == nil {
		err = rerr
	}
	return value, err
}

// SchemaOn is the schema of a database that is open already.
func SchemaOn(db *sql.DB) (*Schema, error) {
	s, err := schemaOf(db, slog.New(slog.DiscardHandler))
	return &Schema{s}, err
}

// ErrAway is the refusal without a wait.
var ErrAway = errAway

// Back waits until the server is not known to be away.
func (s *Store) Back(ctx context.Context) error { return s.pool.breaker.back(ctx) }

// Limit gives a socket the patience of the pool's.
func Limit(c net.Conn, patience time.Duration) net.Conn { return limited{c, patience} }

// Outcome asks what became of the transaction with a row of the audit log.
func (s *Store) Outcome(ctx context.Context, witness string) (bool, error) {
	c, happened, err := s.outcome(ctx, &unknown{witness: witness, durability: store.Durable})
	if err == nil {
		s.pool.giveBack(c)
	}
	return happened, err
}
