package sqlite

import (
	"context"
	"fmt"
	"net/url"

	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// Read-only to the system too: the last one to close a file moves its log into
// it, which is not for a visitor to do.
var foreignPragmas = url.Values{
	"mode":        {"ro"},
	"_query_only": {"1"},
}

// A ReadOnly reads a database that another process may have open.
type ReadOnly struct {
	*sqlstore.Reader
	readers *pool
}

var _ store.Reader = (*ReadOnly)(nil)

// OpenReadOnly opens a database that is there, and has the schema of this
// program or of the next. It takes no lock, waits for nobody, and changes nothing.
func OpenReadOnly(ctx context.Context, path string) (*ReadOnly, error) {
	path, err := existing(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	p := newPool(path, 1, foreignPragmas)
	if err := schemaOf(p.db, nil).Readable(ctx); err != nil {
		_ = p.close()
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return &ReadOnly{sqlstore.NewReader(p, dialect), p}, nil
}

// Close ends the connections.
func (r *ReadOnly) Close() error { return r.readers.close() }
