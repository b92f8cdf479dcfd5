package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// A ReadOnly reads a database that engines may have open.
type ReadOnly struct {
	*sqlstore.Reader
	pool *pool
}

var _ store.Reader = (*ReadOnly)(nil)

// OpenReadOnly connects to a database that has the schema of this program or of
// the next, on a standby too. It changes nothing, and the server would not let it.
func OpenReadOnly(ctx context.Context, o Options) (*ReadOnly, error) {
	o.Connections = 1
	o.defaults()
	config, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	config.ValidateConnect = nil
	config.RuntimeParams["default_transaction_read_only"] = "on"
	db := stdlib.OpenDB(*config)
	schema, err := schemaOf(db, nil)
	if err == nil {
		err = schema.Readable(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	p := newPool(bounded(config, o.StatementTimeout), o, nil)
	return &ReadOnly{sqlstore.NewReader(p, dialect), p}, nil
}

// Close ends the connections.
func (r *ReadOnly) Close() error { return r.pool.close() }
