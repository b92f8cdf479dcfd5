package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

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
// program. It takes no lock, waits for nobody, and changes nothing.
func OpenReadOnly(ctx context.Context, path string) (*ReadOnly, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	info, err := os.Stat(path) // SQLite would say no more than that it cannot
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	p := newPool(path, 1, foreignPragmas)
	if err := sameSchema(ctx, p); err != nil {
		_ = p.close()
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return &ReadOnly{sqlstore.NewReader(p, dialect), p}, nil
}

func sameSchema(ctx context.Context, p *pool) error {
	want, err := latestSchema(p.db)
	if err != nil {
		return err
	}
	var have int64
	err = p.db.QueryRowContext(ctx, "SELECT max(version_id) FROM schema_version WHERE is_applied").Scan(&have)
	if err != nil {
		return fmt.Errorf("schema version: %w", err)
	}
	if have != want {
		return fmt.Errorf("the database has schema version %d, this program reads %d", have, want)
	}
	return nil
}

// Close ends the connections.
func (r *ReadOnly) Close() error { return r.readers.close() }
