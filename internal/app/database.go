package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// openStore opens the database that the configuration names, and brings its
// schema up to date.
func openStore(ctx context.Context, c Config) (store.Store, error) {
	if c.Database != "" {
		return postgres.Open(ctx, postgres.Options{URL: c.Database, Logger: c.Logger})
	}
	return sqlite.Open(ctx, sqlite.Options{Path: databaseFile(c.Dir), Logger: c.Logger})
}

// A reader is a database of which nothing but reading is wanted.
type reader interface {
	store.Reader
	Close() error
}

// openLog opens the database of a command that only reads, while an engine may
// have it open.
func openLog(ctx context.Context, d config.Data) (reader, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if d.Database != "" {
		return postgres.OpenReadOnly(ctx, postgres.Options{URL: d.Database})
	}
	db, err := sqlite.OpenReadOnly(ctx, databaseFile(d.Data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--data %s: there is no database: %w", d.Data, err)
	}
	return db, err
}

func databaseFile(dir string) string { return filepath.Join(dir, "stile.db") }
